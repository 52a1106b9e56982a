from __future__ import annotations

import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_lucid import cosine_model, cosine_weights, photograph, some_map, tiny_model, tiny_weights

from miscomp import images
from miscomp.codecs import blocks, container, lucid
from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.quality_map import FloatArray
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels


@pytest.fixture(scope="module")
def codec() -> Lucid:
    return Lucid(tiny_weights())


@pytest.mark.parametrize("with_map", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (130, 1), (63, 65), (64, 64), (200, 131)])
def test_a_picture_of_any_size_comes_back_as_the_encoder_reconstructed_it(
    codec: Lucid, size: tuple[int, int], with_map: bool
) -> None:
    x = photograph(*size)
    content = codec.compress(x, 0.5, quality_map=some_map(*size) if with_map else None, pixel_checksum=True)
    x_hat = codec.decompress(content)
    assert x_hat.shape == x.shape
    # Oracle: the checksum of the picture that the encoder itself decoded from its own latents.
    assert container.unpack(content).pixels_crc32 == zlib.crc32(x_hat.data)


def test_a_good_transform_codes_well() -> None:
    x = photograph(130, 200)
    x_hat = Lucid(cosine_weights()).decompress(Lucid(cosine_weights()).compress(x, 0.9))
    # The noise of 5 levels cannot be kept by 8 of 256 cosines: what remains is at about 34 dB.
    assert 32 < psnr_pixels(x, x_hat) < 36


def test_the_same_picture_gives_the_same_bytes_and_the_codec_keeps_nothing(codec: Lucid) -> None:
    x = photograph(70, 90)
    first = codec.compress(x, 0.4)
    codec.decompress(codec.compress(photograph(64, 64), 0.9, quality_map=some_map(64, 64)))
    assert codec.compress(x, 0.4) == first
    assert Lucid.from_model(tiny_model()).compress(x, 0.4) == first
    assert np.array_equal(codec.decompress(first), codec.decompress(first))


def test_qualities_are_rounded_to_the_step_that_the_stream_names(codec: Lucid) -> None:
    x = photograph(64, 64)
    assert codec.compress(x, 0.5) == codec.compress(x, 128 / 255)
    assert container.unpack(codec.compress(x, 1.0)).quality == b"\xff"
    for quality in (-0.1, 1.01, float("nan")):
        with pytest.raises(UsageError, match="quality"):
            codec.compress(x, quality)


def test_a_stream_costs_little_beside_its_payload(codec: Lucid) -> None:
    content = codec.compress(photograph(64, 64), 0.5)
    assert len(content) - len(container.unpack(content).payloads[0]) <= 40


