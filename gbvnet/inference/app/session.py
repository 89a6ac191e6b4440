"""The visitors of the web page, their files, and the prediction of an upload. Independent of the web framework.

Each visitor has a folder below the server's, for results; uploads are stored where the web framework puts them, below
the server's folder as well, and are claimed by the visitors that use them (the same file sent twice is stored once).
`leave` deletes both.
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
from ...datasets.formats.signal_file import channel_names_in
from ...datasets.single_recording import SIGNAL_SUFFIXES
from ...errors import BadConfig, BadRecording, GbvnetError
from ...io.atomic import atomic_write
from ..predict import predict_recording, recording_of_files
from ..prediction import CSV, DETAILS, RecordingPrediction
from ..predictor import Predictor
from ..timeline import HTML, timeline_html
from .named_files import require_uploaded
from .transcode import playable

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".m4v", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts")
EXAMPLE = "example"  # folder of the synthetic example, below the server's
MAX_AGE_S = 3600  # of uploads and results, if nobody deletes them earlier
MAX_UNCLAIMED_AGE_S = 300  # of an upload that no visitor has claimed
UPLOADS = "[0-9a-f]" * 64  # the web framework's folders, named by a hash of their content
STOPPED = "Stopped."  # because the visitor deleted the files, or left
COMPANION_SUFFIXES = (".eeg", ".dat", ".vmrk", ".amrk", ".fdt")  # of files that belong to a header or .set file
LIMITS = (
    "A model of this kind was trained on ratings that participants gave to videos in a laboratory. It cannot know what "
    "anyone feels, and it does not generalise to subjects, cameras and sensors unlike those of its training. Do not "
    "use it for decisions about anyone."
)
# Options of the command line in error messages -> boxes of the page.
_PAGE_TERMS = (
    (r"--rename ([^\s,]+?)(?=[,.]?(\s|$))", r"\1 in the box “Names of channels”"),
    (r"--times\.signals_rate_hz", "the box “Rate of a CSV”"),
)


@dataclass(frozen=True)
class PredictionRequest:
    """The files and options of a visitor."""

    video: Path | None
    signals: Sequence[Path]  # with companion files
    channel_names: str = ""  # lines MODELNAME=FILENAME
    step_s: float | None = None
    times: Times = field(default_factory=Times)


@dataclass(frozen=True)
class SessionResult:
    """The result of a request: a prediction and files to show, or an error."""

    prediction: RecordingPrediction | None = None
    files: tuple[Path, ...] = ()  # to download
    video: Path | None = None  # in a format that browsers play
    video_start_s: float = 0.0  # second 0 of the curves on the video's clock
    error: str = ""
    channel_names: str | None = None  # lines to complete, for the box of channel names


@dataclass
class Visitors:
    """The visitors of the page and their files. Thread-safe."""

    root: Path
    folders: dict[str, Path] = field(default_factory=dict)
    claims: dict[Path, set[str]] = field(default_factory=dict)
    last_results: dict[str, Path] = field(default_factory=dict)  # folder of a visitor's last result
    lock: Lock = field(default_factory=Lock)

    def folder(self, visitor: str) -> Path:
        """Make an empty folder for one result, below the visitor's own, and return it."""
        with self.lock:
            if visitor not in self.folders:  # its name never depends on what a browser sends
                self.folders[visitor] = Path(tempfile.mkdtemp(prefix="visitor-", dir=self.root))
            return Path(tempfile.mkdtemp(prefix="result-", dir=self.folders[visitor]))

    def claim(self, visitor: str, files: Iterable[Path]) -> None:
        """Note that a visitor uses these uploads; others' and missing files are ignored."""
        with self.lock:
            for file in files:
                if self.root in file.parents and file.exists():
                    self.claims.setdefault(file, set()).add(visitor)

    def keep_last(self, visitor: str, folder: Path) -> None:
        """Delete the files of a visitor's previous result, which the page no longer shows."""
        with self.lock:
            before = self.last_results.pop(visitor, None)
            if folder.is_dir():
                self.last_results[visitor] = folder
        if before is not None and before != folder:
            _delete(before)

    def leave(self, visitor: str) -> None:
        """Delete the results of a visitor, and uploads that no other visitor uses.

        A prediction that is still running for the visitor can write nothing more, as its folder has gone.
        """
        with self.lock:
            folder = self.folders.pop(visitor, None)
            self.last_results.pop(visitor, None)
            for file in [f for f, users in self.claims.items() if visitor in users]:
                self.claims[file].discard(visitor)
                if not self.claims[file]:
                    del self.claims[file]
                    _delete_upload(file)
        if folder is not None:
            _delete(folder)

    def delete_older(self, age_s: float) -> None:
        """Delete results and uploads of all visitors that are older than an age; unclaimed uploads earlier."""
        before = time.time() - age_s
        unused = max(before, time.time() - MAX_UNCLAIMED_AGE_S)
        with self.lock:
            for visitor, folder in list(self.last_results.items()):
                if _changed_s(folder) < before:
                    del self.last_results[visitor]
                    _delete(folder)
            for file in self.root.glob(f"{UPLOADS}/*"):
                if _changed_s(file) < (before if file in self.claims else unused):
                    self.claims.pop(file, None)
                    _delete_upload(file)


