# SPDX-License-Identifier: Apache-2.0
"""An Ubuntu tree, from the archive that VGPU_UBUNTU_ARCHIVE names."""
import fcntl
import glob
import hashlib
import os
import tempfile
import urllib.request

from lab import base, check

SUITE = "jammy"
# This machine's distribution may not have the key of another's archive: its package, by its checksum.
KEYRING = "pool/main/u/ubuntu-keyring/ubuntu-keyring_2021.03.26_all.deb"
KEYRING_SHA256 = "0d0e7ed6b112f5d03eabf3c7eb01ebdacf9c57714b279e90495cfc58c8c4520f"
# As its own installers have it since 19.04.
MERGED_USR = "--setup-hook=/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh"
PACKAGES = """
    apt systemd systemd-sysv dbus udev kmod iproute2 procps ca-certificates cloud-init
    gcc make libc6-dev xz-utils linux-image-virtual linux-headers-virtual
""".split()


def archive():
    """Its URL, such as http://archive.ubuntu.com/ubuntu; check.Skip where none is named, an error where it is none."""
    url = os.environ.get("VGPU_UBUNTU_ARCHIVE", "").rstrip("/")
    if not url:
        raise check.Skip("VGPU_UBUNTU_ARCHIVE names no Ubuntu archive")
    try:
        urllib.request.urlopen(f"{url}/dists/{SUITE}/Release", timeout=30).close()
    except (ValueError, OSError) as error:
        raise base.LabError(f"VGPU_UBUNTU_ARCHIVE: {url} has no {SUITE}: {error}") from None
    return url


def keyring(url, folder):
    with urllib.request.urlopen(f"{url}/{KEYRING}", timeout=60) as answer:
        data = answer.read()
    if hashlib.sha256(data).hexdigest() != KEYRING_SHA256:
        raise base.LabError("the package with Ubuntu's key is not the one that is known here")
    with open(f"{folder}/keyring.deb", "wb") as file:
        file.write(data)
    base.output("dpkg-deb", "--extract", f"{folder}/keyring.deb", folder)
    return f"{folder}/usr/share/keyrings/ubuntu-archive-keyring.gpg"


def prepare():
    """The tree, made where it is not there yet: two or three minutes."""
    url = archive()
    key = hashlib.sha256(repr((url, SUITE, PACKAGES, "1")).encode()).hexdigest()[:16]
    path = os.path.join(base.CACHE, f"base-ubuntu-{key}")
    with open(os.path.join(base.CACHE, "lock"), "w") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(path):
            key = keyring(url, folder)
            lines = [f"deb {url} {SUITE}{pocket} main universe" for pocket in ("", "-updates", "-security")]
            base.bootstrap(f"{path}.new", SUITE, lines, PACKAGES, [key], [MERGED_USR])
            base.finish(f"{path}.new", [])
            os.rename(f"{path}.new", path)
    [release] = [os.path.basename(name) for name in glob.glob(f"{path}/usr/lib/modules/*")]
    return base.Base(path, [release])
