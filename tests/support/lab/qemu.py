# SPDX-License-Identifier: Apache-2.0
"""A guest booted by QEMU without KVM: a real kernel of the distribution that loads real modules, a minute or two a boot.

The tree of a nspawn guest's kind becomes an ext4 image; what a boot shall do is a script that runs as a unit of systemd; its output and status
come back on a raw disk. QEMU runs inside the guest's network namespace, so that the guest reaches the same servers at the same addresses.
"""
import os
import shutil
import subprocess
import tempfile

from . import network, nspawn, servers
from .base import ENVIRONMENT, HERE, LabError, output

IMAGE_MIB = 3072
RESULT_MIB = 16
DISK_MODULES = ["virtio_pci", "virtio_blk"]


def initrd(root, release, target):
    """Just enough to find the disk: busybox, the modules of virtio, a script. The distribution's own is ten times as large."""
    lines = "".join(output("modprobe", "-d", root, "-S", release, "--show-depends", module) for module in DISK_MODULES)
    paths = list(dict.fromkeys(line.split()[1] for line in lines.splitlines() if line.startswith("insmod")))
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as tree:
        for folder in ("bin", "dev", "proc", "root", "modules"):
            os.mkdir(f"{tree}/{folder}")
        shutil.copy(f"{root}/usr/bin/busybox", f"{tree}/bin")
        os.symlink("busybox", f"{tree}/bin/sh")
        for number, path in enumerate(paths):  # in the order they have to be loaded
            shutil.copy(path, f"{tree}/modules/{number:02}.ko")
        shutil.copy(f"{HERE}/guest/initrd-init", f"{tree}/init")
        with open(target, "wb") as file:
            subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=tree, env=ENVIRONMENT, stdout=file,
                           check=True)


class Guest(nspawn.Guest):
    """Created and installed into as its parent; boot_and_run() takes the place of boot() and exec()."""

    kernel_stands_in = False

    def image(self):
        """Turn the tree into the disk. Later changes of the tree do not reach it."""
        self.disk = f"{self.home}/disk.img"
        units = f"{self.root}/etc/systemd/system"
        shutil.copy(f"{HERE}/guest/qemu-script", f"{self.root}/usr/lib/vgpu-lab")
        for unit in ("vgpu-lab-script.service", "vgpu-lab-network.service"):
            shutil.copy(f"{HERE}/guest/{unit}", units)
            os.makedirs(f"{units}/multi-user.target.wants", exist_ok=True)
            nspawn.replace_by_link(f"{units}/multi-user.target.wants/{unit}", f"../{unit}")
        output("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1,root_owner=0:0",
               "-d", self.root, self.disk, f"{IMAGE_MIB}M")

    def boot_and_run(self, release, script, timeout):
        """Boot this kernel, run the script in the guest, shut down. Its status and its output, both streams in one."""
        ramdisk, task, result = (f"{self.home}/{name}" for name in ("initrd.img", "task.img", "result.img"))
        initrd(self.root, release, ramdisk)
        with open(task, "wb") as file:
            file.write(script.encode())
            file.truncate(1 << 20)
        with open(result, "wb") as file:
            file.truncate(RESULT_MIB << 20)
        serial = f"{self.home}/serial.log"
        argv = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Nehalem",
                "-smp", "2", "-m", "1536", "-nodefaults", "-display", "none", "-monitor", "none", "-no-reboot",
                "-serial", f"file:{serial}", "-kernel", f"{self.root}/boot/vmlinuz-{release}", "-initrd", ramdisk,
                "-append", "console=ttyS0 quiet systemd.show_status=false net.ifnames=0 mitigations=off audit=0 "
                           "apparmor=0 panic=-1"]
        for disk in (self.disk, task, result):
            argv += ["-drive", f"file={disk},if=virtio,format=raw,cache=unsafe"]
        argv += ["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0", "-device", "virtio-rng-pci"]
        with network.inside(self.netns):
            qemu = subprocess.Popen(argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, preexec_fn=servers.die_with_parent)
        try:
            said, _ = qemu.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            qemu.kill()
            qemu.communicate()
            said = f"not done in {timeout} s".encode()
        with open(result, "rb") as file:
            status, _, text = file.read().rstrip(b"\0").partition(b"\n")
        if not status.isdigit():
            with open(serial, errors="replace") as file:
                raise LabError(f"the guest brought no result: {said.decode()}\n{file.read()[-3000:]}")
        return int(status), text.decode(errors="replace")
