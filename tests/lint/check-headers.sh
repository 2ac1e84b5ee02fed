#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a file does not name its license, or a header of the agent does not open by saying what its room is.

set -eu
cd "$(dirname "$0")/../.."

status=0
list=$(mktemp)
trap 'rm -f "$list"' EXIT

complain() {
	echo "$1: $2"
	status=1
}

sources() { # all that a person wrote; without git, the folders as they stand
	git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null || find "$@" -type f
}

# stub.sh begins like the real stub of a .run, which names none.
sources agent tests scripts | grep -E '\.(c|h|sh|py|cmake)$|/CMakeLists\.txt$' | grep -v '/parts/stub\.sh$' >"$list"
while read -r file; do
	[ -e "$file" ] || continue
	grep -qm 1 'SPDX-License-Identifier: Apache-2\.0' "$file" || complain "$file" 'names no license'
done <"$list"

find agent -name '*.h' -not -path '*/dist/*' >"$list"
while read -r file; do
	# License, #pragma once, blank line, comment.
	[ "$(sed -n 2p "$file")" = '#pragma once' ] || complain "$file" 'has no #pragma once as its second line'
	sed -n 4p "$file" | grep -q '^/\*' || complain "$file" 'does not open with a comment that says what the room is'
done <"$list"
exit $status
