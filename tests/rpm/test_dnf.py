#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The agent with the real dnf and rpm, on a root like one of the RHEL family. See README.md here."""
import glob
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import check, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402
import tree  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip", "rpmbuild")

PACKAGE = "nvidia-linux-grid-550"
# A compiler's driver that answers, and fails whatever it is to make.
BROKEN = '#!/bin/sh\n[ "$1" = --version ] && exec /usr/bin/make.whole --version\necho "nv.c:3: error: no such member"; exit 2\n'


def fresh(guest, kind):
    """The guest as it was made, on its older kernel, with one driver in the repository."""
    guest.reset()
    scene.furnish(guest)
    for name in os.listdir(f"{guest.servers}/repository"):
        os.unlink(f"{guest.servers}/repository/{name}")
    servers.publish(guest.servers, scene.package(kind))
    guest.boot(guest.kernels[1], tied=True)


def must(guest, *command):
    done = guest.exec(list(command), timeout=600, merge=True)
    need(done.returncode == 0, f"{command}: {scene.words(done)}")
    return done.stdout.decode()


def run(guest, status, *words):
    """The agent's run ends so, and says this."""
    done = scene.agent(guest, "run", timeout=900)
    need(done.returncode == status, scene.words(done))
    said = (done.stdout + done.stderr).decode()
    for word in words:
        need(word in said, f"no \"{word}\" in: {said}")
    return said


def modules(guest):
    return glob.glob(f"{guest.root}/usr/lib/modules/{guest.kernels[1]}/updates/dkms/*.ko")


def break_make(guest):
    must(guest, "dnf", "-y", "install", "make", f"kernel-devel-uname-r = {guest.kernels[1]}")
    must(guest, "mv", "/usr/bin/make", "/usr/bin/make.whole")
    scene.write(guest, "/usr/bin/make", BROKEN, 0o755)


def mend_make(guest):
    must(guest, "mv", "/usr/bin/make.whole", "/usr/bin/make")


def claim_a_bare_guest_gets_the_headers_of_its_own_kernel_and_a_license(guest):
    fresh(guest, "run")
    run(guest, 0)
    held = must(guest, "rpm", "-q", "kernel-devel", "make")
    need(f"kernel-devel-{guest.kernels[1]}" in held and guest.kernels[0] not in held, held)


def claim_a_package_whose_script_fails_is_told_and_repaired_by_the_next_run(guest):
    fresh(guest, "rpm")
    break_make(guest)
    run(guest, 9, "Bad return status for module build", "scriptlet failed")
    need(PACKAGE in must(guest, "rpm", "-q", PACKAGE), "dnf calls it installed")
    mend_make(guest)
    run(guest, 0)
    need(modules(guest), "no modules")
    for file in modules(guest):  # as after a new kernel: installed, and not whole
        os.unlink(file)
    must(guest, "depmod", guest.kernels[1])
    run(guest, 0)
    need(modules(guest), "no modules")


def claim_the_package_of_another_driver_is_named_before_anything_is_fetched(guest):
    fresh(guest, "rpm")
    with tempfile.TemporaryDirectory() as work:
        os.makedirs(f"{work}/root/usr/bin")
        with open(f"{work}/root/usr/bin/nvidia-smi", "w") as file:
            file.write("#!/bin/sh\nexit 1\n")
        os.makedirs(f"{work}/tmp")
        made = tree.build(work, "nvidia-driver-cuda", "535", "1", [], f"{guest.root}/root", f"{work}/root", ["usr/bin/nvidia-smi"])
    must(guest, "dnf", "-y", "install", f"/root/{os.path.basename(made)}")
    plan = scene.report(scene.agent(guest, "--json", "plan"))
    seen = [each for each in plan["checks"] if each["name"] == "packages"]
    need(seen and seen[0]["ok"] is False and "nvidia-driver-cuda" in seen[0]["detail"], seen)
    run(guest, 9, "nvidia-driver-cuda", "remove these packages")
    need(not glob.glob(f"{guest.root}/var/cache/vgpu-guest-agent/download/*.rpm"), "it was fetched")


claims = [value for name, value in list(globals().items()) if name.startswith("claim_")]
with scene.bare(prepared=tree.prepare(lambda text: print(f"# {text}", flush=True))) as guest:
    sys.exit(check.run(claims, guest))
