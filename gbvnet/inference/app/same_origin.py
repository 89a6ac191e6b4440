"""Same-origin policy: the server of the web page responds only to its own page, at an address that it was started on.

Any page that is open in the same browser can send requests to this server. The browser does not let that page read the
responses, but the requests arrive: uploads would fill the disk. After DNS rebinding (the name of another site that
suddenly resolves to this computer) the responses could be read as well. Both are recognised by headers that a page
cannot set: Host (the name in the address), Origin and Sec-Fetch-Site (the page that sends the request).
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
# The routes that the page requests; gradio has many more, none of which is needed here.
ROUTES = re.compile(
    r"/(|config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|(assets|static|svelte|custom_component)/.*"
    r"|gradio_api/(upload|upload_progress|queue/(join|data|status)|heartbeat/[^/]*|run/predict|cancel|reset|startup-events"
    r"|app_id|file=.*))"
)
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>\d{1,5}))?")
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Addresses:
    """The addresses at which a server accepts requests. Made by `addresses`."""

    names: frozenset[str]  # host names and IP addresses, without port
    any_ip: bool  # any IP address: the server listens on all of this computer's
    origins: frozenset[str]  # of reverse proxies, as browsers write them

    def refusal(self, method: str, path: str, headers: Headers) -> str | None:
        """Return why a request is refused, in words; None if it is accepted.

        headers : pairs of lower-case name and value, as in ASGI
        """
        values: dict[str, list[str]] = {}
        for name, value in headers:
            values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip().lower())
        if any(len(values.get(name, [])) > 1 for name in ("host", "origin", "sec-fetch-site")):
            return "a header of the request is given twice"
        host = _host(values.get("host", [""])[0])
        if host is None or not self._is_own_name(host[0]):
            return "this server was not started for the requested address"
        origin = values.get("origin", [None])[0]
        if origin is not None:
            return None if self._is_own_origin(origin, host) else "a page of another address sent the request"
        site = values.get("sec-fetch-site", ["none"])[0]
        if site in ("same-origin", "none") or _is_navigation(method, path, values):
            return None
        return "a page of another address sent the request"

    def _is_own_name(self, name: str) -> bool:
        return name in self.names or (self.any_ip and _is_ip(name))

    def _is_own_origin(self, origin: str, host: tuple[str, int | None]) -> bool:
        if origin in self.origins:
            return True
        scheme, _, netloc = origin.partition("://")
        other = _host(netloc)
        if scheme not in PORTS or other is None:
            return False
        return (other[0], other[1] or PORTS[scheme]) == (host[0], host[1] or PORTS[scheme])


def addresses(host: str, allowed: Sequence[str] = ()) -> Addresses:
    """Return the addresses of a server that was started on `host`.

    allowed : addresses of reverse proxies, such as https://emotion.example.org

    Raises BadConfig for another kind of address.
    """
    plain = host.strip("[]").lower()
    any_ip = plain in ("", "0.0.0.0", "::")
    names = {*LOCAL, _normalised(plain)}
    if any_ip:
        names |= {name.lower() for own in (socket.gethostname(), socket.getfqdn()) for name in (own, f"{own}.local")}
    origins = [_origin(address) for address in allowed]
    names |= {proxy[0] for origin in origins if (proxy := _host(origin.partition("://")[2]))}
    return Addresses(frozenset(names), any_ip, frozenset(origins))


class SameOrigin:
    """ASGI middleware: responds with 403 to requests that `Addresses` refuses, with 404 to routes that the page never
    uses."""

    def __init__(self, app: Any, addresses: Addresses) -> None:
        self.app, self.addresses = app, addresses

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        reason = self.addresses.refusal(scope.get("method", "GET"), path, scope["headers"])
        if reason is None and scope["type"] == "http" and ROUTES.fullmatch(path):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif reason is None:
            await send_text(send, 404, "Not found")
        else:
            remedy = "If a reverse proxy stands in front of the server, start it with --allow-origin and its address."
            await send_text(send, 403, f"Refused: {reason}. {remedy}")


async def send_text(send: Any, status: int, text: str) -> None:
    """Send a response of plain text, and close the connection: the remaining request is not read."""
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"), (b"connection", b"close"),
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _is_navigation(method: str, path: str, values: dict[str, list[str]]) -> bool:
    """Return whether a link of another page was followed to this one, which may be shown, but not in a frame."""
    navigates = values.get("sec-fetch-mode") == ["navigate"] and values.get("sec-fetch-dest") == ["document"]
    return navigates and method in ("GET", "HEAD") and path == "/"


def _origin(address: str) -> str:
    try:
        parts = urlsplit(address.strip().lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    host = _host(parts.netloc)
    if parts.scheme not in ("http", "https") or host is None or not is_plain:
        raise BadConfig(f"--allow-origin {address}: expected an address such as https://emotion.example.org")
    netloc = f"[{host[0]}]" if ":" in host[0] else host[0]
    return f"{parts.scheme}://{netloc}" + ("" if port in (None, PORTS[parts.scheme]) else f":{port}")


def _host(text: str) -> tuple[str, int | None] | None:
    """Return name and port of a Host header; None if it is malformed."""
    matched = _HOST.fullmatch(text.lower())
    if matched is None or (matched["v6"] and not (":" in matched["v6"] and _is_ip(matched["v6"]))):
        return None
    return _normalised(matched["v6"] or matched["name"]), int(matched["port"]) if matched["port"] else None


def _normalised(name: str) -> str:
    """Return the canonical spelling of a host: IPv6 shortened, no dot at the end."""
    return str(ipaddress.ip_address(name)) if _is_ip(name) else name.removesuffix(".")


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
