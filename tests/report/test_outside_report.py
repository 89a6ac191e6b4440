"""Reports of predictions of other programs: scored, tested, ranked and stamped as a run is, and marked everywhere."""

import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import CrossvalConfig
from gbvnet.errors import BadInput, BadRun
from gbvnet.evaluation.plan import make_plan
from gbvnet.evaluation.scores import evaluate
from gbvnet.experiments.crossval import cross_validate
from gbvnet.report import report, results
from gbvnet.report.outside_results import read_all_results

from .. import fake_runs
from ..synthetic_store import write_store

NEEDED = ["recording", "window", "fold", "p"]
KEYS = ["recording", "window"]


def run(root, name, **how):
    return fake_runs.write_run(root / name, [fake_runs.table(**how)])


def theirs(root, name, skill=1.0, seed=5, columns=NEEDED, **how):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fake_runs.table(skill=skill, seed=seed, **how)[columns].to_csv(path, index=False)
    return path


# --- beside a run, results of the same numbers are the same ---


@pytest.mark.journey
@pytest.mark.parametrize("protocol", ["trial", "window"])
def test_the_same_predictions_get_the_same_scores_as_in_a_run(tmp_path, protocol):
    folder = run(tmp_path, "run", system="svm", modality="bio", protocol=protocol, seed=3)
    file = theirs(tmp_path, "theirs.csv", protocol=protocol, seed=3)
    (of_run, outside), errors = read_all_results([file, folder])
    of_run, outside = (of_run, outside) if outside.run.outside else (outside, of_run)
    assert errors == []
    assert outside.run.outside.labels == "run `run`"
    assert outside.key("protocol") == protocol
    assert outside.scores.stamps == of_run.scores.stamps
    for name in ("window", "trial", "window_interval", "chance", "counts"):
        assert getattr(outside.scores, name) == getattr(of_run.scores, name)
    assert outside.scores.majority.keys() == of_run.scores.majority.keys()
    assert outside.scores.assessment == of_run.scores.assessment


@pytest.mark.journey
@pytest.mark.parametrize(
    ("make", "columns"),
    [(fake_runs.class_table, ["p_0", "p_1", "p_2"]), (fake_runs.rating_table, ["y_hat"])],
)
def test_results_of_other_tasks_are_scored_and_compared(tmp_path, make, columns):
    data = {"scales": {"valence": [0, 100]}, "classes": {"valence": {"a": 1, "b": 1, "c": 1}}}
    folder = fake_runs.write_run(tmp_path / "run", [make()], data=data, task="other")
    file = tmp_path / "theirs.csv"
    made = make(seed=4)
    made[["recording", "window", "fold", *columns]].to_csv(file, index=False)
    written = report.write_report([file, folder], tmp_path / "report")
    outside = next(r for r in written.results if r.run.outside)
    assert outside.scores.window == pytest.approx(evaluate(made, 10).window, nan_ok=True)
    assert outside.scores.classes == next(r for r in written.results if not r.run.outside).scores.classes
    (comparison,) = results.compare(written.results)[0]
    assert {comparison.a.label, comparison.b.label} >= {"theirs (outside) modality not given"}


@pytest.mark.journey
def test_a_file_and_its_copies_count_once(tmp_path, caplog):
    folder, file = run(tmp_path, "one", system="svm"), theirs(tmp_path, "theirs.csv")
    (tmp_path / "again").mkdir()
    copies = [shutil.copy(file, tmp_path / "copy.csv"), shutil.copy(file, tmp_path / "again" / "theirs.csv")]
    other = theirs(tmp_path, "other.csv", seed=6)
    once, _ = read_all_results([folder, file, other])
    again, errors = read_all_results([folder, file, *copies, other, file])
    assert errors == []
    assert [r.label for r in again] == [r.label for r in once]
    assert [r.getMessage() for r in caplog.records if "count once" in r.getMessage()] == [
        f"{name}: the predictions of {tmp_path.name}/theirs.csv again; they count once"
        for name in ("copy.csv", "again/theirs.csv")
    ]


@pytest.mark.journey
def test_runs_and_files_are_compared_by_their_rows_whatever_store_and_seed(tmp_path):
    folders = [run(tmp_path, "one", system="svm"), run(tmp_path, "two", system="ridge", seed=1)]
    file = theirs(tmp_path, "theirs.csv")
    other = theirs(tmp_path, "other.csv", seed=8)
    written, _ = read_all_results([file, other, *folders])
    comparisons, refused = results.compare(written)
    assert refused == []
    assert len(comparisons) == 6
    assert all(c.kind == "other" for c in comparisons)


