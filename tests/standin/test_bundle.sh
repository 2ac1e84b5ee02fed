#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bundles and packages have the names that real ones have.
. "$(dirname "$0")/common.sh"

command -v unzip >/dev/null && command -v rpmbuild >/dev/null || exit 77

# bundle NAME OPTIONS...: the member list on standard input, manuals left out
bundle() {
    name=$1
    shift
    rm -rf "${work:?}/out"
    expect 0 "$here/make-driver" --output "$work/out" --kinds bundle "$@"
    unzip -Z1 "$work/out/$name" | grep -v '\.pdf$' >"$work/members" || fail "no bundle $name"
    diff - "$work/members" || fail "members of $name"
    unzip -tqq "$work/out/$name" || fail "$name is damaged"
}

bundle NVIDIA-GRID-Linux-KVM-410.92-410.91-412.16.zip --version 410.92 --host-version 410.91 <<'EOT'
412.16_grid_win10_server2016_64bit_international.exe
412.16_grid_win8_win7_server2012R2_server2008R2_64bit_international.exe
NVIDIA-Linux-x86_64-410.91-vgpu-kvm.run
NVIDIA-Linux-x86_64-410.92-grid.run
EOT
bundle NVIDIA-GRID-Linux-KVM-510.85.03-510.85.02-513.46.zip --version 510.85.02 \
    --host-version 510.85.03 --compression store <<'EOT'
Guest_Drivers/
Guest_Drivers/513.46_grid_win10_win11_server2019_server2022_64bit_international.exe
Guest_Drivers/nvidia-linux-grid-510-510.85.02-1.x86_64.rpm
Guest_Drivers/nvidia-linux-grid-510_510.85.02_amd64.deb
Guest_Drivers/NVIDIA-Linux-x86_64-510.85.02-grid.run
Host_Drivers/
Host_Drivers/NVIDIA-Linux-x86_64-510.85.03-vgpu-kvm.run
EOT
! unzip -v "$work/out/"*.zip | grep -q Defl || fail "--compression store compressed"
bundle NVIDIA-GRID-Linux-KVM-550.163.02-550.163.01-553.74.zip --version 550.163.01 \
    --host-version 550.163.02 <<'EOT'
Guest_Drivers/
Guest_Drivers/553.74_grid_win10_win11_server2022_dch_64bit_international.exe
Guest_Drivers/NVIDIA-Linux-x86_64-550.163.01-grid.run
Guest_Drivers/nvidia-linux-grid-550-550.163.01-1.x86_64.rpm
Guest_Drivers/nvidia-linux-grid-550_550.163.01_amd64.deb
Host_Drivers/
Host_Drivers/NVIDIA-Linux-x86_64-550.163.02-vgpu-kvm.run
Signing_Keys/
Signing_Keys/vgpu_debian_publickey.pub
Signing_Keys/vgpu_rpm_publickey.pub
EOT
expect 0 "$here/make-driver" --output "$work/out" --kinds bundle --version 535.129.03
[ -f "$work/out/NVIDIA-GRID-Linux-KVM-535.129.03-537.70.zip" ] || fail "one version for host and guest"
expect 0 "$here/make-driver" --output "$work/out" --kinds bundle --version 470.63.01 \
    --host-version 470.63
unzip -Z1 "$work/out/NVIDIA-GRID-Linux-KVM-470.63-470.63.01-471.68.zip" |
    grep -qx 'NVIDIA-GRID-Linux-KVM-470.63-470.63.01-471.68/NVIDIA-Linux-x86_64-470.63.01-grid.run' ||
    fail "13.0 has everything in one folder"

make_driver --kinds deb,rpm
deb=$work/out/nvidia-linux-grid-525_${version}_amd64.deb
rpm=$work/out/nvidia-linux-grid-525-$version-1.x86_64.rpm
cp "$deb" "$work/first.deb"
cp "$rpm" "$work/first.rpm"
make_driver --kinds deb,rpm
cmp "$deb" "$work/first.deb" || fail "the .deb is not reproducible"
cmp "$rpm" "$work/first.rpm" || fail "the .rpm is not reproducible"
[ "$(dpkg-deb -f "$deb" Package Version | tr '\n' ' ')" = "Package: nvidia-linux-grid-525 Version: $version " ] ||
    fail "what the .deb says of itself"
list_deb() { dpkg-deb -c "$deb"; }
list_rpm() { rpm --dbpath "$work/rpmdb" -qlp "$rpm"; }
for list in list_deb list_rpm; do
    $list >"$work/list"
    for name in /usr/bin/nvidia-smi /usr/bin/nvidia-gridd /etc/nvidia/gridd.conf nvidia-gridd.service; do
        grep -q "$name\$" "$work/list" || fail "no $name by $list"
    done
done
make_driver --kinds deb,rpm --fault missing-unit
! list_deb | grep -q service || fail "a unit in spite of missing-unit"
! list_rpm | grep -q service || fail "a unit in spite of missing-unit"
