"""ASGI middleware of the web page: an upload that does not fit on the disk is refused before anything is written.

An interrupted upload leaves no files.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ...errors import BadConfig
from .disk_quota import MB, DiskQuota, Upload
from .same_origin import send_text

ROUTE = "/gradio_api/upload"
MAX_FILES = 50  # in one upload
MAX_CONCURRENT = 16  # uploads
IDLE_S = 60  # an upload that sends nothing for so long is ended


class UploadLimits:
    """ASGI middleware: refuses uploads for which there is no space, and other requests of more than a megabyte."""

    def __init__(self, app: Any, quota: DiskQuota) -> None:
        self.app, self.quota = app, quota

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            await send_text(send, 411, "The request does not state its length.")
        elif scope["path"] != ROUTE:
            too_long = int(length) > MB
            await (send_text(send, 413, "The request is too long.") if too_long else self.app(scope, receive, send))
        else:
            await self._upload(scope, receive, send, int(length))

    async def _upload(self, scope: Any, receive: Any, send: Any, length: int) -> None:
        refused = self._check(length)
        if refused is None:
            incoming = _IncomingUpload(receive, Upload(time.time(), length), dict(scope["headers"]))
            refused = await self._forward(scope, incoming, send)
        elif length <= self.quota.max_bytes:
            await _read_all(receive)  # browsers ignore a response that comes before they have sent everything
        if refused is not None:
            await send_text(send, *refused)

    def _check(self, length: int) -> tuple[int, str] | None:
        if len(self.quota.uploads) >= MAX_CONCURRENT:
            return 503, f"{MAX_CONCURRENT} uploads are in progress at the moment. Try again later."
        try:
            self.quota.require(length)
        except BadConfig as error:
            return 507, str(error)
        return None

    async def _forward(self, scope: Any, incoming: "_IncomingUpload", send: Any) -> tuple[int, str] | None:
        async def sent(message: Any) -> None:
            if not incoming.ended:
                await send(message)

        with self.quota.lock:
            self.quota.uploads[id(incoming)] = incoming.upload
        try:
            await self.app(scope, incoming.receive, sent)
        except Exception:
            if not incoming.ended:  # else it is the framework's error about an interrupted upload
                raise
        finally:
            with self.quota.lock:
                del self.quota.uploads[id(incoming)]
            self.quota.remove_orphans()
        return incoming.refusal


class _IncomingUpload:
    """One upload, whose bytes and files are counted while they are received."""

    def __init__(self, receive: Any, upload: Upload, headers: dict[bytes, bytes]) -> None:
        self._receive, self.upload = receive, upload
        self.ended, self.refusal = False, None  # type: bool, tuple[int, str] | None
        self._n_files, self._complete = 0, False
        _, options = parse_options_header(headers.get(b"content-type", b""))
        boundary = options.get(b"boundary")
        self._parser = MultipartParser(boundary, {"on_part_begin": self._count}) if boundary else None

    def _count(self) -> None:
        self._n_files += 1

    async def receive(self) -> Any:
        """Return the next message; a disconnect once the upload is refused."""
        if self.ended:
            return {"type": "http.disconnect"}
        try:
            async with asyncio.timeout(None if self._complete else IDLE_S):
                message = await self._receive()
        except TimeoutError:
            return self._refuse(408, f"The upload sent nothing for {IDLE_S} s.")
        if message["type"] == "http.disconnect":
            self.ended = True
            return message
        body = message.get("body", b"")
        self._complete = not message.get("more_body", False)
        self.upload.remaining = max(0, self.upload.remaining - len(body))
        if self._parser is not None:
            with suppress(MultipartParseError):  # the framework responds to that
                self._parser.write(body)
        if self._n_files > MAX_FILES:
            return self._refuse(413, f"The upload has more than {MAX_FILES} files.")
        return message

    def _refuse(self, status: int, text: str) -> Any:
        self.ended, self.refusal = True, (status, text)
        return {"type": "http.disconnect"}


async def _read_all(receive: Any) -> None:
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(IDLE_S):
                message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return
