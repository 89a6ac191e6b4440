"""A reader that keeps the contract passes; one that breaks a promise is refused for that promise, with a remedy.

The sound reader is of a small format of its own: NAME.npy with the signals and NAME.json beside it. Each broken reader
differs from it in one place.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from gbvnet.datasets import corpora
from gbvnet.datasets.label_columns import LabelColumn
from gbvnet.datasets.label_traces import Trace
from gbvnet.datasets.recording import Channel, Recording, Signals, require_folder
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.testing import ContractBroken, check_corpus
from gbvnet.testing.results import WORKS

RATE_HZ, SECONDS, BASELINE_S = 64.0, 4, 2


@dataclass(frozen=True)
class Reader:
    """A corpus of two channels."""

    root: Path
    dataset: str = "own"
    source: str = ""
    synthetic: bool = False
    rate_hz: float = RATE_HZ
    baseline_s: float = BASELINE_S
    frames_per_s: int = 5
    channels: tuple = (Channel("Cz", "eeg"), Channel("GSR", "gsr"))
    labels: tuple = (LabelColumn("valence", (1.0, 9.0)), LabelColumn("curve", (0.0, 1.0), trace=True))

    @classmethod
    def open(cls, root):
        require_folder(root)
        if not list(root.glob("*.json")):
            raise BadRecording(root, "files *.json", "none")
        return cls(root)

    @property
    def units(self):
        return tuple(sorted({file.name[:3] for file in self.root.glob("*.json")}))

    def recordings(self, unit):
        return [self.recording(file) for file in sorted(self.root.glob(f"{unit}*.json"))]

    def recording(self, file):
        about = json.loads(file.read_text())
        trace = Trace(np.arange(SECONDS, dtype=float), np.full(SECONDS, 0.5))
        return Recording(
            name=file.stem,
            dataset=self.dataset,
            seconds=SECONDS,
            signals=file.with_suffix(".npy"),
            traces={"curve": trace},
            **about,
        )

    def notes(self, unit=None):
        return ("a note",) if unit is None else ()

    def inspect(self, recording):
        self.array(recording)
        return replace(recording, warnings=("inspected",))

    def signals(self, recording):
        return Signals(self.array(recording), RATE_HZ, BASELINE_S * RATE_HZ, self.channels)

    def array(self, recording):
        try:
            return np.load(recording.signals)
        except (OSError, ValueError) as error:
            raise BadRecording(recording.signals, "an array", str(error)) from None


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    for subject in (1, 2):
        for trial in (1, 2):
            name = f"s{subject:02d}_t{trial}"
            np.save(folder / f"{name}.npy", 20 * rng.normal(size=(2, int((BASELINE_S + SECONDS) * RATE_HZ))))
            about = {"subject": f"s{subject:02d}", "trial": str(trial), "stimulus": str(trial)}
            (folder / f"{name}.json").write_text(json.dumps({**about, "ratings": {"valence": 2.0 + trial}}))
    return folder


def broken(reader, root):
    results = check_corpus(reader, root, raise_on_error=False)
    return {result.promise: result.happened for result in reversed(results) if not result.kept}  # the first of each


def test_a_sound_reader_keeps_every_promise_as_a_class_and_as_a_function(root):
    results = check_corpus(Reader, root)
    assert {result.promise for result in results} == {
        "opens", "folders without a corpus", "declarations", "channels", "labels", "units", "recordings", "ratings",
        "the same each time", "other processes", "inspect", "signals", "times", "microvolts", "files stay as they are",
        "damage",
    }  # fmt: skip
    assert check_corpus(lambda folder: Reader.open(folder), root) == results


def test_a_corpus_by_name(root):
    with pytest.raises(BadConfig, match=r"no corpus named own; there are "):
        check_corpus("own", root)
    assert "deap" in corpora()
    with pytest.raises(ContractBroken, match=r"deap breaks the contract of corpora: 1 of 3 checks failed"):
        check_corpus("deap", root)  # another format


class OpensAnything(Reader):
    @classmethod
    def open(cls, root):
        return cls(root)


class FailsOnFolders(Reader):
    @classmethod
    def open(cls, root):
        next(root.glob("*.json"))
        return cls(root)


class NamesTwice(Reader):
    def recording(self, file):
        return replace(super().recording(file), name="recording")


class NamesWithSlash(Reader):
    def recording(self, file):
        return replace(super().recording(file), name=f"a/{file.stem}")


class OfAnotherDataset(Reader):
    def recording(self, file):
        return replace(super().recording(file), dataset="deap")


class NoSubject(Reader):
    def recording(self, file):
        return replace(super().recording(file), subject="")


class OneTrial(Reader):
    def recording(self, file):
        return replace(super().recording(file), trial="1")


class AbsentFile(Reader):
    def recording(self, file):
        return replace(super().recording(file), signals=file.with_suffix(".bdf"))


class OnlyErrors(Reader):
    def recording(self, file):
        return replace(super().recording(file), error="broken")


class UndeclaredRating(Reader):
    def recording(self, file):
        return replace(super().recording(file), ratings={"arousal": 3.0})


class RatingOutOfScale(Reader):
    def recording(self, file):
        return replace(super().recording(file), ratings={"valence": 11.0})


class TraceBackwards(Reader):
    def recording(self, file):
        trace = object.__new__(Trace)
        object.__setattr__(trace, "times_s", np.array([1.0, 0.0]))
        object.__setattr__(trace, "values", np.array([0.5, 0.5]))
        return replace(super().recording(file), traces={"curve": trace})


class AnotherOrder(Reader):
    calls: list = []  # noqa: RUF012

    def recordings(self, unit):
        self.calls.append(unit)
        return super().recordings(unit)[:: 1 if len(self.calls) % 4 else -1]


@dataclass(frozen=True)
class HoldsAFunction(Reader):
    load: object = field(default_factory=lambda: lambda file: np.load(file))


class ReturnsNothing(Reader):
    def inspect(self, recording):
        return None


class FailsOnDamage(Reader):
    def array(self, recording):
        try:
            return np.load(recording.signals)
        except ValueError:
            raise KeyError("samples") from None


class HidesDamage(Reader):
    def inspect(self, recording):
        return recording


class LosesAll(Reader):
    def recordings(self, unit):
        listed = super().recordings(unit)
        for recording in listed:
            self.array(recording)
        return listed


class NaNs(Reader):
    def array(self, recording):
        x = super().array(recording)
        x[0, 3] = np.nan
        return x


class Integers(Reader):
    def array(self, recording):
        return super().array(recording).astype(np.int16)


class Volts(Reader):
    def array(self, recording):
        return super().array(recording) * 1e-6


class Transposed(Reader):
    def array(self, recording):
        return super().array(recording).T


class ChannelsSwapped(Reader):
    def signals(self, recording):
        return replace(super().signals(recording), channels=self.channels[::-1])


class TooShort(Reader):
    def array(self, recording):
        return super().array(recording)[:, :-100]


class NoBaseline(Reader):
    def signals(self, recording):
        return replace(super().signals(recording), onset=0)


class Writes(Reader):
    def inspect(self, recording):
        (self.root / "cache").write_text("1")
        return super().inspect(recording)


class OddNotes(Reader):
    def notes(self, unit=None):
        return "a note"


@dataclass(frozen=True)
class OddRate(Reader):
    rate_hz: float = 0.0


@dataclass(frozen=True)
class OddKind(Reader):
    channels: tuple = (Channel("Cz", "brain"), Channel("GSR", "gsr"))


@dataclass(frozen=True)
class OneNameTwice(Reader):
    channels: tuple = (Channel("Cz", "eeg"), Channel("Cz", "gsr"))


@dataclass(frozen=True)
class OddLabel(Reader):
    labels: tuple = (LabelColumn("Valence", (1.0, 9.0)), LabelColumn("curve", (0.0, 1.0), trace=True))


@pytest.mark.parametrize(
    ("reader", "promise", "happened"),
    [
        (OpensAnything, "folders without a corpus", "empty: it was opened"),
        (FailsOnFolders, "folders without a corpus", "empty: StopIteration: "),
        (NamesTwice, "recordings", "recording is the name of 4 recordings"),
        (NamesWithSlash, "recordings", "'a/s01_t1' cannot be a file's name: '/'"),
        (OfAnotherDataset, "recordings", "s01_t1 is of dataset 'deap', the corpus of 'own'"),
        (NoSubject, "recordings", "s01_t1: subject is ''"),
        (OneTrial, "recordings", "subject s01 has trial 1 more than once"),
        (AbsentFile, "recordings", "s01_t1: no file "),
        (OnlyErrors, "recordings", "none of 4 is without an error; the first error: broken"),
        (UndeclaredRating, "ratings", "s01_t1: arousal is not declared"),
        (RatingOutOfScale, "ratings", "s01_t1: valence is 11.0, declared from 1 to 9"),
        (TraceBackwards, "ratings", "s01_t1: the times of curve do not increase"),
        (AnotherOrder, "the same each time", "first 4 recordings (s01_t1, "),
        (HoldsAFunction, "other processes", ""),
        (ReturnsNothing, "inspect", "s01_t1: it returned None"),
        (FailsOnDamage, WORKS, "KeyError: 'samples' (test_check_corpus.py, line "),
        (HidesDamage, "damage", "s01_t1.npy was cut, and no error names it"),
        (LosesAll, "damage", "s01_t1.npy was cut, and s01_t2, which has other files, was lost"),
        (NaNs, "signals", "s01_t1: Cz has 1 values that are NaN or infinite"),
        (Integers, "signals", "s01_t1: Cz is int16 of shape (384,)"),
        (Volts, "microvolts", "the SD of eeg is 2e-05: hardly microvolts"),
        (Transposed, "signals", "s01_t1: samples of 384 channels, expected 2"),
        (ChannelsSwapped, "signals", "s01_t1: channels GSR, Cz, expected Cz, GSR"),
        (TooShort, "times", "s01_t1: 2.4375 s after the onset, expected 4 s"),
        (NoBaseline, "times", "s01_t1: 0 s before the onset, expected 2 s for the baseline"),
        (OddNotes, "units", "notes(None) is 'a note'"),
        (OddRate, "declarations", "rate_hz is 0.0"),
        (OddKind, "channels", "Channel(name='Cz', kind='brain'"),
        (OneNameTwice, "channels", "Cz more than once"),
        (OddLabel, "labels", "'Valence': expected a name of small letters"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_reader_that_breaks_a_promise_is_refused_for_it(reader, promise, happened, root):
    failed = broken(reader, root)
    assert (failed.get(promise) or "(kept)").startswith(happened), failed
    consequences = {AnotherOrder: {"other processes"}, ReturnsNothing: {WORKS}, OddLabel: {"ratings"}}
    assert set(failed) - consequences.get(reader, set()) == {promise}, failed


def test_a_reader_that_writes_into_the_corpus_is_refused(root):
    try:
        assert broken(Writes, root)["files stay as they are"] == f"{root / 'cache'} was written"
    finally:
        (root / "cache").unlink()


def test_a_folder_that_is_no_corpus_says_so(root, tmp_path):
    with pytest.raises(ContractBroken, match=r"happened: BadRecording: .*: expected files \*\.json, found none"):
        check_corpus(Reader, tmp_path)


def test_damage_is_not_tried_if_that_is_not_wanted(root):
    results = check_corpus(HidesDamage, root, damage=False)
    assert "damage" not in {result.promise for result in results}
