"""`gbvnet reproduce --seeds`: every run of a recipe at every seed, in the plan and in the paper's tables."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.errors import BadRun
from gbvnet.experiments.reproduction import runtime_estimate
from gbvnet.experiments.reproduction.plan import plan_studies, require_all_seeds, run_folder, run_name
from gbvnet.experiments.reproduction.recipe import load_recipe
from gbvnet.experiments.reproduction.reproduce import reproduce

from .stub_system import THROUGHPUT, StubSystem, use_stub

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture(scope="module")
def done(store, tmp_path_factory):
    """The recipe tiny at two seeds."""
    with pytest.MonkeyPatch.context() as patch:
        use_stub(patch)
        folder = tmp_path_factory.mktemp("done")
        report = reproduce(plan_studies([load_recipe("tiny")], [store], 2), folder)
    assert report.errors == []
    return folder


@pytest.mark.journey
def test_the_runs_of_the_first_seed_stay_where_they_are_and_come_first(store, tmp_path):
    one, two = (plan_studies([load_recipe("tiny")], [store], n)[0] for n in (1, 2))
    assert two.runs[: len(one.runs)] == one.runs and len(two.runs) == len(two.workloads) == 2 * len(one.runs)
    further = two.runs[len(one.runs)]
    assert (further.config.seed, run_name(further)) == (1, f"seed-1/{run_name(one.runs[0])}")
    assert run_folder(tmp_path, further) == tmp_path / "seed-1" / "tiny" / one.runs[0].name


@pytest.mark.journey
def test_the_plan_counts_every_seed(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        runtime_estimate.Calibration, "throughputs_of", lambda self, runs, progress=None: [THROUGHPUT] * len(runs)
    )
    totals = []
    for n in ("1", "3"):
        assert main(["reproduce", str(store.path), str(tmp_path), "--recipe", "tiny", "--plan", "--seeds", n]) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("in all"))
        totals.append([int(word.replace(",", "")) for word in line.split()[2:4]])
    assert totals[1] == [3 * n for n in totals[0]]


@pytest.mark.journey
def test_the_papers_tables_are_of_the_mean_over_seeds_with_its_spread(done):
    table = pd.read_csv(done / "report" / "tables" / "paper_table4_deap.csv")
    assert len(table) == 10 and set(table["seeds"]) == {"0, 1"}
    for row in table.to_dict("records"):
        means = []
        for folder in (done / "runs", done / "seed-1"):
            predicted = pd.read_parquet(folder / row["recipe"] / row["run"] / "predictions.parquet")
            predicted = predicted[predicted["target"] == row["target"]]
            right = (predicted["p"] >= 0.5) == (predicted["y"] == 1)
            means.append(right.groupby(predicted["fold"]).mean().mean())
        assert row["mean"] == pytest.approx(np.mean(means))
        assert row["sd_over_seeds"] == pytest.approx(np.std(means, ddof=1))
    text = (done / "report" / "report.md").read_text()
    assert "; over seeds ± " in text and "Beside the seeds" in text
    ablations = pd.read_csv(done / "report" / "tables" / "paper_figure4_deap_tiny.csv")
    assert ablations["sd_over_seeds"].notna().all() and (ablations["not_compared"].isna()).all()


@pytest.mark.journey
def test_less_seeds_than_there_are_are_refused_and_none_is_trained_again(store, done):
    study = plan_studies([load_recipe("tiny")], [store])
    with pytest.raises(BadRun, match=r"the seeds of this plan alone, found also seed-1\. Give --seeds 2"):
        require_all_seeds(done, study)
    before = StubSystem.fitted
    reproduce(plan_studies([load_recipe("tiny")], [store], 2), done)
    assert StubSystem.fitted == before
