"""DEAP's original recordings: the same trials and channels as the release, out of files that tell less and lie more."""

import json
import re

import edfio
import mne
import numpy as np
import pandas as pd
import pytest
from scipy.signal import butter, resample_poly, sosfiltfilt

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig
from gbvnet.datasets import deap, open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.deap import EEG, RATINGS_FILE
from gbvnet.datasets.deap_raw import (
    CHANNELS,
    RECORDED,
    as_released,
    compare_trial_times,
    ohm,
    read_recorded,
    read_trials,
)
from gbvnet.datasets.synthetic import deap as synthetic
from gbvnet.datasets.synthetic import deap_raw as synthetic_bdf
from gbvnet.datasets.synthetic.deap_raw import TWENTE
from gbvnet.datasets.synthetic.writer import BdfChannel, bdf_bytes
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

NAMES = [channel.name for channel in CHANNELS]
SIGNALS_ONLY = PrepareConfig(faces=False)
UNSUBTRACTED = PrepareConfig(faces=False, baseline="none")
RATE = 512


# ---------------------------------------------------------------- small recordings, written without the package's own


def bdf(path, starts, seconds=2, length_s=None, order=TWENTE, codes=None, status="Status", rename=None, **changed):
    """A recording of noise on offsets. starts : samples; codes : {sample: code} instead of a start and an end for each;
    rename, changed : other names, other samples (None: no such channel)."""
    n = int(length_s or max(starts) / RATE + seconds + 4) * RATE
    rng = np.random.default_rng(0)
    sensors = ("GSR1", "GSR2", "Erg1", "Erg2", "Resp", "Plet", "Temp")
    x = {name: 10 * rng.standard_normal(n) + 1000 + k for k, name in enumerate((*order, *LEADS, *sensors))}
    x["GSR1"] = 5000 + 10 * rng.standard_normal(n)  # nanosiemens: 200 kilohm
    low = np.zeros(n)
    for sample, code in (codes or {s: 4 for s in starts} | {s + seconds * RATE: 5 for s in starts}).items():
        low[sample : sample + 20] = code
    x |= {"Status": low + (0x19FF00 if status == "" else 0)}
    x = {name: samples for name, samples in (x | changed).items() if samples is not None}
    whole = (-(2.0**23), 2.0**23 - 1)
    traces = [BdfChannel((rename or {}).get(name, name), "uV", (-(2.0**18), 2.0**18), s) for name, s in x.items()]
    traces = [t._replace(limits=whole, unit="nS") if t.label == "GSR1" else t for t in traces]
    traces = [t._replace(label=status, limits=whole, unit="Boolean") if t.label == "Status" else t for t in traces]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bdf_bytes(traces, RATE))
    return path


LEADS = [f"EXG{k}" for k in range(1, 9)]
STARTS = [8 * RATE, 16 * RATE + 1, 26 * RATE + 2, 34 * RATE + 3]  # each elsewhere between the samples of 128 Hz
SHOWN = (3, 1, 4, 2)  # the Experiment_id of the first, second, ... trial


def corpus(root, subjects=(1,), starts=STARTS, seconds=2):
    """A stamped corpus with a ratings table and nothing else yet."""
    (root / "metadata_csv").mkdir(parents=True)
    shown = SHOWN if len(starts) == 4 else (2, 1)
    rows = [
        [p, k + 1, shown[k], 5_000 + round(s / RATE * 10_000), 1 + shown[k], 5, 5, 5, 3]
        for p in subjects
        for k, s in enumerate(starts)
    ]
    columns = "Participant_id Trial Experiment_id Start_time Valence Arousal Dominance Liking Familiarity".split()
    pd.DataFrame(rows, columns=columns).sort_values("Experiment_id").to_csv(root / RATINGS_FILE, index=False)
    stamp = {"stamp": "synthetic data", "trials": len(starts), "seconds": seconds}
    (root / "SYNTHETIC.json").write_text(json.dumps(stamp))
    return root


@pytest.fixture
def one(tmp_path):
    """A corpus of one subject, without its BDF."""
    return corpus(tmp_path / "deap")


def s01(root):
    return root / "data_original/s01.bdf"


