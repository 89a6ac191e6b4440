"""The sound of films as a third modality, end to end: from films to a comparison with and without it.

In the films only the pitch of a tone says what the rating is; signals and faces are noise.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.evaluation.metrics import auc
from gbvnet.store.modalities import modalities_folder, read_statuses
from gbvnet.store.reader import open_store
from gbvnet.testing import FilmSound, SyntheticWindows, check_system, film_with_tone
from gbvnet.testing.systems import CONFIG

from ..synthetic_store import write_store

AUDIO = Path(__file__).parents[2] / "examples" / "audio.py"
SUBJECTS, TRIALS, WINDOWS = 4, 4, 3
HZ = {True: 2000.0, False: 600.0}  # of the tone in films that are rated high, and low
START_S = 0.5  # of the stimulus, in the films
# A plug-in reader of films named as the recordings of the store.
READER = """
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from gbvnet.datasets.label_columns import LabelColumn
from gbvnet.datasets.recording import Channel, Recording
from gbvnet.io.video import probe


@dataclass(frozen=True)
class Reader:
    root: Path
    dataset: ClassVar[str] = "deap"
    source: ClassVar[str] = ""
    synthetic: ClassVar[bool] = True
    rate_hz: ClassVar[float] = 32.0
    baseline_s: ClassVar[float] = 3.0
    frames_per_s: ClassVar[int] = 2
    channels: ClassVar[tuple] = (Channel("Fz", "eeg"),)
    labels: ClassVar[tuple] = (LabelColumn("valence", scale=(1, 9)),)
    units: ClassVar[tuple] = ("all",)

    @classmethod
    def open(cls, root):
        return cls(Path(root))

    def recordings(self, unit):
        made = []
        for line in (self.root / "list.txt").read_text().split():
            name, subject, trial, stimulus = line.split(",")
            film = next(self.root.glob(f"{name}.*"))
            made.append(Recording(name, "deap", subject, trial, stimulus, 3.0, video=film, video_start_s=0.5))
        return made

    def notes(self, unit=None):
        return ()

    def inspect(self, recording):
        return replace(recording, video_info=probe(recording.video))

    def signals(self, recording):
        raise NotImplementedError
