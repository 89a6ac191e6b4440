"""Rows of a device on a regular grid: counters of several habits, lost samples, stamps that come in bursts."""

from pathlib import Path

import numpy as np
import pytest

from gbvnet.datasets.formats.device_file import common_step_s
from gbvnet.datasets.formats.device_rows import RowTimes, counter_places, grid_rows
from gbvnet.errors import BadRecording

RATE_HZ, N = 250.0, 15_000
PATH = Path("x.txt")


def value(t):
    return np.sin(2 * np.pi * t)


def rows(lost=(), rate_hz=RATE_HZ, burst_s=0.02):
    """The rows that arrive: their numbers, stamps and samples (T, 1)."""
    k = np.setdiff1d(np.arange(N), lost)
    t = k / rate_hz
    return k, 1.7e9 + np.ceil(t / burst_s) * burst_s, value(t)[:, None]


def worst(grid):
    """The largest error of the samples at the times that the grid gives them."""
    errors = []
    for segment, rate_hz in zip(grid.segments, grid.rates_hz, strict=True):
        first = round(segment.at_s * rate_hz)
        n = round(segment.seconds * rate_hz)
        t = segment.start_s + np.arange(n) / rate_hz
        errors.append(np.abs(grid.samples[first : first + n, 0] - value(t)).max())
    return max(errors)


COUNTERS = {
    "cyton": lambda k: k % 256,
    "daisy, in steps of 2": lambda k: 2 * k % 256,
    "ganglion, two rows of each": lambda k: k // 2 % 201,
    "never anew": lambda k: k + 7,
    "from 1": lambda k: 1 + k % 128,
    "xavier, 129 values": lambda k: k % 129,
}


@pytest.mark.journey
@pytest.mark.parametrize("name", COUNTERS)
@pytest.mark.parametrize("lost", [(), (100, 101), (5000, 5001, 9000, 9001), tuple(range(9000, 9100))])
def test_a_counter_places_each_row_whatever_its_habit(name, lost):
    k, stamps, samples = rows(lost)
    places = counter_places(COUNTERS[name](k).astype(float))
    assert places.places.tolist() == k.tolist()
    assert (places.lost, places.repeated) == (len(lost), 0)
    grid = grid_rows(PATH, samples, RowTimes(RATE_HZ, stamps, "Timestamp", COUNTERS[name](k).astype(float), "Index"))
    assert worst(grid) < 0.01  # 1.6 ms of a wave of 1 Hz
    assert len(grid.segments) == (2 if len(lost) == 100 else 1)
    assert any(f"{len(lost)} of {N} samples are lost" in note for note in grid.notes) == bool(lost)


def test_lost_samples_are_bridged_up_to_20_ms_and_a_pause_from_there_on():
    for n, parts in ((5, 1), (6, 2)):
        k, stamps, samples = rows(range(7000, 7000 + n))
        grid = grid_rows(PATH, samples, RowTimes(RATE_HZ, stamps, "Timestamp", k % 256.0, "Index"))
        assert len(grid.segments) == parts
        assert len(grid.samples) == N
    first, second = grid.segments
    assert first.stop_s == pytest.approx(28.0, abs=0.005) and second.start_s == pytest.approx(28.024, abs=0.005)


def test_without_stamps_the_counter_and_the_rate_place_all():
    k, _, samples = rows(range(7000, 7020))
    grid = grid_rows(PATH, samples, RowTimes(RATE_HZ, None, "", k % 256.0, "Index"))
    assert worst(grid) < 1e-9 and [s.start_s for s in grid.segments] == [0, 28.08]
    with pytest.raises(BadRecording, match="times of the samples or their rate, found neither"):
        grid_rows(PATH, samples, RowTimes(None, None, "", k % 256.0, "Index"))


@pytest.mark.parametrize("counter", [lambda k: k * 0, lambda k: np.random.default_rng(0).integers(0, 99, len(k))])
def test_a_counter_that_does_not_count_is_not_believed(counter):
    k, stamps, samples = rows()
    assert counter_places(counter(k).astype(float)) is None
    grid = grid_rows(PATH, samples, RowTimes(RATE_HZ, stamps, "Timestamp", counter(k).astype(float), "Index"))
    assert worst(grid) < 0.01
    assert grid.notes[0].startswith("Index does not count the samples of a constant rate")


def test_a_counter_that_begins_anew_without_a_loss_is_overruled_by_the_stamps():
    k, stamps, samples = rows()
    counter = np.where(k < 8000, k, k + 90) % 256.0  # 90 samples of 360 ms that the stamps do not know
    grid = grid_rows(PATH, samples, RowTimes(RATE_HZ, stamps, "Timestamp", counter, "Index"))
    assert worst(grid) < 0.01 and len(grid.samples) == N


def test_repeated_rows_are_left_out_and_counted():
    k, stamps, samples = rows()
    twice = np.repeat(np.arange(N), np.where(np.isin(k, (40, 900)), 2, 1))
    grid = grid_rows(PATH, samples[twice], RowTimes(RATE_HZ, stamps[twice], "Timestamp", k[twice] % 256.0, "Index"))
    assert worst(grid) < 0.01 and len(grid.samples) == N
    assert grid.notes[0] == "2 rows repeat a sample by Index, and are left out"


def test_a_short_recording_has_the_stated_rate_and_a_long_one_that_of_its_stamps():
    n = 384  # 1.5 s in bursts: the ends of the stamps tell 270 samples a second
    t = np.arange(n) / 256
    stamps = np.clip(np.ceil((t + 1e-9) / 0.047) * 0.047, None, 1.43)
    short = grid_rows(PATH, value(t)[:, None], RowTimes(256.0, stamps, "TimeStamp"))
    assert short.rate_hz == 256 and worst(short) < 1e-9
    _, stamps, samples = rows(rate_hz=250.5)
    long = grid_rows(PATH, samples, RowTimes(RATE_HZ, stamps, "Timestamp"))
    assert long.rate_hz == pytest.approx(250.5, rel=1e-4) and worst(long) < 0.01
    assert "0.2 % more than the stated 250" in long.notes[0]


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (lambda t: t * 2, "about the stated 250 samples a second in column Timestamp, found 125"),
        (lambda t: np.where(t > 30, t - 5, t), "at 30.000 s it goes back by"),
        (lambda t: t + 8e-5 * t**2, "a rate that changes"),
    ],
)
def test_stamps_that_do_not_fit_are_refused(stamps, message):
    _, _, samples = rows()
    with pytest.raises(BadRecording, match=message):
        grid_rows(PATH, samples, RowTimes(RATE_HZ, stamps(np.arange(N) / RATE_HZ), "Timestamp"))


def test_stamps_that_stand_still_give_way_to_the_rate_and_few_rows_are_refused():
    _, _, samples = rows()
    grid = grid_rows(PATH, samples, RowTimes(RATE_HZ, np.full(N, 1.7e9), "Timestamp"))
    assert worst(grid) < 1e-9 and "is the same in all rows" in grid.notes[0] and grid.start_s == 1.7e9
    with pytest.raises(BadRecording, match="at least 16 rows of samples, found 3"):
        grid_rows(PATH, samples[:3], RowTimes(RATE_HZ))


@pytest.mark.parametrize(("rates", "step"), [((64, 4), 0.25), ((1000, 500, 20), 0.05), ((51.2, 128), 0.0390625)])
def test_the_common_step_of_rates(rates, step):
    assert common_step_s(rates) == pytest.approx(step)
    assert all(step * rate == pytest.approx(round(step * rate)) for rate in rates)
