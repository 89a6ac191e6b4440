"""What a store holds of the faces of a recording: pictures, features of them, or both.

Features are MediaPipe's, measured in the video, or those that a corpus brings with it.

Shapes: W windows, F face frames a window, S face side, D features a frame.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..config import PrepareConfig
from ..datasets.recording import Corpus, FaceFeatureCorpus, Recording
from ..errors import BadConfig, BadRecording
from ..preprocessing.face_features import MEDIAPIPE_FEATURES, features_of_windows


class PreparedFaces(NamedTuple):
    """The arrays of a recording's faces, by their names in the store, counts of frames, and a warning or None."""

    arrays: dict[str, np.ndarray]
    counts: dict[str, int]
    warning: str | None


def face_settings(config: PrepareConfig, corpus: Corpus | None = None) -> dict[str, Any]:
    """Return what store.json says of the faces: the side of pictures, and the names of features if there are any.

    Raises BadConfig for pictures that the corpus does not have.
    """
    if not config.faces:
        return {"face_side": 0}
    own = own_features(corpus)
    if own is not None and not own.has_videos and config.store_faces == "pixels":
        raise BadConfig(
            f"{own.dataset} has no video, but face features ({len(own.face_feature_names)} a frame): give "
            "--store_faces features, or --faces false to leave them out"
        )
    if config.store_faces == "pixels":
        return {"face_side": config.face_side}
    if own is not None and config.store_faces == "both":
        raise BadConfig(
            f"{own.dataset} brings face features of its own, which belong to no pictures: set store_faces to features, "
            "or to pixels for the pictures of its videos, if it has some"
        )
    names = own.face_feature_names if own is not None else MEDIAPIPE_FEATURES
    return {"face_side": config.face_side if config.store_faces == "both" else 0, "face_features": list(names)}


def own_features(corpus: Corpus | None) -> FaceFeatureCorpus | None:
    """Return the corpus if it brings face features with it, else None.

    Raises BadConfig for a reader that names features and lacks what belongs to them, and for a name that occurs twice.
    """
    names = tuple(getattr(corpus, "face_feature_names", ()))
    if not names:
        return None
    reader = type(corpus).__name__
    if absent := [name for name in ("has_videos", "face_features") if not hasattr(corpus, name)]:
        raise BadConfig(f"{reader} has face_feature_names, and no {' and no '.join(absent)}: see docs/faces.md")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadConfig(f"{reader}: face_feature_names has {', '.join(twice)} more than once")
    return corpus  # type: ignore[return-value]


def face_source(recording: Recording, corpus: Corpus, config: PrepareConfig) -> Path | None:
    """Return the file that a recording's faces are prepared from: its video, or the features that the corpus brings;
    None if there is none or no faces are wanted."""
    if not config.faces:
        return None
    of_corpus = config.store_faces == "features" and own_features(corpus) is not None
    return recording.face_features if of_corpus else recording.video


def prepare_faces(
    recording: Recording, corpus: Corpus, config: PrepareConfig, n_frames: int, starts: np.ndarray
) -> PreparedFaces:
    """Return the faces of a recording's windows, of which `face_source` gives a file.

    starts : (W,) seconds from the start of the stimulus
    Raises BadRecording if no frame shows a face, or the file cannot be read.
    """
    own = own_features(corpus)
    if own is not None and config.store_faces == "features":
        return _of_corpus(recording, own, config.window_s, n_frames, starts)
    return _of_video(recording, config, n_frames, starts)


def _of_corpus(
    recording: Recording, corpus: FaceFeatureCorpus, window_s: float, n_frames: int, starts: np.ndarray
) -> PreparedFaces:
    given, file = corpus.face_features(recording), recording.face_features or recording.name
    if given.values.ndim == 2 and given.values.shape[1] != len(corpus.face_feature_names):
        expected = f"{len(corpus.face_feature_names)} face features a frame"
        raise BadRecording(file, expected, f"{given.values.shape[1]}")
    features, ok = features_of_windows(given, starts, window_s, n_frames, file)
    if not ok.any():
        expected = f"a face in at least one of {ok.size} frames"
        raise BadRecording(file, expected, "none", "Check the file, or leave it out to use the signals alone.")
    counts = {"frames_found": int(ok.sum()), "frames_borrowed": 0, "frames_missing": int((~ok).sum())}
    return PreparedFaces({"face_ok": ok, "face_features": features}, counts, None)


def _of_video(recording: Recording, config: PrepareConfig, n_frames: int, starts: np.ndarray) -> PreparedFaces:
    from ..preprocessing.face_windows import FaceSettings, FaceWindows

    video = recording.video or Path(recording.name)
    settings = FaceSettings(
        config.window_s,
        n_frames,
        config.face_side,
        config.landmarks,
        config.store_faces,
        landmark_every=config.landmark_every,
    )
    windows = FaceWindows(video, starts, settings, video_start_s=recording.video_start_s, info=recording.video_info)
    parts = list(windows)
    if not windows.n_detected:
        raise BadRecording(
            video,
            f"a face in at least one of {len(windows.frames)} frames",
            "none",
            "Check the video, or remove it to use the signals alone.",
        )
    of_parts = {
        "faces": [p.faces for p in parts if p.faces is not None],
        "face_ok": [p.ok for p in parts],
        "expression": [p.expression for p in parts if p.expression is not None],
        "face_features": [p.features for p in parts if p.features is not None],
    }
    counts = {
        "frames_found": windows.n_detected,
        "frames_borrowed": windows.n_borrowed,
        "frames_missing": windows.n_missing,
    }
    return PreparedFaces({name: np.concatenate(of) for name, of in of_parts.items() if of}, counts, windows.warning)
