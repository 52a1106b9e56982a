from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny_lucid import TINY, numbers, tiny_entropy, tiny_model, tiny_state

from miscomp.codecs.fixed_point import LIMIT, WEIGHT_LIMIT
from miscomp.codecs.gaussian import SCALE_BORDERS, scale_index
from miscomp.codecs.lucid_entropy import GroupContext, positive_scale
from miscomp.codecs.lucid_integer import STEPS, IntegerContext, IntegerEntropy, State
from miscomp.codecs.lucid_model import expect

Exact = npt.NDArray[np.object_]
Rows = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def exact(array: Any) -> Exact:
    """As Python's whole numbers, which have no limits."""
    flat = [int(value) for value in torch.as_tensor(array).flatten().tolist()]
    return np.array(flat, dtype=object).reshape(tuple(torch.as_tensor(array).shape))


def rounded(value: Exact, bits: int) -> Exact:
    shifted: Exact = (value + (1 << bits >> 1)) >> bits if bits > 0 else value << -bits
    return shifted


def clipped(value: Exact, limit: int) -> Exact:
    inside: Exact = np.minimum(np.maximum(value, -limit), limit)
    return inside


def leaked(value: Exact) -> Exact:
    leaky: Exact = np.maximum(value, value // 8)
    return leaky


def plain_layer(state: State, name: str, rows: Exact) -> Exact:
    sums = rows @ exact(state[f"{name}.weight"]).T + exact(state[f"{name}.bias"])
    return clipped(rounded(sums, int(state[f"{name}.shift"])), int(LIMIT))


def plain_prediction(state: State, name: str, rows: Exact, steps: list[int]) -> tuple[Exact, Exact]:
    """Means in 1/64 and scale indexes in Python's whole numbers, from all that enters a context."""
    anchors = exact(state[f"{name}.quality"])
    quality = []
    for step in steps:
        lower = min(step * (len(anchors) - 1) // 255, len(anchors) - 2)
        share = step * (len(anchors) - 1) - lower * 255
        quality.append((anchors[lower] * (255 - share) + anchors[lower + 1] * share) // 255)
    sums = rows @ exact(state[f"{name}.enter.weight"]).T + exact(state[f"{name}.enter.bias"]) + np.array(quality)
    entered = leaked(clipped(rounded(sums, int(state[f"{name}.enter.shift"])), int(LIMIT)))
    mixed = leaked(plain_layer(state, f"{name}.mix", entered))
    out = mixed @ exact(state[f"{name}.out.weight"]).T + exact(state[f"{name}.out.bias"])
    out = clipped(rounded(out, int(state[f"{name}.out.shift"]) + 10 - 16), 2**24)
    mean, raw = np.split(out, 2, axis=1)
    units = exact(state[f"{name}.unit"])
    mean = np.stack([rounded(mean[:, c], 10 - int(unit)) for c, unit in enumerate(units)], 1)
    borders = exact(state["thresholds"])
    return clipped(mean, 2**17), np.array([[sum(borders < value) for value in row] for row in raw])


def entering(name: str, index: int, count: int, *, largest: bool = False) -> Rows:
    """Rows that may enter a context: the prior, what is known of earlier groups, what lies around, local qualities."""
    earlier, size = sum(TINY.groups[:index]), TINY.groups[index]

    def rows(kind: str, width: int, limit: int) -> torch.Tensor:
        drawn = numbers(f"{name} {kind}", count, width)
        return torch.from_numpy(np.sign(drawn) * limit if largest else drawn * limit // 2**15).double()

    steps = torch.from_numpy(numbers(f"{name} steps", count) % 256)
    prior = rows("prior", TINY.prior, int(LIMIT) if largest else 2**14)
    return prior, rows("earlier", 3 * earlier, 2**13), rows("near", (5 if index < 2 else 1) * size, 2**15), steps


def predicted(context: IntegerContext, *rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    prior, earlier, near, steps = rows
    common = context.common(prior, steps, earlier if earlier.shape[1] else None)
    return context.predict(common, near)


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_context_is_what_python_s_whole_numbers_give(index: int, largest: bool) -> None:
    state = tiny_state()
    rows = entering("plain", index, 60, largest=largest)
    context = IntegerEntropy(state, TINY.groups).contexts[index]
    mean, raw = predicted(context, *rows)
    # Oracle: the same formula in Python's unlimited whole numbers.
    expected = plain_prediction(state, f"contexts.{index}", exact(torch.cat(rows[:3], 1)), rows[3].tolist())
    assert (exact(mean) == expected[0]).all()
    assert (exact(raw) == expected[1]).all()
    assert largest or len(set(raw.flatten().tolist())) > 5
    bare = context.predict(context.common(rows[0], rows[3], rows[1] if index else None), None)
    alone = predicted(context, rows[0], rows[1], torch.zeros_like(rows[2]), rows[3])
    assert all(torch.equal(one, two) for one, two in zip(bare, alone, strict=True))


@pytest.mark.parametrize("sign", [1, -1])
def test_networks_at_all_their_limits_are_still_exact(sign: int) -> None:
    state = tiny_state()
    for name, tensor in state.items():
        if name.endswith(".weight"):
            state[name] = torch.full_like(tensor, sign * WEIGHT_LIMIT)
        elif name.endswith(".bias"):
            state[name] = torch.full_like(tensor, 2**50)
        elif name.endswith(".quality"):
            state[name] = torch.full_like(tensor, 2**40)
        elif name.endswith(".shift"):
            state[name] = torch.tensor([0])
        elif name.endswith("unit"):
            state[name] = torch.full_like(tensor, 10)
    networks = IntegerEntropy(state, TINY.groups)
    for index, context in enumerate(networks.contexts):
        rows = entering("limits", index, 20, largest=True)
        mean, raw = predicted(context, *rows)
        expected = plain_prediction(state, f"contexts.{index}", exact(torch.cat(rows[:3], 1)), rows[3].tolist())
        assert (exact(mean) == expected[0]).all()
        assert (exact(raw) == expected[1]).all()


def plain_spread(rows: Exact, height: int, width: int) -> Exact:
    """Pixel shuffle: channel 4 c + 2 i + j of a position is channel c of its piece in row i and column j."""
    out = np.zeros((4 * height * width, rows.shape[1] // 4), dtype=object)
    for y in range(2 * height):
        for x in range(2 * width):
            source = rows[(y // 2) * width + x // 2]
            out[y * 2 * width + x] = source[2 * (y % 2) + x % 2 :: 4]
    return out


def test_the_hyperprior_is_what_python_s_whole_numbers_give() -> None:
    state, (height, width) = tiny_state(), (2, 3)
    z = torch.from_numpy(numbers("z", height * width, TINY.hyper) >> 4).double()
    rows = plain_spread(leaked(plain_layer(state, "h_s.0", exact(z) * 2**10)), height, width)
    expected = plain_spread(leaked(plain_layer(state, "h_s.1", rows)), 2 * height, 2 * width)
    # Oracle: the same in Python's whole numbers, with the pixel shuffle written position by position.
    assert (exact(tiny_entropy().prior(z, height, width)) == expected).all()


def test_threads_batches_order_and_memory_layout_change_no_bit() -> None:
    networks = tiny_entropy()
    before = torch.get_num_threads()
    for index, context in enumerate(networks.contexts):
        rows = entering("batch", index, 2000)
        whole = predicted(context, *rows)
        try:
            torch.set_num_threads(4)
            assert all(torch.equal(a, b) for a, b in zip(predicted(context, *rows), whole, strict=True))
        finally:
            torch.set_num_threads(before)
        order = torch.from_numpy(np.random.default_rng(index).permutation(2000))
        permuted = predicted(context, *(part[order] for part in rows))
        turned = predicted(context, *(part.T.contiguous().T for part in rows[:3]), rows[3])
        pieces = [predicted(context, *(part[a:b] for part in rows)) for a, b in ((0, 1), (1, 900), (900, 2000))]
        for kind in (0, 1):
            assert torch.equal(permuted[kind], whole[kind][order])
            assert torch.equal(turned[kind], whole[kind])
            assert torch.equal(torch.cat([piece[kind] for piece in pieces]), whole[kind])
            for row in range(5):
                alone = predicted(context, *(part[row : row + 1] for part in rows))
                assert torch.equal(alone[kind], whole[kind][row : row + 1])


def digest(*tensors: torch.Tensor) -> str:
    numbers_ = [tensor.to(torch.int64).numpy().astype("<i8").tobytes() for tensor in tensors]
    return hashlib.sha256(b"".join(numbers_)).hexdigest()[:32]


def test_fixed_networks_give_fixed_numbers() -> None:
    # Golden hashes over means and scale indexes: whole numbers in, whole numbers out, the same on any machine.
    # A change here is a change of the format.
    networks = tiny_entropy()
    found = [digest(networks.prior(torch.from_numpy(numbers("golden z", 6, TINY.hyper) >> 12).double(), 2, 3))]
    found += [digest(*predicted(c, *entering("golden", index, 200))) for index, c in enumerate(networks.contexts)]
    assert found == GOLDEN


GOLDEN = [
    "c659115a62d88c5b674626b177534c62",
    "eccd8ecdba268c430574f849dd7ee32d",
    "657391eb98a259cdd901784a95d137a3",
    "638356bba083f0b32ad581728b480520",
]


def test_whole_numbers_come_near_the_floating_point_networks() -> None:
    model = tiny_model()
    networks = IntegerEntropy(IntegerEntropy.state_of(model.entropy), TINY.groups)
    z = torch.from_numpy(numbers("float z", 20, TINY.hyper) >> 12).double()
    prior = networks.prior(z, 4, 5) / 2**10
    with torch.no_grad():
        dense = model.entropy.h_s(z.float().T.reshape(1, TINY.hyper, 4, 5))[0].flatten(1).T
    # Each of the two layers rounds weights of 15 bits and activations to 2^-10.
    assert float((prior - dense).abs().max()) < 0.005 + 0.001 * float(dense.abs().max())
    for index, (module, whole) in enumerate(zip(model.entropy.contexts, networks.contexts, strict=True)):
        context = expect(module, GroupContext)
        prior_rows, earlier, near, steps = entering("float", index, 500)
        rows = torch.cat([prior_rows / 2**10, earlier / 2**10, near / 2**12], 1).float()
        mean, scale_indexes = predicted(whole, prior_rows, earlier, near // 4, steps)
        weight = [context.prior, *([context.earlier] if context.earlier else []), context.near]
        with torch.no_grad():
            entered = rows @ torch.cat([part.weight[:, :, 0, 0] for part in weight], 1).T
            entered += context.prior.get_parameter("bias")
            entered += context.quality((steps / 255)[None, None, None].float())[0, :, 0].T
            out = rest(context, entered)
        expected = out[0] * context.unit
        # 2/64 of what a mean is a multiple of, and what 15 bits of a weight can tell.
        assert bool(((mean / 64 - expected).abs() < 2 / 64 + 0.005 * expected.abs()).all())
        nearest = scale_index(positive_scale(out[1]))
        difference = (scale_indexes - nearest).abs()
        assert int(difference.max()) <= 1
        assert float((difference == 0).float().mean()) > 0.97
        assert len(nearest.unique()) > 10


def rest(context: GroupContext, entered: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What follows on the sum that enters, in floating point: means in their units, and what scales come from."""
    mixed = context.mix(torch.nn.functional.leaky_relu(entered, 0.125)[:, :, None, None])
    mean, raw = context.out(torch.nn.functional.leaky_relu(mixed, 0.125))[:, :, 0, 0].chunk(2, 1)
    return mean, raw


def test_the_state_of_networks_loaded_from_a_state_is_that_state() -> None:
    model, other = tiny_model(), tiny_model(seed=1)
    first = IntegerEntropy.state_of(model.entropy)
    IntegerEntropy(first, TINY.groups).load_into(other.entropy)
    second = IntegerEntropy.state_of(other.entropy)
    assert second.keys() == first.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] in ([], ["z_index"])
    # Between the anchors the prior's scales are interpolated from what was rounded before.
    assert int((first["z_index"].int() - second["z_index"].int()).abs().max()) <= 1
    IntegerEntropy(second, TINY.groups).load_into(model.entropy)
    third = IntegerEntropy.state_of(model.entropy)
    assert [name for name in second if not torch.equal(second[name], third[name])] == []


def test_a_state_lies_in_small_whole_numbers_and_its_borders_are_those_of_the_scales() -> None:
    state = IntegerEntropy.state_of(tiny_model().entropy)
    assert not any(tensor.is_floating_point() for tensor in state.values())
    assert state["contexts.1.enter.weight"].dtype == torch.int16
    assert state["z_index"].dtype == torch.uint8
    scales = positive_scale(state["thresholds"].double() / 2**16)
    assert scales.numpy() == pytest.approx(SCALE_BORDERS, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("z_index", torch.zeros(255, 6, dtype=torch.uint8)),
        ("z_index", torch.zeros(STEPS, dtype=torch.uint8)),
        ("z_index", torch.full((STEPS, 6), 64)),
        ("z_index", torch.full((STEPS, 6), -1)),
        ("z_index", torch.zeros(STEPS, 5, dtype=torch.uint8)),
        ("z_index", torch.zeros(STEPS, 0, dtype=torch.uint8)),
        ("thresholds", torch.arange(62)),
        ("thresholds", -torch.arange(63)),
        # Differences of bytes wrap around: 0 - 255 is 1.
        ("thresholds", torch.tensor([255, 0] * 31 + [255], dtype=torch.uint8)),
        ("h_s.0.weight", torch.zeros(508, 6, dtype=torch.int16)),
        ("h_s.1.weight", torch.zeros(17, 128, dtype=torch.int16)),
        ("h_s.1.shift", torch.tensor([2**40])),
        ("h_s.1.shift", torch.tensor([-1])),
        ("h_s.1.shift", torch.tensor([1, 2])),
        ("h_s.1.bias", torch.full((16,), 2**51)),
        ("contexts.0.enter.weight", torch.zeros(4, 13)),
        ("contexts.0.enter.weight", torch.full((4, 14), 2**15)),
        ("contexts.1.mix.weight", torch.zeros(6, 5)),
        ("contexts.1.out.weight", torch.zeros(5, 6)),
        ("contexts.2.out.bias", torch.zeros(7)),
        ("contexts.2.unit", torch.full((4,), 11)),
        ("contexts.2.unit", torch.zeros(3)),
        ("contexts.2.earlier_unit", torch.zeros(4)),
        ("contexts.0.earlier_unit", torch.zeros(1)),
        ("contexts.1.quality", torch.full((3, 6), 2**41)),
        ("contexts.1.quality", torch.zeros(1, 6)),
        ("contexts.1.quality", torch.zeros(4, 6)),
        ("contexts.1.quality", torch.zeros(3, 5)),
        ("contexts.1.quality", torch.zeros(3)),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(name: str, value: torch.Tensor) -> None:
    state = tiny_state()
    assert name in state
    if name == "h_s.1.weight":
        state["h_s.1.bias"] = torch.zeros(17)
    with pytest.raises((ValueError, RuntimeError)):
        IntegerEntropy(state | {name: value}, TINY.groups)


@pytest.mark.parametrize("name", sorted(tiny_state()))
def test_a_missing_number_is_refused(name: str) -> None:
    state = tiny_state()
    del state[name]
    with pytest.raises(KeyError):
        IntegerEntropy(state, TINY.groups)


def test_groups_are_checked_and_widths_read_off_the_numbers() -> None:
    assert tiny_entropy().widths == (TINY.hidden, TINY.hyper, TINY.prior, 128, TINY.gain_steps)
    for groups in ((2, 3), (3, 2, 4), (2, 3, 4, 5)):
        with pytest.raises((ValueError, KeyError)):
            IntegerEntropy(tiny_state(), groups)
