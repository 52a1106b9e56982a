"""Photographs on their way into a corpus."""
