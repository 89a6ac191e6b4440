"""A visitor of the web page and a model: files in, curves out, in words for a page. Knows no web framework.

What is kept where: each visitor has a folder of their own below the server's, for what is made from their files; the
uploads themselves lie where the web framework puts them, below the server's folder as well, and are claimed by the
visitors that use them (the same file sent twice is kept once). `leave` deletes both.
"""

import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from ...config import Times
from ...datasets.channel_names import match_channels, similar_names
from ...datasets.formats.signal_file import names_in
from ...datasets.single_recording import SIGNAL_SUFFIXES, open_recording
from ...errors import BadConfig, BadRecording, GbvnetError
from ...io.atomic import atomic_write
from ..predict import predict_recording
from ..prediction import ABOUT, CSV, Emotions
from ..predictor import Predictor
from ..timeline import HTML, timeline_html
from .transcode import playable

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".m4v", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts")
EXAMPLE = "example"  # folder of the example, below the server's
KEPT_S = 3600  # an upload, and what was made from it, if nobody deletes it earlier
UNUSED_S = 300  # an upload that no page said it has got
UPLOADS = "[0-9a-f]" * 64  # the web framework's folders, named by what is in them
STOPPED = "Stopped."  # because the visitor deleted the files, or left
BESIDE = (".eeg", ".dat", ".vmrk", ".fdt")  # files that go with a .vhdr or .set
LIMITS = (
    "A model of this kind learnt how people rated films in a laboratory. It cannot know what anyone feels, and it "
    "knows nothing of people, cameras and sensors unlike those it was trained on. Not for decisions about a person."
)
# What errors say to users of the command line, in the words of the page.
_PAGE_WORDS = (
    (r"--rename ([^\s,]+?)(?=[,.]?(\s|$))", r"\1 in the box “Names of channels”"),
    (r"--times\.signals_rate_hz", "the box “Rate of a CSV”"),
)


@dataclass(frozen=True)
class Asked:
    """What a visitor asks."""

    video: Path | None
    signals: Sequence[Path]  # with the files that go with it
    names: str = ""  # lines MODELNAME=FILENAME
    step_s: float | None = None
    times: Times = field(default_factory=Times)


@dataclass(frozen=True)
class Answer:
    """What comes of it: the emotions and files to show, or what is wrong."""

    emotions: Emotions | None = None
    files: tuple[Path, ...] = ()  # to download
    video: Path | None = None  # one that browsers play
    video_start_s: float = 0.0  # of the curves' 0, on the video's clock
    problem: str = ""
    names: str | None = None  # what to put into the box of names: lines to complete


@dataclass
class Visitors:
    """Who is here, and which files are theirs. Safe to use from several threads."""

    root: Path
    folders: dict[str, Path] = field(default_factory=dict)
    claims: dict[Path, set[str]] = field(default_factory=dict)
    answered: dict[str, Path] = field(default_factory=dict)  # the folder of a visitor's last answer
    lock: Lock = field(default_factory=Lock)

    def folder(self, visitor: str) -> Path:
        """A new empty folder for one answer, below the visitor's own."""
        with self.lock:
            if visitor not in self.folders:  # never named by what a browser sends
                self.folders[visitor] = Path(tempfile.mkdtemp(prefix="visitor-", dir=self.root))
            return Path(tempfile.mkdtemp(prefix="answer-", dir=self.folders[visitor]))

    def claim(self, visitor: str, files: Iterable[Path]) -> None:
        """Note that a visitor uses these uploads; files that are not there, or not the server's, count for nothing."""
        with self.lock:
            for file in files:
                if self.root in file.parents and file.exists():
                    self.claims.setdefault(file, set()).add(visitor)

    def keep_last(self, visitor: str, folder: Path) -> None:
        """Delete the files of a visitor's answer before this one: the page no longer shows it."""
        with self.lock:
            before = self.answered.pop(visitor, None)
            if folder.is_dir():
                self.answered[visitor] = folder
        if before is not None and before != folder:
            _delete(before)

    def leave(self, visitor: str) -> None:
        """Delete what was made for a visitor, and uploads that nobody else uses.

        What is still at work for the visitor can write nothing more: its folder has gone.
        """
        with self.lock:
            made = self.folders.pop(visitor, None)
            self.answered.pop(visitor, None)
            for file in [f for f, by in self.claims.items() if visitor in by]:
                self.claims[file].discard(visitor)
                if not self.claims[file]:
                    del self.claims[file]
                    _delete_upload(file)
        if made is not None:
            _delete(made)

    def delete_older(self, age_s: float) -> None:
        """Delete answers and uploads of all visitors that were made longer ago; uploads that nobody uses earlier."""
        before = time.time() - age_s
        unused = max(before, time.time() - UNUSED_S)
        with self.lock:
            for visitor, folder in list(self.answered.items()):
                if _changed(folder) < before:
                    del self.answered[visitor]
                    _delete(folder)
            for file in self.root.glob(f"{UPLOADS}/*"):
                if _changed(file) < (before if file in self.claims else unused):
                    self.claims.pop(file, None)
                    _delete_upload(file)


def _changed(file: Path) -> float:
    """When a file or folder was made or renamed; long ago if it is not there."""
    try:
        return file.stat().st_ctime
    except OSError:
        return 0.0


def _delete_upload(file: Path) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)
        file.parent.rmdir()  # fails if it is not empty: another file of the same content and another name


def _delete(folder: Path) -> None:
    """Delete a folder that others may be writing into: first it loses its name, so that nothing new can get there."""
    gone = folder.with_name(f"left-{folder.name}")
    try:
        folder.rename(gone)
    except OSError:  # it is not there; or, on Windows, a file in it is open
        gone = folder
    shutil.rmtree(gone, ignore_errors=True)


