# SPDX-License-Identifier: Apache-2.0
"""A guest booted by systemd-nspawn on an overlay of the base, in seconds.

Its kernel is the machine's: the release, the PCI tree and the loading of modules stand in (see guest/), all else is real. It has
no device of the machine and a network namespace in which only its servers are.
"""
import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

from . import network, servers
from .base import ENVIRONMENT, HERE, LabError, output

BOOT_SECONDS = 180
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}


def furnish(root, release=None):
    """Put what stands in into a guest's tree; with a release also what stands in for the kernel."""
    lab = f"{root}/usr/lib/vgpu-lab"
    os.makedirs(f"{lab}/real", exist_ok=True)
    shutil.copy(f"{HERE}/guest/early", lab)
    shutil.copy(f"{HERE}/guest/vgpu-lab.service", f"{root}/etc/systemd/system")
    wants = f"{root}/etc/systemd/system/sysinit.target.wants"
    os.makedirs(wants, exist_ok=True)
    if not os.path.lexists(f"{wants}/vgpu-lab.service"):
        os.symlink("../vgpu-lab.service", f"{wants}/vgpu-lab.service")
    with open(f"{root}/etc/hosts", "w") as file:
        file.write(f"127.0.0.1 localhost guest\n{network.REPOSITORY} {network.REPOSITORY_NAME} {network.LICENSE_NAME}\n")
    gateway = f"http://{network.REPOSITORY}:{network.GATEWAY_PORT}"
    with open(f"{root}/etc/apt/apt.conf.d/90lab-gateway", "w") as file:
        file.write("".join(f'Acquire::{scheme}::Proxy "{gateway}";\n' for scheme in ("http", "https")))
    if release is None:
        return
    shutil.copy(f"{HERE}/guest/modules", lab)
    for tool in ("modprobe", "insmod", "rmmod", "lsmod", "modinfo", "depmod"):
        replace_by_link(f"{root}/usr/sbin/{tool}", "/usr/lib/vgpu-lab/modules")
        replace_by_link(f"{lab}/real/{tool}", "/usr/bin/kmod")
    if not os.path.exists(f"{lab}/real/uname"):
        shutil.move(f"{root}/usr/bin/uname", f"{lab}/real/uname")
    shutil.copy(f"{HERE}/guest/uname", f"{root}/usr/bin/uname")
    choose(root, release)


def replace_by_link(path, target):
    if os.path.islink(path) and os.readlink(path) == target:
        return
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


def choose(root, release):
    """The release the next boot shows; one that is not installed is no kernel this guest could have booted."""
    if not os.path.isdir(f"{root}/usr/lib/modules/{release}"):
        raise LabError(f"the guest has no kernel {release}")
    os.makedirs(f"{root}/etc/vgpu-lab", exist_ok=True)
    with open(f"{root}/etc/vgpu-lab/release", "w") as file:
        file.write(f"{release}\n")


def plant_pci(root, tree):
    """Make DIR/bus/pci/devices of tests/standin/make-pci the guest's PCI bus."""
    target = f"{root}/usr/lib/vgpu-lab/pci"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(f"{tree}/bus/pci/devices", target, symlinks=True)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def cgroups(name):
    """The folders of a control group of this name below that of the calling process, in the hierarchies that systemd uses."""
    mounts = {"name=systemd": "/sys/fs/cgroup/systemd",
              "": "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"}
    with open("/proc/self/cgroup") as file:
        lines = [line.strip().split(":", 2) for line in file]
    return [os.path.normpath(f"{mounts[controllers]}/{path}/{name}") for _, controllers, path in lines if controllers in mounts]


def enter_cgroup(name):
    """A guest of its own: otherwise the services of guests that run at the same time share their control groups."""
    for folder in cgroups(name):
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            with open(f"{folder}/cgroup.procs", "w") as file:
                file.write("0")


def remove_cgroup(name):
    for folder in cgroups(name):
        for top, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(top)


