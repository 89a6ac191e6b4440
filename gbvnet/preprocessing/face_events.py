"""What a user should know about a followed face: when it jumped, was lost, was beside another, was dark or rotated.

Times are in seconds on the video's clock.
"""

import numpy as np

from ..text import shortened

LOST_S = 3.0  # a longer loss is reported: the next face, even at the same place, may be someone else's
DARK = 32  # of 255: a frame in which less than 1 % is brighter is nearly black
MIN_FRAMES = 3  # fewer dark or rotated frames are not reported
MIN_ROTATED = 3  # tested frames in which the face must score higher in the same rotation than upright
# By quarter turns counter-clockwise: how the video seems to be, and FFmpeg's filter that rotates it so.
ROTATIONS = {
    1: ("on its side", 90, "transpose=2"),
    2: ("upside down", 180, "hflip,vflip"),
    3: ("on its side", 90, "transpose=1"),
}
MAX_LISTED = 4  # times in a message
MAX_EVENTS = 1000  # of a kind that are kept


def is_dark(rgb: np.ndarray) -> bool:
    """Return whether less than 1 % of a frame (H, W, 3) is brighter than DARK."""
    return float((rgb[::16, ::16] >= DARK).mean()) < 0.01


class FaceEvents:
    """What happened to a followed face, and when; `messages` returns it as sentences."""

    def __init__(self) -> None:
        self.jumps: list[tuple[float, float]] = []  # time, widths
        self.sizes: list[tuple[float, float]] = []  # time, ratio
        self.losses: list[tuple[float, float]] = []  # from, to
        self.similar: list[tuple[float, float]] = []  # from, to: another face of similar size
        self.only_others: list[tuple[float, float]] = []  # from, to: only faces of others
        self.dark: list[tuple[float, float]] = []
        self.rotated: list[tuple[float, float]] = []  # the face is upside down, or on its side
        self.zero_s = 0.0  # added to all times that are reported
        self.n_dark = self.n_rotated = 0
        self.best_rotation = [0, 0, 0, 0]  # frames in which a face scores highest after so many quarter turns

    def add_jump(self, time_s: float, widths: float, ratio: float) -> None:
        """Record that the chosen face is so many widths from the last one, and so many times as wide."""
        events, value = (self.jumps, widths) if widths >= 1 else (self.sizes, ratio)
        if len(events) < MAX_EVENTS:
            events.append((time_s, value))

    def add_face(self, before_s: float, time_s: float, landmarks: np.ndarray, rgb: np.ndarray) -> None:
        """Record a face, landmarks (68, 2), in a frame (H, W, 3); the previous one was at before_s."""
        if time_s - before_s > LOST_S and len(self.losses) < MAX_EVENTS:
            self.losses.append((before_s, time_s))
        if is_dark(rgb):
            self.n_dark += 1
            self.extend(self.dark, time_s, 1.0)
        across = landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0)  # from the right eye to the left one
        if across[0] < abs(across[1]):
            self.n_rotated += 1
            self.extend(self.rotated, time_s, 1.0)

    @staticmethod
    def extend(spans: list[tuple[float, float]], time_s: float, within_s: float) -> None:
        """Add a time to the last span, if it is within `within_s` of it, or begin a new span."""
        if spans and time_s - spans[-1][1] <= within_s + 1e-6:
            spans[-1] = spans[-1][0], time_s
        elif len(spans) < MAX_EVENTS:
            spans.append((time_s, time_s))

    def _spans(self, spans: list[tuple[float, float]]) -> list[str]:
        shifted = [(a + self.zero_s, b + self.zero_s) for a, b in spans]
        return [f"{a:.1f} to {b:.1f} s" if b > a else f"{a:.1f} s" for a, b in shifted]

    def messages(self) -> list[str]:
        """Return one sentence for each kind of event, with its times in the video."""
        jumps = [f"{t + self.zero_s:.1f} s ({widths:.1f} widths)" for t, widths in self.jumps]
        sizes = [f"{t + self.zero_s:.1f} s ({ratio:.1f} times as wide)" for t, ratio in self.sizes]
        dark = self._spans(self.dark) if self.n_dark >= MIN_FRAMES else []
        rotated = self._spans(self.rotated) if self.n_rotated >= MIN_FRAMES else []
        kinds = [
            (jumps, "the followed face jumps by more than its width at {}: a cut, or someone else"),
            (sizes, "the followed face changes its size at {}: a cut, or someone else"),
            (self._spans(self.losses), "the face was lost for long ({}): the next face may be someone else's"),
            (
                self._spans(self.similar),
                "two faces of similar size ({}): the one nearest to the participant's before is used",
            ),
            (self._spans(self.only_others), "only someone else's face is in the picture ({}): it is not used"),
            (dark, f"faces in {self.n_dark} frames that are nearly black ({{}}): check whether they can be used"),
            (
                rotated,
                f"a face on its side or upside down in {self.n_rotated} frames ({{}}): is the video stored rotated?",
            ),
        ]
        sentences = [text.format(shortened(times, MAX_LISTED)) for times, text in kinds if times]
        counts = self.best_rotation
        quarters = int(np.argmax(counts))
        if quarters and counts[quarters] >= MIN_ROTATED and counts[quarters] > counts[0]:
            how, degrees, rotation = ROTATIONS[quarters]
            sentences.append(
                f"the video seems to be {how}: the face is detected more clearly when frames are rotated by {degrees} "
                f"degrees ({counts[quarters]} of {sum(counts)} tested frames). Rotate it, for example: "
                f"ffmpeg -i VIDEO -vf {rotation} ROTATED"
            )
        return sentences
