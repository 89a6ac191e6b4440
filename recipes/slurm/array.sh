#!/bin/bash
# One cross-validation a job, each from the next line of runs.txt. Written by `gbvnet reproduce --slurm`.
# Adapt these lines to your cluster. A job that ends at its time limit or is preempted continues, when it is queued
# again, at the epoch it had reached: the time limit needs to be no longer than the largest run of `--plan`.
#SBATCH --job-name=gbvnet
#SBATCH --array=1-@RUNS@
#SBATCH --cpus-per-task=4
#SBATCH --gres=gpu:1
#SBATCH --mem=16G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -eu
run=$(sed -n "${SLURM_ARRAY_TASK_ID}p" @FOLDER@/runs.txt)
echo "job ${SLURM_JOB_ID:-none}, run ${SLURM_ARRAY_TASK_ID}: $run"
exec @COMMAND@ --only "$run" --jobs @JOBS@
