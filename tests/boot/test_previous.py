#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""install --previous after an update: the driver before, from its kept package and without a network, still licensed; once more,
the other one; killed at any moment, the next run ends it."""
import glob
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

NEWER = "550.127.05"
BACK = ["install", "--previous"]
DENSITY = 4 if os.environ.get("VGPU_ALL") else 1


def version():
    status = scene.report(scene.agent(guest, "--json", "status"))
    need(status["licensed"], status)
    return status["driver_version"]


def become(expected, *command):
    done = scene.agent(guest, "--json", *command)
    need(done.returncode == 0, scene.words(done))
    scene.agent(guest, "status", "--wait", "30")
    need(version() == expected, version())


def kept():
    return sorted(os.path.basename(path) for path in glob.glob(f"{guest.root}/var/lib/vgpu-guest-agent/backup/driver-*"))


def claim_a_first_driver_has_none_before(_):
    become(scene.DRIVER, "run")
    done = scene.agent(guest, "--json", *BACK)
    error = scene.report(done)["error"]
    need(done.returncode == 4 and "none before" in error["message"] and "--driver" in error["hint"], scene.words(done))
    need(scene.report(scene.agent(guest, "--json", "plan"))["previous"] is None, "plan says otherwise")
    need(version() == scene.DRIVER, "it is gone")


def claim_after_an_update_the_one_before_is_kept_and_said(_):
    become(NEWER, "run", *scene.asking_for(NEWER))
    need(kept() == [f"driver-{NEWER}.run", f"driver-{scene.DRIVER}.run"], kept())
    plan = scene.agent(guest, "plan")
    need(f"Before  {scene.DRIVER}, kept" in plan.stdout.decode(), scene.words(plan))


def claim_it_comes_back_without_a_network_and_the_license_stays(_):
    os.rename(f"{guest.servers}/repository", f"{guest.servers}/repository.away")
    try:
        become(scene.DRIVER, *BACK)
        become(NEWER, *BACK)
        become(scene.DRIVER, *BACK)
    finally:
        os.rename(f"{guest.servers}/repository.away", f"{guest.servers}/repository")
    need(kept() == [f"driver-{NEWER}.run", f"driver-{scene.DRIVER}.run"], kept())


def claim_the_next_run_leaves_it_as_it_is(_):
    become(scene.DRIVER, "run")


def claim_with_driver_upgrade_it_says_what_the_next_run_does(_):
    done = scene.agent(guest, *BACK, "--set", "driver.upgrade=true")
    need(done.returncode == 0 and "driver.upgrade is true" in done.stderr.decode(), scene.words(done))
    become(scene.DRIVER, *BACK)


def claim_killed_at_any_moment_the_next_run_ends_it(_):
    for number in range(4 * DENSITY):
        before = version()
        process = guest.spawn(["vgpu-guest-agent", *BACK])
        try:
            process.wait(0.2 + 0.8 * number / DENSITY)
        except subprocess.TimeoutExpired:  # still at work: now it dies
            guest.exec(["pkill", "-KILL", "-x", "vgpu-guest-agen"])
        process.wait(60)
        done = scene.agent(guest, "--json", "run", "--set", "license.wait=60")
        need(done.returncode == 0, f"{number}: {scene.words(done)}")
        need(version() in (scene.DRIVER, NEWER), f"{number}: from {before} to {version()}")
        need(len(kept()) == 2, f"{number}: {kept()}")


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
with scene.bare() as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle(), scene.bundle(NEWER, "550.127.06"))
    guest.boot(tied=True)
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
