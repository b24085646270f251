#!/usr/bin/env bash
# Style, types and the directions of imports.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "lint: ruff"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
echo "lint: mypy"
.venv/bin/mypy
echo "lint: import directions"
.venv/bin/lint-imports
