"""A folder that holds a group of runs, as of an audit or a comparison, with a record of their shared settings."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from .. import __version__
from ..config import flatten
from ..errors import BadConfig, BadRun
from ..former_settings import present_names
from ..io.atomic import is_empty
from ..io.records import convert
from ..io.safe_load import from_json
from ..progress import ProgressCallback
from ..store.window_source import WindowSource
from .run_folder import with_all_options, without_resources, write_json


class _Record(msgspec.Struct):
    """What is read of a group's record."""

    store: dict[str, Any]
    config: dict[str, Any]
    format: int = 1


def begin_run_group(
    file: Path,
    kind: str,
    store: WindowSource,
    settings: dict[str, Any],
    version: int,
    is_member: Callable[[Path], bool] = lambda path: False,
) -> dict[str, Any]:
    """Write the record of a group of runs; or, if it is there, check that it is of these settings. Returns the record.

    kind : what messages call the group ("an audit")
    settings : what must be the same from one call to the next
    version : of the file's format
    is_member : which files and folders may be in the folder before its record is; by default none
    Raises BadRun if the folder holds another group, one of a newer format, or something else.
    """
    folder = file.parent
    plain_settings = _plain(settings)
    record = {
        "format": version,
        "gbvnet": __version__,
        "store": {"digest": store.digest, "title": store.title, "synthetic": store.synthetic},
        "config": plain_settings,
    }
    if not file.exists():
        if folder.is_dir() and not is_empty(folder) and not all(map(is_member, folder.iterdir())):
            raise BadRun(
                folder, f"an empty folder or {kind}", "a folder with other things in it", "Give another folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, record)
        return record
    try:
        existing = from_json(file.read_text())
        earlier = convert(existing, _Record)
        if earlier.format > version:
            remedy = "It was made by a newer gbvnet: update this one, or use another folder."
            raise BadRun(file, f"{kind} of format {version}", f"one of format {earlier.format}", remedy)
        settings_now, settings_then = plain_settings, present_names(earlier.config)
        if "options" in settings_now:  # those left out and those at their defaults are the same
            both, current = (settings_now, settings_then), str(settings_now["system"])
            settings_now, settings_then = (_plain(with_all_options(s, current)) for s in both)
        settings_now, settings_then = (without_resources(s) for s in (settings_now, settings_then))
    except (OSError, ValueError, BadConfig) as error:
        raise BadRun(file, kind, f"a file that cannot be read ({error})", "Delete the folder.") from None
    remedy = "Use another folder, or delete this one."
    for name in settings_now:
        if settings_then.get(name) != settings_now[name]:
            what, now, then = _first_difference(name, settings_now[name], settings_then.get(name))
            raise BadRun(folder, f"{kind} with {what} = {now}", f"one with {then}", remedy)
    digest = earlier.store.get("digest")
    if digest != store.digest:
        this = f"{store.title}, digest {store.digest[:12]}"
        other = f"{earlier.store.get('title')}, digest {str(digest)[:12]}"
        raise BadRun(folder, f"{kind} on the store of {this}", f"one on another store, of {other}", remedy)
    return existing


def _first_difference(name: str, now: Any, then: Any) -> tuple[str, Any, Any]:
    """Return the name and the two values of a setting that differs; of a group of settings of the first in it."""
    if not (isinstance(now, dict) and isinstance(then, dict)):
        return name, now, then
    flat_now, flat_then = flatten({name: now}), flatten({name: then})
    differing = (each for each in {**flat_now, **flat_then} if flat_now.get(each) != flat_then.get(each))
    first = next(differing, name)
    return first, flat_now.get(first), flat_then.get(first)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as a JSON file gives them back, with lists for tuples."""
    return json.loads(json.dumps(settings))


def numbered_progress(progress: ProgressCallback | None, number: int, of: int) -> ProgressCallback | None:
    """Return a callback for the progress of one run of a group, which adds "(2 of 5)" to what is being done."""
    if progress is None:
        return None

    def progress_of_group(done: int, total: int, doing: str = "") -> None:
        progress(done, total, f"({number} of {of}) {doing}")

    return progress_of_group


@contextmanager
def call_periodically(function: Callable[[], None], every_s: float = 1.0) -> Iterator[None]:
    """Call a function every `every_s` seconds from another thread while the block runs, and once more at its end.

    Used to report progress: trainings, here or in other processes, write a line an epoch into their folders.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every_s):
            function()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        function()
