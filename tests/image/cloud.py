# SPDX-License-Identifier: Apache-2.0
"""A guest with the distribution's cloud-init, and what a cloud gives it: user-data and vendor-data."""
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from lab import base, nspawn, scene, servers  # noqa: E402

PACKAGES = ["cloud-init", "curl"]
SEED = "/var/lib/cloud/seed/config_drive/openstack/latest"
PACKAGE = "vgpu-guest-agent.deb"


@contextlib.contextmanager
def overlay(lower, folder):
    """The tree with a layer of its own above it; the layer is folder/upper."""
    for name in ("root", "upper", "work"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    root = f"{folder}/root"
    base.output("mount", "-t", "overlay", "overlay", "-o",
                f"lowerdir={lower},upperdir={folder}/upper,workdir={folder}/work", root)
    try:
        yield root
    finally:
        nspawn.unmount(f"{root}/proc")
        nspawn.unmount(root)


def layer(prepared):
    """The packages that a stock cloud image has and the base has not, as a layer above the base; made once."""
    path = f"{prepared.path}-cloud"
    with open(os.path.join(base.CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(path):
            print("# installing cloud-init above the base system", flush=True)
            with tempfile.TemporaryDirectory(dir=base.CACHE) as folder:
                with overlay(prepared.path, folder) as root:
                    install(root)
                os.rename(f"{folder}/upper", path)
    return path


def install(root):
    base.output("mount", "-t", "proc", "proc", f"{root}/proc")
    with open(f"{root}/usr/sbin/policy-rc.d", "w") as file:
        file.write("#!/bin/sh\nexit 101\n")
    os.chmod(f"{root}/usr/sbin/policy-rc.d", 0o755)
    if os.path.exists("/etc/resolv.conf"):
        shutil.copy("/etc/resolv.conf", f"{root}/etc/resolv.conf")
    options = ["-q", "-y", "--no-install-recommends", "-o", "APT::Sandbox::User=root"]
    options += [word for option in base.acquire_options() for word in ("-o", option.replace(' "', "=", 1).rstrip('"'))]
    environment = ["env", "-u", "TMPDIR", "DEBIAN_FRONTEND=noninteractive"]
    base.output("chroot", root, *environment, "apt-get", *options, "update")
    base.output("chroot", root, *environment, "apt-get", *options, "install", *PACKAGES)
    os.unlink(f"{root}/usr/sbin/policy-rc.d")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{root}/etc/resolv.conf")


class Guest(nspawn.Guest):
    """Boots the base with the layer above it."""

    def lay(self):
        below = self.base
        self.base = base.Base(f"{layer(below)}:{below.path}", below.kernels)
        super().lay()
        self.base = below
        with open(f"{self.root}/etc/cloud/cloud.cfg.d/99-test.cfg", "w") as file:
            file.write("datasource_list: [ ConfigDrive, None ]\nnetwork: { config: disabled }\n")


def package(folder):
    """The agent of the build under test as the package that its build folder makes."""
    config = os.path.join(os.environ["VGPU_BUILD"], "CPackConfig.cmake")
    base.output("cpack", "--config", config, "-G", "DEB", "-B", folder)
    [name] = [name for name in os.listdir(folder) if name.endswith(".deb")]
    os.rename(f"{folder}/{name}", f"{folder}/{PACKAGE}")
    return f"{folder}/{PACKAGE}"


# For a shell. `cloud-init status --wait` was seen to end before there was a result.
UNTIL_DONE = "timeout 200 sh -c 'until [ -e /run/cloud-init/result.json ]; do sleep 0.5; done'"

# A tenant's own, that would replace the vendor's where both say the same.
USER_DATA = """#cloud-config
runcmd:
  - echo ran >/root/tenant-runcmd
write_files:
  - path: /root/tenant-file
    content: written
"""


def make_vendor_data(folder, settings):
    """What scripts/make-vendor-data writes for these settings: {(section, key): value}. Status, complaint, folder."""
    sections = {}
    for (section, key), value in settings.items():
        sections.setdefault(section, []).append(f"{key} = {value}\n")
    with open(f"{folder}/settings.ini", "w") as file:
        for section, lines in sections.items():
            file.write(f"[{section}]\n" + "".join(lines))
    done = subprocess.run([f"{base.CLONE}/scripts/make-vendor-data", f"{folder}/settings.ini", f"{folder}/out"],
                          capture_output=True, text=True, env=base.ENVIRONMENT, check=False)
    return done.returncode, done.stderr, f"{folder}/out"


def openstack(folder, user_data=None, **documents):
    """What nova puts on a config drive and into its metadata service: vendor_data and vendor_data2 as texts."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    texts = {"meta_data.json": json.dumps({"uuid": "11111111-2222-3333-4444-555555555555", "hostname": "guest", "name": "guest"}),
             **{f"{name}.json": text for name, text in documents.items()}}
    if user_data is not None:
        texts["user_data"] = user_data
    for name, text in texts.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)


def serve(guest, **documents):
    """The same by the metadata service alone; cloud-init asks it for its versions first."""
    folder = f"{guest.servers}/metadata/openstack"
    openstack(f"{folder}/latest", **documents)
    with open(f"{folder}/index.html", "w") as file:
        file.write("latest\n")


def give(guest, user_data=None, **documents):
    """What the cloud says from the next boot on: to cloud-init by a config drive, to the agent by the metadata service."""
    openstack(guest.root + SEED, user_data, **documents)
    for name in ("vendor_data", "vendor_data2"):
        servers.metadata(guest.servers, None, f"{name}.json")
        if name in documents:
            with open(f"{guest.servers}/metadata/openstack/latest/{name}.json", "w") as file:
                file.write(documents[name])


def wait_licensed(guest, seconds=240):
    """Nobody calls the agent: the guest gets there by itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if guest.exec(["test", "-x", "/usr/bin/nvidia-smi"]).returncode == 0:
            if scene.agent(guest, "status", "--wait", "10").returncode == 0:
                return
        time.sleep(1)
    log = guest.journal("-u", "vgpu-guest-agent*", "-u", "cloud-*")
    raise base.LabError(f"not licensed after {seconds} s:\n{log[-4000:]}")
