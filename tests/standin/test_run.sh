#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The .run and its installer end as the real ones do.
. "$(dirname "$0")/common.sh"

make_driver
cp "$run" "$work/first.run"
make_driver
cmp "$run" "$work/first.run" || fail "the same command made another file"

expect 0 sh "$run" --check
said "check sums and md5 sums are ok"
expect 0 sh "$run" --info
said "NVIDIA Accelerated Graphics Driver for Linux-x86_64 $version"

head -c -100 "$run" >"$work/cut.run"
expect 2 sh "$work/cut.run" --check
said "Error in checksums"
make_driver --fault corrupt
expect 2 sh "$run" --check
expect 2 sh "$run" --tmpdir "$work" -s --log-file-name="$work/log"
[ ! -e "$work/log" ] || fail "a damaged archive started its installer"
cp "$work/first.run" "$run"

unpack
said "Creating directory $work/tree"
expect 1 sh "$run" -x --target "$work/tree"
said "already exists"

expect 1 sh "$run" --tmpdir "$work" --no-such-option --log-file-name="$work/log"
said "Invalid commandline"
[ ! -e "$work/log" ] || fail "a log was written in spite of an unknown option"

expect 0 sh "$run" --tmpdir "$work" -s --no-kernel-module --log-file-name="$work/log"
grep -q "is now complete\.$" "$work/log" || fail "no line of success in the log"
[ -x "$work/root/usr/bin/nvidia-smi" ] || fail "nvidia-smi was not installed"
[ -d "$work/root/etc/nvidia/ClientConfigToken" ] || fail "no folder for the token"
[ ! -e "$work/root/etc/nvidia/gridd.conf" ] || fail "the .run leaves only the template"

# Without systemctl on the PATH there is no unit, and nobody says so.
mkdir "$work/bin"
for tool in sh sort head tr sed cat date nproc id mktemp chmod rm mkdir cp cksum cut grep uname \
    dirname readlink ln find printf fold tail touch; do
    ln -s "$(command -v $tool)" "$work/bin/$tool" 2>/dev/null
done
rm -rf "${work:?}/root"
expect 0 env PATH="$work/bin" STANDIN_ROOT="$work/root" "$work/tree/nvidia-installer" -s \
    --no-kernel-module --tmpdir "$work"
[ ! -e "$work/root/usr/lib/systemd/system/nvidia-gridd.service" ] || fail "a unit without systemctl"
[ ! -s "$work/out.txt" ] || fail "-s was not silent"

make_driver --fault installer-fails
expect 1 sh "$run" --tmpdir "$work" -s --no-kernel-module
said "Installation has failed."
# A disk that fills up: death by signal, no text, the old driver gone.
make_driver --fault installer-dies
expect 135 sh "$run" --tmpdir "$work" -s --no-kernel-module
[ ! -e "$work/root/usr/bin/nvidia-gridd" ] || fail "the old driver survived"

# TERM to the process group ends all of it at once and leaves nothing in the way.
make_driver --fault installer-hangs
rm -f "$STANDIN_ROOT/var/log/nvidia-installer.log"
mkdir "$work/tmp"
setsid sh "$run" --tmpdir "$work/tmp" -s --no-kernel-module >/dev/null 2>&1 &
group=$!
wait_until grep -qs "Detected" "$STANDIN_ROOT/var/log/nvidia-installer.log"
kill -TERM -"$group"
wait "$group" && status=0 || status=$?
[ "$status" = 15 ] || fail "status $status after TERM"
# The real one leaves an empty template-XXXXXX behind now and then, and so may this one.
left=$(find "$work/tmp" -mindepth 1 -not -name 'template-*')
[ -z "$left" ] || fail "something is left: $left"
