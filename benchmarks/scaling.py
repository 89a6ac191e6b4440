"""The same cross-validation in one place after the other: one process, two, and Ray workers on one node and on two.

python -m benchmarks.scaling DIR [--rounds N]      writes DIR/scaling.json and DIR/scaling.png

One thread a training everywhere, so all predict the same, which is checked. A node of the cluster has one core.
"""

import argparse
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from gbvnet.config import CrossvalConfig, ModelConfig, TrainConfig
from gbvnet.experiments.crossval import cross_validate
from gbvnet.parallel.tasks import Cluster, Jobs
from gbvnet.store.reader import Store, open_store

from .reads import build

FOLDS = 8
CORES = sorted(os.sched_getaffinity(0))
CONFIG = CrossvalConfig(
    modality="facebio", target="valence", folds=FOLDS, model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=2, patience=2, device="cpu"),
)  # fmt: skip


def measure(folder: Path, rounds: int) -> list[dict]:
    """Median seconds of a whole cross-validation in each place, in turn, and how many times as fast as the first."""
    from ray.cluster_utils import Cluster as Nodes

    store = folder / "store"
    if not (store / "windows.parquet").exists():
        build(store, recordings=12)
    opened = open_store(store)
    one, two = Nodes(), Nodes()
    for nodes, n in ((one, 1), (two, 2)):
        for _ in range(n):
            nodes.add_node(num_cpus=1, num_gpus=0, object_store_memory=100_000_000)
    places: dict[str, Jobs] = {
        "1 local process": 1, "2 local processes": 2,
        "Ray, 1 node": Cluster(one.address), "Ray, 2 nodes": Cluster(two.address),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in places}
    try:
        for number in range(rounds):
            for name, jobs in places.items():
                os.sched_setaffinity(0, CORES[: 1 if jobs == 1 else 2])  # one thread a training in every place
                seconds[name].append(_once(opened, folder / f"{name}-{number}", jobs))
                print(f"{name}: {seconds[name][-1]:.1f} s", flush=True)
    finally:
        for nodes in (one, two):
            with suppress(Exception):
                nodes.shutdown()
    tables = {(folder / f"{name}-0" / "predictions.parquet").read_bytes() for name in places}
    if len(tables) > 1:
        raise SystemExit("the places do not predict the same")
    first = sorted(seconds["1 local process"])[rounds // 2]
    return [{"place": n, "seconds": sorted(s)[rounds // 2], "times": first / sorted(s)[rounds // 2]}
            for n, s in seconds.items()]  # fmt: skip


def _once(store: Store, run: Path, jobs: Jobs) -> float:
    import ray

    began = time.perf_counter()
    cross_validate(store, run, CONFIG, jobs)
    took = time.perf_counter() - began
    ray.shutdown()  # the next place is another cluster
    return took


def draw(rows: list[dict], path: Path) -> None:
    from gbvnet.report.figures import INK, empty_figure, save, styled

    @styled
    def figure():
        title = f"{FOLDS} trainings, one thread each: times as fast as one process"
        made = empty_figure(7.0, 2.6, title, ["synthetic data"])
        axes = made.subplots()
        bars = axes.barh([r["place"] for r in rows], [r["times"] for r in rows], color=INK, height=0.6)
        axes.bar_label(bars, [f"{r['times']:.2f} x  ({r['seconds']:.0f} s)" for r in rows], padding=4)
        axes.set(xlim=(0, 2.6), xlabel="times as fast")
        axes.invert_yaxis()
        return made

    save(figure(), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (%(default)s)")
    args = parser.parse_args()
    folder, rows = args.folder, measure(args.folder, args.rounds)
    (folder / "scaling.json").write_text(json.dumps(rows, indent=2) + "\n")
    draw(rows, folder / "scaling.png")


if __name__ == "__main__":
    main()
