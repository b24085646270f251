#!/usr/bin/env bash
# Makes .venv with everything that the demo and the tests need. Does nothing when it is up to date.
# TORCH_INDEX: a package index of your own with CPU-only torch wheels (0.2 GB in place of 4.7).
set -euo pipefail
cd "$(dirname "$0")/.."
extras="${1:-trainer,test}"

say() { printf 'setup: %s\n' "$*"; }

find_python() {
    for candidate in python3.11 python3.12 python3.13 python3; do
        if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "needs Python 3.11 or newer; found $(python3 --version 2>&1 || echo none)" >&2
    exit 1
}

make_venv() {
    "$python" -m venv .venv 2>/dev/null && return
    rm -rf .venv
    say "this Python lacks venv; installing the system package"
    apt-get update -qq && apt-get install -y -qq python3-venv
    "$python" -m venv .venv
}

wanted="$(cat pyproject.toml constraints.txt | sha256sum | cut -d' ' -f1) $extras"
if [ -x .venv/bin/tunesmith ] && [ "$(cat .venv/installed 2>/dev/null)" = "$wanted" ]; then
    say ".venv is up to date"
    exit 0
fi
python=$(find_python)
[ -x .venv/bin/python ] || { say "making .venv with $("$python" --version)"; make_venv; }
say "installing the packages of constraints.txt (about two minutes and 5.8 GB when torch is not cached)"
DS_BUILD_OPS=0 .venv/bin/python -m pip install --quiet --disable-pip-version-check ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    --constraint constraints.txt --editable ".[$extras]"
printf '%s\n' "$wanted" > .venv/installed
say "done: .venv/bin/tunesmith"
