"""Uneven clocks as wearables write them: the true time of each sample is known, and is what the line must give."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.config import PrepareConfig, Times
from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.formats.clock_fit import fit_clock
from gbvnet.datasets.formats.signal_file import open_signals, read_signals
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.single_recording import open_recording
from gbvnet.errors import BadRecording
from gbvnet.preprocessing.signals import preprocess
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from ...timed_signals import write_edf

EDA = Channel("EDA", "gsr")
PLAIN = PrepareConfig(faces=False, filter=False, baseline="none")


def sampled(hz, seconds, gaps=()):
    """The true times of the samples that were kept, (T,)."""
    t = np.arange(round(seconds * hz)) / hz
    return t[~np.any([(t >= a) & (t < b) for a, b in gaps], axis=0)] if gaps else t


def scattered(t, sd, seed=0):
    return np.maximum.accumulate(t + np.random.default_rng(seed).normal(0, sd, len(t)))


def in_packets(t, hz, size, sd=0.005, seed=0):
    """Stamps of packets: all samples of one have its time of arrival, which varies."""
    packet = np.round(t * hz).astype(int) // size
    late = np.abs(np.random.default_rng(seed).normal(0, sd, packet[-1] + 1))
    return (packet + (size + 1) / 2) * 0 + ((packet + 0.5) * size - 0.5) / hz + late[packet] - sd * 0.8


GAPS = ((100, 103.3), (104.5, 110), (200, 200.5))
CLOCKS = {
    "shimmer": lambda gaps: (51.15, t := sampled(51.15, 300, gaps), scattered(t, 0.006)),
    "slow": lambda gaps: (4, t := sampled(4, 300, gaps), t + np.random.default_rng(1).normal(0, 0.03, len(t))),
    "twelve at once": lambda gaps: (256, t := sampled(256, 300, gaps), in_packets(t, 256, 12)),
    "a tenth of a second at once": lambda gaps: (256, t := sampled(256, 300, gaps), in_packets(t, 256, 25)),
    "milliseconds": lambda gaps: (220, t := sampled(220, 300, gaps), scattered(t, 0.002).round(3)),
    "since 1970": lambda gaps: (64, t := 1.7e9 + sampled(64, 300, gaps), scattered(t, 0.01)),
}


def fitted(fit):
    return np.concatenate([s.start_s + np.arange(s.n) / s.rate_hz for s in fit.segments])


@pytest.mark.journey
@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.parametrize("gaps", [(), GAPS[:1], GAPS])
def test_each_sample_has_its_true_time_and_each_gap_its_place(name, gaps):
    hz, true, stamps = CLOCKS[name](gaps)
    fit = fit_clock("a.csv", "time", stamps)
    firsts = [0, *(int(np.searchsorted(true - true[0], end - 1e-9)) for _, end in gaps)]
    assert [s.first for s in fit.segments] == firsts and sum(s.n for s in fit.segments) == len(true)
    assert fit.rate_hz == pytest.approx(hz, rel=2e-4)
    assert np.abs(fitted(fit) - true).max() < max(0.004, 0.1 / hz)
    assert fit.residual_95_s < 0.07 and fit.residual_95_s <= fit.residual_max_s


def test_the_line_of_one_segment_is_that_of_least_squares():
    _, _, stamps = CLOCKS["shimmer"](())
    (line,) = fit_clock("a.csv", "time", stamps).segments
    slope, start = np.polyfit(np.arange(len(stamps)), stamps, 1)
    assert (line.start_s, 1 / line.rate_hz) == (pytest.approx(start, abs=1e-8), pytest.approx(slope, rel=1e-9))
    residuals = np.abs(stamps - np.polyval((slope, start), np.arange(len(stamps))))
    fit = fit_clock("a.csv", "time", stamps)
    assert fit.residual_max_s == pytest.approx(residuals.max()) and fit.residual_95_s == pytest.approx(
        np.percentile(residuals, 95)
    )


@pytest.mark.journey
def test_a_burst_after_a_silence_is_no_gap():
    """A second of samples arrives at once, at its end: none is lost."""
    true = np.arange(256 * 100) / 256
    fit = fit_clock("a.csv", "time", np.where((true > 50) & (true < 51), 51, true))
    assert len(fit.segments) == 1 and fit.residual_max_s == pytest.approx(1, abs=0.01)
    assert fitted(fit) == pytest.approx(true, abs=0.006)


@pytest.mark.journey
def test_steps_back_within_the_jitter_are_taken():
    true = np.arange(256 * 60) / 256
    stamps = in_packets(true, 256, 12)
    stamps[5000] -= 0.004  # an event's row, as Mind Monitor writes it
    assert fitted(fit_clock("a.csv", "time", stamps)) == pytest.approx(true, abs=0.004)


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (
            lambda t: np.where(t > 200, t - 0.5, t),
            r"at 199\.9\d+ s it goes back by 0\.4\d+ s, between data rows 12800 and",
        ),
        (lambda t: t[::-1].copy(), "times that increase in column time"),
        (lambda t: np.where(t > 100, 100 + (t - 100) * 1.001, t), r"a rate that changes: from data row \d+ on, at \d+"),
        (lambda t: t + 0.3 * np.sin(t), r"times of which 5 % are 0\.\d+ s or more beside a line"),
        (lambda t: t + 0.05 * np.sin(t / 30), r"a rate that changes: .* At most 0.02 s are allowed"),
    ],
)
def test_times_that_are_not_those_of_a_constant_rate_are_refused(stamps, message):
    t = scattered(sampled(64, 300), 0.004)
    with pytest.raises(BadRecording, match=message):
        fit_clock("a.csv", "time", stamps(t))


@pytest.mark.journey
def test_samples_that_are_lost_all_the_time_change_the_rate_by_their_share():
    """Each fiftieth: the times stay right to half a sample."""
    true = np.delete(sampled(64, 300), slice(None, None, 50))
    fit = fit_clock("a.csv", "time", scattered(true, 0.001))
    assert fitted(fit) == pytest.approx(true, abs=0.5 / 64 + 0.001)


@pytest.mark.journey
def test_a_rate_far_from_the_stated_one_is_refused_and_a_near_one_reported(tmp_path):
    _, true, stamps = CLOCKS["shimmer"](())
    text = pd.DataFrame({"time": stamps, "EDA": true}).to_csv(index=False)
    (tmp_path / "a.csv").write_text("# Sample Rate = 51.2 Hz\n" + text)
    assert "51.15 samples a second (0.098 % less than the stated 51.2)" in open_signals(tmp_path / "a.csv").note
    with pytest.raises(BadRecording, match=r"about the stated 64 samples a second in column time, found 51\.15"):
        open_signals(tmp_path / "a.csv", 64.0)


# ---------------------------------------------------------------- through the readers


@pytest.mark.journey
@pytest.mark.parametrize("name", ["shimmer", "slow", "twelve at once", "milliseconds"])
def test_a_table_and_predict_read_the_true_seconds_and_report_the_fit(tmp_path, name):
    """EDA holds the true time of each sample; a second file, on an even clock, says the same."""
    hz, true, stamps = CLOCKS[name](GAPS[:1])
    pd.DataFrame({"time": stamps, "EDA": true}).to_csv(tmp_path / "wrist.csv", index=False)
    t = np.arange(300 * 256) / 256
    write_edf(tmp_path / "eeg.edf", {"Fp1": (256, 20 * np.sin(70 * t), "uV"), "CLOCK": (256, t, "uS")})
    (tmp_path / "table.yaml").write_text("channels: {Fp1: eeg, CLOCK: resp, EDA: gsr}\n")
    spans = {"1": (20, 60), "2": (110, 150), "3": (90, 105), "4": (160, 299)}
    rows = [{"subject": "anna", "trial": k, "signals": "eeg.edf + wrist.csv", "start_s": a, "stop_s": b}
            for k, (a, b) in spans.items()]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "recordings.csv", index=False)
    corpus = open_corpus("table", tmp_path)
    by_name = {r.trial: r for unit in check_corpus(corpus) for r in unit.recordings}
    assert "wrist.csv" in by_name["3"].error and "a pause from 100" in by_name["3"].error
    notes = [w for w in by_name["1"].warnings if "a line is fitted to them" in w]
    assert len(notes) == 1 and "1 gap: 10" in notes[0] and "95 % of the times are within" in notes[0]
    assert any("has a pause from 100" in w for w in by_name["2"].warnings)
    prepare_store(corpus, tmp_path / "store", PLAIN)
    store = open_store(tmp_path / "store")
    for recording, rows_of in store.windows.groupby("recording"):
        x = np.concatenate(store.read(rows_of.index.to_numpy(), faces=False)[2], axis=1)
        assert x[2] == pytest.approx(spans[recording[-1]][0] + np.arange(x.shape[1]) / 128, abs=0.3 / hz + 0.01)
        assert x[2] - x[1] == pytest.approx(0, abs=0.3 / hz + 0.01)  # below a sample of the slower
    files, times = [tmp_path / "eeg.edf", tmp_path / "wrist.csv"], Times(start_s=110, stop_s=150)
    made = open_recording(files, corpus.channels, 128.0, 3.0, times)
    recording = made.inspect(made.recording)
    got = preprocess(made.signals(recording), PLAIN, 128.0, 3.0)
    x = got.x[2, got.onset :][: 40 * 128]
    assert x == pytest.approx(110 + np.arange(40 * 128) / 128, abs=0.3 / hz + 0.01)
    assert [w for w in recording.warnings if "a line is fitted to them" in w] == notes


@pytest.mark.journey
def test_a_span_is_read_within_its_segment(tmp_path):
    _, true, stamps = CLOCKS["shimmer"](GAPS)
    pd.DataFrame({"time": stamps, "EDA": true}).to_csv(tmp_path / "a.csv", index=False)
    got = read_signals(tmp_path / "a.csv", 104, 104.4, (EDA,), margin_s=30)
    assert got.start_s == pytest.approx(103.31, abs=0.02) and got.seconds == pytest.approx(1.2, abs=0.03)
    assert got.samples[0] == pytest.approx(got.start_s + np.arange(got.samples.shape[1]) / got.rate_hz, abs=0.005)
    with pytest.raises(BadRecording, match=r"a pause from 104\.\d+ to 110\.\d+ s"):
        read_signals(tmp_path / "a.csv", 103.5, 111, (EDA,))
