#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nvidia-smi and nvidia-gridd answer for the state that the system is in.
. "$(dirname "$0")/common.sh"

root=${STANDIN_ROOT:?}
log=$root/var/log/nvidia-gridd.log
pid_file=$root/var/run/nvidia-gridd/nvidia-gridd.pid
pid=

# start_guest VERSION GPU...: a guest with these GPUs, the module loaded, no token
start_guest() {
    rm -rf "${work:?}/root" "$work/out"
    version=$1
    run=$work/out/NVIDIA-Linux-x86_64-$version-grid.run
    make_driver
    unpack
    shift
    expect 0 "$here/make-pci" "$root/sys" "$@"
    mkdir -p "$root/proc" "$root/etc/nvidia/ClientConfigToken" "$root/var/lib/nvidia" \
        "$root/var/log" "${pid_file%/*}" "$root/run" "$root/sys/module/nvidia"
    echo "nvidia 16384 1 nvidia_uvm, Live 0x0" >"$root/proc/modules"
    echo "$version" >"$root/sys/module/nvidia/version"
    echo "FeatureType=1" >"$root/etc/nvidia/gridd.conf"
    behave
}

behave() { printf '%s\n' license_delay=0 retry=1 "$@" >"$root/etc/nvidia/standin.conf"; }
smi() { expect "$1" "$work/tree/nvidia-smi" -q; }

# start_gridd LINE: until it has logged that line
start_gridd() {
    : >"$log"
    rm -f "$pid_file"
    "$work/tree/nvidia-gridd" || fail "nvidia-gridd did not start"
    if wait_until grep -qF -e "$1" "$log"; then
        pid=$(sed -n 's/^nvidia-gridd\[\([0-9]*\)\]: Started.*/\1/p' "$log")
        return
    fi
    cat "$log" >&2
    fail "nvidia-gridd did not say: $1"
}

# A daemon that ended may stay as a zombie where nobody is left to wait for it.
is_running() { grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status" 2>/dev/null; }

has_ended() { ! is_running; }

stop_gridd() {
    [ -n "$pid" ] || fail "no nvidia-gridd to stop"
    ! is_running || kill "$pid"
    wait_until has_ended || fail "nvidia-gridd goes on after SIGTERM"
}

trap '! is_running || kill "$pid"; rm -rf "${work:?}"' EXIT

put_token() {
    expect 0 "$here/make-token" --key "$work/key.pem" --host dls.test "$@" \
        --output "$root/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
}

start_guest 525.105.17 --gpu vgpu --gpu vgpu --gpu vgpu --class 0x040300
smi 0
said "Driver Version                            : 525.105.17"
said "Attached GPUs                             : 2"
said "GPU 00000000:07:00.0"
said "        Virtualization Mode               : VGPU"
said "        License Status                    : Unlicensed (Unrestricted)"

: >"$root/proc/modules"
smi 9
said "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure"
start_gridd "Licensing not supported for GPUs in the system"
stop_gridd
echo "nvidia 16384 0 - Live 0x0" >"$root/proc/modules"
echo 470.63.01 >"$root/sys/module/nvidia/version"
smi 18
said "Failed to initialize NVML: Driver/library version mismatch"
echo 525.105.17 >"$root/sys/module/nvidia/version"

start_gridd "Unable to fetch the client configuration token file"
stop_gridd
put_token
start_gridd "License acquired successfully. (Info: dls.test, NVIDIA RTX Virtual Workstation; Expiry: "
[ "$(cat "$pid_file")" = "$pid" ] || fail "another pid in the pid file"
smi 0
date='20[0-9]*-[1-9][0-9]*-[1-9][0-9]* [0-9]*:[0-9]*:[0-9]*'
[ "$(grep -c "License Status  *: Licensed (Expiry: $date GMT)\$" "$work/out.txt")" = 2 ] ||
    fail "not two licensed GPUs"
behave license_gpus=1
smi 0
[ "$(grep -c ': Licensed' "$work/out.txt")" = 1 ] || fail "the second GPU has its license still"
behave
# It reads the token at its start only.
rm "$root"/etc/nvidia/ClientConfigToken/*
smi 0
said ": Licensed (Expiry"
stop_gridd
grep -qF "License returned successfully. (Info: dls.test)" "$log" || fail "the license was not returned"
smi 0
said ": Unlicensed (Unrestricted)"

put_token
while read -r how line; do
    behave "gridd=$how"
    start_gridd "$line"
    stop_gridd
    ! grep -q 'acquired' "$log" || fail "licensed in spite of $how"
done <<'EOT'
pool_empty Failed to acquire license from dls.test (Info: NVIDIA RTX Virtual Workstation - Error: No pool features found for : NVIDIA RTX Virtual Workstation)
clock_windback - Error: Clock windback has been detected)
response_expired - Error: The allowed time to process response has expired)
trusted_store Failed to update local trusted store - Maximum buffer size exceeded
network - Error: Generic network communication failure)
signature Failed to setup cloud License Manager: 3
EOT
behave gridd=no_renew expiry_seconds=1
start_gridd "License acquired successfully."
sleep 1.1
smi 0
said ": Unlicensed (Restricted)"
stop_gridd
behave
while read -r damage line; do
    put_token "$damage"
    start_gridd "$line"
    stop_gridd
done <<'EOT'
--bad-signature Failed to decode signature from token received
--glued Failed to setup cloud License Manager: 3
--half Failed to read configurations from client configuration token (Error: 
--inner-newline Failed to decode signature from token received
--expired Failed to acquire license from dls.test
--not-yet-valid Clock windback has been detected
--crlf License acquired successfully.
--bom License acquired successfully.
EOT
put_token
echo "FeatureType=0" >"$root/etc/nvidia/gridd.conf"
start_gridd "Valid GRID license not found."
stop_gridd
rm "$root/etc/nvidia/gridd.conf"
start_gridd "License acquired successfully."
grep -qF "Failed to open file /etc/nvidia/gridd.conf (No such file or directory)" "$log" ||
    fail "it did not miss gridd.conf"
stop_gridd

for how in missing-module:9 mismatch:18 no-devices:6 half:0 noise:0 crash:134; do
    behave "smi=${how%:*}"
    smi "${how#*:}"
done
behave smi=hang
expect 124 timeout 1 "$work/tree/nvidia-smi" -q
behave
expect 2 "$work/tree/nvidia-smi" --nonsense

start_guest 580.65.06 --gpu passthrough
smi 0
said "        Virtualization Mode                            : Pass-Through"
said "        License Status                                 : Licensed (Expiry: N/A)"
put_token
echo "FeatureType=2" >"$root/etc/nvidia/gridd.conf"
start_gridd "License acquired successfully."
smi 0
said "        License Status                                 : Licensed (Expiry: 20"
stop_gridd
rm -rf "${root:?}/sys/bus"
smi 6
said "No devices were found"
