# SPDX-License-Identifier: Apache-2.0
"""Images by the distribution's disk-image-create: what is built from, a build, and what is in it afterwards."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

import cloud
import element
from lab import base, nspawn, qemu, scene, servers

BUILD_SECONDS = 1500
ELEMENTS = os.path.join(element.HERE, "elements")
BRIDGES = os.path.join(element.HERE, "bridges")
GRUB_OPTIONS = f"{qemu.KERNEL_OPTIONS} console=ttyS0"


def bridges():
    """What the build needs in front of this machine's own tools."""
    with open("/proc/misc") as file:
        return [] if "device-mapper" in file.read() else [BRIDGES]


def rootfs(folder):
    """The base with cloud-init and an initial ramdisk as a tar, for the element rootfs-tar."""
    prepared = base.prepare()
    tar = f"{folder}/base.tar"
    with cloud.overlay(f"{cloud.layer(prepared)}:{prepared.path}", f"{folder}/overlay") as root:
        ramdisk(root, prepared.kernels[0])
        base.output("tar", "-C", root, "--numeric-owner", f"--exclude=./usr/lib/modules/{prepared.kernels[1]}",
                    f"--exclude=./boot/*{prepared.kernels[1]}", "-cf", tar, ".")
    return prepared, tar


def ramdisk(root, release):
    """The distribution's own initial ramdisk, with the modules of QEMU's disk alone: a tenth of the size."""
    with open(f"{root}/etc/initramfs-tools/modules", "a") as file:
        file.write("virtio_pci\nvirtio_blk\n")
    with open(f"{root}/etc/initramfs-tools/conf.d/qemu", "w") as file:
        file.write("MODULES=list\n")
    base.output("mount", "-t", "proc", "proc", f"{root}/proc")
    base.output("chroot", root, "env", "-u", "TMPDIR", "update-initramfs", "-c", "-k", release)
    nspawn.unmount(f"{root}/proc")


class Image:
    """One build: what it said, its tree, its disk."""

    def __init__(self, folder, name):
        self.folder, self.name = f"{folder}/{name}", name
        self.root, self.disk = f"{self.folder}/root", f"{self.folder}/out/image.raw"
        os.makedirs(self.root)

    def build(self, tar, elements, types="tar,raw", more=None, **variables):
        """The element's variables by their names behind the prefix; a disk, where one is asked for, gets a boot loader."""
        for name in ("home", "tmp", "bin", "out"):
            os.makedirs(f"{self.folder}/{name}")
        os.symlink("/usr/bin/python3", f"{self.folder}/bin/python")
        environment = {"PATH": ":".join([*bridges(), f"{self.folder}/bin", element.PATH]), "HOME": f"{self.folder}/home",
                       "USER": "root", "TMPDIR": f"{self.folder}/tmp", "TMP_DIR": f"{self.folder}/tmp", "ARCH": "amd64",
                       "DIB_PYTHON_VERSION": "3", "ELEMENTS_PATH": f"{ELEMENTS}:{element.ELEMENTS}", "ROOTFS_TAR": tar,
                       "DIB_GRUB_TIMEOUT": "0", "DIB_BOOTLOADER_DEFAULT_CMDLINE": GRUB_OPTIONS, **(more or {}),
                       **{f"DIB_NVIDIA_VGPU_{key}": value for key, value in variables.items()}}
        loader = ["vm"] if "raw" in types else []
        done = subprocess.run(["disk-image-create", "-x", "-n", "-t", types, "-u", "--no-tmpfs", "--image-size", "4", "-o",
                               f"{self.folder}/out/image", "rootfs-tar", "manifests", *loader, *elements],
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=BUILD_SECONDS, check=False)
        self.said = done.stdout
        if done.returncode != 0:
            plain = [line for line in self.said.splitlines() if " | + " not in line]
            raise AssertionError(f"disk-image-create ended with {done.returncode}:\n" + "\n".join(plain[-60:]))
        base.output("tar", "-C", self.root, "--numeric-owner", "-xpf", f"{self.folder}/out/image.tar")

    def holders(self, secret):
        """The files of the image, of what lies beside it and of the builder's home that hold this text."""
        folders = self.root, f"{self.folder}/out/image.d", f"{self.folder}/home"
        found = subprocess.run(["grep", "-rlaF", secret, *folders], capture_output=True, text=True, check=False).stdout.split()
        return [name.removeprefix(self.root) for name in found]


