"""`gbvnet reproduce`: a plan that can be checked, runs that resume, and tables that predictions alone confirm."""

import re

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.experiments.reproduction import runtime_estimate
from gbvnet.experiments.reproduction.plan import plan_studies
from gbvnet.experiments.reproduction.recipe import load_recipe
from gbvnet.experiments.reproduction.reproduce import reproduce

from .stub_system import THROUGHPUT, StubSystem, use_stub

pytestmark = pytest.mark.usefixtures("stub")


def run(stores, folder, *names):
    return reproduce(plan_studies([load_recipe(name) for name in names], stores), folder)


@pytest.fixture(scope="module")
def done(store, tmp_path_factory):
    """The recipe tiny, run once with the stub in the place of every system."""
    with pytest.MonkeyPatch.context() as patch:
        use_stub(patch)
        folder = tmp_path_factory.mktemp("done")
        report = run([store], folder, "tiny")
    assert report.errors == []
    return folder


# The whole of it


@pytest.mark.journey
def test_tiny_makes_every_table_and_figure(done):
    report = done / "report"
    tables, figures = ({file.name for file in (report / part).iterdir()} for part in ("tables", "figures"))
    assert tables >= {
        "paper_table1_deap.csv", "paper_excluded_deap.csv", "paper_table2_deap.csv", "paper_table3_deap.csv",
        "paper_table4_deap.csv", "paper_figure4_deap_tiny.csv", "paper_costs.csv",
    }  # fmt: skip
    assert figures == {
        "overview.png", "paper_figure1_deap.png", "paper_table2_deap.png",
        "paper_figure2_deap_trial_valence.png", "paper_figure2_deap_window_valence.png",
        "paper_figure4_deap_tiny_trial.png", "paper_figure4_deap_tiny_window.png",
    }  # fmt: skip
    page = (report / "report.html").read_text()
    for words in (
        "Figure 1",
        "Table 1",
        "Table 2",
        "Table 3",
        "Table 4",
        "Figure 2",
        "Figure 4",
        "What the networks cost",
    ):
        assert f">{words}" in page
    assert page.count("How to read it") >= 10
    assert "As published, other protocol" in page and "nothing published can be compared with them" in page


@pytest.mark.journey
def test_every_figure_and_table_of_the_papers_section_says_how_to_read_it(done):
    text = (done / "report" / "report.md").read_text()
    section = text.split("## The paper's tables and figures")[1].split("\n## ")[0]
    for part in section.split("\n### ")[1:]:
        assert "How to read it" in part, part.splitlines()[0]


@pytest.fixture
def small(tmp_path):
    """A recipe of three runs and six trainings."""
    text = "name: small\nabout: small\nprotocols: [trial]\ntargets: [valence]\nmodalities: [facebio, face, bio]\n"
    (tmp_path / "small.yaml").write_text(text + "crossval: {folds: 2, model: {variant: micro}, train: {epochs: 2}}\n")
    return tmp_path / "small.yaml"


@pytest.mark.journey
def test_one_failed_training_stops_no_other_and_the_next_call_does_what_is_left(
    store, small, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        runtime_estimate.Calibration, "throughputs_of", lambda self, runs, progress=None: [THROUGHPUT] * len(runs)
    )
    monkeypatch.setattr(StubSystem, "fail_on", (3,))
    arguments = ["reproduce", str(store.path), str(tmp_path), "--recipe", str(small)]
    assert main(arguments) == 1
    output = capsys.readouterr()
    assert re.search(r"BAD .*small/trial-face: 1 of 2 trainings failed.*out of luck", output.out)
    assert f"reproduce, 3 of 3: {tmp_path}/runs/small/trial-bio" in output.err
    assert len(list(tmp_path.glob("runs/small/*/predictions.parquet"))) == 2

    monkeypatch.setattr(StubSystem, "fail_on", ())
    monkeypatch.setattr(StubSystem, "fitted", 0)
    assert (main(arguments), StubSystem.fitted) == (0, 1)
    assert "2 of 3 runs are done already" in capsys.readouterr().out

    (tmp_path / "report" / "report.html").unlink()
    assert (main(arguments), StubSystem.fitted) == (0, 1)
    assert "3 of 3 runs are done already" in capsys.readouterr().out
    assert (tmp_path / "report" / "report.html").exists()


# What the tables say, from predictions.parquet alone. Nothing of gbvnet's own scores in here.

T_975 = {2: 4.302653, 1: 12.706205}  # Student's t, 97.5th percentile, by degrees of freedom: from a printed table


