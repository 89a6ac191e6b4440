"""Samples lie where their time stamps say, though a device is a little faster or slower than it states."""

import numpy as np
import pytest

from gbvnet.datasets.recording import Channel
from gbvnet.inference.streaming.baseline import NoBaseline
from gbvnet.inference.streaming.device_clock import BLOCKS, KNOTS, DeviceClock
from gbvnet.inference.streaming.signal_buffer import SignalBuffer

TO_HZ = 128


class Result:
    """What windows of one second held: how far each value, which is its own true time, is from its place."""

    def __init__(self):
        self.away: dict[int, float] = {}
        self.lost: list[int] = []


def chunks(true_hz, seconds, chunk_s=0.05, begin_s=0.0, jitter=None):
    """(time stamp, samples); the value of a sample is the time at which it was taken."""
    times = begin_s + np.arange(round(seconds * true_hz)) / true_hz
    n = max(1, round(chunk_s * true_hz))
    pieces = [times[first : first + n] for first in range(0, len(times), n)]
    wavers = np.zeros(len(pieces)) if jitter is None else jitter(len(pieces))
    return [(piece[0] + waver, piece) for piece, waver in zip(pieces, wavers, strict=True)]


def played(given, stated_hz, first=0):
    stream = SignalBuffer((Channel("EDA", "gsr"),), stated_hz, TO_HZ, NoBaseline(), keep_s=4, filter=False)
    result, window = Result(), first
    for stamp_s, piece in given:
        stream.push(piece[None], stamp_s)
        while stream.has((window + 1) * TO_HZ):
            x, _ = stream.window(window * TO_HZ, TO_HZ, 0)
            if x is None:
                result.lost.append(window)
            else:  # float32 holds times of some minutes to a hundredth of a millisecond
                result.away[window] = float(np.abs(x[0] - window - np.arange(TO_HZ) / TO_HZ).max())
            window += 1
    return result, stream


@pytest.mark.journey
@pytest.mark.parametrize(
    ("stated_hz", "true_hz"),
    [(256, 255.75), (256, 257.3), (256, 252), (512, 513), (128, 127.4), (1000, 998), (32, 32.1), (255.999, 255.5)],
)
def test_a_device_that_drifts_loses_nothing_and_is_placed_within_a_sample(stated_hz, true_hz):
    result, stream = played(chunks(true_hz, 60), stated_hz)
    assert result.lost == [] and stream.dropped == 0 and len(result.away) >= 58
    assert max(result.away.values()) < 1 / min(stated_hz, TO_HZ)
    assert max(away for window, away in result.away.items() if window > 2) < 2e-4
    assert f"gives {true_hz:.5g} Hz" in stream.message and f"not {stated_hz:g} Hz" in stream.message


@pytest.mark.journey
def test_a_quarter_of_an_hour_at_half_a_percent_stays_within_a_sample():
    result, stream = played(chunks(257.28, 900, chunk_s=0.25), 256)
    assert result.lost == [] and stream.dropped == 0 and len(result.away) >= 898
    assert max(result.away.values()) < 1 / 256


@pytest.mark.journey
@pytest.mark.parametrize("true_hz", [256, 255.5])
@pytest.mark.parametrize(("jitter_s", "within_s"), [(0.001, 0.002), (0.01, 0.01), (0.03, 0.03)])
def test_time_stamps_that_waver_cost_no_sample_and_are_averaged(true_hz, jitter_s, within_s):
    rng = np.random.default_rng(1)
    given = chunks(true_hz, 60, begin_s=0.2, jitter=lambda n: rng.normal(0, jitter_s, n))
    result, stream = played(given, 256, first=1)
    assert result.lost == [] and stream.dropped == 0
    away = np.array(list(result.away.values()))
    assert away.max() < within_s
    assert away[20:].max() < max(0.4 * jitter_s, 5e-4)


@pytest.mark.journey
def test_time_stamps_of_single_samples_in_milliseconds_cost_nothing():
    given = [(round(stamp_s, 3), piece) for stamp_s, piece in chunks(255.5, 30, chunk_s=1e-9)]
    result, stream = played(given, 256)
    assert result.lost == [] and stream.dropped == 0
    assert max(result.away.values()) < 0.002


@pytest.mark.journey
def test_the_stated_rate_is_exact_where_time_stamps_agree():
    result, stream = played(chunks(256, 60), 256)
    clock = stream._clock
    assert not clock.corrected and clock.true_rate_hz == 256 and stream.message == ""
    assert max(away for window, away in result.away.items() if window) < 1e-5


def test_a_clock_that_begins_between_two_samples_is_placed_there():
    result, _ = played(chunks(256, 10, begin_s=0.0029), 256, first=1)
    assert result.lost == [] and max(result.away.values()) < 2e-4  # once it was rounded to the nearest of 128 a second


@pytest.mark.journey
@pytest.mark.parametrize(("pause_s", "lost"), [(0.3, [10]), (5.0, [10, 11, 12, 13, 14, 15])])
def test_a_gap_costs_the_windows_that_touch_it_and_the_rate_stays_known(pause_s, lost):
    given = chunks(255, 25)
    after = next(k for k, (stamp_s, _) in enumerate(given) if stamp_s > 10.2)
    given = given[:after] + [(stamp_s + pause_s, piece + pause_s) for stamp_s, piece in given[after:]]
    result, stream = played(given, 256)
    assert result.lost == lost and stream.dropped == 0
    assert max(away for window, away in result.away.items() if window > 2) < 1e-3


@pytest.mark.journey
def test_a_lost_chunk_too_short_for_a_gap_is_detected_and_costs_its_windows():
    given = chunks(256, 25)
    result, _ = played(given[:204] + given[205:], 256)  # 50 ms at 10.2 s
    assert result.lost == [10]
    assert max(away for window, away in result.away.items() if window) < 1e-4


@pytest.mark.journey
def test_a_chunk_that_comes_twice_is_taken_once():
    given = chunks(255.5, 25)
    result, stream = played(given[:205] + given[204:], 256)
    assert result.lost == [] and stream.dropped == len(given[204][1])
    assert max(result.away.values()) < 1 / 256


@pytest.mark.journey
def test_chunks_in_the_wrong_order_cost_their_windows():
    given = chunks(256, 25)
    given[204], given[205] = given[205], given[204]
    result, _ = played(given, 256)
    assert result.lost == [10]
    assert max(away for window, away in result.away.items() if window) < 1e-3


@pytest.mark.journey
def test_one_late_time_stamp_moves_nothing():
    given = chunks(256, 25)
    given[204] = (given[204][0] + 0.1, given[204][1])
    result, stream = played(given, 256)
    assert result.lost == [] and stream.dropped == 0 and max(result.away.values()) < 1e-3


@pytest.mark.journey
@pytest.mark.parametrize("true_hz", [128, 300])
def test_a_rate_that_is_far_off_is_reported_with_what_to_do(true_hz):
    result, stream = played(chunks(true_hz, 20), 256)
    assert len(result.lost) > 5
    assert f"about {true_hz} Hz" in stream.message and "not 256 Hz" in stream.message
    assert "5% is not corrected" in stream.message and "state the device's true rate" in stream.message


@pytest.mark.journey
def test_what_a_clock_keeps_does_not_grow():
    clock = DeviceClock(100)
    for k in range(3000):
        clock.note_chunk(10, k * 0.1005)
        clock.push(10, k * 0.1005)
    assert len(clock._blocks) == BLOCKS and len(clock._knots) == KNOTS and len(clock._intervals) <= 200
    assert len(clock._block) <= 2
