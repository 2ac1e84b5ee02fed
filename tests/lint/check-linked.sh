#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails when a program links a library that is not on its list. The agent is small because it links little; what reads foreign bytes
# is the fetch worker, which has no HTTP; who has the network has no parser.

set -eu
build=$1

[ -e "$build/agent/vgpu-guest-agent" ] || { echo 'the agent is not built'; exit 77; }

# What instrumentation brings along is none of ours.
ours() { # program
	readelf -d "$build/agent/$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -vE '^(libc|libm|libdl|libresolv|libgcc_s|ld-linux.*|lib(asan|ubsan|rt|pthread))\.so'
}

status=0
only() { # program, pattern of the libraries that it may link
	bad=$(ours "$1" | grep -vE "^($2)\.so" || true)
	[ -z "$bad" ] || { echo "$1 links" $bad; status=1; }
}

only vgpu-guest-agent 'libconfig|libjansson|libsystemd'
only fetch-worker 'libcrypto|libz|libyaml-0|libjansson'
only net-worker 'libcurl|libjansson'
exit $status
