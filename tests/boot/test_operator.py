#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The operator's whole way, with the programs that an operator uses: a signed bundle by publish-driver, the token and the repository by
the reference vendordata service, a guest that boots to its license by its own timer and is seen in the metrics; then a driver is
withdrawn and brought back while guests look."""
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import urllib.request

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CHECKOUT = os.path.join(TESTS, "..")
sys.path[:0] = [os.path.join(TESTS, name) for name in ("support", "http", "publish")]
from authority import Authority  # noqa: E402
from lab import check, network, scene  # noqa: E402
from lab.check import need  # noqa: E402
from lab.scene import shell, wait_for  # noqa: E402
from pulp import PASSWORD, USER, Pulp  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip", "openssl")

OPENSTACK = f"{CHECKOUT}/cloud-init/openstack"
AGENT = os.path.join(os.environ["VGPU_BUILD"], "agent", "vgpu-guest-agent")
PROJECT, REPOSITORY = "c0ffee00c0ffee00c0ffee00c0ffee00", "nvidia"
METRICS = "/run/vgpu-guest-agent/vgpu.prom"
OLDER = "550.54.15"
CONFIGURATION = f"""driver: {{ index_key = "/etc/vgpu-guest-agent/index-pub.pem"; }};
metadata: {{ timeout = 5; }};
monitor: {{ interval = 1; metrics_file = "{METRICS}"; }};
"""


def metrics(guest):
    return shell(guest, f"cat {METRICS}")


def publish(guest, *words):
    """The report of publish-driver, called at the operator's desk."""
    environment = {"PATH": os.environ["PATH"], "HOME": guest.home, "PULP_BASE_URL": guest.pulp.url, "PULP_USERNAME": USER,
                   "PULP_PASSWORD": PASSWORD, "VGPU_PUBLISH_PAUSE_S": "0.05"}
    with network.inside(guest.netns):
        done = subprocess.run([f"{CHECKOUT}/scripts/publish-driver", "--json", "--agent", AGENT, "--repository", REPOSITORY, "--key", guest.key,
                               *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    need(done.returncode == 0, scene.words(done))
    return json.loads(done.stdout)


def vendordata(guest, repository):
    """What nova gets from the reference service for the guest's project."""
    authority = Authority(f"{guest.home}/ca")
    authority.issue("server")
    os.makedirs(f"{guest.home}/tokens")
    with open(f"{guest.home}/tokens/{PROJECT}.tok", "wb") as file:
        file.write(scene.tool("make-token"))
    with open(f"{OPENSTACK}/object.json", encoding="utf-8") as file:
        ours = json.load(file)
    with open(f"{guest.home}/object.json", "w", encoding="utf-8") as file:
        json.dump({**ours, "driver": {"repository": repository}}, file)
    with network.inside(guest.netns):
        service = subprocess.Popen(
            [f"{OPENSTACK}/vendordata-service", "--port", "0", "--cert", authority.path("server.pem"), "--key", authority.path("server.key"),
             "--object", f"{guest.home}/object.json", "--tokens", f"{guest.home}/tokens"], stderr=subprocess.PIPE, text=True)
        try:
            port = int(service.stderr.readline().rsplit(" ", 1)[1])
            body = json.dumps({"project-id": PROJECT, "instance-id": "x", "user-data": None, "hostname": "vm", "metadata": {}}).encode()
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/", body, timeout=20, context=ssl.create_default_context(cafile=authority.path("ca.pem"))) as answer:
                return json.load(answer)
        finally:
            service.terminate()
            service.communicate()


def say_dynamically(guest, answer):
    """nova puts what a dynamic service answers under the service's name into vendor_data2.json."""
    folder = f"{guest.servers}/metadata/openstack/latest"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/vendor_data2.json", "w", encoding="utf-8") as file:
        json.dump({"vgpu": answer}, file)


def claim_a_bundle_is_published_with_a_signed_index(guest):
    older = scene.package("run", OLDER, OLDER)
    report = publish(guest, "--expires", "90", "--keep", "2", scene.bundle(), older)
    guest.bundle, guest.repository, guest.public = os.path.basename(scene.bundle()), report["url"], report["lines"]["index_pub"]
    need(report["changed"] and report["signed"] and report["serial"] == 1, report)
    need(report["hosts"] == {scene.HOST: scene.DRIVER}, report)


def claim_a_vendordata_service_that_is_down_holds_up_no_boot_and_is_seen(guest):
    guest.install_agent(os.environ["VGPU_BUILD"])
    scene.plant(guest)
    scene.write(guest, "/etc/vgpu-guest-agent/agent.conf", CONFIGURATION)
    scene.write(guest, "/etc/vgpu-guest-agent/index-pub.pem", guest.public + "\n")
    say_dynamically(guest, {})
    units = ["vgpu-guest-agent.timer", "vgpu-guest-agent-monitor.service", "vgpu-guest-agent-rotate.path"]
    subprocess.run(["systemctl", f"--root={guest.root}", "enable", *units], check=True, capture_output=True)
    guest.boot(tied=True)
    wait_for(guest, "word of it in the metrics", lambda: re.search(r"^vgpu_agent_run_status{.*} [1-9]", metrics(guest), re.MULTILINE))
    wait_for(guest, "other try planned", lambda: shell(guest, "systemctl is-active vgpu-guest-agent.timer").strip() == "active")


def claim_once_it_answers_the_guest_goes_to_its_license(guest):
    say_dynamically(guest, vendordata(guest, guest.repository))
    wait_for(guest, "license", lambda: shell(guest, "systemctl is-active vgpu-licensed.target").strip() == "active", 300)
    report = scene.report(scene.agent(guest, "--json", "status"))
    need(report["licensed"] and report["driver_version"] == scene.DRIVER, report)


def claim_it_is_seen_in_the_metrics(guest):
    def told(line):
        return lambda: line in metrics(guest)

    for line in ("vgpu_license_licensed{", f'vgpu_driver_info{{version="{scene.DRIVER}",host_version="{scene.HOST}"}} 1', 'name="ok"} 0',
                 "vgpu_token_expiry_timestamp_seconds"):
        wait_for(guest, line, told(line))
    need(all(line.endswith(" 1") for line in metrics(guest).splitlines() if line.startswith("vgpu_license_licensed{")), "0")


class Looking(threading.Thread):
    """A guest that looks again and again what it would get; what it got in the end, and each final error."""

    def __init__(self, guest, number):
        super().__init__(daemon=True)
        self.guest, self.number, self.over, self.final, self.versions = guest, number, threading.Event(), [], []

    def run(self):
        while not self.over.is_set():
            done = scene.agent(self.guest, "--json", "fetch", "--output", f"/var/tmp/{self.number}")
            report = scene.report(done)
            if done.returncode == 0:
                self.versions.append(report["version"])
            elif not report["error"]["passing"]:
                self.final.append(report["error"])


def claim_a_driver_is_withdrawn_and_brought_back_while_guests_look(guest):
    shell(guest, "mkdir -p /var/tmp/0 /var/tmp/1 /var/tmp/2")
    looking = [Looking(guest, number) for number in range(3)]
    for each in looking:
        each.start()

    def all_got(version):
        return lambda: all(each.versions[-1:] == [version] or each.final for each in looking)

    try:
        wait_for(guest, scene.DRIVER, all_got(scene.DRIVER), 120)
        report = publish(guest, "--expires", "90", "--keep", "2", "--withdraw", guest.bundle)
        need(report["removed"] == [guest.bundle] and report["serial"] == 2, report)
        wait_for(guest, OLDER, all_got(OLDER), 120)
        report = publish(guest, "--expires", "90", "--keep", "2", "--rollback")
        need(guest.bundle in report["added"] and report["serial"] == 3, report)
        wait_for(guest, scene.DRIVER, all_got(scene.DRIVER), 120)
    finally:
        for each in looking:
            each.over.set()
        for each in looking:
            each.join(300)
    need(not any(each.final for each in looking), [each.final for each in looking])


def claim_the_licensed_guest_noticed_nothing(guest):
    done = scene.agent(guest, "run")
    need(done.returncode == 0 and b"Nothing to do." in done.stdout, scene.words(done))


with scene.bare() as guest:
    guest.key = f"{guest.home}/index-key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", guest.key], check=True)
    with network.inside(guest.netns):
        guest.pulp = Pulp()
    with guest.pulp:
        sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
