#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The power goes during the first boot: QEMU is killed at a random moment, its disk loses at random what was not flushed; after the next
boot the guest is licensed, with nobody at the keyboard. Then the power goes while the licensed guest updates its driver, takes over a new
token, uninstalls: the next boot is licensed again, and the same work ends as if nothing had been. --rounds N, one moment in each N-th of
each of these; VGPU_ALL=1: two. Without rounds only the disk is tested."""
import argparse
import collections.abc
import dataclasses
import hashlib
import os
import random
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
NEWER = "550.127.05"
TOKEN = "/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
UNTIL_LICENSED = "until [ -e /run/vgpu-guest-agent/licensed ] || [ $(cut -d. -f1 /proc/uptime) -gt 800 ]; do sleep 1; done"
WAIT = f"""
{UNTIL_LICENSED}
cut -d' ' -f1 /proc/uptime
vgpu-guest-agent status
status=$?
[ $status -eq 0 ] || journalctl --no-pager -o cat -u vgpu-guest-agent -u nvidia-gridd
exit $status
"""


# What the guest says on its serial line when the work begins and when it has ended.
BEGUN, ENDED = "the work begins", "the work has ended"


@dataclasses.dataclass
class Work:
    """A command of a licensed guest; what makes the command in the guest that shows that it is done; what the operator does before."""
    command: str
    done: collections.abc.Callable
    before: collections.abc.Callable = lambda guest: None


def have_newer_driver(guest):
    servers.publish(guest.servers, scene.bundle(NEWER))


def have_new_token(guest):
    guest.token = scene.tool("make-token").decode()
    scene.say_metadata(guest)


def token_is(guest):
    return f"echo {hashlib.sha256(guest.token.encode()).hexdigest()} {TOKEN} | sha256sum --check"


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
    guest.fresh = copy(guest, guest.disk, "fresh.img")
    began = time.monotonic()
    status, text = guest.boot_and_run(guest.kernels[0], WAIT, BOOT_SECONDS)
    guest.whole = time.monotonic() - began
    guest.licensed = copy(guest, guest.disk, "licensed.img")
    need(status == 0, f"{text}\n{guest.serial()[-3000:]}")
    print(f"# undisturbed: {guest.whole:.0f} s; seed {options.seed}", flush=True)


def copy(guest, source, name):
    path = f"{guest.home}/{name}"
    subprocess.run(["cp", "--sparse=always", source, path], check=True)
    return path


def wait_for(machine, condition):
    while not condition():
        need(machine.poll() is None, "QEMU ended before the work began")
        time.sleep(0.1)


def cut_off(guest, source, script, seconds, begun=lambda: True):
    """A boot from a copy of this disk that ends, once begun, after this time, by SIGKILL. What became of its requests; guest.disk is
    what the disk may be then."""
    running, log = copy(guest, source, "running.img"), f"{guest.home}/writes.log"
    machine = guest.start(script, [*guest.kernel(guest.kernels[0]), *power.logged(running, log)])
    try:
        wait_for(machine, begun)
        said, _ = machine.communicate(timeout=seconds)
        need(ENDED in guest.serial(), f"QEMU ended by itself: {said.decode()}\n{guest.serial()[-3000:]}")
    except subprocess.TimeoutExpired:
        machine.kill()
        machine.communicate()
    os.unlink(running)
    guest.disk = copy(guest, source, "disk.img")
    return power.after_cut(guest.disk, log, lambda: chance.random() < 0.5)


def claim_without_power_at_random_moments_the_next_boot_ends_licensed(guest):
    failed = []
    for number in range(options.rounds):
        moment = guest.whole * (number + chance.random()) / options.rounds
        safe, unsafe, lost = cut_off(guest, guest.fresh, "exec sleep infinity\n", moment)
        status, text = guest.boot_and_run(guest.kernels[0], WAIT, BOOT_SECONDS)
        print(f"# round {number + 1}: cut off after {moment:.1f} s; of {safe + unsafe} writes {unsafe} unflushed, {lost} of them lost; "
              f"next boot: {'licensed' if status == 0 else 'NOT licensed'} after {text.split()[0]} s", flush=True)
        if status != 0:
            failed.append(f"round {number + 1}, cut off after {moment:.1f} s:\n{text}\n{guest.serial()[-3000:]}")
    need(not failed, "\n".join(failed))


def script_of(work):
    return f"{UNTIL_LICENSED}\necho {BEGUN} >/dev/ttyS0\n{work.command}\nstatus=$?\necho {ENDED} >/dev/ttyS0\nexit $status\n"


def seconds_of(guest, script):
    """How long the work takes when nothing is in its way."""
    guest.disk = copy(guest, guest.licensed, "disk.img")
    machine = guest.start(script, [*guest.kernel(guest.kernels[0]), *qemu.drive(guest.disk, "disk")])
    wait_for(machine, lambda: BEGUN in guest.serial())
    began = time.monotonic()
    wait_for(machine, lambda: ENDED in guest.serial())
    took = time.monotonic() - began
    machine.communicate(timeout=BOOT_SECONDS)
    return took


def without_power_during(guest, work):
    """The next boot ends licensed by whatever driver and token; then the work is done as if nothing had been."""
    work.before(guest)
    whole = seconds_of(guest, script_of(work))
    failed = []
    for number in range(options.rounds):
        moment = whole * (number + chance.random()) / options.rounds
        safe, unsafe, lost = cut_off(guest, guest.licensed, script_of(work), moment, lambda: BEGUN in guest.serial())
        again = f"set -e\n{UNTIL_LICENSED}\n{work.command}\n{work.done(guest)}\n"
        status, text = guest.boot_and_run(guest.kernels[0], again, BOOT_SECONDS)
        print(f"# round {number + 1} of {work.command!r}: cut off {moment:.1f} of {whole:.1f} s after its begin; of {safe + unsafe} writes {unsafe} "
              f"unflushed, {lost} of them lost; next boot: {'done' if status == 0 else 'NOT done'}", flush=True)
        if status != 0:
            failed.append(f"round {number + 1}, cut off after {moment:.1f} s:\n{text}\n{guest.serial()[-3000:]}")
    need(not failed, "\n".join(failed))


def claim_without_power_in_an_update_old_or_new_is_licensed_and_the_update_can_be_made(guest):
    without_power_during(guest, Work("vgpu-guest-agent run --lock-wait 300 --set driver.upgrade=true", lambda _: f"nvidia-smi | grep -F {NEWER}", have_newer_driver))


def claim_without_power_in_a_rotation_one_token_is_whole_and_the_new_one_is_taken(guest):
    without_power_during(guest, Work("vgpu-guest-agent run --lock-wait 300 --token-only", token_is, have_new_token))


def claim_without_power_in_an_uninstall_it_can_be_finished(guest):
    left = f"/usr/bin/nvidia-smi {TOKEN} /etc/modprobe.d/vgpu-guest-agent.conf /lib/modules/*/updates/vgpu-guest-agent"
    without_power_during(guest, Work("vgpu-guest-agent uninstall --lock-wait 300", lambda _: f"for path in {left}; do [ ! -e $path ] || exit 1; done"))


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
