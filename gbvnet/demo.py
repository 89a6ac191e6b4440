"""The whole journey on a made-up corpus, small enough for two cores: what a user of real data types, in order."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from .config import CrossvalConfig, ModelConfig, PrepareConfig, SynthConfig, TrainConfig

SYNTH = SynthConfig(subjects=4, trials=12, seconds=6, effect=2.0, fingerprint=0.5)
PREPARE = PrepareConfig(face_side=32, frames_per_window=5)
PROTOCOLS, MODALITIES = ("trial", "window"), ("facebio", "face", "bio")

Say = Callable[[str], None]
Bar = Callable[..., AbstractContextManager]


def crossval_config(protocol: str, modality: str) -> CrossvalConfig:
    return CrossvalConfig(
        protocol=protocol,  # type: ignore[arg-type]
        modality=modality,  # type: ignore[arg-type]
        target="valence",
        folds=3,
        model=ModelConfig(variant="micro"),
        train=TrainConfig(epochs=15),
    )


def run_demo(folder: Path, jobs: int, say: Say, bar: Bar) -> int:
    """synth, check, prepare, crossval (two protocols, three modalities), report; ends with what was found.

    Every step goes on where an interrupted demo stopped. Returns the exit code.
    """
    from .check import look
    from .crossval import cross_validate
    from .datasets import open_corpus
    from .datasets.synthetic import write_deap
    from .prepare import prepare_store
    from .report import write_report
    from .store import open_store

    begin = time.monotonic()
    root, path, runs = folder / "corpus", folder / "store", []

    def step(words: str) -> None:
        say(f"[{time.monotonic() - begin:4.0f} s]  gbvnet {words}")

    step(f"synth deap {root} --effect 2 --fingerprint 0.5     # made-up data: nobody's face, nobody's brain")
    with bar("writing made-up recordings") as progress:
        write_deap(root, SYNTH, jobs, progress)
    corpus = open_corpus("deap", root)

    step(f"check deap {root}")
    units = list(look(corpus, jobs))
    bad = sum(u.bad for u in units)
    say(f"          {sum(u.good for u in units)} good recordings of {len(units)} people, {bad} bad")
    if bad:
        return 1

    step(f"prepare deap {root} {path} --face-side 32 --frames-per-window 5")
    with bar("preparing", unit="s of recording") as progress:
        prepare_store(corpus, path, PREPARE, jobs, progress)

    store = open_store(path)
    for protocol in PROTOCOLS:
        for modality in MODALITIES:
            run = folder / "runs" / f"{protocol}-{modality}"
            step(f"crossval {path} {run} --protocol {protocol} --modality {modality} ...")
            with bar("trainings", unit="epochs") as progress:
                # In this process: these trainings take less time than starting another process with torch in it.
                cross_validate(store, run, crossval_config(protocol, modality), 1, progress)
            runs.append(run)

    step(f"report {folder / 'runs'}/* {folder / 'report'}")
    report = write_report(runs, folder / "report")
    say("")
    say(report.found)
    say("")
    say(f"The report is in {report.path} ({time.monotonic() - begin:.0f} s in all).")
    return 1 if report.problems else 0