def checked(root):
    """Return every recording by name, and the error of each unit that has one."""
    units = list(check_corpus(open_corpus("deap", root, raw=True)))
    return {r.name: r for u in units for r in u.recordings}, {u.name: u.error for u in units if u.error}


# ---------------------------------------------------------------- a corpus whose truth is known


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Four subjects of a synthetic corpus of 29: of both sites, and of every kind of Status; 4 trials of 4 s."""
    root = tmp_path_factory.mktemp("known") / "deap"
    config = synthetic.Settings(subjects=29, trials=4, seconds=4, videos=0, raw=True, seed=5)
    pieces = {p.path: p for p in synthetic._corpus_files(config) if p.subject in (1, 23, 24, 29)}
    assert len(pieces) == 8
    for path in (RATINGS_FILE, *pieces):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(synthetic._content(config, pieces, path))
    (root / "SYNTHETIC.json").write_text(json.dumps({"stamp": "synthetic data"} | synthetic.truth(config)))
    return root


@pytest.mark.journey
def test_the_files_are_laid_out_as_each_site_recorded(known):
    names = {p: mne.io.read_raw_bdf(known / f"data_original/s{p}.bdf", verbose="ERROR").ch_names for p in SUBJECTS}
    assert {p: len(n) for p, n in names.items()} == {"01": 48, "23": 48, "24": 48, "29": 49}  # FIELD A.1
    assert [n[-1] for n in names.values()] == ["Status", "Status", "", "-1"]
    assert names["01"][:32] == mne.channels.make_standard_montage("biosemi32").ch_names  # Twente's is the amplifier's
    assert names["23"][:32] == EEG
    for n in names.values():
        assert n[32:47] == [*LEADS, "GSR1", "GSR2", "Erg1", "Erg2", "Resp", "Plet", "Temp"]


def status_of(path, place):
    """What a channel of whole numbers holds, read with edfio: the amplifier's 24 bits."""
    return np.rint(edfio.read_bdf(path).signals[place].data).astype(int)


@pytest.mark.journey
def test_status_is_as_each_amplifier_wrote_it(known):
    """The codes are on the last channel, or on the first of two without a name, below bits of the amplifier's own."""
    for subject, place, upper in (
        ("01", -1, {0x100000}),
        ("24", -1, {0x19FF00, 0x18FF00}),
        ("29", -2, {0x19FF00, 0x18FF00, 0x58FF00}),
    ):
        status = status_of(known / f"data_original/s{subject}.bdf", place)
        assert set((status & ~0xFF).tolist()) == upper, subject
        assert {4, 5} <= set((status & 0xFF).tolist())
        assert (status[0] & ~0xFF) == max(upper - {0x58FF00})
    assert not status_of(known / "data_original/s29.bdf", -1).any()


@pytest.mark.journey
@pytest.mark.parametrize("second", [0, 0x58FF00, 4])
def test_the_first_of_two_channels_with_codes_is_taken_whatever_the_second_holds(known, tmp_path, second):
    path = known / "data_original/s29.bdf"
    recorded = edfio.read_bdf(path)
    starts = [trial.start for trial in read_trials(path, 4, 4)]
    held = recorded.signals[-1]
    held.update_data(np.full(len(held.data), float(second)))
    recorded.write(tmp_path / "s29.bdf")
    assert [trial.start for trial in read_trials(tmp_path / "s29.bdf", 4, 4)] == starts


SUBJECTS = ("01", "23", "24", "29")


