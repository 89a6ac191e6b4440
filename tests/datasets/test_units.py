"""Units: one decision for every reader. Right values are powers of ten, known physics, or what edfio and MNE wrote."""

import edfio
import mne
import numpy as np
import pytest
import scipy.io

from gbvnet.datasets.formats.bdf import open_bdf, read_microvolts
from gbvnet.datasets.formats.signal_file import TextProperties, channel_units_in, read_signals
from gbvnet.datasets.mahnob import CHANNELS, read_bdf
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.single_recording import require_same_units
from gbvnet.datasets.synthetic.writer import BdfChannel, bdf_bytes
from gbvnet.datasets.units import MARK, Conversion, apply, convert, messages, parse_unit, split_name
from gbvnet.errors import BadRecording

RATE_HZ = 64
# MNE before 1.12 reads no BrainVision header without a file of markers.
MARKERS = "Brain Vision Data Exchange Marker File Version 1.0\n[Common Infos]\nDataFile=a.eeg\n[Marker Infos]\n"
WAVE = 30 * np.sin(np.arange(RATE_HZ * 8) / 5)  # in the unit that is kept

# spelling -> (unit that is kept, what one of it is there)
SPELLINGS = {
    "uV": ("uV", 1), "µV": ("uV", 1), "μV": ("uV", 1), "uv": ("uV", 1), "ÂµV": ("uV", 1), "Î¼V": ("uV", 1),
    "\x83ÊV": ("uV", 1), "microvolts": ("uV", 1), "micro V": ("uV", 1), "uVolts": ("uV", 1), "[µV]": ("uV", 1),
    "mV": ("uV", 1e3), "MV": ("uV", 1e3), "millivolt": ("uV", 1e3), "V": ("uV", 1e6), "v": ("uV", 1e6),
    "Volts": ("uV", 1e6), "nV": ("uV", 1e-3), "nanovolts": ("uV", 1e-3),
    "uS": ("uS", 1), "µS": ("uS", 1), "microsiemens": ("uS", 1), "µmho": ("uS", 1), "S": ("uS", 1e6),
    "siemens": ("uS", 1e6), "mS": ("uS", 1e3), "nS": ("uS", 1e-3),
    "Ohm": ("ohm", 1), "ohms": ("ohm", 1), "Ω": ("ohm", 1), "\u2126": ("ohm", 1), "kOhm": ("ohm", 1e3),
    "kΩ": ("ohm", 1e3), "kilo ohms": ("ohm", 1e3), "MOhm": ("ohm", 1e6),
}  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_unit_is_known_however_it_is_spelled(text):
    kept, factor = SPELLINGS[text]
    made = convert(None, text)
    assert made.unit == kept and made.scale == pytest.approx(factor, rel=1e-12) and made.offset == 0


@pytest.mark.parametrize("text", ["", "n/a", "%", "bpm", "Boolean", "mmHg", "a.u.", "mohm", "VV", "1/min", "uV/V"])
def test_what_is_no_unit_of_these_is_none(text):
    assert parse_unit(text) is None


@pytest.mark.parametrize(
    ("text", "of_skin"),
    [("C", 33.0), ("°C", 33.0), ("Degree C", 33.0), ("K", 306.15), ("°F", 91.4), ("degF", 91.4), ("C°", 33.0)],
)
def test_temperatures_become_degrees_celsius(text, of_skin):
    samples = np.full((1, 4), of_skin)
    assert apply(samples, [convert("temp", text)]) == pytest.approx(33.0)


def test_a_unit_behind_a_name():
    names = ["EDA [µS]", "ECG (mV)", "EDA_uS", "Temp (°C)", "RESP (%)", "Fp1", "EEG Fp1-REF", "EEG (Fp1)", "ECG_II"]
    bare = [("EDA", "µS"), ("ECG", "mV"), ("EDA", "uS"), ("Temp", "°C"), ("RESP", "%")]
    assert [split_name(name) for name in names] == [*bare, *((name, "") for name in names[5:])]


def test_an_unsure_unit_is_reported():
    notes = messages(
        {"Fp1": convert("eeg", ""), "Fp2": convert("eeg", ""), "ECG": convert("ecg", "uv"), "EMG": convert("emg", "dB")}
        | {"EDA": convert("gsr", "mV"), "Temp": convert("temp", "")}
    )
    assert notes == [
        "Fp1, Fp2 have no unit: taken as uV",
        "EMG has the unit 'dB', which is no voltage: taken as uV",
        "EDA has the unit 'mV', a voltage where a conductance or a resistance is expected",
        "Temp has no unit: kept as the file has it",
    ]
    assert convert("eeg", "", default="mV") == Conversion("uV", 1e3)  # the format or the user says so
    assert convert("resp", "a.u.").message == convert("ppg", "").message == ""  # as often as not without a unit


