#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# plain.sh PROGRAM...: as a plain user, who has no root to give up. 77 where that cannot be shown: without root, or in a folder
# that others may not enter.

[ "$(id -u)" -eq 0 ] || exit 77
as_user() {
    setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
as_user test -r "$VGPU_BUILD/agent/net-worker" || exit 77
TMPDIR=$(mktemp -d) || exit 1
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
chmod 777 "$TMPDIR"
cd / && as_user "$@"
