"""One name for each electrode, however a file spells it."""

import time

import mne
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbvnet.datasets.channel_names import (
    ELECTRODES,
    OLD,
    canonical_name,
    channel_kind,
    find_channel,
    match_channels,
    numbered_electrodes,
    require_renamed,
    same_channels,
    similar_names,
    similar_names_hint,
)
from gbvnet.datasets.deap import EEG, PERIPHERAL
from gbvnet.errors import BadConfig


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("EEG Fp1-REF", "Fp1"), ("FP1", "Fp1"), ("eeg fp1-LE", "Fp1"), ("T3", "T7"), ("t6", "P8"), ("EEG T5-A1", "P7"),
        ("Oz.", "Oz"), (" Cz ", "Cz"), ("EEG-FCZ", "FCz"), ("POz", "POz"), ("GSR1", "GSR1"), ("A1", "A1"),
        ("EOG left", "EOG left"), ("Status", "Status"), ("x . .", "x"), ("Cz. ", "Cz"), ("..", ""),
    ],
)  # fmt: skip
def test_spellings(spelt, name):
    assert canonical_name(spelt) == name


def test_every_electrode_is_one_that_mne_knows():
    names = ("colin27_1005", "standard_1005")  # as new and as old versions of mne call it
    montage = next(name for name in names if name in mne.channels.get_builtin_montages())
    known = set(mne.channels.make_standard_montage(montage).ch_names)
    assert set(ELECTRODES.values()) <= known
    assert set(EEG) <= set(ELECTRODES.values())
    assert set(OLD) <= known  # mne keeps the old names as well


def test_kinds_by_name():
    assert {channel_kind(name) for name in EEG} == {"eeg"}
    assert {name: channel_kind(name) for name in PERIPHERAL} == PERIPHERAL
    assert channel_kind("Status") is None


