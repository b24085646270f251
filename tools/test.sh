#!/usr/bin/env bash
# Every test: style, types, directions of imports, then pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/lint.sh
echo "test: pytest"
exec .venv/bin/python -m pytest "$@"
