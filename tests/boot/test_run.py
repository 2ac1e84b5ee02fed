#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The whole job in a booted guest: from a bare vGPU guest to a licensed one, again with nothing to do, and after a reboot into another
kernel. Every status and key here is the contract's, of the installed binary."""
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

MODULES = "/usr/lib/modules/{}/updates/vgpu-guest-agent"


def outcomes(done):
    return {step["step"]: step["outcome"] for step in scene.report(done)["steps"]}


def claim_detect_shows_the_vgpu_and_both_kernels(guest):
    guest.boot(tied=True)
    done = scene.agent(guest, "--json", "detect")
    need(done.returncode == 0, scene.words(done))
    seen = scene.report(done)
    need([gpu["kind"] for gpu in seen["gpus"]] == ["vgpu"], seen)
    need(seen["gpus"][0]["host_driver"]["version"] == scene.HOST, seen)
    kernels = {kernel["release"]: kernel for kernel in seen["kernels"]}
    need(sorted(kernels) == sorted(guest.kernels), seen)
    need([release for release in kernels if kernels[release]["running"]] == [guest.kernels[0]], seen)
    need(all(kernel["headers"] for kernel in kernels.values()), seen)


def claim_plan_names_the_bundle_and_changes_nothing(guest):
    before = scene.listing(guest)
    done = scene.agent(guest, "--json", "plan")
    need(done.returncode == 0, scene.words(done))
    plan = scene.report(done)
    need(plan["driver"]["version"] == scene.DRIVER and plan["driver"]["rule"] == "bundle", plan)
    need(plan["driver"]["integrity"] == "manifest-tls", plan)
    need([(kernel["release"], kernel["action"]) for kernel in plan["kernels"]] == [(guest.kernels[0], "build")], plan)
    need(plan["would_fail"] is None, plan)
    changed = scene.listing(guest) ^ before
    need(not changed, f"plan changed {sorted(changed)}")


def claim_status_without_a_driver_is_13(guest):
    done = scene.agent(guest, "--json", "status")
    need(done.returncode == 13, scene.words(done))


def claim_run_ends_licensed_and_asks_the_metadata_without_the_proxy(guest):
    done = guest.exec(["vgpu-guest-agent", "--json", "run"], environment={"http_proxy": "http://127.0.0.1:9/"})
    need(done.returncode == 0, scene.words(done))
    seen = outcomes(done)
    for step in ("fetch", "build", "install", "configure", "token", "gridd"):
        need(seen.get(step) == "changed", f"{step}: {seen}")
    done = scene.agent(guest, "--json", "status")
    need(done.returncode == 0, scene.words(done))
    status = scene.report(done)
    need(status["licensed"] and status["driver_version"] == scene.DRIVER, status)
    need(status["gpus"][0]["features"][0]["state"] == "licensed", status)
    need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["gpus"][0]["features"][0]["expiry"]), status)


def claim_the_module_loaded_is_the_one_built_for_this_kernel(guest):
    journal = guest.exec(["cat", "/run/vgpu-lab/journal"]).stdout.decode().split()
    for module in ("nvidia", "nvidia-uvm"):
        path = f"/lib/modules/{guest.kernels[0]}/updates/vgpu-guest-agent/{module}.ko"
        need(path in journal, f"{path} in {journal}")


def claim_the_files_are_the_contract_s(guest):
    token = f"{guest.root}/etc/nvidia/ClientConfigToken"
    need(os.listdir(token) == ["client_configuration_token.tok"], os.listdir(token))
    with open(f"{token}/client_configuration_token.tok", "rb") as file:
        installed = file.read()
    with open(f"{guest.servers}/metadata/openstack/latest/vendor_data2.json") as file:
        given = json.load(file)["vgpu_guest_agent"]["client_token"]
    need(installed.decode() == given.strip(), "the token's bytes differ")
    need(os.stat(f"{token}/client_configuration_token.tok").st_mode & 0o7777 == 0o744, "mode")
    with open(f"{guest.root}/etc/nvidia/gridd.conf") as file:
        need(re.search(r"^FeatureType=1$", file.read(), re.M), "FeatureType")
    with open(f"{guest.root}/etc/modprobe.d/vgpu-guest-agent.conf") as file:
        need(re.search(r"^blacklist nouveau$", file.read(), re.M), "blacklist")
    for path in ("/var/lib/vgpu-guest-agent/state.json", "/usr/src/vgpu-guest-agent", "/var/log/vgpu-guest-agent"):
        need(os.path.exists(guest.root + path), path)


