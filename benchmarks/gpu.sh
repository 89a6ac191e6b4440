#!/usr/bin/env bash
# What is to be shown on a GPU, within 5 minutes: the unit tests (2 minutes), then what benchmarks/gpu.py measures (3).
#   bash benchmarks/gpu.sh [tests|speed]     on a machine with a GPU; default: both
#   bash benchmarks/gpu.sh [tests|speed] --quick    on any machine: that it runs to the end
# PYTHON: the interpreter (default: python). OUT: the folder for gpu.json and tests.txt (default: benchmarks/results).
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}
OUT=${OUT:-benchmarks/results}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
export TORCHINDUCTOR_COMPILE_THREADS=${TORCHINDUCTOR_COMPILE_THREADS:-4} # many networks are compiled at once
mkdir -p "$OUT"
PART=both QUICK=
for word in "$@"; do
  case $word in
    tests | speed) PART=$word ;;
    --quick) QUICK=yes ;;
    *) echo "usage: bash benchmarks/gpu.sh [tests|speed] [--quick]" >&2; exit 2 ;;
  esac
done
TESTED=0 MEASURED=0
if [ $PART != speed ]; then
  TESTS="tests/network/test_depthwise.py tests/network/test_training.py tests/network/test_lightning_module.py
    tests/network/test_model.py tests/network/test_batches.py tests/network/test_presence.py tests/network/test_augment.py
    tests/network/test_fusions.py tests/network/test_complexity.py tests/network/test_parts.py
    tests/network/test_compiling.py tests/network/test_face_features.py tests/experiments/test_explain.py tests/experiments/test_crossval.py"
  ONLY=()
  if [ $QUICK ]; then
    TESTS="tests/network/test_depthwise.py tests/network/test_parts.py"
    ONLY=(-k "by_hand or bias")
  elif "$PYTHON" -c "import xdist" 2> /dev/null; then
    ONLY=(-n 12 --dist worksteal)
  fi
  # Each process with one thread: twelve with sixteen each wait for one another. Other versions of packages may warn.
  OMP_NUM_THREADS=1 timeout 120 "$PYTHON" -m pytest $TESTS "${ONLY[@]}" -q -rfEs --tb=short -p no:cacheprovider -p no:benchmark \
    -o filterwarnings=default \
    > "$OUT/tests.txt" 2>&1
  TESTED=$?
  echo "tests: exit status $TESTED (124: the time ended)"
  grep -E '^(FAILED|ERROR)|passed|failed' "$OUT/tests.txt" || tail -5 "$OUT/tests.txt"
fi
if [ $PART != tests ]; then
  MINUTES=2.8
  [ $QUICK ] && MINUTES=30
  timeout $((${MINUTES%.*} * 60 + 60)) "$PYTHON" -m benchmarks.gpu ${QUICK:+--quick} --minutes $MINUTES --out "$OUT/gpu.json"
  MEASURED=$?
  echo "measured: exit status $MEASURED"
fi
[ $TESTED = 0 ] && [ $MEASURED = 0 ]
