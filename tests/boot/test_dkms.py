#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""driver.dkms = "yes" with the distribution's dkms: it has the driver, builds it for a kernel that comes later, and there is a driver
that works whatever fails. With VGPU_ALL alone: it installs dkms, and compiles a dozen times."""
import glob
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, nspawn, scene, servers  # noqa: E402
from lab.base import output  # noqa: E402
from lab.check import need  # noqa: E402

if not os.environ.get("VGPU_ALL"):
    print("1..0 # SKIP only with VGPU_ALL")
    sys.exit(77)
check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

NEWER = "550.127.05"
BROKEN = "550.144.03"
DYING = "550.163.01"
CONF = """http: {{ ca_file = "/etc/vgpu-guest-agent/lab-ca.pem"; }};
driver: {{ dkms = "{}"; }};
signing: {{ key = "/etc/vgpu-guest-agent/key.pem"; cert = "/etc/vgpu-guest-agent/cert.pem"; }};
"""


def outcomes(done):
    return {step["step"]: step["outcome"] for step in scene.report(done)["steps"]}


def run(guest, *arguments, status=0):
    done = scene.agent(guest, "--json", "run", *arguments, timeout=600)
    need(done.returncode == status, scene.words(done))
    return done


def give_key(guest):
    folder = f"{guest.root}/etc/vgpu-guest-agent"
    output("openssl", "req", "-new", "-x509", "-nodes", "-days", "30", "-subj", "/CN=the operator's", "-newkey", "rsa:2048",
           "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem")
    os.chmod(f"{folder}/key.pem", 0o600)


def set_dkms(guest, value):
    scene.write(guest, "/etc/vgpu-guest-agent/agent.conf", CONF.format(value))


def dkms(guest):
    """What DKMS has: {(version, kernel or None): state}."""
    found = {}
    for line in guest.exec(["dkms", "status"]).stdout.decode().splitlines():
        what, _, state = line.partition(": ")
        parts = what.split(", ")
        found[parts[0].removeprefix("nvidia/"), parts[1] if len(parts) > 1 else None] = state.split()[0]
    return found


def chosen(guest, release):
    """The file and the version of the module that modprobe would take."""
    said = [guest.exec(["modinfo", "-k", release, "-F", field, "nvidia"]).stdout.decode().strip() for field in ("filename", "version")]
    return said[0].removeprefix(f"/lib/modules/{release}/"), said[1]


def needs_dkms_alone(guest, version, release):
    need({entry[0] for entry in dkms(guest)} == {version} and dkms(guest).get((version, release)) == "installed", dkms(guest))
    need(chosen(guest, release) == ("updates/dkms/nvidia.ko", version), chosen(guest, release))
    sources = glob.glob(f"{guest.root}/usr/src/*nvidia*") + glob.glob(f"{guest.root}/usr/src/*vgpu*", include_hidden=True)
    need(sources == [f"{guest.root}/usr/src/nvidia-{version}"], sources)
    need(not glob.glob(f"{guest.root}/usr/lib/modules/{release}/updates/vgpu-guest-agent"), "the agent's own modules")


def licensed_with(guest, version):
    status = scene.report(scene.agent(guest, "--json", "status"))
    need(status["driver_version"] == version and status["licensed"], status)


def claim_plan_names_it_and_changes_nothing(guest):
    give_key(guest)
    set_dkms(guest, "yes")
    guest.boot(tied=True)
    before = scene.listing(guest)
    plan = scene.report(scene.agent(guest, "--json", "plan"))
    paths = [change["path"] for change in plan["changes"]]
    need(f"/usr/src/nvidia-{scene.DRIVER}/" in paths and f"/lib/modules/{guest.kernels[0]}/updates/dkms/" in paths, plan)
    [compiler] = [item for item in plan["checks"] if item["name"] == "compiler"]
    need("dkms" in compiler["detail"] and compiler["ok"] is None, plan)
    need(not scene.listing(guest) ^ before, scene.listing(guest) ^ before)


def claim_where_nothing_may_be_installed_dkms_is_named(guest):
    error = scene.report(run(guest, "--set", "driver.prerequisites=never", status=7))["error"]
    need("dkms" in error["message"], error)


def claim_run_ends_licensed_and_dkms_has_the_driver(guest):
    seen = outcomes(run(guest))
    need(seen["build"] == seen["install"] == "changed", seen)
    needs_dkms_alone(guest, scene.DRIVER, guest.kernels[0])


def claim_dkms_signs_with_the_key_of_the_configuration(guest):
    for module in ("nvidia", "nvidia-uvm"):
        signer = guest.exec(["modinfo", "-k", guest.kernels[0], "-F", "signer", module]).stdout.decode().strip()
        need(signer == "the operator's", signer)


def claim_a_second_run_changes_no_file(guest):
    before = scene.listing(guest)
    seen = outcomes(run(guest))
    need("changed" not in seen.values(), seen)
    need(not scene.listing(guest) ^ before, scene.listing(guest) ^ before)


def claim_a_later_kernel_is_built_for_by_dkms_once(guest):
    other = guest.kernels[1]
    hook = guest.exec(["/etc/kernel/header_postinst.d/vgpu-guest-agent", other], merge=True)
    need(hook.returncode == 0 and b"left to DKMS" in hook.stdout, hook.stdout)
    need((scene.DRIVER, other) not in dkms(guest), "the agent's hook built")
    hook = guest.exec(["/etc/kernel/header_postinst.d/dkms", other], merge=True)
    need(dkms(guest).get((scene.DRIVER, other)) == "installed", hook.stdout.decode())
    guest.reboot(other, tied=True)
    seen = outcomes(run(guest))
    need(seen["build"] == "unchanged" and seen.get("fetch") != "changed", seen)
    guest.reboot(guest.kernels[0], tied=True)
    run(guest)


def claim_a_kernel_without_modules_gets_them_without_the_package(guest):
    other = guest.kernels[1]
    guest.exec(["dkms", "remove", f"nvidia/{scene.DRIVER}", "-k", other])
    need((scene.DRIVER, other) not in dkms(guest), dkms(guest))
    done = scene.agent(guest, "--json", "install", "--kernel", other, timeout=600)
    need(done.returncode == 0 and outcomes(done).get("fetch") != "changed", scene.words(done))
    need(dkms(guest).get((scene.DRIVER, other)) == "installed", dkms(guest))


def claim_a_driver_that_does_not_compile_leaves_the_old_one_and_no_trace(guest):
    before = dkms(guest)
    error = scene.report(run(guest, *scene.asking_for(BROKEN), status=8))["error"]
    need("error" in error["message"] and "make" in error["hint"], error)
    need(dkms(guest) == before and not os.path.exists(f"{guest.root}/usr/src/nvidia-{BROKEN}"), dkms(guest))
    licensed_with(guest, scene.DRIVER)


def claim_a_driver_whose_installer_dies_is_taken_back(guest):
    run(guest, *scene.asking_for(DYING), status=9)
    licensed_with(guest, scene.DRIVER)
    run(guest)
    needs_dkms_alone(guest, scene.DRIVER, guest.kernels[0])


def killed(guest, moment, arguments):
    process = guest.spawn(["vgpu-guest-agent", "run", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(moment)
    guest.exec(["sh", "-c", "kill -KILL $(pgrep -o -x vgpu-guest-agen)"])
    process.wait(60)


def claim_an_update_killed_at_any_moment_is_finished_and_the_old_one_goes(guest):
    for moment in (0.7, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5):
        killed(guest, moment, scene.asking_for(NEWER))
    run(guest, *scene.asking_for(NEWER))
    needs_dkms_alone(guest, NEWER, guest.kernels[0])
    licensed_with(guest, NEWER)


def claim_back_to_the_agents_own_and_to_dkms_again_without_the_package(guest):
    own = "updates/vgpu-guest-agent/nvidia.ko", NEWER
    set_dkms(guest, "no")
    seen = outcomes(run(guest))
    need(seen.get("fetch") != "changed" and not dkms(guest), (seen, dkms(guest)))
    need(chosen(guest, guest.kernels[0]) == own, chosen(guest, guest.kernels[0]))
    need(not os.path.exists(f"{guest.root}/usr/src/nvidia-{NEWER}"), "sources of DKMS")
    need(os.path.isdir(f"{guest.root}/usr/src/vgpu-guest-agent/{NEWER}"), "no sources for the hook")
    need("changed" not in outcomes(run(guest)).values(), "a second run changes something")
    set_dkms(guest, "yes")
    seen = outcomes(run(guest))
    need(seen.get("fetch") != "changed", seen)
    needs_dkms_alone(guest, NEWER, guest.kernels[0])


def claim_the_switch_killed_at_any_moment_is_finished(guest):
    for value in ("no", "yes"):
        set_dkms(guest, value)
        for moment in (0.3, 1, 2, 3, 4):
            killed(guest, moment, ())
        run(guest)
        if value == "no":
            need(not dkms(guest), dkms(guest))
            need(chosen(guest, guest.kernels[0]) == ("updates/vgpu-guest-agent/nvidia.ko", NEWER), chosen(guest, guest.kernels[0]))
    needs_dkms_alone(guest, NEWER, guest.kernels[0])


def claim_sources_of_others_are_not_touched(guest):
    stranger = f"/usr/src/nvidia-{BROKEN}"
    scene.write(guest, f"{stranger}/dkms.conf", 'PACKAGE_NAME="nvidia"\n')
    error = scene.report(run(guest, *scene.asking_for(BROKEN), status=9))["error"]
    need(stranger in error["message"], error)
    guest.exec(["rm", "-r", stranger])
    licensed_with(guest, NEWER)


def claim_uninstall_leaves_nothing_in_dkms(guest):
    done = scene.agent(guest, "--json", "uninstall", timeout=600)
    need(done.returncode == 0, scene.words(done))
    need(not dkms(guest), dkms(guest))
    left = glob.glob(f"{guest.root}/usr/src/nvidia-*") + glob.glob(f"{guest.root}/usr/lib/modules/*/updates/*/nvidia*")
    need(not left, left)


def install_outside(guest, path):
    """The agent of the build on this machine, on the guest's tree."""
    return subprocess.run([f"{os.environ['VGPU_BUILD']}/agent/vgpu-guest-agent", "--root", guest.root, "--json", "install",
                           "--driver", path], capture_output=True, check=False, timeout=600)


