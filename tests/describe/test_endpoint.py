"""The endpoint, against a stand-in server without a model. Oracle: what the stand-in was sent, and what it sent."""

from __future__ import annotations

import base64
import io
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from standin_endpoint import Reply, Script, Standin, says, serving

from miscomp.describe.base import TEXT_LIMIT, Answer, DescribeError, clean
from miscomp.describe.endpoint import MAX_ANSWER_BYTES, EndpointDescriber, parse_address, read_key
from miscomp.errors import UsageError
from miscomp.images import Pixels

KEY = "sk-very-secret-0123456789"
CROP: Pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)


def describer(url: str, *, key: str = KEY, timeout: float = 10.0) -> EndpointDescriber:
    return EndpointDescriber(address=parse_address(url), model="eyes-1", key=key, seed=7, timeout=timeout)


def ask(script: Script, *, timeout: float = 10.0) -> Answer:
    with serving(script) as standin:
        return describer(standin.url, timeout=timeout).describe([CROP], "What is there?")


def failure(script: Script, *, timeout: float = 10.0) -> DescribeError:
    with pytest.raises(DescribeError) as caught:
        ask(script, timeout=timeout)
    assert KEY not in str(caught.value)
    return caught.value


def test_a_request_has_the_form_that_such_servers_read_and_the_very_pixels() -> None:
    with serving(lambda asked: says("A door.")) as standin:
        answer = describer(standin.url).describe([CROP, CROP], "What is there?")
    assert answer == Answer(text="A door.", prompt_tokens=100, completion_tokens=20)
    (asked,) = standin.asked
    assert asked.path == "/v1/chat/completions" and asked.question == "What is there?"
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    settings = {name: asked.body[name] for name in ("model", "temperature", "seed", "stream")}
    assert settings == {"model": "eyes-1", "temperature": 0, "seed": 7, "stream": False}
    assert len(asked.pictures) == 2
    head, _, content = asked.pictures[1].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content, validate=True))) as picture:
        assert picture.format == "PNG" and np.array_equal(np.asarray(picture), CROP)


def test_without_a_key_no_authorization_is_sent() -> None:
    with serving(lambda asked: says("A door.")) as standin:
        describer(standin.url, key="").describe([], "Anything?")
    assert "Authorization" not in standin.asked[0].headers and standin.asked[0].pictures == []


def test_an_answer_in_parts_is_joined() -> None:
    content = {"choices": [{"message": {"content": [{"type": "text", "text": "A "}, {"type": "other"}, "door."]}}]}
    assert ask(lambda asked: Reply(body=json.dumps(content).encode())).text == "A door."


@pytest.mark.parametrize("usage", [None, "many", {}, {"prompt_tokens": True, "completion_tokens": -1}, [1, 2]])
def test_tokens_that_the_server_does_not_count_are_unknown_and_not_guessed(usage: object) -> None:
    answer = ask(lambda asked: says("A door.", usage=usage))
    assert (answer.prompt_tokens, answer.completion_tokens) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{"message": 3}]}',
        b"[" * 100_000,
        b"\xff\xfe{",
        b"null",
    ],
)
def test_what_is_no_chat_completion_is_a_failure_that_may_pass(body: bytes) -> None:
    error = failure(lambda asked: Reply(body=body))
    assert "no chat completion" in str(error) and error.transient and not error.fatal


@pytest.mark.parametrize("content", ['""', '" "', "null", "3", "[]", '[{"text": 3}]'])
def test_an_answer_without_text_is_a_failure(content: str) -> None:
    body = f'{{"choices": [{{"message": {{"content": {content}}}}}]}}'.encode()
    assert "no text" in str(failure(lambda asked: Reply(body=body)))


@pytest.mark.parametrize(
    ("status", "transient", "fatal"),
    [(429, True, False), (503, True, False), (500, True, False), (401, False, True), (404, False, True),
     (400, False, False), (413, False, False)],
)  # fmt: skip
def test_a_status_says_whether_to_ask_again(status: int, transient: bool, fatal: bool) -> None:
    body = json.dumps({"error": {"message": f"Bad key {KEY}\x1b[31m\n\u202edetails"}}).encode()
    error = failure(lambda asked: Reply(body=body, status=status, headers={"Retry-After": "17"}))
    assert (error.transient, error.fatal, error.wait) == (transient, fatal, 17.0)
    assert str(error).endswith(f"refused with status {status}: Bad key [key][31m details")


@pytest.mark.parametrize("header", ["soon", "-1", "1e9", "nan", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 40])
def test_a_wait_that_is_no_number_of_seconds_is_left_out(header: str) -> None:
    assert failure(lambda asked: Reply(body=b"", status=429, headers={"Retry-After": header})).wait is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed_so_the_key_stays(status: int) -> None:
    with serving(lambda asked: says("stolen")) as thief:
        target = thief.url + "/chat/completions"
        with serving(lambda asked: Reply(body=b"", status=status, headers={"Location": target})) as standin:
            with pytest.raises(DescribeError, match="redirects elsewhere") as caught:
                describer(standin.url).describe([CROP], "What is there?")
            assert caught.value.fatal and len(standin.asked) == 1
    assert thief.asked == []


