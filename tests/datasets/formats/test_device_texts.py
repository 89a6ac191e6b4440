"""Text files of Shimmer, OpenBCI, Mind Monitor and Emotiv, against what pandas reads and the planted signals."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.datasets.formats.signal_file import channel_units_in, open_signals, read_signals
from gbvnet.datasets.known_channels import known_channels
from gbvnet.datasets.recording import Channel
from gbvnet.errors import BadRecording

from ...device_writers import (
    BLINKS_S,
    START,
    eda,
    eeg,
    pulse,
    times,
    write_emotiv,
    write_mind_monitor,
    write_older_openbci,
    write_openbci,
    write_shimmer,
    write_xavier,
)


def errors(path, name, kind, truth, begin=10.37, end=55.2):
    """The differences between a channel and the truth at the times that it is read with."""
    span = read_signals(path, begin, end, (Channel(name, kind),))
    t = span.start_s + np.arange(span.samples.shape[1]) / span.rate_hz
    assert t[0] == pytest.approx(begin, abs=0.01) and t[-1] == pytest.approx(end, abs=0.03)
    return np.abs(span.samples[0] - truth(t))


# ---------------------------------------------------------------- Shimmer


@pytest.mark.parametrize("form", [(";", "."), (";", ","), ("\t", "."), ("\t", ","), (",", ".")])
@pytest.mark.parametrize("device", ["Shimmer_40AC", "id95AE", "left_wrist"])
def test_shimmer_in_every_form(form, device, tmp_path):
    path = tmp_path / "a.csv"
    stamps = write_shimmer(path, device=device, mark=form[0], decimal=form[1])
    file = open_signals(path)
    assert file.names == ("GSR_Range", "GSR_Skin_Conductance", "GSR_Skin_Resistance", "PPG_A13")
    assert file.kinds == (None, "gsr", None, "ppg")  # resistance beside conductance is the same measurement
    line = np.polyfit(np.arange(len(stamps)), stamps - START, 1)
    assert file.rates_hz[0] == pytest.approx(1 / line[0], rel=1e-6)
    assert file.start_unix_s - START == pytest.approx(line[1], abs=1e-6)
    assert errors(path, "GSR_Skin_Conductance", "gsr", eda).max() < 1e-3
    assert errors(path, "GSR_Skin_Resistance", "gsr", lambda t: 1e6 / eda(t)).max() < 50  # ohm
    assert errors(path, "PPG_A13", "ppg", lambda t: 1e3 * (1500 + pulse(t))).max() < 500  # uV: 0.5 of 50 mV
    made = channel_units_in(path, (Channel("GSR_Skin_Conductance", "gsr"), Channel("PPG_A13", "ppg")))[1]
    assert [(one.unit, one.message) for one in made] == [("uS", ""), ("uV", "")]


def test_a_shimmer_is_read_by_the_names_of_its_file_too_and_by_those_of_another(tmp_path):
    write_shimmer(tmp_path / "a.csv")
    for name in ("Shimmer_40AC_GSR_Skin_Conductance_CAL [uS]", "Shimmer_9999_GSR_Skin_Conductance_CAL"):
        assert errors(tmp_path / "a.csv", name, "gsr", eda).max() < 1e-3


def test_the_steps_of_a_shimmer_may_be_0_to_47_ms_at_51_hz(tmp_path):
    stamps = write_shimmer(tmp_path / "a.csv", jitter_s=0.027)
    steps = np.diff(stamps)
    assert steps.min() < 0.001 and steps.max() > 0.04
    assert errors(tmp_path / "a.csv", "GSR_Skin_Conductance", "gsr", eda).max() < 2e-3
    assert "a line is fitted to them" in open_signals(tmp_path / "a.csv").notes[0]


def test_a_shimmer_whose_units_contradict_each_other_is_refused(tmp_path):
    write_shimmer(tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text().replace("kOhms", "Ohms")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(
        BadRecording, match=r"a skin conductance of 1000 / kOhm uS, found 5 uS and 0\.2 kOhm in data row 1"
    ):
        open_signals(tmp_path / "a.csv")


# ---------------------------------------------------------------- OpenBCI


@pytest.mark.journey
@pytest.mark.parametrize("ending", ["", ",,,,"])  # as a spreadsheet saves it
def test_openbci(ending, tmp_path):
    path = tmp_path / "a.csv"
    write_openbci(path)
    head, body = path.read_text().split("Sample Index", 1)
    path.write_text(head.replace("\n", f"{ending}\n") + "Sample Index" + body)
    file = open_signals(path)
    assert file.names == ("EXG Channel 0", "EXG Channel 1", "Accel Channel 0") and set(file.kinds) == {None}
    assert file.rates_hz[0] == 250 and file.start_unix_s == pytest.approx(START, abs=0.02)
    assert errors(path, "EXG Channel 0", "eeg", eeg).max() < 1
    table = pd.read_csv(path, comment="%", skipinitialspace=True)
    span = read_signals(path, 10, 20, (Channel("EXG Channel 1", "ppg"),))
    assert span.samples[0].tolist() == table["EXG Channel 1"][2500:5000].tolist()
    note = known_channels(path).notes[0]
    assert "not used: EXG Channel 0, EXG Channel 1, Accel Channel 0. Name them under `channels`" in note


@pytest.mark.journey
@pytest.mark.parametrize("lost", [(), (3000,), (3000, 3001, 9000), range(5000, 5100)])
def test_openbci_counts_lost_samples_and_stays_on_time(lost, tmp_path):
    write_openbci(tmp_path / "a.txt", lost=lost)
    file = open_signals(tmp_path / "a.txt")
    assert any(f"{len(lost)} of 15000 samples are lost" in note for note in file.notes) == bool(lost)
    if len(lost) < 10:
        assert errors(tmp_path / "a.txt", "EXG Channel 0", "eeg", eeg).max() < 1
    else:
        assert errors(tmp_path / "a.txt", "EXG Channel 0", "eeg", eeg, begin=21).max() < 1
        with pytest.raises(BadRecording, match=r"a pause from 20\.00 to 20\.40 s"):
            read_signals(tmp_path / "a.txt", 10, 30, (Channel("EXG Channel 0", "eeg"),))


@pytest.mark.journey
def test_a_daisy_counts_in_steps_of_2(tmp_path):
    write_openbci(tmp_path / "a.txt", rate_hz=125.0, index=lambda k: 2 * k % 256, lost=(4000, 4001))
    assert "2 of 7500 samples are lost" in open_signals(tmp_path / "a.txt").notes[0]
    assert errors(tmp_path / "a.txt", "EXG Channel 0", "eeg", eeg).max() < 2


@pytest.mark.journey
def test_openbci_before_version_5_names_no_columns(tmp_path):
    write_older_openbci(tmp_path / "a.txt")
    file = open_signals(tmp_path / "a.txt")
    assert file.names == ("EXG Channel 0", "EXG Channel 1") and file.start_unix_s == pytest.approx(START, abs=0.02)
    assert errors(tmp_path / "a.txt", "EXG Channel 0", "eeg", eeg).max() < 1
    text = (tmp_path / "a.txt").read_text().replace("%Number of channels = 2\n", "")
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(BadRecording, match="names of the columns, or the number of channels, found neither"):
        open_signals(tmp_path / "a.txt")


@pytest.mark.journey
def test_a_header_with_another_rate_is_refused(tmp_path):
    write_openbci(tmp_path / "a.txt")
    text = (tmp_path / "a.txt").read_text().replace("= 250 Hz", "= 200 Hz")
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(BadRecording, match="about the stated 200 samples a second in column Timestamp, found 250"):
        open_signals(tmp_path / "a.txt")


# ---------------------------------------------------------------- Mind Monitor


@pytest.mark.journey
def test_rows_of_events_are_no_samples(tmp_path):
    path = tmp_path / "a.csv"
    write_mind_monitor(path)
    table = pd.read_csv(path)
    own = table[table["RAW_AF7"].notna()]
    assert len(table) - len(own) == 1 + len(BLINKS_S)
    file = open_signals(path)
    assert file.names == ("TP9", "AF7", "AF8", "TP10", "AUX_RIGHT", "PPG_IR")
    assert file.kinds == ("eeg", "eeg", "eeg", "eeg", None, "ppg")
    assert "4 of 15364 rows are no samples (/muse/elements/blink 3, /muse/event/connected 1)" in file.notes[0]
    span = read_signals(path, 0, 59, (Channel("RAW_AF7", "eeg"),))
    assert (span.samples[0] == own["RAW_AF7"].to_numpy()[: 59 * 256]).all()
    assert errors(path, "AF7", "eeg", lambda t: 800 + eeg(t)).max() < 1
    assert errors(path, "PPG_IR", "ppg", lambda t: 9000 + pulse(t)).max() < 1


@pytest.mark.journey
def test_the_zone_of_a_muse_is_not_guessed(tmp_path):
    write_mind_monitor(tmp_path / "a.csv")
    file = open_signals(tmp_path / "a.csv")
    assert file.start_unix_s is None and file.start_local.startswith("2023-11-14 22:13:20.")


@pytest.mark.journey
def test_a_short_recording_of_a_muse_has_its_nominal_rate_and_an_old_one_its_own(tmp_path):
    write_mind_monitor(tmp_path / "a.csv", seconds=2)
    assert open_signals(tmp_path / "a.csv").rates_hz[0] == 256
    write_mind_monitor(tmp_path / "b.csv", rate_hz=220.0)
    assert open_signals(tmp_path / "b.csv").rates_hz[0] == pytest.approx(220, rel=1e-5)


def test_one_row_a_second_is_refused_with_the_setting(tmp_path):
    write_mind_monitor(tmp_path / "a.csv", rate_hz=1.0, events=False)
    with pytest.raises(BadRecording, match=r"about 256 rows a second, found 1.* recording interval `constant`"):
        open_signals(tmp_path / "a.csv")


@pytest.mark.journey
def test_a_headband_that_was_off_is_a_note_and_an_odd_date_is_refused_by_line(tmp_path):
    write_mind_monitor(tmp_path / "a.csv", events=False)
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text(text.replace(",1,1.0,1.0,", ",0,1.0,1.0,", 1536))
    assert "the headband was off in 10 % of the rows" in open_signals(tmp_path / "a.csv").notes[0]
    lines = text.split("\n")
    lines[500] = "noon" + lines[500][23:]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(BadRecording, match=r"a date such as .* found 'noon' in line 501"):
        open_signals(tmp_path / "a.csv")


# ---------------------------------------------------------------- Emotiv


@pytest.mark.journey
@pytest.mark.parametrize("motion", [False, True])
def test_emotiv_pro(motion, tmp_path):
    path = tmp_path / "a.csv"
    write_emotiv(path, motion=motion)
    file = open_signals(path)
    assert (file.names, file.kinds) == (("AF3", "T7"), ("eeg", "eeg")) and file.start_unix_s == pytest.approx(START)
    table = pd.read_csv(path, skiprows=1)
    own = table[table["EEG.AF3"].notna()]["EEG.AF3"].to_numpy()
    span = read_signals(path, 10, 20, (Channel("EEG.AF3", "eeg"),))
    assert span.samples[0].tolist() == own[1280:2560].tolist()
    assert errors(path, "AF3", "eeg", lambda t: 4200 + eeg(t)).max() < 0.1
    assert any("1920 rows have no samples of electrodes" in note for note in file.notes) == motion


@pytest.mark.journey
def test_emotiv_states_how_many_samples_there_are(tmp_path):
    write_emotiv(tmp_path / "a.csv", samples=7681)
    with pytest.raises(BadRecording, match=r"7681 samples, as its first line states, found 7680. Is the file cut"):
        open_signals(tmp_path / "a.csv")


@pytest.mark.journey
@pytest.mark.parametrize("lost", [(), (1000,), range(1000, 1010)])
def test_emotiv_lost_samples_are_known_by_the_counter(lost, tmp_path):
    write_emotiv(tmp_path / "a.csv", lost=lost)
    file = open_signals(tmp_path / "a.csv")
    assert any(f"{len(lost)} of 7680 samples are lost" in note for note in file.notes) == bool(lost)
    assert errors(tmp_path / "a.csv", "AF3", "eeg", lambda t: 4200 + eeg(t)).max() < 0.1


@pytest.mark.parametrize(("zone", "start"), [(True, START), (False, None)])
def test_xavier_has_one_header_line_and_a_counter_of_129(zone, start, tmp_path):
    write_xavier(tmp_path / "a.csv", zone=zone)
    file = open_signals(tmp_path / "a.csv")
    assert (file.names, file.rates_hz[0], file.start_unix_s) == (("AF3", "T7"), 128, start)
    assert file.start_local == ("" if zone else "14.11.23 22.13.20")
    assert errors(tmp_path / "a.csv", "AF3", "eeg", lambda t: 4200 + eeg(t)).max() < 1e-9


@pytest.mark.journey
@pytest.mark.parametrize("writer", [write_shimmer, write_openbci, write_mind_monitor, write_xavier])
@pytest.mark.parametrize("end", [1, 9, 30])
def test_a_file_that_ends_within_a_line_is_read_or_refused(writer, end, tmp_path):
    path = tmp_path / "a.csv"
    writer(path)
    whole = open_signals(path)
    data = path.read_bytes()
    path.write_bytes(data[:-end])
    try:
        cut = open_signals(path)
    except BadRecording:
        return
    assert 0 <= whole.segments[-1].stop_s - cut.segments[-1].stop_s < 0.1


@pytest.mark.journey
def test_a_line_with_too_many_cells_is_refused_by_number(tmp_path):
    write_openbci(tmp_path / "a.txt")
    lines = (tmp_path / "a.txt").read_text().split("\n")
    lines[99] += lines[99]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    with pytest.raises(BadRecording, match="9 cells in a line, as many as names, found 17 in line 100"):
        open_signals(tmp_path / "a.txt")


def test_times_of_the_planted_signals_are_those_of_the_truth():
    assert times(4)[-1] == 59.75 and eeg(np.array([10.0]))[0] == pytest.approx(150, abs=1e-6)
