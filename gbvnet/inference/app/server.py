"""The web page `gbvnet app MODEL`, served.

All parts of the page come from this server: no fonts, scripts or trackers from elsewhere, and the header CSP forbids
browsers to request any. Only the page itself, at an address that the server was started on, may send requests; see
same_origin.py. Files are stored in one temporary folder, which is deleted when the server stops; see session.py, and
disk_quota.py for their number and size.
"""

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

from ...errors import BadConfig
from ..predictor import Predictor
from .disk_quota import MB, DiskQuota
from .same_origin import SameOrigin, addresses
from .session import EXAMPLE, MAX_AGE_S, Visitors

CSP = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
PORTS = range(7860, 7960)  # the first free one is used
TOTAL_MB = 8192  # disk space for all visitors
ALL_INTERFACES = ("", "0.0.0.0", "::")


@contextmanager
def serving(
    model: Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    max_mb: int = 512,
    device: str = "auto",
    max_total_mb: int | None = None,
    allow_origin: Sequence[str] = (),
) -> Iterator[tuple[str, Path]]:
    """Serve the page until the block is left. Yields its address, and the folder that is deleted then.

    port : the first free one from 7860 on if not given
    max_mb, max_total_mb : size of one upload, and of all visitors' files together, in megabytes
    allow_origin : addresses of reverse proxies in front of the server

    Raises BadModel, BadConfig.
    """
    if max_mb < 1:
        raise BadConfig(f"--max-mb {max_mb}: give at least 1")
    total_mb = max(TOTAL_MB, max_mb) if max_total_mb is None else max_total_mb
    if total_mb < max_mb:
        raise BadConfig(f"--max-total-mb {total_mb}: give at least --max-mb, which is {max_mb}")
    if find_spec("gradio") is None:
        raise BadConfig("the web page needs gradio: pip install 'gbvnet[app]'")
    own = addresses(host, allow_origin)
    predictor = Predictor(model, device)
    with tempfile.TemporaryDirectory(prefix="gbvnet-app-") as name, _temporary(Path(name).resolve()) as root:
        import gradio as gr  # not earlier, because it writes a file when it is imported
        from fastapi import FastAPI

        from .page import CSS, CURSOR, page
        from .upload_limits import UploadLimits

        visitors, quota = Visitors(root), DiskQuota(root, total_mb * MB, root / EXAMPLE)
        blocks = page(predictor, visitors, quota, max_mb)
        theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
        blocks.queue(max_size=32)
        listener = _listen(host, port)
        address, port = listener.getsockname()[:2]
        app = gr.mount_gradio_app(
            FastAPI(openapi_url=None), blocks, "/", server_name=address, server_port=port, footer_links=[],
            run_history=False, allowed_paths=[], show_error=False, max_file_size=max_mb * MB, ssr_mode=False,
            enable_monitoring=False, pwa=False, mcp_server=False, theme=theme, css=CSS, js=CURSOR,
        )  # fmt: skip
        guarded = _Csp(SameOrigin(UploadLimits(app, quota), own))
        with _running(guarded, app, listener), _deleting_old(visitors, quota):
            shown = "127.0.0.1" if host in ALL_INTERFACES else f"[{host.strip('[]')}]" if ":" in host else host
            yield f"http://{shown}:{port}/", root


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens at the host, on the first free port. Raises BadConfig if there is none."""
    last_error: Exception | None = None
    for candidate in PORTS if port is None else (port,):
        try:
            resolved = socket.getaddrinfo(
                host.strip("[]") or None, candidate, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, *_, address = resolved[0]
            return socket.create_server(address[:2], family=family, backlog=128)
        except (OSError, OverflowError) as error:
            last_error = error
    raise BadConfig(f"the page cannot be served at {host}, port {port or 'any'}: {last_error}")


@contextmanager
def _running(guarded: Any, app: Any, listener: socket.socket) -> Iterator[None]:
    """Run a server in another thread until the block is left."""
    import uvicorn

    config = uvicorn.Config(guarded, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([listener],), name="page", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            thread.join(0.01)
        if not server.started:
            raise BadConfig("the page cannot be served: its server did not start")
        yield
    finally:
        for route in app.routes:  # this closes open connections
            stop = getattr(getattr(route, "app", None), "stop_event", None)
            if stop is not None:
                stop.set()
        server.should_exit = True
        thread.join(10)
        listener.close()


@contextmanager
def _deleting_old(visitors: Visitors, quota: DiskQuota) -> Iterator[None]:
    """Delete, every minute, files older than an hour and the remains of interrupted uploads."""
    stopped = Event()

    def delete() -> None:
        while not stopped.wait(60):
            visitors.delete_older(MAX_AGE_S)
            quota.remove_orphans()

    thread = Thread(target=delete, name="deleting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(10)


@contextmanager
def _temporary(root: Path) -> Iterator[Path]:
    """Put all temporary files of this process into one folder: partial uploads, gradio's files, and others below it."""
    before = tempfile.tempdir, os.environ.get("GRADIO_TEMP_DIR")
    (root / "temporary").mkdir()
    tempfile.tempdir, os.environ["GRADIO_TEMP_DIR"] = str(root / "temporary"), str(root)
    try:
        yield root
    finally:
        tempfile.tempdir = before[0]
        del os.environ["GRADIO_TEMP_DIR"]
        if before[1] is not None:
            os.environ["GRADIO_TEMP_DIR"] = before[1]


class _Csp:
    """ASGI middleware: adds a header to every response that forbids browsers to load anything from another server."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", CSP.encode())]
            await send(message)

        await self.app(scope, receive, sent)
