from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny_lucid import TINY, integer_frequencies, numbers, steps_of, tiny_entropy, tiny_model, values
from torch import Tensor

from miscomp.codecs.entropy import CodingTables, SymbolDecoder, SymbolEncoder
from miscomp.codecs.gaussian import scale_index
from miscomp.codecs.lucid_entropy import checkerboard
from miscomp.codecs.lucid_integer import IntegerEntropy
from miscomp.codecs.lucid_latents import LatentCoder

ALL = len(TINY.groups)


class Recorder:
    """Takes what would be coded, and gives it back."""

    def __init__(self) -> None:
        self.symbols: list[npt.NDArray[np.int32]] = []
        self.indexes: list[npt.NDArray[np.int64]] = []

    def code(self, symbols: npt.NDArray[np.int32], indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        self.symbols.append(symbols.copy())
        self.indexes.append(indexes.copy())
        return symbols


def latents(h: int = 8, w: int = 12, spread: float = 12) -> tuple[Tensor, Tensor]:
    """y and z as multiples of 2^-15 that no library had a hand in."""
    return spread * values("y", 1, TINY.latent, h, w), 5 * values("z", 1, TINY.hyper, h // 4, w // 4)


def tables() -> CodingTables:
    return CodingTables(integer_frequencies())


@pytest.mark.parametrize("size", [(4, 4), (4, 20), (8, 12)])
@pytest.mark.parametrize("groups", range(ALL + 1))
def test_the_decoder_comes_to_the_encoder_s_latents(size: tuple[int, int], groups: int) -> None:
    y, z = latents(*size)
    coder, encoder, steps = LatentCoder(tiny_entropy()), SymbolEncoder(tables()), steps_of(*size)
    y_hat = coder.encode(y, z, steps, encoder, groups=groups)
    channels = sum(TINY.groups[:groups])
    assert y_hat.shape == (1, channels, *size)
    # Another object, made anew: nothing can have been kept.
    decoder = SymbolDecoder(tables(), encoder.finish())
    decoded = LatentCoder(tiny_entropy()).decode(decoder, steps, groups=groups)
    assert torch.equal(decoded, y_hat)
    assert decoder.crc == encoder.crc
    assert torch.equal(y_hat * 64, (y_hat * 64).round())


def test_latents_are_off_by_at_most_half_a_step_where_all_scales_are_coded() -> None:
    y, z = latents()
    y_hat = LatentCoder(tiny_entropy()).encode(y, z, steps_of(8, 12), Recorder(), groups=ALL)
    assert float((y_hat - y).abs().max()) <= 0.5


def test_another_map_decodes_to_other_latents() -> None:
    (y, z), steps = latents(), steps_of(8, 12)
    coder, encoder = LatentCoder(tiny_entropy()), SymbolEncoder(tables())
    y_hat = coder.encode(y, z, steps, encoder, groups=ALL)
    decoder = SymbolDecoder(tables(), encoder.finish())
    other = coder.decode(decoder, 255 - steps, groups=ALL)
    assert decoder.crc != encoder.crc
    assert not torch.equal(other, y_hat)


def test_groups_are_active_up_to_the_last_that_does_not_round_to_0() -> None:
    coder = LatentCoder(tiny_entropy())
    y = torch.full((1, TINY.latent, 4, 4), 0.49)
    assert coder.active_groups(y) == 0
    for channel, expected in ((0, 1), (1, 1), (2, 2), (4, 2), (5, 3), (8, 3)):
        one = y.clone()
        one[0, channel, 3, 1] = -0.5
        assert coder.active_groups(one) == expected


def test_latents_beyond_the_coder_s_range_are_clamped_on_both_sides() -> None:
    coder, encoder, steps = LatentCoder(tiny_entropy()), SymbolEncoder(tables()), steps_of(4, 4)
    y, z = torch.full((1, TINY.latent, 4, 4), 1e6), torch.full((1, TINY.hyper, 1, 1), -1e6)
    y[0, :, ::2] = -3e38
    y_hat = coder.encode(y, z, steps, encoder, groups=ALL)
    decoder = SymbolDecoder(tables(), encoder.finish())
    assert torch.equal(coder.decode(decoder, steps, groups=ALL), y_hat)
    assert decoder.crc == encoder.crc


def test_coding_takes_two_sequential_steps_a_group_and_one_for_the_prior() -> None:
    recorder = Recorder()
    LatentCoder(tiny_entropy()).encode(*latents(), steps_of(8, 12), recorder, groups=ALL)
    positions = [2 * 3, *(count for size in TINY.groups for count in (48 * size, 48 * size))]
    assert [len(symbols) for symbols in recorder.symbols] == [
        positions[0] * TINY.hyper,
        *positions[1:],
    ]


def grid_of(recorder: Recorder, group: int, which: list[npt.NDArray[np.int32]] | list[npt.NDArray[np.int64]]) -> Tensor:
    """What was coded of a group, (1, size, 8, 12)."""
    board = checkerboard(torch.zeros(8, 12))[0, 0].bool()
    out = torch.zeros(8, 12, TINY.groups[group], dtype=torch.float64)
    for part, where in ((1 + 2 * group, board), (2 + 2 * group, ~board)):
        out[where] = torch.from_numpy(which[part]).double().view(-1, TINY.groups[group])
    return out.permute(2, 0, 1)[None]


def test_the_coder_on_rows_predicts_what_the_networks_on_grids_do() -> None:
    networks = tiny_model().requires_grad_(False).entropy
    coder = LatentCoder(IntegerEntropy(IntegerEntropy.state_of(networks), TINY.groups))
    (y, z), steps, recorder = latents(), steps_of(8, 12), Recorder()
    y_hat = coder.encode(y, z, steps, recorder, groups=ALL)
    # Oracle: the dense convolutions over masked grids that training uses, given what was decoded.
    quality = torch.from_numpy(steps / 255.0).float()[None, None]
    prior, anchor = networks.h_s(z.round()), checkerboard(y)
    first, same = 0, []
    for group, (size, context) in enumerate(zip(TINY.groups, networks.contexts, strict=True)):
        part, earlier = y_hat[:, first : first + size], y_hat[:, :first] if first else None
        common = context.common(prior, quality, earlier)  # type: ignore[operator]
        (mean_a, scale_a), (mean_b, scale_b) = context(common, None), context(common, part * anchor)
        mean, scale = torch.lerp(mean_b, mean_a, anchor), torch.lerp(scale_b, scale_a, anchor)
        coded = part - grid_of(recorder, group, recorder.symbols)
        assert bool(((coded - mean).abs() < 2 / 64 + 0.005 * mean.abs()).all())
        difference = (grid_of(recorder, group, recorder.indexes) - scale_index(scale)).abs()
        assert int(difference.max()) <= 1
        same.append(float((difference == 0).double().mean()))
        first += size
    assert min(same) > 0.95
    # And the scales of z, from the mean quality of 4 x 4 positions.
    z_scale = networks.z_scale(torch.nn.functional.avg_pool2d(quality, 4))[0].flatten(1).T
    z_index = torch.from_numpy(recorder.indexes[0]).view(6, TINY.hyper)
    assert int((z_index - scale_index(z_scale)).abs().max()) <= 1


def test_threads_change_no_bit_of_a_stream() -> None:
    made, before = [], torch.get_num_threads()
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            y, z = latents(32, 32)
            encoder = SymbolEncoder(tables())
            LatentCoder(tiny_entropy()).encode(y, z, steps_of(32, 32), encoder, groups=ALL)
            made.append(encoder.finish())
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1]


def test_memory_layout_changes_no_bit_of_a_stream() -> None:
    (y, z), made = latents(), []
    for form in (torch.contiguous_format, torch.channels_last):
        encoder = SymbolEncoder(tables())
        given = y.contiguous(memory_format=form), z.contiguous(memory_format=form)
        LatentCoder(tiny_entropy()).encode(*given, steps_of(8, 12), encoder, groups=ALL)
        made.append(encoder.finish())
    assert made[0] == made[1]


def test_fixed_latents_have_fixed_bytes() -> None:
    # Golden bytes of a whole payload, from whole numbers alone: a change here is a change of the format.
    y, z = (
        torch.from_numpy(numbers("y", 1, TINY.latent, 8, 8) / 2**12),
        torch.from_numpy(numbers("z", 1, TINY.hyper, 2, 2) / 2**13),
    )
    encoder = SymbolEncoder(tables())
    LatentCoder(tiny_entropy()).encode(y.float(), z.float(), steps_of(8, 8), encoder, groups=ALL)
    content = encoder.finish()
    found = (len(content), hashlib.sha256(content).hexdigest()[:32], content[:16].hex(), encoder.crc)
    assert found == GOLDEN


GOLDEN = (376, "a49fbf3d2f00b34f9af8e338199373a4", "90b1a6548196f33b5115228915344500", 1230925675)
