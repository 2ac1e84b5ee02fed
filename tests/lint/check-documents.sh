#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a fenced command of a document has no mark or one that no test knows, a link leads nowhere, README has more than 120
# lines, or a page that is made from the program's tables is not as they have it. Prints what is not run, and why.

set -eu
build=$1
cd "$(dirname "$0")/../.."

git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo 'no git work tree'; exit 77; }
status=0
/usr/bin/python3 -B scripts/make-docs --check "$build/agent/manual/tables.json" || status=1
/usr/bin/python3 -B tests/docs/lint.py || status=1
exit $status
