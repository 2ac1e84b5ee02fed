#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""seal and uninstall in a guest that was licensed: what is gone afterwards, what is not, and what comes back."""
import glob
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, nspawn, scene, servers  # noqa: E402
from lab.base import output  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

STORE = "/var/lib/nvidia/GridLicensing"
TOKEN = "/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
CONF = "# the operator's\nFeatureType=0\nEnableUI=TRUE\n"


def steps(done):
    return {step["step"]: step["outcome"] for step in scene.report(done)["steps"]}


def tree(guest):
    """What uninstall is about: names, kinds, modes and sizes below the folders that a driver and a license touch."""
    folders = [f"{guest.root}/{name}" for name in ("usr", "etc", "var/lib/nvidia", "var/lib/vgpu-guest-agent", "opt")]
    found = output("find", *(folder for folder in folders if os.path.exists(folder)), "-xdev", "-not", "-type", "d", "-printf",
                   "%P %h %y %m %s %l\n").splitlines()
    # apt's and ldconfig's own, depmod's indexes, logs (nvidia-uninstall keeps its own)
    passed = ("/var/log", "/usr/lib/modules", "/etc/apt", "/etc/ld.so.cache", "/etc/machine-id", "/etc/resolv.conf", "/etc/.pwd", "depmod ", "modinfo ")
    return {line.replace(guest.root, "") for line in found if not any(part in line for part in passed)}


def modules(guest):
    return glob.glob(f"{guest.root}/usr/lib/modules/*/updates/vgpu-guest-agent")


def text_is_in(guest, text):
    """Files of the guest's disk in which a text stands."""
    return output("sh", "-c", 'grep -rlF -- "$1" "$2/etc" "$2/var" "$2/root" "$2/home" || :', "sh", text, guest.root).split()


def license_guest(guest):
    done = scene.agent(guest, "run")
    need(done.returncode == 0, scene.words(done))


def claim_nothing_is_left_to_seal_in_a_bare_guest(guest):
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle())
    scene.write(guest, "/etc/nvidia/gridd.conf", CONF)
    guest.boot(tied=True)
    for command in ("seal", "uninstall"):
        done = scene.agent(guest, "--json", command)
        need(done.returncode == 0 and set(steps(done).values()) <= {"unchanged", "skipped"}, scene.words(done))
    guest.before = tree(guest)


def claim_a_copy_of_the_token_stops_the_seal_before_anything_is_removed(guest):
    license_guest(guest)
    scene.write(guest, "/root/notes/token.bak", f"keep this:\n{guest.token}\n", 0o600)
    done = scene.agent(guest, "seal")
    need(done.returncode == 16 and b"/root/notes/token.bak" in done.stderr and b"hint: " in done.stderr, scene.words(done))
    need(guest.token.encode() not in done.stderr + done.stdout, "the token was shown")
    need(os.path.exists(guest.root + TOKEN), "the token was removed")
    os.unlink(f"{guest.root}/root/notes/token.bak")


