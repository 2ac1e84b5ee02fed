#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where clang-format would write a line otherwise. Its versions disagree, so another than Debian 12's proves nothing.

set -eu
cd "$(dirname "$0")/../.."

clang-format --version 2>/dev/null | grep -q ' version 14\.' || { echo 'no clang-format 14 here'; exit 77; }

# The stand-in's kernel modules are the kernel's house: they have a .clang-format of their own.
find agent tests -name '*.[ch]' -not -path '*/build/*' -print0 | xargs -0 clang-format --dry-run -Werror
