# SPDX-License-Identifier: Apache-2.0
"""A guest with a GPU, a driver in the repository, metadata and the agent of the build under test: where a test begins."""
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from . import base, nspawn, servers
from .base import CACHE, CLONE, ENVIRONMENT, LabError

STANDIN = f"{CLONE}/tests/standin"
SCENES = os.path.join(CACHE, "scenes")
HOST = "550.90.05"
DRIVER = "550.90.07"


def tool(name, *arguments):
    """A program of tests/standin; its standard output."""
    done = subprocess.run([f"{STANDIN}/{name}", *arguments], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{name} ended with {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}")
    return done.stdout


@contextlib.contextmanager
def bare(release=None, kind=nspawn.Guest, prepared=None):
    """A guest with its servers, not booted; gone at the end. prepared: another base than the usual one."""
    prepared = prepared or base.prepare(lambda text: print(f"# {text}", flush=True))
    os.makedirs(SCENES, exist_ok=True)
    nspawn.sweep(SCENES)
    guest = kind(tempfile.mkdtemp(prefix="scene-", dir=SCENES))
    guest.kernels = prepared.kernels
    try:
        guest.create(prepared, release)
        yield guest
    except Exception:
        tell(guest)
        raise
    finally:
        guest.remove()


def tell(guest):
    """What a reader of a failed test wants to see."""
    for name in ("console.log", "servers/servers.log", "servers/nginx-error.log"):
        with contextlib.suppress(FileNotFoundError), open(f"{guest.home}/{name}", errors="replace") as file:
            for line in file.read().splitlines()[-20:]:
                print(f"# {name}: {line}", file=sys.stderr)


def standin_digest():
    """Of everything that decides what make-driver makes."""
    digest = hashlib.sha256()
    for top, folders, names in os.walk(STANDIN):
        folders.sort()
        for name in sorted(names):
            with open(os.path.join(top, name), "rb") as file:
                digest.update(name.encode() + b"\0" + file.read())
    return digest.hexdigest()


def bundle(version=DRIVER, host=HOST, *arguments):
    """The zip of a driver for a host version."""
    return package("bundle", version, host, *arguments)


def package(kind, version=DRIVER, host=HOST, *arguments):
    """A driver in one of make-driver's kinds, made once for each way of making it."""
    arguments = ["--version", version, "--host-version", host, "--kinds", kind, *arguments]
    key = hashlib.sha256("\0".join([standin_digest(), *arguments]).encode()).hexdigest()[:16]
    folder = f"{CACHE}/driver-{key}"
    if not os.path.isdir(folder):
        os.makedirs(CACHE, exist_ok=True)
        fresh = tempfile.mkdtemp(prefix="driver-", suffix=".new", dir=CACHE)
        tool("make-driver", *arguments, "--output", fresh)
        try:
            os.rename(fresh, folder)
        except OSError:  # another test was faster
            shutil.rmtree(fresh)
    [name] = os.listdir(folder)
    return f"{folder}/{name}"


def write(guest, path, text, mode=0o644):
    """A file in the guest's tree."""
    target = guest.root + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w") as file:
        file.write(text)
    os.chmod(target, mode)


def behave(guest, **settings):
    """What the stand-in's nvidia-smi and nvidia-gridd shall do from now on: /etc/nvidia/standin.conf."""
    if guest.kernel_stands_in:
        settings["proc_modules"] = "/run/vgpu-lab/modules"
    write(guest, "/etc/nvidia/standin.conf", "".join(f"{name}={value}\n" for name, value in settings.items()))


def plant(guest, host=HOST):
    """The vGPU, and a license daemon that does not let one wait."""
    with tempfile.TemporaryDirectory() as tree:
        tool("make-pci", tree, "--gpu", "vgpu", "--host-version", host, "--branch", "r550_00")
        nspawn.plant_pci(guest.root, tree)
    behave(guest, license_delay=1)


def furnish(guest, host=HOST, token=()):
    """All that an operator gives: the agent in the image, the authority's certificate, a vGPU, the repository, the token."""
    guest.install_agent(os.environ["VGPU_BUILD"])
    write(guest, "/etc/vgpu-guest-agent/agent.conf", 'http: { ca_file = "/etc/vgpu-guest-agent/lab-ca.pem"; };\n')
    plant(guest, host)
    guest.token = tool("make-token", *token).decode()
    say_metadata(guest)


def say_metadata(guest, **more):
    """The metadata of an operator who gives repository and token."""
    servers.metadata(guest.servers, {"client_token": guest.token, "driver": {"repository": servers.REPOSITORY_URL}, **more})


def asking_for(version):
    """Options that ask for this version: what is asked and where it comes from are taken from one layer, so also the repository."""
    pairs = ("repository", servers.REPOSITORY_URL), ("version", version), ("upgrade", "true")
    return [word for name, value in pairs for word in ("--set", f"driver.{name}={value}")]


def agent(guest, *arguments, timeout=300):
    """The agent in the booted guest."""
    return guest.exec(["vgpu-guest-agent", *arguments], timeout=timeout)


def shell(guest, script):
    """What a script says in the booted guest, both streams in one."""
    return guest.exec(["/bin/sh", "-c", script], merge=True).stdout.decode(errors="replace")


def wait_for(guest, what, condition, seconds=60):
    """Until it is so; with the end of the guest's journal where it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {seconds} s:\n{shell(guest, 'journalctl -n 60 --no-pager')}")
        time.sleep(0.1)


def report(done):
    """The JSON of a command with --json."""
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"status {done.returncode}, no JSON:\n{words(done)}") from None


def words(done):
    """All a command said, for a failure's text."""
    return f"status {done.returncode}\n" + (done.stdout + (done.stderr or b"")).decode(errors="replace")[-4000:]


def listing(guest):
    """Every file of the guest's own tree with what changes when somebody writes it."""
    lines = base.output("find", guest.root, "-xdev", "-printf", "%P %y %m %s %T@ %C@ %l\n")
    return set(lines.splitlines())


def switch(path, on):
    """A file whose being there is a fault."""
    if on:
        open(path, "w").close()
    elif os.path.exists(path):
        os.unlink(path)


def leftovers(guest):
    """Processes of the guest that the agent started and left: compilers, installers, workers, package managers."""
    names = "make|cc1|gcc.*|as|ld|sh|tar|xz|nvidia-installe.*|fetch-worker|net-worker|vgpu-guest-age.*|apt-get|dpkg|modprobe|nvidia-smi"
    return guest.exec(["pgrep", "-a", "-x", names]).stdout.decode()
