"""Paths in the wrong places: a message names what is there and what was expected, and nothing is written."""

import pytest

from gbvnet.cli.main import main
from gbvnet.errors import BadConfig
from gbvnet.io.path_kinds import Argument, kind_of, require_folder_to_write, require_kinds


@pytest.fixture
def here(tmp_path, monkeypatch):
    """One folder or file of each kind, which is recognised by file names alone."""
    made = {
        "store": ["store.json"], "model": ["config.json", "model.safetensors"], "out": ["emotions.csv"],
        "run": ["config.yaml", "environment.json"], "rep": ["report.html"], "cmp": ["compare.json"],
        "aud": ["audit.json"], "deap": ["data_preprocessed_python/s01.dat"], "mahnob": ["Sessions/1/session.xml"],
        "mine": ["recordings.csv"], "other": ["notes.md"], ".": ["film.mp4", "eeg1.bdf", "read.me"],
    }  # fmt: skip
    for folder, files in made.items():
        for file in files:
            path = tmp_path / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_where(here):
    kinds = {name: kind_of(here / name) for name in ("store", "model", "run", "rep", "out", "cmp", "aud", "film.mp4")}
    assert kinds == {"store": "store", "model": "model", "run": "run", "rep": "report", "out": "prediction",
                     "cmp": "comparison", "aud": "audit", "film.mp4": "video"}  # fmt: skip
    assert [kind_of(here / name) for name in ("deap", "mahnob", "mine")] == ["deap", "mahnob", "table"]
    assert [kind_of(here / name) for name in ("other", "read.me", "nothing", "s3://bucket/store")] == [None] * 4


@pytest.mark.journey
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("predict film.mp4 model out2", "MODEL must be a model folder, and film.mp4 is a video file"),
        ("predict store film.mp4 out2", "MODEL must be a model folder, and store is a store of windows"),
        (
            "predict model deap out2",
            "deap is a DEAP folder. The order is: gbvnet predict MODEL FILE ... OUT. Recordings",
        ),
        ("predict model film.mp4 store", "OUT must be a new folder or a prediction, and store is a store of windows"),
        ("predict model film.mp4 out2 --corpus deap", "CORPUS must be the folder of a corpus, and film.mp4 is a video"),
        ("train model store", "STORE must be a store of windows, and model is a model folder"),
        ("train store run", "MODEL must be a new folder or a model folder, and run is a run"),
        (
            "crossval run store",
            "STORE must be a store of windows, and run is a run. The order is: gbvnet crossval STORE RUN",
        ),
        ("crossval store model", "RUN must be a new folder or a run or a group of seeds, and model is a model folder"),
        ("prepare deap store deap", "ROOT must be the folder of a corpus, and store is a store of windows"),
        (
            "prepare deap deap mahnob",
            "STORE must be a new folder or a store of windows, and mahnob is a MAHNOB-HCI folder",
        ),
        ("check mahnob model", "ROOT must be the folder of a corpus, and model is a model folder"),
        ("compare cmp store", "STORE must be a store of windows, and cmp is a comparison"),
        ("audit aud store", "STORE must be a store of windows, and aud is an audit"),
        ("transfer store run runs", "STORE_B must be a store of windows, and run is a run"),
        ("explain run store", "STORE must be a store of windows, and run is a run"),
        (
            "report store rep",
            "RUN must be a run or a group of seeds or an audit or a comparison, and store is a store of windows",
        ),
        ("report run run", "REPORT must be a new folder or a report, and run is a run"),
        ("reproduce run out2", "STORE must be a store of windows, and run is a run"),
        ("predict model film.mp4", "and film.mp4 is a video file. The order is: gbvnet predict MODEL FILE ... OUT."),
        ("live film.mp4", "MODEL must be a model folder, and film.mp4 is a video file"),
        ("predict model film.mp4 --device cpu out2", "unrecognized arguments: out2 (paths come before options)"),
        ("app store", "MODEL must be a model folder, and store is a store of windows"),
        ("model show rep", "MODEL must be a model folder, and rep is a report"),
        ("synth deap model", "DIR must be a new folder or the folder of a corpus, and model is a model folder"),
        ("table init store", "and store is a store of windows"),
    ],
)
def test_arguments_in_the_wrong_order_are_named_for_what_they_are(here, capsys, words, message):
    before = sorted(here.rglob("*"))
    assert main(words.split()) == 2
    output = capsys.readouterr()
    assert message in output.err and output.err.count("\n") == 1 and output.out == ""
    assert sorted(here.rglob("*")) == before


def test_what_is_of_no_known_kind_is_left_to_its_reader(here):
    require_kinds("train", [Argument("STORE", here / "other", ("store",)), Argument("MODEL", here / "x", ("new",))])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eeg.bdf", r"eeg.bdf: no such file \(did you mean eeg1.bdf\?\).*the name of a file of signals"),
        ("EEG.EDF", r"no such file\..*the name of a file of signals"),
        ("films.mp4", r"no such file \(did you mean film.mp4\?\).*the name of a video file"),
        ("a/b.vhdr", r"a/b.vhdr: no such file\."),
        ("film.mp4", "film.mp4 is a video file, and the last argument is the folder to write"),
        ("eeg1.bdf", "eeg1.bdf is a file of signals, and the last argument"),
        ("x.CSV", "the name of a file of signals"),
    ],
)
def test_a_folder_to_write_is_no_video_and_no_signals(here, name, message):
    with pytest.raises(BadConfig, match=message):
        require_folder_to_write(type(here)(name))


def test_a_folder_may_be_called_as_it_is(here):
    (here / "mff.mff").mkdir()
    for name in ("out2", "new/out", "v1.2", "mff.mff"):
        require_folder_to_write(here / name)
