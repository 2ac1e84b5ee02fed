#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The PCI tree has the bytes that a vGPU's configuration space has, or the damage asked for.
. "$(dirname "$0")/common.sh"

# bytes OFFSET COUNT: of the GPU made last
bytes() { tail -c "+$(($1 + 1))" "$gpu/config" | head -c "$2" | od -An -v -tx1 | tr -d ' \n'; }

make_gpu() {
    rm -rf "${work:?}/pci"
    expect 0 "$here/make-pci" "$work/pci" --gpu "$@"
    gpu=$work/pci/bus/pci/devices/0000:06:00.0
}

make_gpu vgpu --host-version 460.16 --branch r460_00
[ "$(bytes 0xd0 27)" = 09681b564600163436302e313600000000723436305f3030000000 ] || fail "short version"
[ "$(bytes 0 12)" = de10b81e0205ff06a1000003 ] || fail "the head"
[ "$(cat "$gpu/vendor" "$gpu/device" "$gpu/class" | tr '\n' ' ')" = "0x10de 0x1eb8 0x030000 " ] || fail "ids"
make_gpu vgpu
[ "$(bytes 0xd0 27)" = 09681b564600163532352e3130352e3134723532385f3739000000 ] || fail "a version that fills its field"
make_gpu vgpu --other-record-first
[ "$(bytes 0xd0 11)" = 09681f56460104aabb0016 ] || fail "an unknown record first"
make_gpu vgpu --class 0x030200
[ "$(cat "$gpu/class")$(bytes 9 3)" = 0x030200000203 ] || fail "the class"
make_gpu passthrough
[ "$(bytes 0xb4 4)" = 09001401 ] || fail "a capability without VF"

make_gpu unreadable
[ "$(wc -c <"$gpu/config")" = 64 ] || fail "not 64 bytes"
make_gpu vgpu --malform truncated64
[ "$(wc -c <"$gpu/config")" = 64 ] || fail "not 64 bytes"
make_gpu vgpu --malform loop
[ "$(bytes 0x34 1) $(bytes 0xd0 2)" = "d0 09d0" ] || fail "no loop"
make_gpu vgpu --malform reclen0
[ "$(bytes 0xd5 2)" = 0100 ] || fail "no record of length 0"
make_gpu vgpu --malform long-cap
[ "$(wc -c <"$gpu/config") $(bytes 0x34 1) $(bytes 0xf0 5)" = "256 f0 09681b5646" ] || fail "no end behind the end"