@contextlib.contextmanager
def mounted(disk):
    """The file system in the first partition of a disk."""
    [partition] = json.loads(base.output("sfdisk", "--json", disk))["partitiontable"]["partitions"]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as root:
        base.output("mount", "-o", f"loop,offset={partition['start'] * 512},sizelimit={partition['size'] * 512}", disk, root)
        try:
            yield root
        finally:
            nspawn.unmount(root)


def equip(guest):
    """What is the machine's and the operator's: a GPU, the driver's manners, for an agent that is there the repository's authority."""
    with tempfile.TemporaryDirectory() as tree:
        scene.tool("make-pci", tree, "--gpu", "vgpu", "--host-version", scene.HOST)
        nspawn.plant_pci(guest.root, tree)
    scene.behave(guest, license_delay=1)
    if os.path.exists(f"{guest.root}/usr/bin/vgpu-guest-agent"):
        shutil.copy(f"{guest.servers}/ca.pem", f"{guest.root}/etc/vgpu-guest-agent/lab-ca.pem")
        scene.write(guest, "/etc/vgpu-guest-agent/conf.d/90-ca.conf",
                    'http: { ca_file = "/etc/vgpu-guest-agent/lab-ca.pem"; };\n')


@contextlib.contextmanager
def container(image, prepared, **documents):
    """A guest of the image's tree in systemd-nspawn, its servers around it; the cloud says these documents."""
    guest = nspawn.Guest(tempfile.mkdtemp(prefix="scene-", dir=scene.SCENES))
    guest.kernels = prepared.kernels
    try:
        guest.create(base.Base(image.root, prepared.kernels), prepared.kernels[0])
        equip(guest)
        servers.publish(guest.servers, scene.bundle())
        cloud.give(guest, **documents)
        scene.write(guest, "/etc/cloud/cloud.cfg.d/99-test.cfg", "network: { config: disabled }\n")  # there is only a loopback
        guest.boot(tied=True)
        yield guest
    finally:
        guest.remove()


class Machine(qemu.Guest):
    """A guest of the image's disk in QEMU, started by the disk's own boot loader."""

    def lay(self):
        self.disk = f"{self.home}/disk.img"
        base.output("cp", "--sparse=always", self.base.path, self.disk)
        with mounted(self.disk) as self.root:
            nspawn.furnish(self.root)
            equip(self)
            qemu.script_units(self.root)
            # Other guests have no network that could come up.
            os.unlink(f"{self.root}/etc/systemd/system/systemd-networkd-wait-online.service")
            base.output("systemctl", f"--root={self.root}", "--quiet", "enable", "systemd-networkd.service")
        self.root = f"{self.home}/root"

    def boot_and_run(self, script, timeout, *options):
        return self.run_script(script, timeout, [*qemu.drive(self.disk, "disk"), *options])


@contextlib.contextmanager
def machine(image, prepared):
    guest = Machine(tempfile.mkdtemp(prefix="scene-", dir=scene.SCENES))
    try:
        guest.create(base.Base(image.disk, prepared.kernels), prepared.kernels[0])
        servers.publish(guest.servers, scene.bundle())
        yield guest
    finally:
        guest.remove()


def config_drive(guest, **documents):
    """QEMU's options for a config drive with these documents."""
    tree, drive = f"{guest.home}/config-2", f"{guest.home}/config-2.iso"
    cloud.openstack(f"{tree}/openstack/latest", **documents)
    base.output("genisoimage", "-quiet", "-volid", "config-2", "-joliet", "-rock", "-output", drive, tree)
    return qemu.drive(drive, "config", ",readonly=on")


def nova(guest, **documents):
    """QEMU's options for a machine by whose name cloud-init asks the metadata service; there these documents are."""
    cloud.serve(guest, **documents)
    return ["-smbios", "type=1,product=OpenStack Nova"]
