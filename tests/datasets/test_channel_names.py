"""One name for each electrode, however a file spells it."""

import time

import mne
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbvnet.datasets.channel_names import ELECTRODES, OLD, canonical, close, find, kind_of, near, numbered
from gbvnet.datasets.deap import EEG, PERIPHERAL


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("EEG Fp1-REF", "Fp1"), ("FP1", "Fp1"), ("eeg fp1-LE", "Fp1"), ("T3", "T7"), ("t6", "P8"), ("EEG T5-A1", "P7"),
        ("Oz.", "Oz"), (" Cz ", "Cz"), ("EEG-FCZ", "FCz"), ("POz", "POz"), ("GSR1", "GSR1"), ("A1", "A1"),
        ("EOG left", "EOG left"), ("Status", "Status"), ("x . .", "x"), ("Cz. ", "Cz"), ("..", ""),
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


WORN = {
    "gsr": "GSR1|EDA|EDA_uS|EDA [µS]|EDA (uS)|SCL|SC|EDA100C|GSR.1|Skin Conductance|"
    "Shimmer_40AC_GSR_Skin_Conductance_CAL",
    "ppg": "PPG|PPG_A13|BVP|Plet|Pleth|Pulse|Pulse1|PPG_IR", "temp": "Temp|Temp (°C)|Temp_C|SKT|Skin Temperature",
    "resp": "Resp|RespBelt|RSP100C|Respiration|Resp nasal|Resp (%)",
    "ecg": "ECG_II|EKG|ECG1-ECG2|ECG LEAD II|ECG (mV)|ECG_V1",
    "emg": "EMG Chin|emg_zygo|EMG-Leg|tEMG", "eog": "HEOG|EOG left|EOG-L", "eeg": "EEG 001|EEG1|EEG.AF3|EEG Fp1-REF",
}  # fmt: skip
ORDINARY = """response|respondent|responses|resp_key|key_resp.rt|resp.corr|resp_correct|resp_left|resp_q1|respRT|
resp_time|RespRate|respiration_rate|breaths_per_min|screen_x|scroll|scr_count|scr response|temporal|template|temp_file|
temp_rating|attempt|tempo|pulse_count|pulse_rate|emg_onset|ecg_quality|ecg_rr_ms|eda_peaks|gsr_event|
EEG.Counter|EEG quality|CQ_AF3|Delta_TP9|trial|label|valence|marker|Status|EXG1|VA1|Timestamp|HR|IBI|BATTERY"""


@pytest.mark.parametrize("kind", WORN)
def test_names_that_people_write_tell_their_kind(kind):
    assert {name: kind_of(name) for name in WORN[kind].split("|")} == dict.fromkeys(WORN[kind].split("|"), kind)


def test_the_beginning_of_an_ordinary_word_tells_nothing():
    assert {name: kind_of(name) for name in ORDINARY.replace("\n", "").split("|") if kind_of(name)} == {}


def test_the_electrodes_of_a_cap_by_number():
    biosemi = [f"{row}{k}" for row in "AB" for k in range(1, 33)]
    others = [f"EXG{k}" for k in range(1, 9)] + ["GSR1", "Status"]
    assert numbered(biosemi + others) == biosemi
    assert (
        numbered(["A1", "A2", "Fp1", "F1", "F2", "F3", "F4", "F5", "C1", "C2", "C3", "C4"]) == []
    )  # of the 10-10 system
    assert numbered([f"E{k}" for k in range(1, 257)] + ["Cz"]) == [f"E{k}" for k in range(1, 257)]
    assert numbered([f"EEG {k:03d}" for k in range(1, 61)]) == [f"EEG {k:03d}" for k in range(1, 61)]
    assert numbered(["1", "2", "3", "4", "5", "item1", "item2", "item3", "item4"]) == []


def test_near_names_are_of_the_same_kind_or_alike():
    assert close("GSR", ["Fp1", "EDA"]) == ["EDA"] and close("EDA", ["SC", "time"]) == ["SC"]
    assert close("Plethysmograph", ["BVP"]) == ["BVP"] and close("BVP", ["x", "PPG_A13"]) == ["PPG_A13"]
    assert close("Respiration", ["RSP"]) == ["RSP"] and close("Temperature", ["SKT"]) == ["SKT"]
    assert close("ECG", ["EKG", "EEG 1"])[0] == "EKG"
    assert close("AF3", ["a", "b", "x"]) == [] and near("AF3", ["a"]) == ""
    assert find("EDA", ["EDA [µS]", "Fp1"]) == 0  # a unit is no part of a name


def test_a_channel_is_found_by_its_own_name_first_and_never_by_a_guess():
    assert find("Fp1", ["EEG FP1-REF", "Fp1"]) == 1
    assert find("T7", ["T3", "C3"]) == 0
    assert find("Fp1", ["FP1", "EEG Fp1-REF"]) is None  # two that could be meant
    assert find("Fp3", ["Fp1", "O2"]) is None
    assert near("Fp3", ["EEG O2", "Fp1", "Fp2"]) in (" (near it: Fp1, Fp2)", " (near it: Fp2, Fp1)")
    assert near("xyz", ["Fp1"]) == ""


CASES = (str, str.upper, str.lower, str.title)
SPELT = st.builds(
    lambda name, case, before, after: before + case(name) + after,
    st.sampled_from(sorted(ELECTRODES.values())), st.sampled_from(CASES),
    st.sampled_from(["", "EEG ", "eeg-", " EEG  "]),
    st.sampled_from(["", "-REF", "-LE", " A1", ".", "-Avg"]),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(SPELT)
def test_an_electrode_is_known_however_it_is_spelt(spelt):
    name = canonical(spelt)
    assert name in ELECTRODES.values()
    assert name.upper() in spelt.upper()  # and not another one's
    assert canonical(name) == name
    assert kind_of(spelt) == "eeg"
    assert find(name, ["Status", spelt, "GSR"]) == find(spelt, ["Status", name, "GSR"]) == 1


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20), st.lists(st.text(max_size=12), max_size=6))
def test_any_text_is_some_name_and_what_is_found_is_it(name, have):
    plain = canonical(name)
    assert canonical(plain) == plain
    assert plain in ELECTRODES.values() or plain in name
    assert kind_of(name) in (None, "eeg", "eog", "ecg", "emg", "gsr", "resp", "ppg", "temp")
    at = find(name, have)
    if name in have:
        assert have[at] == name
    elif at is not None:
        alike = [k for k, other in enumerate(have) if canonical(other).upper() == plain.upper()]
        assert alike == [at]
    assert set(close(name, have)) <= set(have)
    assert near(name, have) == "" or close(name, have)


@pytest.mark.parametrize("name", ["a" + " " * 100_000 + "b", "a" + "-" * 100_000 + "b", "." * 100_000, " ." * 50_000])
def test_a_name_of_any_length_takes_no_time(name):
    """It once took time with the square of its length."""
    began = time.process_time()
    canonical(name)
    assert time.process_time() - began < 2
