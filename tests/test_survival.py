"""What a kill, a full disk, a locked folder or too little memory leaves behind: nothing that stops the next run.

The long form is `make survival`; here a few kills, and one by one the gaps between two changes of the disk.
"""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gbvnet.cli.main import main
from gbvnet.config import FinalConfig, GBVNetConfig, ModelConfig, PrepareConfig, TrainConfig
from gbvnet.datasets import open_corpus, synthetic_corpora
from gbvnet.errors import BadModel, BadRun, BadStore, GbvnetError, os_error_message
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.run_group import begin_run_group
from gbvnet.experiments.train import train_model
from gbvnet.io.atomic import atomic_write
from gbvnet.network.checkpoint.checkpoint import save_model
from gbvnet.network.model import GBVNet
from gbvnet.network.training_data import CHECKPOINT, HISTORY
from gbvnet.parallel.tasks import run
from gbvnet.report import report
from gbvnet.store import prepare, writer
from gbvnet.store.prepare import prepare_store

from .synthetic_store import write_store

SIGNALS_ONLY = PrepareConfig(faces=False, filter=False, baseline="none")
QUICK = FinalConfig(
    modality="bio",
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=2, batch_size=16, device="cpu"),
    folds=2,
    target="valence",
)
HALF = b"what a killed process was writing"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store", faces=False)


@pytest.fixture(scope="module")
def trained(planted, tmp_path_factory):
    return train_model(planted, tmp_path_factory.mktemp("trained") / "model", QUICK)


@pytest.fixture
def mine(trained, tmp_path):
    """A copy of the model and of its training's folder, to corrupt."""
    for folder in (trained, trained.with_name("model.training")):
        shutil.copytree(folder, tmp_path / folder.name)
    return tmp_path / "model"


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ---------------------------------------------------------------- kills


