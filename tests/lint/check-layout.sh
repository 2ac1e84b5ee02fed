#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where git knows something at the top level that does not belong there.

set -eu
cd "$(dirname "$0")/../.."

git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo 'no git work tree'; exit 77; }

! git ls-files | cut -d / -f 1 | sort -u |
	grep -vE '^(\..+|CMakeLists\.txt|CMakePresets\.json|LICENSE|(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|agent|cloud-init|dib-element|docs|scripts|tests)$'
