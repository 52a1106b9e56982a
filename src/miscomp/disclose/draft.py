"""The blocks of metadata that a file gets with its disclosure."""

from __future__ import annotations

from miscomp.disclose.disclosure import Disclosure, plain
from miscomp.disclose.formats import exif, iptc, xmp
from miscomp.disclose.formats.base import Metadata, Unreadable
from miscomp.disclose.statement import Statement, to_json


class Draft:
    """The blocks that a file will get, and what is to be said about them."""

    def __init__(self, metadata: Metadata, disclosure: Disclosure, notes: list[str]) -> None:
        self.metadata, self.disclosure, self.notes = metadata, disclosure, notes
        self.changes: dict[str, bytes | None] = {}
        self.wrote: list[str] = []
        self.caption = plain(disclosure.caption)

    def put_exif(self) -> None:
        """Texts where none are."""
        if "exif" in self.metadata.locked:
            self.notes.append(f"EXIF was not written: {self.metadata.locked['exif']}")
            return
        texts = exif.Texts(self.caption, plain(self.disclosure.software), to_json(self.disclosure.statement))
        try:
            added = exif.add(self.metadata.exif, texts, self.metadata.limits.get("exif", 2**32 - 2))
        except Unreadable as error:
            self.notes.append(f"EXIF was not written: {error}")
            return
        if added.wrote:
            self.changes["exif"] = added.block
        self.wrote += added.wrote
        self.notes += added.notes

    def put_iptc_and_xmp(self) -> None:
        """IPTC only together with XMP, which remembers that the caption is ours."""
        if "xmp" in self.metadata.locked:
            self.notes.append(f"XMP was not written: {self.metadata.locked['xmp']}")
            return
        block, tokens = self._iptc()
        try:
            packet, wrote = self._xmp((*self.wrote, *tokens))
        except Unreadable as error:
            self.notes.append(f"XMP was not written: {error}")
            return
        self.changes["xmp"] = packet
        if tokens:
            self.changes["iptc"] = block
        self.wrote += [*(one for one in tokens if one != "iptc:new"), *wrote]

    def _iptc(self) -> tuple[bytes | None, tuple[str, ...]]:
        """The new block and what it holds of ours."""
        metadata = self.metadata
        if "iptc" not in metadata.places:
            return None, ()
        try:
            if "iptc" in metadata.locked:
                raise Unreadable(metadata.locked["iptc"])
            block, tokens, notes = iptc.add(metadata.iptc, self.caption)
            if block is not None and len(block) > metadata.limits.get("iptc", 2**31):
                raise Unreadable("there is no room for it")
        except Unreadable as error:
            self.notes.append(f"iptc:Caption was not written: {error}")
            return None, ()
        self.notes += notes
        return block, tokens

    def _xmp(self, tokens: tuple[str, ...]) -> tuple[bytes, tuple[str, ...]]:
        """The new packet and what it holds of ours. Raises `Unreadable`."""
        statement = self.disclosure.statement
        limit = self.metadata.limits.get("xmp", xmp.MAX_PACKET)
        for text in (to_json(statement), ""):
            wish = xmp.Wish(
                statement=text,
                caption=self.caption,
                description=plain(self.disclosure.description),
                software=plain(self.disclosure.software),
                source_type=self.disclosure.source_type,
                fields=fields_of(statement),
                wrote=tokens,
            )
            packet, wrote, notes = xmp.add(self.metadata.xmp, wish)
            if len(packet) <= limit and (text or "exif:UserComment" in tokens):
                left_out = (
                    () if text else (f"xmp:miscomp:statement was left out: XMP holds at most {limit} bytes here",)
                )
                self.notes += (*notes, *left_out)
                return packet, wrote
        raise Unreadable(f"it holds at most {limit} bytes here")


def fields_of(statement: Statement) -> dict[str, str]:
    """The statement's main fields, `xmp.FIELDS`, for readers that know no JSON; what is not known is left out."""
    known = {
        "codec": statement.codec.name,
        "kind": statement.codec.kind.value,
        "compared": "True" if statement.compared else "False",
        "findings": "" if statement.findings is None else str(statement.findings),
        "risk": "" if statement.risk is None else repr(statement.risk),
        "riskForm": statement.risk_form,
    }
    return {name: plain(text) for name, text in known.items() if text}
