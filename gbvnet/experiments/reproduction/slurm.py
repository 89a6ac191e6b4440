"""`gbvnet reproduce` as jobs of a SLURM queue: each run a job of an array, and a report when all have ended.

FOLDER/runs.txt                        a line a run, as `gbvnet reproduce --only` takes it
FOLDER/array.sh, report.sh, submit.sh  from recipes/slurm/; `bash submit.sh` queues the others
"""

import shlex
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from ...errors import BadConfig
from ...io.atomic import atomic_write

SCRIPTS = ("array.sh", "report.sh", "submit.sh")


def write_scripts(folder: Path, runs: Sequence[str], words: Sequence[str], jobs: int) -> Path:
    """Write the scripts of these runs; returns the one to begin with.

    words : the command's own, without the program: stores, folder and recipes, with whole paths. Every node must see
        them, and this Python, under the same paths.
    jobs : trainings at once within a job
    Raises BadConfig if the folder holds something else or cannot be written.
    """
    folder = folder.resolve()
    others = [f.name for f in folder.iterdir()] if folder.is_dir() else []
    if others and "runs.txt" not in others:
        raise BadConfig(f"--slurm {folder}: expected an empty folder or one with such scripts, found {others[0]} in it")
    filled = {
        "@RUNS@": str(len(runs)),
        "@FOLDER@": shlex.quote(str(folder)),
        "@COMMAND@": shlex.join([sys.executable, "-m", "gbvnet", "reproduce", *words]),
        "@JOBS@": str(jobs),
    }
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        for name in SCRIPTS:
            text = (resources.files("gbvnet.recipes") / "slurm" / name).read_text()
            for mark, value in filled.items():
                text = text.replace(mark, value)
            atomic_write(folder / name, text.encode())
        atomic_write(folder / "runs.txt", "".join(f"{run}\n" for run in runs).encode())
    except OSError as error:
        raise BadConfig(f"--slurm {folder}: the scripts cannot be written there ({error.strerror})") from None
    return folder / "submit.sh"
