"""When samples of a device were taken, from the time stamps of its chunks.

A device with a stated rate of 256 Hz may in fact run at 255.75 Hz: after 15 minutes its samples, counted at 256 Hz, are
0.9 s off. Time stamps reveal the rate, but vary by milliseconds, or by tens of them if chunks wait for a network. So a
line is fitted to the time stamps of the last minute: its slope gives the true rate, and samples are placed on it.

Times in seconds on the stream's clock. Nominal time is the number of samples over the stated rate; the deviation is the
time stamp minus the nominal time.
"""

from collections import deque

import numpy as np

BLOCK_S = 0.1  # time stamps of a block are summarised by their median, which is robust against late ones
BLOCKS = 600  # that the line is fitted to: a minute
MIN_BLOCKS = 3  # before anything is corrected
SETTLED_BLOCKS = 100  # from which on the fitted slope is used, whether it is significant or not
MIN_Z = 3.0  # standard errors from which on a deviation is significant
MAX_DRIFT = 0.05  # largest relative difference from the stated rate that is corrected
MIN_REPORTED_DRIFT = 1e-4  # smallest relative difference that is reported
SLEW = 0.02  # seconds per second by which samples move to a corrected line at most: they never jump
STEP_BLOCKS, STEP_S = 3, 0.015  # consecutive blocks, and their distance to one side of the line: samples were lost
COARSE_S, PAUSE_S = 4.0, 0.5  # duration that a coarse estimate of the rate needs; time stamps further apart are a pause
KNOT_S, KNOTS = 0.02, 128  # spacing and number of the times for which the applied deviation is kept


