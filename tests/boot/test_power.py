#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The power goes during the first boot: QEMU is killed at a random moment, its disk loses at random what was not flushed; after the next
boot the guest is licensed, with nobody at the keyboard. --rounds N, one moment in each N-th of a first boot; VGPU_ALL=1: two. Without
rounds only the disk is tested."""
import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, power, qemu, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rounds", type=int, default=2 if os.environ.get("VGPU_ALL") == "1" else 0)
parser.add_argument("--seed", type=int, default=random.randrange(10000), help="of an earlier run, to have its moments again")
options = parser.parse_args()
BOOT_SECONDS = 900
WAIT = """
until [ -e /run/vgpu-guest-agent/licensed ] || [ $(cut -d. -f1 /proc/uptime) -gt 800 ]; do sleep 1; done
cut -d' ' -f1 /proc/uptime
vgpu-guest-agent status
status=$?
[ $status -eq 0 ] || journalctl --no-pager -o cat -u vgpu-guest-agent -u nvidia-gridd
exit $status
"""


def entry(flags, sector=0, data=b""):
    """One request as QEMU logs it."""
    return struct.pack("<QQQQ", sector, len(data) // power.SECTOR, flags, 0).ljust(power.SECTOR, b"\0") + data


def claim_the_disk_keeps_what_was_flushed_and_no_more_than_chance_lets(_):
    data = {name: name.encode() * power.SECTOR for name in "abcd"}
    log = struct.pack("<QQQI", power.MAGIC, 1, 0, power.SECTOR).ljust(power.SECTOR, b"\0")
    log += entry(0, 0, data["a"]) + entry(power.FLUSH) + entry(0, 1, data["b"]) + entry(power.FUA, 2, data["c"])
    with tempfile.TemporaryDirectory() as folder:
        for cut, kept, wanted in ((b"", False, "a.c."), (b"", True, "abc."), (entry(0, 3, data["d"])[:-1], True, "abc.")):
            for name, content in (("log", log + cut), ("disk", b"." * 4 * power.SECTOR)):
                with open(f"{folder}/{name}", "wb") as file:
                    file.write(content)
            counts = power.after_cut(f"{folder}/disk", f"{folder}/log", lambda: kept)
            with open(f"{folder}/disk", "rb") as file:
                seen = file.read()[::power.SECTOR].decode()
            need(seen == wanted and counts == (2, 2, 0 if kept else 1), f"{seen} instead of {wanted}, {counts}")
        open(f"{folder}/log", "w").close()
        need(power.after_cut(f"{folder}/disk", f"{folder}/log", lambda: True) == (0, 0, 0), "a log that was not begun")


def claim_a_first_boot_ends_licensed(guest):
    """Undisturbed: it says how long the others may be cut off."""
    guest.fresh = shutil.copy(guest.disk, f"{guest.home}/fresh.img")
    began = time.monotonic()
    status, text = guest.boot_and_run(guest.kernels[0], WAIT, BOOT_SECONDS)
    guest.whole = time.monotonic() - began
    need(status == 0, f"{text}\n{guest.serial()[-3000:]}")
    print(f"# undisturbed: {guest.whole:.0f} s; seed {options.seed}", flush=True)


def copy(guest, name):
    path = f"{guest.home}/{name}"
    subprocess.run(["cp", "--sparse=always", guest.fresh, path], check=True)
    return path


def cut_off(guest, seconds):
    """A first boot that ends after this time, by SIGKILL. What became of its requests; the disk is what it may be then."""
    running, log = copy(guest, "running.img"), f"{guest.home}/writes.log"
    machine = guest.start("exec sleep infinity\n", [*guest.kernel(guest.kernels[0]), *power.logged(running, log)])
    try:
        said, _ = machine.communicate(timeout=seconds)
        need(False, f"QEMU ended by itself: {said.decode()}\n{guest.serial()[-3000:]}")
    except subprocess.TimeoutExpired:
        machine.kill()
        machine.communicate()
    os.unlink(running)
    guest.disk = copy(guest, "disk.img")
    return power.after_cut(guest.disk, log, lambda: chance.random() < 0.5)


def claim_without_power_at_random_moments_the_next_boot_ends_licensed(guest):
    failed = []
    for number in range(options.rounds):
        moment = guest.whole * (number + chance.random()) / options.rounds
        safe, unsafe, lost = cut_off(guest, moment)
        status, text = guest.boot_and_run(guest.kernels[0], WAIT, BOOT_SECONDS)
        print(f"# round {number + 1}: cut off after {moment:.1f} s; of {safe + unsafe} writes {unsafe} unflushed, {lost} of them lost; "
              f"next boot: {'licensed' if status == 0 else 'NOT licensed'} after {text.split()[0]} s", flush=True)
        if status != 0:
            failed.append(f"round {number + 1}, cut off after {moment:.1f} s:\n{text}\n{guest.serial()[-3000:]}")
    need(not failed, "\n".join(failed))


if not options.rounds:
    sys.exit(check.run([claim_the_disk_keeps_what_was_flushed_and_no_more_than_chance_lets], None))
check.need_root_and("qemu-system-x86_64", "mkfs.ext4", "mmdebstrap", "nginx", "ip", "cpio")
chance = random.Random(options.seed)
with scene.bare(kind=qemu.Guest) as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle())
    for unit, target in (("vgpu-guest-agent.timer", "timers.target"), ("vgpu-guest-agent-monitor.service", "multi-user.target")):
        wants = f"{guest.root}/etc/systemd/system/{target}.wants"
        os.makedirs(wants, exist_ok=True)
        os.symlink(f"/usr/lib/systemd/system/{unit}", f"{wants}/{unit}")
    guest.image(journal=True)
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
