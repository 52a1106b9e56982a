"""Published codecs' files: round trips, portability, damage. Networks are narrow, with weights by formula."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_published import CONTEXT_FREE, NAMES, tiny_codec, tiny_network, tiny_picture

from miscomp.codecs import container, published_weights
from miscomp.codecs.blockwise import blocks
from miscomp.codecs.catalog import CODECS, detect_codec, open_codec
from miscomp.codecs.checkpoints import checkpoints_of
from miscomp.codecs.entropy import CodingTables, SymbolDecoder
from miscomp.codecs.exact import UNIT
from miscomp.codecs.frequencies import shipped_gaussian
from miscomp.codecs.networks.base import Network
from miscomp.codecs.published import Published, _tiles
from miscomp.codecs.published_weights import _Memory
from miscomp.codecs.spec import CodecSpec, open_spec, parse_spec
from miscomp.codecs.weight_store import fetch
from miscomp.errors import StreamError, UsageError, WeightsError

QUALITY = 3


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def near(one: np.ndarray, two: np.ndarray, *, most: int) -> bool:
    return one.shape == two.shape and int(np.abs(one.astype(int) - two.astype(int)).max()) <= most


def parts(content: bytes) -> tuple[bytes, ...]:
    return container.unpack(content).payloads


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_the_picture_that_the_estimate_predicts(name: str) -> None:
    codec, network, pixels = tiny_codec(name), tiny_network(name), tiny_picture(64, 128)
    content = codec.compress(pixels, QUALITY)
    decoded = codec.decompress(content)
    assert detect_codec(content) == name
    assert decoded.shape == pixels.shape
    payload = sum(map(len, parts(content)))
    estimated = codec.estimate_bits(pixels, QUALITY)
    # The range coder ends in whole words of 4 bytes.
    assert 0 <= 8 * payload - estimated <= 96
    assert len(content) - payload <= (54 if network.seeded else 40)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        estimate = network(x)
    rounded = estimate.x_hat.clamp(0, 1).mul(255).round()[0].permute(1, 2, 0).numpy().astype(np.uint8)
    if name in CONTEXT_FREE:
        # Means are on a grid of 1/1024 in files, so that one latent in a thousand lies on the other side of a rounding.
        assert float(np.abs(decoded.astype(int) - rounded.astype(int)).mean()) < 0.5
        assert float(estimate.bits) == pytest.approx(estimated, rel=0.01)
    else:
        # The authors' estimate rounds latents to whole numbers, files round them around their means; and a latent far
        # off its mean, as by weights that no one trained, costs at most 24 bits in a file.
        assert float(estimate.bits) == pytest.approx(estimated, rel=0.2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (17, 31), (31, 17), (64, 65)])
def test_any_size_works(name: str, size: tuple[int, int]) -> None:
    pixels = tiny_picture(*size)
    codec = tiny_codec(name)
    content = codec.compress(pixels, QUALITY, pixel_checksum=True)
    assert codec.decompress(content).shape == pixels.shape


@pytest.mark.parametrize("name", NAMES)
def test_a_file_made_with_one_thread_decodes_with_two_and_in_another_memory_order(name: str) -> None:
    pixels = tiny_picture(96, 130)
    with threads(1):
        content = tiny_codec(name).compress(pixels, QUALITY)
        one = tiny_codec(name).decompress(content)
    reordered = copy.deepcopy(tiny_network(name))
    for weight in reordered.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    with threads(2):
        two = tiny_codec(name).decompress(content)
        # The hash is that of the numbers, whatever order they lie in.
        other = Published.of_network(name, reordered).decompress(content)
    assert near(one, two, most=1) and near(one, other, most=1)


@pytest.mark.parametrize("name", NAMES)
def test_latents_do_not_depend_on_the_synthesis_precision(name: str) -> None:
    content = tiny_codec(name).compress(tiny_picture(64, 96), QUALITY)
    coarse = tiny_codec(name).with_synthesis(torch.bfloat16).decompress(content)
    fine = tiny_codec(name).decompress(content)
    # Were a latent another, the checksum would have refused the file; pixels differ by bfloat16's 8 bits.
    assert float(np.abs(fine.astype(int) - coarse.astype(int)).mean()) < 4


@pytest.mark.parametrize("name", NAMES)
def test_a_file_made_in_a_batch_decodes_alone(name: str) -> None:
    pictures = [tiny_picture(70, 90), 255 - tiny_picture(70, 90), np.full((70, 90, 3), 7, np.uint8)]
    codec = tiny_codec(name)
    for pixels, content in zip(pictures, codec.compress_batch(pictures, QUALITY), strict=True):
        alone = codec.decompress(codec.compress(pixels, QUALITY))
        assert near(codec.decompress(content), alone, most=2)
    with pytest.raises(ValueError, match="one size"):
        codec.compress_batch([tiny_picture(70, 90), tiny_picture(90, 70)], QUALITY)


def test_weights_that_decode_to_other_latents_are_told_by_the_checksum() -> None:
    """The entropy model of the decoder is off by one unit in one number, as another machine's rounding could be."""
    codec = Published.of_network("mbt2018-mean", tiny_network("mbt2018-mean"))
    content = codec.compress(tiny_picture(64, 64), QUALITY)
    densities = codec._weights.at(QUALITY).coder._densities  # type: ignore[attr-defined]
    densities.medians = densities.medians.clone()
    densities.medians[0] += 1
    with pytest.raises(StreamError, match=r"latents decode to others than were coded: .*computes otherwise"):
        codec.decompress(content)


