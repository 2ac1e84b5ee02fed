#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails when a file includes something from a floor it may not see, or a foreign
# library through another door than its own (agent/README.md).

set -eu
cd "$(dirname "$0")/../../agent"

status=0
check() { # folder, pattern of the project headers its files may include
	bad=$(find "$1" -name '*.[ch]' | while read -r file; do
		noun=${file%.?} # a room may have several files: noun.c, noun_part.c
		grep -nHE '^#include "' "$file" |
			grep -vE "#include \"($2|${noun%%_*}(_[a-z0-9_]+)?\\.h)" || true
	done)
	[ -z "$bad" ] || { echo "$bad"; status=1; }
}

check base 'base/'
check model 'base/(macro|error|span|text|json)\.h|model/'
check steps 'base/|model/|steps/(detect/module_(file|chosen|enforced|trusted)|depmod|driver_files|intent|fetch/transport_for)\.h' # what several steps ask or tell
check worker 'base/|model/|worker/'
both='worker/(worker|progress|sandbox|sink|wire)\.h|worker/(http/http_request|job/job)\.h'
check worker/net "base/|model/|worker/(net|http)/|$both" # who has the network has no parser
check worker/http "base/|model/|worker/http/|$both"
for room in job bundle token; do
	check worker/$room "base/|model/|worker/[a-z0-9_]+\.h|worker/(job|bundle|token)/|worker/http/http_request\.h"
done
check core 'base/|model/|steps/|core/'
check driver 'base/|model/|steps/|core/|driver/'
check doctor 'base/|model/|steps/|core/|doctor/'
check license 'base/|model/|steps/|core/|doctor/|license/'
check commands 'base/|model/|steps/|core/|driver/|doctor/|license/|commands/'
check cli 'base/|model/|core/journal\.h|commands/|cli/'
check manual 'base/|model/|cli/|manual/'

door() { # pattern of the library's headers, the files that may include it
	bad=$(grep -rnE "^#include <($1)" --include='*.[ch]' . |
		grep -vE "^\\./($2):" || true)
	[ -z "$bad" ] || { echo "$bad"; status=1; }
}

door 'curl/' 'worker/http/http(_date)?\.c'
door 'openssl/' 'worker/(certificate|digest|signature)\.c'
door 'zlib\.h' 'worker/(inflate|deflate)\.c'
door 'yaml\.h' 'worker/catalog_yaml\.c'
door 'libconfig' 'model/settings/settings\.c'
door 'jansson' 'base/json\.c'
door 'systemd/sd-bus' 'steps/license/gridd\.c'
door 'systemd/sd-journal' '(core/journal|steps/license/gridd_log|steps/seal_journal)\.c'
door 'systemd/sd-daemon' 'commands/monitor\.c'
door 'libkmod' 'steps/detect/module_file\.c'
door 'dlfcn\.h' 'steps/(license/nvml|validate/cuda_api|detect/module_file)\.c'
exit $status
