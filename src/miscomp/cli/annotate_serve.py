"""`miscomp annotate CORPUS`: the labelers' tool in the browser."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import tell
from miscomp.errors import InputError, MissingExtra, UsageError

if TYPE_CHECKING:
    from miscomp.corpus.corpus import Corpus
    from miscomp.web.store import Store


def serve(
    corpus: CorpusArgument,
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Of this computer, to serve on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Without it: 8377, or the next that is free.")
    ] = None,
    labeler: Annotated[
        str, typer.Option(metavar="NAME", help="Who works, where there are no accounts; else the settings' only one.")
    ] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the browser.")] = False,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Serve by TLS: certificate and chain, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, PEM; without it in --cert's file.")] = None,
    behind_proxy: Annotated[
        str, typer.Option(metavar="ADDRESSES", help="Of proxies with TLS, as in 127.0.0.1,10.0.0.2; they are believed.")
    ] = "",
    public_name: Annotated[
        str, typer.Option(metavar="NAMES", help="Under which it is reached besides, as in labels.example.org.")
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Serve others without TLS: whoever listens reads passwords and pictures.")
    ] = False,
) -> None:
    """Serve a corpus to labelers: flip original and reconstruction in place, draw boxes, decide.

    The address is printed and opened. Without accounts it is for one person on this computer, whom the key in the
    address lets in; with accounts (miscomp annotate user add) everybody logs in, and others may be served. What is
    stored is in the corpus' database at once. Ctrl-C ends it.

    Example: miscomp annotate street --labeler ann
    """
    try:
        from miscomp.web.exposure import Exposure, Tls
        from miscomp.web.server import address_of, listen, make_server
        from miscomp.web.store import open_store
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "web", "the labelers' tool") from error
    if key is not None and cert is None:
        raise UsageError("--key is the key of a certificate; give --cert FILE too")
    exposure = Exposure(
        host=host,
        names=_listed(public_name),
        proxies=_listed(behind_proxy),
        tls=Tls(cert, key) if cert else None,
        insecure=insecure,
    )
    opened = _open_writable(corpus)
    store = open_store(opened, labeler=labeler, door=exposure.door())
    exposure.check(store.mode)
    with listen(host, port) as sock:
        server = make_server(store, tls=exposure.tls, proxies=exposure.proxies)
        _tell_state(store)
        address = f"https://{exposure.names[0]}" if exposure.proxies else ""
        address = address or address_of(sock, host, secure=exposure.secure)
        _announce(store, address, browser=not no_browser and exposure.local)
        server.run(sockets=[sock])
    _close(opened)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _open_writable(folder: Path) -> Corpus:
    """Open a corpus, with its database. Raises `InputError` for one that nothing can be stored in."""
    from miscomp.corpus.corpus import open_corpus

    opened = open_corpus(folder, serving=True)
    if opened.engine.url.query.get("mode") == "ro" or not os.access(folder, os.W_OK):
        raise InputError(folder, "is read-only, so that nothing could be stored; serve a copy, or make it writable")
    with opened.writing():  # a database that refuses is told now and not by every save
        pass
    return opened


def _tell_state(store: Store) -> None:
    from miscomp.corpus.batches.planning import shares
    from miscomp.web.store import Mode

    with store.corpus.reading() as connection:
        given = shares(connection)
    folder = store.corpus.folder
    if not given:
        tell(
            f"there are no batches yet, so nobody has anything to label; make some with: miscomp corpus batch {folder}"
        )
    elif store.mode is Mode.SINGLE and store.labeler not in {one.labeler for one in given}:
        tell(
            f"{store.labeler} has no batches; give some with: miscomp corpus batch {folder} --labelers {store.labeler}"
        )


def _announce(store: Store, address: str, *, browser: bool) -> None:
    """Print the address, with the key where there is one, and open it."""
    from miscomp.web.store import Mode

    single = store.mode is Mode.SINGLE
    typer.echo(f"{address}/enter?key={store.keys.printed}" if single else f"{address}/")
    sys.stdout.flush()
    tell(
        f"serving {store.corpus.folder} to {store.labeler}; keep the address to yourself, Ctrl-C ends"
        if single
        else f"serving {store.corpus.folder} to whoever has an account, Ctrl-C ends"
    )
    if browser and _has_display():
        url = f"{address}/enter?key={store.keys.make_once()}" if single else f"{address}/"
        threading.Thread(target=_open_browser, args=(url,), daemon=True).start()


def _has_display() -> bool:
    """Whether a browser would have a screen of its own; one in the terminal would be in the way."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        tell("no browser could be opened; open the printed address in one")


def _close(corpus: Corpus) -> None:
    """Write the manifest, where no other command is at work in the corpus."""
    from miscomp.corpus.manifest import write_manifest

    try:
        with corpus.owned():
            write_manifest(corpus)
    except UsageError:
        tell("stopped; manifest.json is left to the command that is changing this corpus")
        return
    tell("stopped; everything is stored")
