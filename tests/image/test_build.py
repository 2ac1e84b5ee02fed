#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Images that disk-image-create builds with the element, in both modes; then booted, until they are licensed. VGPU_ALL=1: minutes."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

import cloud
import element
from lab import base, check, nspawn, scene, servers
from lab.check import need

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip", "disk-image-create", "sudo", "mkfs.ext4")
if os.environ.get("VGPU_ALL") != "1":
    print("skipped: building images takes minutes; VGPU_ALL=1 does it")
    sys.exit(77)

TOKEN = scene.tool("make-token").decode() + "\n"
BUILD_SECONDS = 1500
BUILD_TOOLS = ["cmake", "libcurl4-openssl-dev", "libconfig-dev", "dpkg-dev"]

# A base that is there already, so that a build takes minutes less; everything above it is diskimage-builder's.
ROOTFS = {
    "element-provides": "operating-system\n",
    "element-deps": "dpkg\npkg-map\n",
    "environment.d/10-rootfs-tar": "export DISTRO_NAME=debian\nexport DIB_RELEASE=bookworm\nexport DIB_INIT_SYSTEM=systemd\n",
    "root.d/08-rootfs-tar": '#!/bin/bash\nset -eu\nsudo tar -C $TARGET_ROOT --numeric-owner --xattrs --xattrs-include="*" '
                            "-xpf $ROOTFS_TAR\nsudo mkdir -p $TARGET_ROOT/proc $TARGET_ROOT/sys\n",
}


class Image:
    """One build: what it said, its tree."""

    def __init__(self, folder, name):
        self.folder, self.name = f"{folder}/{name}", name
        self.root = f"{self.folder}/root"
        os.makedirs(self.root)

    def build(self, tar, elements, **variables):
        for name in ("home", "tmp", "bin", "out"):
            os.makedirs(f"{self.folder}/{name}")
        os.symlink("/usr/bin/python3", f"{self.folder}/bin/python")
        environment = {"PATH": f"{self.folder}/bin:{element.PATH}", "HOME": f"{self.folder}/home", "USER": "root",
                       "TMPDIR": f"{self.folder}/tmp", "TMP_DIR": f"{self.folder}/tmp", "ARCH": "amd64",
                       "DIB_PYTHON_VERSION": "3", "ELEMENTS_PATH": f"{elements}:{element.ELEMENTS}", "ROOTFS_TAR": tar,
                       **{f"DIB_NVIDIA_VGPU_{key}": value for key, value in variables.items()}}
        done = subprocess.run(["disk-image-create", "-x", "-n", "-t", "tar", "-u", "--no-tmpfs", "--image-size", "5", "-o",
                               f"{self.folder}/out/image", "rootfs-tar", "manifests", "nvidia-vgpu"],
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=BUILD_SECONDS, check=False)
        self.said = done.stdout
        if done.returncode != 0:
            plain = [line for line in self.said.splitlines() if " | + " not in line]
            raise AssertionError(f"disk-image-create ended with {done.returncode}:\n" + "\n".join(plain[-60:]))
        base.output("tar", "-C", self.root, "--numeric-owner", "-xpf", f"{self.folder}/out/image.tar")


def rootfs(folder):
    """The base with cloud-init as a tar, and the element that unpacks it."""
    prepared = base.prepare()
    tar = f"{folder}/base.tar"
    with cloud.overlay(f"{cloud.layer(prepared)}:{prepared.path}", f"{folder}/overlay") as root:
        base.output("tar", "-C", root, "--numeric-owner", f"--exclude=./usr/lib/modules/{prepared.kernels[1]}",
                    "--exclude=./boot/*", "-cf", tar, ".")
    for name, text in ROOTFS.items():
        path = f"{folder}/elements/rootfs-tar/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755 if name.startswith("root.d") else 0o644)
    return prepared, tar, f"{folder}/elements"


