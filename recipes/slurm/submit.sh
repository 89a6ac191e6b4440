#!/bin/bash
# Give this to bash on a login node. Given again it does what is left: finished runs are found, others go on.
set -eu
cd @FOLDER@
mkdir -p logs
job=$(sbatch --parsable --output="$PWD/logs/%a.log" array.sh)
report=$(sbatch --parsable --output="$PWD/logs/report.log" --dependency="afterany:${job%%;*}" report.sh)
echo "job ${job%%;*}: @RUNS@ runs; job ${report%%;*}: the report, when all of them have ended"
