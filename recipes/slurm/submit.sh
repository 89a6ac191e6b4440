#!/bin/bash
# Run this with bash on a login node. Run again, it does what is left: finished runs are skipped, others continue.
set -eu
cd @FOLDER@
mkdir -p logs
job=$(sbatch --parsable --output="$PWD/logs/%a.log" array.sh)
report=$(sbatch --parsable --output="$PWD/logs/report.log" --dependency="afterany:${job%%;*}" report.sh)
echo "job ${job%%;*}: @RUNS@ runs; job ${report%%;*}: the report, when all of them have ended"
