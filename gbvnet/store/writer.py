"""Write a store: begin it, add recordings one by one, each whole or not at all, and finish it with its tables."""

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save as to_safetensors

from ..config import RATINGS
from ..errors import BadStore
from ..io.atomic import atomic_write, is_empty
from ..io.remote import require_path
from .format import (
    COUNTS,
    FILES,
    FORMAT,
    HEADER_FIELDS,
    NAMES,
    NUMBER,
    PREPARE_AGAIN,
    data_file,
    first_wrong_field,
    read_header,
    read_manifest,
)

log = logging.getLogger(__name__)


def create_store(path: Path, settings: dict) -> None:
    """Begin a store, or go on with one that was made with the very same settings. One that an earlier run ended
    without a single recording is begun anew, with whatever settings.

    Raises BadStore naming the first setting that differs, or if the folder cannot be written or holds something else.
    """
    require_path(path)
    manifest = path / "store.json"
    settings = {"format": FORMAT, **settings}
    anew = manifest.exists() and _ended_empty(path)
    if anew:
        log.info("%s: no recording was good before; it is begun anew", path)
    elif manifest.exists():
        _refuse_other_settings(path, read_manifest(path), settings)
    elif path.is_dir() and not is_empty(path):
        raise BadStore(path, "an empty folder or a store", "a folder with other things in it", "Give another folder.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if anew or not manifest.exists():  # before all else: a folder that has it is a store, whenever this ends
            atomic_write(manifest, (json.dumps(settings, indent=2) + "\n").encode())
        elif not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        (path / "data").mkdir(exist_ok=True)
        (path / "locks").mkdir(exist_ok=True)
    except OSError as e:
        raise BadStore(path, "a folder that can be written", e.strerror, "Give another folder.") from None


def _ended_empty(path: Path) -> bool:
    """Whether a run refused every recording: it wrote its verdicts, and nothing else."""
    ended = (path / "recordings.parquet").exists() and not (path / "windows.parquet").exists()
    return ended and next((path / "data").glob("*.safetensors"), None) is None


def _refuse_other_settings(path: Path, made_with: dict, asked: dict) -> None:
    made_with, asked = dict(made_with), dict(asked)
    then, now = made_with.pop("versions", {}), asked.pop("versions", {})
    if "source" in asked:
        made_with.setdefault("source", "preprocessed")  # a store of DEAP from before there was another source
    for name in [*asked, *made_with]:
        was, wanted = made_with.get(name), asked.get(name)
        if isinstance(was, dict) and isinstance(wanted, dict):
            name, was, wanted = _first_difference(name, was, wanted)
        if was != wanted:
            raise BadStore(
                path,
                f"a store made with {name} = {json.dumps(wanted)}",
                f"one made with {json.dumps(was)}",
                "Use another folder, or delete this one to make it anew.",
            )
    changed = sorted(k for k in now if then.get(k) != now[k])
    if changed:
        log.warning(
            "%s: begun with %s, going on with %s",
            path,
            ", ".join(f"{k} {then.get(k)}" for k in changed),
            ", ".join(f"{k} {now[k]}" for k in changed),
        )


def _first_difference(name: str, was: dict, wanted: dict) -> tuple[str, Any, Any]:
    for key in [*wanted, *was]:
        if was.get(key) != wanted.get(key):
            return f"{name}.{key}", was.get(key), wanted.get(key)
    return name, was, wanted


def write_recording(path: Path, recording: str, arrays: dict[str, np.ndarray], about: dict) -> dict:
    """Write one recording's windows, whole or not at all. Returns `about` with the digest of the arrays added.

    The bytes depend on the arrays and `about` alone: no dates, one metadata key (several would be in random order).
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + str(arrays[name].shape).encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    about = {**about, "sha256": digest.hexdigest()}
    target = data_file(path, recording)
    need = sum(a.nbytes for a in arrays.values())
    free = shutil.disk_usage(target.parent).free
    if free < need + 1_000_000:
        raise BadStore(target, f"room for {need / 1e6:.1f} MB", f"{free / 1e6:.1f} MB free", "Free some and run again.")
    contiguous = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    try:
        atomic_write(target, to_safetensors(contiguous, metadata={"gbvnet": json.dumps(about, sort_keys=True)}))
    except OSError as e:
        raise BadStore(target, "a file that can be written", e.strerror, "Finished work is kept; run again.") from None
    return about


def prepared_recording(path: Path, recording: str) -> dict | None:
    """What is known of a recording that was prepared already, or None. Raises BadStore."""
    file = data_file(path, recording)
    if not file.exists():
        return None
    about = read_header(file)[1]
    wrong = first_wrong_field(about, HEADER_FIELDS | {name: int for name in COUNTS if name in about})
    if wrong is None:
        windows = len(about["start_s"])
        numbers = [*about["start_s"], *about["ratings"].values(), *(about.get(name, 0) for name in COUNTS)]
        fits = {
            "recording": about["recording"] == recording,
            "start_s, ratings or counts": all(isinstance(n, NUMBER) and abs(n) < 1e15 for n in numbers),
            "has_face": len(about["has_face"]) == windows and all(type(has) is bool for has in about["has_face"]),
            "findings": all(isinstance(finding, str) for finding in about["findings"]),
        }
        wrong = next((name for name, good in fits.items() if not good), None)
    if wrong:
        raise BadStore(file, f"{wrong} of recording {recording} in its header", "another or none", PREPARE_AGAIN)
    return about


def mark_unfinished(path: Path) -> None:
    """Before anything is added: the tables would no longer tell the whole, so the store counts as unfinished."""
    for table in ("windows.parquet", "recordings.parquet"):
        (path / table).unlink(missing_ok=True)


def finish_store(path: Path, verdicts: list[dict]) -> None:
    """Write both tables. verdicts: one dict a recording, the good ones as `write_recording` returned them.

    Where none is good there are no windows, and the store stays unfinished: only the table of verdicts is written.
    """
    verdicts = sorted(verdicts, key=lambda v: v["recording"])
    columns = [*NAMES, "verdict", "reason", "findings", *COUNTS, "sha256"]
    columns += [name for name in FILES if any(name in verdict for verdict in verdicts)]
    recordings = pd.DataFrame(verdicts).reindex(columns=columns)
    recordings["findings"] = ["; ".join(v.get("findings", ())) for v in verdicts]
    recordings[COUNTS] = recordings[COUNTS].fillna(0).astype("int64")
    for text in columns:
        if text in COUNTS:
            continue
        recordings[text] = recordings[text].astype(object).fillna("").astype(str)  # a column nobody fills is no text
    good = [_window_rows(v) for v in verdicts if v["verdict"] == "ok"]
    if not good:
        mark_unfinished(path)
    atomic_write(path / "recordings.parquet", recordings.to_parquet(index=False))
    if not good:
        return
    windows = pd.concat(good)
    # Last: a store with this table is whole.
    atomic_write(path / "windows.parquet", windows.reset_index(drop=True).to_parquet(index=False))


def _window_rows(about: dict) -> pd.DataFrame:
    n = len(about["start_s"])
    rows: dict = {name: np.full(n, about[name], dtype=object) for name in NAMES}
    rows |= {"window": np.arange(n, dtype=np.int64), "start_s": np.asarray(about["start_s"], dtype=np.float64)}
    rows["has_face"] = np.asarray(about["has_face"], dtype=bool)
    rows["has_signals"] = np.full(n, bool(about["has_signals"]))
    rows |= {r: np.full(n, about["ratings"].get(r, np.nan), dtype=np.float64) for r in RATINGS}
    return pd.DataFrame(rows)
