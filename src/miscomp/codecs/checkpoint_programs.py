"""A look at the pickle of a checkpoint before it runs: what it names, and how much it would build.

A few hundred bytes can describe more than any machine holds: a tuple of twice the same tuple of twice the same ... is
small in memory, and endless to whoever hashes or prints it. So every value counts with all that it refers to, as often
as it refers to it.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miscomp.errors import WeightsError

MAX_VALUES = 1_000_000
"""Values that a checkpoint may build, and steps in which it may do so; a thousand tensors take some thirty thousand."""

_TYPES = ["Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"]
_DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
_HARMLESS = {
    *(f"torch {name}Storage" for name in _TYPES),
    *(f"torch {name}" for name in (*_DTYPES, "Size", "device")),
    *(f"torch._utils _rebuild_{name}" for name in ("tensor", "tensor_v2", "parameter")),
    *(f"collections {name}" for name in ("OrderedDict", "Counter")),
    # Settings of a training, kept beside the weights: it is filled with what the file says and calls nothing.
    "argparse Namespace",
}
"""What a checkpoint may name. None of it takes more memory than what it is given, or reaches beyond it."""

_EMPTY = {"EMPTY_TUPLE": "tuple", "EMPTY_LIST": "list", "EMPTY_DICT": "dict", "EMPTY_SET": "set"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_ATOMS = ("NONE", "NEWFALSE", "NEWTRUE", "BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1")
_TEXTS = ("BINUNICODE", "SHORT_BINSTRING")
_MADE = "made"
_CHANGING = ("list", "dict", _MADE)
_KEYS = ("text", "atom")
# Python hashes whole numbers modulo 2^61 - 1: larger ones can be chosen so that all have the same hash.
_MAX_KEY = 2**60
_MAX_DEPTH = 100
"""Python hashes a tuple in a tuple by a call in a call, until its stack overflows."""
_TEXT_OF_ONE = 16
"""Characters that count as one value."""


@dataclass(slots=True, eq=False)
class _Value:
    """What stands for a value that the pickle would build."""

    kind: str
    """Of `_KEYS`, `_CHANGING`, tuple, set, number; or, for something named, its name as `_HARMLESS` has it."""
    size: int = 1
    """Values in it, itself and what is shared counted each time."""
    depth: int = 0
    """Of tuples in tuples."""
    parts: tuple[_Value, ...] = ()
    """Of tuples only."""
    shared: bool = False
    """Fetched from the memo; from then on it may not grow, so that what is known of it stays true."""
    items: int = 0
    """Of a list: how many stand in it."""
    keyed: bool = False
    """Of a list: the first one can be a key."""
    pairs: bool = True
    """Of a list: each one is a list of a key and a value."""


_ATOM = _Value("atom")


def check_programs(path: Path, content: bytes, count: int) -> None:
    """Look at `count` pickles, one after the other, without running them.

    torch's loader reads them again by itself and knows no other way to name something than `GLOBAL`. Raises
    `WeightsError` for anything that weights do not need, or that would build too much.
    """
    stream = io.BytesIO(content)
    try:
        for _ in range(count):
            look = _Look()
            for steps, (opcode, argument, _position) in enumerate(pickletools.genops(stream)):
                if steps > MAX_VALUES:
                    raise ValueError(f"it takes more than {MAX_VALUES} steps")
                if opcode.name == "GLOBAL" and argument not in _HARMLESS:
                    what = str(argument).replace(" ", ".")[:100]
                    raise WeightsError(
                        path,
                        f"is a program that uses {what}, which weights do not need; it was not run. If you trust where "
                        "it comes from, load it there and save its state dict alone",
                    )
                if not look.step(opcode.name, argument):
                    raise WeightsError(path, "was saved in a way that cannot be checked; save it again with torch.save")
    except (ValueError, LookupError) as error:
        what = str(error) if isinstance(error, ValueError) else "its pickle refers to what is not there"
        raise WeightsError(path, f"is damaged or has too much beside its weights ({what}); fetch it again") from error


class _Look:
    """The loader's stack and memo with sizes in place of values."""

    def __init__(self) -> None:
        self._stack: list[_Value] = []
        self._marked: list[list[_Value]] = []
        self._memo: dict[int, _Value] = {}
        self._given = 0

    def step(self, name: str, argument: Any) -> bool:
        """Follow one step; false for one that torch does not write.

        Raises `ValueError` for one that builds too much, `LookupError` where something is missing.
        """
        stack = self._stack
        if name in _ATOMS or name in _TEXTS:
            stack.append(_plain(argument))
        elif name in _EMPTY:
            stack.append(_Value(_EMPTY[name]))
        elif name in _TUPLES:
            count = _TUPLES[name]
            if len(stack) < count:
                raise LookupError
            stack[-count:] = [_tuple(stack[-count:])]
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            value = self._memo[argument]
            value.shared = True
            stack.append(value)
        elif name == "MARK":
            self._marked.append(stack)
            self._stack = []
        elif name == "GLOBAL":
            stack.append(_Value(argument))
        else:
            return name in ("PROTO", "STOP") or self._fill(name) or self._call(name)
        return True

    def _fill(self, name: str) -> bool:
        if name == "TUPLE":
            parts = self._since_mark()
            self._stack.append(_tuple(parts))
        elif name in ("APPEND", "APPENDS"):
            items = self._since_mark() if name == "APPENDS" else [self._stack.pop()]
            _grow(self._stack[-1], items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._since_mark() if name == "SETITEMS" else [self._stack.pop(), self._stack.pop()][::-1]
            if any(key.kind not in _KEYS for key in items[::2]):
                raise ValueError("a key in it is neither a text nor a number of common size")
            _grow(self._stack[-1], items)
        else:
            return False
        return True

    def _call(self, name: str) -> bool:
        if name not in ("REDUCE", "NEWOBJ", "BUILD", "BINPERSID"):
            return False
        given = self._stack.pop()
        # What is given is copied, hashed or looked at, each time anew.
        self._given += given.size
        if self._given > MAX_VALUES:
            raise ValueError(f"it hands on more than {MAX_VALUES} values")
        if name == "BUILD":
            if given.kind != "dict":
                raise ValueError("it fills an object with something else than a dictionary")
            _grow(self._stack[-1], [given])
        elif name == "BINPERSID":
            if given.kind != "tuple" or any(part.kind not in (*_KEYS, *_HARMLESS) for part in given.parts):
                raise ValueError("it names numbers in an unknown way")
            self._stack.append(_Value(_MADE))
        else:
            _check_call(self._stack.pop().kind, given)
            self._stack.append(_Value(_MADE, 1 + given.size))
        return True

    def _since_mark(self) -> list[_Value]:
        items, self._stack = self._stack, self._marked.pop()
        return items


def _plain(argument: object) -> _Value:
    if isinstance(argument, str):
        return _Value("text", 1 + len(argument) // _TEXT_OF_ONE)
    return _Value("number") if isinstance(argument, int) and abs(argument) >= _MAX_KEY else _ATOM


def _tuple(parts: Sequence[_Value]) -> _Value:
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > _MAX_DEPTH:
        raise ValueError(f"it has tuples in tuples, more than {_MAX_DEPTH} deep")
    return _Value("tuple", _bounded(1 + sum(part.size for part in parts)), depth, tuple(parts))


def _grow(value: _Value, items: Sequence[_Value]) -> None:
    if value.kind not in _CHANGING or value.shared:
        raise ValueError("it changes a value that is fixed or already used elsewhere")
    value.size = _bounded(value.size + sum(item.size for item in items))
    if value.kind == "list" and items:
        value.keyed = value.keyed if value.items else items[0].kind in _KEYS
        value.pairs &= all(item.kind == "list" and item.items == 2 and item.keyed for item in items)
        value.items += len(items)


def _bounded(size: int) -> int:
    if size > MAX_VALUES:
        raise ValueError(f"it builds more than {MAX_VALUES} values")
    return size


def _check_call(function: str, given: _Value) -> None:
    """Dictionaries are made empty and filled by steps whose keys are checked; a Counter copies one.

    Python 2, which wrote many of the older files, made an OrderedDict of a list of pairs.
    """
    copies = function == "collections Counter" and [part.kind for part in given.parts] == ["dict"]
    if function == "collections OrderedDict":
        copies = [(part.kind, part.pairs) for part in given.parts] == [("list", True)]
    if function not in _HARMLESS or given.kind != "tuple":
        raise ValueError("it calls what cannot be called")
    if function.startswith("collections ") and given.parts and not copies:
        raise ValueError("it makes a dictionary of something else than a dictionary or pairs with a key")
