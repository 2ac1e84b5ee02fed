#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where cppcheck finds something in the files of the build that cppcheck.supp does not forgive.

set -eu
here=$(cd "$(dirname "$0")" && pwd)

command -v cppcheck >/dev/null || { echo 'no cppcheck here'; exit 77; }

exec cppcheck --project="$1/compile_commands.json" --suppressions-list="$here/cppcheck.supp" --inline-suppr \
	--enable=warning,style,performance,portability --std=c11 --error-exitcode=1 --quiet -j 2