def _changed_s(file: Path) -> float:
    """Return when a file or folder was made or renamed, in seconds since 1970; 0 if it does not exist."""
    try:
        return file.stat().st_ctime
    except OSError:
        return 0.0


def _delete_upload(file: Path) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)
        file.parent.rmdir()  # fails if it is not empty: another file with the same content and another name


def _delete(folder: Path) -> None:
    """Delete a folder that other threads may be writing into: it is renamed first, so that nothing new gets there."""
    renamed = folder.with_name(f"left-{folder.name}")
    try:
        folder.rename(renamed)
    except OSError:  # it does not exist; or, on Windows, a file in it is open
        renamed = folder
    shutil.rmtree(renamed, ignore_errors=True)


Progress = Callable[[float | None, str], None]  # share done (None: unknown), and what is being done


def process_request(
    predictor: Predictor, request: PredictionRequest, folder: Path, progress: Progress
) -> SessionResult:
    """Predict a visitor's recording. Never raises: errors are in the result, in words for the page.

    folder : the visitor's, for copies and results; once it is deleted the work stops, and nothing is written. It is
        deleted here as well if there is no result
    """
    files: list[Path] = []
    names: dict[str, str] = {}
    result = SessionResult(error=STOPPED)
    try:
        names = parse_channel_names(request.channel_names)
        progress(None, "reading the files")
        files = _gather_files(request, folder)
        result = _predict(predictor, request, files, names, _StopWhenDeleted(folder, progress))
    except GbvnetError as error:
        if folder.is_dir():
            message, to_complete = in_terms_of_page(str(error), folder), _names_to_complete(predictor, files, names)
            result = SessionResult(error=message, channel_names=to_complete)
    except Exception as error:
        if folder.is_dir():
            # A bug: the page stays up, and the terminal shows the traceback.
            log.exception("a recording could not be predicted")
            message = f"Something went wrong here ({type(error).__name__}). The server's terminal has details."
            result = SessionResult(error=message)
    if not folder.is_dir():
        result = SessionResult(error=STOPPED)
    shutil.rmtree(folder / "files" if result.files else folder, ignore_errors=True)
    return result


@dataclass(frozen=True)
class _StopWhenDeleted:
    """Passes progress on, and raises _VisitorLeft once the visitor's folder is deleted."""

    folder: Path
    progress: Progress

    def __call__(self, share: float | None, doing: str) -> None:
        if not self.folder.is_dir():
            raise _VisitorLeft
        self.progress(share, doing)


