#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a shell script does not parse, or a Python program does not compile; where it is installed, on what shellcheck calls a
# warning; and where one of scripts/ does not tell how it is called, or what was wrong with a call.

set -eu
cd "$(dirname "$0")/../.."

status=0
shells=
for file in $(find .ci scripts tests cloud-init dib-element agent/dist -type f -not -path '*/corpus/*' -not -path '*/data/*' 2>/dev/null | sort); do
	case $(head -c 64 "$file" | tr -d '\000' | head -n 1) in
	'#!/bin/sh'*)
		sh -n "$file" || status=1
		shells="$shells $file" ;;
	'#!/bin/bash'* | '#!/usr/bin/env bash'*)
		bash -n "$file" || status=1
		shells="$shells $file" ;;
	'#!'*python3*)
		/usr/bin/python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$file" || status=1 ;;
	esac
done

for file in scripts/*; do
	[ -f "$file" ] && [ -x "$file" ] || continue
	"$file" --help </dev/null | grep -q '^usage: ' || { echo "$file --help does not say how it is called"; status=1; }
	code=0
	said=$("$file" --nonsense 2>&1 </dev/null) || code=$?
	case $code,$(printf '%s\n' "$said" | tail -n 1) in
	2,*"${file#scripts/}: "*) ;;
	*) echo "$file --nonsense ends with $code: $said"; status=1 ;;
	esac
done

if command -v shellcheck >/dev/null; then
	# SC1007: "a= b=" is how a script begins. SC2034, SC2154: variables come from files that are sourced by a computed path.
	# SC2050: a template compares the words that replace its @NAMES@.
	# shellcheck disable=SC2086 # one word each
	shellcheck --severity=warning --exclude=SC1007,SC2034,SC2050,SC2154 $shells || status=1
fi
exit $status