def answer(predictor: Predictor, asked: Asked, folder: Path, progress: Callable[[float | None, str], None]) -> Answer:
    """Ask a model about a visitor's recording. Never raises: what is wrong is told in words.

    folder : the visitor's, where copies and results go; once it is deleted the work stops, and nothing is written.
        It is deleted here as well unless there is an answer
    progress : called with the share done (None: not known) and what is being done
    """
    files: list[Path] = []
    names: dict[str, str] = {}
    made = Answer(problem=STOPPED)
    try:
        names = named(asked.names)
        progress(None, "reading the files")
        files = _gathered(asked, folder)
        made = _answered(predictor, asked, files, names, folder, progress)
    except GbvnetError as error:
        if folder.is_dir():
            made = Answer(problem=in_page_words(str(error), folder), names=_to_complete(predictor, files, names))
    except Exception as error:
        if folder.is_dir():
            # A fault of ours: the page stays up, and the terminal has the rest.
            log.exception("a recording could not be answered for")
            words = f"Something went wrong here ({type(error).__name__}). The server's terminal tells more."
            made = Answer(problem=words)
    if not folder.is_dir():
        made = Answer(problem=STOPPED)
    shutil.rmtree(folder / "files" if made.files else folder, ignore_errors=True)
    return made


def _answered(
    predictor: Predictor,
    asked: Asked,
    files: list[Path],
    names: dict[str, str],
    folder: Path,
    progress: Callable[[float | None, str], None],
) -> Answer:
    def told(share: float | None, what: str) -> None:
        if not folder.is_dir():
            raise _Left
        progress(share, what)

    about = predictor.about
    wanted = predictor.channels if predictor.sees_signals else ()
    corpus: Any = open_recording(files, wanted, about["rate_hz"], about["baseline_s"], asked.times, names, about)
    recording = corpus.recordings(corpus.units[0])[0]
    doing = "looking for faces" if predictor.sees_face and recording.video is not None else "asking the model"
    told(0.0, doing)
    emotions = predict_recording(
        predictor,
        corpus,
        recording,
        step_s=asked.step_s,
        progress=lambda done, n, _="": told(done / n, f"{doing}: {done} of {n} windows"),
    )
    told(None, "drawing the curves")
    for name, content in (*emotions.contents(), (HTML, timeline_html(emotions).encode())):
        atomic_write(folder / name, content)
    video = None
    if asked.video is not None:
        told(None, "making the video playable")
        video = playable(asked.video, folder / "video.mp4", lambda share: told(share, "making the video playable"))
    return Answer(emotions, tuple(folder / name for name in (CSV, HTML, ABOUT)), video, recording.video_start_s)


class _Left(GbvnetError):
    """The visitor has gone, or deleted all files."""


def named(text: str) -> dict[str, str]:
    """Lines (or a list with commas) of MODELNAME=FILENAME; what is left open, as in `GSR1=`, counts for nothing.

    Raises BadConfig for a line without an equals sign.
    """
    names = {}
    for line in re.split(r"[\n,]", text or ""):
        one, equals, other = (part.strip() for part in line.partition("="))
        if line.strip() and not (one and equals):
            raise BadConfig(f"Names of channels: {line.strip()!r}: expected MODELNAME=FILENAME, one a line")
        if other:
            names[one] = other
    return names


def _gathered(asked: Asked, folder: Path) -> list[Path]:
    """The video and the signal file, in one folder with what goes with it. Raises BadConfig, BadRecording."""
    together = folder / "files"
    together.mkdir()
    files = []
    for given, suffixes, what in (
        ([asked.video] if asked.video else [], VIDEO_SUFFIXES, "a face video"),
        (asked.signals, (*SIGNAL_SUFFIXES, *BESIDE), "a file of signals"),
    ):
        for file in given:
            if not file.is_file():
                raise BadRecording(file.name, "an upload", "none: it was deleted", "Upload it again.")
            if file.suffix.lower() not in suffixes:
                raise BadRecording(file.name, f"{what} ({' '.join(suffixes)})", f"{file.suffix or 'no ending'}")
            if file.stat().st_size == 0:
                raise BadRecording(file.name, what, "an empty file (0 bytes)", "Was it copied to its end?")
            files.append(_linked(file, together / file.name))
    mains = [f for f in files if f.suffix.lower() not in BESIDE]
    if not mains:
        raise BadConfig("Give a face video, a file of signals, or both")
    return mains


def _linked(file: Path, to: Path) -> Path:
    try:
        os.link(file, to)
    except FileExistsError:
        raise BadConfig(f"two files are called {file.name}: give one of them") from None
    except OSError:  # another disk
        shutil.copyfile(file, to)
    return to


def _to_complete(predictor: Predictor, files: list[Path], names: dict[str, str]) -> str | None:
    """A line for each channel that a signal file has not, with the nearest name that it has; None if it has all."""
    signals = next((f for f in files if f.suffix.lower() in SIGNAL_SUFFIXES), None)
    if signals is None or not predictor.sees_signals:
        return None
    try:
        have = names_in(signals)
    except GbvnetError:
        return None
    wanted = [c.name for c in predictor.channels]
    absent = match_channels(wanted, have, names).missing
    if not absent:
        return None
    kept = {name: other for name, other in names.items() if name not in absent and name in wanted}
    kept |= {name: next(iter(similar_names(name, have)), "") for name in absent}
    return "\n".join(f"{name}={other}" for name, other in kept.items())


def in_page_words(message: str, folder: Path) -> str:
    """An error without the server's paths, and with the page's boxes for the command line's options."""
    message = re.sub(rf"{re.escape(str(folder))}/(files/)?", "", message)
    for pattern, words in _PAGE_WORDS:
        message = re.sub(pattern, words, message)
    return message
