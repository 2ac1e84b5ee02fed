#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a booted guest, in the order in which one guest can show it: first what stands in the way of the first
installation, then what breaks a licensed guest."""
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

GONE = "6.1.0-1-cloud-amd64"  # a kernel whose headers no mirror has any more
BROKEN = "550.127.05"
UNITLESS = "550.144.03"


def fails_with(guest, status, *arguments, name=None, step=None):
    """The agent must end with this status and say so in its JSON; the error it gave."""
    done = scene.agent(guest, "--json", *arguments)
    need(done.returncode == status, scene.words(done))
    error = scene.report(done).get("error") or {}
    need(error.get("status") == status, scene.words(done))
    need(name is None or error["name"] == name, error)
    need(step is None or error["step"] == step, error)
    return error


def untouched(guest):
    """Nothing of a driver is in the guest."""
    found = guest.exec(["sh", "-c", "ls -d /usr/bin/nvidia-* /lib/modules/*/updates/vgpu-guest-agent /etc/nvidia/gridd.conf"])
    return found.stdout == b""


def works(guest, version=scene.DRIVER):
    """The driver of this version is installed, answers and is licensed."""
    done = scene.agent(guest, "--json", "status")
    need(done.returncode == 0, scene.words(done))
    need(scene.report(done)["driver_version"] == version, scene.words(done))


def claim_without_a_gpu_run_ends_with_3_and_one_line(guest):
    pci = f"{guest.root}/usr/lib/vgpu-lab/pci"
    os.rename(pci, f"{pci}.away")
    os.mkdir(pci)
    guest.boot(tied=True)
    done = scene.agent(guest, "run")
    os.rmdir(pci)
    os.rename(f"{pci}.away", pci)
    need(done.returncode == 3, scene.words(done))
    need(untouched(guest), "something was installed")
    guest.reboot(tied=True)


def claim_a_full_var_is_7_before_anything_is_changed(guest):
    cache = "/var/cache/vgpu-guest-agent"
    mounted = guest.exec(["sh", "-c", f"mkdir -p {cache} && mount -t tmpfs -o size=64k,mode=755 tmpfs {cache}"], merge=True)
    need(mounted.returncode == 0, mounted.stdout)
    error = fails_with(guest, 7, "run", name="prerequisites")
    guest.exec(["umount", cache])
    need(untouched(guest), "something was installed")
    need(cache in error["message"] or "/var" in error["message"], error)


def claim_headers_that_no_mirror_has_are_7_and_no_others_are_taken(guest):
    modules = f"{guest.root}/usr/lib/modules"
    shutil.copytree(f"{modules}/{guest.kernels[0]}", f"{modules}/{GONE}", symlinks=True)
    for link in ("build", "source"):
        os.unlink(f"{modules}/{GONE}/{link}")
    before = guest.exec(["dpkg-query", "-W"]).stdout
    guest.reboot(GONE, tied=True)
    error = fails_with(guest, 7, "run", name="prerequisites")
    need(GONE in error["message"] and error["hint"], error)
    need(guest.exec(["dpkg-query", "-W"]).stdout == before, "packages were installed")
    need(untouched(guest), "something was installed")
    guest.reboot(guest.kernels[0], tied=True)
    shutil.rmtree(f"{modules}/{GONE}")


def claim_missing_headers_and_compiler_with_the_mirror_down_are_7(guest):
    purged = guest.exec(["apt-get", "-y", "purge", f"linux-headers-{guest.kernels[0]}", "gcc-12", "make"], merge=True)
    need(purged.returncode == 0, purged.stdout.decode())
    scene.switch(f"{guest.servers}/gateway.down", True)
    error = fails_with(guest, 7, "run", name="prerequisites")
    scene.switch(f"{guest.servers}/gateway.down", False)
    need(error["hint"], error)
    need(untouched(guest), "something was installed")


def claim_they_are_not_installed_where_that_is_not_wanted(guest):
    fails_with(guest, 7, "run", "--set", "driver.prerequisites=never", name="prerequisites")
    need(untouched(guest), "something was installed")


def claim_with_the_mirror_up_the_exact_ones_are_installed_and_run_ends_licensed(guest):
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    headers = guest.exec(["dpkg-query", "-W", "-f", "${Package} ${Status}\n", "linux-headers-*"]).stdout.decode()
    need(f"linux-headers-{guest.kernels[0]} install ok installed" in headers, headers)
    works(guest)


def claim_a_build_that_fails_is_8_and_the_old_driver_still_works(guest):
    servers.publish(guest.servers, scene.bundle(BROKEN, scene.HOST, "--fault", "build-error"))
    error = fails_with(guest, 8, "run", *scene.asking_for(BROKEN), name="build", step="build")
    need("error:" in error["message"], error)
    need("/var/log/vgpu-guest-agent/" in error["message"] + (error["hint"] or ""), error)
    works(guest)
    need(not scene.leftovers(guest), scene.leftovers(guest))


def claim_nvidia_smi_that_hangs_is_13_in_time(guest):
    for way, command in (("hang", "status"), ("deaf", "run")):
        scene.behave(guest, smi=way)
        began = time.monotonic()
        fails_with(guest, 13, command, name="driver")
        seconds = time.monotonic() - began
        need(seconds < 120, f"{way}, {command}: {seconds:.0f} s")
        need(not scene.leftovers(guest), scene.leftovers(guest))


def claim_half_a_report_is_13(guest):
    for way in ("half", "crash", "missing-module", "no-devices"):
        scene.behave(guest, smi=way)
        fails_with(guest, 13, "status", name="driver")
    scene.behave(guest)
    works(guest)


def claim_a_missing_nvidia_smi_is_13(guest):
    smi = f"{guest.root}/usr/bin/nvidia-smi"
    os.rename(smi, f"{smi}.away")
    fails_with(guest, 13, "status", name="driver")
    os.rename(f"{smi}.away", smi)
    works(guest)


def claim_why_there_is_no_license_comes_from_the_journal_with_12(guest):
    reasons = {"pool_empty": "pool_empty", "clock_windback": "clock_windback", "trusted_store": "trusted_store",
               "signature": "token_malformed", "network": None, "response_expired": None}
    for way, code in reasons.items():
        scene.behave(guest, gridd=way, license_delay=0, retry=60)
        guest.exec(["systemctl", "restart", "nvidia-gridd"])
        error = fails_with(guest, 12, "run", "--set", "license.wait=2", name="unlicensed", step="license")
        done = scene.agent(guest, "--json", "status")
        need(done.returncode == 12, scene.words(done))
        reason = scene.report(done)["reason"]
        need(reason and reason["message"] and reason["hint"], f"{way}: {scene.words(done)}")
        need(code is None or reason["code"] == code, f"{way}: {reason}")
        need(reason["message"][:20] in error["message"] + str(error["hint"]), f"{way}: {error} does not tell {reason}")


def claim_when_the_server_licenses_again_run_ends_licensed(guest):
    scene.behave(guest, license_delay=0)
    guest.exec(["systemctl", "restart", "nvidia-gridd"])
    done = scene.agent(guest, "run")
    need(done.returncode == 0, scene.words(done))


def claim_a_damaged_token_in_the_metadata_is_11_and_the_good_one_stays(guest):
    place = f"{guest.root}/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
    with open(place, "rb") as file:
        good = file.read()
    text = guest.token.strip()
    for name, damaged in (("glued", text + text), ("half", text[:len(text) // 2]), ("folded", text[:500] + "\n" + text[500:])):
        scene.say_metadata(guest, client_token=damaged)
        error = fails_with(guest, 11, "run", name="token", step="token")
        need(text[:40] not in str(error), f"{name}: the token is in the error")
        with open(place, "rb") as file:
            need(file.read() == good, f"{name}: the good token is gone")
    scene.say_metadata(guest)
    works(guest)


def claim_a_metadata_service_that_is_down_is_no_error_while_all_is_there(guest):
    for fault in ("down", "missing", "empty"):
        with open(f"{guest.servers}/metadata.fault", "w") as file:
            file.write(fault)
        done = scene.agent(guest, "run", "--set", "metadata.timeout=3")
        need(done.returncode == 0, f"{fault}: {scene.words(done)}")
    os.unlink(f"{guest.servers}/metadata.fault")


def claim_loading_that_hangs_ends_in_time_with_9(guest):
    scene.write(guest, "/etc/vgpu-lab/loading", "hang\n")
    guest.reboot(tied=True)
    began = time.monotonic()
    fails_with(guest, 9, "run", name="install")
    seconds = time.monotonic() - began
    os.unlink(f"{guest.root}/etc/vgpu-lab/loading")
    need(seconds < 200, f"{seconds:.0f} s")
    need(not scene.leftovers(guest), scene.leftovers(guest))


def claim_afterwards_run_loads_it_and_ends_licensed(guest):
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    works(guest)


def claim_an_update_to_a_package_without_the_unit_gets_one(guest):
    servers.publish(guest.servers, scene.bundle(UNITLESS, scene.HOST, "--fault", "missing-unit"))
    done = scene.agent(guest, "--json", "run", *scene.asking_for(UNITLESS))
    need(done.returncode == 0, scene.words(done))
    works(guest, UNITLESS)
    unit = guest.exec(["systemctl", "is-enabled", "nvidia-gridd"]).stdout
    need(unit == b"enabled\n", unit)


with scene.bare() as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle())
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
