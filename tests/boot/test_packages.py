#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The driver as a Debian package, through the guest's own apt and dpkg."""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import base, check, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

PACKAGE = "nvidia-linux-grid-550"
CONTROL = """Package: slow
Version: 1
Architecture: all
Maintainer: tests <tests@localhost>
Description: holds the locks while it is installed
"""


def claim_a_deb_is_installed_by_apt_and_run_ends_licensed(guest):
    guest.boot(tied=True)
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    seen = guest.exec(["dpkg-query", "-W", "-f", "${Status} ${Version}", PACKAGE]).stdout.decode()
    need(seen.startswith("install ok installed " + scene.DRIVER), seen)
    need(scene.agent(guest, "status").returncode == 0, "not licensed")


def claim_a_second_run_changes_nothing(guest):
    before = scene.listing(guest)
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    changed = scene.listing(guest) ^ before
    need(not changed, f"changed {sorted(changed)}")


def plant_slow_package(guest, seconds):
    """A package whose installation takes this long: all the while dpkg holds its locks."""
    with tempfile.TemporaryDirectory() as tree:
        os.chmod(tree, 0o755)
        os.mkdir(f"{tree}/DEBIAN")
        with open(f"{tree}/DEBIAN/control", "w") as file:
            file.write(CONTROL)
        with open(f"{tree}/DEBIAN/preinst", "w") as file:
            file.write(f"#!/bin/sh\n: >/run/slow\nsleep {seconds}\n")
        os.chmod(f"{tree}/DEBIAN/preinst", 0o755)
        base.output("dpkg-deb", "--root-owner-group", "--build", tree, f"{guest.root}/root/slow.deb")


def claim_the_lock_of_another_package_manager_is_waited_for(guest):
    guest.reset()
    scene.furnish(guest)
    guest.boot(tied=True)
    plant_slow_package(guest, 12)
    holder = guest.spawn(["dpkg", "--install", "/root/slow.deb"], stdout=subprocess.DEVNULL)
    guest.exec(["timeout", "60", "sh", "-c", "until [ -e /run/slow ]; do sleep 0.1; done"])
    began = time.monotonic()
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    need(time.monotonic() - began > 8, "it did not wait")
    need(holder.wait(10) == 0, "the other one failed")


with scene.bare() as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.package("deb"))
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
