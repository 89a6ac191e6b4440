"""The examples of plug-ins through every experiment: crossval, compare, audit, report, killed and continued."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.parallel import worker_pool
from gbvnet.systems import BaseSystem, system
from gbvnet.systems.logreg import System as LogReg

from .. import loaded_plugins
from ..synthetic_store import write_store

EXAMPLES = Path(__file__).parents[2] / "examples"
PLUGINS = {
    "forest.py:Forest": "bio",
    "conv_net.py:ConvNet": "bio",
    "face_and_signals.py:FaceAndSignals": "facebio",
}
QUICK = ["--target", "valence", "--folds", "3", "--train.epochs", "4", "--train.device", "cpu"]
pytestmark = [pytest.mark.journey, pytest.mark.usefixtures("one_core")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins") / "store"
    write_store(folder, subjects=6, trials=6, windows=5, effect=1.5)
    return folder


@pytest.fixture
def own(tmp_path):
    """The examples, where a test may change them."""
    shutil.copytree(EXAMPLES, tmp_path / "own", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "own"


@pytest.fixture(autouse=True)
def plugins_of_this_test_only():
    with loaded_plugins.forgotten():
        yield


def crossval(store, run, name, *more):
    modality = PLUGINS[Path(name.partition(":")[0]).name + ":" + name.partition(":")[2]]
    return main(["crossval", str(store), str(run), "--system", name, "--modality", modality, *QUICK, *more])


@pytest.mark.parametrize("name", PLUGINS)
def test_an_example_is_short(name):
    assert len((EXAMPLES / name.partition(":")[0]).read_text().splitlines()) <= 40
    assert issubclass(system(f"{EXAMPLES}/{name}"), BaseSystem)


@pytest.mark.parametrize("name", PLUGINS)
def test_killed_and_continued_is_as_undisturbed(name, store, own, tmp_path):
    reference = f"{own}/{name}"
    assert crossval(store, tmp_path / "whole", reference) == 0
    table = pd.read_parquet(tmp_path / "whole" / "predictions.parquet")
    assert set(table["system"]) == {name} and len(table) == 6 * 6 * 5
    words = [sys.executable, "-m", "gbvnet", "crossval", str(store), str(tmp_path / "killed"), "--system", reference]
    quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    process = subprocess.Popen([*words, "--modality", PLUGINS[name], *QUICK], **quiet)
    first = tmp_path / "killed" / "fold01" / "valence" / "predictions.parquet"
    ended = time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < ended:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert first.exists()
    # Another folder with the same code is the same run.
    moved = shutil.move(own, own.with_name("moved"))
    assert crossval(store, tmp_path / "killed", f"{moved}/{name}") == 0
    whole, killed = ((tmp_path / run / "predictions.parquet").read_bytes() for run in ("whole", "killed"))
    assert whole == killed


def test_changed_code_is_not_continued_in_silence(store, own, tmp_path, capsys):
    reference = f"{own}/forest.py:Forest"
    assert crossval(store, tmp_path / "run", reference) == 0
    written = json.loads((tmp_path / "run" / "environment.json").read_text())["plugin"]
    assert (written["name"], written["origin"]) == ("forest.py:Forest", "forest.py") and len(written["sha256"]) == 64
    (own / "forest.py").write_text((own / "forest.py").read_text().replace("1e-6", "1e-3"))
    assert crossval(store, tmp_path / "run", reference) == 2
    message = capsys.readouterr().err
    assert re.search(r"expected a run begun with the code of forest.py:Forest \(forest.py, sha256 \w{12}\)", message)
    assert "Bring that code back" in message


def test_options_are_in_the_help_and_in_the_runs_settings(store, own, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["crossval", "--system", f"{own}/forest.py:Forest", "--help"])
    assert "--options.trees" in (text := capsys.readouterr().out) and "number of trees (default: 100)" in text
    assert crossval(store, tmp_path / "run", f"{own}/forest.py:Forest", "--options.trees", "3") == 0
    assert "trees: 3" in (tmp_path / "run" / "config.yaml").read_text()
    assert crossval(store, tmp_path / "run", f"{own}/forest.py:Forest", "--options.treess", "3") == 2
    assert "no option treess of Forest; did you mean trees?" in capsys.readouterr().err


def test_compare_ranks_them_beside_the_packages_own_in_several_processes(store, own, tmp_path, capsys, monkeypatch):
    started, pool = [], worker_pool.WorkerPool
    monkeypatch.setattr(worker_pool, "WorkerPool", lambda workers: started.append(workers.processes) or pool(workers))
    names = ",".join([*(f"{own}/{name}" for name in PLUGINS), "logreg", "sklearn.naive_bayes:GaussianNB:eeg"])
    command = ["compare", str(store), str(tmp_path / "compared"), "--systems", names, *QUICK, "--jobs", "2"]
    assert main([*command, "--options.Forest.trees", "20"]) == 0
    assert started == [2]  # the same two processes for all systems
    runs = sorted(folder.name for folder in (tmp_path / "compared" / "runs").iterdir())
    assert runs == [
        "conv_net-ConvNet-bio", "face_and_signals-FaceAndSignals-facebio", "forest-Forest-bio", "logreg-bio",
        "sklearn.naive_bayes-GaussianNB-eeg",
    ]  # fmt: skip
    ranking = pd.read_csv(tmp_path / "compared" / "report" / "tables" / "ranking-valence.csv")
    assert ranking.iloc[:, 0].str.contains("forest.py:Forest").any()
    page = (tmp_path / "compared" / "report" / "report.html").read_text()
    assert "forest.py:Forest" in page and str(own) not in page
    assert "trees: 20" in (tmp_path / "compared" / "runs" / "forest-Forest-bio" / "config.yaml").read_text()
    capsys.readouterr()
    assert main([*command, "--options.Forrest.trees", "20"]) == 2
    assert "no system Forrest" in capsys.readouterr().err


def test_two_plugins_of_one_class_name_are_refused(store, own, tmp_path, capsys):
    shutil.copytree(own, tmp_path / "second")
    names = f"{own}/forest.py:Forest,{tmp_path / 'second'}/forest.py:Forest"
    assert main(["compare", str(store), str(tmp_path / "compared"), "--systems", names, *QUICK]) == 2
    assert "would have the same name: rename a class" in capsys.readouterr().err


def test_audit_finds_how_much_of_a_plugins_score_is_leakage(store, own, tmp_path):
    command = ["audit", str(store), str(tmp_path / "audit"), "--system", f"{own}/forest.py:Forest", "--modality", "bio"]
    command += [
        *QUICK,
        "--baselines",
        "false",
        "--identities",
        "false",
        "--shuffles",
        "1",
        "--protocols",
        "window,trial",
    ]
    assert main(command) == 0
    assert "forest.py:Forest" in (tmp_path / "audit" / "report" / "report.html").read_text()


def test_a_system_that_reads_other_rows_is_stopped(store, tmp_path, capsys):
    (tmp_path / "peeking.py").write_text(
        "from gbvnet.systems.logreg import System\n\n\nclass Peeking(System):\n    '''Of a test.'''\n\n"
        "    def fit(self, store, rows, y, *, validation=None, seed=0):\n"
        "        store.read(range(len(store)), faces=False)\n"
        "        return super().fit(store, rows, y, validation=validation, seed=seed)\n"
    )
    name = f"{tmp_path}/peeking.py:Peeking"
    assert main(["crossval", str(store), str(tmp_path / "run"), "--system", name, "--modality", "bio", *QUICK]) == 2
    assert "a system read row" in capsys.readouterr().err


def test_labels_of_test_rows_are_not_in_the_table_that_a_system_sees(store, tmp_path):
    (tmp_path / "looking.py").write_text(
        "from gbvnet.systems.logreg import System\n\n\nclass Looking(System):\n    '''Of a test.'''\n\n"
        "    def predict_proba(self, store, rows):\n"
        "        return store.windows['valence'].ge(5).to_numpy(float)[rows]\n"
    )
    name = f"{tmp_path}/looking.py:Looking"
    assert main(["crossval", str(store), str(tmp_path / "run"), "--system", name, "--modality", "bio", *QUICK]) == 0
    assert (pd.read_parquet(tmp_path / "run" / "predictions.parquet")["p"] == 0).all()


def test_a_plugin_of_the_packages_own_class_gives_its_very_predictions(store, own, tmp_path):
    (own / "same.py").write_text("from gbvnet.systems.logreg import System\n\n\nclass Same(System):\n    '''Same.'''\n")
    names = f"logreg:bio,{own}/same.py:Same:bio"
    assert main(["compare", str(store), str(tmp_path / "compared"), "--systems", names, *QUICK]) == 0
    one, other = (
        pd.read_parquet(tmp_path / "compared" / "runs" / run / "predictions.parquet")
        for run in ("logreg-bio", "same-Same-bio")
    )
    np.testing.assert_array_equal(one["p"], other["p"])
    assert LogReg.modalities[0] == "bio"


def test_listing(own, capsys):
    assert main(["systems", f"{own}/forest.py:Forest", "zhu", "nothing.py:Here"]) == 1
    text = capsys.readouterr().out
    assert re.search(r"forest.py:Forest +forest.py +- +binary, multiclass +bio, eeg, peri", text)
    assert re.search(r"zhu +gbvnet +0\.", text) and "BAD  nothing.py:Here" in text
    assert main(["systems", f"{own}/forest.py:Forest"]) == 0
    assert "--options.trees  number of trees (default: 100)" in capsys.readouterr().out
    assert main(["corpora", "deap", f"{own}/lab_reader.py:Reader"]) == 0
    assert re.search(r"lab_reader.py:Reader +lab_reader.py +-", capsys.readouterr().out)


def test_a_reader_of_ones_own_is_checked_and_prepared_in_several_processes(own, tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "lab").mkdir()
    for subject in ("a", "b"):
        for trial in range(3):
            np.save(tmp_path / "lab" / f"{subject}_t{trial}_{2 + 3 * trial}.npy", rng.normal(5, 1, (2, 128 * 4)))
    (tmp_path / "lab" / "b_t9_5.npy").write_bytes(b"nothing")
    name = f"{own}/lab_reader.py:Reader"
    assert main(["check", name, str(tmp_path / "lab")]) == 1
    assert "expected a NumPy array, found a file that does not read" in capsys.readouterr().out
    (tmp_path / "lab" / "b_t9_5.npy").unlink()
    command = ["prepare", name, str(tmp_path / "lab"), str(tmp_path / "lab.store"), "--faces", "false", "--jobs", "2"]
    assert main(command) == 0
    assert "18 windows of 6 recordings" in capsys.readouterr().out
    assert json.loads((tmp_path / "lab.store" / "store.json").read_text())["reader"]["name"] == "lab_reader.py:Reader"
    (own / "lab_reader.py").write_text((own / "lab_reader.py").read_text() + "# changed\n")
    assert main(command) == 2
    assert "expected a store made with reader.sha256" in capsys.readouterr().err


def test_no_file_decides_which_code_is_run(store, own, tmp_path, capsys):
    name, run = f"{own}/forest.py:Forest", tmp_path / "run"
    assert crossval(store, run, name) == 0
    (own / "forest.py").write_text("raise SystemError('was run')\n")
    capsys.readouterr()
    for command in (
        ["crossval", str(store), str(tmp_path / "other"), "--config", str(run / "config.yaml")],
        ["crossval", str(store), str(tmp_path / "other"), "--conf", str(run / "config.yaml")],  # as the parser takes it
        ["crossval", str(store), str(tmp_path / "other"), f"--conf={run / 'config.yaml'}"],
        ["explain", str(store), str(run)],
    ):
        assert main(command) == 2
        assert re.search("which is no code of gbvnet: name it to run it, --(system|plugin) ", capsys.readouterr().err)
    assert main(["crossval", str(store), str(run), "--system", "logreg", "--modality", "bio", *QUICK]) == 2
    assert "expected a run with system = logreg, found one with" in capsys.readouterr().err
    (tmp_path / "systems.yaml").write_text(f"systems: [logreg, '{name}:bio']\n")
    assert main(["compare", str(store), str(tmp_path / "c"), "--config", str(tmp_path / "systems.yaml"), *QUICK]) == 2
    assert "name it to run it, --systems" in capsys.readouterr().err


def test_a_run_of_a_plugin_is_explained_if_it_is_named_again(store, own, tmp_path, capsys):
    name, run = f"{own}/conv_net.py:ConvNet", tmp_path / "run"
    assert crossval(store, run, name) == 0
    assert main(["explain", str(store), str(run), "--plugin", name, "--windows", "16"]) == 0
    assert (run / "explain").is_dir()
    assert main(["explain", str(store), str(run), "--plugin", f"{own}/forest.py:Forest"]) == 2
    assert "expected a run of forest.py:Forest, found one of conv_net.py:ConvNet" in capsys.readouterr().err


def test_an_error_of_a_plugin_is_one_line_and_the_others_go_on(store, own, tmp_path, capsys):
    (own / "failing.py").write_text(
        "from gbvnet.systems.adapters import EstimatorSystem\n\n\nclass Failing(EstimatorSystem):\n"
        "    modalities = ('bio',)\n\n    def estimator(self):\n        return 1 / 0\n"
    )
    names = f"logreg,{own}/failing.py:Failing"
    assert main(["compare", str(store), str(tmp_path / "compared"), "--systems", names, *QUICK]) == 1
    out = capsys.readouterr().out
    assert "BAD  " in out and "failing.py:Failing: ZeroDivisionError: division by zero (failing.py, line 8)" in out
    assert (tmp_path / "compared" / "runs" / "logreg-bio" / "predictions.parquet").exists()
