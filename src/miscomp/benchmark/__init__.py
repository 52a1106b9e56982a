"""How well detectors find known miscompressions, and how often they cry wolf."""
