#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What does not depend on each other is done at the same time: the package manager brings headers and compiler while the driver is
fetched. A signal ends both, and which error is told does not depend on which came first. And who works at the same time as others waits
for none of them with a lock in hand."""
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

SLOWLY = ("--set", "http.rate_limit_kib=2048")


def purge(guest):
    done = guest.exec(["apt-get", "-y", "purge", f"linux-headers-{guest.kernels[0]}", "gcc-12", "make"], merge=True)
    need(done.returncode == 0, done.stdout.decode())


def has_compiler(guest):
    return guest.exec(["test", "-x", "/usr/bin/gcc-12"]).returncode == 0


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        need(time.monotonic() < deadline, f"{what} after {seconds} s")
        time.sleep(0.1)


def claim_a_signal_ends_both(guest):
    guest.boot(tied=True)
    purge(guest)
    run = guest.spawn(["vgpu-guest-agent", "run", *SLOWLY], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(lambda: b"apt-get" in guest.exec(["pgrep", "-a", "-x", "apt-get|fetch-worker"]).stdout and
             b"fetch-worker" in guest.exec(["pgrep", "-a", "-x", "apt-get|fetch-worker"]).stdout, 60, "not both at work")
    began = time.monotonic()
    guest.exec(["sh", "-c", "kill -TERM $(pgrep -o -x vgpu-guest-agen)"])
    said = run.communicate(timeout=60)[0].decode(errors="replace")
    need(run.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM), f"{run.returncode}: {said}")
    need(time.monotonic() - began < 30, "it took too long")
    need(not scene.leftovers(guest), scene.leftovers(guest))


def claim_a_fetch_that_fails_is_what_is_told_and_the_compiler_stays(guest):
    path = f"{guest.servers}/repository/PULP_MANIFEST"
    with open(path) as file:
        good = file.read()
    with open(path, "w") as file:
        file.writelines(f"{','.join([name, '0' * 64, size])}\n" for name, _, size in
                        (line.rsplit(",", 2) for line in good.splitlines()))
    # Pinned, so that the whole bundle comes and is compared: of a member by ranges the manifest knows no checksum.
    pin = ("--set", f"driver.repository={servers.REPOSITORY_URL}", "--set", f"driver.sha256={'0' * 64}")
    done = scene.agent(guest, "--json", "run", *pin, timeout=600)
    with open(path, "w") as file:
        file.write(good)
    error = scene.report(done)["error"]
    need((done.returncode, error["step"]) == (6, "fetch"), scene.words(done))
    need(has_compiler(guest), scene.words(done))
    need(not scene.leftovers(guest), scene.leftovers(guest))


def claim_headers_and_compiler_come_while_the_driver_is_fetched(guest):
    purge(guest)
    began = time.monotonic()
    done = scene.agent(guest, "--json", "run", *SLOWLY, timeout=600)
    wall = time.monotonic() - began
    need(done.returncode == 0, scene.words(done))
    report = scene.report(done)
    steps = {step["step"]: step for step in report["steps"]}
    [beside] = report["beside"]
    need((beside["work"], beside["step"]) == ("toolchain", "build"), beside)
    fetch, build = steps["fetch"], steps["build"]
    together = min(fetch["began"] + fetch["seconds"], beside["began"] + beside["seconds"]) - max(fetch["began"], beside["began"])
    need(together > 1, f"{together:.1f} s at the same time: {report}")
    need(build["began"] < fetch["began"] + fetch["seconds"] + beside["seconds"], "one after the other")
    need(build["seconds"] >= beside["waited"], build)
    need(wall < sum(step["seconds"] for step in steps.values()) + beside["seconds"], f"{wall:.1f} s, {report}")
    late = beside["waited"] >= 0.05
    need(("toolchain" in report["critical"]) == late and ("fetch" in report["critical"]) != late, report)


def claim_the_state_keeps_the_times(guest):
    with open(f"{guest.root}/var/lib/vgpu-guest-agent/state.json") as file:
        state = json.load(file)
    need(state["steps"]["install"]["began"] > state["steps"]["build"]["began"] > state["steps"]["fetch"]["began"] >= 0, state)


def modules(guest, kernel):
    return f"{guest.root}/usr/lib/modules/{kernel}/updates/vgpu-guest-agent"


def without_modules(guest):
    for kernel in guest.kernels:
        guest.exec(["run-parts", f"--arg={kernel}", "/etc/kernel/postrm.d"])
        need(not os.path.exists(modules(guest, kernel)), f"{kernel} has modules")


def has_modules(guest, kernel):
    return os.path.exists(f"{modules(guest, kernel)}/nvidia.ko")


def hook(guest, kernel):
    return guest.exec(["/etc/kernel/header_postinst.d/vgpu-guest-agent", kernel], merge=True)


def heard(run, word):
    """What a command has said up to this word."""
    said = b""
    for line in run.stdout:
        said += line
        if word in line:
            return said
    raise AssertionError(said.decode(errors="replace"))


def lock_is_free(guest):
    return guest.exec(["flock", "--nonblock", "/run/vgpu-guest-agent.lock", "true"]).returncode == 0


@contextlib.contextmanager
def dpkg_at_work(guest):
    """What unattended-upgrades holds while it installs a kernel: POSIX locks, which the guest sees as its own."""
    with open(f"{guest.root}/var/lib/dpkg/lock-frontend", "w") as outer, open(f"{guest.root}/var/lib/dpkg/lock", "w") as inner:
        fcntl.lockf(outer, fcntl.LOCK_EX)
        fcntl.lockf(inner, fcntl.LOCK_EX)
        yield


def claim_a_package_manager_is_waited_for_without_a_lock_of_ours(guest):
    running, other = guest.kernels
    # apt-get's "-" behind a name: that one goes, and with the other one the compiler stays.
    done = guest.exec(["apt-get", "-y", "install", f"linux-headers-{other}", f"linux-headers-{running}-"], merge=True)
    need(done.returncode == 0, done.stdout.decode())
    without_modules(guest)
    with dpkg_at_work(guest):
        run = guest.spawn(["vgpu-guest-agent", "install", "--kernel", running], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = heard(run, b"waiting")
        need(lock_is_free(guest), said.decode(errors="replace"))
        # Its package manager calls the hook meanwhile.
        done = hook(guest, other)
        need(done.returncode == 0 and has_modules(guest, other), scene.words(done))
        need(run.poll() is None, "it did not wait")
    said += run.communicate(timeout=300)[0]
    need(run.returncode == 0 and has_modules(guest, running), said.decode(errors="replace"))


def claim_who_is_at_work_builds_for_the_kernel_that_comes_meanwhile(guest):
    running, other = guest.kernels
    without_modules(guest)
    run = guest.spawn(["vgpu-guest-agent", "install", "--kernel", running], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = heard(run, b"compiling")
    done = hook(guest, other)
    need(done.returncode == 0 and b"too" in done.stdout, scene.words(done))
    said += run.communicate(timeout=300)[0]
    need(run.returncode == 0 and has_modules(guest, running) and has_modules(guest, other), said.decode(errors="replace"))
    need(not guest.exec(["ls", "-A", "/run/vgpu-guest-agent-kernels"]).stdout, "a note is left")


def claim_so_does_the_first_run_of_all(guest):
    running, other = guest.kernels
    done = scene.agent(guest, "uninstall")
    need(done.returncode == 0, scene.words(done))
    without_modules(guest)
    run = guest.spawn(["vgpu-guest-agent", "run"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = heard(run, b"compiling")
    done = hook(guest, other)
    need(done.returncode == 0, scene.words(done))
    said += run.communicate(timeout=300)[0]
    need(run.returncode == 0 and has_modules(guest, running) and has_modules(guest, other), said.decode(errors="replace"))


with scene.bare() as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle(scene.DRIVER, scene.HOST, "--pad", "40"))
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
