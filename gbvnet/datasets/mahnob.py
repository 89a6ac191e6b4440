"""MAHNOB-HCI, the emotion experiment (Soleymani et al. 2012).

"A Multimodal Database for Affect Recognition and Implicit Tagging". Its site is down; docs/corpora/mahnob.md says
whom to ask. Files that are read, for each session number N:

    ROOT/Sessions/N/session.xml                                       subject, stimulus, ratings, and the clocks
    ROOT/Sessions/N/Part_1_S_Trial1_emotion.bdf                       32 EEG channels, ECG, skin, breathing, temperature
    ROOT/Sessions/N/P1-Rec1-2009.07.09.17.53.46_C1 trigger _C_Section_2.avi     the front colour camera
    ROOT/Sessions/N/P1-Rec1-All-Data-New_Section_2.tsv                gaze, and the common audio clock

Only sessions with an emotional video are recordings; neutral clips and the tagging experiments are counted and not
used. The same holds for sessions without ratings (as of subject 12), without the name of the stimulus, or without both
video and BDF in the corpus itself. A recording has two clocks:

    signals   the stimulus runs from the first pulse on the BDF's Status channel to the second, about 30 s after its
              begin and before its end
    video     the gaze table gives the audio sample at which the stimulus started, session.xml the one at which the
              video file begins; their difference is the start of the stimulus in the video

Every time that two sources give is compared; a difference of more than two frames is a warning. Annotators' continuous
valence, in a file that is published elsewhere, is read where it is there (mahnob_continuous.py).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import BadRecording
from ..io.video import probe
from ..text import shortened
from .deap import EEG  # the BDFs of MAHNOB-HCI have the EEG channels of DEAP's release, in the same order
from .formats import bdf
from .formats.bdf import (
    STATUS,
    channel_positions,
    flat_and_clipped_channels,
    open_bdf,
    read_microvolts,
    read_mne_samples,
    truncation_message,
    unit_notes,
)
from .label_columns import LabelColumn
from .mahnob_continuous import LABEL, ContinuousValence
from .mahnob_session import (
    BDF,
    FETCH,
    LABELS,
    Session,
    StimulusTiming,
    clock_disagreement,
    colour_video,
    find_single_file,
    on_camera_clock,
    ratings_of,
    read_session,
    start_in_video,
    stimulus_name,
    stimulus_timing,
    subject_name,
    uncovered,
)
from .recording import Channel, Recording, Signals, read_stamp, require_folder

RATE_HZ = 128  # of the store, as in DEAP
BDF_RATE_HZ = 256
BASELINE_S = 3  # the last seconds before the stimulus
PADDING_S, LEAST_PADDING_S = 30, 29  # signals recorded before and after the stimulus; less is reported
# Upper right and left chest and left abdomen; ohm; the belt's own microvolts; degrees Celsius at the little finger.
PERIPHERAL = {"EXG1": "ecg", "EXG2": "ecg", "EXG3": "ecg", "GSR1": "gsr", "Resp": "resp", "Temp": "temp"}
CHANNELS = (
    *(Channel(name, "eeg") for name in EEG),
    *(Channel(name, kind) for name, kind in PERIPHERAL.items()),  # type: ignore[arg-type]
)
PARTICIPANTS = range(1, 31)  # numbers of participants in the corpus; some have no complete recording

# The 20 films, seconds, whole ones (github.com/geekdanielz/DeepVANet). In 22 public prints of the pulses for film 53
# they are 105.0 to 105.1 s apart, where this table says 104: hence the slack.
FILMS = {
    "69": 58, "55": 76, "58": 58, "earworm_f": 53, "53": 104, "80": 96, "52": 96, "79": 42, "73": 71, "90": 85,
    "107": 34, "146": 87, "30": 70, "138": 116, "newyork_f": 89, "111": 113, "detroit_f": 89, "cats_f": 98,
    "dallas_f": 89, "funny_f": 87,
}  # fmt: skip
LENGTH_SLACK_S = 1.5
NAMED = 8  # sessions in a line, before it says how many more
LEAST_BDF_RATE_HZ = 128  # below it the store's rate would promise what was never measured

# ---------------------------------------------------------------- the BDF


def pulses(status: np.ndarray) -> np.ndarray:
    """The samples at which a pulse on the Status channel rises.

    Its low byte carries the pulses, whatever the amplifier puts into the bits above, and rests at one value between.
    """
    low = status.astype(np.int64) & 0xFF
    up = low != np.bincount(low).argmax()
    return np.flatnonzero(up[1:] & ~up[:-1]) + 1


@dataclass(frozen=True)
class Span:
    """The start and stop of a stimulus in its signals, in samples."""

    start: int
    stop: int
    n_samples: int
    rate_hz: float
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of the stimulus."""
        return (self.stop - self.start) / self.rate_hz


