"""The kind of a path on the command line: a store, a run, a model, a video.

Arguments in the wrong order are reported before anything is read or written. Only the names of files are checked.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from ..errors import BadConfig

VIDEOS = frozenset(".avi .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .webm .wmv".split())
SIGNALS = frozenset(
    ".bdf .cnt .csv .edf .eeg .fdt .fif .gdf .gz .mat .mff .set .tsv .txt .vhdr .vmrk .xdf .xlsx".split()
)
# Kind -> its name in messages, and the files or folders that identify it. The first match counts.
_FOLDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "store": ("a store of windows", ("store.json",)),
    "model": ("a model folder", ("config.json", "model.safetensors")),
    "training": ("the working folder of a training", ("train.json",)),
    "comparison": ("a comparison", ("compare.json",)),
    "audit": ("an audit", ("audit.json",)),
    "run": ("a run", ("config.yaml", "environment.json")),
    "seeds": ("a group of seeds", ("seeds.json",)),
    "report": ("a report", ("report.html",)),
    "prediction": ("a prediction", ("emotions.csv",)),
    "deap": ("a DEAP folder", ("data_preprocessed_python",)),
    "deap-raw": ("a DEAP folder", ("data_original",)),
    "mahnob": ("a MAHNOB-HCI folder", ("Sessions",)),
    "dreamer": ("a DREAMER folder", ("DREAMER.mat",)),
    "table": ("a folder with a recordings table", ("recordings.csv",)),
    "xdf": ("a folder of XDF files with their xdf.yaml", ("xdf.yaml",)),
}
CORPORA = ("deap", "deap-raw", "dreamer", "mahnob", "table", "xdf")
_DESCRIPTIONS = {kind: words for kind, (words, _) in _FOLDERS.items()} | {
    "video": "a video file",
    "signals": "a file of signals",
    "corpus": "the folder of a corpus",
    "new": "a new folder",
}


class Argument(NamedTuple):
    """A path on the command line, its name there, and the kinds that it may have.

    A path of no known kind is checked by the function that opens it.
    """

    name: str
    path: Path
    kinds: tuple[str, ...]


def kind_of(path: Path) -> str | None:
    """Return the kind of a path; None if it does not exist, is an address, or has no known kind."""
    if path.is_dir():
        return next(
            (kind for kind, (_, names) in _FOLDERS.items() if all((path / name).exists() for name in names)), None
        )
    if not path.is_file():
        return None
    return "video" if path.suffix.lower() in VIDEOS else "signals" if path.suffix.lower() in SIGNALS else None


def require_kinds(command: str, arguments: Sequence[Argument], order: str = "") -> None:
    """Raise BadConfig for the first argument of a wrong kind, with the right order of the arguments.

    order : as text; that of `arguments` by default
    """
    for argument in arguments:
        kind = kind_of(argument.path)
        if kind is None or kind in argument.kinds or (kind in CORPORA and "corpus" in argument.kinds):
            continue
        order = order or " ".join(each.name for each in arguments)
        option = f" Recordings of a corpus: --corpus {kind.removesuffix('-raw')}" if kind in CORPORA else ""
        raise BadConfig(
            f"{argument.name} must be {_describe_kinds(argument.kinds)}, and {argument.path} is {_DESCRIPTIONS[kind]}. "
            f"The order is: gbvnet {command} {order}.{option if command == 'predict' else ''}"
        )


def _describe_kinds(kinds: Sequence[str]) -> str:
    return " or ".join(_DESCRIPTIONS[kind] for kind in kinds)


def require_folder_to_write(path: Path) -> None:
    """Raise BadConfig if the folder to write has the name of a video or signal file: it was meant as an input."""
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in VIDEOS | SIGNALS:
        return
    what = _DESCRIPTIONS["video" if suffix in VIDEOS else "signals"]
    if path.exists():
        raise BadConfig(f"{path} is {what}, and the last argument is the folder to write: give a folder after it")
    raise BadConfig(
        f"{path}: no such file{near_name_hint(path)}. The last argument is the folder to write, and this is "
        f"the name of {what}: give the right name of the file, and a folder after it"
    )


def near_name_hint(path: Path) -> str:
    """Return " (did you mean NAME?)" with a similar file name of the same folder; "" if there is none."""
    try:
        names = sorted(file.name for file in path.parent.iterdir() if file.is_file())
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else ""
