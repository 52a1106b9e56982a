"""Signed manifests: put one into a file, read what a file has, and say in plain words what its validation means.

Everything native happens in the c2pa library. It is told never to reach the network when it reads; it does when it
signs only if a time stamp service was named.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from miscomp.disclose.manifest import ASSERTION, make_manifest
from miscomp.disclose.signing import Credentials, open_signer
from miscomp.disclose.statement import Statement, from_json
from miscomp.errors import ImageError, InputError, MissingExtra
from miscomp.formats import format_of

MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WebP": "image/webp",
    "AVIF": "image/avif",
    "JPEG XL": "image/jxl",
    "TIFF": "image/tiff",
}
"""Formats that can carry a manifest."""
MAX_BYTES = 1 << 30
_UNTRUSTED, _EXPIRED = "signingCredential.untrusted", "signingCredential.expired"
_MAX_MANIFEST = 64 * 1024 * 1024


class State(StrEnum):
    """What the validation of a manifest comes to."""

    ABSENT = "absent"
    INVALID = "invalid"
    EXPIRED = "whole, certificate expired"
    UNTRUSTED = "valid, signer not trusted"
    TRUSTED = "valid, signer trusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a file's manifest says, and how far it can be believed."""

    state: State
    codes: tuple[str, ...] = ()
    """The library's codes of what failed: `assertion.dataHash.mismatch`."""
    signer: str = ""
    """As the certificate says; anybody can make one that says anything."""
    signed: str = ""
    """When, by a time stamp of a service whose certificate is trusted; empty where there is none."""
    stamped: str = ""
    """When, by the time stamp of any other service; anybody can run one, with any clock."""
    generator: str = ""
    statement: Statement | None = None
    actions: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    remote: str = ""
    """Where the manifest is said to be, if it is not in the file; it was not fetched."""
    problems: tuple[str, ...] = ()
    raw: str = ""
    """The library's own report, JSON."""


def sign(
    content: bytes,
    statement: Statement,
    credentials: Credentials,
    *,
    where: object,
    title: str,
    original: str = "",
    before: bytes | None = None,
) -> bytes:
    """The file's bytes with a signed manifest in them; pixels and other metadata stay as they are.

    `original`: name of the original's file. The library never gets its bytes: it would take along a manifest that
    the original has, with thumbnails and places in it. `before`: the file as it came, if it had a manifest, which is
    kept as that of a second ingredient. Raises `InputError` for what cannot be signed, `MissingExtra` without the
    library.
    """
    c2pa = _library()
    media = media_type(content, where)
    manifest = make_manifest(statement, title=title, original=original)
    target = io.BytesIO()
    failures: list[InputError] = []
    try:
        with (
            open_signer(credentials, failures) as signer,
            c2pa.Context.from_dict(_settings()) as context,
            c2pa.Builder.from_json(manifest, context) as builder,
        ):
            if before is not None:
                file = {"title": title, "relationship": "componentOf", "description": "the file as it came"}
                builder.add_ingredient(file, media_type(before, where), io.BytesIO(before))
            builder.sign(signer, media, io.BytesIO(content), target)
    except c2pa.C2paError as error:
        if failures:
            raise InputError(where, f"cannot be signed: {failures[0]}") from error
        raise InputError(where, f"cannot be signed: {error}; check the chain of certificates and the file") from error
    return target.getvalue()


def read_credential(content: bytes, where: object, *, anchors: str = "") -> Credential:
    """What manifest a file has, validated against its bytes; `anchors` are PEM certificates that are trusted.

    Broken manifests are a state, not an error. Raises `MissingExtra` without the library.
    """
    c2pa = _library()
    try:
        media = media_type(content, where)
    except ImageError as error:
        return Credential(state=State.ABSENT, problems=(error.problem,))
    try:
        with c2pa.Context.from_dict(_settings(anchors)) as context:
            reader = c2pa.Reader.try_create(media, io.BytesIO(content), context=context)
            if reader is None:
                return Credential(state=State.ABSENT)
            with reader:
                return _credential(json.loads(_bounded(reader.json())), reader)
    except (c2pa.C2paError, ValueError, RecursionError) as error:
        text = " ".join(str(error).split())
        if "ManifestNotFound" in text:
            return Credential(state=State.ABSENT)
        if "RemoteManifest" in text:
            return Credential(state=State.ABSENT, remote=text, problems=("its manifest is elsewhere; not fetched",))
        return Credential(state=State.INVALID, problems=(f"its manifest cannot be read: {text[:300]}",))


