#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The units: nobody at the keyboard, and the guest ends licensed; a boot waits for nothing; a shutdown returns the license."""
import fnmatch
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, nspawn, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

UNIT, TIMER, TARGET = "vgpu-guest-agent.service", "vgpu-guest-agent.timer", "vgpu-licensed.target"
HOURLY = "vgpu-guest-agent-hourly.timer"
WORKLOAD = """[Unit]
After=vgpu-licensed.target
BindsTo=vgpu-licensed.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/touch /run/workload
[Install]
WantedBy=vgpu-licensed.target
"""


# A container has no /dev/console: here is one, and what it was given to show.
CONSOLE = """[Unit]
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target
[Service]
Type=exec
ExecStart=/usr/bin/script --quiet --flush --command 'ln -sf $$(tty) /dev/console; exec sleep infinity' /run/console.log
ExecStartPost=/bin/sh -c 'until [ -c /dev/console ]; do sleep 0.1; done'
[Install]
WantedBy=sysinit.target
"""


def show(guest, unit, *names):
    """Properties of a unit, in this order."""
    text = guest.exec(["systemctl", "show", unit, *(f"--property={name}" for name in names)]).stdout.decode()
    values = dict(line.split("=", 1) for line in text.splitlines())
    return [values.get(name) for name in names]


def wait_for(guest, what, condition, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.3)
    need(False, f"no {what} within {seconds} s:\n{guest.journal('-u', UNIT)[-3000:]}\n{console(guest)[-2000:]}")


def wait_for_license(guest):
    wait_for(guest, "license", lambda: show(guest, TARGET, "ActiveState") == ["active"])
    wait_for(guest, "end of the work", lambda: show(guest, UNIT, "SubState") == ["exited"])


def console(guest):
    return guest.exec(["cat", "/run/console.log"]).stdout.decode(errors="replace") if guest.leader() else ""


def journal_of(guest, boot, *options):
    return guest.exec(["journalctl", "--no-pager", f"--boot={boot}", "--output=short-monotonic", *options]).stdout.decode(
        errors="replace")


def enable(guest, target, unit):
    wants = f"{guest.root}/etc/systemd/system/{target}.wants"
    os.makedirs(wants, exist_ok=True)
    place = "/etc" if os.path.exists(f"{guest.root}/etc/systemd/system/{unit}") else "/usr/lib"
    os.symlink(f"{place}/systemd/system/{unit}", f"{wants}/{unit}")


def claim_a_guest_without_gpu_boots_quietly(guest):
    scene.furnish(guest)
    enable(guest, "timers.target", TIMER)
    os.makedirs(f"{guest.root}/var/log/journal")
    scene.write(guest, "/etc/systemd/system/workload.service", WORKLOAD)
    enable(guest, TARGET, "workload.service")
    scene.write(guest, "/etc/systemd/system/console.service", CONSOLE)
    enable(guest, "sysinit.target", "console.service")
    os.symlink("/dev/null", f"{guest.root}/etc/systemd/system/console-getty.service")  # it would hang up the terminal
    os.rename(f"{guest.root}/usr/lib/vgpu-lab/pci", f"{guest.root}/usr/lib/vgpu-lab/pci.away")
    guest.boot(tied=True)
    wait_for(guest, "end of the work", lambda: show(guest, UNIT, "SubState") == ["exited"])
    need(show(guest, UNIT, "ActiveState", "Result", "ExecMainStatus") == ["active", "success", "3"],
         show(guest, UNIT, "ActiveState", "Result", "ExecMainStatus"))
    need(guest.exec(["systemctl", "is-system-running"]).stdout == b"running\n", "not running")
    said = [line for line in console(guest).splitlines() if "vgpu-guest-agent" in line and "no NVIDIA" in line]
    need(not said, said)
    guest.exec(["journalctl", "--sync"])
    loud = journal_of(guest, 0, "-u", UNIT, "-p", "warning")
    need("--" in loud and len(loud.splitlines()) <= 1, loud)
    guest.stop()


def claim_a_bare_guest_becomes_licensed_with_nobody_at_the_keyboard(guest):
    os.rename(f"{guest.root}/usr/lib/vgpu-lab/pci.away", f"{guest.root}/usr/lib/vgpu-lab/pci")
    servers.publish(guest.servers, scene.bundle())
    guest.boot(tied=True)
    # boot() returns when systemd has nothing left to start: the work of minutes is not waited for.
    need(show(guest, UNIT, "SubState") != ["exited"], "the boot waited for the work")
    need(show(guest, TARGET, "ActiveState") == ["inactive"], "the target before the license")
    wait_for_license(guest)
    need(b"Licensed" in scene.agent(guest, "status").stdout, scene.words(scene.agent(guest, "status")))


