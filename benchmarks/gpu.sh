#!/usr/bin/env bash
# Everything that is to be shown on a GPU, within 12 minutes: the unit tests first, then what benchmarks/gpu.py measures.
#   bash benchmarks/gpu.sh            on a machine with a GPU
#   bash benchmarks/gpu.sh --quick    on any machine: that it runs to the end
# PYTHON: the interpreter (default: python). OUT: the folder for gpu.json and tests.txt (default: benchmarks/results).
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}
OUT=${OUT:-benchmarks/results}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$OUT"
TESTS="tests/network/test_training.py tests/network/test_lightning_module.py tests/network/test_model.py
  tests/network/test_batches.py tests/network/test_presence.py tests/network/test_augment.py tests/network/test_fusions.py
  tests/network/test_complexity.py tests/network/test_parts.py tests/network/test_face_features.py
  tests/experiments/test_explain.py tests/experiments/test_crossval.py"
ONLY=() MORE=()
if [ "${1:-}" = --quick ]; then
  TESTS="tests/network/test_parts.py"
  ONLY=(-k by_hand)
  MORE=(--quick)
fi
HERE=$(for test in $TESTS; do [ -e "$test" ] && echo "$test"; done)
"$PYTHON" -c "import xdist" 2> /dev/null && [ "${1:-}" != --quick ] && ONLY+=(-n 8 --dist loadfile)
timeout 170 "$PYTHON" -m pytest $HERE "${ONLY[@]}" -q -rfE --tb=short -p no:cacheprovider > "$OUT/tests.txt" 2>&1
TESTED=$?
echo "tests: exit status $TESTED (124: the time ended)"
grep -E '^(FAILED|ERROR)|passed|failed' "$OUT/tests.txt" || tail -5 "$OUT/tests.txt"
timeout 530 "$PYTHON" -m benchmarks.gpu "${MORE[@]}" --minutes 8 --out "$OUT/gpu.json"
MEASURED=$?
echo "measured: exit status $MEASURED"
[ "$TESTED" = 0 ] && [ "$MEASURED" = 0 ]
