"""What a corpus promises, in words: the contract of `gbvnet.datasets.recording.Corpus`, and how to keep it."""

from .results import WORKS, Promise

PROMISES: dict[str, Promise] = {
    "opens": Promise(
        "opening the folder of a corpus returns it, with everything that gbvnet.datasets.recording.Corpus declares",
        "see the docstring of Corpus; give the folder of a small, sound corpus",
    ),
    WORKS: Promise(
        "a reader raises BadRecording for files that are not what it expects, and no other error",
        "correct the error, or raise BadRecording(path, expected, found, remedy)",
    ),
    "folders without a corpus": Promise(
        "opening a folder without the corpus, or one that does not exist, raises BadRecording that names the folder",
        "check for the files that every such corpus has; gbvnet.datasets.recording.require_folder checks the folder",
    ),
    "declarations": Promise(
        "dataset is a name, source a text, synthetic true or false; rate_hz is above 0, baseline_s not below 0, "
        "frames_per_s at least 1",
        "declare what is in the store, not what is in the files: signals are resampled to rate_hz",
    ),
    "channels": Promise(
        "channels are `Channel`s with different names, of a kind that gbvnet knows",
        "name each channel once; the kind decides its filter and whether it counts as EEG",
    ),
    "labels": Promise(
        "every label that recordings can have is declared once, with a scale or with classes",
        "declare LabelColumn(name, scale=(low, high)) or LabelColumn(name, classes=(...))",
    ),
    "units": Promise(
        "units are different names, at least one; notes of each, and of the corpus as a whole, are texts",
        "return tuples of str",
    ),
    "recordings": Promise(
        "recordings have names that are unique in the corpus and can be a file's, the corpus' dataset, a subject, a "
        "trial, a stimulus and a length; at least one is without an error",
        "build the name from subject and trial, of letters, digits and underscores",
    ),
    "ratings": Promise(
        "ratings are of declared labels and within their scale or classes; a label that changes in time is in "
        "`traces`, with times that increase",
        "leave out a rating that is missing; set `error` for one that is out of its scale",
    ),
    "the same each time": Promise(
        "a corpus that is opened again has the same recordings in the same order, with the same signals",
        "sort what is read from folders; keep no state between calls",
    ),
    "other processes": Promise(
        "a corpus can be pickled, and the copy gives the same: other processes read from it",
        "keep paths and settings in a frozen dataclass, no open files, locks or lambdas",
    ),
    "inspect": Promise(
        "inspect returns the same recording with the properties of its files, with video_info where it has a video",
        "return dataclasses.replace(recording, ...)",
    ),
    "signals": Promise(
        "signals are finite numbers of floating point, (C, N), or one (N,) a channel where rates differ, with a rate "
        "above 0; their channels have the names of corpus.channels, in that order",
        "refuse or repair NaN when reading; reorder channels to corpus.channels",
    ),
    "times": Promise(
        "signals reach from the baseline, before the onset, to the end of the stimulus",
        "set onset to the sample where the stimulus starts, or name the baseline (`baseline`, `baseline_signals`)",
    ),
    "microvolts": Promise(
        "electrical channels (EEG, EOG, EMG, ECG) are in microvolts",
        "multiply volts by 1e6, millivolts by 1e3",
    ),
    "files stay as they are": Promise("a reader never writes to a corpus", "keep caches outside of the corpus' folder"),
    "damage": Promise(
        "a damaged file is reported by inspect or by recordings, by its name, with what was expected and found, and "
        "costs the recordings of this file only",
        "raise BadRecording(path, expected, found) in inspect, or set `error` of the recording",
    ),
}