@pytest.mark.journey
def test_a_question_about_gbvnet_and_a_system_of_its_modality_has_a_direction(tmp_path):
    folder = run(tmp_path, "run", modality="bio")
    rows = fake_runs.table(seed=4)[NEEDED].assign(system="svm", modality="bio")
    rows.to_csv(tmp_path / "t.csv", index=False)
    ((comparison,), _) = results.compare(read_all_results([tmp_path / "t.csv", folder])[0])
    assert comparison.kind == "system"
    assert comparison.a.key("system") == "gbvnet"


# --- the report ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A report of two runs and three files: an honest one, a leaky one that claims trial, and one with wrong rows."""
    root = tmp_path_factory.mktemp("outside")
    dataset = "deap (synthetic data)"
    runs = [run(root, name, system=name, modality="bio", dataset=dataset, seed=k)
            for k, name in enumerate(("svm", "gbvnet"))]  # fmt: skip
    honest = theirs(root, "honest.csv", seed=7)
    leaky = fake_runs.table(protocol="window", skill=4, seed=9)[NEEDED].assign(protocol="trial", system="cnn")
    leaky.to_csv(root / "leaky.csv", index=False)
    fake_runs.table()[NEEDED].iloc[:-4].to_csv(root / "short.csv", index=False)
    files = [honest, root / "leaky.csv", root / "short.csv"]
    return report.write_report([*files, *runs], root / "report")


@pytest.mark.journey
def test_a_leaky_file_is_stamped_everywhere_whatever_it_says(whole):
    markdown = (whole.path.parent / "report.md").read_text()
    rows = [line for line in markdown.splitlines() if line.startswith("| cnn (outside)")]
    assert len(rows) >= 3
    assert all("window LEAKY" in line for line in rows)
    assert "### cnn (outside) modality not given: valence, protocol window LEAKY" in markdown
    warning = (
        "leaky.csv says protocol trial, and its folds do not keep it: windows of one trial are trained and tested on"
    )
    assert f"> **{warning}. It is reported under protocol window, which is LEAKY.**" in markdown
    assert whole.warnings == [f"{warning}. It is reported under protocol window, which is LEAKY."]
    table = pd.read_csv(whole.path.parent / "tables" / "results.csv").set_index("system")
    assert table.loc["cnn (outside)", "leaky"]
    assert "LEAKY" in table.loc["cnn (outside)", "stamps"]
    assert table["stamps"].str.contains("synthetic data").all()
    html = whole.path.read_text()
    assert '<tr class="leaky-row"><th scope="row">cnn (outside)' in html.replace("\n", "")


@pytest.mark.journey
def test_results_from_outside_say_so_and_what_was_taken_from_where(whole):
    markdown = (whole.path.parent / "report.md").read_text()
    assert "Outside predictions, from `honest.csv` and `leaky.csv`; not trained by gbvnet." in markdown
    assert markdown.count("Outside predictions, from `honest.csv`; not trained by gbvnet.") == 1
    section = markdown[markdown.index("## Outside predictions") : markdown.index("## Each run")]
    row = next(line for line in section.splitlines() if line.startswith("| honest (outside)"))
    for text in ("`honest.csv`", "run `gbvnet`", "5, those of run `gbvnet`", "from the windows of the other folds"):
        assert text in row
    sha256 = next(r.run.outside.sha256 for r in whole.results if r.run.name == "honest.csv")
    assert f"`{sha256}`" in row
    assert (
        pd.read_csv(whole.path.parent / "tables" / "results.csv").set_index("run")["outside_sha256"].notna().sum() == 2
    )
    assert "honest.csv" not in markdown[markdown.index("## How it was made") :]


@pytest.mark.journey
def test_a_file_that_does_not_fit_is_left_out_with_one_line(whole):
    (error,) = whole.errors
    assert isinstance(error, BadInput)
    assert "4 of 300 missing in all" in str(error)
    assert f"> **Left out: {error}**" in (whole.path.parent / "report.md").read_text()


