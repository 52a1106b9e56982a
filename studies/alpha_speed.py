"""How long alpha's bootstrap takes, and how much memory, beside calling the package krippendorff once per resample.

    python studies/alpha_speed.py --calls 3

Three simulated labelers, 10,000 images of 256 tiles, 10,000 resamples of the images. Two sorts of corpora: sparse ones
where few images differ in what they hold, and ones where nearly every image is a class of its own. The package is given
the resampled images in both forms that it takes, the answers and the counts of each unit; a few resamples are timed and
multiplied, and making its input is not counted. The alphas of both are compared.
"""

from __future__ import annotations

import argparse
import resource
import time
from functools import partial

import numpy as np

from miscomp.stats.alpha import alpha_estimate, krippendorff_alpha
from miscomp.stats.ratings import Ratings
from miscomp.stats.resample import Method, tally

CORPORA = {"sparse": (0.5, 200.0, 0.002), "varied": (2.0, 2.0, 0.1)}
"""Beta's two parameters, from which the share of tiles that hold something is drawn for each image; how often a
labeler is wrong."""
METHODS: tuple[Method, ...] = ("percentile", "bca")


def simulated(name: str, images: int, tiles: int, labelers: int) -> Ratings:
    """Labelers who are wrong independently of each other and of the tile."""
    first, second, error = CORPORA[name]
    rng = np.random.default_rng(0)
    truth = rng.random((images, tiles)) < rng.beta(first, second, images)[:, None]
    values = np.empty((images * tiles, labelers), dtype=np.int8)
    for labeler in range(labelers):
        values[:, labeler] = (truth ^ (rng.random((images, tiles)) < error)).ravel()
    return Ratings(
        values=values,
        image=np.repeat(np.arange(images), tiles),
        labelers=tuple(f"labeler{one}" for one in range(labelers)),
    )


def ours(ratings: Ratings, resamples: int) -> float:
    """Print the interval by each method; returns the seconds of the slower one."""
    seconds = []
    for method in METHODS:
        start = time.perf_counter()
        found = alpha_estimate(ratings, resamples=resamples, seed=0, method=method)
        seconds.append(time.perf_counter() - start)
        print(f"  alpha_estimate, {method}: {seconds[-1]:.2f} s; {found}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  peak memory of this process so far: {peak:.2f} GiB")
    return max(seconds)


def theirs(ratings: Ratings, calls: int) -> dict[str, float]:
    """Seconds a call of the package, by the form of its input; raises if an alpha differs from ours."""
    import krippendorff

    tiles = len(ratings.image) // ratings.images
    rng = np.random.default_rng(1)
    by_image = ratings.values.reshape(ratings.images, tiles, -1)
    seconds = {"answers": 0.0, "counts": 0.0}
    for _ in range(calls):
        values = by_image[rng.integers(0, ratings.images, ratings.images)].reshape(ratings.values.shape)
        expected = krippendorff_alpha(Ratings(values=values, image=ratings.image, labelers=ratings.labelers))
        ones = values.sum(axis=1, dtype=np.int64)
        answers = np.ascontiguousarray(values.T, dtype=np.float64)
        counts = np.stack([len(ratings.labelers) - ones, ones], axis=1)
        calls_by_form = {
            "answers": partial(krippendorff.alpha, reliability_data=answers, value_domain=[0, 1]),
            "counts": partial(krippendorff.alpha, value_counts=counts),
        }
        for form, call in calls_by_form.items():
            start = time.perf_counter()
            alpha = call(level_of_measurement="nominal")
            seconds[form] += (time.perf_counter() - start) / calls
            if abs(alpha - expected) > 1e-9:
                raise RuntimeError(f"alpha is {expected} here, {alpha} there")
    return seconds


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--tiles", type=int, default=256)
    parser.add_argument("--labelers", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=3, help="of the package; 0 leaves it out")
    arguments = parser.parse_args()
    for name in CORPORA:
        ratings = simulated(name, arguments.images, arguments.tiles, arguments.labelers)
        classes = len(tally(ratings).classes.images)
        print(f"{name}: {len(ratings.image)} units of {ratings.images} images in {classes} classes")
        took = ours(ratings, arguments.resamples)
        if not arguments.calls:
            continue
        for form, each in theirs(ratings, arguments.calls).items():
            total = each * arguments.resamples
            print(f"  krippendorff on {form}: {each:.3f} s a call, so {total:.0f} s, {total / took:.0f} times as long")


if __name__ == "__main__":
    main()
