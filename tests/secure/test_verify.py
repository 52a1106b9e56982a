from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from marked_codec import MarkedCodec, marked, noise
from PIL import Image

from miscomp.codecs import container
from miscomp.errors import ImageError, StreamError
from miscomp.images import Pixels
from miscomp.secure.calibration import Calibration, Thresholds
from miscomp.secure.codec import SecureCodec
from miscomp.secure.survival import State
from miscomp.secure.verify import MEANINGS, answer, is_intact, judge, verify, verify_file

LINES = Thresholds(survives_below=-2, destroyed_above=-1, least_share=0.02, least_region=4, reach=8)
MARKED = Calibration(codec="marked@q0.65", quality=0.65, weights_sha256="", thresholds=LINES)


def png(pixels: Pixels, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG")
    return file.getvalue()


def test_a_coded_picture_carries_and_the_numbers_add_up() -> None:
    codec = marked()
    verdict = verify(codec.again(noise(96, 128)), codec, MARKED)
    assert verdict.answer == "carries"
    assert (verdict.blocks, verdict.destroyed, verdict.survives, verdict.uncertain) == (48, 48, 0, 0)
    assert verdict.destroyed_share == 1 and verdict.largest_survivor == 0
    assert verdict.psnr_db < 6  # random levels against 0 or 255, the farther one
    assert verdict.notes == ()


def test_a_picture_that_survives_in_one_alignment_carries_by_the_other() -> None:
    """Oracle: the stand-in acts where its blocks lie on marked ones; marks of every row hold at any place."""
    calls: list[tuple[int, ...]] = []

    class Blind(MarkedCodec):
        def compress(self, pixels: Pixels, quality: float) -> bytes:
            calls.append(pixels.shape[:2])
            # Blind as it stands: what is compressed first comes back as it is.
            return super().compress(pixels & np.uint8(254) if len(calls) == 1 else pixels, quality)

    coded = marked().again(noise(96, 128))
    verdict = verify(coded, SecureCodec(Blind(), 0.65, "marked@q0.65"), MARKED)
    assert calls == [(96, 128), (91, 117)]
    assert verdict.answer == "carries" and verdict.psnr_db > 40
    assert verdict.shifted_psnr_db is not None and verdict.shifted_psnr_db < 7
    assert verdict.destroyed == 48
    assert "acts in one of two alignments only" in verdict.notes[0]


def test_a_picture_carries_only_where_most_of_it_is_destroyed() -> None:
    """Oracle: by hand. 36 of 144 blocks survive, each by itself; 108 or 36 of the others are destroyed."""
    states = np.full((12, 12), State.DESTROYED, np.uint8)
    states[::2, ::2] = State.SURVIVES
    assert answer(states, LINES) == "carries"
    states[1::2] = State.UNCERTAIN
    assert answer(states, LINES) == "undecided"
    states[:2, :2] = State.SURVIVES
    assert answer(states, LINES) == "partly"


def test_a_picture_that_was_never_coded_is_absent() -> None:
    verdict = verify(noise(96, 128), marked(), MARKED)
    assert verdict.answer == "absent"
    assert verdict.destroyed == 0 and verdict.largest_survivor == 48
    assert verdict.psnr_db > 40


def test_a_picture_with_a_foreign_part_is_partly_coded() -> None:
    codec = marked()
    forged = codec.again(noise(96, 128))
    forged[32:64, 32:64] = noise(32, 32, 5)
    verdict = verify(forged, codec, MARKED)
    assert verdict.answer == "partly"
    assert (verdict.survives, verdict.largest_survivor, verdict.destroyed) == (4, 4, 44)


def test_a_part_smaller_than_the_least_region_does_not_count() -> None:
    codec = marked()
    forged = codec.again(noise(96, 128))
    forged[32:48, 32:64] = noise(16, 32, 5)
    verdict = verify(forged, codec, MARKED)
    assert verdict.answer == "carries" and verdict.largest_survivor == 2


def test_a_black_border_is_left_out_and_said() -> None:
    codec = marked()
    framed = np.zeros((160, 160, 3), np.uint8)
    framed[32:128, 32:128] = codec.again(noise(96, 96))
    verdict = verify(framed, codec, MARKED)
    assert verdict.answer == "carries"
    assert verdict.left_out == 100 - 36 and verdict.blocks == 36
    assert "64.0% of the blocks are of one colour up to the border and left out" in verdict.notes[0]


@pytest.mark.parametrize("shape", [(1, 1), (63, 500), (500, 63), (17, 40)])
def test_small_pictures_are_too_small_to_say(shape: tuple[int, int]) -> None:
    verdict = verify(noise(*shape), marked(), MARKED)
    assert verdict.answer == "undecided"
    assert "too small to say; at least 64 a side" in verdict.notes[0]


def test_a_picture_of_one_colour_holds_nothing_to_judge() -> None:
    verdict = verify(np.full((80, 80, 3), 200, np.uint8), marked(), MARKED)
    assert verdict.answer == "undecided" and verdict.blocks == 0 and verdict.destroyed_share is None


def test_mostly_uncertain_blocks_decide_nothing() -> None:
    p = np.zeros((64, 64, 3), np.uint8) + noise(64, 64) // 8
    p2 = p + np.uint8(45)  # (45 / 255)^2 = 0.031: between the thresholds
    assert judge(p, [p2], LINES, codec="x").answer == "undecided"


def test_thresholds_of_other_weights_or_another_quality_are_said_to_be() -> None:
    other = Calibration(codec="slic@q0.65", quality=0.65, weights_sha256="ab" * 32, thresholds=LINES)
    assert "measured for other weights" in verify(noise(64, 64), marked(), other).notes[0]
    assert "measured at quality 0.65, not 0.5" in verify(noise(64, 64), marked(0.5), MARKED).notes[0]


def test_no_answer_claims_that_a_picture_is_authentic() -> None:
    text = " ".join(MEANINGS.values()).lower()
    for word in ("authentic", "genuine", "unedited", "original", "proves"):
        assert word not in text
    assert "anyone can encode a forged picture, or lay" in MEANINGS["carries"]
    assert "textures" in MEANINGS["carries"] and "put together from coded pictures" in MEANINGS["carries"]
    assert "its pixels came" not in MEANINGS["carries"] and "was put into" in MEANINGS["partly"]
    assert "washed out" in MEANINGS["absent"] and "washed out" in MEANINGS["partly"]


def test_a_picture_above_the_codecs_own_limit_is_judged_where_it_was_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = marked()
    seen: list[float] = []
    plain = MarkedCodec.decompress

    def limited(self: MarkedCodec, content: bytes, *, max_megapixels: float = 200.0) -> Pixels:
        seen.append(max_megapixels)
        return plain(self, content, max_megapixels=max_megapixels)

    monkeypatch.setattr(MarkedCodec, "decompress", limited)
    verify(noise(64, 64), codec, MARKED)
    assert len(seen) == 2 and min(seen) > 200


def test_the_record_is_json_with_every_number_and_no_infinity() -> None:
    p = noise(64, 64) | np.uint8(1)
    verdict = judge(p, [p], LINES, codec="x")
    assert math.isinf(verdict.psnr_db)
    record = json.loads(json.dumps(verdict.record(), allow_nan=False))
    assert record["psnr_db"] is None and record["destroyed_share"] == 0 and record["meaning"] == MEANINGS["absent"]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_files_of_any_kind_of_pixels_are_judged(mode: str) -> None:
    codec = marked()
    content = png(codec.again(noise(64, 64)), mode)
    verdict = verify_file(content, "a.png", codec, MARKED, max_megapixels=1)
    assert verdict.intact is None
    assert verdict.answer == ("absent" if mode == "L" else "carries")


def test_what_is_no_picture_is_refused_by_name() -> None:
    for content in (b"", b"Dear all,\n", png(noise(64, 64))[:200]):
        with pytest.raises(ImageError, match=r"note\.txt"):
            verify_file(content, "note.txt", marked(), MARKED, max_megapixels=1)


def test_a_damaged_stream_is_told_from_an_intact_one() -> None:
    stream = container.Stream(
        format_id=18, width=64, height=64, weights=bytes(8), latent_crc32=0, payloads=(b"x" * 40,), quality=b"\xa6"
    )
    whole = container.pack(stream)
    assert is_intact(whole) is True
    assert is_intact(whole[:-9] + b"?" + whole[-8:]) is False
    assert is_intact(png(noise(64, 64))) is None
    with pytest.raises(StreamError, match=r"a\.misc"):
        verify_file(whole[:-3], "a.misc", marked(), MARKED, max_megapixels=1)
