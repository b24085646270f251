#!/usr/bin/env bash
# Every test: style, types, directions of imports, then pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/lint.sh
TUNESMITH_HF_MIRROR=$(tools/mirror.sh)
export TUNESMITH_HF_MIRROR HF_HUB_OFFLINE=1
echo "test: pytest"
exec .venv/bin/python -m pytest "$@"
