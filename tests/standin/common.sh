# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Read by the tests beside it: a folder that goes away, and words for claims.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "${work:?}"' EXIT
trap 'exit 1' INT TERM
# What the stand-in installs, unloads or reads is never this machine's.
STANDIN_ROOT=$work/root
export STANDIN_ROOT
version=525.105.17
run=$work/out/NVIDIA-Linux-x86_64-$version-grid.run

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect STATUS COMMAND...: its output is in $work/out.txt
expect() {
    wanted=$1
    shift
    "$@" >"$work/out.txt" 2>&1 && got=0 || got=$?
    [ "$got" = "$wanted" ] || {
        cat "$work/out.txt" >&2
        fail "status $got instead of $wanted: $*"
    }
}

said() { grep -qF -e "$1" "$work/out.txt" || { cat "$work/out.txt" >&2; fail "it did not say: $1"; }; }

make_driver() { expect 0 "$here/make-driver" --version "$version" --output "$work/out" "$@"; }

# A .run unpacked into $work/tree.
unpack() {
    rm -rf "${work:?}/tree"
    expect 0 sh "$run" -x --target "$work/tree" --tmpdir "$work"
}

# wait_until COMMAND...: within 20 seconds, however busy the machine is
wait_until() {
    tries=200
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}
