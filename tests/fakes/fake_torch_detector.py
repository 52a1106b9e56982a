"""The fake detector for tests that need torch to be loaded; the others are spared the seconds."""

import torch
from fake_detector import DetectSettings, audit_pair, detector_version

__all__ = ["DetectSettings", "audit_pair", "detector_version", "torch"]