def media_type(content: bytes, where: object) -> str:
    """The media type that the library knows a file by. Raises `ImageError` for formats that carry no manifest."""
    if len(content) > MAX_BYTES:
        raise ImageError(where, f"has {len(content)} bytes, at most {MAX_BYTES} are signed or validated")
    name = format_of(content, where)
    if name not in MEDIA_TYPES:
        raise ImageError(where, f"is {name}, which carries no C2PA manifest; allowed: {', '.join(MEDIA_TYPES)}")
    return MEDIA_TYPES[name]


def _library() -> Any:
    try:
        import c2pa
    except ModuleNotFoundError as error:
        raise MissingExtra("c2pa-python", "c2pa", "reading or making a signed manifest") from error
    return c2pa


def _settings(anchors: str = "") -> dict[str, Any]:
    """Nothing is fetched, no thumbnails are made: an ingredient's would give away its pixels."""
    verify = {"verify_after_sign": True, "verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False}
    settings: dict[str, Any] = {"verify": verify, "builder": {"thumbnail": {"enabled": False}}}
    if anchors:
        settings["trust"] = {"user_anchors": anchors}
    return settings


def _bounded(text: str) -> str:
    if len(text) > _MAX_MANIFEST:
        raise ValueError(f"the manifest has {len(text)} characters, at most {_MAX_MANIFEST} are read")
    return text


def _credential(content: dict[str, Any], reader: Any) -> Credential:
    active = content.get("manifests", {}).get(content.get("active_manifest", ""), {})
    codes = tuple(dict.fromkeys(str(one.get("code", "")) for one in content.get("validation_status", [])))
    signature = active.get("signature_info") or {}
    statement, problems = _statement(active)
    time = str(signature.get("time") or "")
    generator = (active.get("claim_generator_info") or [{}])[0]
    return Credential(
        state=_state(str(reader.get_validation_state() or ""), codes),
        codes=codes,
        signer=", ".join(filter(None, (signature.get("common_name"), signature.get("issuer")))),
        signed=time if _trusts_time(content) else "",
        stamped="" if _trusts_time(content) else time,
        generator=" ".join(filter(None, (str(generator.get("name", "")), str(generator.get("version", ""))))),
        statement=statement,
        actions=tuple(_actions(active)),
        ingredients=tuple(str(one.get("title", "")) for one in active.get("ingredients", [])),
        problems=problems,
        raw=json.dumps(content, ensure_ascii=True, indent=1),
    )


def _trusts_time(content: dict[str, Any]) -> bool:
    results = (content.get("validation_results") or {}).get("activeManifest") or {}
    return any(one.get("code") == "timeStamp.trusted" for one in results.get("success") or [])


def _state(said: str, codes: tuple[str, ...]) -> State:
    if said == "Trusted":
        return State.TRUSTED
    # A manifest that fails in nothing but who signed it, and when, is whole.
    if said == "Valid" or (codes and {*codes} <= {_UNTRUSTED}):
        return State.UNTRUSTED
    if codes and {*codes} <= {_UNTRUSTED, _EXPIRED}:
        return State.EXPIRED
    return State.INVALID


def _assertions(active: dict[str, Any], label: str) -> list[Any]:
    return [one.get("data") for one in active.get("assertions", []) if str(one.get("label", "")).startswith(label)]


def _actions(active: dict[str, Any]) -> list[str]:
    found = []
    for data in _assertions(active, "c2pa.actions"):
        if isinstance(data, dict):
            found += [str(one.get("action", "")) for one in data.get("actions", []) if isinstance(one, dict)]
    return found


def _statement(active: dict[str, Any]) -> tuple[Statement | None, tuple[str, ...]]:
    for data in _assertions(active, ASSERTION):
        try:
            return from_json(json.dumps(data)), ()
        except (ValueError, RecursionError) as error:
            return None, (f"its manifest's statement cannot be read: {error}",)
    return None, ()
