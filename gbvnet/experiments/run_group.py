"""A folder that holds a series of runs, as of an audit or a comparison: what was asked for is noted in it once."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import present_names
from ..errors import BadRun
from ..io.atomic import is_empty
from ..io.safe_load import from_json
from ..progress import ProgressCallback
from ..store.reader import Store
from .run_folder import write_json


def begin_series(file: Path, what: str, store: Store, settings: dict[str, Any], form: int) -> dict[str, Any]:
    """Note in `file` what a series is made with; or, if it is there, check that it is this one. Returns what it holds.

    what : how messages call it ("an audit"). settings : what must be the same from one call to the next.
    form : the number of the file's format.
    Raises BadRun if the folder holds another series, or something else.
    """
    folder = file.parent
    about = {
        "format": form,
        "gbvnet": __version__,
        "store": {"digest": store.digest, "title": store.title, "synthetic": store.synthetic},
        "config": json.loads(json.dumps(settings)),
    }
    if not file.exists():
        if folder.is_dir() and not is_empty(folder):
            raise BadRun(
                folder, f"an empty folder or {what}", "a folder with other things in it", "Give another folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, about)
        return about
    try:
        held = from_json(file.read_text())
        then = {**present_names(held["config"]), "store": held["store"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRun(file, what, f"a file that cannot be read ({error})", "Delete the folder.") from None
    remedy = "Use another folder, or delete this one."
    for name, value in about["config"].items():
        if then.get(name) != value:
            raise BadRun(folder, f"{what} with {name} = {value}", f"one with {then.get(name)}", remedy)
    if then["store"] != about["store"]:
        of_it, of_this = (_of_store(one) for one in (then["store"], about["store"]))
        raise BadRun(folder, f"{what} on the store of {of_this}", f"one on another store, of {of_it}", remedy)
    return held


def _of_store(noted: Any) -> str:
    one = noted if isinstance(noted, dict) else {}
    return f"{one.get('title')}, digest {str(one.get('digest'))[:12]}"


def numbered(progress: ProgressCallback | None, number: int, of: int) -> ProgressCallback | None:
    """Progress within one run of a series, which says which of them it is."""
    if progress is None:
        return None

    def of_series(done: int, total: int, doing: str = "") -> None:
        progress(done, total, f"({number} of {of}) {doing}")

    return of_series


@contextmanager
def polled(look: Callable[[], None], every_s: float = 1.0) -> Iterator[None]:
    """Call `look` every so many seconds from another thread, and once more at the end: trainings, here or in other
    processes, leave a line an epoch in their folders."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every_s):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        look()
