#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a function outside of commands/ takes the whole agent, or a context that it could change: what a step reads is an
# argument, what it makes is its result. Also where struct agent grows beyond ten members.

set -eu
cd "$(dirname "$0")/../../agent"

status=0
# A table of functions of commands/ may name their type.
bad=$(grep -rnE 'struct agent\b' --include='*.[ch]' . | grep -vE '^\./commands/|^\./cli/command\.h:.*\(\*run\)' || true)
[ -z "$bad" ] || { echo "$bad"; echo '  takes the whole agent'; status=1; }

bad=$(grep -rnE 'struct context \*' --include='*.[ch]' . | grep -vE '^\./commands/|const struct context \*' || true)
[ -z "$bad" ] || { echo "$bad"; echo '  takes a context that it could change'; status=1; }

members=$(awk '/^struct agent \{/ { inside = 1; next } /^\};/ { inside = 0 } inside && /;/ { count++ } END { print count }' commands/agent.h)
[ "$members" -le 10 ] || { echo "commands/agent.h: struct agent has $members members"; status=1; }
exit $status
