#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails when steps/validate/cuda_kernels.c is not what scripts/make-kernels makes of its source.

set -eu
cd "$(dirname "$0")/../.."

case $(clang --version 2>/dev/null) in
*"version 14."*) ;;
*) echo 'needs clang 14: another one writes other PTX'; exit 77 ;;
esac
scripts/make-kernels --print | diff -u agent/steps/validate/cuda_kernels.c -
