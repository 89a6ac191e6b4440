"""Requests of other pages and under other names are refused; those of the page itself and of visitors pass."""

import asyncio

import pytest

from gbvnet.errors import BadConfig
from gbvnet.inference.app.same_origin import SameOrigin, addresses

VISIT = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def raw(headers):
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def refusal(headers, path="/gradio_api/upload", method="POST", host="127.0.0.1", allowed=()):
    return addresses(host, allowed).refusal(method, path, raw(headers))


@pytest.mark.parametrize(
    ("host", "given"),
    [
        ("127.0.0.1", "127.0.0.1:7860"),
        ("127.0.0.1", "localhost:7860"),
        ("127.0.0.1", "LOCALHOST:7860"),
        ("127.0.0.1", "localhost.:7860"),
        ("127.0.0.1", "localhost:8000"),  # a tunnel of ssh
        ("127.0.0.1", "[::1]:7860"),
        ("::1", "[0:0:0:0:0:0:0:1]:7860"),
        ("lab-pc", "lab-pc:7860"),
        ("0.0.0.0", "192.168.1.20:7860"),
        ("::", "[fe80::1]:7860"),
    ],
)
def test_addresses_of_the_server_itself_pass(host, given):
    assert refusal({"host": given}, host=host) is None
    assert refusal({"host": given, "origin": f"http://{given}"}, host=host) is None


@pytest.mark.parametrize(
    ("host", "given"),
    [
        ("127.0.0.1", "evil.example:7860"),
        ("127.0.0.1", "127.0.0.1.evil.example"),
        ("127.0.0.1", "localhost.evil.example"),
        ("127.0.0.1", "192.168.1.20:7860"),
        ("127.0.0.1", "localhost@evil.example"),
        ("127.0.0.1", "localhost:7860/x"),
        ("127.0.0.1", "[127.0.0.1]"),
        ("127.0.0.1", ""),
        ("0.0.0.0", "evil.example:7860"),
        ("lab-pc", "other-pc"),
    ],
)
def test_other_names_are_refused_by_every_route(host, given):
    for method, path in (("POST", "/gradio_api/upload"), ("GET", "/"), ("GET", "/gradio_api/file=/x")):
        assert refusal({"host": given} | VISIT, path, method, host) is not None
    assert refusal({}, host=host) is not None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:9999", "https://localhost:7861", "null", "http://127.0.0.1:7860",
     "http://localhost", "file://", "localhost:7860", ""],
)  # fmt: skip
def test_other_origins_are_refused_even_on_the_same_computer(origin):
    assert refusal({"host": "localhost:7860", "origin": origin}) is not None


def test_the_origin_counts_with_the_port_that_its_scheme_means():
    assert refusal({"host": "localhost", "origin": "http://localhost"}) is None
    assert refusal({"host": "localhost:80", "origin": "http://localhost"}) is None
    assert refusal({"host": "localhost:443", "origin": "http://localhost"}) is not None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_without_an_origin_the_browser_says_visitor_asks(site):
    host = {"host": "localhost:7860"}
    assert refusal(host | {"sec-fetch-site": site}, "/gradio_api/file=/x", "GET") is not None
    assert refusal(host | {"sec-fetch-site": "same-origin"}, "/gradio_api/file=/x", "GET") is None
    assert refusal(host | {"sec-fetch-site": "none"}, "/", "GET") is None
    followed = host | VISIT | {"sec-fetch-site": site}
    assert refusal(followed, "/", "GET") is None  # somebody followed a link to the page
    assert refusal(followed, "/gradio_api/file=/x", "GET") is not None
    assert refusal(followed, "/", "POST") is not None
    assert refusal(followed | {"sec-fetch-dest": "iframe"}, "/", "GET") is not None


def test_a_header_given_twice_is_refused():
    twice = [*raw({"host": "localhost"}), *raw({"host": "evil.example"})]
    assert addresses("127.0.0.1").refusal("GET", "/", twice) is not None


def test_a_reverse_proxy_is_let_in_by_its_address_alone():
    proxy = ("https://emotion.example.org",)
    browser = {"origin": "https://emotion.example.org"}
    assert refusal({"host": "emotion.example.org"} | browser, allowed=proxy) is None
    assert refusal({"host": "127.0.0.1:7860"} | browser, allowed=proxy) is None  # one that writes Host anew
    assert refusal({"host": "127.0.0.1:7860"} | browser) is not None
    assert refusal({"host": "127.0.0.1:7860", "origin": "https://other.example.org"}, allowed=proxy) is not None
    assert refusal({"host": "other.example.org"}, allowed=proxy) is not None


@pytest.mark.parametrize(
    "address", ["emotion.example.org", "ftp://a.org", "https://a.org/path", "https://", "https://a:b"]
)
def test_what_is_no_address_of_a_proxy_is_refused(address):
    with pytest.raises(BadConfig, match=r"--allow-origin .*expected an address such as https://"):
        addresses("127.0.0.1", (address,))


def response(scope, headers):
    """Status of a request, and whether it reached the application."""
    reached, sent = [], []

    async def app(scope, receive, send):
        reached.append(scope["path"])

    async def send(message):
        sent.append(message)

    whole = {"method": "GET", "path": "/"} | scope | {"headers": raw(headers)}
    asyncio.run(SameOrigin(app, addresses("127.0.0.1"))(whole, None, send))
    return (sent[0].get("status") or sent[0]["type"]) if sent else None, bool(reached)


def test_the_middleware_lets_through_what_the_page_uses_and_nothing_else():
    own, other = {"host": "localhost"}, {"host": "localhost", "origin": "http://evil.example"}
    assert response({"type": "http"}, own) == (None, True)
    assert response({"type": "http"}, other) == (403, False)
    assert response({"type": "http", "method": "OPTIONS", "path": "/gradio_api/upload"}, other) == (403, False)
    for path in ("/gradio_api/deep_link", "/gradio_api/proxy=http://a", "/monitoring", "/gradio_api/call/x", "/login"):
        assert response({"type": "http", "path": path}, own) == (404, False)
        assert response({"type": "http", "path": path}, other) == (403, False)
    assert response({"type": "websocket"}, other) == ("websocket.close", False)
    assert response({"type": "lifespan"}, {}) == (None, True)