def claim_everybody_can_read_that_it_is_licensed(guest):
    done = guest.exec(["setpriv", "--reuid=65534", "--clear-groups", "cat", "/run/vgpu-guest-agent/status.json"])
    need(scene.report(done)["licensed"] is True, scene.words(done))
    need(guest.exec(["test", "-e", "/run/vgpu-guest-agent/licensed"]).returncode == 0, "no file")
    wait_for(guest, "workload", lambda: show(guest, "workload.service", "ActiveState") == ["active"])


def claim_the_serial_console_tells_the_story(guest):
    for word in ("install    changed", "license    unchanged", "compiling for", f"for {guest.kernels[0]}"):
        wait_for(guest, f"\"{word}\" on the console", lambda: word in console(guest))


def claim_journal_entries_are_explained(guest):
    guest.exec(["journalctl", "--update-catalog"])
    subject = "Subject: vGPU: every GPU that needs a license has one"
    wait_for(guest, "explanation", lambda: subject in journal_of(guest, 0, "-u", UNIT, "-x", "VGPU_STEP=license"))


def claim_a_shutdown_returns_the_license_while_the_network_is_up(guest):
    need("After=" in guest.exec(["systemctl", "cat", "nvidia-gridd"]).stdout.decode(), "no unit")
    guest.reboot(tied=True)
    log = journal_of(guest, -1)
    returned = log.find("License returned successfully")
    gridd = "\n".join(line for line in log.splitlines() if "gridd" in line or "network" in line)
    need(returned > 0, gridd)
    down = log.find("Stopped target network-online.target")
    need(returned < down, f"the network was gone first, or its end is not told:\n{gridd}")


def claim_a_second_boot_changes_nothing_and_is_licensed(guest):
    wait_for_license(guest)
    before = scene.listing(guest)
    guest.reboot(tied=True)
    wait_for_license(guest)
    # state.json and its copy: in a container nobody but the agent loads modules at boot, and that is something done.
    changed = [line for line in sorted(scene.listing(guest) ^ before)
               if "state.json" not in line and "vgpu-guest-agent/backup d " not in line and line.split()[0].startswith(
               ("etc/nvidia", "etc/mod", "usr/", "var/lib/vgpu-guest-agent/", "var/cache/vgpu"))]
    need(not changed, "\n".join(changed))


def claim_the_other_kernel_gets_its_modules_at_its_first_boot(guest):
    other = guest.kernels[1]
    module = f"{guest.root}/usr/lib/modules/{other}/updates/vgpu-guest-agent/nvidia.ko"
    need(not os.path.exists(module), "there already")
    guest.reboot(other, tied=True)
    wait_for_license(guest)
    need(os.path.exists(module), "no module")


def claim_a_token_that_changed_since_the_last_boot_is_taken(guest):
    if not os.environ.get("VGPU_ALL"):
        raise check.Skip("only with VGPU_ALL")
    guest.token = scene.tool("make-token").decode()
    scene.say_metadata(guest)
    guest.reboot(tied=True)
    wait_for_license(guest)
    with open(f"{guest.root}/etc/nvidia/ClientConfigToken/client_configuration_token.tok") as file:
        need(file.read() == guest.token, "the old token is still there")
    need(os.listdir(f"{guest.root}/var/lib/vgpu-guest-agent/backup/tokens") == [], "the old token is kept although the new one works")


def claim_a_kernel_that_is_installed_gets_its_modules_from_the_hook(guest):
    other = guest.kernels[0]  # the second one runs
    folder = f"{guest.root}/usr/lib/modules/{other}/updates/vgpu-guest-agent"
    done = guest.exec(["run-parts", f"--arg={other}", "/etc/kernel/postrm.d"], merge=True)
    need(done.returncode == 0 and not os.path.exists(folder), scene.words(done))
    done = guest.exec(["/etc/kernel/header_postinst.d/vgpu-guest-agent", other], merge=True)
    need(done.returncode == 0 and os.path.exists(f"{folder}/nvidia.ko"), scene.words(done))
    done = guest.exec(["/usr/lib/kernel/install.d/60-vgpu-guest-agent.install", "remove", other], merge=True)
    need(done.returncode == 0 and not os.path.exists(folder), scene.words(done))
    done = guest.exec(["/usr/lib/kernel/install.d/60-vgpu-guest-agent.install", "add", other], merge=True)
    need(done.returncode == 0 and os.path.exists(f"{folder}/nvidia.ko"), scene.words(done))