@pytest.mark.parametrize("name", NAMES)
def test_large_pictures_are_coded_in_tiles(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, pixels = tiny_codec(name), tiny_picture(192, 330)
    plain = codec.compress(pixels, QUALITY)
    whole = codec.decompress(plain)
    monkeypatch.setattr("miscomp.codecs.published.TILE", 128)
    content = codec.compress(pixels, QUALITY)
    assert len(parts(content)) == len(list(_tiles(tiny_network(name), 12, 24))) == 6
    tiled = codec.decompress(content)
    if name == "bmshj2018-factorized":
        assert near(tiled, whole, most=1)
    # Tiles change what a latent is rounded around, by less than a step of the quantiser, and cost a little.
    assert float(np.abs(tiled.astype(int) - whole.astype(int)).mean()) < 20
    assert sum(map(len, parts(content))) < 1.2 * sum(map(len, parts(plain)))


@pytest.mark.parametrize("name", [name for name in NAMES if not tiny_network(name).blended])
def test_blocks_of_the_transforms_come_out_as_the_whole(name: str) -> None:
    pixels = tiny_picture(512, 640)
    network = tiny_network(name)
    cut = copy.copy(network)
    cut.block = 20
    content = Published.of_network(name, network).compress(pixels, QUALITY)
    assert near(Published.of_network(name, cut).decompress(content), tiny_codec(name).decompress(content), most=1)
    assert float((_y(cut, pixels) - _y(network, pixels)).abs().max()) < 1e-4


def test_blocks_of_a_network_that_sees_the_whole_picture_fade_into_each_other() -> None:
    pixels = tiny_picture(512, 640)
    network = tiny_network("cdc")
    cut = copy.copy(network)
    cut.block = 20
    content = tiny_codec("cdc").compress(pixels, QUALITY)
    difference = Published.of_network("cdc", cut).decompress(content).astype(float) - tiny_codec("cdc").decompress(
        content
    )
    assert float(np.abs(difference).mean()) < 3
    # Across the borders of blocks (rows 192, 384 ...) it changes no faster than elsewhere.
    jumps = np.abs(np.diff(difference, axis=0)).mean((1, 2))
    borders = [block.rows.kept.start * 16 - 1 for block in blocks(32, 40, most=20, reach=8, align=2)]
    assert max(jumps[row] for row in borders if row > 0) < 1.5 * jumps.mean()


def _y(network: Network, pixels: np.ndarray) -> torch.Tensor:
    return Published.of_network("mbt2018", network)._analysed(
        Published.of_network("mbt2018", network)._weights.at(3), [pixels]
    )


def test_a_file_is_bound_to_its_codec_and_weights() -> None:
    content = tiny_codec("mbt2018-mean").compress(tiny_picture(20, 20), QUALITY)
    with pytest.raises(StreamError, match="format id 6, which is not that of mbt2018"):
        tiny_codec("mbt2018").decompress(content)
    other = copy.deepcopy(tiny_network("mbt2018-mean"))
    next(other.parameters()).data[0, 0, 0, 0] += 1
    with pytest.raises(StreamError, match=r"made with other weights \(\w{16}\) than these \(\w{16}\); decode it with"):
        Published.of_network("mbt2018-mean", other).decompress(content)


def test_a_broken_writer_is_told() -> None:
    codec = tiny_codec("bmshj2018-hyperprior")
    stream = container.unpack(codec.compress(tiny_picture(20, 20), QUALITY))
    for change, match in (
        ({"payloads": stream.payloads * 2}, "2 payloads for 1 tiles"),
        ({"quality": b""}, "parameters are not those"),
        ({"seed": 3}, "parameters are not those"),
        ({"quality_map": b"x"}, "parameters are not those"),
        ({"payloads": (stream.payloads[0][:-2],)}, "words of 4 bytes"),
        ({"latent_crc32": stream.latent_crc32 ^ 1}, "latents decode to others"),
        ({"width": 65537}, "at most 65536 a side"),
    ):
        with pytest.raises(StreamError, match=match):
            codec.decompress(container.pack(_with(stream, **change)))


def _with(stream: container.Stream, **change: object) -> container.Stream:
    fields = {name: getattr(stream, name) for name in container.Stream.__dataclass_fields__}
    return container.Stream(**{**fields, **change})


def test_pixels_that_differ_from_the_writers_are_told() -> None:
    codec = tiny_codec("mbt2018-mean")
    content = codec.compress(tiny_picture(40, 40), QUALITY, pixel_checksum=True)
    codec.decompress(content)
    stream = container.unpack(content)
    with pytest.raises(StreamError, match="its pixels decode to others"):
        codec.decompress(container.pack(_with(stream, pixels_crc32=(stream.pixels_crc32 or 0) ^ 1)))


def test_weights_that_overflow_are_refused() -> None:
    network = copy.deepcopy(tiny_network("bmshj2018-hyperprior"))
    network.get_parameter("g_a.6.weight").data.fill_(3e38)
    with pytest.raises(WeightsError, match="not finite"):
        Published.of_network("bmshj2018-hyperprior", network).compress(tiny_picture(20, 20), QUALITY)


def test_the_densities_tables_follow_the_likelihoods() -> None:
    network = tiny_network("bmshj2018-factorized")
    coder = network.entropy_bottleneck.coder()  # type: ignore[operator, union-attr]
    tables = CodingTables(shipped_gaussian(), coder.tables)
    pixels = tiny_picture(64, 64)
    codec = tiny_codec("bmshj2018-factorized")
    stream = container.unpack(codec.compress(pixels, QUALITY))
    source = SymbolDecoder(tables, stream.payloads[0])
    symbols = source.code(64 + np.repeat(np.arange(12), 16))
    values = torch.from_numpy(symbols).view(12, 16).double() + coder.medians[:, None] / UNIT
    crc = zlib.crc32(values.float().view(1, 12, 4, 4).numpy().tobytes())
    size = (64).to_bytes(4, "little") * 2
    assert zlib.crc32(size + crc.to_bytes(4, "little")) == stream.latent_crc32


def test_missing_weights_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"mbt2018@q4: .* not on this machine; .*miscomp weights fetch mbt2018@q4"):
        open_spec(parse_spec("mbt2018@q4"))
    with pytest.raises(
        WeightsError, match=r"mbt2018: a rate .* q1, q2, .*, q8 are not .*: miscomp weights fetch mbt2018 "
    ):
        open_spec(parse_spec("mbt2018@0.5bpp"))
    with pytest.raises(WeightsError, match=r"hific@q1: .*--from PATH"):
        open_spec(parse_spec("hific"))


