"""Ways of fusion where the answer is known. `python -m benchmarks.fusions DIR [STORE] [--quick]`: half an hour.

Two synthetic stores of 12 subjects: one whose face and signals show different parts of the rating, and the same with a
face that is noisy in half of the trials. The recipe `fusion`, with a small network and few folds, runs on each; its
report is in DIR/<store>/report, and DIR/<store>.md has its tables. Goes on where it was interrupted. With `--quick`
4 subjects and one epoch: it shows that everything runs, its scores say nothing.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from gbvnet import __version__
from gbvnet.config import CrossvalConfig, ModelConfig, TrainConfig
from gbvnet.experiments.reproduction.plan import plan_studies
from gbvnet.experiments.reproduction.recipe import Recipe, load_recipe
from gbvnet.experiments.reproduction.reproduce import reproduce
from gbvnet.parallel.tasks import available_cores
from gbvnet.store.reader import Store, open_store
from gbvnet.store.writer import create_store, finish_store, write_recording
from gbvnet.testing.synthetic_store import SyntheticWindows, store_settings, synthetic_recordings

from .__main__ import machine

RECIPE = Path(__file__).parents[1] / "recipes" / "fusion.yaml"
# Features of faces, as a network of pictures takes ten times as long.
CONTENT = SyntheticWindows(
    subjects=12, trials=8, windows=3, frames=1, kept="features", effect_channels=("Cz", "GSR1"), complementary=True
)
STORES = {"complementary": CONTENT, "noisy-face": replace(CONTENT, noisy="face")}
MODEL = ModelConfig(face_input="features", face_time="none")
TRAIN = TrainConfig(epochs=25, batch_size=32, augment=False, learning_rate=3e-3, device="cpu")


def main(folder: Path, names: list[str], quick: bool = False) -> None:
    for name in names or STORES:
        content = replace(STORES[name], subjects=4) if quick else STORES[name]
        store = _store(folder / f"{name}.store", content)
        recipe = _recipe(replace(TRAIN, epochs=1) if quick else TRAIN)
        report = reproduce(plan_studies([recipe], [store]), folder / name, available_cores())
        for error in report.errors:
            print(f"BAD  {error}", flush=True)
        head = f"# Ways of fusion: {name}\n\nSynthetic data. gbvnet {__version__}, {machine()}.\n\n"
        (folder / f"{name}.md").write_text(head + "\n".join(_tables(folder / name / "report")))


def _recipe(train: TrainConfig) -> Recipe:
    """The recipe with a small network, three folds, and one target."""
    crossval = CrossvalConfig(folds=3, target="valence", model=MODEL, train=train, recipe="fusion")
    return replace(load_recipe(RECIPE), crossval=crossval, targets=("valence",))


def _store(path: Path, content: SyntheticWindows) -> Store:
    if not (path / "windows.parquet").exists():
        create_store(path, store_settings(content))
        written = [write_recording(path, a["recording"], arrays, a) for a, arrays in synthetic_recordings(content)]
        finish_store(path, written)
    return open_store(path)


def _tables(report: Path) -> list[str]:
    """The section of the report, and every pair of its ranking that differs."""
    text = (report / "report.md").read_text()
    section = text[text.index("Ways of fusion on the same encoders") :].split("\n## ")[0]
    pairs = pd.concat(
        [pd.read_csv(f).assign(of=f.stem) for f in sorted((report / "tables").glob("ranking-fusion-*.csv"))]
    )
    differ = pairs[pairs["p_holm"] <= 0.05]
    return [section, "", differ.to_csv(index=False)]


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--quick"]
    main(Path(given[0]), given[1:], quick="--quick" in sys.argv)
