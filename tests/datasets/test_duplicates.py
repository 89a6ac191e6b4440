"""Recordings that may be one under two names, and names that may be one in two spellings."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import CrossvalConfig, PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.duplicates import same_bytes, second_of_one_file, spellings
from gbvnet.datasets.formats.raw_files import SAMPLE
from gbvnet.datasets.names import alike, file_name_error
from gbvnet.datasets.recording import Recording
from gbvnet.evaluation.plan import make_plan_without_folds
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from ..app_fixtures import write_csv
from ..synthetic_store import write_store


def recordings(*names, **files):
    """subject/trial/stimulus each"""
    made = [name.split("/") for name in names]
    return [Recording(f"{s}_{t}", "mine", s, t, film, 5.0, **files) for s, t, film in made]


@pytest.mark.parametrize(
    "pair",
    [("01", "1"), ("s01", "S01"), ("s01", "s1"), ("s01", "S-1"), ("sub_01", "Sub1"), ("Anna", "anna"),
     ("J\u00fcrgen", "Ju\u0308rgen"), ("film 3", "Film-03"), ("\uff11", "1")],
)  # fmt: skip
def test_two_spellings_of_one_name(pair):
    assert alike([*pair, *pair, "another"]) == [tuple(sorted(pair))]


@pytest.mark.parametrize(
    "pair", [("s1", "s10"), ("1-11", "11-1"), ("s1", "t1"), ("10", "1"), ("1.5", "15"), ("a", "b")]
)
def test_other_names_stay_distinct(pair):
    assert alike(pair) == []


def test_the_corpora_of_the_field_have_no_such_names():
    assert alike([f"s{n:02d}" for n in range(1, 33)]) == []
    assert alike([str(n) for n in range(1, 40)]) == []
    assert alike([f"{n}.avi" for n in (30, 52, 53, 58, 69, 73, 79, 80, 90, 107, 111, 138, 146)]) == []


def test_messages_about_spellings():
    messages = "\n".join(spellings(recordings("01/a/x", "1/b/y", "anna/1/Film-1", "anna/01/film1", "bert/1/bert_1")))
    assert "subjects 01 and 1: these may be one subject in several spellings; a split by subject" in messages
    assert "stimuli Film-1 and film1: these may be one stimulus" in messages
    assert "trials of subject anna: 01 and 1: these may be one trial" in messages
    assert list(spellings(recordings("s01/1/x", "s02/1/x", "s10/11/y"))) == []
    forms = list(spellings(recordings("J\u00fcrgen/1/x", "Ju\u0308rgen/2/x")))
    assert forms[0].startswith("subjects Ju\\u0308rgen and J\u00fcrgen:")


def test_files_whose_names_one_disk_distinguishes_and_another_does_not(tmp_path):
    recorded = recordings("Anna/1/x", "anna/1/y", "bert/1/z")
    assert any("recordings Anna_1 and anna_1 have one file name" in text for text in spellings(recorded))
    assert second_of_one_file(recorded, tmp_path) == {}
    (tmp_path / "STORE.JSON").touch()  # as a disk that ignores case answers for store.json
    assert second_of_one_file(recorded, tmp_path) == {"anna_1": "Anna_1"}


def test_files_of_the_same_bytes_are_detected_by_size_then_samples_then_all(tmp_path):
    content = bytearray(np.random.default_rng(0).bytes(8 * SAMPLE))
    other = bytearray(content)
    other[SAMPLE + 5] ^= 1  # where no sample looks
    for name, held in (("a.bdf", content), ("b.bdf", content), ("c.bdf", other), ("d.bdf", content[:-1]), ("e", b"")):
        (tmp_path / name).write_bytes(held)
    (tmp_path / "f").write_bytes(b"")
    recorded = [r for name in "a b c d e f".split() for file in tmp_path.glob(f"{name}*")
             for r in recordings(f"{name}/1/x", f"{name}/2/x", signals=file)]  # fmt: skip
    assert list(same_bytes(recorded)) == [
        "a.bdf and b.bdf hold the same bytes: is one recording there under several names? (a_1, a_2, b_1, b_2)"
    ]
    filmed = [*recordings("x/1/f", video=tmp_path / "a.bdf"), *recordings("y/1/f", video=tmp_path / "b.bdf")]
    assert "(x_1, y_1)" in next(same_bytes(filmed))
    assert list(same_bytes([*recordings("x/1/f", signals=tmp_path / "none.edf"), *recorded[:2]])) == []


def test_copies_of_a_file_that_a_header_names(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.vhdr").write_text(f"DataFile={name}.eeg")
        (tmp_path / f"{name}.eeg").write_bytes(b"12345")
    recorded = [r for name in "ab" for r in recordings(f"{name}/1/x", signals=tmp_path / f"{name}.vhdr")]
    assert "a.vhdr and b.vhdr hold the same bytes" in next(same_bytes(recorded))


@pytest.fixture
def copied(tmp_path):
    """Subjects 01 and 1 with a copy of one file, and bert."""
    write_csv(tmp_path / "a.csv", seconds=12)
    (tmp_path / "b.csv").write_bytes((tmp_path / "a.csv").read_bytes())
    write_csv(tmp_path / "c.csv", seconds=12, seed=1)
    rows = [("01", "a.csv", 7), ("1", "b.csv", 2), ("bert", "c.csv", 8)]
    made = [{"subject": s, "trial": "1", "signals": f, "start_s": 4, "stop_s": 9, "valence": v} for s, f, v in rows]
    pd.DataFrame(made).to_csv(tmp_path / "recordings.csv", index=False)
    return tmp_path


@pytest.mark.journey
def test_check_prepare_and_a_run_say_so(copied, capsys):
    assert main(["check", "table", str(copied), "--jobs", "1"]) == 0
    checked = capsys.readouterr().out
    assert main(["prepare", "table", str(copied), str(copied / "store"), "--jobs", "1"]) == 0
    for out in (checked, capsys.readouterr().out):
        assert "note subjects 01 and 1: these may be one subject in several spellings" in out
        assert "note a.csv and b.csv hold the same bytes" in out
    plan = make_plan_without_folds(
        open_store(copied / "store"), CrossvalConfig(modality="bio", target="valence", protocol="subject")
    )
    warnings = "\n".join(plan.warnings)
    assert "subjects 01 and 1: these may be one subject in several spellings, and may be on both sides" in warnings
    assert "recordings 01_1 and 1_1 hold the same windows" in warnings


@pytest.mark.journey
def test_a_sound_store_gives_no_such_warning(tmp_path):
    store = write_store(tmp_path / "s", faces=False)
    assert make_plan_without_folds(store, CrossvalConfig(modality="bio", protocol="subject+stimulus")).warnings == ()


@pytest.mark.journey
def test_only_a_table_keeps_which_file_a_recording_is_from(copied, deap, tmp_path):
    prepare_store(open_corpus("table", copied), copied / "store", PrepareConfig(faces=False))
    table = open_store(copied / "store").recordings
    assert table["signals"].tolist() == ["a.csv", "b.csv", "c.csv"] and table["video"].tolist() == ["", "", ""]
    prepare_store(open_corpus("deap", deap), tmp_path / "deap.store", PrepareConfig(faces=False))
    assert not {"signals", "video"} & set(open_store(tmp_path / "deap.store").recordings)


@pytest.mark.parametrize("name", ["CON", "nul.x", "com1", "a.", " a", "a:b", "a/b", "x" * 201, "\u4eba" * 67, ""])
def test_names_that_no_file_can_have_everywhere(name):
    assert file_name_error(name)


@pytest.mark.parametrize("name", ["x" * 200, "CON_1", "company", "a.b", "J\u00fcrgen", "s01_trial01", "-1"])
def test_names_that_a_file_can_have(name):
    assert file_name_error(name) is None


@pytest.mark.journey
def test_prepare_tells_of_names_and_bytes_and_why_a_line_was_refused(tmp_path, capsys):
    for name in ("a.csv", "b.csv"):
        write_csv(tmp_path / name, 20, ("Fp1", "Fp2"))
    rows = ["01,1,a.csv,5,10,2,2", "1,1,b.csv,5,10,8,8", "c,1,absent.csv,5,10,8,8"]
    text = "\n".join(["subject,trial,signals,start_s,stop_s,valence,arousal", *rows])
    (tmp_path / "recordings.csv").write_text(text + "\n")
    assert main(["prepare", "table", str(tmp_path), str(tmp_path / "store"), "--baseline", "none", "--jobs", "1"]) == 1
    out, err = capsys.readouterr()
    assert "note subjects 01 and 1: these may be one subject in several spellings" in out
    assert "note a.csv and b.csv hold the same bytes" in out
    assert "BAD " in err and "line 4 (c_1): expected the file in column signals" in err


@pytest.mark.journey
def test_a_store_in_which_nothing_was_good_is_begun_anew_with_other_channels(tmp_path):
    write_csv(tmp_path / "a.csv", 20, ("Fp1", "Fp2"))
    head, table, config = "subject,trial,signals,start_s,stop_s,valence\n", tmp_path / "recordings.csv", PrepareConfig()
    table.write_text(head + "a,1,absent.csv,5,10,2\n")
    assert prepare_store(open_corpus("table", tmp_path), tmp_path / "store", config).n_prepared == 0
    table.write_text(head + "a,1,a.csv,5,10,2\n")  # only now are its channels known
    assert prepare_store(open_corpus("table", tmp_path), tmp_path / "store", config).n_prepared == 1
    assert [name for name, _ in open_store(tmp_path / "store").settings["channels"]] == ["Fp1", "Fp2"]
