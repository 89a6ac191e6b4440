"""What a further modality promises, in words: the contract `gbvnet.store.modalities.Modality`, and how to keep it."""

from .results import WORKS, Promise

PROMISES: dict[str, Promise] = {
    "interface": Promise(
        "a modality is a class without arguments, or an object, with a name of small letters, digits and underscores, "
        "and with shape and read",
        "see the docstring of Modality",
    ),
    WORKS: Promise(
        "a modality raises BadRecording for files that are not what it expects, and no other error",
        "correct the error, or raise BadRecording(path, expected, found, remedy)",
    ),
    "shape": Promise(
        "shape(window_s) is a tuple of whole numbers from 1 on, the same each time",
        "compute it from window_s alone",
    ),
    "arrays": Promise(
        "read returns the arrays of all windows, (W, *shape) floating point, or None",
        "return np.full((len(starts_s), *self.shape(window_s)), np.nan), filled where the modality is there",
    ),
    "finite or missing": Promise(
        "a window is finite, or NaN throughout if it lacks the modality",
        "leave windows NaN whose seconds are not all there; guard logarithms and divisions by zero",
    ),
    "something is read": Promise(
        "of the recordings that are given, one at least has the modality in one window at least",
        "give recordings that have it; check names of files and the clock",
    ),
    "the same each time": Promise(
        "the same recording gives the same arrays, from another object too", "draw no random numbers; keep no state"
    ),
    "other processes": Promise(
        "a modality can be pickled, and the copy reads the same",
        "keep plain settings in it, no open files, locks or lambdas",
    ),
    "windows are read one by one": Promise(
        "the array of a window does not depend on which other windows are read with it, or in which order",
        "decide what is read by the recording, not by starts_s; scale by nothing that other windows have",
    ),
    "the clock": Promise(
        "the stimulus starts at recording.video_start_s of the video: with a stimulus that starts a second later, "
        "each window is what the window a second later was",
        "add recording.video_start_s to starts_s (gbvnet.datasets.sound_track.stimulus_sound does)",
    ),
    "events": Promise(
        "what begins at a known second of the stimulus shows in the window that holds this second, and not before",
        "check the order of windows, the rate, and whether starts_s was added once",
    ),
    "inputs stay as they are": Promise("read changes no array that it is given", "copy before changing"),
    "files stay as they are": Promise("read never writes to a corpus", "keep caches outside of the corpus' folder"),
    "without it": Promise(
        "a recording without a video, of a modality that is read from videos, gives None or windows of NaN",
        "return None if recording.video is None",
    ),
}
