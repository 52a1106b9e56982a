"""A driver to be killed: `python corpus_driver.py CORPUS JOBS` compresses with the scripted worker."""

from __future__ import annotations

import sys
from pathlib import Path

from corpus_worker import NAME

from miscomp.corpus.compress.engines import EngineOptions
from miscomp.corpus.compress.local_engine import LocalEngine
from miscomp.corpus.compress.plan import CompressOptions
from miscomp.corpus.compress.run import compress_corpus
from miscomp.corpus.corpus import open_corpus

if __name__ == "__main__":
    engine = LocalEngine(EngineOptions(jobs=int(sys.argv[2])))
    report = compress_corpus(open_corpus(Path(sys.argv[1])), engine, CompressOptions(worker=NAME))
    sys.exit(0 if report.complete else 1)
