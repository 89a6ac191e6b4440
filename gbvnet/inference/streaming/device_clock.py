"""When samples of a device were taken, from the time stamps of its chunks.

A device that states 256 Hz may give 255.75: after 15 minutes its samples, counted at 256 Hz, are 0.9 s from where they
belong. Time stamps say what its rate is, and waver by milliseconds, or tens of them where chunks wait for a network. So
a line is fitted through the time stamps of the last minute: its slope is the true rate, and samples lie on it.

Times in seconds on the stream's clock. Nominal time is the number of samples over the stated rate; the deviation is the
time stamp less that.
"""

from collections import deque

import numpy as np

BLOCK_S = 0.1  # time stamps are taken together by their median, so that a late one does no harm
BLOCKS = 600  # that a line is fitted through: a minute
FEWEST = 3  # blocks before anything is corrected
SETTLED = 100  # blocks from which on the line's own slope is taken, more than chance or not
SURE = 3.0  # standard errors by which a deviation must be more than chance
LIMIT = 0.05  # largest difference from the stated rate that is corrected, as a share
LEAST = 1e-4  # smallest difference that is reported, as a share
SLEW = 0.02  # seconds a second by which samples move to a corrected line at most: they never jump
STEP_BLOCKS, STEP_S = 3, 0.015  # so many blocks in a row, all so far to one side of the line: samples were lost there
COARSE_S, PAUSE_S = 4.0, 0.5  # stretch that a coarse estimate of the rate needs; time stamps further apart are a pause
KNOT_S, KNOTS = 0.02, 128  # spacing and number of the times for which the applied deviation is kept


class DeviceClock:
    """The times of a device's samples since it began, or since its last gap.

    As long as all time stamps are those of the stated rate, nothing is corrected and times are exact.
    """

    def __init__(self, rate_hz: float):
        self.rate_hz = rate_hz
        self.noise_s = np.inf  # standard deviation of the blocks about the line; infinite while unknown
        self.jitter_s = np.inf  # mean distance of single time stamps from the line, the last ones counting most
        self._drift = 0.0  # slope of the deviation, seconds a second
        self._drifts = False  # that is more than chance
        self._seen: tuple[float, int] | None = None  # a time stamp, and samples since then
        self._pairs: deque[tuple[int, float]] = deque(maxlen=200)  # samples, and seconds from stamp to stamp
        self.restart(0.0)

    def restart(self, begin_s: float) -> None:
        """Begin anew after a gap, with a sample that is taken at begin_s. What is known of the rate stays."""
        self.begin_s, self.n = begin_s, 0
        self.corrected = self._drifts  # else samples are where the stated rate has them
        self._fitted = False
        self._offset = 0.0  # of the line at nominal time 0
        self._blocks: deque[tuple[float, float]] = deque(maxlen=BLOCKS)  # nominal time, deviation
        self._block: list[tuple[float, float]] = []
        self._knots: deque[tuple[float, float]] = deque([(0.0, 0.0)], maxlen=KNOTS)  # nominal time, applied deviation

    @property
    def true_rate_hz(self) -> float:
        """The rate by the time stamps; the stated one while nothing else is known."""
        return self.rate_hz / (1 + self._drift)

    @property
    def message(self) -> str:
        """A sentence if the rate is not the stated one, else nothing."""
        coarse = self._coarse_rate_hz()
        if abs(coarse / self.rate_hz - 1) > LIMIT:
            return (
                f"the device gives about {coarse:.4g} Hz by its time stamps, not {self.rate_hz:g} Hz. A difference of "
                f"more than {LIMIT:.0%} is not corrected, and windows are lost: state the device's true rate"
            )
        if not self._drifts or abs(self._drift) < LEAST:
            return ""
        return (
            f"the device gives {self.true_rate_hz:.5g} Hz by its time stamps, not {self.rate_hz:g} Hz: its samples are "
            "placed by their time stamps"
        )

    @property
    def next_s(self) -> float:
        """When the next sample should be taken."""
        nominal = self.n / self.rate_hz
        return self.begin_s + nominal + (self._line(nominal) if self.corrected else 0.0)

    @property
    def reached_s(self) -> float:
        """The time up to which samples are placed."""
        return self.begin_s + self.n / self.rate_hz + self._knots[-1][1]

    def places(self, times_s: np.ndarray) -> np.ndarray:
        """Where times (m,) lie among the samples since the last gap: 2.5 is between sample 2 and sample 3."""
        nominal, deviation = np.array(self._knots).T
        seconds = times_s - self.begin_s
        return (seconds - np.interp(seconds, nominal + deviation, deviation)) * self.rate_hz

    def see(self, n: int, stamp_s: float) -> None:
        """Note that n samples were sent, the first of them stamped; whether they are used or not."""
        if self._seen is None:
            self._seen = stamp_s, 0
        elif self._seen[1] >= BLOCK_S / 2 * self.rate_hz:
            self._pairs.append((self._seen[1], stamp_s - self._seen[0]))
            self._seen = stamp_s, 0
        self._seen = self._seen[0], self._seen[1] + n

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
        """Bring the applied deviation nearer to the line."""
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
            lost_from = self._moved()
            if len(self._blocks) >= FEWEST and lost_from is None:
                self._fit()
        deviation = stamp_s - self.begin_s - nominal
        self._block.append((nominal, deviation))
        if np.isfinite(self.noise_s):
            away = abs(deviation - self._line(nominal))
            self.jitter_s = away if np.isinf(self.jitter_s) else self.jitter_s + 0.02 * (away - self.jitter_s)
        return lost_from

    def _moved(self) -> float | None:
        """Since when the blocks lie on one side of the line and far from it, if they do."""
        if len(self._blocks) < 5 * STEP_BLOCKS:
            return None
        before, *last = list(self._blocks)[-STEP_BLOCKS - 1 :]
        away = np.array([d - self._line(x) for x, d in last])
        if abs(away.sum()) == np.abs(away).sum() and np.abs(away).min() > max(STEP_S, 6 * self.noise_s):
            return self.begin_s + before[0] + before[1]
        return None

    def _fit(self) -> None:
        """Put a line through the blocks; and decide whether it is more than chance."""
        x, d = np.array(self._blocks).T
        k, x_mean, d_mean = len(x), x.mean(), d.mean()
        spread = ((x - x_mean) ** 2).sum()
        slope = float(((x - x_mean) * d).sum() / spread)
        left = d - d_mean - slope * (x - x_mean)
        self.noise_s = float(np.sqrt((left**2).sum() / (k - 2)))
        sure = SURE * (1 + 6 / (k - 2) ** 2)  # few blocks may lie on a line by chance
        least = 0.005 / self.rate_hz
        differs = abs(slope - self._drift)
        if differs > sure * self.noise_s / np.sqrt(spread) and differs * (x[-1] - x[0]) > least:
            self._drifts = self._fitted = True
        if self._fitted or k >= SETTLED:
            self._drift = float(np.clip(slope, -LIMIT, LIMIT))
        self._offset = float(d_mean - self._drift * x_mean)
        if self._fitted or self._drifts or abs(self._offset) > sure * self.noise_s / np.sqrt(k) + least:
            self.corrected = True

    def _coarse_rate_hz(self) -> float:
        """By what was sent in the last seconds, pauses apart; the stated rate while that is little."""
        pairs = [(n, s) for n, s in self._pairs if -PAUSE_S < s < 3 * n / self.rate_hz + PAUSE_S]
        n, seconds = sum(n for n, _ in pairs), sum(s for _, s in pairs)
        return n / seconds if seconds > COARSE_S else self.rate_hz