def claim_an_image_needs_proc_and_dev_and_gets_modules_for_its_kernels(guest):
    guest.stop()
    for tool in ("depmod", "modinfo"):  # what stands in for them needs a booted guest
        nspawn.replace_by_link(f"{guest.root}/usr/sbin/{tool}", "/usr/bin/kmod")
    path = scene.package("run")
    before = scene.listing(guest)
    done = install_outside(guest, path)
    need(done.returncode == 7 and b"/proc and /dev" in done.stdout, scene.words(done))
    changed = {line.split()[0] for line in scene.listing(guest) ^ before}
    need(not [name for name in changed if name.startswith(("usr/", "etc/"))], changed)
    output("mount", "-t", "proc", "proc", f"{guest.root}/proc")
    output("mount", "--bind", "/dev", f"{guest.root}/dev")
    try:
        done = install_outside(guest, path)
        need(done.returncode == 0, scene.words(done))
        found = sorted(os.path.relpath(name, guest.root) for name in glob.glob(f"{guest.root}/usr/lib/modules/*/updates/*/nvidia.ko"))
        need(found == sorted(f"usr/lib/modules/{kernel}/updates/dkms/nvidia.ko" for kernel in guest.kernels), found)
    finally:
        output("umount", f"{guest.root}/dev")
        output("umount", "--lazy", f"{guest.root}/proc")


with scene.bare() as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle(), scene.bundle(NEWER, "550.127.06"),
                    scene.bundle(BROKEN, "550.144.02", "--fault", "build-error"),
                    scene.bundle(DYING, "550.163.02", "--fault", "installer-dies"))
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