def read_span(path: Path, film_s: float | None) -> Span:
    """Find the stimulus in a BDF by its two pulses.

    film_s : the length of the stimulus, if known; it selects the right pair of more than two pulses
    Raises BadRecording if the file cannot be read, has no Status channel, or its pulses are ambiguous.
    """
    raw = open_bdf(path)
    rate_hz = float(raw.info["sfreq"])
    if rate_hz < LEAST_BDF_RATE_HZ:
        raise BadRecording(path, f"{BDF_RATE_HZ} samples a second", f"{rate_hz:g}", "It is too slow for the bands.")
    status = read_mne_samples(path, raw, channel_positions(path, raw.ch_names, [STATUS]))[0]
    rises = pulses(status)
    at = ", ".join(f"{rise / rate_hz:.1f} s" for rise in rises[:8])
    actual = f"{len(rises)} pulse{'s' * (len(rises) != 1)}" + (f" (at {at})" if at else "")
    pairs = [(int(a), int(b)) for i, a in enumerate(rises) for b in rises[i + 1 :]]
    short = truncation_message(path, raw)
    warnings = [short] if short else []
    if len(rises) > 2 and film_s is not None:
        pairs = [(a, b) for a, b in pairs if abs((b - a) / rate_hz - film_s) <= LENGTH_SLACK_S]
        warnings.append(
            f"{actual} on Status; taken are the two that are as far apart as the film is long, {film_s:g} s"
        )
    if len(pairs) != 1:
        remedy = "Without them the stimulus cannot be located; remove the file to use only the video."
        actual, remedy = (f"{actual}; {short}", FETCH) if short else (actual, remedy)
        raise BadRecording(path, "two pulses on Status, at the stimulus' start and stop", actual, remedy)
    return Span(*pairs[0], len(status), rate_hz, tuple(warnings))


def read_bdf(path: Path) -> tuple[np.ndarray, float]:
    """All 38 channels of a BDF, (38, N) float64 in the order of CHANNELS, and their rate.

    What the file gives in volts (EEG, ECG, the breathing belt) is in microvolts; skin resistance in ohm and temperature
    in degrees Celsius are as stored. Raises BadRecording.
    """
    raw = open_bdf(path)
    at = channel_positions(path, raw.ch_names, [channel.name for channel in CHANNELS])
    return read_microvolts(path, raw, at, kinds=[channel.kind for channel in CHANNELS]), float(raw.info["sfreq"])


@lru_cache(maxsize=1)
def _cached_bdf(path: Path, size: int, changed_ns: int) -> tuple[np.ndarray, float]:
    return read_bdf(path)


# ---------------------------------------------------------------- the corpus