@pytest.mark.journey
def test_commands_killed_at_random_moments_end_as_if_nothing_had_happened(tmp_path):
    words = [sys.executable, "-m", "tests.survival", "--kills", "4", "--seed", "1", "--signals", "--jobs", "1"]
    root = Path(__file__).parents[1]
    done = subprocess.run([*words, str(tmp_path / "survival")], cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("prepare", "crossval", "train", "reproduce"):
        assert f"1 {name}" in done.stdout
    assert ", 0 faults," in done.stdout


@pytest.mark.journey
def test_the_writer_and_the_reader_of_every_corpus_survive_a_kill(tmp_path):
    kills = 2 * len(synthetic_corpora())
    words = [sys.executable, "-m", "tests.survival", "--corpora", "--kills", str(kills), "--seed", "1", "--jobs", "1"]
    root = Path(__file__).parents[1]
    done = subprocess.run([*words, str(tmp_path / "survival")], cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in synthetic_corpora():
        assert f"1 synth-{name}" in done.stdout and f"1 prepare-{name}" in done.stdout
    assert ", 0 faults," in done.stdout


@pytest.mark.journey
def test_a_store_that_was_killed_in_its_first_write_is_begun_again(deap, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/.store.json.x1.part").write_bytes(HALF)
    assert prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY).n_prepared == 6
    assert sorted(f.name for f in (tmp_path / "store").iterdir()) == [
        "data", "locks", "recordings.parquet", "store.json", "windows.parquet",
    ]  # fmt: skip
    (tmp_path / "other").mkdir()
    (tmp_path / "other/diary.txt").touch()
    with pytest.raises(BadStore, match="a folder with other things in it"):
        prepare_store(open_corpus("deap", deap), tmp_path / "other", SIGNALS_ONLY)


def test_a_store_has_its_settings_before_anything_else(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "atomic_write", full)
    with pytest.raises(BadStore, match="No space left on device"):
        writer.create_store(tmp_path / "store", {"dataset": "deap"})
    assert list((tmp_path / "store").iterdir()) == []  # and so the next run begins in it


def test_a_group_of_runs_that_was_killed_in_its_first_write_is_begun_again(planted, tmp_path):
    (tmp_path / ".train.json.x1.part").write_bytes(HALF)
    begin_run_group(tmp_path / "train.json", "a training", planted, {"a": 1}, 1)
    assert (tmp_path / "train.json").exists()


@pytest.mark.journey
def test_a_run_sweeps_what_was_left_even_if_it_is_whole(planted, tmp_path):
    config = replace(QUICK.crossval(), system="majority", target="valence", joint=False)
    path = cross_validate(planted, tmp_path / "run", config)
    (tmp_path / "run/.environment.json.x1.part").write_bytes(HALF)
    assert cross_validate(planted, tmp_path / "run", config) == path
    assert not list((tmp_path / "run").glob(".*"))


def test_the_same_model_has_the_same_bytes(tmp_path):
    network = GBVNet(GBVNetConfig(variant="micro", modality="bio", n_channels=2, n_samples=32, n_frames=1))
    for name in "abcdef":
        save_model(tmp_path / name, network, {"dataset": "deap"})
    assert len({(tmp_path / name / "model.safetensors").read_bytes() for name in "abcdef"}) == 1


@pytest.mark.journey
def test_a_training_sweeps_what_was_left_inside_and_beside_its_model(planted, tmp_path):
    (tmp_path / "model.training").mkdir()
    (tmp_path / "model.training/.train.json.x1.part").write_bytes(HALF)
    (tmp_path / ".model.x1.part").mkdir()
    (tmp_path / ".model.x1.part/config.json").write_bytes(HALF)
    (tmp_path / ".another.x1.part").write_bytes(HALF)  # of another run
    train_model(planted, tmp_path / "model", QUICK)
    assert sorted(f.name for f in tmp_path.iterdir()) == [".another.x1.part", "model", "model.training"]
    assert not list((tmp_path / "model.training").glob(".*"))


@pytest.mark.journey
def test_a_finished_training_without_its_history_writes_it_again(planted, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("gbvnet.experiments.train.System.save", full)
        with pytest.raises(BadRun, match="No space left on device"):
            train_model(planted, tmp_path / "model", QUICK)
    work = tmp_path / "model.training"
    history = (work / HISTORY).read_bytes()
    (work / HISTORY).unlink()  # as when it was killed between the checkpoint and the history
    train_model(planted, tmp_path / "model", QUICK)
    assert (work / HISTORY).read_bytes() == history and not (work / CHECKPOINT).exists()


@pytest.mark.journey
def test_a_checkpoint_that_outlived_its_training_goes_with_the_next_call(planted, mine):
    left = mine.with_name("model.training") / CHECKPOINT
    left.write_bytes(HALF)
    with pytest.raises(BadModel, match="no such folder yet"):
        train_model(planted, mine, replace(QUICK, seed=5))
    assert left.exists()  # of another training it may be, and that can still go on
    with pytest.raises(BadModel, match="no such folder yet"):
        train_model(planted, mine, QUICK)
    assert not left.exists()


@pytest.mark.journey
def test_training_writes_nothing_into_the_systems_folder_for_temporary_files(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    train_model(planted, tmp_path / "model", QUICK)


# ---------------------------------------------------------------- a full disk, a locked folder, too little memory


def test_the_file_that_could_not_be_written_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        atomic_write(tmp_path / "table.csv", b"1,2")
    assert caught.value.filename == str(tmp_path / "table.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.journey
def test_tables_that_do_not_fit_leave_the_recordings_and_the_next_run_writes_them(deap, tmp_path, monkeypatch):
    corpus = open_corpus("deap", deap)
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "finish_store", full)
        with pytest.raises(BadStore, match="expected tables that can be written, found No space left on device"):
            prepare_store(corpus, tmp_path / "store", SIGNALS_ONLY)
    assert prepare_store(corpus, tmp_path / "store", SIGNALS_ONLY).n_reused == 6


@pytest.mark.journey
def test_a_training_without_room_for_its_checkpoint_is_reported_in_a_line(planted, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("gbvnet.network.lightning_module.atomic_write", full)
    words = ["--model.variant", "micro", "--modality", "bio", "--train.device", "cpu"]
    assert main(["train", str(planted.path), str(tmp_path / "model"), *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert "No space left on device. Finished work is kept; run again." in lines[-1]
    assert not (tmp_path / "model").exists()


@pytest.mark.journey
def test_a_report_without_room_leaves_the_earlier_one_and_nothing_else(planted, tmp_path, monkeypatch, capsys):
    run_folder, out = tmp_path / "run", tmp_path / "report"
    cross_validate(planted, run_folder, replace(QUICK.crossval(), system="majority", target="valence", joint=False))
    assert main(["report", str(run_folder), str(out)]) == 0
    before = {f: f.read_bytes() for f in out.rglob("*") if f.is_file()}
    monkeypatch.setattr(report, "render_html", full)
    capsys.readouterr()
    assert main(["report", str(run_folder), str(out)]) == 2
    assert "No space left on device. Finished work is kept" in capsys.readouterr().err
    assert {f: f.read_bytes() for f in out.rglob("*") if f.is_file()} == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["report", "run"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "/data/x: Permission denied. Finished work"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system. Finished work is kept"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory"),
        (MemoryError(), "not enough memory (no details). Use fewer --jobs"),
        (np.exceptions.AxisError("axis"), None),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "not enough memory",
        ),
        (RuntimeError("shapes do not match"), None),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), None),  # that may be a fault of the package
    ],
)
def test_what_the_machine_lacks_is_reported_and_bugs_are_not_hidden(error, message, monkeypatch, capsys, tmp_path):
    assert (os_error_message(error) or "").startswith(message or "") and bool(os_error_message(error)) == bool(message)

    def fails(*_):
        raise error

    monkeypatch.setattr(report, "write_report", fails)
    if message is None:
        with pytest.raises(type(error)):
            main(["report", "run", str(tmp_path / "out")])
    else:
        assert main(["report", "run", str(tmp_path / "out")]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"gbvnet report: {message}")


def needs_much(x):
    if x == 1:
        raise MemoryError("Unable to allocate 8 TiB")
    return x


def test_a_task_that_wants_too_much_memory_does_not_stop_the_others():
    got = dict(run(needs_much, range(3)))
    assert (got[0], got[2]) == (0, 2)
    assert isinstance(got[1], GbvnetError) and "not enough memory (Unable to allocate 8 TiB)" in str(got[1])
