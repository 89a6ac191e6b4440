"""The web page `gbvnet app MODEL`, served.

Everything the page needs comes from this server: no fonts, scripts or counters from elsewhere, and the header CSP
forbids browsers to ask for any. Only the page itself, at an address that the server was started on, may send requests;
see same_origin.py. Files lie in one temporary folder, deleted when the server stops; see visit.py, and disk_quota.py
for how many they may be.
"""

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

from ...errors import BadConfig
from ..predictor import Predictor
from .disk_quota import MB, DiskQuota
from .same_origin import SameOrigin, addresses
from .session import EXAMPLE, KEPT_S, Visitors

CSP = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
PORTS = range(7860, 7960)  # tried in turn
TOTAL_MB = 8192  # disk space for all visitors
EVERYWHERE = ("", "0.0.0.0", "::")


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
    """Serve the page until the block is left; gives its address, and the folder that is deleted then.

    port : the first free one from 7860 on if not given
    max_mb, max_total_mb : of one upload, and of all visitors' files together
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
    mine = addresses(host, allow_origin)
    predictor = Predictor(model, device)
    with tempfile.TemporaryDirectory(prefix="gbvnet-app-") as name, _temporary(Path(name).resolve()) as root:
        import gradio as gr  # only now, since it writes a file of its own when it is imported
        from fastapi import FastAPI

        from .page import CSS, CURSOR, page
        from .upload_limits import UploadLimits

        visitors, quota = Visitors(root), DiskQuota(root, total_mb * MB, root / EXAMPLE)
        blocks = page(predictor, visitors, quota, max_mb)
        plain = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
        blocks.queue(max_size=32)
        listening = _listening(host, port)
        at, port = listening.getsockname()[:2]
        app = gr.mount_gradio_app(
            FastAPI(openapi_url=None), blocks, "/", server_name=at, server_port=port, footer_links=[],
            run_history=False, allowed_paths=[], show_error=False, max_file_size=max_mb * MB, ssr_mode=False,
            enable_monitoring=False, pwa=False, mcp_server=False, theme=plain, css=CSS, js=CURSOR,
        )  # fmt: skip
        guarded = _Csp(SameOrigin(UploadLimits(app, quota), mine))
        with _running(guarded, app, listening), _deleting_old(visitors, quota):
            shown = "127.0.0.1" if host in EVERYWHERE else f"[{host.strip('[]')}]" if ":" in host else host
            yield f"http://{shown}:{port}/", root


def serve(say: Callable[[str], None], *args: Any) -> int:
    """Serve until Ctrl-C or a signal to end; the folder is deleted then."""
    over = Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with serving(*args) as (address, root):
        say(f"{address}    files lie in {root} until this ends (Ctrl-C)")
        try:
            while not over.wait(1):
                pass
        except KeyboardInterrupt:
            pass
    say("stopped; all files are deleted")
    return 0


def _listening(host: str, port: int | None) -> socket.socket:
    """A socket that listens at the host, at the first free port. Raises BadConfig if there is none."""
    problem: Exception | None = None
    for tried in PORTS if port is None else (port,):
        try:
            found = socket.getaddrinfo(
                host.strip("[]") or None, tried, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, *_, address = found[0]
            return socket.create_server(address[:2], family=family, backlog=128)
        except (OSError, OverflowError) as error:
            problem = error
    raise BadConfig(f"the page cannot be served at {host}, port {port or 'any'}: {problem}")


@contextmanager
def _running(guarded: Any, app: Any, listening: socket.socket) -> Iterator[None]:
    """A server in a thread of its own, until the block is left."""
    import uvicorn

    config = uvicorn.Config(guarded, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([listening],), name="page", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            thread.join(0.01)
        if not server.started:
            raise BadConfig("the page cannot be served: its server did not start")
        yield
    finally:
        for route in app.routes:  # connections that are kept open end with this
            stop = getattr(getattr(route, "app", None), "stop_event", None)
            if stop is not None:
                stop.set()
        server.should_exit = True
        thread.join(10)
        listening.close()


@contextmanager
def _deleting_old(visitors: Visitors, quota: DiskQuota) -> Iterator[None]:
    """Every minute: delete what is older than an hour, and what uploads that broke off have left."""
    over = Event()

    def delete() -> None:
        while not over.wait(60):
            visitors.delete_older(KEPT_S)
            quota.sweep()

    thread = Thread(target=delete, name="deleting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


@contextmanager
def _temporary(root: Path) -> Iterator[Path]:
    """All temporary files of this process in one folder: half-sent uploads and what gradio keeps, others one below."""
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
    """Adds a header to every answer that forbids the browser to load anything from another server."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", CSP.encode())]
            await send(message)

        await self.app(scope, receive, sent)