SPELLINGS = {
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


@pytest.mark.parametrize("kind", SPELLINGS)
def test_names_in_common_use_tell_their_kind(kind):
    names = SPELLINGS[kind].split("|")
    assert {name: channel_kind(name) for name in names} == dict.fromkeys(names, kind)


def test_the_beginning_of_an_ordinary_word_tells_nothing():
    assert {name: channel_kind(name) for name in ORDINARY.replace("\n", "").split("|") if channel_kind(name)} == {}


def test_the_electrodes_of_a_cap_by_number():
    biosemi = [f"{row}{k}" for row in "AB" for k in range(1, 33)]
    others = [f"EXG{k}" for k in range(1, 9)] + ["GSR1", "Status"]
    assert numbered_electrodes(biosemi + others) == biosemi
    assert (
        numbered_electrodes(["A1", "A2", "Fp1", "F1", "F2", "F3", "F4", "F5", "C1", "C2", "C3", "C4"]) == []
    )  # of the 10-10 system
    assert numbered_electrodes([f"E{k}" for k in range(1, 257)] + ["Cz"]) == [f"E{k}" for k in range(1, 257)]
    assert numbered_electrodes([f"EEG {k:03d}" for k in range(1, 61)]) == [f"EEG {k:03d}" for k in range(1, 61)]
    assert numbered_electrodes(["1", "2", "3", "4", "5", "item1", "item2", "item3", "item4"]) == []


def test_near_names_are_of_the_same_kind_or_alike():
    assert similar_names("GSR", ["Fp1", "EDA"]) == ["EDA"] and similar_names("EDA", ["SC", "time"]) == ["SC"]
    assert similar_names("Plethysmograph", ["BVP"]) == ["BVP"] and similar_names("BVP", ["x", "PPG_A13"]) == ["PPG_A13"]
    assert similar_names("Respiration", ["RSP"]) == ["RSP"] and similar_names("Temperature", ["SKT"]) == ["SKT"]
    assert similar_names("ECG", ["EKG", "EEG 1"])[0] == "EKG"
    assert similar_names("AF3", ["a", "b", "x"]) == [] and similar_names_hint("AF3", ["a"]) == ""
    assert find_channel("EDA", ["EDA [µS]", "Fp1"]) == 0  # a unit is no part of a name


def test_a_channel_is_matched_by_its_own_name_first_and_never_by_a_guess():
    assert find_channel("Fp1", ["EEG FP1-REF", "Fp1"]) == 1
    assert find_channel("T7", ["T3", "C3"]) == 0
    assert find_channel("Fp1", ["FP1", "EEG Fp1-REF"]) is None  # two that could be meant
    assert find_channel("Fp3", ["Fp1", "O2"]) is None
    assert similar_names_hint("Fp3", ["EEG O2", "Fp1", "Fp2"]) in (" (near it: Fp1, Fp2)", " (near it: Fp2, Fp1)")
    assert similar_names_hint("xyz", ["Fp1"]) == ""


def test_missing_channels_are_named_with_what_may_be_meant():
    match = match_channels(["Fp1", "GSR", "T7"], ["EEG FP1-REF", "EDA", "x"], {"T7": "x"})
    assert match == ([0, 2], ["GSR"], "GSR (near it: EDA)")
    many = match_channels([f"Q{k}" for k in range(10)], ["x"])
    assert many.hint == "Q0; Q1; Q2; Q3; Q4; Q5; Q6; Q7 and 2 more" and len(many.missing) == 10
    assert same_channels(["Fp1", "O1", "FP1", "T3", "EEG T7"]) == [["Fp1", "FP1"], ["T3", "EEG T7"]]
    require_renamed({"Fp1": "a"}, ["Fp1"])
    with pytest.raises(BadConfig, match=r"--rename GSR: the model has no such channel \(near it: EDA\)"):
        require_renamed({"GSR": "a"}, ["Fp1", "EDA"])


CASES = (str, str.upper, str.lower, str.title)
SPELT = st.builds(
    lambda name, case, before, after: before + case(name) + after,
    st.sampled_from(sorted(ELECTRODES.values())), st.sampled_from(CASES),
    st.sampled_from(["", "EEG ", "eeg-", " EEG  "]),
    st.sampled_from(["", "-REF", "-LE", " A1", ".", "-Avg"]),
)  # fmt: skip


@pytest.mark.journey
@settings(max_examples=200, deadline=None)
@given(SPELT)
def test_an_electrode_is_known_however_it_is_spelt(spelt):
    name = canonical_name(spelt)
    assert name in ELECTRODES.values()
    assert name.upper() in spelt.upper()  # and not another one's
    assert canonical_name(name) == name
    assert channel_kind(spelt) == "eeg"
    assert find_channel(name, ["Status", spelt, "GSR"]) == find_channel(spelt, ["Status", name, "GSR"]) == 1


@pytest.mark.journey
@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20), st.lists(st.text(max_size=12), max_size=6))
def test_any_text_may_be_a_name_and_the_match_is_one_of_those_given(name, have):
    plain = canonical_name(name)
    assert canonical_name(plain) == plain
    assert plain in ELECTRODES.values() or plain in name
    assert channel_kind(name) in (None, "eeg", "eog", "ecg", "emg", "gsr", "resp", "ppg", "temp")
    at = find_channel(name, have)
    if name in have:
        assert have[at] == name
    elif at is not None:
        alike = [k for k, other in enumerate(have) if canonical_name(other).upper() == plain.upper()]
        assert alike == [at]
    assert set(similar_names(name, have)) <= set(have)
    assert similar_names_hint(name, have) == "" or similar_names(name, have)


@pytest.mark.journey
@pytest.mark.parametrize("name", ["a" + " " * 100_000 + "b", "a" + "-" * 100_000 + "b", "." * 100_000, " ." * 50_000])
def test_a_name_of_any_length_takes_no_time(name):
    """It once took time with the square of its length."""
    began = time.process_time()
    canonical_name(name)
    assert time.process_time() - began < 2