def test_own_weights_are_named_by_their_file_and_found_by_their_hash(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth.tar"
    state = {f"module.{name}": tensor for name, tensor in tiny_network("mbt2018").state_dict().items()}
    torch.save({"state_dict": state, "model": "mbt2018", "metric": "mse", "quality": 3}, path)
    spec = parse_spec(f"mbt2018@file:{path}")
    codec = open_spec(spec)
    pixels = tiny_picture(33, 44)
    content = codec.compress(pixels, QUALITY)
    assert codec.decompress(content).shape == pixels.shape
    assert container.unpack(content).quality == b"\0"
    with pytest.raises(StreamError, match=r"weights of the user's own .*--weights FILE"):
        open_codec("mbt2018").decompress(content)
    with pytest.raises(WeightsError, match="says that it is of mbt2018, not of mbt2018-mean"):
        open_spec(CodecSpec("mbt2018-mean", file=str(path)))
    torch.save(tiny_network("cheng2020-anchor").state_dict(), path2 := tmp_path / "cheng.pth")
    with pytest.raises(WeightsError, match="does not hold weights of mbt2018: "):
        open_spec(CodecSpec("mbt2018", file=str(path2)))


def test_what_a_row_cannot_do_is_refused() -> None:
    codec = tiny_codec("cheng2020-anchor")
    for quality in (0, 7, 2.5):
        with pytest.raises(UsageError, match="a whole number from 1 to 6"):
            codec.compress(tiny_picture(8, 8), quality)
    with pytest.raises(ValueError, match="uint8"):
        codec.compress(np.zeros((4, 4), np.uint8), 3)
    assert CODECS["cheng2020-anchor"].format_id == 10


def test_cached_weights_are_checked_by_the_hash_that_they_had_when_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path / "cache"))
    (checkpoint, *_) = checkpoints_of("stf")
    given = tmp_path / "given.pth"
    torch.save({"state_dict": tiny_network("stf").state_dict()}, given)
    path = fetch(checkpoint, from_file=given)
    codec = open_spec(parse_spec("stf@q1"))
    codec.compress(tiny_picture(20, 20), 1)
    with path.open("ab") as file:
        file.write(b"!")
    with pytest.raises(WeightsError, match=r"has the SHA-256 \w{64}, that of the published file begins with"):
        open_spec(parse_spec("stf@q1"))


