"""Files of predictions of other programs as results beside those of run folders."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import BadRun, GbvnetError
from ..evaluation.outside_labels import Origin, OutsideResult, Reference, complete
from ..evaluation.outside_predictions import MAX_BYTES, is_table, read_outside
from ..evaluation.predictions import KEYS
from ..evaluation.scores import evaluate
from ..provenance import OUTSIDE_SYSTEM, SYNTHETIC
from .results import Result, Run, read_results

log = logging.getLogger(__name__)


def read_all_results(paths: Sequence[Path], scored: Sequence[Result] = ()) -> tuple[list[Result], list[GbvnetError]]:
    """Score run folders, and files of predictions beside them. Returns and raises as results.read_results.

    paths : run folders, and files that end in .csv, .tsv or .parquet
    scored : results that were read before; as those of the folders, they may supply labels for the files
    """
    files = list(dict.fromkeys(path.resolve() for path in map(Path, paths) if is_table(path)))
    folders = [path for path in map(Path, paths) if not is_table(path)]
    if not files:
        return read_results(folders, scored)
    of_runs: list[Result] = []
    errors: list[GbvnetError] = []
    try:
        of_runs, errors = read_results(folders, scored) if folders or scored else ([], [])
    except GbvnetError as error:  # a file may have labels of its own
        errors = [error]
    outside: list[Result] = []
    for file, name in _without_copies(files):
        try:
            outside += _results_of_file(file, name, of_runs)
        except GbvnetError as error:
            errors.append(error)
    if not (of_runs or outside):
        if len(errors) == 1:
            raise errors[0]
        raise BadRun("report", "at least one finished run", "; ".join(map(str, errors)))
    return read_results([], [*of_runs, *_with_unique_systems(outside)])[0], errors


def _without_copies(files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield files with their names in the report. A copy of a file before it is left out: its predictions would be
    compared with themselves, and make every adjusted p larger."""
    names = [file.name for file in files]
    known: dict[str, str] = {}  # name in the report, by digest
    for file in files:
        name = file.name if names.count(file.name) == 1 else f"{file.parent.name}/{file.name}"
        digest = _digest(file)
        if digest in known:
            log.warning("%s: the predictions of %s again; they count once", name, known[digest])
            continue
        known[digest] = name
        yield file, name


def _digest(file: Path) -> str:
    """Of a file's bytes; of one that will be refused, as it cannot be read or is too large, its path."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_BYTES:
            return str(file)
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return str(file)


def _results_of_file(file: Path, name: str, of_runs: Sequence[Result]) -> Iterator[Result]:
    references = [Reference(result.run.name, result.table) for result in of_runs]
    for outside in complete(read_outside(file), references):
        log.info("scoring %s", name)
        run = _run_of(file, name, outside, None if outside.reference is None else of_runs[outside.reference])
        classes = run.class_names(str(outside.table["target"].iloc[0]))
        scores = evaluate(outside.table, classes=classes)
        if run.store.get("synthetic") and SYNTHETIC not in scores.stamps:
            scores = replace(scores, stamps=(*scores.stamps, SYNTHETIC))
        yield Result(run, outside.table, scores, str(scores.keys["modality"]))


def _run_of(file: Path, name: str, outside: OutsideResult, labels_from: Result | None) -> Run:
    """What a report asks a run for: of another program only what its labels mean is known, from the run beside it."""
    origin = replace(outside.origin, file=name)
    if labels_from is None:
        return Run(file, name, outside.table, {}, {"data": {"labels": "as the file gives them"}}, origin)
    run = labels_from.run
    kept = {key: run.data[key] for key in ("scales", "classes", "labels") if key in run.data}
    environment = {"store": {"synthetic": labels_from.synthetic}, "data": kept}
    return Run(file, name, outside.table, {"rule": run.config.get("rule")}, environment, origin)


def _with_unique_systems(results: Sequence[Result]) -> Iterator[Result]:
    """The results; systems of one name in two files get the names of their files."""
    keys = [tuple(result.key(name) for name in KEYS if name != "config") for result in results]
    for result, key in zip(results, keys, strict=True):
        if keys.count(key) == 1:
            yield result
            continue
        system = result.key("system").replace(OUTSIDE_SYSTEM, f"{OUTSIDE_SYSTEM[:-1]}, {result.run.name})")
        table = result.table.assign(system=system)
        scores = replace(result.scores, keys=result.scores.keys | {"system": system})
        yield replace(result, table=table, run=replace(result.run, table=table), scores=scores)


def origins(results: Sequence[Result]) -> list[tuple[Result, Origin]]:
    """Return the results of other programs, each with where it comes from."""
    return [(result, result.run.outside) for result in results if result.run.outside is not None]
