#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Vendor-data on a stock image with the distribution's cloud-init, beside whatever the tenant says."""
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time

import cloud
from lab import base, check, scene, servers
from lab.check import need

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip", "cpack")

TOKEN = scene.tool("make-token").decode()
NIL = "0" * 64
WRONG = "1" * 64
GOOD = {("driver", "repository"): servers.REPOSITORY_URL, ("license", "feature_type"): "1"}
REFUSED = [
    ({("driver", "repositroy"): "https://x/"}, "[driver] repositroy: no such setting"),
    ({("package", "deb_url"): "https://x/a.deb"}, "belong together"),
    ({("package", "deb_url"): "https://me:secret@x/a.deb", ("package", "deb_sha256"): NIL}, "without a password"),
    ({("package", "deb_url"): "https://x/a.rpm", ("package", "deb_sha256"): NIL}, "a .deb is expected"),
    ({("package", "rpm_url"): "https://x/';reboot;'.rpm", ("package", "rpm_sha256"): NIL}, "URL"),
    ({("package", "deb_sha256"): "abc"}, "64 hexadecimal digits"),
    ({("license", "feature_type"): "7"}, "0 to 4"),
    ({("license", "token_file"): "/etc/passwd"}, "no client configuration token"),
    ({("license", "token_file"): "/no/such.tok"}, "No such file"),
]


def claim_settings_that_cannot_be_meant_write_nothing(_):
    for settings, words in REFUSED:
        with tempfile.TemporaryDirectory() as folder:
            status, said, out = cloud.make_vendor_data(folder, {**GOOD, **settings})
            need(status == 2 and words in said and len(said.splitlines()) == 1, f"{settings}: {status} {said}")
            need("secret" not in said and not os.path.exists(out), f"{settings}: {os.path.exists(out)} {said}")


def claim_the_example_of_settings_is_good(_):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(f"{base.CLONE}/cloud-init/settings.example.ini", folder)
        with open(f"{folder}/client_configuration_token.tok", "w") as file:
            file.write(TOKEN)
        base.output(f"{base.CLONE}/scripts/make-vendor-data", f"{folder}/settings.example.ini", f"{folder}/out")
        need(sorted(os.listdir(f"{folder}/out")) == ["cloud-config.yaml", "dynamic", "vendor-data.json", "vendor-data.mime"],
             os.listdir(f"{folder}/out"))


def made(folder, **more):
    """The documents for a guest of ours: package, authority, repository, a token of 4 KB."""
    with open(f"{folder}/t.tok", "w") as file:
        file.write(more.pop("token", TOKEN))
    settings = {**GOOD, ("license", "token_file"): "t.tok", ("http", "ca_file"): f"{scene_guest.servers}/ca.pem",
                ("package", "deb_url"): f"{servers.REPOSITORY_URL}{cloud.PACKAGE}", ("package", "deb_sha256"): more.pop("sha256", sha256)}
    status, said, out = cloud.make_vendor_data(folder, settings)
    need(status == 0, said)
    return {name: open(f"{out}/{name}").read() for name in (
        "vendor-data.json", "vendor-data.mime", "cloud-config.yaml", "dynamic/vendor_data2.json", "dynamic/vgpu.json",
        "dynamic/cloud-init.json")}


def claim_the_documents_are_what_nova_and_cloud_init_take(guest):
    with tempfile.TemporaryDirectory() as folder:
        texts = made(folder, token=TOKEN[:-40] + "A" * (4096 - len(TOKEN)) + TOKEN[-40:])
        need(oct(os.stat(f"{folder}/out/vendor-data.json").st_mode & 0o777) == "0o600", "others can read the token")
    vendor = json.loads(texts["vendor-data.json"])
    need(isinstance(vendor["cloud-init"], str) and len(vendor["vgpu_guest_agent"]["client_token"]) == 4096, vendor)
    need(json.loads(texts["dynamic/vgpu.json"])["vgpu_guest_agent"] == vendor["vgpu_guest_agent"], "dynamic answer")
    need(json.loads(texts["dynamic/cloud-init.json"]) == vendor["cloud-init"], "dynamic answer for cloud-init")
    scene.write(guest, "/root/cloud-config.yaml", texts["cloud-config.yaml"])
    said = base.output("chroot", guest.root, "cloud-init", "schema", "--config-file", "/root/cloud-config.yaml")
    need(said.startswith("Valid cloud-config"), said)