@dataclass(frozen=True)
class Reader:
    """A folder with MAHNOB-HCI. Opened by `open_corpus("mahnob", root)`."""

    root: Path
    synthetic: bool
    sessions: dict[int, Session]
    films: dict[str, float]  # seconds of each
    continuous: ContinuousValence | None = None  # annotators' valence over time, where its file is there
    dataset = "mahnob"
    source = ""
    rate_hz = float(RATE_HZ)
    baseline_s = float(BASELINE_S)
    frames_per_s = 12  # paper, section 4.1
    channels = CHANNELS

    @property
    def labels(self) -> tuple[LabelColumn, ...]:
        """What the sessions themselves rate, and annotators' valence where its file is there."""
        return (*LABELS, LABEL) if self.continuous is not None else LABELS

    @classmethod
    def open(cls, root: Path) -> "Reader":
        """Read all session.xml files, and the file of continuous labels if there is one.

        Raises BadRecording if there are no sessions here, or that file is damaged.
        """
        require_folder(root)
        truth = read_stamp(root)  # None unless `gbvnet synth` wrote it; only then are films of other lengths
        folder = root / "Sessions"
        try:
            folders = sorted((f for f in folder.iterdir() if f.name.isdigit()), key=lambda f: int(f.name))
        except OSError as e:
            hint = "Unpack the Sessions folder into it. (Its site is down: docs/corpora/mahnob.md says whom to ask.)"
            hint = "Give the folder above it." if root.name == "Sessions" else hint
            raise BadRecording(folder, "the folder of all sessions", e.strerror or type(e).__name__, hint) from None
        sessions = {int(f.name): read_session(f) for f in folders}
        if not any(s.kind == "stimulus" and s.lacks is None for s in sessions.values()):
            counted = ", ".join(f"{n} {kind}" for kind, n in Counter(s.kind for s in sessions.values()).items())
            actual = f"{len(sessions)} sessions ({counted})" if sessions else "no session"
            actual = "; ".join([actual, *_lacking(s for s in sessions.values() if s.kind == "stimulus")])
            raise BadRecording(folder, "sessions of the emotion experiment", actual, "Were they all unpacked?")
        films = truth.get("films", {}) if truth else FILMS
        continuous = ContinuousValence.below(root)
        return cls(root, truth is not None, sessions, {name: float(s) for name, s in films.items()}, continuous)

    @property
    def units(self) -> tuple[str, ...]:
        """The subjects that have a recording or a session that cannot be read: p01, p02, ..."""
        return tuple(sorted({s.subject for s in self.sessions.values() if s.used}))

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return what is missing for a subject, or for the whole corpus, and which sessions are not used."""
        mine = [s for s in self.sessions.values() if unit in (None, s.subject)]
        count = Counter(s.kind for s in mine if not s.error)
        left = [f"{count[kind]} {kind}" for kind in ("neutral", "tagging", "other", "empty") if count[kind]]
        notes = [f"{' and '.join(left)} sessions are not used"] if left else []
        notes += _lacking(s for s in mine if s.kind == "stimulus")
        notes += self._annotated() if unit is None else []
        if self.synthetic:
            return tuple(notes)
        if unit is None:
            absent = [subject_name(n) for n in PARTICIPANTS if subject_name(n) not in self.units]
            return (*notes, *([f"no recording of {', '.join(absent)}"] if absent else []))
        shown_stimuli = {stimulus_name(s) for s in mine if s.kind == "stimulus"}
        unseen = [name for name in self.films if name not in shown_stimuli]
        several = f"{len(unseen)} of the {len(self.films)} films" if len(unseen) > 1 else "film"
        return (*notes, *([f"no session with {several} {', '.join(unseen)}"] if unseen else []))

    def _annotated(self) -> list[str]:
        """Return a note on the trials with continuous labels, and those of them that are not here."""
        if self.continuous is None:
            return []
        numbers = [*self.continuous.cells]
        absent = [n for n in numbers if n not in self.sessions or not self.sessions[n].used]
        there = f"{len(numbers) - len(absent)} of {len(numbers)} trials of {self.continuous.path.name} are here"
        listed = f"; sessions that are not: {shortened([*map(str, absent)], NAMED)}" if absent else ""
        return [f"annotators' valence over time ({LABEL.name}): {there}{listed}"]

    def recordings(self, unit: str) -> list[Recording]:
        """Return a subject's sessions with a stimulus, by number, each with its errors and warnings."""
        return [
            self._check_session(session)
            for session in self.sessions.values()
            if session.subject == unit and session.used
        ]

    def _check_session(self, session: Session) -> Recording:
        recording = Recording(session.name, self.dataset, session.subject, str(session.number), "", 0.0)
        if session.error:
            return replace(recording, error=session.error)
        try:
            return self._recording(recording, session)
        except BadRecording as e:
            remedy = FETCH if e.remedy == bdf.REFETCH else e.remedy  # this corpus cannot be downloaded again
            return replace(recording, error=str(BadRecording(e.path, e.expected, e.found, remedy)))

    def _recording(self, recording: Recording, session: Session) -> Recording:
        stimulus = stimulus_name(session)
        recording = replace(recording, stimulus=stimulus, ratings=ratings_of(session))
        video, warnings = colour_video(session)
        signals = find_single_file(session, "bdf", BDF)
        if video is None and signals is None:
            names = ", ".join(sorted(f.name for f in session.folder.iterdir())) or "nothing"
            raise BadRecording(session.folder, "a colour video or a BDF", names, FETCH)
        film, notes = stimulus_timing(session, required=signals is None)
        warnings += notes if video is not None or signals is None else []
        if signals is None:
            if film is None or film.seconds is None:  # `stimulus_timing` has raised the reason
                raise BadRecording(session.folder, "the length of the stimulus in the gaze table", "none")
            seconds = film.seconds
            warnings.append("no BDF: the video alone, and the stimulus' length by the gaze table")
        else:
            span = read_span(signals, self.films.get(stimulus))
            seconds = span.seconds
            warnings += self._compared(session, span, film, stimulus)
        trace, notes = self.continuous.trace(session.number, seconds) if self.continuous is not None else (None, [])
        warnings += notes
        return replace(
            recording,
            seconds=seconds,
            traces={LABEL.name: trace} if trace is not None else {},
            video=video,
            video_start_s=start_in_video(session, film) if video is not None else 0.0,
            signals=signals,
            warnings=tuple(warnings),
        )

    def _compared(self, session: Session, span: Span, film: StimulusTiming | None, stimulus: str) -> list[str]:
        """Return warnings where the pulses disagree with what else is known of the stimulus. Raises BadRecording."""
        warnings = list(span.warnings)
        before, after = span.start / span.rate_hz, (span.n_samples - span.stop) / span.rate_hz
        if before < BASELINE_S:
            actual = f"{before:.1f} s"
            raise BadRecording(session.folder, f"at least {BASELINE_S} s of signals before the stimulus", actual)
        for padding, side in ((before, "before"), (after, "after")):
            if padding < LEAST_PADDING_S:
                warnings.append(f"{padding:.1f} s of signals {side} the stimulus, not {PADDING_S}")
        if span.rate_hz != BDF_RATE_HZ:
            warnings.append(
                f"the signals have {span.rate_hz:g} samples a second, not {BDF_RATE_HZ}; they are resampled"
            )
        known = self.films.get(stimulus)
        if known is None:
            warnings.append(f"film {stimulus} is none of the {len(self.films)} known ones; its length is not checked")
        elif abs(span.seconds - known) > LENGTH_SLACK_S:
            warnings.append(f"by its pulses the stimulus lasts {span.seconds:.1f} s; film {stimulus} has {known:g} s")
        if film is not None and film.seconds is not None:
            warnings += clock_disagreement(
                "the stimulus' length", "the pulses", span.seconds, "the gaze table", film.seconds
            )
        section = session.number_of("cutLenSec")
        if section is not None and section < span.seconds - LENGTH_SLACK_S:
            warnings.append(f"session.xml cuts {section:g} s, less than the stimulus' {span.seconds:.1f} s")
        return warnings

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with its video's properties and warnings on its samples. Raises BadRecording."""
        warnings = list(recording.warnings)
        if recording.signals is not None:
            samples = _read(recording.signals)[0]
            warnings += [
                *flat_and_clipped_channels(CHANNELS, samples),
                *unit_notes(recording.signals, CHANNELS, samples),
            ]
        if recording.video is not None:
            session = self.sessions[int(recording.trial)]
            info = probe(recording.video)
            warnings += info.notes
            info, notes = on_camera_clock(info, session)
            warnings += notes + uncovered(recording, info)
            shown = min(recording.video_start_s + recording.seconds, info.seconds) - max(recording.video_start_s, 0)
            if shown <= 0:
                if recording.signals is None:
                    raise BadRecording(recording.video, "a video that shows the stimulus", warnings[-1])
                warnings.append("so the video shows nothing of the stimulus, and the signals are used alone")
            recording = replace(recording, video_info=info, video=recording.video if shown > 0 else None)
        return replace(recording, warnings=tuple(warnings))

    def signals(self, recording: Recording) -> Signals:
        """Return the whole BDF, (38, N), with the signals before and after the stimulus."""
        if recording.signals is None:
            raise BadRecording(recording.name, "a BDF", "none")
        samples, rate_hz = _read(recording.signals)
        span = read_span(recording.signals, self.films.get(recording.stimulus))
        return Signals(samples, rate_hz, span.start, CHANNELS)


def _lacking(sessions: Iterable[Session]) -> list[str]:
    """Return a line for each kind of data that the corpus itself lacks in some sessions with a stimulus."""
    numbers: dict[str, list[str]] = {}
    for session in sessions:
        if session.lacks is not None and session.error is None:
            numbers.setdefault(session.lacks, []).append(str(session.number))
    lines = []
    for lacks, of in numbers.items():
        more = f" and {len(of) - NAMED} more" if len(of) > NAMED else ""
        lines.append(f"sessions with a film {lacks} are not used: {len(of)} ({', '.join(of[:NAMED])}{more})")
    return lines


def _read(path: Path) -> tuple[np.ndarray, float]:
    try:
        stat = path.stat()
    except OSError as e:
        raise BadRecording(path, "a BDF", e.strerror) from None
    return _cached_bdf(path, stat.st_size, stat.st_mtime_ns)
