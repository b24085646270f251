#!/usr/bin/env bash
# Every benchmark with its real size, one after the other; the tables go to the screen and to bench/results/. Run it on a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
TUNESMITH_HF_MIRROR=${TUNESMITH_HF_MIRROR:-$(tools/mirror.sh)}
export TUNESMITH_HF_MIRROR
mkdir -p bench/results

for name in start prepare epoch time_to_accuracy quality; do
    echo "bench: $name" >&2
    "$python" "bench/$name.py" | tee "bench/results/$name.md"
done