def tenant_is_served(guest):
    """The tenant's own commands ran and the boot ended, whatever became of ours."""
    done = guest.exec(["sh", "-c", f"{cloud.UNTIL_DONE}; cloud-init status --long"], timeout=240)
    for path, text in (("/root/tenant-runcmd", "ran\n"), ("/root/tenant-file", "written")):
        seen = guest.exec(["cat", path]).stdout.decode()
        need(seen == text, f"{path}: {seen!r}\n{done.stdout.decode()}")


def when(guest, unit, stamp):
    said = guest.exec(["systemctl", "show", "--value", "--property", stamp, unit]).stdout
    return int(said.strip() or b"0")


def claim_a_stock_image_becomes_licensed_beside_the_tenants_user_data(guest):
    with tempfile.TemporaryDirectory() as folder:
        texts = made(folder)
    cloud.give(guest, cloud.USER_DATA, vendor_data=texts["vendor-data.json"])
    guest.boot(tied=True)
    tenant_is_served(guest)
    cloud.wait_licensed(guest)
    with open(f"{guest.root}/etc/nvidia/ClientConfigToken/client_configuration_token.tok") as file:
        need(file.read() == TOKEN, "not the token")
    deadline = time.monotonic() + 60  # it is started beside the run that licensed, and waited for by nobody
    while guest.exec(["systemctl", "is-active", "vgpu-guest-agent-monitor.service"]).stdout != b"active\n":
        need(time.monotonic() < deadline, guest.journal("--unit", "vgpu-guest-agent-monitor.service"))
        time.sleep(0.3)
    log = guest.journal()
    need(TOKEN[100:160] not in log, "the token is in the journal")


def claim_the_boot_did_not_wait_for_it(guest):
    up = when(guest, "multi-user.target", "ActiveEnterTimestampMonotonic")
    began = when(guest, "vgpu-guest-agent.service", "ExecMainStartTimestampMonotonic")
    need(0 < up < began, f"multi-user.target was reached at {up} us, the agent began at {began} us")


def claim_the_token_lies_where_root_alone_reads_it(guest):
    found = guest.exec(["grep", "-rlF", "--exclude-dir=proc", "--exclude-dir=sys", TOKEN[100:160],
                        "/etc", "/run", "/var", "/root", "/tmp"]).stdout.decode().split()
    for path in found:
        if path.startswith(("/etc/nvidia/ClientConfigToken/", f"{cloud.SEED}/")):
            continue
        seen = guest.exec(["su", "-s", "/bin/sh", "nobody", "-c", f"head -c 1 '{path}'"])
        need(seen.returncode != 0, f"everybody reads {path}")


def claim_the_next_boot_installs_nothing_anew(guest):
    before = os.stat(f"{guest.root}/usr/bin/vgpu-guest-agent").st_ctime_ns
    guest.reboot(tied=True)
    cloud.wait_licensed(guest)
    need(os.stat(f"{guest.root}/usr/bin/vgpu-guest-agent").st_ctime_ns == before, "the package was installed again")


def anew(guest):
    guest.reset()
    scene_ready(guest)


def unit_says(guest, unit, words):
    deadline = time.monotonic() + 60
    while words not in guest.journal("--unit", unit):
        need(time.monotonic() < deadline, guest.journal("--unit", unit))
        time.sleep(0.5)


def claim_a_package_with_another_checksum_is_not_installed(guest):
    anew(guest)
    with tempfile.TemporaryDirectory() as folder:
        texts = made(folder, sha256=WRONG)
    cloud.give(guest, cloud.USER_DATA, vendor_data2=texts["dynamic/vendor_data2.json"])
    guest.boot(tied=True)
    tenant_is_served(guest)
    words = f"the SHA-256 {sha256}, vendor-data says {WRONG}"
    unit = "vgpu-guest-agent-setup.service"
    unit_says(guest, unit, words)
    # nspawn's console is a pipe, to which the journal copies nothing.
    said = guest.exec(["systemctl", "show", "--property=StandardError", unit]).stdout
    need(said == b"StandardError=journal+console\n", said)
    need(not os.path.exists(f"{guest.root}/usr/bin/vgpu-guest-agent"), "it was installed")


