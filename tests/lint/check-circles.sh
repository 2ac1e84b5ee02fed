#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails when files of agent/ call or include each other in a loop: then none of them can be read, tested or moved alone.

set -eu
cd "$(dirname "$0")/../../agent"

acyclic() { # what the pairs "from to" on standard input are
	loop=$(tsort 2>&1 >/dev/null) && return 0
	echo "$1:"
	echo "$loop" | sed -n 's/^tsort: \([^-]\)/  \1/p'
	return 1
}

status=0
grep -rn '^#include "' --include='*.h' . | sed -E 's/^\.\/([^:]+):[^"]*"([^"]+)".*/\1 \2/' |
	acyclic 'headers that include each other' || status=1

# The object of each source that is still there, from its own floor: a build folder keeps those of files that have moved.
find . -name '*.c' | sed 's/^\.\///' | while read -r source; do
	object=$1/agent/CMakeFiles/vgpu_${source%%/*}.dir/$source.o
	[ ! -e "$object" ] || nm -g "$object" | sed "s|^|$source |"
done | awk '
	$(NF - 1) == "U" { used[$1, $NF] = 1; next }
	{ where[$NF] = $1 }
	END {
		for (use in used) {
			split(use, part, SUBSEP)
			if (part[2] in where && where[part[2]] != part[1])
				print part[1], where[part[2]]
		}
	}' |
	acyclic 'files that call each other' || status=1
exit $status
