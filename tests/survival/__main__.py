"""python -m tests.survival [--kills 50] [--seed 0] DIR: kill -9 at random moments, the same command again, and compare.

Each command is run once undisturbed. Then, in a new folder each time, it is killed with all its processes up to three
times, at moments uniform over the time that the undisturbed one took, and given again until it ends. Prints a line a
kill and a summary; ends with 1 if any result is not equal to the undisturbed one, or if anything is left lying about.
"""

import argparse
import os
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from . import killing
from .journeys import SMALL_CORPUS, Journey, contents, corpus_words, differences, journeys, litter, of_corpora, recipe

AT_ONCE = 3  # kills of one command before it may end
TRIES = 20  # a command that has not ended after so many more is stuck


class Survival:
    """A folder with a corpus and a store, what each undisturbed command made, and what was found so far."""

    def __init__(self, root: Path, chosen: list[Journey], films: bool, cold: bool):
        self.root, self.chosen, self.cold = root, chosen, cold
        self.faults: list[str] = []
        self.left: Counter[str] = Counter()  # in the system's folder for temporary files
        self.kills: Counter[str] = Counter()
        self.whole: dict[str, dict[str, bytes]] = {}
        self.seconds: dict[str, float] = {}
        root.mkdir(parents=True)
        (root / "survival.yaml").write_text(recipe(films))
        ground = [corpus_words(films), [*journeys(films, 1)["prepare"].words[:2], "deap", "store", *_settings(films)]]
        if read := [journey.words[1] for journey in chosen if journey.name.startswith("prepare-")]:
            ground = [["synth", name, name, *SMALL_CORPUS] for name in read]
        for words in ground:
            self._once(words, root, f"{words[0]}-{words[1]}")
        for journey in chosen:
            folder = self.folder(f"{journey.name}-undisturbed")
            self.seconds[journey.name] = self._once(journey.words, folder, journey.name)
            self.whole[journey.name] = contents(folder, journey.results)
            self._compare(journey, folder, f"{journey.name}, undisturbed")
            print(f"{journey.name}: {len(self.whole[journey.name])} files and folders, "
                  f"{self.seconds[journey.name]:.1f} s undisturbed", flush=True)  # fmt: skip

    def folder(self, name: str) -> Path:
        made = self.root / name
        made.mkdir()
        return made

    def _once(self, words: list[str], folder: Path, name: str) -> float:
        log = self.root / f"{name}.log"
        ended = killing.run(words, folder, log, cold=self.cold)
        if ended.code != 0:
            raise SystemExit(f"gbvnet {' '.join(words)}: exit {ended.code}, undisturbed; see {log}")
        return ended.seconds

    def at_random(self, kills: int, seed: int) -> None:
        """So many kills, spread evenly over the commands; which, when, and how many in a row follows from the seed."""
        rng, number = random.Random(seed), 0
        while self.kills.total() < kills:
            journey = min(self.chosen, key=lambda j: (self.kills[j.name], rng.random()))
            number += 1
            folder = self.folder(f"{number:03d}-{journey.name}")
            a_share = max(1, kills // len(self.chosen))  # so that a few kills are of every command, too
            several = min(rng.randint(1, AT_ONCE), a_share, kills - self.kills.total())
            moments = [rng.uniform(0, self.seconds[journey.name]) for _ in range(several)]
            self._disturb(journey, folder, moments)

    def _disturb(self, journey: Journey, folder: Path, moments: list[float]) -> None:
        for moment in moments:
            ended = killing.run(journey.words, folder, self._log(folder), kill_after_s=moment, cold=self.cold)
            if ended.code is not None:
                self._end(
                    journey, folder, ended.code, f"{folder.name}: ended in {ended.seconds:.1f} s, before its kill"
                )
                return
            self._count(journey, folder, f"after {ended.seconds:.2f} s")
        self._resume(journey, folder)

    def at_each_change(self, every: int) -> None:
        """For each change of the disk that an undisturbed command makes, or every so many: a kill in its place."""
        for journey in self.chosen:
            changes = (self.root / f"{journey.name}.changes").read_text().splitlines()
            for n, change in list(enumerate(changes, 1))[::every]:
                folder = self.folder(f"{journey.name}-{n:04d}")
                ended = killing.run(journey.words, folder, self._log(folder), kill_at_change=n)
                if ended.code is None:
                    self._count(journey, folder, f"in place of change {n} of {len(changes)}, {_short(change)}")
                    self._resume(journey, folder)

    def _count(self, journey: Journey, folder: Path, when: str) -> None:
        self.kills[journey.name] += 1
        print(f"{self.kills.total():4d}  {folder.name} killed {when}: {journey.reached(folder)}", flush=True)

    def _resume(self, journey: Journey, folder: Path) -> None:
        ended = killing.run(journey.words, folder, self._log(folder), cold=self.cold)
        self._end(journey, folder, ended.code, f"{folder.name}: went on and ended in {ended.seconds:.1f} s")

    def _end(self, journey: Journey, folder: Path, code: int | None, message: str) -> None:
        # A model that is there is never written over: then the kill came when all was done but the goodbye.
        was_done = journey.name == "train" and code == 2 and (folder / "model").exists()
        if code != 0 and not was_done:
            self._fault(f"{folder.name}: exit {code}; see {self._log(folder)}")
            return
        message += ", exit 0" if code == 0 else ", exit 2: the model was there already"
        if self._compare(journey, folder, folder.name):
            print(f"      {message}; equal", flush=True)
            shutil.rmtree(folder)
            shutil.rmtree(killing.temporary(folder), ignore_errors=True)
            for note in (self._log(folder), self._log(folder).with_suffix(".changes")):
                note.unlink(missing_ok=True)

    def _compare(self, journey: Journey, folder: Path, name: str) -> bool:
        lines = differences(contents(folder, journey.results), self.whole[journey.name])
        lines += litter(folder, journey.results)
        for line in lines:
            self._fault(f"{name}: {line}")
        self.left.update(_kind(path) for path in killing.temporary(folder).iterdir())
        return not lines

    def _fault(self, line: str) -> None:
        self.faults.append(line)
        print(f"  !!  {line}", flush=True)

    def _log(self, folder: Path) -> Path:
        return self.root / f"{folder.name}.log"


def _settings(films: bool) -> list[str]:
    return journeys(films, 1)["prepare"].words[4:]


def _short(change: str) -> str:
    what, _, path = change.partition(" ")
    return f"{what} {Path(path).name}"


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "file"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.survival", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder; what is not equal is kept there")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    choices = [*journeys(False, 1), *of_corpora()]
    parser.add_argument("--only", action="append", choices=choices, metavar="NAME", help=", ".join(choices))
    parser.add_argument("--corpora", action="store_true", help="synth and prepare of every corpus, signals alone")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (%(default)s)")
    parser.add_argument("--signals", action="store_true", help="without films and faces, which take longer")
    parser.add_argument("--each-change", action="store_true", help="a kill before each change of the disk; one job")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="with --each-change: the 1st, 1+N-th ...")
    parser.add_argument("--cold", action="store_true", help="each command in a new interpreter, not in a fork")
    args = parser.parse_args()
    jobs = 1 if args.each_change else args.jobs
    every = journeys(not args.signals, jobs) | of_corpora()
    names = args.only or (of_corpora() if args.corpora else journeys(False, 1))
    _fix_threads(jobs)
    if not args.cold:
        killing.warm()
    began = time.monotonic()
    survival = Survival(args.folder.absolute(), [every[n] for n in names], not args.signals, args.cold)
    if args.each_change:
        survival.at_each_change(args.every)
    else:
        survival.at_random(args.kills, args.seed)
    by = ", ".join(f"{n} {name}" for name, n in survival.kills.items())
    left = ", ".join(f"{n} {kind}s" for kind, n in survival.left.items()) or "nothing"
    print(f"{survival.kills.total()} kills ({by}), {len(survival.faults)} faults, {time.monotonic() - began:.0f} s; "
          f"left in the system's folder for temporary files: {left}")  # fmt: skip
    return 1 if survival.faults else 0


def _fix_threads(jobs: int) -> None:
    """One core a job, and so one thread a training: the same bits each time."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:jobs])
    os.environ["OMP_NUM_THREADS"] = "1"


if __name__ == "__main__":
    sys.exit(main())
