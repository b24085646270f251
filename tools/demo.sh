#!/usr/bin/env bash
# Tunes a real pretrained model on a real dataset, from a manifest. OUT names the folder that stands for the object store.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-out}"

TUNESMITH_HF_MIRROR=$(tools/mirror.sh)
export TUNESMITH_HF_MIRROR HF_HUB_OFFLINE=1
echo "demo: putting the Banking77 questions where the manifest expects them: $out/data/banking77"
mkdir -p "$out/data"
cp -r examples/data/banking77 "$out/data/"
echo "demo: tunesmith run examples/banking-intents.yaml --buckets $out"
exec .venv/bin/tunesmith run examples/banking-intents.yaml --buckets "$out"