@pytest.mark.journey
def test_windows_of_the_raw_route_are_the_planted_trials_second_by_second(known, tmp_path):
    assert prepare_store(open_corpus("deap", known, raw=True), tmp_path / "store", UNSUBTRACTED).bad == []
    store = open_store(tmp_path / "store")
    assert [name for name, _ in store.settings["channels"]] == NAMES == [c.name for c in deap.CHANNELS]
    release = open_corpus("deap", known)
    for p in SUBJECTS:
        data, _ = release.release(f"s{p}")
        for recording in release.recordings(f"s{p}"):
            rows = np.flatnonzero(store.windows["recording"] == recording.name)
            assert store.windows["stimulus"][rows].unique().tolist() == [recording.stimulus]
            got = store.read(rows)[2]  # (4, 40, 128)
            planted = data[recording.row][:, 3 * 128 :].reshape(40, 4, 128).swapaxes(0, 1).copy()
            planted[:, :32] -= planted[:, :32].mean(axis=1, keepdims=True)
            planted[:, 36] = 1e6 / np.maximum(planted[:, 36], 0.125)  # microsiemens -> ohm, whoever recorded them
            r = [correlation(got[:, c], planted[:, c]) for c in range(40)]
            assert min(r[:32]) > 0.97
            assert min(r[32:34]) > 0.6 and min(r[34:36]) > 0.85  # without what is below 0.5 and above 45 Hz
            assert r[36] > 0.85 and min(r[37:39]) > 0.99  # a trace of skin conductance may be noise near 0
            size = got[:, :39].std(axis=(0, 2)) / planted[:, :39].std(axis=(0, 2))
            assert size[:32].min() > 0.9 and size[:32].max() < 1.05
            np.testing.assert_allclose(got[:, 36].mean(), planted[:, 36].mean(), rtol=0.01)
            np.testing.assert_allclose(got[:, 39].mean(), planted[:, 39].mean(), rtol=1e-4)
            # and of no other trial, and of no other second
            for other in set(range(4)) - {recording.row}:
                wrong = data[other][:32, 3 * 128 :].reshape(32, 4, 128).swapaxes(0, 1)
                assert abs(np.mean([correlation(got[:, c], wrong[:, c]) for c in range(32)])) < 0.2
            assert abs(np.mean([correlation(got[:-1, c], planted[1:, c]) for c in range(32)])) < 0.2


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


