"""What all visitors together may leave on the disk, and that uploads which are refused or break off leave nothing."""

import asyncio
import os
import time

import pytest

from gbvnet.errors import BadConfig
from gbvnet.inference.app.disk_quota import DiskQuota, Upload

KB = 1024


@pytest.fixture
def quota(tmp_path):
    return DiskQuota(tmp_path, 100 * KB, tmp_path / "example")


def write(file, size=10 * KB):
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_bytes(b"x" * size)
    return file


# The disk


def test_what_counts_is_on_the_disk_or_on_its_way(quota, tmp_path):
    mine = write(tmp_path / "hash/mine.csv")
    write(tmp_path / "example/film.avi", 500 * KB)
    os.link(mine, tmp_path / "hash/again.csv")
    assert quota.used() == (10 * KB, 1)
    quota.uploads[1] = Upload(time.time(), 60 * KB)
    assert quota.used() == (70 * KB, 1)
    quota.require(30 * KB)
    with pytest.raises(BadConfig, match="0 MB for the files of all visitors"):
        quota.require(30 * KB + 1)


def test_a_full_disk_is_reported_before_the_quota_is(quota, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10 * KB}))
    with pytest.raises(BadConfig, match=r"0\.0 MB are free"):
        quota.require()


@pytest.mark.journey
def test_the_number_of_files_is_limited_as_well(quota, tmp_path):
    for k in range(quota.max_files - 1):
        write(tmp_path / f"hash/{k}", 0)
    quota.require()
    write(tmp_path / "hash/one", 0)
    with pytest.raises(BadConfig, match=r"keeps 1000 files of all visitors, its limit\. Press Delete my files"):
        quota.require()


def test_temporary_files_go_unless_an_upload_is_writing_them(quota, tmp_path):
    kept = [write(tmp_path / name) for name in ("hash/mine.csv", "example/tmpfilm", "visitor-x/tmp")]
    old = write(tmp_path / "tmpold", 0)
    quota.uploads[1] = Upload(time.time() + 3600, 1)
    quota.remove_orphans()
    assert not old.exists()
    quota.uploads[1] = Upload(time.time(), 1)
    arriving = write(tmp_path / "tmparriving")
    quota.remove_orphans()
    assert arriving.exists()
    quota.uploads.clear()
    quota.remove_orphans()
    assert not arriving.exists() and all(file.exists() for file in kept)


# The middleware

BOUNDARY = b"--x"


def body(*sizes):
    parts = [BOUNDARY + b'\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\n' + b"1" * size
             for size in sizes]  # fmt: skip
    return b"\r\n".join([*parts, b"--x--\r\n"])


def send_to(limits, content, length=None, path="/gradio_api/upload", break_off=False, pieces=4):
    """The answers to a request: the application's own, or a refusal."""
    step = max(1, -(-len(content) // pieces))
    parts = [content[i : i + step] for i in range(0, len(content), step)]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.disconnect"} if break_off else {"type": "http.request", "body": b""})
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    known = str(len(content) if length is None else length).encode()
    headers = [(b"content-type", b"multipart/form-data; boundary=x")] + ([(b"content-length", known)] if known else [])
    asyncio.run(limits({"type": "http", "method": "POST", "path": path, "headers": headers}, receive, send))
    status = next((m["status"] for m in sent if m["type"] == "http.response.start"), None)
    return status, b"".join(m.get("body", b"") for m in sent).decode(), len(messages)


@pytest.fixture
def limits(quota, tmp_path):
    """A framework behind the middleware that writes a temporary file and leaves it if the upload breaks off."""
    pytest.importorskip("python_multipart")
    from gbvnet.inference.app.upload_limits import UploadLimits

    async def framework(scope, receive, send):
        more, temporary = True, tmp_path / "tmp123"
        with temporary.open("wb") as file:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RuntimeError("the client has gone")
                file.write(message.get("body", b""))
                more = message.get("more_body", False)
        temporary.rename(write(tmp_path / "hash/mine.csv"))
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"taken"})

    return UploadLimits(framework, quota)


def test_an_upload_that_fits_passes(limits, quota):
    assert send_to(limits, body(20 * KB)) == (200, "taken", 0)
    assert quota.used()[1] == 1 and quota.uploads == {}


def test_an_upload_without_room_is_refused_before_anything_is_written(limits, quota, tmp_path):
    write(tmp_path / "other/big.csv", 90 * KB)
    status, words, unread = send_to(limits, body(20 * KB))
    assert status == 507 and "MB for the files of all visitors" in words and "Delete my files" in words
    assert unread == 0  # browsers show the answer only then
    assert quota.used() == (90 * KB, 1)
    assert send_to(limits, b"x", length=1 << 40)[::2] == (507, 2)  # so much is not even read
    assert send_to(limits, body(1), length="")[0] == 411


def test_two_uploads_that_fit_alone_but_not_together(limits, quota):
    quota.uploads[1] = Upload(time.time(), 85 * KB)
    assert send_to(limits, body(20 * KB))[0] == 507
    quota.uploads.clear()
    assert send_to(limits, body(20 * KB))[0] == 200


def test_an_upload_that_breaks_off_leaves_nothing(limits, quota, tmp_path):
    assert send_to(limits, body(20 * KB), break_off=True)[0] is None
    assert list(tmp_path.iterdir()) == [] and quota.uploads == {}


def test_many_files_in_one_upload_are_refused_on_their_way(limits, tmp_path):
    status, words, _ = send_to(limits, body(*[10] * 51))
    assert (status, words) == (413, "The upload has more than 50 files.")
    assert list(tmp_path.iterdir()) == []
    assert send_to(limits, body(*[10] * 50))[0] == 200


def test_too_many_at_once_are_requested_to_wait(limits, quota):
    for k in range(16):
        quota.uploads[k] = Upload(time.time(), 1)
    assert send_to(limits, body(10))[0] == 503


def test_an_upload_that_falls_silent_is_ended(limits, tmp_path, monkeypatch):
    monkeypatch.setattr("gbvnet.inference.app.upload_limits.IDLE_S", 0)

    async def silent():
        await asyncio.Event().wait()

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": [(b"content-length", b"9")]}
    asyncio.run(limits(scope, silent, send))
    assert sent[0]["status"] == 408 and list(tmp_path.iterdir()) == []


def test_other_requests_are_short(limits, tmp_path):
    assert send_to(limits, b"x" * 10, path="/gradio_api/queue/join")[0] == 200
    assert send_to(limits, b"x", length=2 << 20, path="/gradio_api/queue/join")[0] == 413


def test_a_fault_of_the_framework_is_not_hidden(limits):
    async def broken(scope, receive, send):
        raise ZeroDivisionError

    limits.app = broken
    with pytest.raises(ZeroDivisionError):
        send_to(limits, body(10))