@pytest.mark.journey
def test_theirs_is_ranked_beside_the_runs(whole):
    folder = whole.path.parent
    pairs = pd.read_csv(folder / "tables" / "ranking-outside-01-valence.csv")
    assert set(pairs["a"]) | set(pairs["b"]) == {
        "svm · bio", "gbvnet · bio", "honest (outside) · modality not given",
    }  # fmt: skip
    assert (folder / "figures" / "ranks-outside-01-valence.png").exists()
    assert not (folder / "tables" / "ranking-outside-02-valence.csv").exists()  # of leaky results there is no ranking
    of_tests = whole.path.read_text()
    assert "honest (outside) modality not given differs from svm bio?" in of_tests
    subjects = {r.key("system"): r.scores.subjects.set_index("subject")["accuracy"] for r in whole.results}
    pair = pairs[(pairs[["a", "b"]] == "gbvnet · bio").any(axis=1) & pairs["b"].str.startswith("honest")]
    if len(pair):
        by = (subjects["gbvnet"] - subjects["honest (outside)"]).mean()
        assert pair["difference"].iloc[0] == pytest.approx(by)


@pytest.mark.journey
def test_runs_alone_have_nothing_of_this(tmp_path):
    folders = [run(tmp_path, name, system=name) for name in ("a", "b", "c")]
    written = report.write_report(folders, tmp_path / "report")
    assert "utside" not in written.path.read_text().replace("outside of which", "")
    assert "outside_sha256" not in pd.read_csv(written.path.parent / "tables" / "results.csv")


@pytest.mark.journey
def test_seeds_of_one_system_are_averaged(tmp_path):
    folders = [run(tmp_path, f"run{k}", system=f"svm{k}") for k in (1, 2)]
    rows = [fake_runs.table(seed=k)[NEEDED].assign(seed=k) for k in (1, 2)]
    pd.concat(rows).to_csv(tmp_path / "theirs.csv", index=False)
    written = report.write_report([tmp_path / "theirs.csv", *folders], tmp_path / "report")
    pairs = pd.read_csv(written.path.parent / "tables" / "ranking-outside-01-valence.csv")
    names = set(pairs["a"]) | set(pairs["b"])
    assert names == {"theirs (outside) · modality not given", "svm1 · facebio", "svm2 · facebio"}


@pytest.mark.journey
def test_systems_of_one_name_stay_two(tmp_path):
    folder = run(tmp_path, "run", system="svm")
    files = [theirs(tmp_path, f"{name}/theirs.csv", seed=k) for k, name in enumerate("ab")]
    read, errors = read_all_results([*files, files[0], folder])
    assert errors == []
    assert {r.key("system") for r in read} == {
        "svm", "theirs (outside, a/theirs.csv)", "theirs (outside, b/theirs.csv)",
    }  # fmt: skip


@pytest.mark.journey
def test_a_file_alone_is_reported_with_its_own_labels(tmp_path):
    columns = [*NEEDED, "dataset", "target", "subject", "trial", "y"]
    file = theirs(tmp_path, "theirs.csv", columns=columns)
    written = report.write_report([file], tmp_path / "report")
    (result,) = written.results
    assert result.scores.window == evaluate(fake_runs.table(seed=5), 10).window
    assert "How it was made" not in written.path.read_text()
    with pytest.raises(BadInput, match="expected the columns dataset, target, subject, y as well"):
        report.write_report([theirs(tmp_path, "bare.csv")], tmp_path / "other")
    with pytest.raises(BadRun, match=r"at least one finished run, found .*absent.*bare\.csv"):
        report.write_report([tmp_path / "bare.csv", tmp_path / "absent"], tmp_path / "other")


@pytest.mark.journey
def test_text_of_a_file_is_escaped(tmp_path):
    rows = fake_runs.table()[NEEDED].assign(system="<script>alert(1)</script>", modality="<b>", protocol="<i>x</i>")
    rows.to_csv(tmp_path / "theirs.csv", index=False)
    written = report.write_report([tmp_path / "theirs.csv", run(tmp_path, "run")], tmp_path / "report")
    html = written.path.read_text()
    assert "&lt;script&gt;alert" in html
    for tag in ("<script", "<b>", "<i>"):
        assert tag not in html


# --- another program, from the arrays of a store to the report ---