# What each unit may have open at most, by `systemd-analyze security`, and where that is explained.
EXPOSURE = {"vgpu-guest-agent-monitor.service": 2.1, UNIT: 7.6, "vgpu-guest-agent-rotate.service": 7.6,
            "vgpu-licensed-follow.service": 2.0, "vgpu-licensed-wait.service": 2.0}
EXPLAINED_IN = {"vgpu-guest-agent-rotate.service": UNIT}


def claim_the_units_are_as_narrow_as_their_work_permits(guest):
    for unit, most in EXPOSURE.items():
        said = guest.exec(["systemd-analyze", "security", "--no-pager", unit]).stdout.decode()
        level = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said).group(1))
        need(level <= most, f"{unit}: {level} is more than {most}\n{said}")
        text = guest.exec(["cat", f"/usr/lib/systemd/system/{EXPLAINED_IN.get(unit, unit)}"]).stdout.decode()
        words = re.findall(r"\w+[*]?=", "".join(line for line in text.splitlines(True) if line.startswith("#")))
        for name in re.findall(r"^\S*[✗] +(\w+=)", said, re.M):
            need(any(fnmatch.fnmatch(name, word) for word in words), f"{unit} does not say why {name} is open")
        need(show(guest, unit, "LimitCORE", "LimitCORESoft") == ["0", "0"], f"{unit} may dump core")


def claim_a_kernel_without_headers_is_complained_about_and_not_hindered(guest):
    bare = f"{guest.root}/usr/lib/modules/9.9.9-bare"
    os.makedirs(bare)
    done = guest.exec(["/etc/kernel/postinst.d/vgpu-guest-agent", "9.9.9-bare"], merge=True)
    need(done.returncode == 0 and b"*** vgpu-guest-agent: no NVIDIA driver for kernel 9.9.9-bare yet: its headers" in done.stdout,
         scene.words(done))
    wait_for(guest, "entry", lambda: "9.9.9-bare" in guest.journal("-t", "vgpu-guest-agent", "-p", "warning"))
    os.rmdir(bare)


def claim_the_hook_leaves_a_note_while_one_is_at_work_and_the_next_of_us_does_it(guest):
    other, noted = guest.kernels[0], f"{guest.root}/run/vgpu-guest-agent-kernels"
    folder = f"{guest.root}/usr/lib/modules/{other}/updates/vgpu-guest-agent"
    guest.exec(["run-parts", f"--arg={other}", "/etc/kernel/postrm.d"])
    need(not os.path.exists(folder), "the modules are still there")
    holder = guest.spawn(["flock", "--no-fork", "/run/vgpu-guest-agent.lock", "tail", "-f", "/dev/null"])
    wait_for(guest, "holder of the lock", lambda: scene.agent(guest, "configure").returncode == 15)
    # It could wait for ever.
    done = guest.exec(["/etc/kernel/header_postinst.d/vgpu-guest-agent", other], merge=True, timeout=60)
    need(done.returncode == 0 and b"***" not in done.stdout, scene.words(done))
    need(guest.exec(["ls", "/run/vgpu-guest-agent-kernels"]).stdout.decode().split() == [other], noted)
    guest.exec(["pkill", "-x", "tail"])
    holder.wait()
    done = scene.agent(guest, "configure")
    need(done.returncode == 0 and os.path.exists(f"{folder}/nvidia.ko"), scene.words(done))
    need(not guest.exec(["ls", "-A", "/run/vgpu-guest-agent-kernels"]).stdout, "the note is still there")


def claim_a_license_that_goes_takes_the_target_and_the_workload_with_it(guest):
    scene.behave(guest, license_delay=1, gridd="pool_empty")
    guest.exec(["systemctl", "restart", "nvidia-gridd"])
    done = scene.agent(guest, "--set", "license.wait=3", "run")
    need(done.returncode == 12, scene.words(done))
    wait_for(guest, "end of the target", lambda: show(guest, TARGET, "ActiveState") == ["inactive"])
    wait_for(guest, "end of the workload", lambda: show(guest, "workload.service", "ActiveState") == ["inactive"])
    need(guest.exec(["test", "-e", "/run/vgpu-guest-agent/licensed"]).returncode == 1, "the file is still there")
    status = scene.report(guest.exec(["cat", "/run/vgpu-guest-agent/status.json"]))
    need(status["licensed"] is False and status["reason"]["code"] == "pool_empty", status)
    guest.exec(["systemctl", "start", "--no-block", TARGET])  # whoever pulls it in now waits
    wait_for(guest, "wait", lambda: show(guest, "vgpu-licensed-wait.service", "ActiveState") == ["activating"])
    time.sleep(1.5)
    need(show(guest, TARGET, "ActiveState") == ["inactive"], "the target without a license")


