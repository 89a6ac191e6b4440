"""gbvnet tune on the command line: its help, its errors, and a search that is killed and goes on."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.evaluation import predictions

from ..synthetic_store import write_store

SETTINGS = ["--system", "yuvaraj-like", "--modality", "eeg", "--target", "valence", "--folds", "2", "--trials", "4"]
SPACE = "options.feature_set: [statistical, hjorth]\noptions.classifier: [cart, svm]\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("tune") / "store", faces=False).path


@pytest.mark.journey
def test_help_shows_a_space_file_and_the_options_of_the_system(capsys):
    with pytest.raises(SystemExit):
        main(["tune", "--system", "yuvaraj-like", "--help"])
    text = capsys.readouterr().out
    assert "train.learning_rate: {low: 1e-4, high: 1e-2, log: true}" in text
    assert "--space SPACE" in text and "--tuning_folds" in text and "--options.classifier {cart,svm}" in text
    assert "--ray" in text and "--recipe" not in text


@pytest.mark.journey
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "give --space FILE"),
        (["--space", "nothing.yaml"], "nothing.yaml: expected a YAML file with a search space, found No such file"),
        (["--space", "SPACE", "--trials", "0"], "trials must be at least 1, not 0"),
        (["--space", "SPACE", "--tuning-folds", "1"], "tuning_folds must be at least 2, not 1"),
        (["--space", "SPACE", "--lag_s", "search"], "give lag_s in seconds"),
        (["--space", "SPACE", "--system", "zhu"], "no option feature_set of zhu, which has none"),
        (["--space", "SPACE", "--protocol", "subject", "--tuning_folds", "9"], "the tuning folds within the training"),
    ],
)
def test_what_cannot_start_is_one_line(tmp_path, store, capsys, argv, message):
    (tmp_path / "space.yaml").write_text(SPACE)
    argv = [str(tmp_path / "space.yaml") if each == "SPACE" else each for each in argv]
    assert main(["tune", str(store), str(tmp_path / "run"), *SETTINGS, *argv]) == 2
    error = capsys.readouterr().err.removeprefix("\n")  # older versions of rich end a bar that is not shown with a line
    assert error.startswith("gbvnet tune: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.journey
def test_paths_in_the_wrong_order_are_reported(tmp_path, store, capsys):
    assert main(["tune", str(tmp_path / "run"), str(store), "--space", "x.yaml"]) == 2
    assert "The order is: gbvnet tune STORE RUN" in capsys.readouterr().err


@pytest.mark.journey
def test_a_search_that_is_killed_goes_on_and_ends_the_same(tmp_path, store):
    (tmp_path / "space.yaml").write_text(SPACE)
    (tmp_path / "settings.yaml").write_text("tuning_folds: 2\nseed: 3\n")
    options = [*SETTINGS, "--space", str(tmp_path / "space.yaml"), "--config", str(tmp_path / "settings.yaml")]
    command = [sys.executable, "-m", "gbvnet", "tune", str(store), str(tmp_path / "killed"), *options]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    begun, limit = tmp_path / "killed/tuning/fold01/valence/candidates.jsonl", time.monotonic() + 120
    while not begun.exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert begun.exists() and not (tmp_path / "killed" / predictions.FILE).exists()
    for name in ("killed", "whole"):
        assert main(["tune", str(store), str(tmp_path / name), *options]) == 0
    killed, whole = (predictions.read(tmp_path / name / predictions.FILE) for name in ("killed", "whole"))
    pd.testing.assert_frame_equal(killed, whole)
    for file in (tmp_path / "whole").glob("tuning/*/*/chosen.json"):
        assert (tmp_path / "killed" / file.relative_to(tmp_path / "whole")).read_text() == file.read_text()
