#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Killed, ended, cut off from power at many moments: the next run always ends Licensed, and an update never leaves a guest without a
driver. With VGPU_ALL the moments are four times as dense."""
import glob
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, scene, servers  # noqa: E402
from lab.base import output  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

DENSITY = 4 if os.environ.get("VGPU_ALL") else 1
NEWER = "550.127.05"
DYING = "550.144.03"
UPDATE = ["run", *scene.asking_for(NEWER)]


def ready():
    """A guest with all an operator gives, booted."""
    scene.furnish(guest)
    # The newer ones are of other hosts' bundles, so that they come only when they are asked for.
    servers.publish(guest.servers, scene.bundle(), scene.bundle(NEWER, "550.127.06"),
                    scene.bundle(DYING, "550.144.02", "--fault", "installer-dies"))
    guest.boot(tied=True)


def renew():
    """The guest as it was before anything was installed."""
    guest.reset()
    scene.furnish(guest)
    guest.boot(tied=True)


def agent_pid():
    found = guest.exec(["pgrep", "-o", "-x", "vgpu-guest-agen"]).stdout.split()
    return int(found[0]) if found else None


def interrupted(seconds, kill, arguments=("run",)):
    """Start the agent and interrupt it after this time. Its status (negative: the signal), or None where it was faster."""
    began = time.monotonic()
    process = guest.spawn(["vgpu-guest-agent", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        process.communicate(timeout=max(seconds - (time.monotonic() - began), 0.01))
        return process.returncode, True
    except subprocess.TimeoutExpired:
        pass
    pid = agent_pid()
    if pid:
        guest.exec(["kill", f"-{kill}", str(pid)])
    asked = time.monotonic()
    process.communicate(timeout=60)
    guest.ended_in = time.monotonic() - asked
    return process.returncode, False


def must_become_licensed(what):
    done = scene.agent(guest, "--json", "run", "--set", "license.wait=60")
    need(done.returncode == 0, f"{what}: {scene.words(done)}\n{guest.journal()[-3000:]}")
    done = scene.agent(guest, "status")
    need(done.returncode == 0, f"{what}: {scene.words(done)}")


def moments(whole, count):
    """So many points in time, evenly over a whole run, none at its very ends."""
    return [whole * (number + 0.5) / count for number in range(count)]


def claim_killed_again_and_again_it_gets_on_each_time(_):
    delay, tries = 0.05, 0
    while True:
        status, finished = interrupted(delay, "KILL")
        tries += 1
        if finished:
            need(status == 0, f"status {status} after {tries} tries")
            break
        need(tries < 80, "it does not get on")
        delay += 0.2 / DENSITY
    print(f"# killed {tries - 1} times", flush=True)
    must_become_licensed("in the end")


def claim_killed_once_at_any_moment_the_next_run_ends_licensed(_):
    renew()
    began = time.monotonic()
    must_become_licensed("undisturbed")
    guest.whole = time.monotonic() - began
    for moment in moments(guest.whole, 4 * DENSITY):
        renew()
        interrupted(moment, "KILL")
        must_become_licensed(f"killed after {moment:.2f} s")


def claim_without_power_at_any_moment_the_next_boot_ends_licensed(_):
    for moment in moments(guest.whole, 3 * DENSITY):
        renew()
        process = guest.spawn(["vgpu-guest-agent", "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        guest.cut()
        process.wait(30)
        guest.boot(tied=True)
        must_become_licensed(f"cut off after {moment:.2f} s")


def claim_sigterm_at_any_moment_ends_the_children_and_frees_the_lock(_):
    for moment in moments(guest.whole, 4 * DENSITY):
        renew()
        status, finished = interrupted(moment, "TERM")
        if finished:
            continue
        # Late in the run the signal may find nobody any more: then all is well indeed.
        need(status != 0 or moment > guest.whole / 2, f"after {moment:.2f} s it said that all is well")
        need(guest.ended_in < 10, f"after {moment:.2f} s it took {guest.ended_in:.1f} s to end")
        soon = time.monotonic() + 5  # what was killed takes a moment to be gone
        while scene.leftovers(guest) and time.monotonic() < soon:
            time.sleep(0.1)
        left = scene.leftovers(guest)
        need(not left, f"after {moment:.2f} s there is still {left}")
        must_become_licensed(f"ended after {moment:.2f} s")


def claim_two_at_once_are_15_for_the_second(_):
    renew()
    first = guest.spawn(["vgpu-guest-agent", "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while guest.exec(["test", "-e", "/run/vgpu-guest-agent.lock"]).returncode != 0 and first.poll() is None:
        time.sleep(0.1)
    second = scene.agent(guest, "--json", "run")
    status = first.wait(120)
    need(second.returncode == 15 and scene.report(second)["error"]["name"] == "busy", scene.words(second))
    need(status == 0, f"the first ended with {status}")


def driver_answers():
    """Whether nvidia-smi answers without the agent having done anything more."""
    return guest.exec(["nvidia-smi"]).returncode == 0


def claim_an_update_killed_at_any_moment_is_finished_or_put_back(_):
    for moment in moments(guest.whole, 3 * DENSITY):
        renew()
        must_become_licensed("before the update")
        interrupted(moment, "KILL", UPDATE)
        must_become_licensed(f"update killed after {moment:.2f} s")
        need(driver_answers(), f"update killed after {moment:.2f} s: no driver")
    done = scene.agent(guest, "--json", *UPDATE)
    need(done.returncode == 0, scene.words(done))
    status = scene.report(scene.agent(guest, "--json", "status"))
    need(status["driver_version"] == NEWER and status["licensed"], status)


def flavour():
    """The license of the module that the guest's kernel would load: NVIDIA's own, or that of the open ones."""
    module, = glob.glob(f"{guest.root}/usr/lib/modules/{guest.kernels[0]}/updates/vgpu-guest-agent/nvidia.ko")
    return output("modinfo", "-F", "license", module).strip()


def claim_an_update_whose_installer_dies_leaves_a_driver_that_works(_):
    renew()
    must_become_licensed("before the update")
    before = flavour()
    done = scene.agent(guest, "--json", "run", *scene.asking_for(DYING), "--set", "driver.kernel_module=open")
    need(done.returncode == 9, scene.words(done))
    need(flavour() == before, f"the way back built modules of the license {flavour()}, before it was {before}")
    must_become_licensed("after the installer died")
    status = scene.report(scene.agent(guest, "--json", "status"))
    need(status["driver_version"] == scene.DRIVER, status)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
with scene.bare() as guest:
    guest.whole = 5.0  # seconds of an undisturbed run, until one was seen
    ready()
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