def _predict(
    predictor: Predictor, request: PredictionRequest, files: list[Path], names: dict[str, str], report: _StopWhenDeleted
) -> SessionResult:
    folder = report.folder
    corpus: Any = recording_of_files(predictor, files, request.times, names)
    recording = corpus.recordings(corpus.units[0])[0]
    doing = "looking for faces" if predictor.uses_face and recording.video is not None else "predicting"
    report(0.0, doing)
    prediction = predict_recording(
        predictor,
        corpus,
        recording,
        step_s=request.step_s,
        progress=lambda done, n, _="": report(done / n, f"{doing}: {done} of {n} windows"),
    )
    report(None, "drawing the curves")
    for name, content in (*prediction.contents(), (HTML, timeline_html(prediction).encode())):
        atomic_write(folder / name, content)
    video = None
    if request.video is not None:
        doing = "converting the video"
        report(None, doing)
        video = playable(request.video, folder / "video.mp4", lambda share: report(share, doing))
    return SessionResult(
        prediction, tuple(folder / name for name in (CSV, HTML, DETAILS)), video, recording.video_start_s
    )


class _VisitorLeft(GbvnetError):
    """The visitor has closed the page, or deleted all files."""


def parse_channel_names(text: str) -> dict[str, str]:
    """Return the names in lines (or a list with commas) of MODELNAME=FILENAME. Incomplete ones, as `GSR1=`, are
    ignored. Raises BadConfig for a line without an equals sign."""
    names = {}
    for line in re.split(r"[\n,]", text or ""):
        model_name, equals, file_name = (part.strip() for part in line.partition("="))
        if line.strip() and not (model_name and equals):
            raise BadConfig(f"Names of channels: {line.strip()!r}: expected MODELNAME=FILENAME, one per line")
        if file_name:
            names[model_name] = file_name
    return names


def _gather_files(request: PredictionRequest, folder: Path) -> list[Path]:
    """Link the video and the signal file into one folder with companion files, and return the main ones.

    A file that names others must name uploaded ones.

    Raises BadConfig, BadRecording.
    """
    gathered = folder / "files"
    gathered.mkdir()
    files = []
    for uploads, suffixes, expected in (
        ([request.video] if request.video else [], VIDEO_SUFFIXES, "a face video"),
        (request.signals, (*SIGNAL_SUFFIXES, *COMPANION_SUFFIXES), "a file of signals"),
    ):
        for file in uploads:
            if not file.is_file():
                raise BadRecording(file.name, "an upload", "none: it was deleted", "Upload it again.")
            if file.suffix.lower() not in suffixes:
                raise BadRecording(file.name, f"{expected} ({' '.join(suffixes)})", f"{file.suffix or 'no ending'}")
            if file.stat().st_size == 0:
                raise BadRecording(file.name, expected, "an empty file (0 bytes)", "Was it copied completely?")
            files.append(_link(file, gathered / file.name))
    main_files = [f for f in files if f.suffix.lower() not in COMPANION_SUFFIXES]
    if not main_files:
        raise BadConfig("Give a face video, a file of signals, or both")
    for file in main_files:
        require_uploaded(file, {f.name for f in files})
    return main_files


def _link(file: Path, to: Path) -> Path:
    try:
        os.link(file, to)
    except FileExistsError:
        raise BadConfig(f"two files are called {file.name}: give one of them") from None
    except OSError:  # another disk
        shutil.copyfile(file, to)
    return to


def _names_to_complete(predictor: Predictor, files: list[Path], names: dict[str, str]) -> str | None:
    """Return a line for each channel that the signal files lack, with the most similar name in them; None if they have
    all."""
    signals = [f for f in files if f.suffix.lower() in SIGNAL_SUFFIXES]
    if not signals or not predictor.uses_signals:
        return None
    try:
        available = [name for file in signals for name in channel_names_in(file)]
    except GbvnetError:
        return None
    wanted = [c.name for c in predictor.channels]
    missing = match_channels(wanted, available, names).missing
    if not missing:
        return None
    lines = {name: other for name, other in names.items() if name not in missing and name in wanted}
    lines |= {name: next(iter(similar_names(name, available)), "") for name in missing}
    return "\n".join(f"{name}={other}" for name, other in lines.items())


def in_terms_of_page(message: str, folder: Path) -> str:
    """Return an error message without the server's paths, and with the page's boxes in place of options of the command
    line."""
    message = re.sub(rf"{re.escape(str(folder))}/(files/)?", "", message)
    for pattern, term in _PAGE_TERMS:
        message = re.sub(pattern, term, message)
    return message
