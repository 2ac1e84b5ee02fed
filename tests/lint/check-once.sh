#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a question that has one place is answered in another: a path of the agent's
# (model/paths.h), the name within a path and bytes as hexadecimal digits (base/text.h), what
# a SHA-256 looks like (model/driver/package.h). What has two places is changed in one of them.

set -eu
cd "$(dirname "$0")/../../agent"

status=0
once() { # what, pattern of grep -E, the files that may hold it
	bad=$(grep -rnE "$2" --include='*.[ch]' . | grep -vE "^\./($3):" || true)
	[ -z "$bad" ] || { echo "$1:"; echo "$bad"; status=1; }
}

once 'a path, see model/paths.h' \
	'^[^*]*"/(etc|run|usr|var)/[^"]*(vgpu-guest-agent|gridd\.conf|ClientConfigToken|GridLicensing|nvidia-(smi|gridd)")' \
	'model/paths\.h'
once 'the name within a path, see base/text.h' "slash \? slash \+ 1" 'base/(text|span)\.c'
once 'hexadecimal digits, see base/text.h and model/driver/package.h' \
	'"0123456789(abcdef)?(ABCDEF)?"|%02x", [a-z]+\[i\]' 'base/text\.c|model/license/gridd_conf\.c|steps/detect/detect\.c'
# What is cut off there would name another file.
once 'a path that may be cut off, see text_path() of base/text.h' \
	'\(void\)text_format\([^,]*, *[^,]*, *("/(lib|boot|sys|usr|etc|var|proc|run|openstack)/|PATHS_[A-Z_]* "/)' ''
exit $status
