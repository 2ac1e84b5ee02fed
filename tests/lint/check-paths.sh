#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a committed file names a place that exists on one machine only.

set -eu
cd "$(dirname "$0")/../.."

git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo 'no git work tree'; exit 77; }

# A home folder, a checkout, a scratch folder with a name; this file names them too.
! git grep -nIE '(^|[^A-Za-z0-9_.-])/(work|home/[a-z]+|root/[a-z]|Users|workspace|builds)/' -- . ':!tests/lint/check-paths.sh' ':!tests/data' ':!tests/fuzz/corpus'
