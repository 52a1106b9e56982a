"""Corpora of miscompressions: from photographs to reconstructions in batches for labelers, to published tables."""
