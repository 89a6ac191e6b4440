"""Ten million windows, a corpus of a hundred laboratories: opened, split, audited and scored from its tables alone.

python -m benchmarks.growth DIR [--windows 10000000]      writes DIR/growth.json, DIR/growth.png

The tables are simulated; the files of recordings are empty, since none of these steps reads them. A quarter, a half and
all of the windows; each step in a process of its own, with its CPU time and the largest memory that it ever had, beside
those of opening the store alone.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WINDOWS, TRIALS = 60, 34  # of a trial; of a subject
PART = 2_000  # recordings written at once
STEPS = ("open", "trial", "stimulus", "subject", "subject+stimulus", "window", "audit's plan", "check", "score")


def build(path: Path, n_windows: int) -> None:
    """Write the tables of a store of so many windows."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from gbvnet.config import PrepareConfig, stored_settings
    from gbvnet.store.format import COUNTS, NAMES
    from gbvnet.store.writer import create_store

    create_store(path, {
        "dataset": "simulated", "synthetic": True, "prepare": stored_settings(PrepareConfig(frames_per_window=10)),
        "channels": [[f"E{k + 1}", "eeg"] for k in range(32)], "rate_hz": 128.0, "samples_per_window": 128,
        "frames_per_window": 10, "face_side": 64, "baseline_s": 3.0, "versions": {"gbvnet": "0"},
        "labels": {name: {"scale": [1, 9]} for name in ("valence", "arousal")},
    })  # fmt: skip
    rng, n = np.random.default_rng(0), n_windows // WINDOWS
    subjects = [f"s{k // TRIALS + 1:05d}" for k in range(n)]
    trials = [f"{k % TRIALS + 1:02d}" for k in range(n)]
    names = pd.DataFrame({
        "recording": [f"{s}_trial{t}" for s, t in zip(subjects, trials, strict=True)], "subject": subjects,
        "trial": trials, "stimulus": [f"{(k * 7 + k // TRIALS) % 400 + 1:03d}" for k in range(n)],
    })[NAMES]  # fmt: skip
    ratings = rng.integers(1, 10, (n, 2)).astype(float)
    writer = None
    for first in range(0, n, PART):
        some = names.iloc[first : first + PART]
        rows = some.loc[some.index.repeat(WINDOWS)].reset_index(drop=True)
        rows["window"] = np.tile(np.arange(WINDOWS), len(some))
        rows["start_s"] = rows["window"].astype(float)
        rows["has_face"] = rows["has_signals"] = True
        rows[["valence", "arousal"]] = np.repeat(ratings[first : first + PART], WINDOWS, axis=0)
        table = pa.Table.from_pandas(rows, preserve_index=False)
        writer = writer or pq.ParquetWriter(path / "windows.parquet", table.schema)
        writer.write_table(table)
    writer.close()
    recordings = names.assign(**{"verdict": "ok", "reason": "", "findings": ""}, **dict.fromkeys(COUNTS, 0))
    recordings.assign(n_windows=WINDOWS, sha256="").to_parquet(path / "recordings.parquet", index=False)
    for name in names["recording"]:
        (path / "data" / f"{name}.safetensors").touch()


def measure(path: Path, step: str) -> dict:
    """CPU seconds of one step on an open store, and the peak memory of its process in MB."""
    from gbvnet.config import AuditConfig, CrossvalConfig
    from gbvnet.evaluation import predictions
    from gbvnet.evaluation.plan import make_plan
    from gbvnet.evaluation.scores import evaluate
    from gbvnet.evaluation.split_check import check_splits
    from gbvnet.experiments.audit import plan_audit
    from gbvnet.store.reader import open_store

    from .scale import _guesses

    guesses = path / "guesses.parquet"
    if step == "check":
        run = lambda: check_splits(guesses)  # noqa: E731
    elif step == "score":
        table = predictions.read(guesses)
        run = lambda: evaluate(table)  # noqa: E731
    elif step == "open":
        run = lambda: open_store(path)  # noqa: E731
    else:
        store = open_store(path)
        config = None if step.startswith("audit") else CrossvalConfig(protocol=step, target="valence", folds=5)
        run = (lambda: make_plan(store, config)) if config else (lambda: plan_audit(store, AuditConfig()))
    before, began = time.process_time(), time.perf_counter()
    made = run()
    cpu, wall = time.process_time() - before, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if step == "trial":
        predictions.write(_guesses(made), guesses)
    return {"cpu_s": cpu, "wall_s": wall, "peak_mb": peak}


def joined(ends: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return height and text of labels at the ends of lines, those that would cover each other as one."""
    groups: list[list[tuple[float, str]]] = []
    for end in sorted(ends):
        if groups and end[0] - groups[-1][-1][0] < max(ends)[0] / 25:
            groups[-1].append(end)
        else:
            groups.append([end])
    texts = [",\n".join(", ".join(name for _, name in g[k : k + 2]) for k in range(0, len(g), 2)) for g in groups]
    lowest = max(ends)[0] / 18  # above the axis
    return [(max(lowest, sum(y for y, _ in g) / len(g)), text) for g, text in zip(groups, texts, strict=True)]


def draw(results: list[dict], path: Path) -> None:
    from gbvnet.report.figures import INK, empty_figure, save, styled

    @styled
    def figure():
        made = empty_figure(9.0, 3.4, "Growth of what needs tables only", ["synthetic data"])
        axes = made.subplots(1, 2)
        x = [r["windows"] / 1e6 for r in results]
        ends: dict[str, list[tuple[float, str]]] = {"cpu_s": [], "peak_mb": []}
        for step, style in zip(
            [step for step in STEPS if step in results[0]], ("-", "--", "-.", ":") * 3, strict=False
        ):
            for ax, key in zip(axes, ("cpu_s", "peak_mb"), strict=True):
                y = [r[step][key] / (1 if key == "cpu_s" else 1000) for r in results]
                ax.plot(x, y, style, marker="o", markersize=3, color=INK, alpha=0.8)
                ends[key].append((y[-1], step))
        for ax, key, label in zip(axes, ends, ("CPU seconds", "largest memory, GB"), strict=True):
            ax.set(xlim=(0, x[-1] * 1.5), ylim=(0, None), xlabel="million windows", ylabel=label)
            for y_end, names in joined(ends[key]):
                ax.annotate(names, (x[-1], y_end), xytext=(4, 0), textcoords="offset points", fontsize=6, va="center")
        return made

    save(figure(), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--windows", type=int, default=10_000_000)
    parser.add_argument("--steps", default=",".join(STEPS), help="of %(default)s")
    parser.add_argument("--step", help="measure this step on the store in DIR, and print it (for itself)")
    args = parser.parse_args()
    if args.step:
        print(json.dumps(measure(args.folder, args.step)))
        return
    results = []
    for n in (args.windows // 4, args.windows // 2, args.windows):
        path = args.folder / f"tables{n}"
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        build(path, n)
        results.append({"windows": n // WINDOWS * WINDOWS})
        for step in args.steps.split(","):
            words = [sys.executable, "-m", "benchmarks.growth", str(path), "--step", step]
            out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            results[-1][step] = json.loads(out.splitlines()[-1])
            print(f"{n:>12,} windows, {step:<17} " + ", ".join(f"{k} {v:.1f}" for k, v in results[-1][step].items()),
                  flush=True)  # fmt: skip
            (args.folder / "growth.json").write_text(json.dumps(results, indent=2) + "\n")
        shutil.rmtree(path)
    draw(results, args.folder / "growth.png")


if __name__ == "__main__":
    main()
