"""The statement in the words of JPEG Trust (ISO/IEC 21617-1), as far as they are public. It claims no conformance.

The standard's text is not free. What is public is the shape of a trust indicator set as open tools read and write it:
`@context`, `asset_info`, `declaration` (assertions that nobody signed) and `manifests` (those that somebody did).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from miscomp.disclose.credential import Credential
from miscomp.disclose.manifest import ASSERTION, make_manifest
from miscomp.disclose.statement import Statement

CONTEXT = {"@vocab": "https://jpeg.org/jpegtrust", "extras": "https://jpeg.org/jpegtrust/extras"}
NO_CLAIM = (
    "Follows the publicly known vocabulary of JPEG Trust's trust indicators. No conformance to ISO/IEC 21617-1 is "
    "claimed, and none was tested."
)


def trust_indicators(
    statement: Statement, content: bytes, *, title: str, credential: Credential | None = None
) -> dict[str, Any]:
    """A trust indicator set of a file: its hash, the unsigned declaration, and what a signed manifest came to."""
    manifest = make_manifest(statement, title=title)
    declaration = {
        "claim": {"claim_generator_info": manifest["claim_generator_info"], "dc:title": title},
        "assertions": {one["label"]: one["data"] for one in manifest["assertions"]},
    }
    # Regions and ingredients of the actions refer to a manifest; what nobody signed has none to refer to.
    actions = declaration["assertions"]["c2pa.actions.v2"]["actions"]
    declaration["assertions"]["c2pa.actions.v2"] = {"actions": actions[1:]}
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")
    found: dict[str, Any] = {
        "@context": CONTEXT,
        "asset_info": {"alg": "sha256", "hash": digest},
        "declaration": declaration,
        "manifests": [],
        "extras:conformance": NO_CLAIM,
        "extras:assertion": ASSERTION,
    }
    if credential is not None and credential.raw:
        found["manifests"] = list(json.loads(credential.raw).get("manifests", {}).values())
        found["extras:validation"] = {"state": str(credential.state), "codes": list(credential.codes)}
    return found