def write_edf(path, dimensions, kept=WAVE):
    """One signal for each (label, unit, samples in that unit); extra spellings that edfio refuses go in by bytes."""
    signals = [
        edfio.EdfSignal(x, RATE_HZ, label=label, physical_dimension="uV", physical_range=(x.min(), x.max()))
        for label, _, x in dimensions
    ]
    edfio.Edf(signals).write(path)
    content = bytearray(path.read_bytes())
    for k, (_, unit, _) in enumerate(dimensions):
        start = 256 + len(signals) * (16 + 80) + 8 * k
        content[start : start + 8] = unit.ljust(8)[:8] if isinstance(unit, bytes) else unit.encode("latin-1").ljust(8)
    path.write_bytes(content)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("unit", "per_uv"),
    [("uV", 1), ("uv", 1), ("µV", 1), ("μV".encode(), 1), ("µV".encode(), 1), ("mV", 1e3), ("mv", 1e3), ("V", 1e6),
     ("nV", 1e-3), ("", 1), ("dB", 1)],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["eeg", "resp", "ppg"])
def test_an_edfs_voltages_are_microvolts_whatever_the_spelling_and_the_kind(unit, per_uv, kind, tmp_path):
    write_edf(tmp_path / "a.edf", [("X", unit, WAVE / per_uv)])
    samples = read_signals(tmp_path / "a.edf", 0, 8, (Channel("X", kind),)).samples
    assert samples[0] == pytest.approx(WAVE, abs=60 / 2**15)


@pytest.mark.journey
@pytest.mark.parametrize("unit", ["uS", "µS", "mS", "S", "nS", "kOhm", "Ohm"])
def test_an_edfs_skin_is_in_microsiemens_or_ohm(unit, tmp_path):
    kept, factor = SPELLINGS[unit]
    level = 1e5 if kept == "ohm" else 5.0
    write_edf(tmp_path / "a.edf", [("GSR", unit, np.linspace(0.9, 1.1, RATE_HZ * 8) * level / factor)])
    samples = read_signals(tmp_path / "a.edf", 0, 8, (Channel("GSR", "gsr"),)).samples
    assert samples.mean() == pytest.approx(level, rel=1e-3)


def test_the_corpus_reader_and_predict_read_a_bdf_alike(tmp_path):
    rng = np.random.default_rng(0)
    units = {"eeg": "uV", "ecg": "mV", "resp": "V", "gsr": "nS", "temp": "K"}
    limits = {"eeg": 4096.0, "ecg": 64.0, "resp": 8.0, "gsr": 8e4, "temp": 400.0}
    level = {"gsr": 5000.0, "temp": 306.0}
    traces = [
        BdfChannel(c.name, units[c.kind], (-limits[c.kind], limits[c.kind]),
              level.get(c.kind, 0) + limits[c.kind] / 100 * rng.standard_normal(256 * 4))
        for c in CHANNELS
    ]  # fmt: skip
    file = tmp_path / "part.bdf"
    file.write_bytes(bdf_bytes(traces, 256))
    of_corpus, _ = read_bdf(file)
    of_predict = read_signals(file, 0, 4, CHANNELS).samples
    assert (of_corpus == of_predict).all()
    by_kind = {c.kind: x for c, x in zip(CHANNELS, of_corpus, strict=True)}
    assert by_kind["gsr"].mean() == pytest.approx(5.0, rel=0.1) and by_kind["temp"].mean() == pytest.approx(33, abs=2)
    assert by_kind["resp"].std() == pytest.approx(0.08e6, rel=0.1)
    assert by_kind["ecg"].std() == pytest.approx(640, rel=0.1)
    raw = open_bdf(file)
    skin = raw.ch_names.index("GSR1")
    assert read_microvolts(file, raw, [skin]).mean() == pytest.approx(5000, rel=0.1)  # no kinds: not converted


