"""What a C2PA manifest says of a statement: actions, regions, assertions. Pure data; `credential` signs it.

Sources: C2PA technical specification 2.2, sections 9 (regions), 18.15 (actions) and 10 (ingredients). `c2pa.transcoded`
is for changes without editorial meaning: it is what is said where nothing was found. Where something was found, that
would not be honest: then the action is `c2pa.edited`, with the findings as regions.
"""

from __future__ import annotations

from typing import Any

from miscomp.disclose.statement import Coding, Place, Statement
from miscomp.folders import package_version

ASSERTION = "org.miscomp.disclosure"
"""The assertion with the whole statement. The label follows the project's name; it resolves to nothing."""
PARENT = "original"
"""Name by which `c2pa.opened` refers to the original."""
MAX_REGIONS = 100
"""Regions of one action; the statement in its own assertion has them all."""
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ENHANCED = f"{SOURCE_TYPES}algorithmicallyEnhanced"
"""An algorithm changed it without changing its main content: a trained decoder that comes close to the original."""
COMPOSITE = f"{SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"
"""Parts of it were synthesised by a trained model: a generative decoder."""


def source_type(coding: Coding) -> str:
    """The IPTC digital source type of what such a codec made; classical and unknown ones claim none."""
    return {Coding.NEURAL: ENHANCED, Coding.GENERATIVE: COMPOSITE}.get(coding, "")


def make_manifest(statement: Statement, *, title: str, original: str = "") -> dict[str, Any]:
    """The manifest's definition, as the c2pa library reads it.

    `title` is the picture's file name, `original` that of the original's file, where one is given.
    """
    assertions: list[dict[str, Any]] = [
        {"label": "c2pa.actions.v2", "data": {"actions": [_opened(), _coded(statement)]}},
        {"label": ASSERTION, "data": statement.model_dump(mode="json", exclude_none=True)},
    ]
    if statement.codec.kind in (Coding.NEURAL, Coding.GENERATIVE):
        assertions.append({"label": "c2pa.ai-disclosure", "data": _model(statement)})
    return {
        "claim_generator_info": [{"name": "miscomp", "version": package_version()}],
        "title": title,
        "assertions": assertions,
        "ingredients": [_ingredient(statement, original)],
    }


def _ingredient(statement: Statement, name: str) -> dict[str, Any]:
    """The original as an ingredient: its hash in words and as data, never its pixels."""
    content: dict[str, Any] = {
        "title": name or "the original",
        "relationship": "parentOf",
        "instance_id": PARENT,
        "label": PARENT,
    }
    if statement.original_sha256:
        content["description"] = (
            f"SHA-256 of the original's file: {statement.original_sha256}; its pixels are not given"
        )
        content["metadata"] = {"org.miscomp.sha256": statement.original_sha256}
    else:
        content["description"] = "the original's hash is not told"
    return content


def _opened() -> dict[str, Any]:
    return {"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}}


def _coded(statement: Statement) -> dict[str, Any]:
    found = bool(statement.findings)
    action: dict[str, Any] = {
        "action": "c2pa.edited" if found else "c2pa.transcoded",
        "softwareAgent": _without_empty(
            {"name": statement.codec.name or "unknown", "version": statement.codec.version}
        ),
        "description": _described(statement),
        "parameters": _without_empty(
            {
                "org.miscomp.codec": statement.codec.name,
                "org.miscomp.kind": str(statement.codec.kind),
                "org.miscomp.setting": statement.codec.setting,
                "org.miscomp.bpp": statement.bpp,
                "org.miscomp.weights_sha256": statement.codec.weights_sha256,
                "org.miscomp.compared": statement.compared,
                "org.miscomp.findings": statement.findings,
                "org.miscomp.risk": statement.risk,
                "org.miscomp.risk_form": statement.risk_form,
            }
        ),
    }
    if statement.coded:
        action["when"] = statement.coded
    if kind := source_type(statement.codec.kind):
        action["digitalSourceType"] = kind
    if statement.places:
        action["changes"] = [_region(one) for one in statement.places[:MAX_REGIONS]]
    return action


def _described(statement: Statement) -> str:
    if not statement.compared:
        return "lossy coding; not compared with the original, so nothing is known about what it changed"
    if not statement.findings:
        return "lossy coding; a detector compared it with the original and found no candidate for a change of meaning"
    return (
        f"lossy coding; a detector compared it with the original and found {statement.findings} candidate(s) for a "
        "change of meaning: places to look at, not proven"
    )


def _region(place: Place) -> dict[str, Any]:
    words = ["candidate for a change of meaning", place.category, "SYMBOL" if place.symbol else ""]
    shape = {
        "type": "rectangle",
        "unit": "pixel",
        "origin": {"x": place.x, "y": place.y},
        "width": place.w,
        "height": place.h,
    }
    return {"region": [{"type": "spatial", "shape": shape}], "description": ", ".join(filter(None, words))}


def _model(statement: Statement) -> dict[str, Any]:
    """C2PA 2.4's disclosure of a model; earlier libraries carry it as any other assertion."""
    return _without_empty(
        {
            "modelType": "c2pa.types.model",
            "modelName": statement.codec.name,
            "modelIdentifier": statement.codec.weights_sha256 and f"sha256:{statement.codec.weights_sha256}",
        }
    )


def _without_empty(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value not in ("", None)}
