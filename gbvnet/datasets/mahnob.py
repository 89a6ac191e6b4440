"""MAHNOB-HCI, the emotion experiment (Soleymani et al. 2012).

"A Multimodal Database for Affect Recognition and Implicit Tagging". Its site is down; docs/corpora.md says
whom to ask. Files that are read, for each session number N:

    ROOT/Sessions/N/session.xml                                       who, what, how it felt, and the clocks
    ROOT/Sessions/N/Part_1_S_Trial1_emotion.bdf                       32 EEG channels, ECG, skin, breathing, temperature
    ROOT/Sessions/N/P1-Rec1-2009.07.09.17.53.46_C1 trigger _C_Section_2.avi     the colour camera in front
    ROOT/Sessions/N/P1-Rec1-All-Data-New_Section_2.tsv                gaze, and the audio clock that joins all

Only sessions in which an emotional film was shown are recordings; neutral clips and the tagging experiments are counted
and left alone. So are sessions of which the corpus itself has no ratings (as of subject 12), no name of the film, or
neither video nor BDF. Two clocks meet in a recording:

    signals   the stimulus runs from the first pulse on the BDF's Status channel to the second, about 30 s after its
              begin and before its end
    video     the gaze table tells at which audio sample the film started; session.xml tells which audio sample the
              video file begins with; their distance is where the stimulus starts in the video

Whatever can be told in two ways is, and what disagrees by more than two frames is a finding that says by how much.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import BadRecording
from ..io.video import probe
from .deap import EEG  # the BDFs of MAHNOB-HCI have the EEG channels of DEAP's release, in the same order
from .formats import bdf
from .formats.bdf import STATUS, cut_short, measured, open_bdf, places, stored, unit_notes, worn
from .mahnob_session import (
    BDF,
    FETCH,
    Film,
    Session,
    apart,
    colour_video,
    film_name,
    film_of,
    on_camera_clock,
    only,
    ratings_of,
    read_session,
    start_in_video,
    subject_name,
    uncovered,
)
from .recording import Channel, Recording, Signals, read_stamp, require_folder

RATE_HZ = 128  # of the store, as in DEAP
BDF_RATE_HZ = 256
BASELINE_S = 3  # the last seconds before the stimulus
PADDING_S, LEAST_PADDING_S = 30, 29  # signals recorded before and after the stimulus; less is worth telling
# Upper right and left chest and left abdomen; ohm; the belt's own microvolts; degrees Celsius at the little finger.
PERIPHERAL = {"EXG1": "ecg", "EXG2": "ecg", "EXG3": "ecg", "GSR1": "gsr", "Resp": "resp", "Temp": "temp"}
CHANNELS = (
    *(Channel(name, "eeg") for name in EEG),
    *(Channel(name, kind) for name, kind in PERIPHERAL.items()),  # type: ignore[arg-type]
)
PEOPLE = range(1, 31)  # numbers that the corpus gave out; some of them never came to a whole recording

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
    """Where a stimulus lies in its signals, in samples."""

    start: int
    stop: int
    n_samples: int
    rate_hz: float
    findings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return (self.stop - self.start) / self.rate_hz


def read_span(path: Path, film_s: float | None) -> Span:
    """Find the stimulus in a BDF by its two pulses.

    film_s : how long the film is, if that is known; of more pulses than two it tells the right pair
    Raises BadRecording if the file cannot be read, has no Status channel, or its pulses do not tell.
    """
    raw = open_bdf(path)
    rate_hz = float(raw.info["sfreq"])
    if rate_hz < LEAST_BDF_RATE_HZ:
        raise BadRecording(path, f"{BDF_RATE_HZ} samples a second", f"{rate_hz:g}", "It is too slow for the bands.")
    status = stored(path, raw, places(path, raw.ch_names, [STATUS]))[0]
    rises = pulses(status)
    at = ", ".join(f"{rise / rate_hz:.1f} s" for rise in rises[:8])
    found = f"{len(rises)} pulse{'s' * (len(rises) != 1)}" + (f" (at {at})" if at else "")
    pairs = [(int(a), int(b)) for i, a in enumerate(rises) for b in rises[i + 1 :]]
    short = cut_short(path, raw)
    findings = [short] if short else []
    if len(rises) > 2 and film_s is not None:
        pairs = [(a, b) for a, b in pairs if abs((b - a) / rate_hz - film_s) <= LENGTH_SLACK_S]
        findings.append(f"{found} on Status; taken are the two that are as far apart as the film is long, {film_s:g} s")
    if len(pairs) != 1:
        remedy = "Without them nobody can say where the stimulus lies; take the file away to use the video alone."
        found, remedy = (f"{found}; {short}", FETCH) if short else (found, remedy)
        raise BadRecording(path, "two pulses on Status, at the stimulus' start and stop", found, remedy)
    return Span(*pairs[0], len(status), rate_hz, tuple(findings))


def read_bdf(path: Path) -> tuple[np.ndarray, float]:
    """All 38 channels of a BDF, (38, N) float64 in the order of CHANNELS, and their rate.

    What the file gives in volts (EEG, ECG, the breathing belt) is in microvolts; skin resistance in ohm and temperature
    in degrees Celsius are as stored. Raises BadRecording.
    """
    raw = open_bdf(path)
    at = places(path, raw.ch_names, [channel.name for channel in CHANNELS])
    return measured(path, raw, at, kinds=[channel.kind for channel in CHANNELS]), float(raw.info["sfreq"])


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
    dataset = "mahnob"
    source = ""
    rate_hz = float(RATE_HZ)
    baseline_s = float(BASELINE_S)
    frames_per_s = 12  # paper, section 4.1
    channels = CHANNELS

    @classmethod
    def open(cls, root: Path) -> "Reader":
        """Read all session.xml files. Raises BadRecording if there are none here."""
        require_folder(root)
        truth = read_stamp(root)  # None unless `gbvnet synth` wrote it; only then are films of other lengths
        folder = root / "Sessions"
        try:
            folders = sorted((f for f in folder.iterdir() if f.name.isdigit()), key=lambda f: int(f.name))
        except OSError as e:
            hint = "Unpack the Sessions folder into it. (The corpus' site is down: docs/corpora.md says whom to ask.)"
            hint = "Give the folder above it." if root.name == "Sessions" else hint
            raise BadRecording(folder, "the folder of all sessions", e.strerror or type(e).__name__, hint) from None
        sessions = {int(f.name): read_session(f) for f in folders}
        if not any(s.kind == "stimulus" and s.lacks is None for s in sessions.values()):
            counted = ", ".join(f"{n} {kind}" for kind, n in Counter(s.kind for s in sessions.values()).items())
            found = f"{len(sessions)} sessions ({counted})" if sessions else "no session"
            found = "; ".join([found, *_lacking(s for s in sessions.values() if s.kind == "stimulus")])
            raise BadRecording(folder, "sessions of the emotion experiment", found, "Were they all unpacked?")
        films = truth.get("films", {}) if truth else FILMS
        return cls(root, truth is not None, sessions, {name: float(s) for name, s in films.items()})

    @property
    def units(self) -> tuple[str, ...]:
        """The subjects with a recording, or of whom a session cannot be read: p01, p02, ..."""
        return tuple(sorted({s.subject for s in self.sessions.values() if s.used}))

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """What is missing of a person, or of the whole corpus, and what is there and not used."""
        mine = [s for s in self.sessions.values() if unit in (None, s.subject)]
        count = Counter(s.kind for s in mine if not s.problem)
        left = [f"{count[kind]} {kind}" for kind in ("neutral", "tagging", "other", "empty") if count[kind]]
        notes = [f"{' and '.join(left)} sessions are not used"] if left else []
        notes += _lacking(s for s in mine if s.kind == "stimulus")
        if self.synthetic:
            return tuple(notes)
        if unit is None:
            absent = [subject_name(n) for n in PEOPLE if subject_name(n) not in self.units]
            return (*notes, *([f"no recording of {', '.join(absent)}"] if absent else []))
        seen = {film_name(s) for s in mine if s.kind == "stimulus"}
        unseen = [name for name in self.films if name not in seen]
        several = f"{len(unseen)} of the {len(self.films)} films" if len(unseen) > 1 else "film"
        return (*notes, *([f"no session with {several} {', '.join(unseen)}"] if unseen else []))

    def recordings(self, unit: str) -> list[Recording]:
        """A person's sessions with a film, in the order of their numbers, each with its verdict."""
        return [self._judged(session) for session in self.sessions.values() if session.subject == unit and session.used]

    def _judged(self, session: Session) -> Recording:
        recording = Recording(session.name, self.dataset, session.subject, str(session.number), "", 0.0)
        if session.problem:
            return replace(recording, problem=session.problem)
        try:
            return self._recording(recording, session)
        except BadRecording as e:
            remedy = FETCH if e.remedy == bdf.FETCH else e.remedy  # nobody can fetch this corpus again
            return replace(recording, problem=str(BadRecording(e.path, e.expected, e.found, remedy)))

    def _recording(self, recording: Recording, session: Session) -> Recording:
        stimulus = film_name(session)
        recording = replace(recording, stimulus=stimulus, ratings=ratings_of(session))
        video, findings = colour_video(session)
        signals = only(session, "bdf", BDF)
        if video is None and signals is None:
            names = ", ".join(sorted(f.name for f in session.folder.iterdir())) or "nothing"
            raise BadRecording(session.folder, "a colour video or a BDF", names, FETCH)
        film, told = film_of(session, required=signals is None)
        findings += told if video is not None or signals is None else []
        if signals is None:
            assert film is not None and film.seconds is not None
            seconds = film.seconds
            findings.append("no BDF: the video alone, and the stimulus' length by the gaze table")
        else:
            span = read_span(signals, self.films.get(stimulus))
            seconds = span.seconds
            findings += self._compared(session, span, film, stimulus)
        return replace(
            recording,
            seconds=seconds,
            video=video,
            video_start_s=start_in_video(session, film) if video is not None else 0.0,
            signals=signals,
            findings=tuple(findings),
        )

    def _compared(self, session: Session, span: Span, film: Film | None, stimulus: str) -> list[str]:
        """What the pulses say of the stimulus against what else is known of it. Raises BadRecording."""
        findings = list(span.findings)
        before, after = span.start / span.rate_hz, (span.n_samples - span.stop) / span.rate_hz
        if before < BASELINE_S:
            found = f"{before:.1f} s"
            raise BadRecording(session.folder, f"at least {BASELINE_S} s of signals before the stimulus", found)
        for padding, side in ((before, "before"), (after, "after")):
            if padding < LEAST_PADDING_S:
                findings.append(f"{padding:.1f} s of signals {side} the stimulus, not {PADDING_S}")
        if span.rate_hz != BDF_RATE_HZ:
            findings.append(
                f"the signals have {span.rate_hz:g} samples a second, not {BDF_RATE_HZ}; they are resampled"
            )
        known = self.films.get(stimulus)
        if known is None:
            findings.append(f"film {stimulus} is none of the {len(self.films)} known ones; its length is not checked")
        elif abs(span.seconds - known) > LENGTH_SLACK_S:
            findings.append(f"by its pulses the stimulus lasts {span.seconds:.1f} s; film {stimulus} has {known:g} s")
        if film is not None and film.seconds is not None:
            findings += apart("the stimulus' length", "the pulses", span.seconds, "the gaze table", film.seconds)
        section = session.number_of("cutLenSec")
        if section is not None and section < span.seconds - LENGTH_SLACK_S:
            findings.append(f"session.xml cuts {section:g} s, less than the stimulus' {span.seconds:.1f} s")
        return findings

    def inspect(self, recording: Recording) -> Recording:
        """The same recording with what its video and its samples reveal. Raises BadRecording if one is broken."""
        findings = list(recording.findings)
        if recording.signals is not None:
            samples = _read(recording.signals)[0]
            findings += [*worn(CHANNELS, samples), *unit_notes(recording.signals, CHANNELS, samples)]
        if recording.video is not None:
            session = self.sessions[int(recording.trial)]
            info = probe(recording.video)
            findings += info.notes
            info, told = on_camera_clock(info, session)
            findings += told + uncovered(recording, info)
            shown = min(recording.video_start_s + recording.seconds, info.seconds) - max(recording.video_start_s, 0)
            if shown <= 0:
                if recording.signals is None:
                    raise BadRecording(recording.video, "a video that shows the stimulus", findings[-1])
                findings.append("so the video shows nothing of the stimulus, and the signals are used alone")
            recording = replace(recording, video_info=info, video=recording.video if shown > 0 else None)
        return replace(recording, findings=tuple(findings))

    def signals(self, recording: Recording) -> Signals:
        """The whole BDF, (38, N), with what was recorded before and after the stimulus."""
        if recording.signals is None:
            raise BadRecording(recording.name, "a BDF", "none")
        samples, rate_hz = _read(recording.signals)
        span = read_span(recording.signals, self.films.get(recording.stimulus))
        return Signals(samples, rate_hz, span.start, CHANNELS)


def _lacking(sessions: Iterable[Session]) -> list[str]:
    """A line for each thing that the corpus never had of some sessions with a film."""
    numbers: dict[str, list[str]] = {}
    for session in sessions:
        if session.lacks is not None and session.problem is None:
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