def need_no_secret(image):
    """Not in what the build said, not in the manifests beside it; in the image in the token's own place alone."""
    part = TOKEN[100:160]
    need(part not in image.said, "the token is in the build's log")
    need("DIB_PYTHON_VERSION" in open(f"{image.root}/etc/dib-manifests/dib_environment").read(), "no manifest to look at")
    for folder in (image.root, f"{image.folder}/out/image.d", f"{image.folder}/home"):
        found = subprocess.run(["grep", "-rlaF", part, folder], capture_output=True, text=True, check=False).stdout.split()
        found = [name.removeprefix(image.root) for name in found]
        need([name for name in found if not name.startswith("/etc/nvidia/ClientConfigToken/")] == [], found)


def claim_an_image_with_the_agent_is_built_from_its_tree(images, folder):
    image = images["firstboot"] = Image(folder, "firstboot")
    prepared, tar, elements = images["base"]
    began = time.monotonic()
    image.build(tar, elements, CLIENT_TOKEN=TOKEN, REPOSITORY=servers.REPOSITORY_URL)
    print(f"# disk-image-create: {time.monotonic() - began:.0f} s")
    need(not os.path.exists(f"{image.root}/usr/lib/modules/{prepared.kernels[0]}/updates"), "it built the driver")


def claim_an_image_with_the_driver_is_built(images, folder):
    image = images["image"] = Image(folder, "image")
    prepared, tar, elements = images["base"]
    with open(f"{folder}/token", "w") as file:
        file.write(TOKEN)
    began = time.monotonic()
    image.build(tar, elements, CLIENT_TOKEN_FILE=f"{folder}/token", DRIVER_URL="file://" + scene.package("run"),
                INSTALL="image", AGENT_PACKAGE=cloud.package(folder))
    print(f"# disk-image-create: {time.monotonic() - began:.0f} s")
    module = base.output("find", f"{image.root}/usr/lib/modules", "-path", "*/updates/*", "-name", "nvidia.ko*").split()
    need(len(module) == 1, module)
    magic = base.output("modinfo", "-F", "vermagic", module[0]).split()[0]
    need(magic == prepared.kernels[0] != os.uname().release, f"vermagic {magic}")


def claim_no_secret_is_where_it_does_not_belong(images, _):
    for name in ("firstboot", "image"):
        need_no_secret(images[name])


def claim_the_tools_that_only_the_build_needed_are_gone(images, _):
    for name in ("firstboot", "image"):
        status = open(f"{images[name].root}/var/lib/dpkg/status").read()
        for tool in BUILD_TOOLS:
            need(f"\nPackage: {tool}\n" not in "\n" + status, f"{tool} is in the image")
        need("\nPackage: vgpu-guest-agent\n" in "\n" + status, "the agent is not installed as a package")


@contextlib.contextmanager
def booted(image, prepared):
    """A guest of this image with a GPU, its servers around it."""
    guest = nspawn.Guest(tempfile.mkdtemp(prefix="scene-", dir=scene.SCENES))
    guest.kernels = prepared.kernels
    try:
        guest.create(base.Base(image.root, prepared.kernels), prepared.kernels[0])
        with tempfile.TemporaryDirectory() as tree:
            scene.tool("make-pci", tree, "--gpu", "vgpu", "--host-version", scene.HOST)
            nspawn.plant_pci(guest.root, tree)
        scene.behave(guest, license_delay=1)
        servers.publish(guest.servers, scene.bundle())
        scene.write(guest, "/etc/vgpu-guest-agent/conf.d/90-ca.conf", 'http: { ca_file = "/etc/vgpu-guest-agent/lab-ca.pem"; };\n')
        guest.boot(tied=True)
        yield guest
    finally:
        guest.remove()


def licensed_by_itself(image, prepared):
    with booted(image, prepared) as guest:
        cloud.wait_licensed(guest)
        return guest.journal("-u", "vgpu-guest-agent")


def claim_the_image_with_the_agent_boots_to_licensed(images, _):
    need("compiling for" in licensed_by_itself(images["firstboot"], images["base"][0]), "nothing was compiled")


def claim_the_image_with_the_driver_boots_to_licensed_and_compiles_nothing(images, _):
    need("compiling for" not in licensed_by_itself(images["image"], images["base"][0]), "it was compiled again")


os.makedirs(scene.SCENES, exist_ok=True)
with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
    state = {"base": rootfs(work)}
    outcome = check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], state, work)
    sys.exit(outcome)
