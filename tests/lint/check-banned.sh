#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where the agent calls a function that has no safe use here, or that takes a decision that is not its caller's.

set -eu
cd "$(dirname "$0")/../../agent"

status=0
ban() { # why, pattern of the names, files that may
	bad=$(grep -rnE "(^|[^A-Za-z0-9_.>\"])($2)[[:space:]]*\(" --include='*.[ch]' . |
		grep -vE "^[^:]*:[0-9]+:[[:space:]]*(/?\*|[^\"]*/\* )" |
		grep -vE "^\./(${3:--}):" || true)
	[ -z "$bad" ] || { echo "$bad"; echo "  banned: $1"; status=1; }
}

ban 'writes without knowing the room' \
	'gets|strcpy|stpcpy|strcat|strncpy|stpncpy|strncat|sprintf|vsprintf|v?f?scanf|v?sscanf|alloca'
ban 'cannot say that it failed' 'ato[fil]|atoll|signal' '(cli/main|worker/worker)\.c'
ban 'keeps state between its callers' \
	'strtok|strerror|asctime|ctime|gmtime|localtime|setenv|putenv|unsetenv|s?rand|s?random'
# Where a wrong "no" neither overwrites nor deletes anything, nor leaves anything out that must be done.
ban 'takes "cannot tell" for "not there": root_look(), root_exists(), file_compare() have three answers' 'root_stat|file_same' \
	'base/(root|file|run)\.[ch]|commands/agent\.c|driver/(choose|work)\.c|license/(licensing|token_watch)\.c|steps/[a-z]+/(announce|build_dkms|build_tree|detect|detect_kernels|diagnose|install_blacklist|install_dkms|install_initramfs|install_load|install_modules|metadata_device|obstacle|toolchain|toolchain_install)\.c'
ban 'runs a shell' 'system|popen|wordexp'
ban 'guesses a name' 'mktemp|tmpnam|tempnam|tmpfile'
ban 'finds programs by PATH' 'exec[lv]pe?|execlp|posix_spawnp'
ban 'resolves outside a struct root' 'realpath|access|glob|ftw|nftw|system'
ban 'ends the process behind its callers' 'exit|quick_exit|abort' '(cli|worker)/main\.c'
ban 'jumps' 'setjmp|sigsetjmp|longjmp|siglongjmp'

# Leaving is by return: the cleanup attributes do the rest.
bad=$(grep -rnE '^[[:space:]]*goto ' --include='*.[ch]' . || true)
[ -z "$bad" ] || { echo "$bad"; echo '  banned: goto'; status=1; }
exit $status