SCRIPT = """
    import numpy as np, sys
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, roc_auc_score
    from sklearn.model_selection import GroupKFold, KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, out, leaky = np.load(sys.argv[1]), sys.argv[2], sys.argv[3] == "leaky"
    x, y, recording = data["x"], data["y"], data["recording"]
    split = KFold(4, shuffle=True, random_state=0) if leaky else GroupKFold(4)
    p, fold = np.zeros(len(y)), np.zeros(len(y), int)
    for k, (train, test) in enumerate(split.split(x, y, recording)):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x[train], y[train])
        p[test], fold[test] = model.predict_proba(x[test])[:, 1], k
    with open(out, "w") as file:
        print("recording,window,fold,p", file=file)
        for row in zip(recording, data["window"], fold, p):
            print(*row, sep=",", file=file)
    assert not [name for name in sys.modules if name.startswith("gbvnet")]
    print(accuracy_score(y, p >= 0.5), roc_auc_score(y, p))
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A store with a fingerprint in each trial, a run of gbvnet's on it, and the arrays that were exported of it."""
    root = tmp_path_factory.mktemp("theirs")
    store = write_store(root / "store", subjects=6, effect=0.5, fingerprint=1.0, faces=False)
    config = CrossvalConfig(system="logreg", modality="bio", folds=3, target="valence")
    cross_validate(store, root / "run", config)
    signals = store.read(np.arange(len(store)), faces=False)[2]
    np.savez(
        root / "windows.npz", x=np.log(signals.std(axis=2)), y=make_plan(store, config).labels["valence"].to_numpy(),
        recording=store.windows["recording"].to_numpy(str), window=store.windows["window"].to_numpy(),
    )  # fmt: skip
    (root / "theirs.py").write_text(textwrap.dedent(SCRIPT))
    return root


def predict(study, kind):
    """Run the other program. Returns its accuracy and AUC, as scikit-learn gives them."""
    command = [sys.executable, "theirs.py", "windows.npz", f"{kind}.csv", kind]
    done = subprocess.run(command, cwd=study, check=True, capture_output=True, text=True)
    return [float(score) for score in done.stdout.split()]


@pytest.mark.journey
@pytest.mark.parametrize("kind", ["honest", "leaky"])
def test_scikit_learn_alone_gets_its_own_scores_beside_a_run(study, kind, capsys, tmp_path):
    accuracy, auc = predict(study, kind)
    file = study / f"{kind}.csv"
    assert main(["report", str(file), str(study / "run"), str(tmp_path / "report")]) == 0
    table = pd.read_csv(tmp_path / "report" / "tables" / "results.csv").set_index("system")
    row = table.loc[f"{kind} (outside)"]
    assert row["window_accuracy"] == pytest.approx(accuracy, abs=1e-12)
    assert row["window_auc"] == pytest.approx(auc, abs=1e-12)
    assert row["leaky"] == (kind == "leaky")
    assert row["protocol"] == ("window" if kind == "leaky" else "trial")
    assert row["dataset"] == "deap (synthetic data)"
    markdown = (tmp_path / "report" / "report.md").read_text()
    assert ("LEAKY: windows of one trial on both sides" in markdown) == (kind == "leaky")
    assert main(["audit", "--splits", str(file)]) == (kind == "leaky")
    assert ("LEAK:" in capsys.readouterr().out) == (kind == "leaky")


@pytest.mark.journey
def test_the_command_line_names_what_it_refuses_and_warns(study, capsys, tmp_path):
    predict(study, "leaky")
    rows = pd.read_csv(study / "leaky.csv")
    rows.assign(protocol="subject").to_csv(tmp_path / "claim.csv", index=False)
    rows.iloc[1:].to_csv(tmp_path / "short.csv", index=False)
    (tmp_path / "book.xlsx").write_bytes(b"PK")
    files = [str(tmp_path / name) for name in ("claim.csv", "short.csv", "book.xlsx", "absent.csv")]
    assert main(["report", *files, str(study / "run"), str(tmp_path / "report")]) == 1
    output = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in output] == [
        "BAD",
        "BAD",
        "BAD",
        "WARNING",
        str(tmp_path / "report/report.html"),
    ]
    assert "1 of 180 missing in all" in output[0]
    assert "found a file that ends in .xlsx" in output[1]
    assert "no such file" in output[2]
    assert "claim.csv says protocol subject" in output[3]
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    assert "theirs.csv" in capsys.readouterr().out