class DeviceClock:
    """The times of a device's samples since it began, or since its last gap.

    As long as all time stamps are those of the stated rate, nothing is corrected and times are exact.
    """

    def __init__(self, rate_hz: float):
        self.rate_hz = rate_hz
        self.noise_s = np.inf  # standard deviation of the blocks around the line; infinite while unknown
        self.jitter_s = np.inf  # exponentially weighted mean distance of single time stamps from the line
        self._drift = 0.0  # slope of the deviation, seconds per second
        self._drift_is_significant = False
        self._last_stamp: tuple[float, int] | None = None  # a time stamp, and samples since then
        self._intervals: deque[tuple[int, float]] = deque(maxlen=200)  # samples, and seconds from stamp to stamp
        self.restart(0.0)

    def restart(self, begin_s: float) -> None:
        """Start again after a gap, with a sample taken at begin_s. The estimated rate is kept."""
        self.begin_s, self.n = begin_s, 0
        self.corrected = self._drift_is_significant  # else samples are placed by the stated rate
        self._fitted = False
        self._offset = 0.0  # of the line at nominal time 0
        self._blocks: deque[tuple[float, float]] = deque(maxlen=BLOCKS)  # nominal time, deviation
        self._block: list[tuple[float, float]] = []
        self._knots: deque[tuple[float, float]] = deque([(0.0, 0.0)], maxlen=KNOTS)  # nominal time, applied deviation

    @property
    def true_rate_hz(self) -> float:
        """The rate estimated from the time stamps; the stated one before there is an estimate."""
        return self.rate_hz / (1 + self._drift)

    @property
    def message(self) -> str:
        """A sentence if the rate differs from the stated one, else ""."""
        coarse = self._coarse_rate_hz()
        if abs(coarse / self.rate_hz - 1) > MAX_DRIFT:
            return (
                f"the device gives about {coarse:.4g} Hz by its time stamps, not {self.rate_hz:g} Hz. A difference of "
                f"more than {MAX_DRIFT:.0%} is not corrected, and windows are lost: state the device's true rate"
            )
        if not self._drift_is_significant or abs(self._drift) < MIN_REPORTED_DRIFT:
            return ""
        return (
            f"the device gives {self.true_rate_hz:.5g} Hz by its time stamps, not {self.rate_hz:g} Hz: its samples are "
            "placed by their time stamps"
        )

    @property
    def next_s(self) -> float:
        """The expected time of the next sample."""
        nominal = self.n / self.rate_hz
        return self.begin_s + nominal + (self._line(nominal) if self.corrected else 0.0)

    @property
    def reached_s(self) -> float:
        """The time up to which samples are placed."""
        return self.begin_s + self.n / self.rate_hz + self._knots[-1][1]

    def positions(self, times_s: np.ndarray) -> np.ndarray:
        """Return where times (m,) lie among the samples since the last gap: 2.5 is between samples 2 and 3."""
        nominal, deviation = np.array(self._knots).T
        seconds = times_s - self.begin_s
        return (seconds - np.interp(seconds, nominal + deviation, deviation)) * self.rate_hz

    def note_chunk(self, n: int, stamp_s: float) -> None:
        """Note that n samples were sent, and the time stamp of the first one, whether they are used or not."""
        if self._last_stamp is None:
            self._last_stamp = stamp_s, 0
        elif self._last_stamp[1] >= BLOCK_S / 2 * self.rate_hz:
            self._intervals.append((self._last_stamp[1], stamp_s - self._last_stamp[0]))
            self._last_stamp = stamp_s, 0
        self._last_stamp = self._last_stamp[0], self._last_stamp[1] + n

    def push(self, n: int, stamp_s: float | None = None) -> float | None:
        """Take the next n samples, the first of them stamped or not. Returns nothing, or a time: from there on time
        stamps have moved and stay there, so samples were lost."""
        lost_from = None if stamp_s is None else self._stamp(self.n / self.rate_hz, stamp_s)
        self.n += n
        if self.corrected:
            self._move_to(self.n / self.rate_hz)
        return lost_from

    def _line(self, nominal: float) -> float:
        return self._offset + self._drift * nominal

    def _move_to(self, nominal: float) -> None:
        """Move the applied deviation towards the line."""
        last, applied = self._knots[-1]
        passed = nominal - last
        follow = self._drift * passed
        left = self._line(nominal) - applied - follow
        knot = nominal, applied + follow + float(np.clip(left, -SLEW * passed, SLEW * passed))
        if len(self._knots) > 1 and nominal - self._knots[-2][0] < KNOT_S:
            self._knots[-1] = knot
        else:
            self._knots.append(knot)

    def _stamp(self, nominal: float, stamp_s: float) -> float | None:
        lost_from = None
        if self._block and nominal - self._block[0][0] >= BLOCK_S - 1e-9:
            x, d = np.median(self._block, axis=0).tolist()
            self._blocks.append((x, d))
            self._block = []
            lost_from = self._step_start()
            if len(self._blocks) >= MIN_BLOCKS and lost_from is None:
                self._fit()
        deviation = stamp_s - self.begin_s - nominal
        self._block.append((nominal, deviation))
        if np.isfinite(self.noise_s):
            away = abs(deviation - self._line(nominal))
            self.jitter_s = away if np.isinf(self.jitter_s) else self.jitter_s + 0.02 * (away - self.jitter_s)
        return lost_from

    def _step_start(self) -> float | None:
        """Return since when the blocks lie on one side of the line and far from it; None if they do not."""
        if len(self._blocks) < 5 * STEP_BLOCKS:
            return None
        before, *last = list(self._blocks)[-STEP_BLOCKS - 1 :]
        away = np.array([d - self._line(x) for x, d in last])
        if abs(away.sum()) == np.abs(away).sum() and np.abs(away).min() > max(STEP_S, 6 * self.noise_s):
            return self.begin_s + before[0] + before[1]
        return None

    def _fit(self) -> None:
        """Fit a line to the blocks, and decide whether its slope and offset are significant."""
        x, d = np.array(self._blocks).T
        k, x_mean, d_mean = len(x), x.mean(), d.mean()
        spread = ((x - x_mean) ** 2).sum()
        slope = float(((x - x_mean) * d).sum() / spread)
        left = d - d_mean - slope * (x - x_mean)
        self.noise_s = float(np.sqrt((left**2).sum() / (k - 2)))
        z = MIN_Z * (1 + 6 / (k - 2) ** 2)  # few blocks may lie on a line by chance
        least = 0.005 / self.rate_hz
        differs = abs(slope - self._drift)
        if differs > z * self.noise_s / np.sqrt(spread) and differs * (x[-1] - x[0]) > least:
            self._drift_is_significant = self._fitted = True
        if self._fitted or k >= SETTLED_BLOCKS:
            self._drift = float(np.clip(slope, -MAX_DRIFT, MAX_DRIFT))
        self._offset = float(d_mean - self._drift * x_mean)
        if self._fitted or self._drift_is_significant or abs(self._offset) > z * self.noise_s / np.sqrt(k) + least:
            self.corrected = True

    def _coarse_rate_hz(self) -> float:
        """Return the rate of the last seconds, pauses excluded; the stated rate while they are few."""
        pairs = [(n, s) for n, s in self._intervals if -PAUSE_S < s < 3 * n / self.rate_hz + PAUSE_S]
        n, seconds = sum(n for n, _ in pairs), sum(s for _, s in pairs)
        return n / seconds if seconds > COARSE_S else self.rate_hz