@pytest.mark.journey
def test_brainvision_fif_and_eeglab_are_not_scaled_twice(tmp_path):
    kinds = {"Fp1": "eeg", "EDA": "gsr", "Resp": "resp", "Temp": "temp"}
    channels = tuple(Channel(name, kind) for name, kind in kinds.items())
    kept = np.stack([WAVE, 5 + WAVE / 100, WAVE, 33 + WAVE / 100])
    header = """Brain Vision Data Exchange Header File Version 1.0
[Common Infos]
Codepage=UTF-8
DataFile=a.eeg
MarkerFile=a.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=4
SamplingInterval=15625
[Binary Infos]
BinaryFormat=IEEE_FLOAT_32
[Channel Infos]
Ch1=Fp1,,1,
Ch2=EDA,,0.5,µS
Ch3=Resp,,1,mV
Ch4=Temp,,1,C
"""
    (tmp_path / "a.vhdr").write_text(header, encoding="utf-8")
    (tmp_path / "a.vmrk").write_text(MARKERS)
    stored = kept * np.array([1, 2, 1e-3, 1])[:, None]  # 0.5 µS a step, and Resp in millivolts
    (tmp_path / "a.eeg").write_bytes(stored.T.astype("<f4").tobytes())
    info = mne.create_info(list(kinds), RATE_HZ, ["eeg", "gsr", "resp", "temperature"])
    in_si = kept * np.array([1e-6, 1e-6, 1e-6, 1])[:, None]
    mne.io.RawArray(in_si, info, verbose="error").save(tmp_path / "a_raw.fif", verbose="error")
    eeglab = {"setname": "a", "nbchan": 4, "trials": 1, "pnts": kept.shape[1], "srate": RATE_HZ, "xmin": 0.0,
              "xmax": (kept.shape[1] - 1) / RATE_HZ, "data": kept, "event": [], "epoch": [], "ref": "common",
              "chanlocs": np.array([(name,) for name in kinds], dtype=[("labels", "O")])}  # fmt: skip
    scipy.io.savemat(tmp_path / "a.set", {"EEG": eeglab}, appendmat=False)
    for name in ("a.vhdr", "a_raw.fif", "a.set"):
        samples = read_signals(tmp_path / name, 0, 8, channels).samples
        assert samples == pytest.approx(kept, rel=1e-5, abs=1e-3), name


def test_a_text_columns_own_unit_goes_before_the_files(tmp_path):
    t = np.arange(len(WAVE)) / RATE_HZ
    columns = np.stack([t, WAVE / 1e3, WAVE, 5e-3 + 0 * t, 306.15 + 0 * t, WAVE]).T
    head = "time,Fp1,ECG (uV),EDA [mS],Temp (K),Resp"
    np.savetxt(tmp_path / "a.csv", columns, delimiter=",", header=head, comments="", fmt="%.9g")
    kinds = {"Fp1": "eeg", "ECG (uV)": "ecg", "EDA [mS]": "gsr", "Temp (K)": "temp", "Resp": "resp"}
    channels = tuple(Channel(name, kind) for name, kind in kinds.items())
    samples = read_signals(tmp_path / "a.csv", 0, 8, channels, TextProperties(unit="mV")).samples
    assert samples[0] == pytest.approx(WAVE, abs=1e-5) and samples[1] == pytest.approx(WAVE, abs=1e-5)
    assert samples[2] == pytest.approx(5) and samples[3] == pytest.approx(33) and samples[4] == pytest.approx(WAVE)


@pytest.mark.parametrize("unit", ["arb", "a.u.", "LSB"])
def test_a_text_columns_unit_that_is_no_voltage_is_reported(unit, tmp_path):
    assert split_name(f"Fp1 [{unit}]") == ("Fp1", unit)
    assert messages({"Fp1": convert("eeg", unit, default="uV")}) == [
        f"Fp1 has the unit {unit!r}, which is no voltage: taken as uV"
    ]
    assert (
        convert("gsr", unit, default="uV").message == f"the unit {unit!r}, which is not known: kept as the file has it"
    )
    assert convert("gsr", "", default="uV").message == ""  # text files seldom name a unit


def test_a_brainvision_channel_of_another_kind_without_a_unit_is_reported(tmp_path):
    header = """Brain Vision Data Exchange Header File Version 1.0
[Common Infos]
DataFile=a.eeg
MarkerFile=a.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=2
SamplingInterval=15625
[Binary Infos]
BinaryFormat=IEEE_FLOAT_32
[Channel Infos]
Ch1=Fp1,,1,
Ch2=EDA,,1,
"""
    (tmp_path / "a.vhdr").write_text(header)
    (tmp_path / "a.vmrk").write_text(MARKERS)
    np.stack([WAVE, WAVE]).T.astype("<f4").tofile(tmp_path / "a.eeg")
    there, made, _ = channel_units_in(tmp_path / "a.vhdr", (Channel("Fp1", "eeg"), Channel("EDA", "gsr")))
    assert messages({c.name: one for c, one in zip(there, made, strict=True)}) == [
        "EDA has no unit: kept as the file has it"
    ]


def test_a_model_from_before_these_units_does_not_predict_in_others(tmp_path):
    write_edf(tmp_path / "a.edf", [("Fp1", "uV", WAVE), ("Resp", "uV", WAVE), ("GSR", "uS", WAVE)])
    channels = (Channel("Fp1", "eeg"), Channel("Resp", "resp"), Channel("GSR", "gsr"))
    before = {"dataset": "mine", "source": "not filtered, text in uV"}
    with pytest.raises(BadRecording, match=r"found Resp in uV\. The model is from before units were brought together"):
        require_same_units(tmp_path / "a.edf", channels, before)
    for fine in (before | {"source": f"not filtered, {MARK}"}, {"dataset": "mahnob (synthetic data)"}, None):
        require_same_units(tmp_path / "a.edf", channels, fine)
    require_same_units(tmp_path / "a.edf", (channels[0], channels[2]), before)  # these are as they were