def claim_a_host_driver_that_changed_since_the_last_boot_is_followed(guest):
    with tempfile.TemporaryDirectory() as tree:
        scene.tool("make-pci", tree, "--gpu", "vgpu", "--host-version", "535.183.04", "--branch", "r535_00")
        nspawn.plant_pci(guest.root, tree)
    servers.publish(guest.servers, scene.bundle("535.183.06", "535.183.04"))
    scene.behave(guest, license_delay=1)
    guest.reboot(tied=True)
    wait_for_license(guest)
    status = scene.report(scene.agent(guest, "--json", "status"))
    need(status["driver_version"] == "535.183.06", status)


def claim_what_the_cloud_may_mend_is_tried_again(guest):
    scene.behave(guest, license_delay=1)
    token = f"{guest.root}/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
    os.unlink(token)
    servers.metadata(guest.servers, {"driver": {"repository": servers.REPOSITORY_URL}})
    guest.exec(["systemctl", "stop", TIMER, UNIT])
    # While the guest is licensed no token is asked for.
    guest.exec(["systemctl", "restart", "nvidia-gridd"])
    wait_for(guest, "end of the license", lambda: scene.agent(guest, "status").returncode == 12)
    guest.exec(["systemctl", "start", UNIT])
    wait_for(guest, "failure", lambda: show(guest, UNIT, "ActiveState") == ["failed"])
    need(show(guest, UNIT, "ExecMainStatus") == ["11"], show(guest, UNIT, "ExecMainStatus"))
    need(show(guest, TIMER, "SubState") == ["waiting"], show(guest, TIMER, "SubState"))
    scene.say_metadata(guest)
    if not os.environ.get("VGPU_ALL"):  # the next try comes within a minute
        guest.exec(["systemctl", "start", UNIT])
    wait_for_license(guest)


def fail(guest, status):
    """One start of the unit, which fails so."""
    guest.exec(["systemctl", "stop", TIMER, UNIT])
    guest.exec(["systemctl", "reset-failed", UNIT])  # so many starts at once are too many for systemd
    guest.exec(["systemctl", "start", UNIT])
    wait_for(guest, "failure", lambda: show(guest, UNIT, "ActiveState") == ["failed"])
    need(show(guest, UNIT, "ExecMainStatus") == [str(status)], guest.journal("-u", UNIT)[-3000:])


# What the unit ends with, by which settings, and whether waiting can help: the status alone does not say.
FAILURES = (
    (5, 'driver: { repository = "http://127.0.0.1:9/"; }; http: { retries = 0; };', True),
    (4, f'driver: {{ repository = "{servers.REPOSITORY_URL}"; version = "535.1"; }};', True),  # it may be published yet
    (4, "", False),  # no repository is named: there is nothing to wait for
    (2, 'driver: { repositry = ""; };', False),
)


def claim_what_waiting_can_mend_is_tried_again_and_nothing_else(guest):
    guest.exec(["systemctl", "stop", TIMER, UNIT])
    need(scene.agent(guest, "uninstall").returncode == 0, "uninstall")
    guest.exec(["rm", "/run/vgpu-guest-agent-sealed"])  # as the next boot would
    for status, settings, goes_on in FAILURES:
        scene.write(guest, "/etc/vgpu-guest-agent/conf.d/zz.conf", f"metadata: {{ enabled = false; }};\n{settings}\n")
        fail(guest, status)
        wanted = "waiting" if goes_on else "dead"
        for timer in (TIMER, HOURLY):
            wait_for(guest, f"{timer} {wanted} after {settings}", lambda: show(guest, timer, "SubState") == [wanted])
        guest.exec(["systemctl", "stop", TIMER, UNIT])
    wait_for(guest, "word on the console", lambda: "zz.conf" in console(guest))
    need(b"RandomizedDelayUSec=20min" in guest.exec(["systemctl", "show", HOURLY]).stdout, "all guests at once")


with scene.bare() as guest:
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