def claim_a_tenant_who_refuses_vendor_data_gets_none(guest):
    anew(guest)
    with tempfile.TemporaryDirectory() as folder:
        texts = made(folder)
    cloud.give(guest, cloud.USER_DATA + "vendor_data: { enabled: false }\n", vendor_data=texts["vendor-data.json"])
    guest.boot(tied=True)
    tenant_is_served(guest)
    need(not os.path.exists(f"{guest.root}/run/vgpu-guest-agent-setup"), "vendor-data ran")


def claim_the_cloud_config_does_the_same_also_without_curl(guest):
    anew(guest)
    os.unlink(f"{guest.root}/usr/bin/curl")
    with tempfile.TemporaryDirectory() as folder:
        texts = made(folder)
    cloud.give(guest, cloud.USER_DATA, vendor_data=json.dumps({"cloud-init": texts["cloud-config.yaml"]}))
    guest.boot(tied=True)
    tenant_is_served(guest)
    cloud.wait_licensed(guest)


# A damaged document, a key of a newer operator, no token, a token of somebody else's: the status of `run`, what it says, and what
# `status` says afterwards.
BAD = [
    (lambda ours: "{ no JSON", 4, "vendor_data.json: no JSON", "vendor_data.json: no JSON"),
    (lambda ours: json.dumps({"vgpu_guest_agent": {**ours, "colour": "red"}}), 0, "colour", "warning: the last run: metadata: "),
    (lambda ours: json.dumps({"vgpu_guest_agent": {**ours, "client_token": "hello"}}), 11, "token: ", "the last run ended in token: "),
    (lambda ours: json.dumps({"vgpu_guest_agent": {**ours, "client_token": OTHER}}), 12, "client configuration token (Error: Invalid",
     "client configuration token (Error: Invalid token): not licensed"),
]
OTHER = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzb21lYm9keSJ9.c2ln"


def claim_bad_vendor_data_does_not_stop_the_boot_and_is_named(guest):
    with tempfile.TemporaryDirectory() as folder:
        ours = json.loads(made(folder)["vendor-data.json"])["vgpu_guest_agent"]
    for bad, status, words, afterwards in BAD:
        anew(guest)
        guest.install_agent(os.environ["VGPU_BUILD"])
        scene.write(guest, "/etc/vgpu-guest-agent/conf.d/ca.conf", 'http: { ca_file = "/etc/vgpu-guest-agent/lab-ca.pem"; };\n')
        text = bad(ours)
        cloud.give(guest, cloud.USER_DATA, vendor_data=text)
        guest.boot(tied=True)
        if text.endswith("}"):  # of a source with a damaged document cloud-init 22.4 takes nothing at all
            tenant_is_served(guest)
        done = scene.agent(guest, "--set", f"license.wait={8 if status else 60}", "run")
        need(done.returncode == status and words in done.stderr.decode(), f"{text[:20]}: {scene.words(done)}")
        if status == 4:  # the unit of each boot says it, too; its standard error goes to the serial console
            guest.exec(["systemctl", "start", "vgpu-guest-agent.service"])
            unit_says(guest, "vgpu-guest-agent.service", words)
        said = scene.agent(guest, "status")
        need((said.returncode == 0) == (status == 0) and afterwards in said.stderr.decode(), scene.words(said))
        unit = guest.exec(["systemctl", "show", "--property=StandardError", "vgpu-guest-agent.service"]).stdout
        need(unit == b"StandardError=journal+console\n", unit)  # nspawn's console is a pipe, to which the journal copies nothing


def scene_ready(guest):
    """A guest with a GPU and no agent."""
    with tempfile.TemporaryDirectory() as tree:
        scene.tool("make-pci", tree, "--gpu", "vgpu", "--host-version", scene.HOST)
        scene.nspawn.plant_pci(guest.root, tree)
    scene.behave(guest, license_delay=1)


with scene.bare(kind=cloud.Guest) as scene_guest, tempfile.TemporaryDirectory() as packages:
    package = cloud.package(packages)
    with open(package, "rb") as data:
        sha256 = hashlib.sha256(data.read()).hexdigest()
    servers.publish(scene_guest.servers, scene.bundle(), package)
    scene_ready(scene_guest)
    only = os.environ.get("VGPU_ONLY", "")
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_") and only in name],
                       scene_guest))
