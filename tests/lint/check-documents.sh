#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a fenced command of a document has no mark or one that no test knows, a link leads nowhere, README has more than 120
# lines, a man page lacks a section or troff complains of it, or a page that is made from the program's tables is not as they have it. Prints what is not run, and why.

set -eu
build=$1
cd "$(dirname "$0")/../.."

status=0
/usr/bin/python3 -B scripts/make-docs --check "$build/agent/manual/tables.json" || status=1
/usr/bin/python3 -B tests/docs/lint.py || status=1
for page in "$build"/agent/manual/*.[1-8] agent/dist/*.7; do
	for section in 'SH FILES' 'SH DIAGNOSTICS' 'SH EXAMPLES' 'TH [^ ]* [1-8] "20[0-9-]*"'; do
		grep -q "^\.$section" "$page" || { echo "${page##*/} has no $section"; status=1; }
	done
	command -v man >/dev/null || continue
	said=$(LC_ALL=C.UTF-8 man --warnings=w -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null) || :
	[ -z "$said" ] || { printf '%s: %s\n' "${page##*/}" "$said"; status=1; }
done
exit $status
