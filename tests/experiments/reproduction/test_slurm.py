"""The scripts for a SLURM queue, given in order to a substitute for sbatch, do all runs and the report."""

import os
import subprocess

import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.errors import BadConfig
from gbvnet.experiments.reproduction.slurm import write_scripts

from ...synthetic_store import write_store

# What sbatch does as far as the scripts ask for it: the jobs of an array one after the other, each with the variables
# that SLURM sets, and the job's number as an answer. Lightning looks at these variables, too.
SBATCH = """#!/bin/bash
echo "$@" >> "$CALLS"
script="$PWD/${@: -1}"
array=$(sed -n 's/^#SBATCH --array=1-//p' "$script")
for word in "$@"; do [[ $word == --output=* ]] && log="${word#--output=}"; done
export SLURM_JOB_ID=77 SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NAME=gbvnet
for k in $(seq 1 "${array:-1}"); do
  [ -n "$array" ] && export SLURM_ARRAY_TASK_ID=$k
  ( cd / && bash "$script" > "${log//%a/$k}" 2>&1 ) || echo "job $k failed" >&2
done
echo "77;here"
"""
RECIPE = """name: few
about: Three runs, for trying the queue.
dataset: any
prepare: {}
crossval:
  folds: 3
  model: {variant: micro, modality_dropout: 0}
  train: {epochs: 1}
protocols: [trial]
targets: [valence]
modalities: [bio]
systems: {gbvnet: bio, ridge: bio, majority: bio}
"""


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A folder of programs with our sbatch in it, and the file in which its calls are noted."""
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text(SBATCH)
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sbatch.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "calls"


@pytest.mark.journey
def test_the_scripts_in_order_do_all_runs_and_the_report(queue, tmp_path, monkeypatch, capsys):
    home = tmp_path / "a home"  # paths have spaces
    home.mkdir()
    monkeypatch.chdir(home)
    write_store(home / "store", subjects=4)
    (home / "few.yaml").write_text(RECIPE)
    assert main(["reproduce", "store", "out", "--recipe", "few.yaml", "--slurm", "jobs"]) == 0
    assert "3 runs as jobs of an array" in capsys.readouterr().out
    runs = (home / "jobs" / "runs.txt").read_text().split()
    done = subprocess.run(["bash", "jobs/submit.sh"], cwd=home, capture_output=True, text=True)
    logs = "\n".join(f.read_text() for f in sorted((home / "jobs" / "logs").iterdir()))
    assert done.returncode == 0 and done.stderr == "", done.stderr + logs
    assert "job 77: 3 runs; job 77: the report" in done.stdout
    assert "--dependency=afterany:77" in queue.read_text().splitlines()[1]
    assert len(runs) == 3
    for run in runs:
        table = pd.read_parquet(home / "out" / "runs" / run / "predictions.parquet")
        assert len(table) == len(pd.read_parquet(home / "store" / "windows.parquet"))
    assert (home / "out" / "report" / "report.html").exists()


@pytest.mark.journey
def test_a_run_that_is_none_is_refused_with_near_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_store(tmp_path / "store", subjects=4)
    assert main(["reproduce", "store", "out", "--recipe", "tiny", "--only", "tiny/trial-whole"]) == 2
    assert "--only tiny/trial-whole: there is no such run" in capsys.readouterr().err


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(BadConfig, match=r"expected an empty folder or one with such scripts, found thesis\.txt"):
        write_scripts(tmp_path, ["a/b"], ["store", "out"], 1)


def test_marks_are_all_filled_in(tmp_path):
    write_scripts(tmp_path / "jobs", ["a/b", "a/c"], ["the store", "out"], 2)
    for script in (tmp_path / "jobs").glob("*.sh"):
        text = script.read_text()
        assert "@" not in text
        subprocess.run(["bash", "-n", script], check=True)
    array = (tmp_path / "jobs" / "array.sh").read_text()
    assert "#SBATCH --array=1-2\n" in array and "reproduce 'the store' out --only" in array and "--jobs 2" in array
