#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# scripts/prebuild-modules: what it calls the agent with, and that the system stays as it is. With VGPU_ALL it builds for real, also
# for a kernel whose headers apt brings.
set -eu
cd "$(dirname "$0")/../.."
[ "$(id -u)" -eq 0 ] && unshare --mount true || { echo 'needs root'; exit 77; }
kernel=
for each in /lib/modules/*; do
    [ ! -e "$each/build/include/config/auto.conf" ] || kernel=${each##*/}
done
[ -n "$kernel" ] || { echo 'no kernel headers on this machine'; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/out" "$work/tmp"
status=0

claim() { # WHAT COMMAND...
    what=$1
    shift
    if "$@" >"$work/said" 2>&1; then
        echo "ok - $what"
    else
        echo "not ok - $what"
        cat "$work/said" "$work/output"
        status=1
    fi
}

build() { TMPDIR=$work/tmp scripts/prebuild-modules "$@" >"$work/output" 2>&1; }
dies() { # STATUS WORDS ARGUMENT...
    expected=$1 words=$2 got=0
    shift 2
    build "$@" || got=$?
    cat "$work/output"
    [ $got -eq "$expected" ] && grep -q -e "$words" "$work/output"
}

say() { # STATUS PASSING: what the agent reports
    printf '{"schema":1,"steps":[],"error":{"name":"x","status":%s,"step":"build","message":"%s","hint":null,"passing":%s}}\n' "$1" \
        'compiling the kernel modules: exit status 2: nv-pci.c: \"x\" is no \\name' "$2" >"$work/report"
}
not_noted() {
    # shellcheck disable=SC2086 # one word each
    ! build $call "$kernel" -- --set fails=1 && [ ! -e "$note" ]
}
indexed() {
    "$VGPU_BUILD/agent/vgpu-guest-agent" index "$note" | grep -q -F -e '"builds":[{"version":"550.90.07",'
}

printf '#!/bin/sh\nversion_string=550.90.07\n' >"$work/x.run"
# The agent's place is taken by one that writes down how it was called.
cat >"$work/agent" <<'END'
#!/bin/sh
echo "$@" >>"${0%/*}/called"
[ -e "$2/dev/null" ] && [ -e "$2/proc/self" ] || exit 1
touch "$2/usr/written-in-the-copy"
case "$*" in *fails*) cat "${0%/*}/report"; exit 8 ;; esac
output=${*##* --output }
: >"${output%% *}"
END
chmod 755 "$work/agent"
archive=$work/out/nvidia-modules-550.90.07-$kernel-proprietary.tar.gz
note=$work/out/nvidia-build-550.90.07-$kernel-proprietary.json
call="--driver $work/x.run --output $work/out --agent $work/agent"

claim 'no kernel is a usage error' dies 2 'a kernel' --driver "$work/x.run" --output "$work/out"
claim 'a release that leads elsewhere' dies 2 'no kernel release' --driver "$work/x.run" --output "$work/out" ../x
claim 'a driver that is none' dies 2 'does not say its version' --driver "$work/agent" --output "$work/out" "$kernel"

# shellcheck disable=SC2086 # one word each
{
    claim 'an archive for the kernel' build $call "$kernel"
    claim 'it has the name of the contract' [ -f "$archive" ]
    claim 'the agent works in the copy' grep -q -e "^--root $work/tmp/[^ ]*/root --json --set driver.kernel_module=proprietary build-modules --kernel $kernel --driver $work/x.run --output $archive\$" "$work/called"
    : >"$work/called"
    claim 'one that is there stays' build $call "$kernel"
    claim 'and is not built again' [ ! -s "$work/called" ]
    rm -f "$archive"
    claim 'a host that has the key signs' build $call --sign-command "$work/x.run" --sign-cert "$work/agent" "$kernel"
    claim 'the agent is told who' grep -q -e "--sign-command $work/x.run --sign-cert $work/agent\$" "$work/called"
    rm -f "$archive"
    say 8 true
    claim 'what fails is named at the end' dies 1 "not built: $kernel" $call "$kernel" -- --set fails=1
    claim 'what may pass is not noted' [ ! -e "$note" ]
    say 7 false
    claim 'nor what the build host lacks' not_noted
    say 8 false
    claim 'a driver that does not compile' dies 1 "$note" $call "$kernel" -- --set fails=1
    claim 'has a note' grep -q -F -x -e "{\"version\":\"550.90.07\",\"kernel\":\"$kernel\",\"flavour\":\"proprietary\",\"ok\":false,\"why\":\"nv-pci.c: \\\"x\\\" is no \\\\name\"}" "$note"
    claim 'which the index takes' indexed
    claim 'and which goes once it compiles' build $call "$kernel"
    claim 'so that nothing is left of it' [ ! -e "$note" ]
}
claim 'the system is as it was' [ ! -e /usr/written-in-the-copy ]
claim 'nothing is left over' [ -z "$(ls -A "$work/tmp")" ]

if [ "${VGPU_ALL:-}" = 1 ]; then
    DESTDIR=$work cmake --install "$VGPU_BUILD" --prefix /usr >/dev/null
    tests/standin/make-driver --version 550.90.07 --kinds run --output "$work" >/dev/null
    other=$(apt-cache pkgnames linux-headers- | sed -n 's/^linux-headers-\([0-9].*-cloud-amd64\)$/\1/p' | grep -v -x -e "$kernel" |
        sort -V | tail -n 1)
    claim 'two real archives' build --driver "$work/NVIDIA-Linux-x86_64-550.90.07-grid.run" --output "$work/out" \
        --agent "$work/usr/bin/vgpu-guest-agent" "$kernel" "$other"
    for each in "$kernel" "$other"; do
        claim "$each is what it says" sh -c "tar -xzOf '$work/out/nvidia-modules-550.90.07-$each-proprietary.tar.gz' manifest.json |
            grep -q '\"kernel\": *\"$each\"'"
    done
    claim 'its headers did not come into the system' [ ! -e "/lib/modules/$other" ]
fi
exit $status
