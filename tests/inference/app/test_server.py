"""The web page in a browser: uploads, curves, downloads, what is refused, two visitors at once, nothing left behind.

`make page` installs what this needs: the extra `app`, playwright, and Chromium.
"""

import functools
import http.client
import http.server
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.datasets.single_recording import SIGNAL_SUFFIXES
from gbvnet.inference.app.session import VIDEO_SUFFIXES
from gbvnet.inference.batch import FileSource, PredictionSettings, predict_many

from ...app_fixtures import write_csv, write_model

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
WAIT = 60_000  # ms
FILE = b'--x\r\ncontent-disposition: form-data; name="files"; filename="foreign.csv"\r\n\r\n1,2\r\n--x--\r\n'
needs_page = pytest.mark.skipif(
    not (find_spec("gradio") and find_spec("playwright") and CHROMIUM),
    reason="the page's tests need gradio, playwright and chromium: make page",
)


def test_without_gradio_the_command_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gbvnet.inference.app.server.find_spec", lambda name: None)
    assert main(["app", str(tmp_path)]) == 2
    assert "pip install 'gbvnet[app]'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model", protocol="window")


class Server:
    """`gbvnet app`, uploads of at most 2 MB, with temporary files below `folder`."""

    def __init__(self, model: Path, folder: Path):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = ["app", str(model), "--port", str(port), "--max-mb", "2", "--max-total-mb", "40", "--device", "cpu"]
        with (folder / "stderr").open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gbvnet", *words], stdout=subprocess.PIPE, text=True, stderr=stderr,
                env=os.environ | {"TMPDIR": str(folder)},
            )  # fmt: skip
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        assert self.line.startswith("http"), (folder / "stderr").read_text()
        self.address, self.folder, self.stderr = self.line.split()[0], folder, folder / "stderr"

    def kept(self) -> list[str]:
        """Names of files that the server keeps of visitors, its example apart."""
        roots = self.folder.glob("gbvnet-app-*")  # os.walk: folders may go meanwhile
        names = [Path(folder, name) for root in roots for folder, _, files in os.walk(root) for name in files]
        return [f.name for f in names if f.parent.name != "example"]

    def request(self, method="GET", path="/", content=None, **headers):
        """Status and body of a request that no browser sends for a page: with any headers."""
        with closing(http.client.HTTPConnection(urlparse(self.address).netloc, timeout=30)) as connection:
            connection.putrequest(method, path, skip_host="host" in headers)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if content is not None:
                connection.putheader("content-type", "multipart/form-data; boundary=x")
                connection.putheader("content-length", str(len(content)))
            connection.endheaders(content)
            with connection.getresponse() as response:
                return response.status, response.read().decode(errors="replace")

    def await_kept(self, wanted):
        """Wait until the server keeps these files and no others."""
        until = time.monotonic() + 30
        while self.kept() != wanted and time.monotonic() < until:
            time.sleep(0.05)
        assert self.kept() == wanted

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    served = Server(model, tmp_path_factory.mktemp("served"))
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playing:
        opened = playing.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page as another visitor; it may ask no other server for anything."""
    contexts, requested, wrong = [], [], []

    def opened(width=1280, scheme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT)
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console", lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None
        )
        page.goto(server.address)
        page.wait_for_selector("#predict")
        return page

    yield opened
    for context in contexts:
        context.close()
    until = time.monotonic() + 30
    while list(server.folder.glob("gbvnet-app-*/visitor-*")) and time.monotonic() < until:
        time.sleep(0.05)
    others = {urlparse(url).netloc for url in requested if not url.startswith(("data:", "blob:"))}
    assert others == {urlparse(server.address).netloc}
    assert wrong == []


def upload(page, box, *files):
    page.locator(f"{box} input[type=file]").set_input_files([str(f) for f in files])
    for file in files:  # the page shows a long name in two parts
        page.locator(box).get_by_text(file.stem[:4]).first.wait_for()


def predict(page):
    page.wait_for_timeout(300)
    page.click("#predict")
    page.wait_for_selector("#result .summary, #result .error")


def curves(page):
    page.wait_for_selector("#curves .js-plotly-plot")


def table(page):
    with page.expect_download() as given:
        page.click("#csv")
    return pd.read_csv(io.BytesIO(Path(given.value.path()).read_bytes()))


def expected(model, files, out):
    predict_many(model, FileSource(files), out, PredictionSettings(device="cpu"))
    return pd.read_csv(out / "emotions.csv")


def same(names, wanted):
    pd.testing.assert_frame_equal(names, wanted, rtol=1e-4)


@needs_page
@pytest.mark.journey
def test_the_example_gives_curves_beside_the_video_and_stamps_are_shown(visit, server):
    page = visit()
    top = page.inner_text("body")
    assert "model trained on synthetic data" in top and "LEAKY" in top
    assert "It cannot know what anyone feels" in top and "temporary folder until you press" in top
    page.click("#example")
    curves(page)
    assert "this recording is synthetic data" in page.inner_text("#result")
    assert page.locator("#curves .scatterlayer .trace").count() == 3  # valence and two gates
    page.wait_for_function("document.querySelector('#player video')?.readyState >= 2")
    page.evaluate("document.querySelector('#player video').currentTime = 6")
    page.wait_for_function("parseFloat(document.querySelector('#curves .cursor')?.style.left) > 100")
    names = table(page)
    assert len(names) == 12 and (names["face_ok"] == 1).all() and names["has_signals"].all()
    film, plot = (page.locator(name).bounding_box() for name in ("#player", "#curves"))
    assert film["x"] + film["width"] <= plot["x"] and abs(film["y"] - plot["y"]) < 40


@needs_page
@pytest.mark.journey
def test_on_a_telephone_nothing_is_wider_than_the_screen(visit):
    page = visit(width=390)
    page.click("#example")
    curves(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    film, plot = (page.locator(name).bounding_box() for name in ("#player", "#curves"))
    assert film["y"] + film["height"] <= plot["y"]


def colours(page, figure):
    """Of the text of a plotly figure, of its first curve, and of its paper."""
    names = "const made = document.querySelector(arguments); const {font, paper_bgcolor} = made._fullLayout;"
    names = names.replace("arguments", repr(figure))
    return page.evaluate("() => {" + names + "return [font.color, made.data[0].line.color, paper_bgcolor]}")


@needs_page
@pytest.mark.journey
def test_the_curves_take_the_colours_of_the_page(visit, browser, tmp_path):
    page, figure = visit(scheme="dark"), "#curves .js-plotly-plot"
    for seconds in (3, 4):  # the second answer's figure is drawn into the first one's place
        upload(page, "#signals", write_csv(tmp_path / f"{seconds}s.csv", seconds))
        predict(page)
        page.get_by_text(f"{seconds}s, from signals: {seconds} windows").wait_for()
        curves(page)
        page.wait_for_function(f"document.querySelector('{figure}')._fullLayout.font.color === '#D5DBE1'")
        assert colours(page, figure) == ["#D5DBE1", "#56B4E9", "rgba(0, 0, 0, 0)"]
        page.locator("#signals [aria-label='Clear']").first.click()
    page.evaluate("document.body.classList.remove('dark')")
    page.wait_for_function(f"document.querySelector('{figure}')._fullLayout.font.color === '#2A3F5F'")
    assert colours(page, figure)[1].lower() == "#0072b2"
    with page.expect_download() as given:
        page.click("#html")
    given.value.save_as(tmp_path / "timeline.html")
    for scheme, text in (("dark", "#D5DBE1"), ("light", "#2a3f5f")):
        context = browser.new_context(color_scheme=scheme)
        opened = context.new_page()
        opened.goto((tmp_path / "timeline.html").as_uri())
        assert colours(opened, "#timeline")[0] == text
        context.close()


@needs_page
@pytest.mark.journey
def test_an_upload_gives_the_table_that_predict_gives_and_is_deleted_when_requested(visit, server, model, tmp_path):
    file = write_csv(tmp_path / "mine.csv", 7, seed=3)
    page = visit()
    upload(page, "#signals", file)
    predict(page)
    curves(page)
    same(table(page), expected(model, [file], tmp_path / "out"))
    with page.expect_download() as given:
        page.click("#json")
    about = json.loads(Path(given.value.path()).read_bytes())
    assert about["signals"] == "mine.csv" and about["worth"] in page.inner_text("#result")
    assert "mine.csv" in server.kept()
    page.click("#delete")
    page.wait_for_selector("#curves", state="hidden")
    assert "mine.csv" not in server.kept()


@needs_page
@pytest.mark.journey
def test_wrong_huge_and_broken_files_are_refused_in_words(visit, server, tmp_path):
    page = visit()
    message = page.inner_text("body")
    assert " ".join(VIDEO_SUFFIXES) in message and all(suffix in message for suffix in SIGNAL_SUFFIXES)
    (tmp_path / "notes.txt").write_text("hello")
    page.locator("#signals input[type=file]").set_input_files(str(tmp_path / "notes.txt"))
    page.get_by_text("Invalid file type").first.wait_for()
    (tmp_path / "huge.csv").write_bytes(b"1" * (3 << 20))
    page.locator("#signals input[type=file]").set_input_files(str(tmp_path / "huge.csv"))
    page.get_by_text("maximum allowed size").first.wait_for()
    assert not any(name in ("notes.txt", "huge.csv") for name in server.kept())
    page = visit()
    (tmp_path / "film.mp4").write_bytes(b"\0" * 2000)
    upload(page, "#video", tmp_path / "film.mp4")
    predict(page)
    assert "film.mp4: expected" in (message := page.inner_text("#result .error"))
    assert str(server.folder) not in message and "Traceback" not in page.inner_text("body")


@needs_page
@pytest.mark.journey
def test_channels_of_other_names_are_requested_for_and_completed(visit, model, tmp_path):
    page = visit()
    upload(page, "#signals", write_csv(tmp_path / "mine.csv", names=("Fp1", "Occ1", "EDA")))
    predict(page)
    assert "none for O1 (near it: Occ1); GSR (near it: EDA)" in page.inner_text("#result .error")
    box = page.locator("#names textarea")
    box.wait_for()
    assert box.input_value() == "O1=Occ1\nGSR=EDA"
    box.fill("O1=Occ1\nGSR=EDA")
    page.click("#predict")
    page.wait_for_selector("#result .summary")
    same(table(page), expected(model, [write_csv(tmp_path / "plain.csv")], tmp_path / "out"))


@needs_page
@pytest.mark.journey
def test_two_visitors_at_once_get_their_own_and_files_are_gone_when_they_leave(visit, server, model, tmp_path):
    files = [write_csv(tmp_path / f"{name}.csv", seconds, seed=seconds) for name, seconds in (("anna", 9), ("ben", 5))]
    pages = [visit() for _ in files]
    for page, file in zip(pages, files, strict=True):
        upload(page, "#signals", file)
        page.wait_for_timeout(300)
    for page in pages:
        page.click("#predict")
    for page, file in zip(pages, files, strict=True):
        curves(page)
        assert page.inner_text("#result .summary").startswith(file.stem)
        same(table(page), expected(model, [file], tmp_path / file.stem))
    pages[0].close()
    until = time.monotonic() + 30
    while "anna.csv" in server.kept() and time.monotonic() < until:
        pages[1].wait_for_timeout(200)
    assert "anna.csv" not in server.kept() and "ben.csv" in server.kept()


UPLOAD = "/gradio_api/upload"


@needs_page
@pytest.mark.journey
def test_requests_of_other_pages_and_under_other_names_are_refused(server):
    own = server.address.rstrip("/")
    assert server.request("POST", UPLOAD, FILE, origin=own, sec_fetch_site="same-origin")[0] == 200
    assert server.request("POST", UPLOAD, FILE)[0] == 200  # no browser: a script of this computer's user
    kept = server.kept()
    port = urlparse(own).port
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{port + 1}"},
        {"sec_fetch_site": "cross-site"},
        {"host": "evil.example"},
        {"host": f"evil.example:{port}", "origin": f"http://evil.example:{port}"},  # after DNS rebinding
    ):
        for method, path, content in (
            ("POST", UPLOAD, FILE),
            ("OPTIONS", UPLOAD, None),
            ("POST", "/gradio_api/queue/join", b"{}"),
            ("POST", "/gradio_api/run/predict", b"{}"),
            ("GET", "/gradio_api/queue/data?session_hash=x", None),
            ("GET", "/gradio_api/heartbeat/x", None),
            ("GET", "/gradio_api/file=/etc/hostname", None),
            ("GET", "/config", None),
            ("GET", "/", None),
        ):
            status, words = server.request(method, path, content, **headers)
            assert (status, words[:8]) == (403, "Refused:"), (headers, path)
    assert server.kept() == kept


@needs_page
@pytest.mark.journey
def test_a_page_of_another_address_can_upload_nothing(browser, server, tmp_path):
    (tmp_path / "page.html").write_text("<h1>another page</h1>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    foreign = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=foreign.serve_forever, daemon=True).start()
    page, kept = browser.new_page(), server.kept()
    try:
        page.goto(f"http://127.0.0.1:{foreign.server_port}/page.html")
        sent = """async ([url, mode]) => {
          const form = new FormData();
          form.append('files', new File(['x'.repeat(1000)], 'foreign.csv'));
          return await fetch(url, {method: 'POST', body: form, mode}).then(got => got.status, () => 'blocked');
        }"""
        with page.expect_response(lambda response: UPLOAD in response.url) as answered:
            assert page.evaluate(sent, [server.address + UPLOAD[1:], "no-cors"]) == 0  # nothing that it may read
        assert answered.value.status == 403
        assert page.evaluate(sent, [server.address + UPLOAD[1:], "cors"]) == "blocked"
        assert server.kept() == kept
    finally:
        page.close()
        foreign.shutdown()
        foreign.server_close()


@needs_page
@pytest.mark.journey
def test_an_upload_that_breaks_off_and_one_of_another_field_leave_nothing(server):
    kept = server.kept()
    with socket.create_connection(("127.0.0.1", urlparse(server.address).port)) as connection:
        head = f"POST {UPLOAD} HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\n"
        connection.sendall(head.encode() + b"content-length: 9000\r\n\r\n" + FILE[:-10])
        until = time.monotonic() + 30
        while server.kept() == kept and time.monotonic() < until:
            time.sleep(0.02)
        assert server.kept() != kept
    server.await_kept(kept)
    server.request("POST", UPLOAD, FILE.replace(b"files", b"other"))
    server.await_kept(kept)
    assert "Traceback" not in server.stderr.read_text()


@needs_page
@pytest.mark.journey
def test_a_full_server_says_so_in_the_page_and_takes_files_again_when_some_are_deleted(visit, server, tmp_path):
    root = next(server.folder.glob("gbvnet-app-*"))
    with (root / "others").open("wb") as others:
        others.truncate(39 << 20)
    try:
        page = visit()
        big = tmp_path / "big.csv"
        big.write_bytes(b"1\n" * 900_000)
        page.locator("#signals input[type=file]").set_input_files(str(big))
        page.get_by_text("40 MB for the files of all visitors").first.wait_for()
        os.truncate(root / "others", 40 << 20)
        page = visit()
        page.click("#example")
        page.wait_for_selector("#result .error")
        assert "0.0 MB are free" in page.inner_text("#result .error")
    finally:
        (root / "others").unlink()
    page.click("#predict")
    page.wait_for_selector("#result .summary")


@needs_page
@pytest.mark.journey
def test_delete_my_files_resets_the_options_and_removes_what_is_still_made(visit, server, tmp_path):
    page, kept = visit(), server.kept()
    upload(page, "#signals", write_csv(tmp_path / "mine.csv", names=("Fp1", "Occ1", "EDA")))
    page.click("#options button")
    page.fill("#start input", "2")
    page.fill("#rate input", "64")
    predict(page)
    page.locator("#names textarea").wait_for()
    page.click("#delete")
    page.wait_for_selector("#names textarea", state="hidden")
    server.await_kept(kept)
    page.click("#options button")
    assert page.locator("#names textarea").input_value() == ""
    assert [page.locator(f"#{box} input").input_value() for box in ("start", "rate")] == ["0", "0"]
    page.click("#example")
    page.get_by_text("looking for faces").first.wait_for()
    page.click("#delete")
    page.wait_for_timeout(3000)  # the answer would be there
    server.await_kept(kept)
    assert page.locator("#curves .js-plotly-plot").count() == 0


@needs_page
@pytest.mark.journey
def test_nothing_is_left_when_the_server_is_reported_to_end(model, tmp_path):
    import urllib.request

    served = Server(model, tmp_path)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(served.address) as answer:
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert len(list(tmp_path.glob("gbvnet-app-*"))) == 1
    served.stop()
    assert served.process.returncode == 0
    assert [f.name for f in tmp_path.iterdir()] == ["stderr"]
    assert "Traceback" not in served.stderr.read_text()
