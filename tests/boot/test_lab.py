#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The laboratory itself: what the other tests here build on must be as its README says."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, scene  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

# A module of the distribution with one dependency; both are in every cloud kernel.
MODULE, NEEDS = "zram", "zsmalloc"


def shell(guest, script):
    return guest.exec(["/bin/sh", "-c", script], merge=True)


def claim_a_guest_boots_without_a_failed_unit(guest):
    guest.boot(tied=True)
    state = guest.exec(["systemctl", "is-system-running"]).stdout
    need(state == b"running\n", state)


def claim_it_shows_the_release_it_was_given(guest):
    for command in ("uname -r", "cat /proc/sys/kernel/osrelease", "uname -a | cut -d' ' -f3"):
        seen = shell(guest, command).stdout.decode().strip()
        need(seen == guest.kernels[0], f"{command}: {seen}")


def claim_loading_a_module_loads_what_it_needs(guest):
    done = shell(guest, f"modprobe {MODULE} && lsmod")
    need(done.returncode == 0, done.stdout)
    rows = {line.split()[0]: line.split() for line in done.stdout.decode().splitlines()}
    need(rows[NEEDS][2:] == ["1", MODULE], rows)
    need(rows[MODULE][2:] == ["0"], rows)


def claim_a_module_of_another_kernel_is_refused(guest):
    other = f"/lib/modules/{guest.kernels[1]}"
    done = shell(guest, f"rmmod {MODULE}; insmod $(find {other} -name {MODULE}.ko)")
    need(done.returncode != 0 and b"Invalid module format" in done.stdout, done.stdout)


def claim_a_module_in_use_stays(guest):
    done = shell(guest, f"modprobe {MODULE} && rmmod {NEEDS}")
    need(done.returncode != 0 and b"in use by: zram" in done.stdout, done.stdout)


def claim_apt_reaches_the_mirror_and_nothing_else_is_reached(guest):
    done = guest.exec(["apt-get", "update"], merge=True)
    need(done.returncode == 0, done.stdout)
    addresses = guest.exec(["ip", "-brief", "address"]).stdout.decode().split()
    need([word for word in addresses if word.endswith("/24")] == [], addresses)


def claim_no_device_of_the_machine_is_in_it(guest):
    found = shell(guest, "find /dev -type b").stdout
    need(found == b"", found)


def claim_a_reboot_into_the_other_kernel_forgets_what_was_loaded(guest):
    guest.reboot(guest.kernels[1], tied=True)
    seen = shell(guest, f"uname -r; ls -d /sys/module/{MODULE}").stdout.decode().splitlines()
    need(seen[0] == guest.kernels[1] and "cannot access" in seen[1], seen)


with scene.bare() as guest:
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
