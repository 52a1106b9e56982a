"""Codecs in figures: rate, quality and speed of real files, curves, BD-rate, and the drift over generations."""
