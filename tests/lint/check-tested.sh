#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every file that decides has a unit test of its own name: unit/test_<file>.c, of
# commands/ unit/test_command_<file>.c.

set -eu
cd "$(dirname "$0")/../.."

found=0
for file in agent/core/*.c agent/driver/*.c agent/license/*.c agent/doctor/*.c agent/commands/*.c; do
	name=$(basename "$file")
	case $file in
	agent/commands/*) test=tests/unit/test_command_$name ;;
	*/support.c) test=tests/unit/test_doctor_$name ;; # test_support is the tests' own library
	*) test=tests/unit/test_$name ;;
	esac
	if [ ! -e "$test" ]; then
		echo "$file: no $test"
		found=1
	fi
done
exit $found
