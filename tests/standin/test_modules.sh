#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The module trees build by kbuild against real headers; the installer's own way works too.
. "$(dirname "$0")/common.sh"

kernel=
for folder in /lib/modules/*/build; do
    [ ! -f "$folder/Makefile" ] || kernel=$(basename "${folder%/build}")
done
[ -n "$kernel" ] && command -v modinfo depmod >/dev/null || exit 77
modules=/lib/modules/$kernel
source=$modules/build
[ ! -d "$modules/source" ] || source=$modules/source

# build FOLDER [MORE...]
build() {
    folder=$1
    shift
    make -C "$work/tree/$folder" -j2 KERNEL_UNAME="$kernel" SYSSRC="$source" \
        SYSOUT="$modules/build" IGNORE_CC_MISMATCH=1 "$@" modules
}

make_driver
unpack
expect 0 build kernel
expect 0 build kernel-open NV_EXCLUDE_BUILD_MODULES=nvidia-uvm
[ ! -e "$work/tree/kernel-open/nvidia-uvm.ko" ] || fail "an excluded module was built"
[ "$(modinfo -F version "$work/tree/kernel/nvidia.ko")" = "$version" ] || fail "the module's version"
[ "$(modinfo -F license "$work/tree/kernel/nvidia.ko")" = NVIDIA ] || fail "the license"
[ "$(modinfo -F license "$work/tree/kernel-open/nvidia.ko")" = "Dual MIT/GPL" ] || fail "the open license"
[ "$(modinfo -F depends "$work/tree/kernel/nvidia-uvm.ko")" = nvidia ] || fail "uvm needs nvidia"
modinfo -F vermagic "$work/tree/kernel/nvidia.ko" | grep -q "^$kernel " || fail "vermagic"

# Debian splits its headers: the build folder alone is not enough for the driver.
if [ -d "$modules/source" ]; then
    unpack
    expect 2 make -C "$work/tree/kernel" KERNEL_UNAME="$kernel" SYSSRC="$modules/build" modules
    said "include/linux/kernel.h"
fi

expect 0 sh "$run" --tmpdir "$work" -s --kernel-name="$kernel" --log-file-name="$work/log"
module=$work/root/lib/modules/$kernel/video/nvidia.ko
[ "$(modinfo -F version "$module")" = "$version" ] || fail "the installer's own modules"
expect 1 sh "$run" --tmpdir "$work" -s --kernel-name=0.0-none
said "Unable to find the kernel source tree"
expect 1 sh "$run" --tmpdir "$work" -s --kernel-source-path=/nonexistent
said "The kernel source path '/nonexistent' does not exist."
[ -e "$module" ] || fail "a failed build removed the old driver"
# Its own modules go with the old driver, also where it installs no new ones; others stay.
mkdir -p "$work/root/lib/modules/$kernel/updates"
cp "$module" "$work/root/lib/modules/$kernel/updates/"
expect 0 sh "$run" --tmpdir "$work" -s --no-kernel-module
[ ! -e "$module" ] || fail "the installer left its old modules"
[ -e "$work/root/lib/modules/$kernel/updates/nvidia.ko" ] || fail "it removed a foreign module"

make_driver --fault build-error
unpack
expect 2 build kernel
said "error: implicit declaration of function"
expect 1 sh "$run" --tmpdir "$work" -s --kernel-name="$kernel" --log-file-name="$work/log"
said "The nvidia kernel module was not created."
grep -q 'error: implicit declaration' "$work/log" || fail "the compiler's words are not in the log"