def claim_a_sealed_guest_holds_no_token_and_no_identity(guest):
    scene.write(guest, f"{STORE}/trusted.store", "this machine")
    scene.write(guest, "/var/lib/cloud/instances/i-1/obj.pkl", f'\x80\x04{{"client_token": "{guest.token}"}}')
    done = scene.agent(guest, "--json", "seal")
    outcomes = steps(done)
    need(done.returncode == 0, scene.words(done))
    for step in ("search", "gridd", "token", "trusted_store", "state", "logs"):
        need(outcomes[step] == "changed", f"{step}: {outcomes}")
    middle = guest.token.strip()[len(guest.token) // 2:][:60]
    need(not text_is_in(guest, middle), text_is_in(guest, middle))
    need(os.listdir(guest.root + STORE) == [], "the trusted store")
    need(glob.glob(f"{guest.root}/var/log/vgpu-guest-agent/*") == [], "logs")
    need(not glob.glob(f"{guest.root}/var/lib/vgpu-guest-agent/backup/driver-*"), "a kept package")
    guest.exec(["journalctl", "--sync"])
    need("License returned" in guest.journal("-t", "nvidia-gridd"), guest.journal("-u", "nvidia-gridd"))
    need(guest.exec(["test", "-e", "/run/vgpu-guest-agent/licensed"]).returncode == 1, "still announced")


def claim_a_second_seal_changes_nothing(guest):
    done = scene.agent(guest, "--json", "seal")
    need(done.returncode == 0 and set(steps(done).values()) == {"unchanged"}, scene.words(done))


def claim_what_was_sealed_becomes_licensed_again(guest):
    guest.reboot(tied=True)
    license_guest(guest)
    need(os.path.exists(guest.root + TOKEN), "no token")


def claim_uninstall_leaves_what_was_there_before(guest):
    done = scene.agent(guest, "--json", "uninstall")
    need(done.returncode == 0, scene.words(done))
    need(steps(done)["driver"] == "changed" and steps(done)["configure"] == "changed", scene.words(done))
    difference = sorted(tree(guest) ^ guest.before)
    need(not difference, "\n".join(difference))
    with open(f"{guest.root}/etc/nvidia/gridd.conf") as file:
        need(file.read() == CONF, "gridd.conf is not the operator's")
    need(not modules(guest), modules(guest))
    need(guest.exec(["systemctl", "cat", "nvidia-gridd"]).returncode != 0, "the unit is still there")
    loaded = guest.exec(["lsmod"]).stdout
    need(b"nvidia" not in loaded, loaded)


def claim_a_second_uninstall_changes_nothing(guest):
    done = scene.agent(guest, "--json", "uninstall")
    need(done.returncode == 0 and set(steps(done).values()) <= {"unchanged", "skipped"}, scene.words(done))


def claim_a_unit_that_the_agent_wrote_goes_too(guest):
    if not os.environ.get("VGPU_ALL"):
        raise check.Skip("only with VGPU_ALL")
    for old in glob.glob(f"{guest.servers}/repository/*.zip"):
        os.unlink(old)
    servers.publish(guest.servers, scene.bundle(scene.DRIVER, scene.HOST, "--fault", "missing-unit"))
    license_guest(guest)
    unit = f"{guest.root}/usr/lib/systemd/system/nvidia-gridd.service"
    need(os.path.exists(unit), "no unit")
    done = scene.agent(guest, "uninstall")
    need(done.returncode == 0 and not os.path.exists(unit), scene.words(done))
    need(not sorted(tree(guest) ^ guest.before), sorted(tree(guest) ^ guest.before))


def claim_a_guest_after_uninstall_can_be_licensed_again(guest):
    license_guest(guest)


def claim_a_kernel_that_an_image_gets_has_its_modules(guest):
    guest.stop()
    for tool in ("depmod", "modinfo"):  # what stands in for them needs a booted guest
        nspawn.replace_by_link(f"{guest.root}/usr/sbin/{tool}", "/usr/bin/kmod")
    if not os.environ.get("VGPU_ALL"):
        raise check.Skip("only with VGPU_ALL")
    output("mount", "-t", "proc", "proc", f"{guest.root}/proc")
    try:
        said = output("sh", "-c", 'chroot "$@" 2>&1', "sh", guest.root, "/etc/kernel/header_postinst.d/vgpu-guest-agent",
                      guest.kernels[1])
    finally:
        output("umount", "--lazy", f"{guest.root}/proc")
    need(len(modules(guest)) == 2, said)


def claim_both_work_in_a_mounted_image(guest):
    done = guest_outside(guest, "--json", "seal")
    need(done["token"] == "changed" and done["gridd"] == "skipped", done)
    need(not os.listdir(f"{guest.root}/etc/nvidia/ClientConfigToken"), "a token")
    done = guest_outside(guest, "--json", "uninstall")
    need(done["driver"] == "changed" and done["modules"] == "changed", done)
    need(not sorted(tree(guest) ^ guest.before), sorted(tree(guest) ^ guest.before))


def guest_outside(guest, *arguments):
    """The agent of the build on this machine, on the guest's tree."""
    text = output(f"{os.environ['VGPU_BUILD']}/agent/vgpu-guest-agent", "--root", guest.root, *arguments)
    return {step["step"]: step["outcome"] for step in json.loads(text)["steps"]}


with scene.bare() as guest:
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