def test_a_changed_file_of_ones_own_is_read_anew_and_another_folders_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = []
    for folder, names in (("a", ("mbt2018", "mbt2018")), ("b", ("mbt2018",))):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        for number, name in enumerate(names):
            state = {
                key: tensor + number + ord(folder) / 1e3 for key, tensor in tiny_network(name).state_dict().items()
            }
            torch.save(state, "own.pth")
            codec = open_spec(parse_spec("mbt2018@file:own.pth"))
            hashes.append(codec.weights_sha256(QUALITY))  # type: ignore[attr-defined]
    assert len(set(hashes)) == 3


def test_only_what_fits_in_memory_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = _Memory()
    loaded = tiny_codec("mbt2018")._weights.at(QUALITY)
    for number in range(5):
        memory.put(number, loaded, published_weights._MOST_BYTES // 2)
    assert [memory.get(number) is not None for number in range(5)] == [False, False, False, True, True]
    memory.put(5, loaded, 9 * published_weights._MOST_BYTES)
    assert memory.get(5) is loaded and memory.get(4) is None


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("bmshj2018-factorized", "hific")])
def test_hyper_latents_that_overflow_are_refused(name: str) -> None:
    network = copy.deepcopy(tiny_network(name))
    pattern = {"cdc": "hyper_enc", "stf": "h_a"}.get(name, "h_a")
    weights = [weight for key, weight in network.named_parameters() if pattern in key and weight.ndim == 4]
    for weight in weights:
        weight.data.mul_(1e18)
    with pytest.raises(WeightsError, match="not finite"):
        Published.of_network(name, network).compress(tiny_picture(64, 64), QUALITY)


def test_payloads_that_end_early_or_go_on_are_refused() -> None:
    codec = tiny_codec("bmshj2018-factorized")
    stream = container.unpack(codec.compress(tiny_picture(128, 128), QUALITY))
    (payload,) = stream.payloads
    with pytest.raises(StreamError, match=r"damaged \(they end early"):
        codec.decompress(container.pack(_with(stream, payloads=(payload[: len(payload) // 8 * 4],))))
    with pytest.raises(StreamError, match="followed by foreign bytes"):
        codec.decompress(container.pack(_with(stream, payloads=(payload + bytes(4096),))))
    with pytest.raises(StreamError, match="its quality is 200"):
        codec.decompress(container.pack(_with(stream, quality=bytes((200,)))))


def test_steps_of_a_seeded_codec_are_bounded_and_its_seed_decides_the_picture() -> None:
    codec, pixels = tiny_codec("cdc"), tiny_picture(64, 64)
    files = [codec.with_seed(seed).compress(pixels, QUALITY) for seed in (1, 1, 2)]
    assert files[0] == files[1] and container.unpack(files[2]).seed == 2
    decoded = [codec.decompress(content) for content in files]
    assert np.array_equal(decoded[0], decoded[1]) and not np.array_equal(decoded[0], decoded[2])
    stream = container.unpack(files[0])
    assert stream.quality[1:] == (3).to_bytes(2, "little")
    for steps in (0, 131, 65535):
        with pytest.raises(StreamError, match=f"asks for {steps} decoding steps; allowed are 1 to 130"):
            codec.decompress(container.pack(_with(stream, quality=stream.quality[:1] + steps.to_bytes(2, "little"))))
    fewer = container.pack(_with(stream, quality=stream.quality[:1] + (1).to_bytes(2, "little")))
    assert not np.array_equal(codec.decompress(fewer), decoded[0])
    assert np.array_equal(codec.decompress(files[0]), decoded[0])


def test_what_a_file_was_trained_for_must_be_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": tiny_network("mbt2018").state_dict(), "metric": "ms-ssim"}, path)
    open_spec(CodecSpec("mbt2018-ms-ssim", file=str(path)))
    with pytest.raises(WeightsError, match="trained for ms-ssim; mbt2018 is trained for mse"):
        open_spec(CodecSpec("mbt2018", file=str(path)))
