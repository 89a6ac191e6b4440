"""The checks of what a system writes and reads: its model folder, its options, what it says of itself."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import BadConfig, BadModel
from .pickle_files import pickle_files
from .results import Outcome
from .system_case import SystemCase, temporary_folder
from .system_training import difference


def check_saving(case: SystemCase) -> Iterator[Outcome]:
    """Save the system, look for pickles, and load it again."""
    with temporary_folder() as parent:
        folder = parent / "model"
        case.fitted.save(folder)
        pickles = pickle_files(folder)
        yield "no pickle", f"save wrote {', '.join(pickles)}" if pickles else None
        differs = difference(case.predicted, case.predict(case.loaded(folder)))
        yield "saved and loaded", f"after loading, {differs}" if differs else None


def check_damage(case: SystemCase) -> Iterator[Outcome]:
    """Load from an empty folder, and from one of which a file that load needs is absent, cut or replaced."""
    promise, needed = "damage is noticed", False
    with temporary_folder() as parent:
        (parent / "empty").mkdir()
        yield promise, _load_error(case, parent / "empty", "an empty folder")
        folder = parent / "model"
        case.fitted.save(folder)
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            name, content = file.relative_to(folder).as_posix(), file.read_bytes()
            file.unlink()
            error = _load_error(case, folder, f"without {name}")
            if error != _loads(f"without {name}"):
                needed = True
                yield promise, error
                for how, damaged in (
                    ("cut in half", content[: len(content) // 2]),
                    ("replaced by bytes", b"\x07" * 64),
                ):
                    file.write_bytes(damaged)
                    yield promise, _load_error(case, folder, f"with {name} {how}")
            file.write_bytes(content)
    yield promise, None if needed else "load needs none of the files that save wrote"


def _loads(what: str) -> str:
    return f"{what}: load returned a system"


def _load_error(case: SystemCase, folder: Path, what: str) -> str | None:
    """Return what loading a damaged folder does other than raising BadModel, or None."""
    try:
        case.loaded(folder)
    except BadModel:
        return None
    except Exception as error:
        return f"{what}: load raised {type(error).__name__}: {error}"
    return _loads(what)


def check_about(case: SystemCase) -> Iterator[Outcome]:
    """Write `about` as JSON and read it."""
    about: Any = case.fitted.about
    if not isinstance(about, dict):
        yield "about", f"it is {about!r:.100}"
        return
    try:
        same = json.loads(json.dumps(about, allow_nan=False)) == about
    except (TypeError, ValueError) as error:
        yield "about", f"{about!r:.200} cannot be written as JSON ({error})"
        return
    yield "about", None if same else f"{about!r:.200} is another after it was written as JSON and read"


def check_unknown_option(case: SystemCase) -> Iterator[Outcome]:
    """Make a system with an option that no system has."""
    try:
        case.make(replace(case.short, options={"no_such_option": 1}))
    except BadConfig:
        happened = None
    except Exception as error:
        happened = f"it raised {type(error).__name__}: {error}"
    else:
        happened = "the option no_such_option was accepted"
    yield "unknown options are refused", happened
