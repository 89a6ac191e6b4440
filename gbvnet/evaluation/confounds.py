"""Whether a class can be inferred from the source of a recording: all of it from one file, one folder or one subject.

Eyes closed in one file and eyes open in another: a system that recognises the file scores as if it read the eyes.
"""

import posixpath
from collections.abc import Iterator, Sequence

import pandas as pd

# From the narrowest to the widest: what a store's table of recordings may say of where they come from.
SOURCES = {
    "signals": "signal file", "video": "video file", "folder": "folder", "session": "folders named",
    "subject": "subject",
}  # fmt: skip


def confounds(recordings: pd.DataFrame, labels: pd.Series, target: str, classes: Sequence[str]) -> list[str]:
    """Return warnings about classes that coincide with a source of the recordings.

    recordings : a store's table, with recording and subject, and the files signals and video where it knows them
    labels : number of the class, by name of recording, of those that are used
    classes : names of the classes

    Two things are reported, the first one before the second, and of several sources the one that says most:
    - all recordings of one class come from one and the same source, and there are others;
    - each source with several recordings has one class alone, and several classes are among them.
    """
    used = recordings[recordings["recording"].isin(labels.index)]
    folders = _folders(used)
    table = used.assign(y=used["recording"].map(labels).to_numpy(int), folder=folders)
    table["session"] = [
        posixpath.basename(folder) for folder in folders
    ]  # anna/closed and bert/closed: one session each
    if table["y"].nunique() < 2:
        return []
    sources = [name for name in SOURCES if name in table and (table[name].fillna("") != "").all()]
    sources_of_class = list(_from_one(table, sources, target, classes)) or list(_pure(table, sources, target))
    return [f"confound: {text}; what marks the source may be scored as the class" for text in sources_of_class]


def _folders(recordings: pd.DataFrame) -> list[str]:
    """The folder of each recording's signals, or video; "." for that of the table."""
    files = [recordings[name].fillna("") for name in ("signals", "video") if name in recordings]
    if not files:
        return [""] * len(recordings)
    first = files[0].where(files[0] != "", files[-1])
    return [(posixpath.dirname(file) or ".") if file else "" for file in first]


def _from_one(table: pd.DataFrame, sources: list[str], target: str, classes: Sequence[str]) -> Iterator[str]:
    for y, name in reversed([*enumerate(classes)]):
        for source in sources:
            values = table.loc[table["y"] == y, source].unique()
            if len(values) == 1 and table[source].nunique() > 1:
                yield f"every window of class {name} in {target} comes from {SOURCES[source]} {values[0]}"
                break


def _pure(table: pd.DataFrame, sources: list[str], target: str) -> Iterator[str]:
    for source in reversed([name for name in sources if name != "session"]):
        groups = table.groupby(source)["y"].agg(["size", "nunique", "first"])
        several = groups[groups["size"] > 1]
        if len(several) > 1 and (several["nunique"] == 1).all() and several["first"].nunique() > 1:
            which = f"each of the {len(several)} {SOURCES[source]}s with several recordings"
            yield f"{which} has one class of {target} only"
            return
