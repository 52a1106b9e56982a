from __future__ import annotations

import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from miscomp import images
from miscomp.codecs import container, lucid
from miscomp.codecs.base import Codec
from miscomp.codecs.catalog import open_codec
from miscomp.codecs.entropy import gaussian_bits
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_latents import LatentCoder
from miscomp.codecs.lucid_model import LucidConfig, LucidModel, checkerboard
from miscomp.codecs.lucid_weights import LucidWeights, read_weights, shipped_weights
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels

TINY = LucidConfig(stem=4, middle=6, head=4, latent=8, hyper=6, groups=(2, 6), prior=4, context=4, gain_steps=3)


def tiny_model(seed: int = 0) -> LucidModel:
    """Random weights whose latents are worth coding: several levels, several scales."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LucidModel(TINY)
        with torch.no_grad():
            dict(model.named_parameters())["g_a.7.weight"].mul_(20)
            dict(model.named_parameters())["h_a.2.weight"].mul_(10)
            for context in model.entropy.contexts:
                # Units other than 1, or a coder that forgot them would pass.
                for unit in context.buffers():
                    unit.copy_(torch.linspace(0.5, 3, unit.numel()).view_as(unit))
                # Scales near 0.8, that of the latents below.
                weights = dict(context.named_parameters())
                weights["fuse.2.bias"][len(weights["fuse.2.bias"]) // 2 :] += 2.7
    return model


@pytest.fixture(scope="module")
def codec() -> Lucid:
    return Lucid.from_model(tiny_model())


def photograph(height: int, width: int) -> Pixels:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(5).normal(0, 5, (height, width, 3))
    waves = 128 + 70 * np.sin(x / 9)[..., None] * [1, 0.5, -0.5] + 40 * np.cos(y / 7)[..., None] + noise
    pixels: Pixels = np.clip(waves, 0, 255).astype(np.uint8)
    return pixels


def repack(content: bytes, **changes: object) -> bytes:
    """A file with other fields and a right checksum, as a hostile writer would make it."""
    return container.pack(replace(container.unpack(content), **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (130, 1), (63, 65), (64, 64), (200, 130)])
def test_a_picture_of_any_size_comes_back_as_the_encoder_reconstructed_it(codec: Lucid, size: tuple[int, int]) -> None:
    x = photograph(*size)
    content = codec.compress(x, 0.5, pixel_checksum=True)
    x_hat = codec.decompress(content)
    assert x_hat.shape == x.shape
    # Oracle: the checksum of the picture that the encoder itself decoded from its own latents.
    assert container.unpack(content).pixels_crc32 == zlib.crc32(x_hat.data)


def test_the_same_picture_gives_the_same_bytes_and_the_codec_keeps_nothing(codec: Lucid) -> None:
    x = photograph(70, 90)
    first = codec.compress(x, 0.4)
    codec.decompress(codec.compress(photograph(64, 64), 0.9))
    assert codec.compress(x, 0.4) == first
    assert Lucid.from_model(tiny_model()).compress(x, 0.4) == first
    assert codec.decompress(first).tolist() == codec.decompress(first).tolist()


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


def test_tiles_cover_the_picture_once_and_only_the_last_are_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lucid, "TILE", 128)
    for height, width in [(1, 1), (128, 129), (300, 640), (257, 64)]:
        covered = np.zeros((height, width), int)
        for tile in lucid._tiles(height, width):
            covered[tile.rows, tile.columns] += 1
            assert max(tile.padded) <= 128
            assert tile.rows.start % 64 == tile.columns.start % 64 == 0
        assert bool((covered == 1).all())


def test_a_large_picture_is_coded_as_independent_tiles(codec: Lucid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lucid, "TILE", 128)
    x = photograph(200, 300)
    content = codec.compress(x, 0.5, pixel_checksum=True)
    stream = container.unpack(content)
    assert len(stream.payloads) == 2 * 3
    x_hat = codec.decompress(content)
    assert zlib.crc32(x_hat.data) == stream.pixels_crc32
    # Oracle: the first tile, coded as a picture by itself, has the same payload and pixels.
    alone = codec.compress(x[:128, :128], 0.5)
    assert container.unpack(alone).payloads[0] == stream.payloads[0]
    assert np.array_equal(codec.decompress(alone), x_hat[:128, :128])


def predict(model: LucidModel, y: Tensor, z: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    """y_hat and bits by the networks as training runs them, dense and masked, with rounding in place of noise."""
    networks = model.entropy
    z_hat = z.round()
    bits = gaussian_bits(z_hat, networks.z_scale(quality).expand_as(z)).sum()
    prior, anchor = networks.h_s(z_hat), checkerboard(y)
    done: list[Tensor] = []
    for part, context in zip(torch.split(y, list(model.config.groups), 1), networks.contexts, strict=True):
        earlier = torch.cat(done, 1) if done else None
        mean, scale = context(prior, earlier, torch.zeros_like(part))
        anchors = ((part - mean).round() + mean) * anchor
        mean_b, scale_b = context(prior, earlier, anchors)
        mean, scale = torch.lerp(mean_b, mean, anchor), torch.lerp(scale_b, scale, anchor)
        bits = bits + gaussian_bits((part - mean).round(), scale).sum()
        done.append((part - mean).round() + mean)
    return torch.cat(done, 1), bits


def test_the_coder_on_rows_computes_what_the_networks_compute_on_grids() -> None:
    model = tiny_model().double().requires_grad_(False)
    rng = torch.Generator().manual_seed(1)
    y = 0.8 * torch.randn(1, 8, 16, 24, generator=rng, dtype=torch.float64)
    z = 2 * torch.randn(1, 6, 4, 6, generator=rng, dtype=torch.float64)
    coder = LatentCoder(model.entropy)
    payload, crc, y_hat = coder.encode(y, z, 0.3, 0)
    # Oracle: the dense convolutions over masked grids that training uses.
    expected, bits = predict(model, y, z, torch.tensor([0.3], dtype=torch.float64))
    assert torch.allclose(y_hat, expected, atol=1e-9)
    assert 8 * len(payload) == pytest.approx(float(bits), rel=0.02)
    decoded, decoded_crc = coder.decode(payload, (16, 24), 0.3, 0)
    assert torch.equal(decoded, y_hat)
    assert decoded_crc == crc


def test_latents_beyond_the_coder_s_range_are_clamped_on_both_sides() -> None:
    coder = LatentCoder(tiny_model().entropy)
    y, z = torch.full((1, 8, 4, 4), 1e6), torch.full((1, 6, 1, 1), -1e6)
    payload, crc, y_hat = coder.encode(y, z, 0.5, 0)
    decoded, decoded_crc = coder.decode(payload, (4, 4), 0.5, 0)
    assert torch.equal(decoded, y_hat)
    assert decoded_crc == crc


def test_two_thread_counts_decode_alike(codec: Lucid) -> None:
    content = codec.compress(photograph(128, 192), 0.7)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = codec.decompress(content)
        torch.set_num_threads(2)
        two = codec.decompress(content)
    finally:
        torch.set_num_threads(before)
    # Transforms may round otherwise; the latents, under their checksum, may not.
    assert int(np.abs(one.astype(int) - two).max()) <= 1


def test_coding_leaves_generators_threads_and_gradients_alone(codec: Lucid) -> None:
    model = tiny_model()
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    other = Lucid.from_model(model)
    other.decompress(other.compress(photograph(64, 64), 0.5))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert all(weight.requires_grad and weight.dtype == torch.float32 for weight in model.parameters())


def test_a_stream_of_other_weights_names_both(codec: Lucid) -> None:
    other = Lucid.from_model(tiny_model(seed=1))
    content = other.compress(photograph(64, 64), 0.5)
    with pytest.raises(StreamError, match=f"{other.weights_sha256[:16]}.*{codec.weights_sha256[:16]}.*no promise"):
        codec.decompress(content)


def test_a_wrong_checksum_over_the_latents_gives_no_picture(codec: Lucid) -> None:
    content = codec.compress(photograph(64, 64), 0.5)
    with pytest.raises(StreamError, match="latents decode to others"):
        codec.decompress(repack(content, latent_crc32=container.unpack(content).latent_crc32 ^ 1))


def test_pixels_that_the_writer_did_not_vouch_for_give_no_picture(codec: Lucid) -> None:
    content = codec.compress(photograph(64, 64), 0.5, pixel_checksum=True)
    with pytest.raises(StreamError, match="pixels decode to others"):
        codec.decompress(repack(content, pixels_crc32=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_id": 9}, "format id 9"),
        ({"quality": b""}, "parameters"),
        ({"quality": b"\x01\x02"}, "parameters"),
        ({"seed": 3}, "parameters"),
        ({"payloads": (b"", b"")}, "2 payloads for 1 tiles"),
        ({"width": 5000}, "1 payloads for 3 tiles"),
        ({"width": 65537, "height": 1}, "at most 65536 a side"),
        ({"width": 30_000, "height": 30_000}, "limit is 200 megapixels"),
        ({"payloads": (b"abc",)}, "words of 4 bytes"),
        ({"payloads": (b"",)}, "damaged|latents decode to others"),
        ({"payloads": (b"\xff" * 64,)}, "damaged|latents decode to others"),
    ],
)
def test_a_hostile_stream_is_an_error_that_says_why(codec: Lucid, changes: dict[str, object], message: str) -> None:
    content = codec.compress(photograph(64, 64), 0.5)
    with pytest.raises(StreamError, match=message):
        codec.decompress(repack(content, **changes))


def test_random_payloads_never_give_a_picture(codec: Lucid) -> None:
    content = codec.compress(photograph(64, 64), 0.5)
    rng = np.random.default_rng(0)
    for size in range(0, 160, 8):
        with pytest.raises(StreamError):
            codec.decompress(repack(content, payloads=(rng.bytes(size),)))


def test_every_flipped_byte_and_every_cut_is_an_error(codec: Lucid) -> None:
    content = codec.compress(photograph(16, 16), 0.5)
    for at in range(len(content)):
        damaged = content[:at] + bytes((content[at] ^ 0x20,)) + content[at + 1 :]
        for bad in (damaged, content[:at]):
            with pytest.raises(StreamError):
                codec.decompress(bad)


def test_a_picture_too_wide_or_of_another_kind_is_refused(codec: Lucid) -> None:
    with pytest.raises(UsageError, match="65537 x 1"):
        codec.compress(np.zeros((1, 65537, 3), np.uint8), 0.5)
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            codec.compress(bad, 0.5)  # type: ignore[arg-type]


def test_bytes_and_pixels_do_not_depend_on_the_number_of_threads() -> None:
    x = photograph(400, 520)
    codec, before, made = Lucid(), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            content = codec.compress(x, 0.7)
            made.append((content, codec.decompress(content).tobytes()))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1] == made[2]


def shipped() -> Codec:
    return open_codec("lucid")


def kodak(name: str) -> Pixels:
    root = os.environ.get("MISCOMP_DATA")
    if not root:
        pytest.skip("MISCOMP_DATA is not set")
    return images.read(Path(root) / "kodak" / f"{name}.png").pixels


def test_more_quality_costs_more_bytes_and_gives_a_closer_picture() -> None:
    x = kodak("kodim23")[100:356, 200:456]
    contents = [shipped().compress(x, quality) for quality in (0.0, 0.25, 0.5, 0.75, 1.0)]
    closeness = [psnr_pixels(x, shipped().decompress(content)) for content in contents]
    assert sorted(map(len, contents)) == list(map(len, contents))
    assert sorted(closeness) == closeness
    assert closeness[0] > 24
    assert 8 * len(contents[0]) / (x.size / 3) < 0.3 < 8 * len(contents[-1]) / (x.size / 3)


@pytest.mark.parametrize("quality", [20 / 255, 0.6])
def test_real_bytes_are_what_the_networks_estimate(quality: float) -> None:
    x = kodak("kodim05")[:256, :384]
    weights: LucidWeights = read_weights(shipped_weights())
    model, step = weights.model, torch.tensor([quality])
    with torch.inference_mode():
        y = model.analyse(torch.from_numpy(x / np.float32(255)).permute(2, 0, 1)[None]) * model.gain(step)
        _, bits = predict(model, y, model.summarise(y), step)
    # Oracle: -log2 of the Gaussians' mass, before the table of scales, the coder and the container.
    assert 8 * len(Lucid(weights).compress(x, quality)) == pytest.approx(float(bits), rel=0.03)
