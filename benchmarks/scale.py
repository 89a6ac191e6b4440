"""How a store of DEAP's and MAHNOB-HCI's full size behaves: size, opening, splits, checks and scores, and their growth.

python -m benchmarks.scale DIR [--full]      writes DIR/scale.json, DIR/scale.png; stores lie there while it runs

A simulated corpus: signals of noise, faces of one colour, as many windows as both corpora have together (95,000 with
--full, else a quarter of that) and a half and a quarter of them. Each size is measured in a process of its own. The
signals of as many subjects are also prepared from files: DEAP's 32 and MAHNOB-HCI's 27, whose files are links to one
synthetic subject's, with 40 and 20 trials of the corpora's own lengths.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SUBJECTS, WINDOWS = 49, 60  # 22 and 27 subjects; a trial of a minute
IN_DEAP, IN_MAHNOB, MAHNOB_S = 32, 27, 80  # subjects with signals; seconds of a MAHNOB-HCI film, about
FULL = 95_000
CHANNELS, SAMPLES, SIDE = 40, 128, 32


def build(path: Path, n_windows: int) -> int:
    """Write a store of so many windows; returns how many it has."""
    from gbvnet.config import PrepareConfig, to_dict
    from gbvnet.store.writer import create_store, finish_store, write_recording

    channels = [[f"E{k + 1}", "eeg"] for k in range(CHANNELS)]
    create_store(path, {
        "dataset": "simulated", "synthetic": True,
        "prepare": to_dict(PrepareConfig(face_side=SIDE, frames_per_window=1)),
        "channels": channels, "rate_hz": float(SAMPLES), "samples_per_window": SAMPLES, "frames_per_window": 1,
        "face_side": SIDE, "baseline_s": 3.0, "versions": {"gbvnet": "0"},
        "labels": {name: {"scale": [1, 9]} for name in ("valence", "arousal")},
    })  # fmt: skip
    rng = np.random.default_rng(0)
    signals = rng.standard_normal((WINDOWS, CHANNELS, SAMPLES), np.float32)
    arrays = {
        "signals": signals, "baseline": np.zeros((CHANNELS, 3 * SAMPLES), np.float32),
        "faces": np.zeros((WINDOWS, 1, SIDE, SIDE, 3), np.uint8), "face_ok": np.ones((WINDOWS, 1), bool),
    }  # fmt: skip
    recordings = []
    for k in range(n_windows // WINDOWS):
        subject, trial = k % SUBJECTS, k // SUBJECTS
        about = {
            "recording": f"s{subject + 1:02d}_trial{trial + 1:02d}", "subject": f"s{subject + 1:02d}",
            "trial": f"{trial + 1:02d}", "stimulus": f"{(trial * 7 + subject) % 20 + 1:02d}", "verdict": "ok",
            "reason": "", "findings": (), "start_s": [float(w) for w in range(WINDOWS)], "has_face": [True] * WINDOWS,
            "has_signals": True, "n_windows": WINDOWS,
            "ratings": {"valence": float(rng.integers(1, 10)), "arousal": float(rng.integers(1, 10))},
        }  # fmt: skip
        recordings.append(write_recording(path, about["recording"], arrays, about))
    finish_store(path, recordings)
    return len(recordings) * WINDOWS


def prepare_from_files(folder: Path, share: float) -> dict:
    """Seconds that `gbvnet prepare` takes for the signals of a share of both corpora's subjects, on all cores."""
    from gbvnet.config import PrepareConfig, SynthConfig
    from gbvnet.datasets import open_corpus, write_synthetic
    from gbvnet.parallel.tasks import available_cores
    from gbvnet.store.prepare import prepare_store

    from .signals import full_size_subject

    deap, mahnob = folder / "deap", folder / "mahnob"
    one = full_size_subject(deap)
    ratings = deap / "metadata_csv/participant_ratings.csv"
    head, *rows = ratings.read_text().splitlines()
    subjects = range(1, round(IN_DEAP * share) + 1)
    ratings.write_text("\n".join([head, *(f"{p},{row.partition(',')[2]}" for p in subjects for row in rows)]) + "\n")
    for p in subjects[1:]:
        (one.parent / f"s{p:02d}.dat").symlink_to(one)
    write_synthetic("mahnob", mahnob, SynthConfig(subjects=1, trials=20, seconds=MAHNOB_S, videos=0))
    sessions = sorted((mahnob / "Sessions").iterdir())
    for p in range(2, round(IN_MAHNOB * share) + 1):
        for first in sessions:
            copy = first.with_name(str(int(first.name) + 130 * (p - 1)))
            copy.mkdir()
            for file in first.iterdir():
                (copy / file.name).symlink_to(file)
            (copy / "session.xml").unlink()
            text = (first / "session.xml").read_text().replace(f'sessionId="{first.name}"', f'sessionId="{copy.name}"')
            (copy / "session.xml").write_text(re.sub(r'<subject id="\d+"', f'<subject id="{p}"', text))
    results = {}
    for name, (root, n) in {"deap": (deap, len(subjects)), "mahnob": (mahnob, round(IN_MAHNOB * share))}.items():
        began = time.perf_counter()
        done = prepare_store(
            open_corpus(name, root), folder / f"{name}.store", PrepareConfig(faces=False), available_cores()
        )
        seconds = time.perf_counter() - began
        size = sum(f.stat().st_size for f in (folder / f"{name}.store").rglob("*.safetensors"))
        results[name] = {
            "subjects": n,
            "prepared": done.n_prepared,
            "bad": len(done.bad),
            "seconds": seconds,
            "bytes": size,
        }
    return results