def claim_no_secret_is_in_logs_journal_or_state(guest):
    with open(f"{guest.servers}/metadata/openstack/latest/vendor_data2.json") as file:
        secret = json.load(file)["vgpu_guest_agent"]["client_token"].split(".")[1][:60]
    need(secret not in guest.journal(), "in the journal")
    found = guest.exec(["grep", "-rlF", secret, "/var/log", "/var/lib/vgpu-guest-agent", "/run/vgpu-guest-agent"]).stdout
    need(found == b"", found)


def claim_a_second_run_does_no_work_and_changes_no_file(guest):
    before = scene.listing(guest)
    with open(f"{guest.servers}/repository.log") as file:
        requests = [line for line in file if ".zip" in line]
    began = time.monotonic()
    done = scene.agent(guest, "--json", "run")
    seconds = time.monotonic() - began
    need(done.returncode == 0, scene.words(done))
    need("changed" not in outcomes(done).values(), scene.words(done))
    need(seconds < 10, f"it took {seconds:.1f} s")
    changed = scene.listing(guest) ^ before
    need(not changed, f"changed {sorted(changed)}")
    with open(f"{guest.servers}/repository.log") as file:
        need([line for line in file if ".zip" in line] == requests, "it fetched the bundle again")


def claim_a_rotated_token_is_installed_and_nothing_else_is_done(guest):
    guest.token = scene.tool("make-token").decode()
    scene.say_metadata(guest)
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    changed = sorted(step for step, outcome in outcomes(done).items() if outcome == "changed")
    need("token" in changed and "gridd" in changed, changed)
    need(not {"fetch", "unpack", "build", "install", "configure"} & set(changed), changed)
    token = f"{guest.root}/etc/nvidia/ClientConfigToken"
    need(os.listdir(token) == ["client_configuration_token.tok"], os.listdir(token))
    with open(f"{token}/client_configuration_token.tok") as file:
        need(file.read() == guest.token.strip(), "it is not the new one")


def claim_a_second_run_needs_no_repository(guest):
    servers.metadata(guest.servers, None)
    os.rename(f"{guest.servers}/repository", f"{guest.servers}/repository.away")
    done = scene.agent(guest, "--json", "run")
    os.rename(f"{guest.servers}/repository.away", f"{guest.servers}/repository")
    scene.say_metadata(guest)
    need(done.returncode == 0, scene.words(done))
    need("changed" not in outcomes(done).values(), scene.words(done))


def claim_after_a_reboot_it_is_licensed_without_a_build(guest):
    guest.reboot(tied=True)
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    need(outcomes(done).get("build") != "changed", scene.words(done))


def claim_a_daemon_that_started_before_the_module_is_restarted(guest):
    override = "/run/systemd/system/nvidia-gridd.service.d/early.conf"
    script = f"""set -e
        systemctl stop nvidia-gridd
        rmmod nvidia_uvm
        rmmod nvidia
        mkdir -p {os.path.dirname(override)}
        printf '[Service]\nType=simple\nExecStart=\nExecStart=/bin/sleep 1000\n' >{override}
        systemctl daemon-reload
        systemctl start nvidia-gridd
        rm {override}
        systemctl daemon-reload
        systemctl is-active nvidia-gridd"""
    done = guest.exec(["sh", "-c", script], merge=True)
    need(done.returncode == 0, done.stdout)
    done = scene.agent(guest, "--json", "run", "--set", "license.wait=20")
    need(done.returncode == 0, scene.words(done))
    need(outcomes(done)["gridd"] == "changed", scene.words(done))


def claim_after_a_reboot_into_another_kernel_run_builds_for_it(guest):
    other = guest.kernels[1]
    guest.reboot(other, tied=True)
    need(not os.path.exists(guest.root + MODULES.format(other)), "there were modules for it before")
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    need(outcomes(done).get("build") == "changed", scene.words(done))
    need(outcomes(done).get("fetch") != "changed", "it fetched the driver again")
    path = guest.root + MODULES.format(other) + "/nvidia.ko"
    magic = guest.exec(["modinfo", "-F", "vermagic", path.removeprefix(guest.root)]).stdout.decode().split()
    need(magic[:1] == [other], magic)
    need(scene.agent(guest, "status").returncode == 0, "not licensed")


def claim_the_older_kernel_still_has_its_modules(guest):
    guest.reboot(guest.kernels[0], tied=True)
    done = scene.agent(guest, "--json", "run")
    need(done.returncode == 0, scene.words(done))
    need(outcomes(done).get("build") != "changed", scene.words(done))


with scene.bare() as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle())
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
