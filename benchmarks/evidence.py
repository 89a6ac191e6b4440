"""What a planted effect, and no effect at all, look like. `python -m benchmarks.evidence DIR`, half an hour on 2 cores.

Two synthetic corpora of 96 trials, one with evidence in the face and other evidence in the signals, one with none.
Writes DIR/evidence.md; docs/evidence.md is such a file. Goes on where it was interrupted.
"""

import sys
from pathlib import Path

from gbvnet import __version__
from gbvnet.config import CrossvalConfig, ModelConfig, PrepareConfig, SynthConfig, TrainConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.experiments.crossval import cross_validate
from gbvnet.parallel.tasks import available_cores
from gbvnet.report.results import read_results
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from .__main__ import machine

# Where there is something to find, fingerprints are weak, so that a small network finds it in so few trials.
# Where there is nothing, trials are longer: a trial of a dozen windows is easier to recognise, as real ones of 60 are.
CORPORA = {
    "planted": {"seconds": 6, "effect": 2.0, "fingerprint": 0.3},
    "none": {"seconds": 12, "effect": 0.0, "fingerprint": 1.0},
}
PREPARE = PrepareConfig(face_side=32, frames_per_window=3)
SEEDS = (0, 1, 2)
TRIALS = [("planted", "trial", m, seed) for seed in SEEDS for m in ("facebio", "face", "bio")]
NULL = [("none", protocol, m, 0) for protocol in ("window", "trial") for m in ("facebio", "face", "bio")]
EPOCHS = {"trial": 15, "window": 40}


def main(folder: Path) -> None:
    results = {}
    for corpus, protocol, modality, seed in TRIALS + NULL:
        run = folder / "runs" / f"{corpus}-{protocol}-{modality}-{seed}"
        config = CrossvalConfig(
            protocol=protocol,
            modality=modality,
            target="valence",
            folds=3,
            seed=seed,
            model=ModelConfig(variant="micro"),
            # Augmentation hides fingerprints for a while. Where they are all there is to learn, it is left out.
            train=TrainConfig(epochs=EPOCHS[protocol], select="last", augment=corpus == "planted"),
        )
        cross_validate(store(folder, corpus), run, config, jobs=available_cores())
        results[corpus, protocol, modality, seed] = read_results([run])[0][0].scores
        (folder / "evidence.md").write_text("\n".join(page(results)) + "\n")
        print(run.name, f"{results[corpus, protocol, modality, seed].window['accuracy']:.3f}", flush=True)


def store(folder: Path, corpus: str):
    path = folder / f"{corpus}.store"
    if not (path / "windows.parquet").exists():
        root = folder / corpus
        write_synthetic("deap", root, SynthConfig(subjects=8, trials=12, **CORPORA[corpus]), available_cores())
        prepare_store(open_corpus("deap", root), path, PREPARE, available_cores())
    return open_store(path)


def page(results: dict):
    yield "# What a planted effect, and no effect, look like"
    yield ""
    yield "All of this is **synthetic data**: it shows what the software finds when the answer is known, and nothing"
    yield f"about real subjects. Written by `python -m benchmarks.evidence`, gbvnet {__version__}, {machine()}."
    yield ""
    yield "8 subjects x 12 trials, 3 folds, variant micro, 3 frames of 32 px a window, valence; accuracy by window"
    yield "over all out-of-fold windows."
    yield f"{EPOCHS['trial']} epochs under trial, {EPOCHS['window']} under window, the last epoch kept."
    yield "Augmented in training where evidence is planted, not where there is none."
    for name, planted in CORPORA.items():
        yield (
            f"Evidence *{name}* is `gbvnet synth deap --subjects 8 "
            + " ".join(f"--{k} {v:g}" for k, v in planted.items())
            + "`."
        )
    yield "Chance: the 97.5th percentile of 10,000 permutations of trial labels within subjects."
    yield ""
    yield "| evidence | protocol | seed | modality | accuracy, % | chance 97.5, % | p | majority, % |"
    yield "|---|---|---|---|---|---|---|---|"
    for (corpus, protocol, modality, seed), s in results.items():
        chance = s.chance["window"]
        leaky = " **LEAKY**" if s.leaky else ""
        yield (
            f"| {corpus} | {protocol}{leaky} | {seed} | {modality} | {100 * s.window['accuracy']:.1f} | "
            f"{100 * chance.upper:.1f} | {chance.p:.4f} | {100 * s.majority['window']:.1f} |"
        )
    yield ""
    yield from conclusions(results)


def conclusions(results: dict):
    """Yield what the table shows, a sentence each."""
    accuracy = {key: s.window["accuracy"] for key, s in results.items()}
    seeds = [s for s in SEEDS if all(("planted", "trial", m, s) in results for m in ("facebio", "face", "bio"))]
    best = sum(
        accuracy["planted", "trial", "facebio", s] > max(accuracy["planted", "trial", m, s] for m in ("face", "bio"))
        for s in seeds
    )
    yield f"- Planted, honest: facebio is above face and above bio in {best} of {len(seeds)} seeds."
    null = [key for key in results if key[:2] == ("none", "trial")]
    within = sum(not results[key].chance["window"].above for key in null)
    yield f"- Nothing planted, honest: {within} of {len(null)} modalities are within chance, as they should be."
    for key in results:
        if key[:2] == ("none", "window"):
            yield f"- Nothing planted, LEAKY window: {key[2]} scores {100 * accuracy[key]:.1f} %: the leak alone."


if __name__ == "__main__":
    main(Path(sys.argv[1]))
