"""What a user should know of a followed face: when it jumped, was lost, had company, was dark or upside down.

Times in seconds on the video's clock.
"""

import numpy as np

from ..text import shortened

LOST_S = 3.0  # a longer loss is reported: whoever comes back, to the same place, too, may be somebody else
DARK = 32  # of 255: a frame of which hardly anything is brighter is nearly black
FEW = 3  # frames from which on dark and turned ones are reported
TURNED = 3  # looks at a film that must find the face better turned, always in the same way, than upright
# By quarters of a turn, counter-clockwise: how the film seems to be, and FFmpeg's filter that turns it so.
TURNS = {
    1: ("on its side", 90, "transpose=2"),
    2: ("upside down", 180, "hflip,vflip"),
    3: ("on its side", 90, "transpose=1"),
}
LISTED = 4  # times in a message
MOST = 1000  # events of a kind that are kept


def is_dark(rgb: np.ndarray) -> bool:
    """Whether hardly anything of a frame (H, W, 3) is brighter than DARK."""
    return float((rgb[::16, ::16] >= DARK).mean()) < 0.01


class Events:
    """What happened to a followed face, and when; as sentences."""

    def __init__(self) -> None:
        self.jumps: list[tuple[float, float]] = []  # time, widths
        self.sizes: list[tuple[float, float]] = []  # time, ratio
        self.losses: list[tuple[float, float]] = []  # from, to
        self.beside: list[tuple[float, float]] = []  # from, to: another face of like size
        self.strangers: list[tuple[float, float]] = []  # from, to: only another person's face
        self.dark: list[tuple[float, float]] = []
        self.turned: list[tuple[float, float]] = []  # the face is upside down, or on its side
        self.zero_s = 0.0  # added to all times that are reported
        self.n_dark = self.n_turned = 0
        self.clearest = [0, 0, 0, 0]  # frames in which a face is clearest turned by so many quarters

    def moved(self, time_s: float, widths: float, ratio: float) -> None:
        """The face was taken that is so many widths from the last one, or so many times as wide."""
        events, value = (self.jumps, widths) if widths >= 1 else (self.sizes, ratio)
        if len(events) < MOST:
            events.append((time_s, value))

    def face(self, before_s: float, time_s: float, landmarks: np.ndarray, rgb: np.ndarray) -> None:
        """A face (68, 2) was found in a frame (H, W, 3); the last one was before_s."""
        if time_s - before_s > LOST_S and len(self.losses) < MOST:
            self.losses.append((before_s, time_s))
        if is_dark(rgb):
            self.n_dark += 1
            self.extend(self.dark, time_s, 1.0)
        across = landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0)  # from the right eye to the left one
        if across[0] < abs(across[1]):
            self.n_turned += 1
            self.extend(self.turned, time_s, 1.0)

    @staticmethod
    def extend(spans: list[tuple[float, float]], time_s: float, within_s: float) -> None:
        """Add a time to the last span, if that is near, or begin another."""
        if spans and time_s - spans[-1][1] <= within_s + 1e-6:
            spans[-1] = spans[-1][0], time_s
        elif len(spans) < MOST:
            spans.append((time_s, time_s))

    def _spans(self, spans: list[tuple[float, float]]) -> list[str]:
        shifted = [(a + self.zero_s, b + self.zero_s) for a, b in spans]
        return [f"{a:.1f} to {b:.1f} s" if b > a else f"{a:.1f} s" for a, b in shifted]

    def messages(self) -> list[str]:
        """One sentence for each kind of event, with seconds of the video."""
        jumps = [f"{t + self.zero_s:.1f} s ({widths:.1f} widths)" for t, widths in self.jumps]
        sizes = [f"{t + self.zero_s:.1f} s ({ratio:.1f} times as wide)" for t, ratio in self.sizes]
        dark = self._spans(self.dark) if self.n_dark >= FEW else []
        turned = self._spans(self.turned) if self.n_turned >= FEW else []
        found = [
            (jumps, "the followed face jumps by more than its width at {}: a cut, or another person"),
            (sizes, "the followed face changes its size at {}: a cut, or another person"),
            (self._spans(self.losses), "the face was lost for long ({}): who came back may be another person"),
            (self._spans(self.beside), "two faces of like size ({}): the one like the participant's before is taken"),
            (self._spans(self.strangers), "only another person's face is in the picture ({}): it is not taken"),
            (dark, f"faces in {self.n_dark} frames that are nearly black ({{}}): look whether they can be used"),
            (turned, f"a face on its side or upside down in {self.n_turned} frames ({{}}): is the film stored turned?"),
        ]
        sentences = [text.format(shortened(times, LISTED)) for times, text in found if times]
        quarters = int(np.argmax(self.clearest))
        if quarters and self.clearest[quarters] >= TURNED and self.clearest[quarters] > self.clearest[0]:
            how, degrees, turn = TURNS[quarters]
            sentences.append(
                f"the film seems to be {how}: a face is clearer where its pictures are turned by {degrees} degrees "
                f"({self.clearest[quarters]} of {sum(self.clearest)} that were tried). Turn it, for example: "
                f"ffmpeg -i FILM -vf {turn} TURNED"
            )
        return sentences
