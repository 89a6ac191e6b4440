"""A corpus is added by one file with its reader and one that writes its synthetic twin; the registry finds both."""

import os
import re
import subprocess
import sys

import pytest

import gbvnet.datasets
import gbvnet.datasets.synthetic
from gbvnet.cli.main import main
from gbvnet.datasets import (
    corpora,
    open_corpus,
    raw_corpora,
    synthetic_corpora,
    synthetic_settings,
    write_synthetic,
)
from gbvnet.errors import BadConfig

from . import test_readers

READER = '''"""TINY, one signal and no video (nobody, 2025)."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gbvnet.datasets.label_columns import LabelColumn
from gbvnet.datasets.recording import Channel, Recording, Signals, read_stamp
from gbvnet.errors import BadRecording


@dataclass(frozen=True)
class Reader:
    root: Path
    synthetic: bool
    dataset = "tiny-two"
    source = ""
    rate_hz, baseline_s, frames_per_s = 64.0, 1.0, 10
    channels = (Channel("Cz", "eeg"),)
    labels = (LabelColumn("valence", (1.0, 9.0)), LabelColumn("arousal", (0.0, 10.0)))

    @classmethod
    def open(cls, root):
        if not list(root.glob("*.json")):
            raise BadRecording(root, "files SUBJECT_TRIAL.npy", "none")
        return cls(root, read_stamp(root) is not None)

    @property
    def units(self):
        return tuple(sorted({f.name[:2] for f in self.root.glob("*.npy")}))

    def recordings(self, unit):
        return [self._recording(f) for f in sorted(self.root.glob(f"{unit}_*.npy"))]

    def _recording(self, file):
        try:
            seconds = len(np.load(file)) / 64 - 1
        except ValueError as error:
            text = str(BadRecording(file, "an array", error))
            return Recording(file.stem, self.dataset, file.stem[:2], file.stem[3:], file.stem[3:], 0.0, error=text)
        ratings = {"valence": 3.0, "arousal": 7.0}
        subject, trial = file.stem.split("_")
        return Recording(file.stem, self.dataset, subject, trial, trial, seconds, ratings, signals=file)

    def notes(self, unit=None):
        return ()

    def inspect(self, recording):
        return recording

    def signals(self, recording):
        return Signals(np.load(recording.signals)[None], 64.0, 64.0, self.channels)
'''
TWIN = '''"""A synthetic TINY."""

import io
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from gbvnet.config import SynthConfig
from gbvnet.datasets.synthetic.writer import SyntheticCorpus, make_stamp, write_corpus


@dataclass(frozen=True)
class Settings(SynthConfig):
    limits: ClassVar = {"subjects": 9, "trials": 9, "seconds": 20}

    hum: float = 0.0
    """strength of a hum in the signal"""


def write(root, config, jobs=1, progress=None):
    trials = [(s, t) for s in range(1, config.subjects + 1) for t in range(1, config.trials + 1)]
    paths = tuple(f"p{s}_{t}.npy" for s, t in trials)
    truth = {"trials": config.trials, "seconds": config.seconds}
    corpus = SyntheticCorpus(make_stamp(1, config, corpus="tiny-two"), truth, paths, partial(_content, config))
    write_corpus(root, corpus, jobs, progress)


def _content(config, path):
    buffer = io.BytesIO()
    rng = np.random.default_rng([config.seed, *path.encode()])
    np.save(buffer, rng.normal(config.hum, 20, 64 * (1 + config.seconds)))
    return buffer.getvalue()
'''


def help_of(capsys, *command: str) -> str:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    lines = re.sub(r"(?<=\w)-\n\s+", "-", capsys.readouterr().out)  # a name may be broken at its hyphen
    return " ".join(lines.split())


@pytest.fixture
def added(tmp_path, monkeypatch):
    """The package with a new reader and its synthetic twin, as if both files lay in it."""
    for package, text in ((gbvnet.datasets, READER), (gbvnet.datasets.synthetic, TWIN)):
        folder = tmp_path / package.__name__.split(".")[-1]
        folder.mkdir()
        (folder / "tiny_two.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    yield "tiny-two"
    for package in (gbvnet.datasets, gbvnet.datasets.synthetic):
        sys.modules.pop(f"{package.__name__}.tiny_two", None)


def test_the_corpora_that_there_are():
    assert {"deap", "mahnob", "table"} <= set(corpora()) and "deap-raw" not in corpora()
    assert "deap" in raw_corpora() and {"deap", "mahnob"} <= set(synthetic_corpora())
    assert corpora()["mahnob"].title.startswith("MAHNOB-HCI")


def test_an_unknown_name_gets_the_nearest(tmp_path):
    with pytest.raises(BadConfig, match=r"no corpus named mahnop; did you mean mahnob\?"):
        open_corpus("mahnop", tmp_path)
    with pytest.raises(BadConfig, match=r"no synthetic corpus named tables; did you mean table\?"):
        write_synthetic("tables", tmp_path)


@pytest.mark.journey
def test_two_files_add_a_corpus_to_the_command_line(added, tmp_path, capsys):
    for command in ("check", "prepare", "synth"):
        assert "tiny-two: TINY, one signal and no video (nobody, 2025)" in help_of(capsys, command), command
    text = help_of(capsys, "synth", added)
    assert "at most 9 subjects, 9 trials, 20 seconds" in text and "strength of a hum" in text
    root = str(tmp_path / "corpus")
    assert main(["synth", added, root, "--subjects", "2", "--trials", "3", "--hum", "2", "--jobs", "1"]) == 0
    assert main(["check", added, root, "--jobs", "1"]) == 0
    assert "6 good recordings" in capsys.readouterr().out
    assert main(["prepare", added, root, str(tmp_path / "store"), "--faces", "false", "--jobs", "1"]) == 0
    assert main(["synth", added, str(tmp_path / "x"), "--subjects", "10"]) == 2
    assert "subjects must be 1 to 9 here, not 10" in capsys.readouterr().err


@pytest.mark.journey
def test_the_contract_tests_find_a_new_corpus(added, tmp_path, capsys):
    assert added in test_readers.kinds()
    root = test_readers.write(added, tmp_path / "corpus")
    test_readers.test_what_a_corpus_says_of_itself(added, root)
    test_readers.test_recordings_are_named_once_for_all_and_have_the_labels_that_are_declared(added, root)
    test_readers.test_a_corpus_keeps_the_contract(added, root)
    test_readers.test_a_corrupted_file_is_reported_and_the_other_recordings_are_used(added, tmp_path / "second", capsys)
    test_readers.test_a_store_holds_the_windows_that_signals_and_filter_give(added, root, tmp_path)


def test_settings_of_one_format_are_no_settings_of_another():
    assert "raw" in vars(synthetic_settings("deap")()) and "raw" not in vars(synthetic_settings("mahnob")())
    with pytest.raises(BadConfig, match="trials must be 1 to 20 here, not 21"):
        synthetic_settings("mahnob")(trials=21)


def test_the_registry_imports_no_reader():
    code = (
        "import sys; from gbvnet.datasets import corpora, raw_corpora, synthetic_corpora\n"
        "corpora(), raw_corpora(), synthetic_corpora()\n"
        "print(sorted(m for m in sys.modules if m.startswith('gbvnet.datasets.') or m == 'numpy'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.split() == ["['gbvnet.datasets.synthetic']"]
