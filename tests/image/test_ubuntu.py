#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The element on an Ubuntu base, in both modes, built by disk-image-create and booted in systemd-nspawn until licensed. VGPU_ALL=1: ten
minutes."""
import os
import sys
import tempfile
import time

import cloud
import dib
import ubuntu
from lab import base, check, scene, servers
from lab.check import need

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip", "disk-image-create", "sudo", "mkfs.ext4", "dpkg-deb")
if os.environ.get("VGPU_ALL") != "1":
    print("skipped: building images takes minutes; VGPU_ALL=1 does it")
    sys.exit(77)

TOKEN = scene.tool("make-token").decode()
DISTRIBUTION = {"ROOTFS_DISTRO": "ubuntu", "ROOTFS_RELEASE": ubuntu.SUITE}


def built(folder, name, **variables):
    prepared = ubuntu.prepare()
    tar = f"{folder}/base.tar"
    if not os.path.exists(tar):
        base.output("tar", "-C", prepared.path, "--numeric-owner", "-cf", tar, ".")
    image = dib.Image(folder, name)
    began = time.monotonic()
    image.build(tar, ["nvidia-vgpu"], "tar", DISTRIBUTION, CLIENT_TOKEN=TOKEN, **variables)
    print(f"# disk-image-create: {time.monotonic() - began:.0f} s", flush=True)
    return prepared, image


def boots_to_licensed(image, prepared):
    """What the agent's unit said."""
    with dib.container(image, prepared) as guest:
        cloud.wait_licensed(guest)
        return guest.journal("-u", "vgpu-guest-agent")


def claim_an_ubuntu_image_with_the_agent_is_built_and_boots_to_licensed(folder):
    prepared, image = built(folder, "firstboot", REPOSITORY=servers.REPOSITORY_URL)
    need("compiling for" in boots_to_licensed(image, prepared), "nothing was compiled")


def claim_an_ubuntu_image_with_the_driver_is_built_and_boots_to_licensed(folder):
    prepared, image = built(folder, "image", INSTALL="image", DRIVER_URL="file://" + scene.package("run"))
    [module] = base.output("find", f"{image.root}/usr/lib/modules", "-path", "*/updates/*", "-name", "nvidia.ko*").split()
    magic = base.output("modinfo", "-F", "vermagic", module).split()[0]
    need(magic == prepared.kernels[0] != os.uname().release, f"vermagic {magic}")
    need("compiling for" not in boots_to_licensed(image, prepared), "it was compiled again")


base.prepare()
os.makedirs(scene.SCENES, exist_ok=True)
with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], work))
