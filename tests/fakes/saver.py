"""A process that saves boxes for as long as it lives, and says which were acknowledged: `saver.py FOLDER TURN`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from telling import ANN, BOB, SERVER, aliases, box

from miscomp.annotate.people import Person
from miscomp.annotate.save import save
from miscomp.corpus.corpus import Corpus, open_corpus


def run(corpus: Corpus, person: Person, turn: int) -> None:
    """Every box is another; a line is written when its save has returned."""
    pairs = aliases(corpus, person.name)
    for number in range(100_000):
        said = box(pairs[number % len(pairs)], number % 600, number // 600 % 400, 1 + turn, 1 + turn)
        (reply,) = save(corpus, person, [said], time=SERVER)
        sys.stdout.write(f"{reply.outcome.value} {reply.uuid}\n")
        sys.stdout.flush()


def main() -> None:
    """Two labelers at once."""
    folder, turn = Path(sys.argv[1]), int(sys.argv[2])
    corpus = open_corpus(folder)
    threads = [threading.Thread(target=run, args=(corpus, one, turn), daemon=True) for one in (ANN, BOB)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


if __name__ == "__main__":
    main()
