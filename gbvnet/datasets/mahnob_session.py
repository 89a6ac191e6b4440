"""A session of MAHNOB-HCI without its BDF: session.xml, the time of the stimulus, and its start in the video.

datasets/mahnob.py describes the files.
"""

import csv
import re
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import BadRecording
from ..io.atomic import visible_files
from ..io.frame_times import VideoInfo
from .label_columns import Label, LabelColumn
from .recording import Recording

RATINGS = {"valence": "feltVlnc", "arousal": "feltArsl", "control": "feltCtrl", "predictability": "feltPred"}  # 1 to 9
EMOTION = "feltEmo"  # a code of EMOTIONS
EMOTIONS = {
    0: "neutral", 1: "anger", 2: "disgust", 3: "fear", 4: "joy", 5: "sadness", 6: "surprise", 7: "scream", 8: "bored",
    9: "sleepy", 11: "amusement", 12: "anxiety",
}  # fmt: skip
NO_EMOTION = 10  # "unknown": no label
LABELS = (
    *(LabelColumn(name, (1.0, 9.0), label_set="felt") for name in RATINGS),
    LabelColumn("emotion", classes=tuple(EMOTIONS.values()), label_set="felt"),
)
FPS = 60.97  # of the cameras
TWO_FRAMES_S = 2 / FPS
WRONG_RATE = 0.05  # a frame rate in session.xml that is this share off the file's own is a mistake, no measurement
FETCH = "Take it from another copy of the corpus: its site is down (docs/corpora/mahnob.md says whom to ask)."

BDF, COLOUR = "*.bdf", "*C1 trigger*_C_Section_*.avi"  # what the files of a session are called

Kind = Literal["stimulus", "neutral", "tagging", "other", "empty"]
# What the corpus itself lacks in some sessions with a stimulus, which are no recordings.
STUB = "without a colour video and a BDF, in session.xml as on the disk,"
UNRATED = "without felt ratings (feltVlnc, feltArsl)"
UNNAMED = "without the film's name (mediaFile)"


# ---------------------------------------------------------------- session.xml


@dataclass(frozen=True)
class Session:
    """The content of a session's XML file, or the error for which it cannot be read."""

    number: int
    folder: Path
    subject: str  # "p01"
    kind: Kind
    attributes: dict[str, str] = field(default_factory=dict)  # the attributes of the root element
    files: dict[str, str] = field(default_factory=dict)  # names of the colour video, the gaze table and the BDF
    error: str | None = None
    lacks: str | None = None  # STUB, UNRATED or UNNAMED: what the corpus itself never had of it

    @property
    def name(self) -> str:
        """Name of the recording."""
        return f"{self.subject}_s{self.number}"

    @property
    def used(self) -> bool:
        """Whether it is a recording, or an error to report."""
        return self.error is not None or (self.kind == "stimulus" and self.lacks is None)

    def number_of(self, attribute: str) -> float | None:
        """Return an attribute as a number, None if it is absent or not a finite number."""
        try:
            value = float(self.attributes[attribute])
        except (KeyError, ValueError):
            return None
        return value if np.isfinite(value) else None


