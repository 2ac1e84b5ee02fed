# SPDX-License-Identifier: Apache-2.0
"""A guest booted by QEMU without KVM: a real kernel of the distribution that loads real modules, a minute or two a boot.

The tree of a nspawn guest's kind becomes an ext4 image, or an image is there that boots by itself; what a boot shall do is a script
that runs as a unit of systemd; its output and status come back on a raw disk. QEMU runs inside the guest's network namespace, so that
the guest reaches the same servers at the same addresses.
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
# What costs an emulated processor much and shows nothing here.
KERNEL_OPTIONS = "quiet systemd.show_status=false net.ifnames=0 mitigations=off audit=0 apparmor=0 panic=-1"
QEMU = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Nehalem",
        "-smp", "2", "-m", "1536", "-nodefaults", "-display", "none", "-monitor", "none", "-no-reboot",
        "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0", "-device", "virtio-rng-pci"]


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


def script_units(root, *units):
    """Let each boot of this tree run the script on its second disk."""
    folder = f"{root}/etc/systemd/system"
    shutil.copy(f"{HERE}/guest/qemu-script", f"{root}/usr/lib/vgpu-lab")
    for unit in ("vgpu-lab-script.service", *units):
        shutil.copy(f"{HERE}/guest/{unit}", folder)
        os.makedirs(f"{folder}/multi-user.target.wants", exist_ok=True)
        nspawn.replace_by_link(f"{folder}/multi-user.target.wants/{unit}", f"../{unit}")


def drive(path, name, more=""):
    """A disk that the guest sees under this name; a power cut leaves nothing of use on it."""
    return ["-drive", f"file={path},if=none,id={name},format=raw,cache=unsafe{more}",
            "-device", f"virtio-blk-pci,drive={name},serial={name}"]


class Guest(nspawn.Guest):
    """Created and installed into as its parent; boot_and_run() takes the place of boot() and exec()."""

    kernel_stands_in = False

    def image(self, journal=False):
        """Turn the tree into the disk. Later changes of the tree do not reach it."""
        self.disk = f"{self.home}/disk.img"
        script_units(self.root, "vgpu-lab-network.service")
        options = ["-E", "lazy_itable_init=1,root_owner=0:0"] + ([] if journal else ["-O", "^has_journal"])
        output("mkfs.ext4", "-q", "-F", *options, "-d", self.root, self.disk, f"{IMAGE_MIB}M")

    def kernel(self, release, option=""):
        """QEMU's options for this kernel of the tree's, with one option more on its command line."""
        ramdisk = f"{self.home}/initrd.img"
        initrd(self.root, release, ramdisk)
        return ["-kernel", f"{self.root}/boot/vmlinuz-{release}", "-initrd", ramdisk, "-append", f"console=ttyS0 {KERNEL_OPTIONS} {option}"]

    def start(self, script, options):
        """QEMU with the disks that options name, and behind them the script and room for its result."""
        with open(f"{self.home}/task.img", "wb") as file:
            file.write(script.encode())
            file.truncate(1 << 20)
        with open(f"{self.home}/result.img", "wb") as file:
            file.truncate(RESULT_MIB << 20)
        argv = [*QEMU, "-serial", f"file:{self.home}/serial.log", *options]
        for name in ("task", "result"):
            argv += drive(f"{self.home}/{name}.img", name)
        with network.inside(self.netns):
            return subprocess.Popen(argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, preexec_fn=servers.die_with_parent)

    def serial(self):
        if not os.path.exists(f"{self.home}/serial.log"):
            return ""
        with open(f"{self.home}/serial.log", errors="replace") as file:
            return file.read()

    def run_script(self, script, timeout, options):
        """Boot, run the script in the guest, shut down. Its status and its output, both streams in one."""
        machine = self.start(script, options)
        try:
            said, _ = machine.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            machine.kill()
            machine.communicate()
            said = f"not done in {timeout} s".encode()
        with open(f"{self.home}/result.img", "rb") as file:
            status, _, text = file.read().rstrip(b"\0").partition(b"\n")
        if not status.isdigit():
            raise LabError(f"the guest brought no result: {said.decode()}\n{self.serial()[-3000:]}")
        return int(status), text.decode(errors="replace")

    def boot_and_run(self, release, script, timeout, more=(), option=""):
        """run_script() from the guest's disk by one of its kernels; `more` are QEMU's options for further disks."""
        return self.run_script(script, timeout, [*self.kernel(release, option), *drive(self.disk, "disk"), *more])
