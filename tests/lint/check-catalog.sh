#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails when an entry of the journal has no explanation in the catalog, or systemd does not understand the catalog or a unit.

set -eu
cd "$(dirname "$0")/../../agent"

status=0
for id in $(sed -n 's/^#define JOURNAL_[A-Z_]* "\([0-9a-f]\{32\}\)"$/\1/p' core/journal.h); do
	grep -q "^-- $id\$" dist/vgpu-guest-agent.catalog || { echo "no explanation for $id"; status=1; }
done

command -v systemd-analyze >/dev/null || exit $status
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
units=$work/usr/lib/systemd/system
mkdir -p "$units/nvidia-gridd.service.d" "$work/usr/bin" "$work/bin" "$work/usr/libexec/vgpu-guest-agent"
cp dist/systemd/*.service dist/systemd/*.timer dist/systemd/*.path dist/systemd/*.target "$units"
cp dist/systemd/nvidia-gridd.conf "$units/nvidia-gridd.service.d"
printf '[Service]\nType=forking\nExecStart=/usr/bin/true\n' >"$units/nvidia-gridd.service"
for program in bin/sh bin/rm usr/bin/true usr/bin/vgpu-guest-agent usr/libexec/vgpu-guest-agent/monitor-prepare; do
	printf '#!/bin/sh\n' >"$work/$program"
	chmod 755 "$work/$program"
done
# Of a root without systemd's own units only what concerns ours counts.
systemd-analyze verify --root="$work" --man=no "$units"/vgpu-* "$units/nvidia-gridd.service" >"$work/said" 2>&1 || :
if grep -E "^(.*/)?(vgpu-|nvidia-gridd|10-vgpu).*(Unknown|Failed to parse|ignoring|Invalid|not executable)" "$work/said"; then
	status=1
fi
exit $status