def measure(path: Path) -> dict:
    """Seconds of each thing that is done to a whole store, and the memory it took."""
    from gbvnet.config import PROTOCOLS, CrossvalConfig
    from gbvnet.evaluation import predictions
    from gbvnet.evaluation.plan import make_plan
    from gbvnet.evaluation.scores import evaluate
    from gbvnet.evaluation.split_check import check_splits
    from gbvnet.store.reader import open_store

    before, results = _memory_mb(), {}
    began = time.perf_counter()
    store = open_store(path)
    results["open"] = time.perf_counter() - began
    results["memory of the open store, MB"] = _memory_mb() - before
    began = time.perf_counter()
    for protocol in PROTOCOLS:
        plan = make_plan(store, CrossvalConfig(protocol=protocol, target="valence", folds=5))
    results["splits, all five protocols"] = time.perf_counter() - began
    began = time.perf_counter()
    store.read(np.random.default_rng(0).integers(0, len(store), 4096))
    results["4,096 random windows"] = time.perf_counter() - began
    table = _guesses(make_plan(store, CrossvalConfig(target="valence")))
    file = path / "guesses.parquet"
    predictions.write(table, file)
    began = time.perf_counter()
    check_splits(file)
    results["a check of somebody's split"] = time.perf_counter() - began
    began = time.perf_counter()
    evaluate(table)
    results["scores with 10,000 permutations"] = time.perf_counter() - began
    del plan
    return {"windows": len(store), "bytes": sum(f.stat().st_size for f in path.rglob("*.safetensors")), **results}


def _guesses(plan):
    """A predictions table without any training: probabilities at random."""
    import pandas as pd

    rng = np.random.default_rng(1)
    parts = []
    for fold in plan.folds:
        rows = plan.windows.loc[fold.test, ["recording", "subject", "trial", "stimulus", "window", "start_s"]]
        parts.append(rows.assign(fold=fold.number, rating=plan.rating["valence"].loc[fold.test],
                                 y=plan.labels["valence"].loc[fold.test], p=rng.random(len(rows))))  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    keys = {"dataset": "simulated (synthetic data)", "system": "guess", "modality": "bio", "target": "valence",
            "protocol": "trial", "scope": "pooled", "seed": 0, "prior": 0.5, "gate_face": np.nan, "gate_bio": np.nan,
            "config": "0" * 12}  # fmt: skip
    return table.assign(**keys)


def _memory_mb() -> float:
    """Resident now, of which the most that ever was says too much: imports take more for a moment."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def draw(results: list[dict], path: Path) -> None:
    from gbvnet.report.figures import INK, empty_figure, save, styled

    names = [n for n in results[0] if n not in ("windows", "bytes", "prepared")]

    @styled
    def figure():
        made = empty_figure(12.0, 5.2, "Growth with the number of windows", ["synthetic data"])
        x = [r["windows"] / 1000 for r in results]
        panels = {name: [r[name] for r in results] for name in names}
        panels["store on the disk, GB"] = [r["bytes"] / 1e9 for r in results]
        panels["preparing signals from files"] = [sum(c["seconds"] for c in r["prepared"].values()) for r in results]
        for axes, (name, y) in zip(made.subplots(2, 4).ravel(), panels.items(), strict=True):
            axes.plot(x, y, marker="o", color=INK)
            axes.plot([0, x[-1]], [0, y[-1]], color="#C0C5CA", linestyle=":", zorder=0)
            axes.set(xlim=(0, None), ylim=(0, None), title=name, xlabel="thousand windows")
            axes.set_ylabel("MB" if "MB" in name else "GB" if "GB" in name else "seconds")
        return made

    save(figure(), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--of", type=int, help="measure the store of so many windows, and print it (for itself)")
    args = parser.parse_args()
    if args.of:
        print(json.dumps(measure(args.folder / f"store{args.of}")))
        return
    largest = FULL if args.full else FULL // 4
    results = []
    for n in (largest // 4, largest // 2, largest):
        path = args.folder / f"store{n}"
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        build(path, n)
        written = time.perf_counter() - began
        words = [sys.executable, "-m", "benchmarks.scale", str(args.folder), "--of", str(n)]
        out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        shutil.rmtree(path)
        files = args.folder / f"files{n}"
        results.append(json.loads(out.splitlines()[-1]) | {"prepared": prepare_from_files(files, n / FULL)})
        shutil.rmtree(files)
        times = {k: v for k, v in results[-1].items() if k not in ("windows", "bytes", "prepared")}
        print(f"{results[-1]['windows']:,} windows, {results[-1]['bytes'] / 1e9:.2f} GB, written in {written:.0f} s: "
              + ", ".join(f"{k} {v:.2f}" for k, v in times.items()))  # fmt: skip
        print(f"signals prepared from files: {results[-1]['prepared']}", flush=True)
    (args.folder / "scale.json").write_text(json.dumps(results, indent=2))
    draw(results, args.folder / "scale.png")


if __name__ == "__main__":
    main()
