"""`gbvnet reproduce`: a plan that can be checked, runs that resume, and tables that predictions alone confirm."""

import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import CrossvalConfig, PrepareConfig, TrainConfig
from gbvnet.errors import BadConfig, BadStore, GbvnetError
from gbvnet.experiments import crossval
from gbvnet.experiments.reproduction import reproduce
from gbvnet.experiments.reproduction import runtime_estimate as timing
from gbvnet.experiments.reproduction.recipe import Extent, load_recipe, runs_of
from gbvnet.experiments.reproduction.runtime_estimate import Pace
from gbvnet.network import complexity as cost
from gbvnet.store.dry_run import Described
from gbvnet.systems import Predicted

from ...synthetic_store import write_store


class Stub:
    """Guesses by the loudness of the second channel, and leaves a history as a network does."""

    fitted = 0
    fail_on: tuple[int, ...] = ()
    about = {"n_parameters": 7, "chosen_epoch": 2, "device": "cpu"}  # noqa: RUF012

    def __init__(self, config, work=None, label=""):
        self.config, self.work = config, work

    def fit(self, store, rows, y, *, validation=None, seed=0):
        Stub.fitted += 1
        if Stub.fitted in Stub.fail_on:
            raise GbvnetError("out of luck")
        history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [0.7, 0.6, 0.5], "train_accuracy": [0.5, 0.6, 0.7]})
        history = history.assign(inner_loss=[0.7, 0.65, 0.66], inner_accuracy=[0.5, 0.6, 0.6], seconds=0.01)
        history.to_csv(self.work / "history.csv", index=False)
        return self

    def predict(self, store, rows):
        loud = store.read(rows, faces=False)[2][:, 1].std(axis=1) - 10
        noise = np.random.default_rng(len(self.config.modality)).normal(size=len(rows))
        return Predicted(1 / (1 + np.exp(-loud - 2 * noise)))

    def save(self, folder):
        folder.mkdir()


@pytest.fixture(autouse=True)
def stub(monkeypatch):
    for module in (crossval, timing):
        monkeypatch.setattr(module, "system", lambda name: Stub)
    monkeypatch.setattr("gbvnet.parallel.tasks.cores", lambda: 1)
    monkeypatch.setattr(Stub, "fitted", 0)
    for name, value in (("RUNS", 1), ("FEWEST", 1), ("BATCH", 4)):
        monkeypatch.setattr(cost, name, value)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("corpus") / "store", people=5, missing={(1, 1): "face"})


@contextmanager
def no_bar(what, unit=""):
    yield lambda *_: None


def run(stores, folder, *names, **how):
    said = []
    code = reproduce.reproduce(stores, folder, [load_recipe(n) for n in names], said.append, no_bar, **how)
    return code, "\n".join(said)


