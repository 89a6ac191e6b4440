"""The web page `gbvnet app MODEL`, served.

Everything the page needs comes from this server: no fonts, scripts or counters from elsewhere, and the header CSP
forbids browsers to ask for any. Files lie in one temporary folder, deleted when the server stops; see visit.py.
"""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

from .errors import BadConfig
from .predictor import Predictor
from .visit import Visitors

CSP = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'"
)


@contextmanager
def serving(
    model: Path, host: str = "127.0.0.1", port: int | None = None, max_mb: int = 512, device: str = "auto"
) -> Iterator[tuple[str, Path]]:
    """Serve the page until the block is left; gives its address, and the folder that is deleted then.

    port : the first free one from 7860 on if not given. Raises BadModel, BadConfig.
    """
    if max_mb < 1:
        raise BadConfig(f"--max-mb {max_mb}: give at least 1")
    if find_spec("gradio") is None:
        raise BadConfig("the web page needs gradio: pip install 'gbvnet[app]'")
    predictor = Predictor(model, device)
    with tempfile.TemporaryDirectory(prefix="gbvnet-app-") as name, _temporary(Path(name).resolve()) as root:
        import gradio as gr  # only now, since it writes a file of its own when it is imported

        from .webpage import CSS, CURSOR, page

        blocks = page(predictor, Visitors(root), max_mb)
        plain = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
        blocks.queue(max_size=32)
        try:
            _, address, _ = blocks.launch(
                server_name=host, server_port=port, max_file_size=max_mb * 1024 * 1024, theme=plain, css=CSS, js=CURSOR,
                share=False, inbrowser=False, quiet=True, prevent_thread_lock=True, footer_links=[], run_history=False,
                ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, strict_cors=True,
                allowed_paths=[], app_kwargs={"middleware": [_Csp.added()]},
            )  # fmt: skip
        except OSError as error:
            raise BadConfig(f"the page cannot be served at {host}, port {port or 'any'}: {error}") from None
        try:
            yield address, root
        finally:
            blocks.close(verbose=False)


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


@contextmanager
def _temporary(root: Path) -> Iterator[Path]:
    """All temporary files of this process in one folder: half-sent uploads, and what gradio keeps."""
    before = tempfile.tempdir, os.environ.get("GRADIO_TEMP_DIR")
    tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = str(root)
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

    @classmethod
    def added(cls) -> Any:
        from starlette.middleware import Middleware

        return Middleware(cls)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", CSP.encode())]
            await send(message)

        await self.app(scope, receive, sent)