def test_tiles_cover_the_latents_once_in_whole_hyper_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lucid, "TILE", 128)
    for rows, columns, count in [(4, 4, 1), (8, 12, 2), (20, 40, 15), (36, 4, 5)]:
        covered = np.zeros((rows, columns), int)
        tiles = list(lucid._tiles(rows, columns))
        for tile in tiles:
            covered[tile.rows, tile.columns] += 1
            assert covered[tile.rows, tile.columns].size <= 8 * 8
            assert tile.rows.start % 4 == tile.columns.start % 4 == 0
            assert covered[tile.rows, tile.columns].shape[0] % 4 == 0
        assert bool((covered == 1).all())
        # Oracle: as few as possible.
        assert len(tiles) == count == -(-rows // 8) * -(-columns // 8)


def test_a_large_picture_is_coded_in_tiles_without_seams(codec: Lucid, monkeypatch: pytest.MonkeyPatch) -> None:
    x, offsets = photograph(200, 300), some_map(200, 300)
    whole = codec.compress(x, 0.5, quality_map=offsets)
    monkeypatch.setattr(lucid, "TILE", 128)
    content = codec.compress(x, 0.5, quality_map=offsets, pixel_checksum=True)
    stream = container.unpack(content)
    assert len(stream.payloads) == 2 * 3
    in_tiles = codec.decompress(content)
    assert zlib.crc32(in_tiles.data) == stream.pixels_crc32
    monkeypatch.undo()
    with pytest.raises(StreamError, match="6 payloads for 1 tiles"):
        codec.decompress(content)
    # Oracle: the picture in one tile. Latents at a cut are predicted otherwise, so they may round otherwise,
    # by half a step each; the mean difference between pixels is that of two quantisations.
    difference = np.abs(in_tiles.astype(int) - codec.decompress(whole)).mean((1, 2))
    assert difference.max() < 8 * max(difference.mean(), 0.1)


def test_bytes_and_pixels_do_not_depend_on_workers_and_threads(codec: Lucid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lucid, "TILE", 128)
    monkeypatch.setattr(blocks, "_MOST", 8)
    x, before, made = photograph(200, 300), torch.get_num_threads(), []
    try:
        for workers, threads in ((1, 1), (2, 1), (2, 4), (5, 2)):
            monkeypatch.setattr(blocks, "workers", lambda workers=workers: workers)
            torch.set_num_threads(threads)
            content = codec.compress(x, 0.7, quality_map=some_map(200, 300))
            made.append((content, codec.decompress(content).tobytes(), codec.estimate_bits(x, 0.7)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert made[1:] == made[:-1]


def test_several_threads_at_once_give_the_same_and_leave_torch_s_threads_alone(codec: Lucid) -> None:
    x, before = photograph(130, 140), torch.get_num_threads()
    expected, counts = codec.compress(x, 0.6), []

    def work() -> None:
        content = codec.compress(x, 0.6)
        codec.decompress(content)
        counts.append((content == expected, torch.get_num_threads()))

    try:
        torch.set_num_threads(3)
        for _ in range(3):
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        late = threading.Thread(target=lambda: counts.append((True, torch.get_num_threads())))
        late.start()
        late.join()
        assert counts == [(True, 3)] * 13
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_coding_leaves_generators_and_gradients_alone() -> None:
    model = tiny_model()
    state = torch.random.get_rng_state()
    other = Lucid.from_model(model)
    other.decompress(other.compress(photograph(64, 64), 0.5))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.is_grad_enabled()
    assert all(weight.requires_grad and weight.dtype == torch.float32 for weight in model.parameters())


@pytest.mark.parametrize("quality", [0.0, 0.3, 0.7, 1.0])
def test_the_estimate_is_what_the_payloads_have(codec: Lucid, quality: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = photograph(200, 260)
    for one in (codec, Lucid(cosine_weights())):
        offsets = some_map(200, 260)
        content = one.compress(x, quality, quality_map=offsets)
        real = 8 * sum(len(payload) for payload in container.unpack(content).payloads)
        # Oracle: the bytes. They hold the number of groups, and the coder's end.
        assert one.estimate_bits(x, quality, quality_map=offsets) == pytest.approx(real, rel=0.01, abs=100)


def test_more_quality_costs_more_bytes_and_gives_a_closer_picture() -> None:
    x = photograph(128, 192)
    contents = [Lucid(cosine_weights()).compress(x, quality) for quality in (0.0, 0.25, 0.5, 0.75, 1.0)]
    closeness = [psnr_pixels(x, Lucid(cosine_weights()).decompress(content)) for content in contents]
    assert sorted(map(len, contents)) == list(map(len, contents))
    assert sorted(closeness) == closeness
    assert len(contents[-1]) > 3 * len(contents[0])


def test_local_quality_follows_the_map() -> None:
    x, inside = photograph(192, 256, noise=0), np.zeros((12, 16), bool)
    inside[3:9, 5:11] = True
    pixels = np.kron(inside, np.ones((16, 16), bool))
    errors, lengths, maps = [], [], []
    for offset in (-0.3, 0.0, 0.3):
        content = Lucid(cosine_weights()).compress(x, 0.3, quality_map=np.where(inside, offset, 0.0))
        error = (x.astype(float) - Lucid(cosine_weights()).decompress(content)) ** 2
        errors.append((error[pixels].mean(), error[~pixels].mean()))
        lengths.append(len(content))
        maps.append(container.unpack(content).quality_map)
    assert errors[0][0] > 1.15 * errors[1][0] > 1.15**2 * errors[2][0]
    # The synthesis sees a little beyond a block, so that the rest changes a little.
    assert errors[0][1] == pytest.approx(errors[1][1], rel=0.03)
    assert errors[2][1] == pytest.approx(errors[1][1], rel=0.03)
    assert lengths[0] < lengths[1] < lengths[2]
    assert maps[1] is None
    assert 0 < len(maps[0] or b"") < 30


def test_a_map_of_one_value_is_that_quality_and_one_of_zeros_costs_nothing(codec: Lucid) -> None:
    x = photograph(80, 100)
    zeros, higher = np.zeros((5, 7)), np.full((5, 7), 40 * 4 / 255)
    assert codec.compress(x, 0.2, quality_map=zeros) == codec.compress(x, 0.2)
    shifted, plain = codec.compress(x, 51 / 255, quality_map=higher), codec.compress(x, 211 / 255)
    assert container.unpack(shifted).payloads == container.unpack(plain).payloads
    assert np.array_equal(codec.decompress(shifted), codec.decompress(plain))


@pytest.mark.parametrize("offsets", [np.zeros((4, 5)), np.full((4, 4), 1.2), np.full((4, 4), np.nan)])
def test_a_map_that_does_not_fit_is_refused(codec: Lucid, offsets: FloatArray) -> None:
    for call in (codec.compress, codec.estimate_bits):
        with pytest.raises(UsageError, match="quality map"):
            call(photograph(64, 64), 0.5, quality_map=offsets)


def test_a_grey_picture_needs_no_group_at_all() -> None:
    model = cosine_model()
    with torch.no_grad():
        model.g_a.out.weight.zero_()
    codec, x = Lucid.from_model(model), np.full((70, 70, 3), 128, np.uint8)
    # Half a level from 0.5: rounds to 0 at this quality.
    content = codec.compress(x, 0.0, pixel_checksum=True)
    assert [payload[0] for payload in container.unpack(content).payloads] == [0]
    assert np.abs(codec.decompress(content).astype(int) - 128).max() < 12


def test_tiles_may_have_different_numbers_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lucid, "TILE", 128)
    x = photograph(64, 384)
    x[:, :192] = 128
    model = cosine_model()
    with torch.no_grad():
        model.g_a.out.weight.zero_()
    codec = Lucid.from_model(model)
    content = codec.compress(x, 0.3, pixel_checksum=True)
    groups = [payload[0] for payload in container.unpack(content).payloads]
    assert groups[0] < groups[-1]
    assert zlib.crc32(codec.decompress(content).data) == container.unpack(content).pixels_crc32


def test_a_picture_too_wide_or_of_another_kind_is_refused(codec: Lucid) -> None:
    with pytest.raises(UsageError, match="65537 x 1"):
        codec.compress(np.zeros((1, 65537, 3), np.uint8), 0.5)
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            codec.compress(bad, 0.5)  # type: ignore[arg-type]


def test_pixels_need_not_lie_in_one_piece(codec: Lucid) -> None:
    x = photograph(70, 90)
    assert codec.compress(x[:, ::-1], 0.5) == codec.compress(np.ascontiguousarray(x[:, ::-1]), 0.5)


def test_the_shipped_weights_give_more_for_more_bytes(data_folder: Path) -> None:
    codec = open_codec("lucid")
    x: Pixels = images.read(data_folder / "kodak" / "kodim23.png").pixels[100:356, 200:456]
    contents = [codec.compress(x, quality) for quality in (0.0, 0.25, 0.5, 0.75, 1.0)]
    closeness = [psnr_pixels(x, codec.decompress(content)) for content in contents]
    assert sorted(map(len, contents)) == list(map(len, contents))
    assert sorted(closeness) == closeness
    assert closeness[0] > 24
    assert 8 * len(contents[0]) / (x.size / 3) < 0.3 < 8 * len(contents[-1]) / (x.size / 3)
    assert container.unpack(contents[0]).format_id == CODECS["lucid"].format_id
