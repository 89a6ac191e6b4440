"""ASGI middleware of the web page: an upload for which the disk has no room is refused before anything is written.

An upload that breaks off leaves nothing behind.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ...errors import BadConfig
from .disk_quota import MB, DiskQuota, Upload
from .same_origin import answer_text

ROUTE = "/gradio_api/upload"
FILES_IN_ONE = 50  # in one upload
AT_ONCE = 16  # uploads
IDLE_S = 60  # an upload that sends nothing for so long is over


class UploadLimits:
    """ASGI middleware: refuses uploads for which there is no room, and other requests of more than a megabyte."""

    def __init__(self, app: Any, quota: DiskQuota) -> None:
        self.app, self.quota = app, quota

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            await answer_text(send, 411, "The request does not say how long it is.")
        elif scope["path"] != ROUTE:
            too_long = int(length) > MB
            await (answer_text(send, 413, "The request is too long.") if too_long else self.app(scope, receive, send))
        else:
            await self._upload(scope, receive, send, int(length))

    async def _upload(self, scope: Any, receive: Any, send: Any, length: int) -> None:
        refused = self._refusal(length)
        if refused is None:
            arriving = _Arriving(receive, Upload(time.time(), length), dict(scope["headers"]))
            refused = await self._pass_on(scope, arriving, send)
        elif length <= self.quota.max_bytes:
            await _read_to_the_end(receive)  # browsers show no answer that comes before they have sent everything
        if refused is not None:
            await answer_text(send, *refused)

    def _refusal(self, length: int) -> tuple[int, str] | None:
        if len(self.quota.uploads) >= AT_ONCE:
            return 503, f"{AT_ONCE} uploads are arriving at the moment. Try again later."
        try:
            self.quota.require(length)
        except BadConfig as error:
            return 507, str(error)
        return None

    async def _pass_on(self, scope: Any, arriving: "_Arriving", send: Any) -> tuple[int, str] | None:
        async def sent(message: Any) -> None:
            if not arriving.over:
                await send(message)

        with self.quota.lock:
            self.quota.uploads[id(arriving)] = arriving.upload
        try:
            await self.app(scope, arriving.receive, sent)
        except Exception:
            if not arriving.over:  # else it is what the framework makes of an upload that broke off
                raise
        finally:
            with self.quota.lock:
                del self.quota.uploads[id(arriving)]
            self.quota.sweep()
        return arriving.refused


class _Arriving:
    """The bytes of one upload, counted while they pass."""

    def __init__(self, receive: Any, upload: Upload, headers: dict[bytes, bytes]) -> None:
        self._receive, self.upload = receive, upload
        self.over, self.refused = False, None  # type: bool, tuple[int, str] | None
        self._files, self._whole = 0, False
        _, options = parse_options_header(headers.get(b"content-type", b""))
        boundary = options.get(b"boundary")
        self._parser = MultipartParser(boundary, {"on_part_begin": self._count}) if boundary else None

    def _count(self) -> None:
        self._files += 1

    async def receive(self) -> Any:
        """The next message; that the sender has gone, once the upload is refused."""
        if self.over:
            return {"type": "http.disconnect"}
        try:
            async with asyncio.timeout(None if self._whole else IDLE_S):
                message = await self._receive()
        except TimeoutError:
            return self._refuse(408, f"The upload sent nothing for {IDLE_S} s.")
        if message["type"] == "http.disconnect":
            self.over = True
            return message
        body = message.get("body", b"")
        self._whole = not message.get("more_body", False)
        self.upload.to_come = max(0, self.upload.to_come - len(body))
        if self._parser is not None:
            with suppress(MultipartParseError):  # the framework answers that
                self._parser.write(body)
        if self._files > FILES_IN_ONE:
            return self._refuse(413, f"The upload has more than {FILES_IN_ONE} files.")
        return message

    def _refuse(self, status: int, text: str) -> Any:
        self.over, self.refused = True, (status, text)
        return {"type": "http.disconnect"}


async def _read_to_the_end(receive: Any) -> None:
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(IDLE_S):
                message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return