@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(10**12)}])
def test_a_huge_answer_is_cut_off(headers: dict[str, str]) -> None:
    error = failure(lambda asked: Reply(body=b" " * (MAX_ANSWER_BYTES + 10), headers=headers))
    assert f"more than {MAX_ANSWER_BYTES} bytes" in str(error)


def test_a_server_that_hangs_is_given_up() -> None:
    done = threading.Event()

    def hang(asked: object) -> Reply:
        done.wait(5)
        return says("too late")

    begin = time.monotonic()
    error = failure(hang, timeout=0.3)
    done.set()
    assert "did not answer within 0.3 seconds" in str(error) and error.transient
    assert time.monotonic() - begin < 4


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "identity"}])
def test_a_server_that_goes_on_byte_by_byte_is_given_up_too(headers: dict[str, str]) -> None:
    """Each byte comes well within the limit; only all of them together do not."""
    begin = time.monotonic()
    error = failure(lambda asked: Reply(body=says("x" * 500).body, headers=headers, drip_seconds=0.02), timeout=0.4)
    assert "did not answer within 0.4 seconds" in str(error)
    assert time.monotonic() - begin < 4


@pytest.mark.network
def test_a_connection_that_breaks_may_pass_and_a_closed_port_may_not() -> None:
    def break_off(asked: object) -> Reply:
        return Reply(body=b"{", headers={"Content-Length": "50"})

    error = failure(break_off)
    assert error.transient and "broke off" in str(error)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DescribeError, match="cannot be reached") as caught:
        describer(f"http://127.0.0.1:{port}").describe([], "Anyone?")
    assert caught.value.fatal


def test_a_key_that_the_server_repeats_does_not_come_back() -> None:
    assert ask(lambda asked: says(f"You sent {KEY}.")).text == "You sent [key]."


def test_the_key_is_in_no_representation() -> None:
    one = describer("https://host.example/v1")
    assert KEY not in repr(one) + str(one) + one.name and one.name == "eyes-1 at host.example"


@pytest.mark.parametrize(
    ("url", "where", "path"),
    [
        ("https://host.example", "host.example", "/v1/chat/completions"),
        ("https://host.example/v1/", "host.example", "/v1/chat/completions"),
        ("https://host.example:8443/api/v3", "host.example:8443", "/api/v3/chat/completions"),
        ("https://host.example/v1/chat/completions", "host.example", "/v1/chat/completions"),
        ("http://localhost:8000", "localhost:8000", "/v1/chat/completions"),
        ("http://127.0.0.9:8000/v1", "127.0.0.9:8000", "/v1/chat/completions"),
        ("http://[::1]:8000/v1", "[::1]:8000", "/v1/chat/completions"),
    ],
)
def test_addresses_are_read(url: str, where: str, path: str) -> None:
    address = parse_address(url)
    assert (address.shown, address.path, address.tls) == (where, path, url.startswith("https"))


@pytest.mark.parametrize(
    "url",
    ["", "host.example/v1", "ftp://host.example", "file:///etc/passwd", "https://", "http://host.example/v1",
     "http://10.0.0.1/v1", "http://127.0.0.1.host.example/v1", "https://me:sk-hidden@host.example/v1",
     "https://host.example/v1?key=sk-hidden", "https://host.example/v1#sk-hidden", "https://host.example:port/v1",
     "https://host.example/v1\r\nX: sk-hidden", "https://host example/v1", "https://hõst.example", "https://[::1"],
)  # fmt: skip
def test_other_addresses_are_refused_and_never_repeat_a_secret(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "   ", "two words", "line\nfeed", "ключ", "nul\x01"])
def test_a_key_that_is_none_is_refused_by_the_variable_s_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYES_KEY", value)
    with pytest.raises(UsageError, match="EYES_KEY") as caught:
        read_key("EYES_KEY")
    assert not value.strip() or value not in str(caught.value)
    monkeypatch.setenv("EYES_KEY", f"{KEY}\n")
    assert read_key("EYES_KEY") == KEY


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """The stand-in speaks TLS with a certificate that it signed itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    pem = tmp_path / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout both.key -out both.crt"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    pem.write_bytes((tmp_path / "both.key").read_bytes() + (tmp_path / "both.crt").read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with serving() as standin:
        _wrap(standin, context)
        with pytest.raises(DescribeError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            describer(standin.url.replace("http:", "https:")).describe([CROP], "What is there?")
    assert caught.value.fatal and standin.asked == []


def _wrap(standin: Standin, context: ssl.SSLContext) -> None:
    accept = standin.server.socket.accept

    def get_request() -> tuple[socket.socket, object]:
        plain, address = accept()
        return context.wrap_socket(plain, server_side=True), address

    standin.server.get_request = get_request  # type: ignore[method-assign]


def test_cleaning_leaves_one_line_without_hidden_characters_and_keeps_markup_as_text() -> None:
    text = "A\x00 sign\x1b[2J\n says\t\u202e<script>alert(1)</script>\ud800\ufeff \U000e0041é 三"
    assert clean(text) == "A sign[2J says <script>alert(1)</script> é 三"
    long = clean("ab " * 10**6)
    assert len(long) == TEXT_LIMIT and long.endswith("…")
    assert clean("\u202e" * 10**6) == ""