@pytest.fixture(scope="module")
def done(store, tmp_path_factory):
    """The recipe tiny, run once with the stub in the place of every system."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (crossval, timing):
            patch.setattr(module, "system", lambda name: Stub)
        patch.setattr("gbvnet.parallel.tasks.cores", lambda: 1)
        for name, value in (("RUNS", 1), ("FEWEST", 1), ("BATCH", 4)):
            patch.setattr(cost, name, value)
        folder = tmp_path_factory.mktemp("done")
        code, said = run([store], folder, "tiny")
    assert code == 0
    return folder, said


# The whole of it


def test_tiny_makes_every_table_and_figure(done):
    folder, _ = done
    report = folder / "report"
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


def test_every_figure_and_table_of_the_papers_section_says_how_to_read_it(done):
    text = (done[0] / "report" / "report.md").read_text()
    section = text.split("## The paper's tables and figures")[1].split("\n## ")[0]
    for part in section.split("\n### ")[1:]:
        assert "How to read it" in part, part.splitlines()[0]


@pytest.fixture
def small(tmp_path):
    """A recipe of three runs and six trainings."""
    text = "name: small\nabout: small\nprotocols: [trial]\ntargets: [valence]\nmodalities: [facebio, face, bio]\n"
    (tmp_path / "small.yaml").write_text(text + "crossval: {folds: 2, model: {variant: micro}, train: {epochs: 2}}\n")
    return tmp_path / "small.yaml"


def test_one_failed_training_stops_no_other_and_the_next_call_does_what_is_left(store, small, tmp_path, monkeypatch):
    monkeypatch.setattr(timing.Calibration, "paces_of", lambda self, runs, progress=None: [PACE] * len(runs))
    monkeypatch.setattr(Stub, "fail_on", (3,))
    code, said = run([store], tmp_path, small)
    assert code == 1
    assert re.search(r"BAD .*small/trial-face: 1 of 2 trainings failed.*out of luck", said)
    assert len(list(tmp_path.glob("runs/small/*/predictions.parquet"))) == 2

    monkeypatch.setattr(Stub, "fail_on", ())
    monkeypatch.setattr(Stub, "fitted", 0)
    code, said = run([store], tmp_path, small)
    assert (code, Stub.fitted) == (0, 1)
    assert "2 of 3 runs are done already" in said

    (tmp_path / "report" / "report.html").unlink()
    code, said = run([store], tmp_path, small)
    assert (code, Stub.fitted) == (0, 1)
    assert "3 of 3 runs are done already" in said
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


@pytest.mark.parametrize("number", [3, 4])
def test_predictions_alone_give_the_numbers_of_tables_3_and_4(done, number):
    folder, _ = done
    table = pd.read_csv(folder / "report" / "tables" / f"paper_table{number}_deap.csv")
    assert len(table) == {3: 6, 4: 10}[number]  # two protocols x three systems, or five modalities
    for row in table.to_dict("records"):
        expected = recomputed(folder / "runs" / row["recipe"] / row["run"], row["target"])
        assert [row[c] for c in ("mean", "sd", "low", "high", "majority")] == pytest.approx(expected, abs=1e-6)


def test_what_was_published_stands_beside_the_leaky_protocol_alone(done):
    table = pd.read_csv(done[0] / "report" / "tables" / "paper_table4_deap.csv")
    published = table.set_index(["protocol", "modality"])["published_percent"]
    assert published["window"].to_dict() == pytest.approx(
        {"facebio": 94.68, "face": 90.22, "bio": 62.70, "eeg": np.nan, "peri": np.nan}, nan_ok=True
    )
    assert published["trial"].isna().all()
    assert table["leaky"].equals(table["protocol"] == "window")


def test_each_ablation_is_compared_with_the_whole_over_subjects(done):
    table = pd.read_csv(done[0] / "report" / "tables" / "paper_figure4_deap_tiny.csv")
    assert table["changed"].tolist() == ["fusion concat", "face_time none"]
    assert (table["protocol"] == "trial").all()
    assert table["difference"].tolist() == [0, 0]  # the stub does not look at the network's settings
    assert table["p_holm"].tolist() == [1, 1]


def test_what_is_not_there_is_listed_with_why(done):
    table = pd.read_csv(done[0] / "report" / "tables" / "paper_excluded_deap.csv")
    assert table[["recording", "verdict", "reason", "windows_left_out"]].values.tolist() == [
        ["s01_trial01", "ok", "no face", 5]
    ]
    found = pd.read_csv(done[0] / "report" / "tables" / "paper_table1_deap.csv").set_index("attribute")
    assert found.loc["Windows", "found"] == "145 with every modality, of 150"
    assert found.loc["Subjects"].tolist() == ["5 with every modality, of 5", "22"]
    montage = pd.read_csv(done[0] / "report" / "tables" / "paper_table2_deap.csv")
    assert montage.loc[0, ["channel", "paper", "same"]].tolist() == ["Fz", "Fp1", False]


# The plan


def test_the_plan_trains_no_run_and_writes_nothing(store, tmp_path):
    code, said = run([store], tmp_path / "new", "tiny", plan=True)
    assert code == 0 and not (tmp_path / "new").exists()
    rows = [line.split() for line in said.splitlines() if line.startswith("tiny")]
    assert sum(int(row[-4]) for row in rows) == 16 and sum(int(row[-3]) for row in rows) == 48
    assert re.search(r"store .*: \d\.\d MB, 150 windows, deap \(synthetic data\)", said)


def test_each_kind_of_run_is_measured_once(store, monkeypatch):
    measured = []
    monkeypatch.setattr(timing, "measure", lambda run, extent, jobs: measured.append(run.name) or PACE)
    monkeypatch.setattr(timing, "_try", lambda *_: None)
    studies = reproduce.plan_studies([load_recipe("tiny")], [store])
    expected = reproduce.expect(studies, None, no_bar, jobs=1)
    kinds = ["facebio", "face", "bio", "eeg", "peri", "majority-facebio", "ridge-bio"]
    ablations = ["ablation-fusion-concat", "ablation-face-time-none"]
    assert measured == [f"trial-{kind}" for kind in kinds + ablations]  # and none of protocol window again
    assert sum(e.trainings for e in expected.values()) == 48


PACE = Pace(
    window_s=0.01, training_s=2.0, test_s=0.005, read_s=0.001, window_bytes=1000, n_parameters=500, epochs=True,
    device="cpu",
)  # fmt: skip


def test_the_time_of_a_run_is_that_of_its_steps():
    work = Extent(trainings=4, train=1000, validation=200, test=400)
    config = CrossvalConfig(train=TrainConfig(epochs=10))
    # 10 epochs x 1000 windows x 10 ms, 4 x 2 s, 400 x 5 ms, and 2 x 1000 + 200 windows read in 1 ms each
    assert timing.seconds(config, work, PACE) == pytest.approx(100 + 8 + 2 + 2.2)
    assert timing.seconds(config, work, PACE, jobs=2) == pytest.approx(112.2 / 2)
    on_gpu = Pace(**{**PACE.__dict__, "device": "a GPU"})
    assert timing.seconds(config, work, on_gpu, jobs=2) == pytest.approx(112.2)  # they share it
    slow_disk = CrossvalConfig(train=TrainConfig(epochs=10, memory_gib=0.0))
    waiting = Pace(**{**PACE.__dict__, "read_s": 0.02})
    assert timing.seconds(slow_disk, work, waiting) == pytest.approx(200 + 8 + 2 + 44)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2.0 min"), (7200, "2.0 h"), (172_800, "2.0 days")]
)
def test_durations_are_in_the_unit_that_a_person_would_use(seconds, words):
    assert reproduce.duration(seconds) == words


def test_what_a_store_is_too_small_for_is_left_out_and_said(tmp_path):
    store = write_store(tmp_path / "few", people=2, trials=3, windows=2)
    recipe = load_recipe("tiny")
    text = (
        (Path(__file__).parents[3] / "recipes" / "tiny.yaml").read_text().replace("- window", "- subject\n  - window")
    )
    (tmp_path / "mine.yaml").write_text(text)
    study = reproduce.plan_studies([load_recipe(tmp_path / "mine.yaml")], [store])[0]
    assert len(study.runs) == len(reproduce.plan_studies([recipe], [store])[0].runs)
    assert len(study.left_out) == 1
    assert re.match("tiny, protocol subject: 3 folds need at least 3 subjects.*(7 runs)", study.left_out[0])


def test_the_papers_people_alone_where_they_are_asked_for(tmp_path):
    store = write_store(tmp_path / "s", people=3, trials=6, windows=2)
    text = (Path(__file__).parents[3] / "recipes" / "tiny.yaml").read_text()
    mine = text.replace("protocols:", "paper_people: [s01, s03, s09]\nprotocols:", 1)
    (tmp_path / "mine.yaml").write_text(mine)
    [found] = reproduce.plan_studies(reproduce.recipes_for([str(tmp_path / "mine.yaml")], []), [store])
    assert found.runs[0].config.subjects is None and found.left_out == []
    papers = reproduce.recipes_for([str(tmp_path / "mine.yaml")], [], "paper")
    [study] = reproduce.plan_studies(papers, [store])
    assert {run.config.subjects for run in study.runs} == {("s01", "s03")}
    assert study.left_out == [f"tiny: of the paper's people s09 are not in {store.path}"]
    assert study.extents[0].test == 2 * 6 * 2
    with pytest.raises(BadConfig, match="recipe tiny: people is paper, and it does not say who they are"):
        reproduce.plan_studies(reproduce.recipes_for(["tiny"], [], "paper"), [store])
    (tmp_path / "mine.yaml").write_text(mine.replace("s01, s03, s09", "p01"))
    with pytest.raises(BadConfig, match="has none of p01"):
        reproduce.plan_studies(reproduce.recipes_for([str(tmp_path / "mine.yaml")], [], "paper"), [store])


# Which recipe takes which store


def test_stores_go_to_the_recipes_that_they_suit():
    texts = {name: PrepareConfig(**load_recipe(name).prepare) for name in ("deap-honest", "deap-lineage")}
    whole, lineage = (Described("deap:3x4x4", made) for made in texts.values())
    longer = Described("deap:3x4x4", PrepareConfig(window_s=2, frames_per_window=10))
    for number, store in enumerate((whole, lineage, longer)):
        store.path = Path(f"store{number}")
    recipes = [load_recipe(f"deap-{kind}") for kind in ("paper", "honest", "lineage")]
    assert reproduce.assign(recipes, [lineage, longer, whole]) == [
        (recipes[0], whole, []), (recipes[1], whole, [longer]), (recipes[2], lineage, []),
    ]  # fmt: skip
    with pytest.raises(
        BadStore, match=r"store1: .*frames_per_window = 10 .*one made with 5\. Make it with: gbvnet prepare"
    ):
        reproduce.assign(recipes[:2], [whole, lineage])
    with pytest.raises(BadStore, match=r"store2: expected a store made with window_s = 1\.0"):
        reproduce.assign(recipes[:1], [whole, longer])
    with pytest.raises(BadConfig, match="recipe mahnob-paper is for mahnob, and the stores given are of deap"):
        reproduce.assign([load_recipe("mahnob-paper")], [whole])


def test_a_rival_that_a_protocol_would_let_leak_is_left_out_and_said():
    store = Described("deap:6x10x4", PrepareConfig(**load_recipe("deap-paper").prepare))
    [study] = reproduce.plan_studies([load_recipe("deap-paper")], [store])
    names = {run.name for run in study.runs}
    assert {"window-huang-faceeeg", "window-deepvanet-facebio"} <= names
    assert not any("zhu" in name or "mindlink" in name for name in names)
    assert sum("is not tested by protocol window" in why for why in study.left_out) == 2


def test_a_recipe_for_any_corpus_is_done_for_each_with_runs_of_its_own(tmp_path):
    stores = [Described("deap:3x4x4", PrepareConfig()), Described("mahnob:3x4x4", PrepareConfig())]
    for store in stores:
        store.path = Path(store.settings["dataset"])
    found = reproduce.assign([load_recipe("tiny")], stores)
    assert [(r.name, r.dataset, s.settings["dataset"]) for r, s, _ in found] == [
        ("tiny-deap", "deap", "deap"), ("tiny-mahnob", "mahnob", "mahnob"),
    ]  # fmt: skip
    folders = {reproduce.run_folder(tmp_path, run) for r, s, _ in found for run in runs_of(r, s)}
    assert len(folders) == 2 * len(runs_of(load_recipe("tiny"), stores[0]))


def test_the_default_is_the_papers_recipe_and_the_honest_one_of_each_corpus():
    names = [r.name for r in reproduce.recipes_for([], ["deap", "mahnob", "deap"])]
    assert names == ["deap-paper", "deap-honest", "mahnob-paper", "mahnob-honest"]
    assert [r.name for r in reproduce.recipes_for(["tiny,deap-paper", "tiny"], ["deap"])] == ["tiny", "deap-paper"]
    assert [r.name for r in reproduce.recipes_for(["tiny"], ["ours"])] == ["tiny"]
    with pytest.raises(BadConfig, match="there is no recipe for ours: give --recipe tiny"):
        reproduce.recipes_for([], ["ours", "deap"])


# The command


def test_a_described_corpus_is_planned_from_the_command_line(capsys):
    assert main(["reproduce", "--plan", "--describe", "deap:4x10x2", "--recipe", "tiny"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"in all +16 +48 ", said)
    assert "80 windows, deap" in said and "on this device (" in said


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
def test_what_cannot_start_is_said_in_a_line(argv, message, capsys):
    assert main(argv) == 2
    assert message in capsys.readouterr().err


def test_an_unfit_store_is_refused_with_what_to_type(store, tmp_path, capsys):
    assert main(["reproduce", str(store.path), str(tmp_path / "out")]) == 2
    assert "Make it with: gbvnet prepare deap DEAP_FOLDER deap-paper.store" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_store_in_the_folders_place_is_no_folder_for_runs(store, capsys):
    before = sorted(store.path.rglob("*"))
    assert main(["reproduce", "--plan", str(store.path), str(store.path)]) == 2
    order = "The order is: gbvnet reproduce STORE ... DIR"
    said = f"DIR must be a new folder, and {store.path} is a store of windows. {order}"
    assert said in capsys.readouterr().err
    assert sorted(store.path.rglob("*")) == before
