"""Pictures in every format that holds a disclosure, with and without metadata of others, and a disclosure."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pillow_jxl  # noqa: F401  (registers the JPEG XL writer)
import tifffile
from PIL import Image, ImageCms

from miscomp.codecs.container import Stream, pack
from miscomp.disclose.disclosure import Disclosure
from miscomp.disclose.statement import Codec, Coding, Detector, Picture, Place, Statement

BASE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ENHANCED = BASE + "algorithmicallyEnhanced"
USER_XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    b' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    b'  <!-- kept --><rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"\n'
    b'    xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator><rdf:Seq><rdf:li>A &amp; B</rdf:li></rdf:Seq>'
    b"</dc:creator></rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n" + b" " * 100 + b'<?xpacket end="w"?>'
)


def statement(places: int = 2, *, note: str = "<&> & 'so'") -> Statement:
    found = tuple(Place(x=i % 8, y=1, w=5, h=4, category="SHAPE", score=0.5) for i in range(places))
    return Statement(
        codec=Codec(name="hific", kind=Coding.GENERATIVE, version="1", setting="lo", weights_sha256="ab" * 32),
        picture=Picture(width=32, height=24),
        compared=True,
        detector=Detector(name="lines"),
        findings=places,
        places=found,
        risk=0.25,
        risk_form="miscomp-risk-1",
        note=note,
    )


def disclosure(**changes: Any) -> Disclosure:
    values: dict[str, Any] = {
        "statement": statement(),
        "caption": "Neural codec hific: details may differ; geprüft <&>.",
        "description": "A neural codec made these pixels.\nTwo places were found.",
        "source_type": ENHANCED,
        "software": "miscomp 0.1.0",
    }
    return Disclosure(**(values | changes))


def photo(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[0:24, 0:32]
    channels = [x * 7 % 256, y * 9 % 256, (x + y) * 4 % 256, (x * 5 + 40) % 256]
    return Image.fromarray(np.stack(channels[: len(mode)], -1).astype(np.uint8))


def encoded(format: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    photo(mode).save(file, format, **options)
    return file.getvalue()


def user_exif(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    exif[271] = "A camera's maker"
    exif.get_ifd(34665)[37500] = b"MAKER" + bytes(range(60))
    exif.get_ifd(34665)[33434] = 0.25
    return exif.tobytes()


def _tiff(**options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.asarray(photo()), photometric="rgb", metadata=None, software="", **options)
    return file.getvalue()


def stream() -> bytes:
    made = Stream(
        format_id=3, width=32, height=24, weights=b"12345678", latent_crc32=7, payloads=(b"abc", b"de"), seed=5,
        ancillary=(("noTe", b"kept"),),
    )  # fmt: skip
    return pack(made)


def samples() -> dict[str, bytes]:
    """By name; every format plain, and in its variants."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    theirs: dict[str, Any] = {"exif": user_exif(), "icc_profile": icc}
    return {
        "png": encoded("PNG"),
        "png-alpha": encoded("PNG", "RGBA"),
        "png-theirs": encoded("PNG", **theirs, pnginfo=_png_xmp()),
        "jpeg": encoded("JPEG", quality=90),
        "jpeg-progressive": encoded("JPEG", progressive=True, optimize=True),
        "jpeg-theirs": encoded("JPEG", **theirs, xmp=USER_XMP, comment=b"kept"),
        "webp-lossy": encoded("WEBP", quality=80),
        "webp-lossless": encoded("WEBP", lossless=True),
        "webp-alpha": encoded("WEBP", "RGBA", lossless=True),
        "webp-lossy-alpha": encoded("WEBP", "RGBA", quality=70),
        "webp-theirs": encoded("WEBP", lossless=True, xmp=USER_XMP, **theirs),
        "avif": encoded("AVIF", speed=10),
        "avif-alpha": encoded("AVIF", "RGBA", speed=10),
        "avif-theirs": encoded("AVIF", speed=10, xmp=USER_XMP, **theirs),
        "jxl": encoded("JXL", lossless=True, effort=1),
        "jxl-theirs": encoded("JXL", "RGBA", lossless=True, effort=1, exif=user_exif(), xmp=USER_XMP),
        "tiff": encoded("TIFF"),
        "tiff-theirs": encoded("TIFF", compression="tiff_lzw", icc_profile=icc, exif=_tiff_exif()),
        "tiff-strips": _tiff(rowsperstrip=5, compression="zlib"),
        "tiff-tiles": _tiff(tile=(16, 16)),
        "tiff-big-endian": _tiff(byteorder=">", rowsperstrip=7),
        "tiff-bigtiff": _tiff(bigtiff=True, rowsperstrip=7),
        "tiff-bigtiff-big-endian": _tiff(bigtiff=True, byteorder=">"),
        "misc": stream(),
    }


def _png_xmp() -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", USER_XMP.decode())
    info.add_text("Comment", "kept")
    return info


def _tiff_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    exif[271] = "A camera's maker"
    exif[700] = USER_XMP
    return exif
