#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a path of the agent's is written out elsewhere than in model/paths.h: what
# has two places is changed in one of them.

set -eu
cd "$(dirname "$0")/../../agent"

! grep -rnE '"/(etc|run|usr|var)/[^"]*(vgpu-guest-agent|gridd\.conf|ClientConfigToken|GridLicensing|nvidia-(smi|gridd)")' \
	--include='*.[ch]' . | grep -vE '^\./model/paths\.h:|/\*.*"'
