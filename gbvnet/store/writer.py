"""Write a store: begin it, add recordings one by one, each whole or not at all, and finish it with its tables."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save as to_safetensors

from ..config import ADDED_SETTINGS
from ..datasets.label_columns import LabelColumn
from ..errors import BadStore
from ..io.atomic import atomic_write, is_empty
from ..io.records import convert
from ..io.remote import require_path
from .format import (
    COUNTS,
    FILES,
    FORMAT,
    FORMER,
    FORMER_LABELS,
    NAMES,
    PREPARE_AGAIN,
    RecordingHeader,
    check_ratings,
    data_file,
    labels_of,
    read_header,
    read_manifest,
)

log = logging.getLogger(__name__)


def create_store(path: Path, settings: dict) -> dict:
    """Create a store, or continue one with exactly the same settings. If an earlier run ended without a good recording,
    the store is created again, with any settings.

    Returns the settings that hold: a store of format 2 is continued in its format, with the labels that it has.
    Raises BadStore naming the first setting that differs, or if the folder cannot be written or holds something else.
    """
    require_path(path)
    manifest = path / "store.json"
    settings = {"format": FORMAT, **settings}
    again = manifest.exists() and _is_without_recordings(path)
    if again:
        log.info("%s: no recording was good before; it is created again", path)
    elif manifest.exists():
        existing = read_manifest(path)
        if existing["format"] == FORMER:
            settings = _as_former(path, settings)
        _refuse_other_settings(path, existing, settings)
    elif path.is_dir() and not is_empty(path):
        raise BadStore(path, "an empty folder or a store", "a folder with other things in it", "Give another folder.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if again or not manifest.exists():  # first: a folder with this file is a store, even if the run is killed now
            atomic_write(manifest, (json.dumps(settings, indent=2) + "\n").encode())
        elif not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        (path / "data").mkdir(exist_ok=True)
        (path / "locks").mkdir(exist_ok=True)
    except OSError as e:
        raise BadStore(path, "a folder that can be written", e.strerror, "Give another folder.") from None
    return settings


def _as_former(path: Path, settings: dict) -> dict:
    """Return the settings with which a store of format 2 is continued, with a warning about labels that have no column
    there. Raises BadStore if a label that has one could have values that it does not allow."""
    usual, without = labels_of({"labels": FORMER_LABELS}), []
    for name, column in labels_of(settings).items():
        former = usual.get(name)
        if former is None:
            without.append(name)
        elif column.trace or column.scale is None or not all(map(former.allows, column.scale)):
            wanted = f"a store that can hold {name} {column.allowed}" + " changing in time" * column.trace
            actual = f"one of format {FORMER}, which has it {former.allowed}, one value a recording"
            raise BadStore(path, wanted, actual, "Use another folder; this store can still be read.")
    if without:
        lacks, remedy = ", ".join(without), "prepare into another folder to have them"
        log.warning("%s: continued in store format %d, which has no column for %s; %s", path, FORMER, lacks, remedy)
    return settings | {"format": FORMER, "labels": FORMER_LABELS}


def _is_without_recordings(path: Path) -> bool:
    """Return whether a run refused every recording: it wrote the table of recordings, and nothing else."""
    ended = (path / "recordings.parquet").exists() and not (path / "windows.parquet").exists()
    return ended and next((path / "data").glob("*.safetensors"), None) is None


def _refuse_other_settings(path: Path, existing: dict, wanted: dict) -> None:
    existing, wanted = dict(existing), dict(wanted)
    then, now = existing.pop("versions", {}), wanted.pop("versions", {})
    if "source" in wanted:
        existing.setdefault("source", "preprocessed")  # a store of DEAP from before there was another source
    for settings in (existing, wanted):
        settings["prepare"] = ADDED_SETTINGS | settings["prepare"]
    for name in [*wanted, *existing]:
        old, new = existing.get(name), wanted.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            name, old, new = _first_difference(name, old, new)
        if old != new:
            raise BadStore(
                path,
                f"a store made with {name} = {json.dumps(new)}",
                f"one made with {json.dumps(old)}",
                "Use another folder, or delete this one to make it again.",
            )
    changed = sorted(k for k in now if then.get(k) != now[k])
    if changed:
        log.warning(
            "%s: begun with %s, continued with %s",
            path,
            ", ".join(f"{k} {then.get(k)}" for k in changed),
            ", ".join(f"{k} {now[k]}" for k in changed),
        )


def _first_difference(name: str, old: dict, new: dict) -> tuple[str, Any, Any]:
    for key in [*new, *old]:
        if old.get(key) != new.get(key):
            return f"{name}.{key}", old.get(key), new.get(key)
    return name, old, new


def write_recording(path: Path, recording: str, arrays: dict[str, np.ndarray], metadata: dict) -> dict:
    """Write one recording's windows, whole or not at all. Returns its metadata with the digest of the arrays added.

    The bytes depend on arrays and metadata alone: no dates, and one key (several would be in random order). Raises
    BadStore if the disk is full or cannot be written.
    """
    metadata = {**metadata, "sha256": arrays_digest(arrays)}
    target = data_file(path, recording)
    need = sum(a.nbytes for a in arrays.values())
    free = shutil.disk_usage(target.parent).free
    if free < need + 1_000_000:
        raise BadStore(
            target, f"room for {need / 1e6:.1f} MB", f"{free / 1e6:.1f} MB free", "Free some space and run again."
        )
    contiguous = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    try:
        atomic_write(target, to_safetensors(contiguous, metadata={"gbvnet": json.dumps(metadata, sort_keys=True)}))
    except OSError as e:
        raise BadStore(target, "a file that can be written", e.strerror, "Finished work is kept; run again.") from None
    return metadata


def arrays_digest(arrays: dict[str, np.ndarray]) -> str:
    """Return the sha256 of a recording's arrays, with their names and shapes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + str(arrays[name].shape).encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def prepared_recording(path: Path, recording: str) -> dict | None:
    """Return the metadata of a recording that was prepared already, or None. Raises BadStore."""
    file = data_file(path, recording)
    if not file.exists():
        return None
    metadata = read_header(file)[1]
    try:
        header = convert(metadata, RecordingHeader)
    except ValueError as e:
        expected = f"the metadata of recording {recording} in its header"
        raise BadStore(file, expected, f"other contents ({e})", PREPARE_AGAIN) from None
    if header.recording != recording:
        raise BadStore(file, f"a file of recording {recording}", f"one of {header.recording}", PREPARE_AGAIN)
    if len(header.has_face) != len(header.start_s):
        expected = f"has_face of {len(header.start_s)} windows"
        raise BadStore(file, expected, f"{len(header.has_face)}", PREPARE_AGAIN)
    settings = read_manifest(path)
    if settings["format"] != FORMER:
        check_ratings(file, header, labels_of(settings))
    return metadata


