#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nvidia-installer knows the options of the version it is made like, and no others.
. "$(dirname "$0")/common.sh"

like=
while read -r next status options; do
    if [ "$next" != "$like" ]; then
        like=$next
        make_driver --installer-like "$like"
        unpack
        expect 0 "$work/tree/nvidia-installer" --advanced-options
        cp "$work/out.txt" "$work/$like.txt"
    fi
    # shellcheck disable=SC2086
    expect "$status" "$work/tree/nvidia-installer" --help $options
done <<'EOT'
418.66 0 --no-drm --skip-depmod -as
418.66 1 --systemd
510.47.03 0 --dkms --kernel-module-only --no-cc-version-check --no-systemd
510.47.03 1 --no-dkms
510.47.03 1 --no-kernel-modules
510.47.03 1 --no-disable-nouveau
525.105.17 0 -s --no-kernel-module --no-nouveau-check --no-x-check --no-rpms
525.105.17 0 --no-dkms --no-kernel-modules -m=kernel-open -j8 -k 6.1 --kernel-name=6.1
525.105.17 1 --no-silent
525.105.17 1 --silent=yes
525.105.17 1 --kernel-name
525.105.17 1 --rebuild-initramfs
525.105.17 1 --allow-installation-with-running-driver
550.163.01 0 --skip-module-load --no-rebuild-initramfs --no-disable-nouveau
550.163.01 1 -M=open
580.65.06 0 -M=open --allow-installation-with-running-driver
EOT
expect 0 "$work/tree/nvidia-installer" --print-recommended-kernel-module-type

grep -q -- '--no-kernel-module$' "$work/510.47.03.txt" || fail "510 names --no-kernel-module"
! grep -q -- '--no-kernel-module$' "$work/525.105.17.txt" || fail "525 takes it, but hides it"
grep -q -- '-K, --kernel-modules-only$' "$work/525.105.17.txt" || fail "525 names the new form"
grep -q -- '--dkms, --no-dkms$' "$work/525.105.17.txt" || fail "the negative form is named"
grep -q -- '-k KERNEL-NAME, --kernel-name=KERNEL-NAME$' "$work/525.105.17.txt" || fail "the value is named"
