"""A recipe with fusions: each is trained, measured once, and compared in the report."""

from dataclasses import replace

import pandas as pd
import pytest

from gbvnet.config import CrossvalConfig, ModelConfig, TrainConfig
from gbvnet.experiments.reproduction.plan import plan_studies
from gbvnet.experiments.reproduction.recipe import Recipe
from gbvnet.experiments.reproduction.reproduce import reproduce, write_paper_report

from ...synthetic_store import write_store

pytestmark = pytest.mark.journey
RECIPE = Recipe(
    name="mine",
    about="Two fusions and a system.",
    crossval=CrossvalConfig(
        folds=2,
        target="valence",
        recipe="mine",
        model=ModelConfig(face_input="features", face_time="none"),
        train=TrainConfig(epochs=2, batch_size=32, augment=False, device="cpu"),
    ),
    targets=("valence",),
    modalities=("facebio",),
    systems={"gbvnet": "facebio", "decision-fusion": "facebio"},
    fusions=("concat", "experts"),
    measures=("noise", "gates"),
)


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr("gbvnet.parallel.tasks.available_cores", lambda: 1)  # two are slower for networks this small
    folder = tmp_path_factory.mktemp("fusions")
    store = write_store(folder / "store", kept="features")
    studies = plan_studies([RECIPE], [store])
    report = reproduce(studies, folder / "out")
    patch.undo()
    assert report.errors == []
    return studies, folder / "out", report.path.parent


def test_every_fusion_and_system_is_in_the_table_with_noise_and_a_missing_modality(reproduced):
    _, _, report = reproduced
    page = (report / "report.md").read_text()
    section = page[page.index("Ways of fusion on the same encoders") :]
    names = {"gbvnet", "decision-fusion", "gbvnet, concat", "gbvnet, experts"}
    noise = pd.read_csv(report / "tables/fusion-valence-trial-noise.csv")
    assert set(noise["fusion"]) == names
    assert set(noise["protocol"]) == {"trial"} and {"dataset", "stamps"} <= set(noise)
    assert (noise.groupby("fusion")["how"].value_counts().unstack()["removed"] == 2).all()
    pairs = pd.read_csv(report / "tables/ranking-fusion-valence-trial.csv")
    assert len(pairs) == 6
    assert set(pairs["a"]) | set(pairs["b"]) == {f"{name} · facebio" for name in names}
    assert "What the gates of gbvnet do" in section and "What the gates of gbvnet, experts do" in section
    assert "What the gates of gbvnet, concat do" not in section
    assert (report / "figures/fusion-valence-trial-noise.png").exists()


def test_what_is_measured_is_not_measured_again(reproduced):
    studies, out, _ = reproduced
    before = {file: file.stat().st_mtime_ns for file in out.rglob("explain/*.csv")}
    assert len(before) == 4 + 2 * 2  # noise of all four, and two files of the gates of two
    assert reproduce(studies, out).errors == []
    assert {file: file.stat().st_mtime_ns for file in out.rglob("explain/*.csv")} == before


def test_a_run_that_is_not_finished_is_left_out(reproduced, tmp_path):
    studies, out, _ = reproduced
    (study,) = studies
    more = replace(study, runs=[*study.runs, replace(study.runs[-1], name="trial-fusion-sum")])
    written = write_paper_report([more], out)
    page = written.path.with_suffix(".md").read_text()
    assert "gbvnet, concat" in page
    assert [error.path.name for error in written.errors] == ["trial-fusion-sum"]
    left_out = page[page.index("Left out of the paper's tables and figures:") :].split("\n\n")[1]
    assert "trial-fusion-sum: expected the run folder that `gbvnet crossval` wrote, found no such folder" in left_out
