"""The fake detector for tests that need torch to be loaded; the others are spared the seconds."""

import torch
from fake_detector import DETECTOR_VERSION, DetectSettings, audit_pair

__all__ = ["DETECTOR_VERSION", "DetectSettings", "audit_pair", "torch"]
