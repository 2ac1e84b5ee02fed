#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails when a mutant no longer applies: then nobody knows any more whether the tests see that bug.

set -eu
cd "$(dirname "$0")/../.."

status=0
for patch in tests/mutants/*.patch; do
    git apply --check -C2 "$patch" 2>/dev/null && continue
    echo "${patch##*/} no longer applies: make the same bug where the code is now"
    status=1
done
exit $status
