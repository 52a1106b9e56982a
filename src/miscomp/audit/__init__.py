"""The main job: pairs of pictures in, candidates for miscompressions out.

`audit_pair` examines one pair; `miscomp.audit.run.run_audit` whole folders, with tables and a report.
"""

from miscomp.audit.examine import LABELER, PairFindings, audit_pair, detector_version
from miscomp.detect.base import DetectSettings

__all__ = ["LABELER", "DetectSettings", "PairFindings", "audit_pair", "detector_version"]
