"""Crops of a corpus by parameters, reproducible from a seed."""