@pytest.mark.journey
def test_a_plain_mne_script_makes_the_same_of_a_recording(known):
    """Read, rename, re-reference, subtract, filter, resample, cut: all of the file at once."""
    path = known / "data_original/s01.bdf"
    corpus = open_corpus("deap", known, raw=True)
    raw = mne.io.read_raw_bdf(path, preload=True, verbose="ERROR")
    events = mne.find_events(raw, shortest_event=1, verbose="ERROR")
    starts = events[events[:, 2] == 4, 0]
    raw.set_channel_types(dict.fromkeys(LEADS, "eog"), verbose="ERROR")
    for name, plus, minus in (("hEOG", 1, 2), ("vEOG", 3, 4), ("zEMG", 5, 6), ("tEMG", 7, 8)):
        raw = mne.set_bipolar_reference(raw, f"EXG{plus}", f"EXG{minus}", name, verbose="ERROR")
    eeg = raw.copy().pick(EEG).reorder_channels(EEG)
    eeg.set_eeg_reference("average", verbose="ERROR")
    x = {name: 1e6 * eeg.get_data([name])[0] for name in EEG}
    x |= {name: 1e6 * raw.get_data([name])[0] for name in ("hEOG", "vEOG", "zEMG", "tEMG", "Resp", "Plet")}
    x |= {"Temp": raw.get_data(["Temp"])[0], "GSR": 1e9 / raw.get_data(["GSR1"])[0]}
    order = [*EEG, "hEOG", "vEOG", "zEMG", "tEMG", "GSR", "Resp", "Plet", "Temp"]
    filtered = []
    for k, name in enumerate(order):
        high = 20 if name == "Plet" else 45 if k < 36 else 5
        low = 4 if k < 32 else 0.5
        band, kind = ([low, high], "bandpass") if k < 36 else (high, "lowpass")
        filtered.append(sosfiltfilt(butter(4, band, kind, fs=RATE, output="sos"), x[name]))
    filtered = np.stack(filtered)
    from gbvnet.preprocessing.signals import preprocess

    for recording in corpus.recordings("s01"):
        start = starts[int(recording.trial) - 1]
        assert recording.row == start
        at_128 = resample_poly(filtered[:, start % 4 :], 1, 4, axis=1)
        wanted = at_128[:, start // 4 :][:, : 4 * 128]
        cleaned = preprocess(corpus.signals(recording), UNSUBTRACTED, 128.0, 3.0)
        got = cleaned.x[:, cleaned.onset :][:, : 4 * 128]
        before = at_128[:, start // 4 - 3 * 128 : start // 4]
        assert np.abs(cleaned.baseline - before).max(axis=1).max() <= 1e-4 * before.std(axis=1).max()
        assert (np.abs(got - wanted).max(axis=1) <= 1e-4 * wanted.std(axis=1)).all()


@pytest.mark.journey
def test_filtering_around_a_trial_is_filtering_the_whole_recording(one):
    """On offsets and drifts, with more signals on either side than are read."""
    starts = [100 * RATE + 1, 108 * RATE + 2]
    corpus_of_two = corpus(one.parent / "two", starts=starts)
    n = 200 * RATE
    drift = np.random.default_rng(3).standard_normal(n).cumsum() + 8000
    path = bdf(s01(corpus_of_two), starts, length_s=200, Fp1=drift, EXG1=-drift, Temp=300 + drift / 10)
    opened = open_corpus("deap", corpus_of_two, raw=True)
    from gbvnet.preprocessing.signals import band_limit, preprocess

    whole = band_limit(as_released(read_recorded(path), False), RATE, CHANNELS)
    for recording, start in zip(opened.recordings("s01"), starts, strict=True):
        assert opened.signals(recording).samples.shape[1] < n / 2
        cleaned = preprocess(opened.signals(recording), UNSUBTRACTED, 128.0, 3.0)
        wanted = resample_poly(whole[:, start % 4 :], 1, 4, axis=1)[:, start // 4 :][:, :256]
        off = np.abs(cleaned.x[:, cleaned.onset :][:, :256] - wanted).max(axis=1) / wanted.std(axis=1)
        assert off.max() < 1e-9


@pytest.mark.journey
def test_a_planted_pulse_is_at_its_sample_in_its_trial(one, tmp_path):
    n = 40 * RATE
    time_s = np.arange(n) / RATE
    plet, tap, tap_other = np.zeros(n), np.zeros(n), np.zeros(n)
    for k, start in enumerate(STARTS):
        since = time_s - start / RATE - 1.25
        plet += 100 * (k + 1) * np.exp(-0.5 * (since / 0.03) ** 2)
        wave = np.cos(2 * np.pi * 12 * since) * np.exp(-0.5 * (since / 0.05) ** 2)
        tap += 300 * wave
        tap_other -= 200 * wave
    bdf(s01(one), STARTS, length_s=40, Plet=plet, Pz=tap, Cz=0 * tap, EXG5=tap, EXG6=tap_other)
    assert prepare_store(open_corpus("deap", one, raw=True), tmp_path / "store", SIGNALS_ONLY).bad == []
    store = open_store(tmp_path / "store")
    for k in range(4):
        rows = np.flatnonzero(store.windows["recording"] == f"s01_trial{k + 1:02d}")
        assert store.windows["stimulus"][rows].tolist() == [f"{SHOWN[k]:02d}"] * 2
        assert store.windows["valence"][rows].tolist() == [1.0 + SHOWN[k]] * 2  # the stimulus' ratings
        second = store.read(rows)[2][1]  # (40, 128), from 1 s on: the pulse is at 0.25 s, sample 32
        pulse = dict(zip(NAMES, second, strict=True))
        assert [int(np.argmax(pulse[name])) for name in ("Plethysmograph", "Pz", "zEMG")] == [32, 32, 32]
        assert pulse["Plethysmograph"].max() == pytest.approx(100 * (k + 1), rel=0.05)
        assert 240 < pulse["Pz"].max() < 300  # the mean over 32 electrodes takes a 32nd of it
        assert 400 < pulse["zEMG"].max() < 520  # EXG5 - EXG6, not their sum or one of them
        # Nothing was recorded at Cz: what it has is the mean of the others.
        assert int(np.argmin(pulse["Cz"])) == 32 and -12 < pulse["Cz"].min() < -6


@pytest.mark.journey
def test_channels_are_known_by_name_and_however_spelt(one):
    """Values tell where a channel is from: electrode k of the file is at 1000 + k, the others after them."""
    bdf(s01(one), STARTS, rename={"Fp1": "FP1", "T7": "t3", "Oz": "EEG Oz", "Plet": "PLET", "GSR1": "GSR1"})
    recorded = dict(zip([c.name for c in RECORDED], read_recorded(s01(one)).mean(axis=1), strict=True))
    assert len(recorded) == 44
    for k, name in enumerate((*TWENTE, *LEADS)):
        assert recorded[name] == pytest.approx(1000 + k, abs=0.3)
    assert [round(recorded[name]) for name in ("GSR1", "Resp", "Plet", "Temp")] == [5000, 1044, 1045, 1046]


def test_the_forty_channels_worked_by_hand():
    recorded = np.zeros((44, 2))
    recorded[0] = 32, 64  # Fp1: the mean of all electrodes is 1, 2
    recorded[32:40] = np.array([10, 1, 20, 3, 30, 5, 40, 7])[:, None]
    recorded[40:] = np.array([4000, 11, 12, 33])[:, None]
    twente, geneva = as_released(recorded, geneva=False), as_released(recorded, geneva=True)
    assert twente[0].tolist() == [31, 62] and twente[1].tolist() == [-1, -2]
    assert twente[32:36, 0].tolist() == [9, 17, 25, 33]
    assert twente[36:, 0].tolist() == [250_000, 11, 12, 33]  # 4000 nS
    assert geneva[36, 0] == 4000  # ohm already
    assert not any(channel.filtered for channel in CHANNELS)


def test_resistance_is_bridged_where_no_electrode_touches_the_skin():
    np.testing.assert_allclose(ohm(np.array([4000.0, -3, 0, 2000])), [250e3, 1e6 / 3, 1.25e6 / 3, 500e3])
    assert ohm(np.zeros(3)).tolist() == [0, 0, 0]


# ---------------------------------------------------------------- what is wrong with what


def codes(**changed):
    """Triggers of four sound trials, with some changed: `at_16_5=None` takes away a code, `at_16_5=4` sets another."""
    triggers = {s: 4 for s in STARTS} | {s + 2 * RATE: 5 for s in STARTS}
    for name, code in changed.items():
        triggers[round(float(name[3:].replace("_", ".")) * RATE)] = code
    return {sample: code for sample, code in triggers.items() if code is not None}


END_OF = [s + 2 * RATE for s in STARTS]


@pytest.mark.journey
def test_sound_recordings_have_nothing_to_tell(one):
    bdf(s01(one), STARTS)
    recordings, errors = checked(one)
    assert errors == {} and len(recordings) == 4
    assert all(r.error is None and r.warnings == () for r in recordings.values())


@pytest.mark.journey
@pytest.mark.parametrize(
    ("triggers", "message"),
    [
        (codes() | {STARTS[2]: 9}, "4 starts of a video .*, found 3"),
        (codes(at_30=4), "found 5, of which those at 30.0 s are not followed by an end after 2 s"),
        ({5 * RATE: 1, 30 * RATE: 5}, "found 0"),
    ],
)
def test_too_few_or_too_many_starts_refuse_the_subject(one, triggers, message):
    bdf(s01(one), STARTS, codes=triggers)
    with pytest.raises(BadRecording, match=message):
        open_corpus("deap", one, raw=True).recordings("s01")


def checked_trials(root):
    recordings, errors = checked(root)
    assert errors == {}
    return [recordings[f"s01_trial{k:02d}"] for k in range(1, 5)]


@pytest.mark.journey
def test_a_trigger_written_twice_counts_once_and_is_reported(one):
    bdf(s01(one), STARTS, codes=codes() | {STARTS[1] + 100: 4, END_OF[3] + 50: 5})
    trials = checked_trials(one)
    assert [r.row for r in trials] == STARTS
    assert trials[1].warnings == ("code 4 twice within 1 s: the first is taken",)
    assert trials[3].warnings == ("code 5 twice within 1 s",)
    assert trials[0].warnings == trials[2].warnings == ()


@pytest.mark.journey
def test_a_code_that_lasts_is_one_trigger(one):
    n = 40 * RATE
    low = np.zeros(n)
    for start, end in zip(STARTS, END_OF, strict=True):
        low[start:end], low[end : end + RATE] = 4, 5
    bdf(s01(one), STARTS, length_s=40, Status=low)
    assert [(r.row, r.warnings) for r in checked_trials(one)] == [(s, ()) for s in STARTS]


@pytest.mark.journey
def test_an_end_that_is_missing_or_too_many_is_reported_and_stops_nothing(one):
    triggers = codes() | {5 * RATE: 5, END_OF[2] + 2 * RATE: 5}
    del triggers[END_OF[0]]
    bdf(s01(one), STARTS, codes=triggers)
    warnings = [r.warnings for r in checked_trials(one)]
    assert warnings[0] == ("1 ends before its start", "no end (code 5) after its start; its length is not checked")
    assert warnings[2] == ("2 ends after its start; the first is taken",)
    assert warnings[1] == warnings[3] == ()


@pytest.mark.journey
def test_a_video_broken_off_refuses_its_trial_alone_and_a_long_one_is_reported(one):
    triggers = {s: c for s, c in codes().items() if s not in (END_OF[1], END_OF[2])}
    bdf(s01(one), STARTS, codes=triggers | {STARTS[1] + RATE // 2: 5, STARTS[2] + 4 * RATE: 5})
    trials = checked_trials(one)
    assert "2 s of the video that starts at 16.0 s, found an end (code 5) after 0.5 s" in trials[1].error
    assert trials[2].warnings == ("its end comes after 4.0 s; the first 2 s are taken",)
    assert [r.error is None for r in trials] == [True, False, True, True]


@pytest.mark.journey
def test_a_recording_cut_short_and_one_without_a_baseline_lose_those_trials_alone(tmp_path):
    starts = [RATE, 12 * RATE, 20 * RATE, 28 * RATE]
    root = corpus(tmp_path / "deap", starts=starts)
    bdf(s01(root), starts, codes={s: 4 for s in starts} | {s + 2 * RATE: 5 for s in starts[:3]})
    whole = s01(root).read_bytes()
    record = (len(whole) - 256 * 49) // 34  # 34 s, 48 channels
    s01(root).write_bytes(whole[: 256 * 49 + int(28 * record) + 100])
    with pytest.raises(BadRecording, match="found 3"):  # the last start is lost with the end of the file
        open_corpus("deap", root, raw=True).recordings("s01")
    starts[-1] -= RATE // 2
    bdf(s01(root), starts, codes={s: 4 for s in starts} | {s + 2 * RATE: 5 for s in starts[:3]}, length_s=28)
    trials = checked_trials(root)
    assert "3 s of signals before the video that starts at 1.0 s, found 1.0 s" in trials[0].error
    assert "2 s of the video that starts at 27.5 s, found 0.5 s until the file ends" in trials[3].error
    assert trials[1].error is None and trials[2].error is None


@pytest.mark.journey
def test_a_baseline_that_reaches_into_the_video_before_is_reported(tmp_path):
    starts = [8 * RATE, 16 * RATE, 20 * RATE, 28 * RATE]
    root = corpus(tmp_path / "deap", starts=starts)
    bdf(s01(root), starts)
    assert checked_trials(root)[2].warnings == ("the video before it ends 2.0 s before its start, within the baseline",)


@pytest.mark.journey
def test_starts_that_the_ratings_table_does_not_know_refuse_the_subject(one):
    other = [8 * RATE, 19 * RATE, 25 * RATE, 36 * RATE]
    bdf(s01(one), other)
    with pytest.raises(BadRecording, match="of 3 distances that differ, first of trial"):
        open_corpus("deap", one, raw=True).recordings("s01")
    table = pd.read_csv(one / RATINGS_FILE).drop(columns="Start_time")  # as the message says
    table.to_csv(one / RATINGS_FILE, index=False)
    assert [r.row for r in open_corpus("deap", one, raw=True).recordings("s01")] == other


def test_one_distance_that_differs_is_a_break_and_is_reported():
    starts = np.cumsum([10, 80, 90, 85, 70, 95, 81]) * RATE
    start_times = starts / RATE * 10_000.0
    start_times[4:] += 300 * 10_000  # the amplifier was paused
    breaks = compare_trial_times("s01.bdf", list(starts), start_times)
    assert breaks == {4: "starts 70.0 s after the trial before; by Start_time it is 370.0 s"}
    assert compare_trial_times("s01.bdf", list(starts), np.zeros(7)) == {}
    assert compare_trial_times("s01.bdf", list(starts), np.full(7, np.nan)) == {}
    with pytest.raises(BadRecording, match="first of trial 2"):
        compare_trial_times("s01.bdf", list(starts), start_times[[1, 0, 3, 2, 5, 4, 6]])


@pytest.mark.journey
def test_ratings_without_a_trial_refuse_the_subject(one):
    bdf(s01(one), STARTS)
    table = pd.read_csv(one / RATINGS_FILE)
    table[table.Trial != 2].to_csv(one / RATINGS_FILE, index=False)
    with pytest.raises(BadRecording, match=r"trials 1 to 4 of this participant .*found 3 rows; not in both are 2"):
        open_corpus("deap", one, raw=True).recordings("s01")


@pytest.mark.journey
@pytest.mark.parametrize("status", ["Status", "", "status "])
def test_triggers_are_detected_with_and_without_a_name(one, status):
    bdf(s01(one), STARTS, status=status)
    assert [r.row for r in open_corpus("deap", one, raw=True).recordings("s01")] == STARTS


@pytest.mark.journey
def test_a_recording_without_status_names_what_there_is(one):
    bdf(s01(one), STARTS, Status=None)
    with pytest.raises(BadRecording, match=r"a channel Status, or the unnamed one .*found none among Fp1"):
        open_corpus("deap", one, raw=True).recordings("s01")


@pytest.mark.journey
def test_missing_channels_are_named_with_near_ones(one):
    bdf(s01(one), STARTS, rename={"Plet": "Pleth", "PO4": "POx"})
    with pytest.raises(BadRecording, match=r"found none for PO4 \(near it: .*\); Plet \(near it: Pleth"):
        open_corpus("deap", one, raw=True).recordings("s01")


def test_another_rate_is_refused(one):
    n = 20 * 256
    s01(one).parent.mkdir()
    s01(one).write_bytes(bdf_bytes([BdfChannel("Fp1", "uV", (-100.0, 100.0), np.zeros(n))], 256))
    with pytest.raises(BadRecording, match="expected 512 samples a second, found 256"):
        open_corpus("deap", one, raw=True).recordings("s01")


@pytest.mark.journey
@pytest.mark.parametrize("content", [b"", b"no BDF" * 100])
def test_what_is_no_bdf_is_refused(one, content):
    bdf(s01(one), STARTS).write_bytes(content)
    with pytest.raises(BadRecording, match=r"s01\.bdf: expected a BDF, found"):
        open_corpus("deap", one, raw=True).recordings("s01")


@pytest.mark.journey
def test_flat_clipped_and_loose_channels_are_reported(one):
    n = 38 * RATE
    stuck = np.clip(300 * np.random.default_rng(1).standard_normal(n), -200, 200)
    gsr = np.full(n, 5000.0) + np.arange(n) % 7
    gsr[STARTS[0] : STARTS[0] + RATE] = 0
    bdf(s01(one), STARTS, length_s=38, Cz=np.full(n, 7.0), EXG4=stuck, GSR1=gsr)
    for recording in checked_trials(one):
        assert recording.warnings[0] == "flat channels: Cz"
        assert recording.warnings[1].startswith("clipped channels: EXG4 (")
        assert re.fullmatch(r"GSR: no contact in 2\.[67]% of the samples; bridged", recording.warnings[2])


@pytest.mark.journey
def test_skin_in_the_other_sites_unit_is_reported(tmp_path):
    root = corpus(tmp_path / "deap", subjects=(23,))
    bdf(root / "data_original/s23.bdf", STARTS, order=EEG)  # 5000 ohm: no skin, but 5000 nanosiemens are
    recordings, _ = checked(root)
    assert recordings["s23_trial01"].warnings == (
        "GSR: the skin's resistance is 5e+03 ohm, which is not plausible: another unit?",
    )


@pytest.mark.journey
def test_a_release_with_other_signals_in_a_trial_is_reported(known, tmp_path):
    """Two trials change places in the recording, and nothing else does: the triggers cannot tell."""
    for folder in ("metadata_csv", "data_preprocessed_python", "data_original"):
        (tmp_path / folder).mkdir()
    for name in (RATINGS_FILE, "SYNTHETIC.json", "data_preprocessed_python/s01.dat"):
        (tmp_path / name).write_bytes((known / name).read_bytes())
    data, _ = open_corpus("deap", known).release("s01")
    table = pd.read_csv(known / RATINGS_FILE).query("Participant_id == 1").sort_values("Trial")
    rows = list(table.Experiment_id - 1)
    rows[1], rows[2] = rows[2], rows[1]
    made = synthetic_bdf.bdf_recording(1, list(table.Start_time), [data[i] for i in rows], np.random.default_rng(0))
    s01(tmp_path).write_bytes(made)
    recordings, _ = checked(tmp_path)
    warnings = [recordings[f"s01_trial0{k}"].warnings for k in (1, 2, 3, 4)]
    assert warnings[0] == warnings[3] == ()
    for trial_warnings in (warnings[1], warnings[2]):
        assert len(trial_warnings) == 1 and trial_warnings[0].startswith("the preprocessed release has other signals")


# ---------------------------------------------------------------- the commands


@pytest.mark.journey
def test_check_and_prepare_take_the_recordings_and_one_bad_file_stops_no_other(tmp_path, capsys):
    root, store = corpus(tmp_path / "deap", subjects=(1, 2, 23)), tmp_path / "store"
    bdf(s01(root), STARTS)
    bdf(root / "data_original/s02.bdf", STARTS, Status=None)
    ohms = 2e5 + 100 * np.random.default_rng(0).standard_normal(40 * RATE)
    bdf(root / "data_original/s23.bdf", STARTS, order=EEG, status="", length_s=40, GSR1=ohms)
    assert main(["check", "deap", str(root), "--raw"]) == 1
    shown = capsys.readouterr().out
    assert "ok   s01  4 of 4" in shown and "BAD  s02" in shown and "8 good recordings of 3 subjects" in shown
    command = ["prepare", "deap", str(root), str(store), "--faces", "false", "--jobs", "1"]
    assert main([*command, "--raw"]) == 1
    assert "8 recordings prepared, 0 prepared before, 1 bad" in capsys.readouterr().out
    assert open_store(store).settings["source"] == "raw"
    assert main([*command, "--raw"]) == 1
    assert "0 recordings prepared, 8 prepared before, 1 bad" in capsys.readouterr().out


@pytest.mark.journey
def test_a_store_of_one_source_is_not_gone_on_with_from_the_other(known, tmp_path, capsys):
    command = ["prepare", "deap", str(known), str(tmp_path / "store"), "--faces", "false", "--jobs", "1"]
    assert main(command) == 0
    assert open_store(tmp_path / "store").settings["source"] == "preprocessed"
    assert main([*command, "--raw"]) == 2
    assert 'a store made with source = "raw", found one made with "preprocessed"' in capsys.readouterr().err
    # A store from before there was a choice is of the release.
    manifest = tmp_path / "store/store.json"
    settings = json.loads(manifest.read_text())
    del settings["source"]
    manifest.write_text(json.dumps(settings))
    assert main(command) == 0 and main([*command, "--raw"]) == 2


@pytest.mark.journey
def test_synth_writes_recordings_that_check_finds_sound(tmp_path, capsys):
    small = ["--subjects", "1", "--trials", "3", "--seconds", "2", "--videos", "0", "--jobs", "1"]
    assert main(["synth", "deap", str(tmp_path / "a"), "--raw", *small]) == 0
    assert main(["check", "deap", str(tmp_path / "a"), "--raw"]) == 0
    assert "3 good recordings" in capsys.readouterr().out and "note s01" not in capsys.readouterr().out
    assert main(["synth", "deap", str(tmp_path / "b"), *small]) == 0
    assert not (tmp_path / "b/data_original").exists()
    for name in ("data_preprocessed_python/s01.dat", RATINGS_FILE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert main(["synth", "mahnob", str(tmp_path / "c"), "--raw", *small]) == 2
    assert main(["check", "deap", str(tmp_path / "b"), "--raw"]) == 2
    assert "data_original: expected subjects s01.bdf to s32.bdf" in capsys.readouterr().err


def test_only_deap_has_a_choice(tmp_path):
    with pytest.raises(BadConfig, match="raw: mahnob has one form of signals only; deap has both"):
        open_corpus("mahnob", tmp_path, raw=True)