def mark_unfinished(path: Path) -> None:
    """Delete the tables before recordings are added: they would be incomplete, so the store counts as unfinished."""
    for table in ("windows.parquet", "recordings.parquet"):
        (path / table).unlink(missing_ok=True)


def finish_store(path: Path, recordings: list[dict]) -> None:
    """Write both tables. recordings: the metadata of each, of the good ones as `write_recording` returned it.

    If none is good there are no windows, and the store stays unfinished: only the table of recordings is written.
    """
    recordings = sorted(recordings, key=lambda metadata: metadata["recording"])
    columns = [*NAMES, "verdict", "reason", "findings", *COUNTS, "sha256"]
    columns += [name for name in FILES if any(name in metadata for metadata in recordings)]
    table = pd.DataFrame(recordings).reindex(columns=columns)
    table["findings"] = ["; ".join(metadata.get("findings", ())) for metadata in recordings]
    table[COUNTS] = table[COUNTS].fillna(0).astype("int64")
    for text in columns:
        if text not in COUNTS:
            table[text] = table[text].astype(object).fillna("").astype(str)  # an empty column has no type
    labels = labels_of(read_manifest(path))
    good = [metadata for metadata in recordings if metadata["verdict"] == "ok"]
    if not good:
        mark_unfinished(path)
    atomic_write(path / "recordings.parquet", table.to_parquet(index=False))
    if not good:
        return
    # Last: a store with this table is finished.
    atomic_write(path / "windows.parquet", _window_rows(good, labels).to_parquet(index=False))


def _window_rows(recordings: list[dict], labels: dict[str, LabelColumn]) -> pd.DataFrame:
    """Return the table of windows of these recordings, whose metadata are as `write_recording` returned them."""
    lengths = [len(metadata["start_s"]) for metadata in recordings]

    def column(kind: type, values: Iterable) -> np.ndarray:
        """values : of each recording one for all its windows, or one a window"""
        parts: list[np.ndarray] = [np.full(n, value, dtype=kind) for n, value in zip(lengths, values, strict=True)]
        return np.concatenate(parts)

    rows = {name: column(object, (metadata[name] for metadata in recordings)) for name in NAMES}
    rows["window"] = column(np.int64, map(np.arange, lengths))
    rows["start_s"] = column(np.float64, (metadata["start_s"] for metadata in recordings))
    rows["has_face"] = column(bool, (metadata["has_face"] for metadata in recordings))
    rows["has_signals"] = column(bool, (metadata["has_signals"] for metadata in recordings))
    for name, label in labels.items():
        missing, kind = ("", object) if label.is_category else (np.nan, np.float64)
        values = (m.get("window_ratings", {}).get(name, m["ratings"].get(name, missing)) for m in recordings)
        rows[name] = column(kind, values)  # None, where a window has none, becomes NaN
    return pd.DataFrame(rows)
