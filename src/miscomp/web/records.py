"""Records of the library as scripts read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

_LATER_WORDS = re.compile(r"_([a-z])")


def camel_case(state: Any) -> Any:
    """A record, or several, with fields as scripts name them: `days_left` is `daysLeft`. Keys of mappings stay."""
    if is_dataclass(state):
        names = [field.name for field in fields(state)]
        return {_LATER_WORDS.sub(lambda one: one[1].upper(), name): camel_case(getattr(state, name)) for name in names}
    if isinstance(state, list | tuple):
        return [camel_case(one) for one in state]
    return dict(state) if isinstance(state, Mapping) else state
