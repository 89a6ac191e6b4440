"""The commands that are killed, how far each has come, and in what two of its results may differ."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gbvnet.datasets import synthetic_corpora

RECIPE = """
name: survival
about: The least that has every part of `gbvnet reproduce`, so that it can be killed in each. Its scores mean nothing.
dataset: any
leaky: false
prepare: {}
crossval:
  folds: 2
  model: {variant: micro, modality_dropout: 0}
  train: {epochs: 6, batch_size: 16, device: cpu}
protocols: [trial]
targets: [valence]
modalities: [bio]
systems: {gbvnet: bio, majority: bio}
"""
ABLATIONS = "ablations: [fusion concat]\n"  # of face and signals together
SMALL = ["--model.variant", "micro", "--train.batch_size", "16", "--train.device", "cpu", "--train.patience", "99"]
SMALL_CORPUS = "--subjects 2 --trials 4 --seconds 4 --jobs 1 --videos 0".split()  # every format has as much
FREE = {  # what no two runs have in common: how long something took
    "fit.json": ("seconds", "memory_mb"),
    "environment.json": ("seconds",),
    "history.csv": ("seconds",),
}
TIMES = ("costs.csv", "paper_costs.csv", "report.md", "report.html")  # what things cost is measured; shown in all four
LITTER = re.compile(r"\.part$|\.aside$|\.old$|\.tmp$|^\.(?!bidsignore$)|\.ckpt$")


@dataclass(frozen=True)
class Journey:
    """A command, given in a folder of its own beside the corpus and the stores.

    results : what it makes there. reached : how far it has come, in words
    """

    name: str
    words: list[str]
    results: tuple[str, ...]
    reached: Callable[[Path], str]


def journeys(films: bool, jobs: int) -> dict[str, Journey]:
    """films : faces are prepared too, which takes a process of its own and some seconds to begin."""
    at_once = ["--jobs", str(jobs)]
    faces = ["--face-side", "32", "--frames-per-window", "2"] if films else ["--faces", "false"]
    sees = ["--modality", "facebio" if films else "bio"]
    return {
        j.name: j
        for j in (
            Journey("prepare", ["prepare", "deap", "../deap", "store", *faces, *at_once], ("store",), _recordings),
            Journey(
                "crossval",
                ["crossval", "../store", "run", "--modality", "bio", "--folds", "3", *SMALL, "--train.epochs", "12",
                 *at_once],
                ("run",), _folds,
            ),
            Journey(
                "train", ["train", "../store", "model", *sees, *SMALL, "--train.epochs", "25"],
                ("model", "model.training"), _epochs,
            ),
            Journey("reproduce", ["reproduce", "../store", "all", "--recipe", "../survival.yaml", "--jobs", "1"],
                    ("all",), _runs),
        )
    }  # fmt: skip


def of_corpora() -> dict[str, Journey]:
    """`synth` and `prepare` of every corpus, of signals alone."""
    made = {}
    for name in synthetic_corpora():
        write = ["synth", name, "corpus", *SMALL_CORPUS]
        read = ["prepare", name, f"../{name}", "store", "--faces", "false", "--jobs", "1"]
        made[f"synth-{name}"] = Journey(f"synth-{name}", write, ("corpus",), _files)
        made[f"prepare-{name}"] = Journey(f"prepare-{name}", read, ("store",), _recordings)
    return made


def recipe(films: bool) -> str:
    return RECIPE + (ABLATIONS if films else "ablations: []\n")


def corpus_words(films: bool) -> list[str]:
    return ["synth", "deap", "deap", "--subjects", "4", "--trials", "6", "--seconds", "4", "--jobs", "1", "--videos",
            "2" if films else "0"]  # fmt: skip


# ---------------------------------------------------------------- how far it has come


def _files(folder: Path) -> str:
    return f"{sum(path.is_file() for path in folder.glob('corpus/**/*'))} files"


def _recordings(folder: Path) -> str:
    done = len(list(folder.glob("store/data/*.safetensors")))
    tables = len(list(folder.glob("store/*.parquet")))
    return f"{done} recordings, {tables} of 2 tables"


def _folds(folder: Path) -> str:
    done = len(list(folder.glob("run/fold*/*/predictions.parquet")))
    joined = ", all joined" if (folder / "run/predictions.parquet").exists() else ""
    return f"{done} trainings{joined}, {_lines(folder.glob('run/fold*/*/history.csv'))} epochs"


def _epochs(folder: Path) -> str:
    saved = ", model saved" if (folder / "model").exists() else ""
    return f"{_lines(folder.glob('model.training/history.csv'))} epochs{saved}"


def _runs(folder: Path) -> str:
    done = len(list(folder.glob("all/runs/*/*/predictions.parquet")))
    trainings = len(list(folder.glob("all/runs/*/*/fold*/*/predictions.parquet")))
    report = ", report" if (folder / "all/report/report.html").exists() else ""
    return f"{done} runs, {trainings} trainings{report}"


def _lines(histories: Iterator[Path]) -> int:
    return sum(max(0, file.read_text().count("\n") - 1) for file in histories)


# ---------------------------------------------------------------- what must be equal


def contents(folder: Path, results: tuple[str, ...]) -> dict[str, bytes]:
    """Path -> what must be the same of it, for every file and folder of the results."""
    by_path: dict[str, bytes] = {}
    for name in results:
        for path in sorted((folder / name).rglob("*")):
            where = path.relative_to(folder).as_posix()
            by_path[where] = b"a folder" if path.is_dir() else _essence(path)
    return by_path


def _essence(path: Path) -> bytes:
    if path.name in TIMES:
        return b"any"
    if path.name == "checklist.md":
        return re.sub(rb"runs took [\d,]+ s", b"", path.read_bytes())
    free = FREE.get(path.name)
    if free is None:
        return path.read_bytes()
    if path.suffix == ".json":
        return json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k not in free}).encode()
    with path.open(newline="") as f:
        return repr([{k: v for k, v in row.items() if k not in free} for row in csv.DictReader(f)]).encode()


def differences(result: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
    """What is not as in an undisturbed run, a line each."""
    lines = [f"{name} is missing" for name in whole if name not in result]
    lines += [f"{name} is left over" for name in result if name not in whole]
    return lines + [f"{name} differs" for name in whole if name in result and result[name] != whole[name]]


def litter(folder: Path, results: tuple[str, ...]) -> list[str]:
    """What lies beside the results, and is none; and what of a name for passing things is in them."""
    beside = [path.name for path in folder.iterdir() if path.name not in results]
    inside = [p.relative_to(folder).as_posix() for name in results for p in (folder / name).rglob("*")
              if LITTER.search(p.name)]  # fmt: skip
    return [f"{name} is litter" for name in sorted(beside + inside)]
