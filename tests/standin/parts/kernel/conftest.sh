#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# conftest.sh SOURCES OUTPUT HEADER: looks at the kernel's tree before anything is
# compiled and writes down which of its headers are there.
set -eu

sources=$1 output=$2 header=$3

if [ ! -f "$sources/include/linux/kernel.h" ]; then
    echo "The kernel source path '$sources' has no include/linux/kernel.h." >&2
    echo "*** Failed kernel source sanity check. Bailing out! ***" >&2
    exit 1
fi

if ! echo 'int conftest;' | $CC -x c -c -o /dev/null - 2>/dev/null; then
    echo "*** Failed CC sanity check. Bailing out! ***" >&2
    exit 1
fi

major() { sed 's/"//g; s/.* //; s/[^0-9].*//'; }
kernel_cc=$(sed -n '/^CONFIG_CC_VERSION_TEXT=/p' "$output/include/config/auto.conf" | major)
this_cc=$($CC --version | head -n 1 | major)
if [ -z "${IGNORE_CC_MISMATCH:-}" ] && [ "$kernel_cc" != "$this_cc" ]; then
    echo "Warning: Compiler version check failed:" >&2
    echo "The major versions of the compiler used to compile the kernel ($kernel_cc)" >&2
    echo "and of $CC ($this_cc) do not match." >&2
    echo "*** Failed CC version check. @CC_MISMATCH_WORDS@***" >&2
    [ "@CC_MISMATCH_FATAL@" = no ] || exit 1
fi

mkdir -p "${header%/*}"
for name in linux/kernel.h linux/proc_fs.h linux/module.h linux/of.h linux/ioasid.h; do
    word=$(echo "$name" | tr 'a-z/.' 'A-Z__')
    if [ -f "$sources/include/$name" ]; then
        echo "#define NV_${word}_PRESENT"
    else
        echo "#undef NV_${word}_PRESENT"
    fi
done >"$header.new"
if cmp -s "$header.new" "$header"; then
    rm "$header.new"
else
    mv "$header.new" "$header"
fi
