"""`gbvnet --version`: the version, and what a report of a bug needs to know of the machine. Nothing is imported."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from .. import __version__
from .progress import columns

# Packages whose versions most often explain a difference between two machines, in the order of the page.
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "torch", "lightning", "mediapipe", "av", "mne")
ABSENT = "not installed"
_NVIDIA = Path("/proc/driver/nvidia/gpus")  # a folder a GPU, where the driver of Linux is loaded
_AMD = Path("/sys/class/kfd/kfd/topology/nodes")  # a folder a processor; GPUs have SIMD units
_WSL = Path("/dev/dxg")  # where Windows passes its GPUs on to Linux


def version_text() -> str:
    """Return the version in the first line, then a line each for Python, packages, extras, GPU and landmark model."""
    return "\n".join([f"gbvnet {__version__}", *(f"  {line}" for line in columns(list(_rows())))])


def extras() -> dict[str, list[str]]:
    """Return the packages of each extra as the installed package declares them; empty if gbvnet is not installed."""
    from importlib.metadata import requires

    try:
        lines = requires("gbvnet") or []
    except ImportError:  # a folder on PYTHONPATH
        return {}
    wanted: dict[str, list[str]] = {}
    for line in lines:
        if match := re.fullmatch(r"([\w.-]+).*;\s*extra\s*==\s*[\"']([\w-]+)[\"']", line):
            wanted.setdefault(match[2], []).append(match[1])
    return wanted


def _rows() -> Iterator[tuple[str, str]]:
    yield "Python", f"{platform.python_version()}, {_system()}"
    for name in PACKAGES:
        yield name, _version(name)
    for extra, packages in extras().items():
        if extra != "dev":
            yield f"extra {extra}", ", ".join(f"{name} {_version(name)}" for name in packages)
    yield "GPU", _gpus()
    yield "landmark model", _landmark_model()


def _version(package: str) -> str:
    from importlib.metadata import version

    try:
        return version(package)
    except ImportError:
        return ABSENT


def _system() -> str:
    """The operating system and the kind of processor. platform.platform() would start a process on some systems."""
    system = os.uname() if hasattr(os, "uname") else None
    return f"{system.sysname} {system.release} {system.machine}" if system else f"{sys.platform} {platform.machine()}"


def _gpus() -> str:
    """What the system lists; whether torch can use it depends on torch's build, which its version names."""
    names = []
    for file in sorted(_NVIDIA.glob("*/information")):
        try:
            match = re.search(r"^Model:\s*(.+)$", file.read_text(errors="replace"), re.MULTILINE)
        except OSError:
            match = None
        names.append(match[1].strip() if match else "NVIDIA")
    if not names and _WSL.exists():
        names.append("one of Windows (WSL)")
    for file in sorted(_AMD.glob("*/properties")):
        try:
            is_gpu = re.search(r"^simd_count [1-9]", file.read_text(errors="replace"), re.MULTILINE)
        except OSError:
            continue
        names += ["AMD"] * bool(is_gpu)
    if sys.platform == "darwin" and platform.machine() == "arm64":
        names.append("Apple")
    return ", ".join(names) or "none listed by the system"


def _landmark_model() -> str:
    from ..errors import BadModel
    from ..io.landmark_model import NAME, cache_folder, landmark_model_path

    folder = str(cache_folder()).replace(str(Path.home()), "~", 1)
    try:
        landmark_model_path()
    except BadModel:
        state = "not usable" if (cache_folder() / NAME).exists() else "none"
        return f"{state} in {folder}: run `gbvnet weights`"
    return f"in {folder}"
