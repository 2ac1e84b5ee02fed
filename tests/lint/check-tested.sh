#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every file that decides has a unit test of its own name: unit/test_<file>.c, of
# commands/ unit/test_command_<file>.c.

set -eu
cd "$(dirname "$0")/../.."

# Still without one. A file that has got its test is an error here, too.
missing=""
missing="$missing agent/license/licensing.c"
missing="$missing agent/license/publish.c"
missing="$missing agent/license/token_trial.c"
missing="$missing agent/license/which_token.c"
missing="$missing agent/doctor/examine.c"
missing="$missing agent/doctor/findings.c"
missing="$missing agent/doctor/support.c"
missing="$missing agent/commands/agent.c"
missing="$missing agent/commands/build_modules.c"
missing="$missing agent/commands/config.c"
missing="$missing agent/commands/doctor.c"
missing="$missing agent/commands/fetch.c"
missing="$missing agent/commands/index.c"
missing="$missing agent/commands/monitor.c"
missing="$missing agent/commands/plan.c"
missing="$missing agent/commands/preflight.c"
missing="$missing agent/commands/run.c"
missing="$missing agent/commands/seal.c"
missing="$missing agent/commands/token.c"
missing="$missing agent/commands/uninstall.c"
missing="$missing agent/commands/validate.c"
found=0
for file in agent/core/*.c agent/driver/*.c agent/license/*.c agent/doctor/*.c agent/commands/*.c; do
	name=$(basename "$file")
	case $file in
	agent/commands/*) test=tests/unit/test_command_$name ;;
	*) test=tests/unit/test_$name ;;
	esac
	case " $missing " in
	*" $file "*) excepted=true ;;
	*) excepted=false ;;
	esac
	if [ ! -e "$test" ] && ! $excepted; then
		echo "$file: no $test"
		found=1
	elif [ -e "$test" ] && $excepted; then
		echo "$file: has $test, and is an exception in $0"
		found=1
	fi
done
exit $found
