"""A class that is bound to where recordings come from."""

import pandas as pd
import pytest

from gbvnet.config import CrossvalConfig, FinalConfig, ModelConfig, PrepareConfig, SynthConfig, TrainConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.evaluation.confounds import confounds
from gbvnet.evaluation.plan import make_plan_without_folds
from gbvnet.experiments.train import train_model
from gbvnet.network.checkpoint.folder import read_config
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from ..app_fixtures import write_csv
from ..synthetic_store import write_store


def warnings_of(rows):
    """Return the warnings for rows of subject, signal file and class of each recording."""
    table = pd.DataFrame(rows, columns=["subject", "signals", "y"]).assign(recording=lambda t: t.index.map(str))
    return confounds(table, table.set_index("recording")["y"], "valence", ("low", "high"))


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        # one subject, eyes closed in one file and open in another: several trials each, or one
        ([("a", "closed.edf", 1)] * 3 + [("a", "open.edf", 0)] * 3,
         ["class high in valence comes from signal file closed.edf", "class low in valence comes from signal file op"]),
        ([("a", "closed.edf", 1), ("a", "open.edf", 0)], ["signal file closed.edf", "signal file open.edf"]),
        # all of one class from one session of two, in which the other class is too
        ([("a", "1.edf", 1), ("a", "1.edf", 0), ("a", "2.edf", 0), ("b", "3.edf", 0)],
         ["class high in valence comes from signal file 1.edf"]),
        # every subject has a file of each class
        ([(s, f"{s}_{n}.edf", n) for s in "abcd" for n in (0, 1) for _ in "12"],
         ["each of the 8 signal files with several recordings has one class of valence only"]),
        # a folder a day; files of one trial each
        ([("a", f"day{n}/{k}.edf", n) for n in (0, 1) for k in "123"],
         ["class high in valence comes from folder day1", "class low in valence comes from folder day0"]),
        ([(s, f"{s}/day{n}/{k}.edf", n) for s in "ab" for n in (0, 1) for k in "123"],
         ["comes from folders named day1", "comes from folders named day0"]),
        ([(s, f"{s}/{'ab'.index(s)}{n}/{k}.edf", n) for s in "ab" for n in (0, 1) for k in "123"],
         ["each of the 4 folders with several recordings has one class"]),
        # a session of each class for everybody, of one trial each
        ([(s, f"sub-{s}/ses-{name}/eeg.edf", name == "closed") for s in "abc" for name in ("open", "closed")],
         ["class high in valence comes from folders named ses-closed", "from folders named ses-open"]),
        # the class is the subject
        ([(s, f"{s}{k}.edf", s in "ab") for s in "abcd" for k in "12"],
         ["each of the 4 subjects with several recordings has one class"]),
        ([(s, f"{s}{k}.edf", s == "a") for s in "abc" for k in "12"],
         ["every window of class high in valence comes from subject a"]),
    ],
)  # fmt: skip
def test_a_source_that_tells_the_class_is_named(rows, parts):
    warnings = warnings_of(rows)
    assert len(warnings) == len(parts)
    for text, part in zip(warnings, parts, strict=True):
        assert text.startswith("confound: ") and part in text


@pytest.mark.parametrize(
    "rows",
    [
        [(s, f"{s}.dat", n % 2) for s in "ab" for n in range(4)],  # as DEAP: a file per subject, both classes in each
        [(s, f"{s}{n}.bdf", n % 2) for s in "ab" for n in range(4)],  # as MAHNOB-HCI: a file per trial
        [("a", "1.edf", 1)] * 2 + [("a", "2.edf", 0)] * 2 + [("a", "3.edf", 1), ("a", "3.edf", 0)],
        [("a", "1.edf", 1), ("a", "1.edf", 0)],
        [("a", "1.edf", 1), ("a", "2.edf", 1)],  # one class: another warning
    ],
)
def test_there_is_no_warning_where_a_source_has_both_classes_or_one_trial(rows):
    assert warnings_of(rows) == []


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    """A store of three subjects; each has eyes closed in one file and open in another, two trials in each."""
    folder, rows = tmp_path_factory.mktemp("eyes"), []
    for subject in ("anna", "bert", "carl"):
        for rating, eyes in ((8, "closed"), (2, "open")):
            file = write_csv(folder / f"{subject}_{eyes}.csv", seconds=16, seed=len(rows))
            rows += [{"subject": subject, "trial": f"{eyes}{n}", "signals": file.name, "start_s": 4 + 6 * n,
                      "stop_s": 9 + 6 * n, "valence": rating} for n in (0, 1)]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "recordings.csv", index=False)
    prepare_store(open_corpus("table", folder), folder / "store", PrepareConfig(faces=False))
    return open_store(folder / "store")


@pytest.mark.journey
def test_a_run_and_a_model_say_so(eyes, tmp_path):
    warning = "each of the 6 signal files with several recordings has one class of valence only"
    config = CrossvalConfig(modality="bio", target="valence")
    assert [warning in text for text in make_plan_without_folds(eyes, config).warnings] == [True]
    shuffled = CrossvalConfig(modality="bio", target="valence", shuffle_labels=1)
    assert make_plan_without_folds(eyes, shuffled).warnings == ()
    final = FinalConfig(
        modality="bio", target="valence", model=ModelConfig(variant="micro"), train=TrainConfig(epochs=1)
    )
    folder = train_model(eyes, tmp_path / "model", final)
    assert warning in read_config(folder)[1]["about"]["warnings"][0]
    assert warning in (folder / "README.md").read_text()


@pytest.mark.journey
def test_there_is_no_warning_for_synthetic_corpora(tmp_path):
    write_synthetic("deap", tmp_path / "deap", SynthConfig(subjects=3, trials=6, seconds=1, videos=0))
    prepare_store(open_corpus("deap", tmp_path / "deap"), tmp_path / "store", PrepareConfig(faces=False))
    config = CrossvalConfig(modality="bio", protocol="subject+stimulus")
    assert make_plan_without_folds(open_store(tmp_path / "store"), config).warnings == ()
    assert make_plan_without_folds(write_store(tmp_path / "planted"), config).warnings == ()
