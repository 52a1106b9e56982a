"""Pairs and matching. Oracles: the codecs' own round trip, sizes of the files on disk, the documented rules."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miscomp.codecs import container
from miscomp.codecs.catalog import open_codec
from miscomp.codecs.spec import CodecSpec, parse_spec
from miscomp.errors import ImageError, SizeMismatch, StreamError, UnknownName, UsageError
from miscomp.images import Picture, Pixels, read, write_png
from miscomp.pairs import coded_pair, given_pair, hash_file, match_files


def scene(width: int = 64, height: int = 48, *, seed: int = 0) -> Pixels:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    pixels: Pixels = np.clip(2 * x[..., None] + y[..., None] + noise, 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture
def original(tmp_path: Path) -> Picture:
    path = tmp_path / "photo.png"
    write_png(path, scene())
    return read(path)


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]


@pytest.mark.parametrize("text", ["jpeg@q30", "webp@2bpp"])
def test_a_coded_pair_is_what_its_stream_decodes_to_at_the_stream_s_rate(original: Picture, text: str) -> None:
    pair = coded_pair(original, parse_spec(text))
    assert np.array_equal(pair.reconstruction, open_codec(text.split("@")[0]).decompress(pair.stream))
    assert pair.bpp == 8 * len(pair.stream) / (64 * 48)
    assert (pair.model, pair.suffix) == (text, {"jpeg": ".jpg", "webp": ".webp"}[text.split("@")[0]])
    assert not pair.reconstruction.flags.writeable


def test_a_rate_out_of_reach_is_a_warning(original: Picture) -> None:
    (warning,) = coded_pair(original, parse_spec("jpeg@0.01bpp")).warnings
    assert "0.01 bpp cannot be reached" in warning
    assert coded_pair(original, CodecSpec("jpeg", like="webp"), like_bpp=2.0).model == "jpeg@like:webp"


def test_sizes_that_differ_are_both_named(original: Picture, tmp_path: Path) -> None:
    write_png(tmp_path / "small.png", scene(63, 48))
    with pytest.raises(SizeMismatch, match=r"photo\.png: the original has 64 x 48 .* \(given\) 63 x 48"):
        given_pair(original, tmp_path / "small.png")


@pytest.mark.parametrize(
    ("suffix", "lossless", "known"),
    [(".jpg", False, True), (".png", True, False), (".webp", True, False), (".webp", False, False)],
)
def test_of_given_pictures_only_a_jpeg_tells_its_rate(
    original: Picture, tmp_path: Path, suffix: str, lossless: bool, known: bool
) -> None:
    path = tmp_path / f"given{suffix}"
    Image.fromarray(original.pixels).save(path, lossless=lossless)
    renamed = path.rename(tmp_path / "given.png")  # the content decides, not the name
    pair = given_pair(original, renamed)
    assert pair.bpp == (8 * renamed.stat().st_size / (64 * 48) if known else None)
    assert (pair.model, pair.stream) == ("given", b"")


def test_a_reconstruction_s_own_warnings_are_told_apart(original: Picture, tmp_path: Path) -> None:
    Image.new("RGBA", (64, 48), (10, 20, 30, 40)).save(tmp_path / "see-through.png")
    (warning,) = given_pair(original, tmp_path / "see-through.png").warnings
    assert warning.startswith("reconstruction: ")


def test_a_damaged_misc_stream_is_an_error_with_its_name(original: Picture, tmp_path: Path) -> None:
    path = tmp_path / "photo.misc"
    path.write_bytes(container.MAGIC + b"\0\1\2")
    with pytest.raises(StreamError, match=r"photo\.misc"):
        given_pair(original, path)
    path.write_bytes(container.MAGIC + bytes(2**21))
    with pytest.raises(StreamError, match=r"photo\.misc: longer than"):
        given_pair(original, path, max_megapixels=0.05)


def test_a_file_s_hashes_are_hashlib_s_and_a_pipe_is_refused(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "a.png")
    assert hash_file(path) == (hashlib.sha1(b"x").hexdigest(), hashlib.sha256(b"x").hexdigest())
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="pipe"):
        hash_file(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="does not exist"):
        hash_file(tmp_path / "none.png")


def test_folders_match_by_name_without_extension_and_the_rest_is_listed(tmp_path: Path) -> None:
    a, b, _ = touch(tmp_path / "photos", "a.png", "b.jpg", "notes.txt")
    a2, _, _, b2 = touch(tmp_path / "made", "a.webp", "c.png", ".hidden.png", "b.misc")
    touch(tmp_path / "photos", "lonely.png")
    matching = match_files([tmp_path / "photos"], [tmp_path / "made"])
    assert matching.partners == ((a, a2), (b, b2), (tmp_path / "photos" / "lonely.png", None))
    assert matching.unmatched == ("photos/lonely.png", "made/c.png")
    assert matching.failures == ()


def test_two_files_match_whatever_their_names_but_a_folder_of_one_does_not(tmp_path: Path) -> None:
    (a,) = touch(tmp_path / "photos", "a.png")
    (b,) = touch(tmp_path / "made", "b.png")
    assert match_files([a], [b]).partners == ((a, b),)
    with pytest.raises(UsageError, match=r"none of 1 originals and 1 reconstructions .*'a.png' and 'b.png'"):
        match_files([tmp_path / "photos"], [b])


def test_names_that_several_share_are_failures_not_guesses(tmp_path: Path) -> None:
    touch(tmp_path / "photos", "a.jpg", "a.png", "b.png", "c.png")
    touch(tmp_path / "made", "a.webp", "b.jxl", "b.webp", "c.webp")
    matching = match_files([tmp_path / "photos"], [tmp_path / "made"])
    assert [failure.name for failure in matching.failures] == ["a.jpg", "a.png", "b.png"]
    assert "photos/a.jpg, photos/a.png and made/a.webp share one name" in matching.failures[0].reason
    assert [(one.name, two and two.name) for one, two in matching.partners] == [
        ("a.jpg", None),
        ("a.png", None),
        ("b.png", None),
        ("c.png", "c.webp"),
    ]
    assert matching.unmatched == ()


def test_without_reconstructions_equal_stems_are_two_originals_and_order_does_not_matter(tmp_path: Path) -> None:
    files = touch(tmp_path / "photos", "a.jpg", "a.png")
    expected = match_files([tmp_path / "photos"], None)
    assert expected.partners == tuple((file, None) for file in files)
    assert match_files([*reversed(files), files[0]], None) == expected


def test_accents_match_however_they_are_spelt(tmp_path: Path) -> None:
    touch(tmp_path / "photos", unicodedata.normalize("NFC", "é.png"))
    touch(tmp_path / "made", unicodedata.normalize("NFD", "é.webp"))
    assert match_files([tmp_path / "photos"], [tmp_path / "made"]).unmatched == ()


def test_missing_paths_and_empty_folders_are_errors(tmp_path: Path) -> None:
    (a,) = touch(tmp_path / "photos", "a.png")
    (tmp_path / "empty").mkdir()
    for originals, reconstructions in [
        ([tmp_path / "no"], None),
        ([tmp_path / "empty"], None),
        ([a], [tmp_path / "no"]),
        ([a], [tmp_path / "empty"]),
    ]:
        with pytest.raises(ImageError):
            match_files(originals, reconstructions)
    with pytest.raises(UsageError, match="no originals"):
        match_files([], None)
    with pytest.raises(UnknownName):
        parse_spec("jpg")
