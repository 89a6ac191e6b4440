"""Which requests the server of the web page answers: those of its own page, at an address that it was started on.

Any page that is open in the same browser can send requests to this server. The browser does not let that page read the
answers, but the requests arrive: uploads would fill the disk. After DNS rebinding (a name of another site that suddenly
leads to this computer) the answers could be read as well. Both are recognised by headers that a page cannot set: Host
(the name in the address), Origin and Sec-Fetch-Site (the page that asks).
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ...errors import BadConfig

LOCAL = ("localhost", "127.0.0.1", "::1")
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# What the page asks for; gradio has many more routes, and none of them is needed here.
ROUTES = re.compile(
    r"/(|config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|(assets|static|svelte|custom_component)/.*"
    r"|gradio_api/(upload|upload_progress|queue/(join|data|status)|heartbeat/[^/]*|run/predict|cancel|reset|startup-events"
    r"|app_id|file=.*))"
)
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>\d{1,5}))?")
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Addresses:
    """Under which addresses a server may be asked. Made by `addresses`."""

    names: frozenset[str]  # host names and IP addresses, without port
    any_ip: bool  # any IP address: the server listens on all of this computer's
    origins: frozenset[str]  # of reverse proxies, as browsers write them

    def refusal(self, method: str, path: str, headers: Headers) -> str | None:
        """Why a request is refused, in words; None if it may pass.

        headers : pairs of lower-case name and value, as ASGI has them
        """
        given: dict[str, list[str]] = {}
        for name, value in headers:
            given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip().lower())
        if any(len(given.get(name, [])) > 1 for name in ("host", "origin", "sec-fetch-site")):
            return "a header of the request is given twice"
        host = _host(given.get("host", [""])[0])
        if host is None or not self._is_mine(host[0]):
            return "this server was not started for the address that was asked for"
        origin = given.get("origin", [None])[0]
        if origin is not None:
            return None if self._is_own(origin, host) else "a page of another address sent the request"
        site = given.get("sec-fetch-site", ["none"])[0]
        if site in ("same-origin", "none") or _is_visit(method, path, given):
            return None
        return "a page of another address sent the request"

    def _is_mine(self, name: str) -> bool:
        return name in self.names or (self.any_ip and _is_ip(name))

    def _is_own(self, origin: str, host: tuple[str, int | None]) -> bool:
        if origin in self.origins:
            return True
        scheme, _, rest = origin.partition("://")
        theirs = _host(rest)
        if scheme not in PORTS or theirs is None:
            return False
        return (theirs[0], theirs[1] or PORTS[scheme]) == (host[0], host[1] or PORTS[scheme])


def addresses(host: str, allowed: Sequence[str] = ()) -> Addresses:
    """The addresses of a server that was started on `host`.

    allowed : addresses of reverse proxies, such as https://emotion.example.org

    Raises BadConfig for one that is no address of that kind.
    """
    bare = host.strip("[]").lower()
    everywhere = bare in ("", "0.0.0.0", "::")
    names = {*LOCAL, _plain(bare)}
    if everywhere:
        names |= {name.lower() for own in (socket.gethostname(), socket.getfqdn()) for name in (own, f"{own}.local")}
    origins = [_origin(address) for address in allowed]
    names |= {proxy[0] for origin in origins if (proxy := _host(origin.partition("://")[2]))}
    return Addresses(frozenset(names), everywhere, frozenset(origins))


class SameOrigin:
    """ASGI middleware: answers 403 to requests that `Addresses` refuses, and 404 to routes that the page never uses."""

    def __init__(self, app: Any, mine: Addresses) -> None:
        self.app, self.mine = app, mine

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        why = self.mine.refusal(scope.get("method", "GET"), path, scope["headers"])
        if why is None and scope["type"] == "http" and ROUTES.fullmatch(path):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif why is None:
            await answer_text(send, 404, "Not found")
        else:
            remedy = "If a reverse proxy stands in front of the server, start it with --allow-origin and its address."
            await answer_text(send, 403, f"Refused: {why}. {remedy}")


async def answer_text(send: Any, status: int, text: str) -> None:
    """Send a whole answer of plain text, and close the connection: what else was sent is not read."""
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"), (b"connection", b"close"),
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _is_visit(method: str, path: str, given: dict[str, list[str]]) -> bool:
    """Whether somebody followed a link of another page to this one: it may be shown, but in no frame."""
    navigates = given.get("sec-fetch-mode") == ["navigate"] and given.get("sec-fetch-dest") == ["document"]
    return navigates and method in ("GET", "HEAD") and path == "/"


def _origin(address: str) -> str:
    try:
        parts = urlsplit(address.strip().lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    alone = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    host = _host(parts.netloc)
    if parts.scheme not in ("http", "https") or host is None or not alone:
        raise BadConfig(f"--allow-origin {address}: expected an address such as https://emotion.example.org")
    netloc = f"[{host[0]}]" if ":" in host[0] else host[0]
    return f"{parts.scheme}://{netloc}" + ("" if port in (None, PORTS[parts.scheme]) else f":{port}")


def _host(text: str) -> tuple[str, int | None] | None:
    """Name and port of a Host header; None if it is none."""
    matched = _HOST.fullmatch(text.lower())
    if matched is None or (matched["v6"] and not (":" in matched["v6"] and _is_ip(matched["v6"]))):
        return None
    return _plain(matched["v6"] or matched["name"]), int(matched["port"]) if matched["port"] else None


def _plain(name: str) -> str:
    """One spelling for each host: IPv6 shortened, no dot at the end."""
    return str(ipaddress.ip_address(name)) if _is_ip(name) else name.removesuffix(".")


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