def read_session(folder: Path) -> Session:
    """Read Sessions/N/session.xml without expanding entities. Its error, if any, is in `Session.error`."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import parse

    path = folder / "session.xml"
    expected = "the description of a session"
    if not visible_files(folder, "*"):
        return Session(int(folder.name), folder, _subject_of(folder), "empty")
    try:
        root = parse(path).getroot()
        if root.tag == "session" and root.find("subject") is not None:
            return _described(folder, root)
        actual = f"a <{root.tag}> without a <subject>" if root.tag == "session" else f"a <{root.tag}>"
        error = BadRecording(path, "a <session> with a <subject>", actual, FETCH)
    except ParseError as e:
        error = BadRecording(path, expected, f"a file that is no XML ({e})", FETCH)
    except DefusedXmlException as e:
        actual = f"XML that defines entities or refers to other files ({type(e).__name__})"
        error = BadRecording(path, expected, actual, "No session does, and nothing of it was expanded. " + FETCH)
    except (ValueError, LookupError) as e:  # an encoding that does not exist
        error = BadRecording(path, expected, f"a file that is no XML ({e})", FETCH)
    except OSError as e:
        error = BadRecording(path, expected, e.strerror or type(e).__name__, FETCH)
    return _broken(folder, error)


def _broken(folder: Path, error: BadRecording) -> Session:
    return Session(int(folder.name), folder, _subject_of(folder), "other", error=str(error))


def _subject_of(folder: Path) -> str:
    """Sessions are numbered by subject, 130 to each: enough to say whose session is broken."""
    return subject_name((int(folder.name) - 1) // 130 + 1)


def subject_name(number: int) -> str:
    """Return p01 for participant 1."""
    return f"p{number:02d}"


def _described(folder: Path, root: Any) -> Session:
    subject = root.find("subject").get("id", "").strip()
    if not subject.isdigit():
        wanted = "a subject with a number for its id"
        return _broken(folder, BadRecording(folder / "session.xml", wanted, repr(subject), FETCH))
    files = {}
    for track in root.iter("track"):
        if track.get("type") == "Physiological":
            files["bdf"] = track.get("filename", "")
        elif track.get("color") == "1":
            files["video"] = track.get("filename", "")
            gaze = [a.get("filename", "") for a in track.iter("annotation") if a.get("type") == "Gaze"]
            files |= {"gaze": gaze[0]} if gaze else {}
    attributes, subject_id = dict(root.attrib), subject_name(int(subject))
    return Session(
        int(folder.name),
        folder,
        subject_id,
        _kind(attributes, files),
        attributes,
        files,
        lacks=_lacks(folder, attributes, files),
    )


def _lacks(folder: Path, attributes: dict[str, str], files: dict[str, str]) -> str | None:
    """What the corpus never had of a session. One rating of the two alone is a damaged file, and no such lack; so are
    files that session.xml names and that are not there."""
    if not (files.get("bdf") or files.get("video") or visible_files(folder, BDF) or visible_files(folder, COLOUR)):
        return STUB
    if not any(attributes.get(RATINGS[name], "").strip() for name in ("valence", "arousal")):
        return UNRATED
    return None if attributes.get("mediaFile", "").strip() else UNNAMED


def _kind(attributes: dict[str, str], files: dict[str, str]) -> Kind:
    """Which experiment a session is of: by its type, by what its BDF is called (Part_1_N_Trial1_emotion), by isStim."""
    hints = f"{attributes.get('experimentType', '')} {files.get('bdf', '')}".lower()
    if "tagging" in hints:
        return "tagging"
    if re.search(r"_n_trial\d+", hints) or attributes.get("isStim", "").lower() in ("0", "false"):
        return "neutral"
    if re.search(r"_s_trial\d+", hints) or attributes.get("isStim", "").lower() in ("1", "true"):
        return "stimulus"
    return "other"


def ratings_of(session: Session) -> dict[str, Label]:
    """Return the felt ratings, 1 to 9, and the felt emotion, if it is known.

    Raises BadRecording if valence or arousal is absent, one of them is out of range, or the emotion is no known code.
    """
    path, felt = session.folder / "session.xml", dict[str, Label]()
    for name, attribute in RATINGS.items():
        value = session.number_of(attribute)
        if value is None and attribute not in session.attributes and name in ("control", "predictability"):
            continue
        if value is None or not 1 <= value <= 9:
            actual = repr(session.attributes[attribute]) if attribute in session.attributes else "no such attribute"
            raise BadRecording(path, f"{attribute}, a rating from 1 to 9", actual, "There is no label without it.")
        felt[name] = value
    code = session.attributes.get(EMOTION, "").strip()
    if code and session.number_of(EMOTION) not in (*EMOTIONS, NO_EMOTION):
        raise BadRecording(path, f"{EMOTION}, a code from 0 to {max(EMOTIONS)}", repr(code), FETCH)
    emotion = EMOTIONS.get(int(float(code))) if code else None
    return felt | ({"emotion": emotion} if emotion else {})


# ---------------------------------------------------------------- the gaze table


@dataclass(frozen=True)
class StimulusTiming:
    """The time of the stimulus, by the gaze table."""

    audio_sample: float  # on the clock of the audio track, at its start
    seconds: float | None  # None if its end is unknown
    drift_s: float  # by which the gaze clock and the audio clock come apart over the table


def read_gaze(path: Path, audio_hz: float) -> StimulusTiming:
    """Read the time of the stimulus from a gaze table: its MovieStart on the gaze clock (ms), which a row with an
    AudioSampleNumber ties to the audio clock.

    Lines that are damaged (public reports name some) are passed over. Raises BadRecording if the table cannot be read
    or lacks what is looked for.
    """
    expected = "a gaze table with MovieStart and AudioSampleNumber"
    try:
        # latin-1 reads any byte, and nothing that is looked for has an accent
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as e:
        raise BadRecording(path, expected, e.strerror or type(e).__name__) from None
    wanted = ("Timestamp", "Event", "AudioSampleNumber")
    rows = csv.reader((line.replace("\0", "") for line in lines), delimiter="\t", quoting=csv.QUOTE_NONE)
    place: dict[str, int] = {}
    events: dict[str, list[float]] = {"MovieStart": [], "MovieEnd": []}
    anchors = []
    for row in rows:
        if not place:
            names = [cell.strip() for cell in row]
            place = {name: names.index(name) for name in wanted} if set(wanted) <= set(names) else {}
            continue
        at, event, sample = (row[place[n]].strip() if place[n] < len(row) else "" for n in wanted)
        if not _is_number(at):
            continue
        if event in events:
            events[event].append(float(at))
        if _is_number(sample):
            anchors.append((float(at), float(sample)))
    missing = "columns named so" if not place else "MovieStart" if not events["MovieStart"] else "AudioSampleNumber"
    if not place or not events["MovieStart"] or not anchors:
        raise BadRecording(path, expected, f"{len(lines)} lines without {missing}")
    return _film(events["MovieStart"][0], events["MovieEnd"], anchors, audio_hz)


def _film(start_ms: float, ends_ms: list[float], anchors: list[tuple[float, float]], audio_hz: float) -> StimulusTiming:
    at_ms, sample = min(anchors, key=lambda anchor: abs(anchor[0] - start_ms))
    (first_ms, first), (last_ms, last) = anchors[0], anchors[-1]
    ends = [e for e in ends_ms if e > start_ms]
    return StimulusTiming(
        audio_sample=sample + (start_ms - at_ms) / 1000 * audio_hz,
        seconds=(ends[0] - start_ms) / 1000 if ends else None,
        drift_s=(last - first) / audio_hz - (last_ms - first_ms) / 1000,
    )


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


# ---------------------------------------------------------------- files and clocks of a session


def find_single_file(session: Session, kind: str, pattern: str) -> Path | None:
    """Return the file of a kind that session.xml names, else the only one of such a name. Raises BadRecording."""
    files = visible_files(session.folder, pattern)
    named = [f for f in files if f.name == session.files.get(kind)]
    if len(files) > 1 and not named:
        actual = f"{len(files)}: {', '.join(f.name for f in files)}"
        raise BadRecording(session.folder, f"one file {pattern}", actual, "Take away those that do not belong here.")
    return next(iter(named or files), None)


def colour_video(session: Session) -> tuple[Path | None, list[str]]:
    """Return the colour video, None if the session has none, and warnings. Raises BadRecording if there are several."""
    video = find_single_file(session, "video", COLOUR)
    if video is not None:
        return video, []
    others = [f.name for f in visible_files(session.folder, "*.avi")]
    there = f"; other cameras are not read: {', '.join(others)}" if others else ""
    return None, [f"no colour video (C1 trigger): the signals alone{there}"]


def stimulus_timing(session: Session, required: bool) -> tuple[StimulusTiming | None, list[str]]:
    """Return the time of the stimulus by the gaze table, and warnings. required : its length is not known otherwise"""
    try:
        gaze = find_single_file(session, "gaze", "*All-Data*_Section_*.tsv")
        clock = [session.number_of(name) for name in ("audRate", "audBeginSmp")]
        if gaze is None:
            raise BadRecording(session.folder, "a gaze table (*All-Data*_Section_*.tsv)", "none")
        if not clock[0] or clock[0] < 0 or clock[1] is None:
            actual = ", ".join(f"{n}={session.attributes.get(n)!r}" for n in ("audRate", "audBeginSmp"))
            raise BadRecording(session.folder / "session.xml", "the audio track's rate and begin", actual)
        film = read_gaze(gaze, clock[0])
        if required and film.seconds is None:
            raise BadRecording(gaze, "MovieEnd after MovieStart", "none")
    except BadRecording as e:
        if required:
            raise
        begins = "the video's begin is taken for the stimulus' start, and by how much that is wrong is not known"
        of = "" if Path(e.path) == session.folder else f"{Path(e.path).name}: "
        return None, [f"{of}expected {e.expected}, found {e.found}; {begins}"]
    return film, clock_disagreement(
        "the gaze table from its first line to its last", "its clock", 0.0, "the audio clock", film.drift_s
    )


def start_in_video(session: Session, film: StimulusTiming | None) -> float:
    """Return the start of the stimulus in the video, seconds; 0 if it is unknown."""
    rate, begin = session.number_of("audRate"), session.number_of("audBeginSmp")
    if film is None or not rate or begin is None:
        return 0.0
    return (film.audio_sample - begin) / rate


def clock_disagreement(what: str, one: str, one_s: float, other: str, other_s: float) -> list[str]:
    """Return a warning if two sources of a time differ by more than two frames."""
    off = abs(one_s - other_s)
    if off <= TWO_FRAMES_S:
        return []
    return [f"{what}: {one} and {other} are {off:.3f} s ({off * FPS:.1f} video frames) apart"]


def stimulus_name(session: Session) -> str:
    """Return the name of the stimulus, mediaFile without its ending; empty if there is none."""
    return Path(session.attributes.get("mediaFile", "").strip()).stem


def on_camera_clock(info: VideoInfo, session: Session) -> tuple[VideoInfo, list[str]]:
    """Return the video with the frame rate of session.xml, which was measured at the camera, and warnings."""
    info = replace(info, pixel_aspect=Fraction(1))  # as released: stores stay what they were
    rate, begin, end = (session.number_of(n) for n in ("vidRate", "vidBeginSmp", "vidEndSmp"))
    if not rate or rate <= 0:
        return info, [f"session.xml has no vidRate; the video's own {float(info.fps):.2f} frames a second are used"]
    if abs(rate / float(info.fps) - 1) > WRONG_RATE:
        own = f"the video's own {float(info.fps):.2f} frames a second are used"
        return info, [f"session.xml has {rate:g} frames a second, which cannot be; {own}"]
    warnings = []
    drift = info.seconds * float(info.fps) / rate - info.seconds
    if abs(drift) > TWO_FRAMES_S:
        warnings.append(
            f"the video says {float(info.fps):.3f} frames a second and session.xml {rate:g}, which is used: "
            f"{abs(drift):.2f} s apart at its end"
        )
    if begin is not None and end is not None:
        off = info.n_frames - round(end - begin)
        if abs(off) > 2:
            warnings.append(f"the video has {info.n_frames} frames, {off:+d} than session.xml says")
        audio = [session.number_of(n) for n in ("audBeginSmp", "audEndSmp", "audRate")]
        if None not in audio and audio[2]:
            sound = (audio[1] - audio[0]) / audio[2]  # type: ignore[operator]
            warnings += clock_disagreement(
                "the section's length in session.xml", "video", (end - begin) / rate, "audio", sound
            )
    return replace(info, fps=Fraction(rate).limit_denominator(100_000)), warnings


def uncovered(recording: Recording, info: VideoInfo) -> list[str]:
    """Return warnings on parts of the stimulus that the video does not show."""
    early, late = -recording.video_start_s, recording.video_start_s + recording.seconds - info.seconds
    warnings = [f"the video begins {early:.2f} s after the stimulus"] if early > TWO_FRAMES_S else []
    if late > TWO_FRAMES_S:
        warnings.append(f"the video ends {late:.2f} s before the stimulus")
    return warnings
