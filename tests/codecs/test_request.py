"""Several codecs asked for together. Oracle: the requests spelled out one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from seeded_codec import registered

from miscomp.codecs.request import model_row, with_seeds
from miscomp.codecs.spec import MAX_SEED, parse_spec
from miscomp.errors import UsageError


@pytest.fixture(autouse=True)
def _dreamer() -> Iterator[None]:
    with registered():
        yield


def test_every_codec_that_decodes_at_random_gets_each_seed_in_its_place() -> None:
    specs = [parse_spec(text) for text in ("jpeg@q5", "dreamer@q2", "webp@q9", "dreamer@0.5bpp")]
    assert [str(spec) for spec in with_seeds(specs, [3, 1, 3])] == [
        "jpeg@q5", "dreamer@q2+seed3", "dreamer@q2+seed1", "webp@q9", "dreamer@0.5bpp+seed3", "dreamer@0.5bpp+seed1",
    ]  # fmt: skip
    assert with_seeds(specs, []) == tuple(specs)
    assert [model_row(spec).seed for spec in with_seeds(specs[:2], [3, 1])] == [None, 3, 1]


def test_seeds_that_nobody_can_take_are_refused() -> None:
    with pytest.raises(UsageError, match=r"decode at random \(.*dreamer.*\); name one of them"):
        with_seeds([parse_spec("jpeg@q5")], [1])
    with pytest.raises(UsageError, match=r"dreamer@q2\+seed3 has its seed already"):
        with_seeds([parse_spec("dreamer@q2+seed3"), parse_spec("dreamer@q2")], [1])
    with pytest.raises(UsageError, match="takes no seed"):
        with_seeds([parse_spec("dreamer@q2")], [MAX_SEED + 1])
