"""One name for each electrode, however a file spells it."""

import mne
import pytest

from gbvnet.channels import ELECTRODES, OLD, canonical, find, kind_of, near
from gbvnet.datasets.deap import EEG, PERIPHERAL


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("EEG Fp1-REF", "Fp1"), ("FP1", "Fp1"), ("eeg fp1-LE", "Fp1"), ("T3", "T7"), ("t6", "P8"), ("EEG T5-A1", "P7"),
        ("Oz.", "Oz"), (" Cz ", "Cz"), ("EEG-FCZ", "FCz"), ("POz", "POz"), ("GSR1", "GSR1"), ("A1", "A1"),
        ("EOG left", "EOG left"), ("Status", "Status"),
    ],
)  # fmt: skip
def test_spellings(spelt, name):
    assert canonical(spelt) == name


def test_every_electrode_is_one_that_mne_knows():
    known = set(mne.channels.make_standard_montage("colin27_1005").ch_names)
    assert set(ELECTRODES.values()) <= known
    assert set(EEG) <= set(ELECTRODES.values())
    assert set(OLD) <= known  # mne keeps the old names as well


def test_kinds_by_name():
    assert {kind_of(name) for name in EEG} == {"eeg"}
    assert {name: kind_of(name) for name in PERIPHERAL} == PERIPHERAL
    assert kind_of("Status") is None


def test_a_channel_is_found_by_its_own_name_first_and_never_by_a_guess():
    assert find("Fp1", ["EEG FP1-REF", "Fp1"]) == 1
    assert find("T7", ["T3", "C3"]) == 0
    assert find("Fp1", ["FP1", "EEG Fp1-REF"]) is None  # two that could be meant
    assert find("Fp3", ["Fp1", "O2"]) is None
    assert near("Fp3", ["EEG O2", "Fp1", "Fp2"]) in (" (near it: Fp1, Fp2)", " (near it: Fp2, Fp1)")
    assert near("xyz", ["Fp1"]) == ""