def recomputed(run_folder, target):
    """mean, sd, low, high, majority: over the folds' accuracies, with Nadeau and Bengio's variance."""
    table = pd.read_parquet(run_folder / "predictions.parquet")
    table = table[table["target"] == target]
    right = (table["p"] >= 0.5) == (table["y"] == 1)
    guessed = (table["prior"] >= 0.5) == (table["y"] == 1)
    folds = np.array([right[table["fold"] == fold].mean() for fold in sorted(table["fold"].unique())])
    k = len(folds)
    sd = np.sqrt(((folds - folds.mean()) ** 2).sum() / (k - 1))
    half = T_975[k - 1] * sd * np.sqrt(1 / k + 1 / (k - 1))
    majority = np.mean([guessed[table["fold"] == fold].mean() for fold in sorted(table["fold"].unique())])
    return folds.mean(), sd, max(0, folds.mean() - half), min(1, folds.mean() + half), majority


@pytest.mark.journey
@pytest.mark.parametrize("number", [3, 4])
def test_predictions_alone_give_the_numbers_of_tables_3_and_4(done, number):
    table = pd.read_csv(done / "report" / "tables" / f"paper_table{number}_deap.csv")
    assert len(table) == {3: 6, 4: 10}[number]  # two protocols x three systems, or five modalities
    for row in table.to_dict("records"):
        expected = recomputed(done / "runs" / row["recipe"] / row["run"], row["target"])
        assert [row[c] for c in ("mean", "sd", "low", "high", "majority")] == pytest.approx(expected, abs=1e-6)


@pytest.mark.journey
def test_what_was_published_stands_beside_the_leaky_protocol_alone(done):
    table = pd.read_csv(done / "report" / "tables" / "paper_table4_deap.csv")
    published = table.set_index(["protocol", "modality"])["published_percent"]
    assert published["window"].to_dict() == pytest.approx(
        {"facebio": 94.68, "face": 90.22, "bio": 62.70, "eeg": np.nan, "peri": np.nan}, nan_ok=True
    )
    assert published["trial"].isna().all()
    assert table["leaky"].equals(table["protocol"] == "window")


@pytest.mark.journey
def test_each_ablation_is_compared_with_the_whole_over_subjects(done):
    table = pd.read_csv(done / "report" / "tables" / "paper_figure4_deap_tiny.csv")
    assert {"dataset", "protocol", "stamps"} <= set(table)
    assert table["changed"].tolist() == ["fusion concat", "face_time none"]
    assert (table["protocol"] == "trial").all()
    assert table["difference"].tolist() == [0, 0]  # the stub does not look at the network's settings
    assert table["p_holm"].tolist() == [1, 1]


@pytest.mark.journey
def test_what_is_not_there_is_listed_with_why(done):
    table = pd.read_csv(done / "report" / "tables" / "paper_excluded_deap.csv")
    assert table[["recording", "verdict", "reason", "windows_left_out"]].values.tolist() == [
        ["s01_trial01", "ok", "no face", 5]
    ]
    attributes = pd.read_csv(done / "report" / "tables" / "paper_table1_deap.csv").set_index("attribute")
    assert attributes.loc["Windows", "found"] == "145 with every modality, of 150"
    assert attributes.loc["Subjects"].tolist() == ["5 with every modality, of 5", "22"]
    montage = pd.read_csv(done / "report" / "tables" / "paper_table2_deap.csv")
    assert montage.loc[0, ["channel", "paper", "same"]].tolist() == ["Fz", "Fp1", False]


# The command


@pytest.mark.journey
def test_a_described_corpus_is_planned_from_the_command_line(capsys):
    assert main(["reproduce", "--plan", "--describe", "deap:4x10x2", "--recipe", "tiny"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"in all +16 +48 ", output)
    assert "80 windows, deap" in output and "on this device (" in output


@pytest.mark.journey
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["reproduce"], "give at least one store, and then the folder"),
        (["reproduce", "--describe", "deap:2x3x4"], "--describe goes with --plan"),
        (["reproduce", "--plan", "--describe", "deap:2x3"], "as in deap:22x40x60"),
        (["reproduce", "--plan", "--describe", "deap:2x3x4", "--recipe", "tny"], "did you mean tiny?"),
        (["reproduce", "/nowhere", "out"], "/nowhere: expected a store"),
    ],
)
def test_what_cannot_start_is_reported_in_one_line(argv, message, capsys):
    assert main(argv) == 2
    assert message in capsys.readouterr().err


@pytest.mark.journey
def test_an_unfit_store_is_refused_with_what_to_type(store, tmp_path, capsys):
    assert main(["reproduce", str(store.path), str(tmp_path / "out")]) == 2
    assert "Make it with: gbvnet prepare deap DEAP_FOLDER deap-paper.store" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.journey
def test_a_store_in_the_folders_place_is_no_folder_for_runs(store, capsys):
    before = sorted(store.path.rglob("*"))
    assert main(["reproduce", "--plan", str(store.path), str(store.path)]) == 2
    order = "The order is: gbvnet reproduce STORE ... DIR"
    message = f"DIR must be a new folder, and {store.path} is a store of windows. {order}"
    assert message in capsys.readouterr().err
    assert sorted(store.path.rglob("*")) == before
