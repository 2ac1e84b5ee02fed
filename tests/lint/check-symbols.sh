#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails when file x.c exports a name that does not begin with "x"; of commands/x.c, with "command_x" ("agent" for agent.c).

set -eu

nm -A -g --defined-only "$1"/agent/libvgpu_*.a | awk '
	NF < 3 { next }
	{
		split($1, part, ":")
		noun = part[2]
		sub(/\.c\.o$/, "", noun)
		if (part[1] ~ /libvgpu_commands/ && noun != "agent")
			noun = "command_" noun
		if ($NF !~ /^_/ && index($NF, noun) != 1) {
			print noun ".c exports " $NF
			bad = 1
		}
	}
	END { exit bad }'
