"""A stand-in for an OpenAI-compatible server, on the loopback. It has no model: it answers what a test scripts.

The network stays closed but for the stand-in's own port.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loopback import alone


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the stand-in sends: status, headers and bytes, or slowly one byte after the other."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def pictures(self) -> list[str]:
        """The data URIs."""
        parts = self.body["messages"][0]["content"]
        return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]

    @property
    def question(self) -> str:
        """The text."""
        (text,) = [part["text"] for part in self.body["messages"][0]["content"] if part["type"] == "text"]
        return str(text)

    @property
    def compares(self) -> bool:
        """Whether this is the comparing question."""
        return '"verdict"' in self.question


Script = Callable[[Asked], Reply]


def says(text: str, *, usage: object = (100, 20)) -> Reply:
    """A chat completion; `usage` is a pair of counts, or what stands in its place."""
    counts = (
        dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True)) if isinstance(usage, tuple) else usage
    )
    content = {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": counts}
    return Reply(body=json.dumps(content).encode("ascii"))


def sees(asked: Asked) -> Reply:
    """Describe any picture by its data's length, so that unlike pictures get unlike texts, and call those different."""
    if not asked.compares:
        return says(f"A picture of {len(asked.pictures[0])} characters.")
    first, second = (
        json.loads(line.split(": ", 1)[1])
        for line in asked.question.splitlines()
        if line.startswith(("first: ", "second: "))
    )
    verdict = "same" if first == second else "different"
    return says(json.dumps({"verdict": verdict, "what": "" if first == second else "The lengths differ."}))


class Standin:
    """A running stand-in."""

    def __init__(self, script: Script) -> None:
        self.asked: list[Asked] = []
        self.script = script
        self.closing = threading.Event()
        standin = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                asked = Asked(path=self.path, headers=dict(self.headers), body=json.loads(content))
                standin.asked.append(asked)
                standin._send(self, standin.script(asked))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        try:
            handler.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            if not reply.drip_seconds:
                handler.wfile.write(reply.body)
                return
            for byte in reply.body:
                if self.closing.is_set():
                    return
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(reply.drip_seconds)
        except OSError:  # the other side has given up, which is what some tests are about
            return


@contextmanager
def serving(script: Script = sees) -> Iterator[Standin]:
    """Run a stand-in."""
    standin = Standin(script)
    with alone(standin.server, standin.closing):
        yield standin
