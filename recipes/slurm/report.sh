#!/bin/bash
# The report of all runs that are finished; missing runs are listed, and then the job fails. Adapt as in array.sh.
#SBATCH --job-name=gbvnet-report
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=02:00:00
set -eu
exec @COMMAND@ --report
