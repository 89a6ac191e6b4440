"""Write the fixed folds beside this file, from names alone: python recipes/folds/make.py. A test compares the bytes.

Each fold tests the same number of trials of every subject. Subjects with complete recordings (of DEAP the 22 with a
face video, of MAHNOB-HCI 27) are distributed equally over the folds. Subjects who watched together are in one fold. A
released version is never changed.
"""

import json
from pathlib import Path

from gbvnet.datasets.amigos import PARTICIPANTS as AMIGOS
from gbvnet.datasets.amigos_file import LONG
from gbvnet.datasets.amigos_long import GROUPS, WITHOUT
from gbvnet.datasets.mahnob import FILMS, PARTICIPANTS
from gbvnet.evaluation.splits import assign_round_robin

LEAVE_OUT = "Leave out what you do not have and keep the rest where it is."
DEAP = [f"s{n:02d}" for n in range(1, 33)]
MAHNOB = [f"p{n:02d}" for n in PARTICIPANTS]
CORPORA: dict[str, dict] = {
    "deap-v1": {
        "about": "Ten fixed folds of DEAP for gbvnet, by name. trial: subject/trial, the trial as in the names of the "
        "videos (column Trial of participant_ratings.csv, the order of presentation). stimulus: Experiment_id. "
        f"subject: as in the names of the files. {LEAVE_OUT}",
        "subjects": {name: "filmed" if name <= "s22" else "not filmed" for name in DEAP},
        "trials": [f"{n:02d}" for n in range(1, 41)],
        "stimuli": [f"{n:02d}" for n in range(1, 41)],
    },
    "mahnob-v1": {
        "about": "Ten fixed folds of MAHNOB-HCI for gbvnet, by name. trial: subject/film, as nobody saw a film twice. "
        "stimulus: the film, mediaFile of session.xml without its ending. subject: p and the subject's number. "
        f"{LEAVE_OUT}",
        "trial_by": "stimulus",
        "subjects": {name: "lost" if name in ("p12", "p15", "p26") else "whole" for name in MAHNOB},
        "trials": sorted(FILMS),
        "stimuli": sorted(FILMS),
    },
    "amigos-long-v1": {
        "about": "Ten fixed folds of AMIGOS' long films for gbvnet, by name. Participants who watched together are "
        "in one fold of subject, and their trials of one film in one fold of trial. trial: subject/film. stimulus: the "
        "film; six of the ten folds have none. Leave out what you do not have and keep all else where it is.",
        "subjects": {name: "group" if name in sum(GROUPS, ()) else "alone" for name in AMIGOS if name not in WITHOUT},
        "trials": list(LONG),
        "stimuli": list(LONG),
        "together": GROUPS,
    },
}


def assign(names: list[str], strata: list[str], unit: str, version: str) -> list[list[str]]:
    """Return names by fold; those of subjects who watched together are where that of the group's first one is."""
    groups = CORPORA[version].get("together", ())
    if not groups:
        return assign_round_robin(names, strata, unit, version)
    first = {member: group[0] for group in groups for member in group}
    leader = {name: "/".join(first.get(part, part) for part in name.split("/")) for name in names}
    members = {name: [other for other in names if leader[other] == name] for name in names if leader[name] == name}
    folds: list[list[str]] = [[] for _ in range(10)]
    shuffled = [name for fold in assign_round_robin(list(members), [""] * len(members), unit, version) for name in fold]
    for name in sorted(shuffled, key=lambda name: -len(members[name])):  # the largest first, each into the smallest
        min(folds, key=len).extend(members[name])
    return [[name for name in names if name in fold] for fold in folds]


def text(name: str) -> str:
    """Return the text of <name>.json."""
    corpus = CORPORA[name]
    trials = [f"{subject}/{trial}" for subject in corpus["subjects"] for trial in corpus["trials"]]
    units = {
        "trial": (trials, [trial.split("/")[0] for trial in trials]),
        "stimulus": (corpus["stimuli"], [""] * len(corpus["stimuli"])),
        "subject": (list(corpus["subjects"]), list(corpus["subjects"].values())),
    }
    lines = ["{", f' "about": {json.dumps(corpus["about"])},']
    lines += [f' "trial_by": {json.dumps(corpus["trial_by"])},'] if "trial_by" in corpus else []
    for unit, (names, strata) in units.items():
        lines.append(f' "{unit}": [')
        folds = assign(names, strata, unit, name)
        lines += [f"  {json.dumps(fold)}{',' if number < 9 else ''}" for number, fold in enumerate(folds)]
        lines.append(" ]" if unit == "subject" else " ],")
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    for version in CORPORA:
        (Path(__file__).parent / f"{version}.json").write_text(text(version), newline="\n")
