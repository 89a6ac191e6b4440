"""Every step on a small synthetic corpus, for two cores: the commands that a user of real data types, in order."""

import time
from pathlib import Path

from ..config import CrossvalConfig, ModelConfig, PrepareConfig, SynthConfig, TrainConfig
from .progress import bar, say

SYNTH = SynthConfig(subjects=4, trials=12, seconds=6, effect=2.0, fingerprint=0.5)
PREPARE = PrepareConfig(face_side=32, frames_per_window=5)
PROTOCOLS, MODALITIES = ("trial", "window"), ("facebio", "face", "bio")


# Terms of the steps, explained before the first of them is used.
WORDS = """\
          The store holds windows of 1 s. They are cross-validated under two protocols: trial keeps each trial whole,
          in training or in test; window assigns windows at random, as published, and leaks (LEAKY: scores too high).
          A modality is what a model sees: facebio is face and signals, face the face alone, bio the signals alone."""
NEXT = """
What to do next

  with this synthetic store: train a model, and predict one of its recordings
    gbvnet train   {store} {folder}/model --model.variant micro --train.epochs 15
    gbvnet predict {folder}/model {folder}/corpus {folder}/predicted --corpus deap --recordings s01_trial01

  with DEAP (for MAHNOB-HCI write mahnob)
    gbvnet check    deap /data/DEAP
    gbvnet prepare  deap /data/DEAP deap.store
    gbvnet crossval deap.store runs/trial
    gbvnet report   runs/* report

  with recordings of your own: a table of files and ratings to fill in, and then the same commands
    gbvnet table    init /data/mine
    gbvnet prepare  table /data/mine mine.store

gbvnet --help lists all commands; docs/method.md says what is computed, docs/corpora.md how folders must look."""


def crossval_config(protocol: str, modality: str) -> CrossvalConfig:
    """Return the settings of one of the demo's cross-validations."""
    return CrossvalConfig(
        protocol=protocol,  # type: ignore[arg-type]
        modality=modality,  # type: ignore[arg-type]
        target="valence",
        folds=3,
        model=ModelConfig(variant="micro"),
        train=TrainConfig(epochs=15),
    )


def run_demo(folder: Path, jobs: int) -> int:
    """Run synth, check, prepare, crossval (two protocols, three modalities) and report, and print the results.

    An interrupted demo continues at the step where it stopped. Returns the exit code.
    """
    from ..datasets import open_corpus, write_synthetic
    from ..datasets.check import check_corpus
    from ..experiments.crossval import cross_validate
    from ..parallel.worker_pool import kept_workers
    from ..report.report import write_report
    from ..store.prepare import prepare_store
    from ..store.reader import open_store

    begin = time.monotonic()
    root, path, runs = folder / "corpus", folder / "store", []

    def step(words: str) -> None:
        say(f"[{time.monotonic() - begin:4.0f} s]  gbvnet {words}")

    with kept_workers():
        step(f"synth deap {root} --effect 2 --fingerprint 0.5     # synthetic data")
        with bar("writing synthetic recordings") as progress:
            write_synthetic("deap", root, SYNTH, jobs, progress)
        corpus = open_corpus("deap", root)

        step(f"check deap {root}")
        units = list(check_corpus(corpus, jobs))
        bad = sum(u.bad for u in units)
        say(f"          {sum(u.good for u in units)} good recordings of {len(units)} subjects, {bad} bad")
        if bad:
            return 1

        step(f"prepare deap {root} {path} --face-side 32 --frames-per-window 5")
        with bar("preparing", unit="s of recording") as progress:
            prepare_store(corpus, path, PREPARE, jobs, progress)

    store = open_store(path)
    say(WORDS)
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
    say(report.summary)
    say("")
    say(f"The report is in {report.path} ({time.monotonic() - begin:.0f} s in all).")
    say(NEXT.format(folder=folder, store=path, run=runs[0]))
    return 1 if report.errors else 0