"""


def write_films(store, folder):
    """A film for each recording: at one of two rates, two without sound, one damaged."""
    folder.mkdir()
    (folder / "reader.py").write_text(READER)
    rows = store.windows.drop_duplicates("recording")
    names = [",".join(row) for row in rows[["recording", "subject", "trial", "stimulus"]].to_numpy(str)]
    (folder / "list.txt").write_text("\n".join(names))
    for number, (name, valence) in enumerate(zip(rows["recording"], rows["valence"], strict=True)):
        sound = FilmSound((0, 60), HZ[valence > 5], rate_hz=(44100, 48000)[number % 2])
        film_with_tone(folder / f"{name}.mov", WINDOWS + START_S, None if number in (1, 6) else sound, 4)
    (folder / "s03_trial02.mov").write_bytes(b"damaged" * 100)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    store = write_store(folder / "store", subjects=SUBJECTS, trials=TRIALS, windows=WINDOWS, effect=0)
    write_films(store, folder / "films")
    return folder


def words(folder, store="store"):
    reader = f"{folder / 'films' / 'reader.py'}:Reader"
    return ["modality", "add", str(folder / store), f"{AUDIO}:LogMel", reader, str(folder / "films")]


@pytest.fixture(scope="module")
def added(films):
    """The store with the sound of its films; the exit code says that one film is damaged."""
    with (films / "out.txt").open("w") as out, contextlib.redirect_stdout(out):
        assert main(words(films)) == 1
    return open_store(films / "store")


@pytest.mark.journey
def test_the_sound_of_films_becomes_a_modality_of_the_store(added, films):
    first, second = (films / "out.txt").read_text().splitlines()
    assert first.endswith("log_mel: log_mel, 98 x 40 a window")
    assert second == "13 recordings have it, 2 do not, 1 bad; 0 of them read before"
    bad = [each for each in read_statuses(modalities_folder(added.path) / "log_mel") if each.status == "bad"]
    assert [each.recording for each in bad] == ["s03_trial02"] and "mov: expected a video, found" in bad[0].reason
    values, has = added.modality("log_mel", range(len(added)))
    without = added.windows["recording"].isin(["s01_trial02", "s02_trial03", "s03_trial02"]).to_numpy()
    assert (has == ~without).all()
    # Every band is as loud as the tone makes it, whatever the film's rate.
    high = (added.windows["valence"] > 5).to_numpy()
    loudest = values[has].mean(axis=1).argmax(axis=1)
    mel = 2595 * np.log10(1 + np.array([50.0, 8000.0, HZ[True], HZ[False]]) / 700)
    band = (mel[2:] - mel[0]) / (mel[1] - mel[0]) * 41 - 1
    np.testing.assert_allclose(loudest, np.where(high[has], *band), atol=0.51)


@pytest.mark.journey
def test_modalities_are_listed(added, capsys):
    assert main(["modality", "list", str(added.path)]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[:8] == ["log_mel", "98", "x", "40", "13", "of", "16", "39"] and "audio.py:LogMel" in line


@pytest.mark.journey
def test_a_plugin_that_is_none_and_a_wrong_corpus_are_refused(added, films, tmp_path, capsys):
    (tmp_path / "mine.py").write_text("class Mine:\n    name = 'mine'\n")
    args = words(films)
    assert main([*args[:3], f"{tmp_path / 'mine.py'}:Mine", *args[4:]]) == 2
    assert "mine.py:Mine: a modality needs shape, read, which this one does not have" in capsys.readouterr().err
    assert main([*args[:4], "dreamer", str(tmp_path)]) == 2
    (tmp_path / "mine.py").write_text(AUDIO.read_text().replace("BANDS, LOW_HZ", "BANDS , LOW_HZ"))
    assert main([*args[:3], f"{tmp_path / 'mine.py'}:LogMel", *args[4:]]) == 2
    message = capsys.readouterr().err
    assert "expected the code of mine.py:LogMel (sha256" in message and "read by the code of audio.py:LogMel" in message


@pytest.mark.journey
def test_it_goes_on_after_a_kill_and_ends_with_the_same_bytes(added, films):
    """The second store has the same windows, so the bytes must be those of an undisturbed run."""
    write_store(films / "again", subjects=SUBJECTS, trials=TRIALS, windows=WINDOWS, effect=0)
    folder = modalities_folder(films / "again") / "log_mel"
    command = [sys.executable, "-m", "gbvnet", *words(films, "again")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(folder.glob("data/s*"))) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    begun = {file.name: file.stat().st_mtime_ns for file in folder.glob("data/s*")}
    assert 3 <= len(begun) < 15 and not (folder / "recordings.json").exists()
    assert main(words(films, "again")) == 1
    assert all((folder / "data" / name).stat().st_mtime_ns == time_ns for name, time_ns in begun.items())
    other = modalities_folder(added.path) / "log_mel"
    for file in sorted(other.rglob("*.*")):
        assert (folder / file.relative_to(other)).read_bytes() == file.read_bytes(), file


QUICK = ["--target", "valence", "--protocol", "subject", "--folds", "4", "--modality", "bio", "--train.device", "cpu",
         "--train.epochs", "30", "--train.patience", "30", "--train.learning_rate", "0.003",
         "--train.batch_size", "8", "--model.variant", "micro"]  # fmt: skip


def scores(run):
    table = pd.read_parquet(run / "predictions.parquet")
    return auc(table["y"].to_numpy(), table["p"].to_numpy()), table


@pytest.mark.journey
@pytest.mark.usefixtures("one_core")
def test_with_the_sound_a_new_subject_is_predicted_and_without_it_not(added, films, tmp_path):
    system = f"{AUDIO}:GBVNetWithSound"
    assert main(["crossval", str(added.path), str(tmp_path / "with"), "--system", system, *QUICK]) == 0
    assert main(["crossval", str(added.path), str(tmp_path / "without"), "--system", "gbvnet", *QUICK]) == 0
    (with_sound, table), (without, _) = scores(tmp_path / "with"), scores(tmp_path / "without")
    silent = table["recording"].isin(["s01_trial02", "s02_trial03", "s03_trial02"])
    heard = table[~silent]
    assert auc(heard["y"].to_numpy(), heard["p"].to_numpy()) > 0.9 and with_sound > 0.75
    assert abs(without - 0.5) < 0.25
    environment = json.loads((tmp_path / "with" / "environment.json").read_text())
    assert environment["modalities"] == {"log_mel": added.modalities["log_mel"].digest}
    assert "modalities" not in json.loads((tmp_path / "without" / "environment.json").read_text())


@pytest.mark.journey
def test_a_store_without_it_is_refused_before_any_training(films, tmp_path, capsys):
    write_store(tmp_path / "bare", subjects=2, trials=2, windows=2)
    args = ["crossval", str(tmp_path / "bare"), str(tmp_path / "run"), "--system", f"{AUDIO}:GBVNetWithSound", *QUICK]
    assert main(args) == 2
    assert "expected a further modality log_mel, found none; `gbvnet modality add` adds one" in capsys.readouterr().err


@pytest.mark.journey
@pytest.mark.parametrize("modality", ["facebio", "bio"])
def test_the_system_of_the_example_keeps_the_contract(modality):
    """What it learns is tested above, and by the default settings with signals alone."""
    learns = modality == "bio"
    config = CONFIG if learns else replace(CONFIG, train=replace(CONFIG.train, epochs=1, batch_size=32))
    windows = SyntheticWindows(modalities=(("log_mel", (12, 6)),), missing=(((1, 1), "log_mel"), ((3, 2), "log_mel")))
    reference = f"{AUDIO}:GBVNetWithSound"
    results = check_system(reference, config=config, modalities=(modality,), windows=windows, learns=learns)
    assert all(result.kept for result in results)