class Guest:
    """A guest in a folder: root/ is its tree, servers/ its servers, console.log what it said while it booted."""

    kernel_stands_in = True

    def __init__(self, home):
        self.home = os.path.abspath(home)
        self.root = f"{self.home}/root"
        self.servers = f"{self.home}/servers"
        self.netns = "vgpu-" + hashlib.sha256(self.home.encode()).hexdigest()[:10]

    def create(self, base, release=None):
        """An overlay of the base, with its servers running. The guest itself is not booted yet."""
        self.base, self.release = base, release or base.kernels[0]
        os.makedirs(self.home, exist_ok=True)
        with open(f"{self.home}/guest.json", "w") as file:
            json.dump({"kernels": base.kernels, "owner": os.getpid()}, file)
        network.create(self.netns)
        servers.start(self.servers, self.netns)
        self.lay()

    def lay(self):
        """The guest's tree, fresh from the base."""
        for folder in ("root", "upper", "work"):
            os.makedirs(f"{self.home}/{folder}")
        options = f"lowerdir={self.base.path},upperdir={self.home}/upper,workdir={self.home}/work"
        mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], env=ENVIRONMENT,
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if mounted.returncode != 0:  # on an overlay there is none: then a copy
            output("cp", "-a", "--reflink=auto", f"{self.base.path}/.", self.root)
        furnish(self.root, self.release if self.kernel_stands_in else None)
        os.makedirs(f"{self.root}/etc/vgpu-guest-agent", exist_ok=True)
        shutil.copy(f"{self.servers}/ca.pem", f"{self.root}/etc/vgpu-guest-agent/lab-ca.pem")

    def reset(self):
        """The guest as create() left it; its servers keep what they have."""
        self.cut()
        unmount(self.root)
        for folder in ("root", "upper", "work"):
            shutil.rmtree(f"{self.home}/{folder}")
        self.lay()

    def install_agent(self, build):
        """cmake --install of a build folder, as a package would."""
        environment = {**ENVIRONMENT, "DESTDIR": self.root}
        done = subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise LabError(f"cmake --install: {done.stderr[-1000:]}")

    def boot(self, release=None, tied=False):
        """Boot and return when systemd says it is up. tied: the guest dies with the calling process."""
        if self.leader():
            raise LabError("the guest is running already")
        if release:
            choose(self.root, release)
        argv = ["systemd-nspawn", "--quiet", "--directory", self.root, "--machine", self.netns, "--boot",
                "--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off", "--timezone=off",
                "--link-journal=no", f"--network-namespace-path={network.path(self.netns)}"]

        def prepare():
            enter_cgroup(self.netns)
            if tied:
                servers.die_with_parent()

        with open(f"{self.home}/console.log", "a") as console:
            nspawn = subprocess.Popen(argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                      start_new_session=True, preexec_fn=prepare)
        self.nspawn = nspawn  # waited for in stop, so that it leaves no zombie
        with open(f"{self.home}/nspawn.pid", "w") as file:
            file.write(f"{nspawn.pid}\n")
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline:
            if nspawn.poll() is not None:
                break
            if self.leader() and self.exec(["systemctl", "is-system-running"]).stdout.strip() in (
                    b"running", b"degraded"):
                return
            time.sleep(0.1)
        with open(f"{self.home}/console.log") as console:
            raise LabError(f"the guest did not boot:\n{console.read()[-2000:]}")

    def leader(self):
        """The process of this machine that is the guest's PID 1, or None."""
        pid = self.nspawn_pid()
        for child in children(pid) if pid else []:
            try:
                with open(f"/proc/{child}/status") as file:
                    ids = [line.split() for line in file if line.startswith("NSpid:")]
                with open(f"/proc/{child}/comm") as file:
                    name = file.read().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if ids and ids[0][-1] == "1" and len(ids[0]) > 2 and name == "systemd":
                return child
        return None

    def nspawn_pid(self):
        try:
            with open(f"{self.home}/nspawn.pid") as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return pid if self.root.encode() in file.read().split(b"\0") else None
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None

    def argv(self, command, environment=None):
        """The command of this machine that runs a command in the booted guest, as root, with a clean environment."""
        leader = self.leader()
        if not leader:
            raise LabError("the guest is not running")
        pairs = [f"{name}={value}" for name, value in {**CLEAN, **(environment or {})}.items()]
        return ["nsenter", "--target", str(leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--root",
                "--wdns=/root", "env", "-i"] + pairs + list(command)

    def exec(self, command, timeout=120, input=None, environment=None, merge=False):
        """Run a command in the booted guest; its bytes and its status. A TimeoutExpired means it was killed."""
        done = subprocess.run(self.argv(command, environment), env=ENVIRONMENT, input=input,
                              stdin=subprocess.DEVNULL if input is None else None, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT if merge else subprocess.PIPE, timeout=timeout, check=False)
        return done

    def spawn(self, command, **options):
        """Start a command in the booted guest without waiting for it."""
        return subprocess.Popen(self.argv(command), env=ENVIRONMENT, stdin=subprocess.DEVNULL, **options)

    def journal(self, *options):
        self.exec(["journalctl", "--sync"])  # what was said a moment ago may still be on its way
        return self.exec(["journalctl", "--no-pager", "--boot", "--output=short-precise", *options]).stdout.decode(
            errors="replace")

    def stop(self):
        """Shut the guest down as its own poweroff would."""
        if self.leader():
            self.exec(["systemctl", "poweroff", "--no-block"])
            self.wait_gone(20)
        self.cut()

    def cut(self):
        """Take the power away: every process of the guest dies at once."""
        leader = self.leader()
        if leader:
            os.kill(leader, signal.SIGKILL)
            self.wait_gone(10)
        pid = self.nspawn_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
            self.wait_gone(10)

    def wait_gone(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if getattr(self, "nspawn", None):
                self.nspawn.poll()
            if not self.nspawn_pid():
                return
            time.sleep(0.05)

    def reboot(self, release=None, tied=False):
        self.stop()
        self.boot(release, tied)

    def remove(self):
        """Stop everything and leave nothing behind."""
        self.cut()
        remove_cgroup(self.netns)
        servers.stop(self.servers)
        network.remove(self.netns)
        unmount(self.root)
        shutil.rmtree(self.home, ignore_errors=True)


def unmount(root):
    MNT_DETACH = 2
    libc = ctypes.CDLL(None, use_errno=True)
    while os.path.ismount(root):
        if libc.umount2(root.encode(), MNT_DETACH) != 0:
            raise LabError(f"unmounting {root}: {os.strerror(ctypes.get_errno())}")


def sweep(folder):
    """Remove the guests in this folder whose maker is gone: what a killed test left."""
    if not os.path.isdir(folder):
        return
    for name in os.listdir(folder):
        home = os.path.join(folder, name)
        try:
            with open(f"{home}/guest.json") as file:
                owner = json.load(file)["owner"]
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
            continue
        if owner and not os.path.exists(f"/proc/{owner}"):
            Guest(home).remove()
