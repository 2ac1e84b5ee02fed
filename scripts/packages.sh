# SPDX-License-Identifier: Apache-2.0
#
# What a fresh Debian 12 needs to build, test and demonstrate this project, and how it is installed. Sourced by scripts/test and
# scripts/demo.

PACKAGES_BUILD="gcc libc6-dev cmake ninja-build pkg-config
    libcurl4-openssl-dev libssl-dev libconfig-dev libsystemd-dev zlib1g-dev libjansson-dev libyaml-dev libkmod-dev"

# The stand-in driver, the throw-away guests and the servers around them.
PACKAGES_GUEST="python3 openssl nginx-light mmdebstrap systemd-container iproute2 kmod make
    xz-utils zip unzip rpm ca-certificates"

PACKAGES_TEST="libcmocka-dev clang clang-format clang-tidy cppcheck shellcheck gcovr llvm libclang-rt-14-dev
    qemu-system-x86 e2fsprogs cpio procps curl binutils linux-headers-cloud-amd64
    python3-diskimage-builder debootstrap qemu-utils sudo git file dpkg-dev fdisk genisoimage lintian rpmlint prometheus ansible-core python3-yaml
    strace"
[ -z "${VGPU_ALL:-}" ] || PACKAGES_TEST="$PACKAGES_TEST ovmf mtools"

# packages_missing NAME... : those that are not installed
packages_missing() {
    for package in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in
        ii*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# packages_install NAME... : with apt, without asking and without starting the services that come with them
packages_install() {
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "these packages are missing and only root can install them: $missing" >&2
        return 1
    fi
    packages_log=$(mktemp)
    policy=
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    status=0
    packages_apt $missing >"$packages_log" 2>&1 </dev/null || status=$?
    [ -z "$policy" ] || rm -f $policy
    # Only where they came with us: this machine's boot shall not start servers for our sake.
    case " $missing " in *" nginx-light "*) systemctl disable --quiet nginx 2>/dev/null || : ;; esac
    case " $missing " in *" prometheus "*) systemctl disable --quiet prometheus 2>/dev/null || : ;; esac
    [ $status -eq 0 ] || tail -n 30 "$packages_log" >&2
    rm -f "$packages_log"
    return $status
}

packages_apt() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update && apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}
