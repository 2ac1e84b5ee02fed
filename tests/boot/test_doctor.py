#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Every cause that doctor knows, brought about in a licensed guest, must be the first that it names, with the contract's status. What
stands in: the GPU, the loading of modules and nvidia-gridd, whose words of the license server are asked for; the license server's port,
its TLS and its clock are a real server's."""
import contextlib
import email.utils
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, network, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

SERVER = "192.0.2.20"  # a license server that misbehaves
TOKEN = "/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
CONF = "/etc/nvidia/gridd.conf"
PATIENCE_S = 12


def sh(guest, script):
    done = guest.exec(["sh", "-ec", script], merge=True)
    need(done.returncode == 0, f"{script}\n{done.stdout.decode(errors='replace')}")


def doctor(guest, *arguments):
    done = scene.agent(guest, "--json", "doctor", *arguments)
    return done, scene.report(done)


def finds(guest, code, status, certain=True):
    """The first cause within some seconds, for the daemon takes its time to complain."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done, report = doctor(guest)
        first = (report["causes"] or [{"code": None}])[0]
        if first["code"] == code or time.monotonic() > deadline:
            break
        time.sleep(0.3)
    need(first["code"] == code and first["certain"] == certain, report)
    need(done.returncode == status and report["error"]["status"] == status, scene.words(done))
    need(report["error"]["message"] == first["message"] and report["error"]["hint"] == first["hint"], report)
    need(first["message"] and first["hint"], report)
    return report


def restart(guest, **settings):
    scene.behave(guest, **{"license_delay": 0, **settings})
    guest.exec(["systemctl", "restart", "nvidia-gridd"])


def heal(guest, driver=True):
    """The licensed guest again; with `driver` also modules, PCI and the programs."""
    release = guest.kernels[0]
    if driver:
        sh(guest, f"""
            if [ -e /run/firmware ]; then umount /sys/firmware; rm /run/firmware; fi
            rm -rf /sys/bus/pci/devices/* && cp -a /usr/lib/vgpu-lab/pci/. /sys/bus/pci/devices/
            echo {release} >/run/vgpu-lab/osrelease
            rm -rf /lib/modules/*/updates/vgpu-guest-agent
            cp -a /root/good/modules /lib/modules/{release}/updates/vgpu-guest-agent && depmod {release}
            cp -a /root/good/nvidia-smi /usr/bin/
            modprobe -r nvidia-uvm || true; modprobe -r nvidia || true
            modprobe nvidia-uvm""")
    sh(guest, """
        rm -rf /etc/nvidia && cp -a /root/good/nvidia /etc/nvidia
        cmp -s /root/good/nvidia-gridd.service /usr/lib/systemd/system/nvidia-gridd.service || {
            cp -a /root/good/nvidia-gridd.service /usr/lib/systemd/system/
            systemctl daemon-reload; }
        systemctl is-enabled -q nvidia-gridd || systemctl -q enable nvidia-gridd
        systemctl reset-failed nvidia-gridd || true""")


def token(guest, *arguments, name=TOKEN):
    scene.write(guest, name, scene.tool("make-token", *arguments).decode(errors="surrogateescape"), 0o744)


def to_server(guest, gridd="network"):
    """The token names the license server that misbehaves, and the daemon gets no license from it."""
    token(guest, "--host", SERVER)
    restart(guest, gridd=gridd)


@contextlib.contextmanager
def listening(guest, backlog=16):
    with network.inside(guest.netns):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((SERVER, 443))
        listener.listen(backlog)
    with listener:
        yield listener


class WrongClock(http.server.BaseHTTPRequestHandler):
    ahead = 0

    def do_GET(self):
        self.send_response_only(404)
        self.send_header("Date", email.utils.formatdate(time.time() + self.ahead, usegmt=True))
        self.send_header("Content-Length", "0")
        self.end_headers()


class PlainText(http.server.BaseHTTPRequestHandler):
    def handle(self):
        self.wfile.write(b"220 no TLS here\r\n")


@contextlib.contextmanager
def serving(guest, handler, tls):
    with listening(guest) as listener:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{guest.servers}/server.pem", f"{guest.servers}/server.key")
            listener = context.wrap_socket(listener, server_side=True)
        server = http.server.ThreadingHTTPServer((SERVER, 443), handler, bind_and_activate=False)
        server.socket.close()
        server.socket = listener
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()


def claim_a_licensed_guest_has_no_cause_and_the_server_s_clock_is_known(guest):
    done, report = doctor(guest)
    need(done.returncode == 0 and report["causes"] == [] and "error" not in report, report)
    checks = {one["name"]: one["ok"] for one in report["checks"]}
    need(set(checks.values()) - {None} == {True}, report["checks"])
    need(checks["clock"] and checks["license_server"] and checks["host_version"], report["checks"])


def claim_it_says_so_in_words_with_the_cause_first(guest):
    sh(guest, "systemctl stop nvidia-gridd")
    done = scene.agent(guest, "doctor")
    lines = done.stdout.decode().splitlines()
    need(done.returncode == 12, scene.words(done))
    need(lines[0].startswith("gridd_stopped: ") and lines[1] == "  fix: systemctl start nvidia-gridd", scene.words(done))
    need(any(line.split()[:2] == ["no", "gridd"] for line in lines), scene.words(done))


def claim_the_fix_that_it_names_is_one(guest):
    for broken in ("systemctl stop nvidia-gridd", "systemctl disable --now nvidia-gridd"):
        sh(guest, broken)
        _, report = doctor(guest)
        sh(guest, report["causes"][0]["hint"])
        done = scene.agent(guest, "status", "--wait", "10")
        need(done.returncode == 0, scene.words(done))


def shell_case(code, status, script):
    """The cause that a script brings about."""
    def claim(guest):
        heal(guest, driver=status in (3, 10, 13))
        restart(guest)
        sh(guest, script.format(token=TOKEN, conf=CONF, kernels=guest.kernels))
        finds(guest, code, status)
    claim.__name__ = f"claim_{code}_by_{script.split(';')[0].split()[0]}_is_named_first"
    return claim


def gridd_case(code, word, status=12, **more):
    """The cause that the daemon itself complains of."""
    def claim(guest):
        heal(guest, driver=False)
        restart(guest, gridd=word, **more)
        finds(guest, code, status)
    claim.__name__ = f"claim_{code}_of_the_daemon_s_journal_is_named_first"
    return claim


def token_case(code, *arguments):
    def claim(guest):
        heal(guest, driver=False)
        token(guest, *arguments, "--host", network.REPOSITORY_NAME)
        restart(guest)
        finds(guest, code, 11)
    claim.__name__ = f"claim_{code}_is_named_first"
    return claim


UNLOAD = "systemctl stop nvidia-gridd; modprobe -r nvidia-uvm; "
MODULES = "/lib/modules/{}/updates/vgpu-guest-agent"
BIND = ("for gpu in /sys/bus/pci/devices/*; do mkdir -p /run/drivers/{0}; rm -f $gpu/driver; "
        "ln -s /run/drivers/{0} $gpu/driver; done")
EFI_ON = r"printf '\6\0\0\0\1' >/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

CASES = [
    shell_case("gridd_disabled", 12, "systemctl disable --now nvidia-gridd"),
    shell_case("gridd_missing", 12,
               "rm /usr/lib/systemd/system/nvidia-gridd.service; systemctl stop nvidia-gridd; systemctl daemon-reload"),
    gridd_case("gridd_crashed", "crash", license_delay=1),  # once systemd knows its main process
    shell_case("gridd_conf", 12, "sed -i s/^FeatureType=.*/FeatureType=many/ {conf}; systemctl restart nvidia-gridd"),
    shell_case("gridd_conf", 12, "rm {conf}; mkdir {conf}; echo gridd=network >>/etc/nvidia/standin.conf; systemctl restart nvidia-gridd"),
    shell_case("token_missing", 11, "echo ClientConfigTokenPath=/etc/nowhere >>{conf}; systemctl restart nvidia-gridd"),
    shell_case("feature_type", 12, "sed -i s/^FeatureType=.*/FeatureType=0/ {conf}; systemctl restart nvidia-gridd"),
    shell_case("token_missing", 11, "rm {token}; systemctl restart nvidia-gridd"),
    shell_case("token_unreadable", 11, "ln -sf /nowhere {token}; systemctl restart nvidia-gridd"),
    token_case("token_malformed", "--half"),
    token_case("token_malformed", "--bad-signature"),
    token_case("token_expired", "--expired"),
    token_case("token_not_yet_valid", "--not-yet-valid"),
    gridd_case("token_malformed", "signature", 11),
    gridd_case("pool_empty", "pool_empty"),
    gridd_case("clock_windback", "clock_windback"),
    gridd_case("trusted_store", "trusted_store"),
    gridd_case("license_expired", "no_renew", expiry_seconds=2),
]


def claim_token_several_is_named_first(guest):
    heal(guest, driver=False)
    token(guest, "--expired", name=os.path.join(os.path.dirname(TOKEN), "a.tok"))
    os.utime(f"{guest.root}{os.path.dirname(TOKEN)}/a.tok", (1, 1))
    restart(guest)
    finds(guest, "token_several", 11)


def claim_a_network_failure_that_nothing_explains_is_unknown(guest):
    heal(guest, driver=False)
    restart(guest, gridd="network")
    finds(guest, "unknown", 12, certain=False)


def claim_dns_is_named_first(guest):
    heal(guest, driver=False)
    token(guest, "--host", "no-such-host.example")
    restart(guest, gridd="network")
    finds(guest, "dns", 12)


def claim_port_refused_is_named_first(guest):
    heal(guest, driver=False)
    to_server(guest)
    finds(guest, "port_refused", 12)


def claim_port_filtered_is_named_first(guest):
    heal(guest, driver=False)
    to_server(guest)
    with listening(guest, backlog=0), network.inside(guest.netns), contextlib.ExitStack() as stack:
        for _ in range(4):  # nobody accepts: no further connection is answered
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex((SERVER, 443))
        finds(guest, "port_filtered", 12)


def claim_tls_is_named_first(guest):
    heal(guest, driver=False)
    to_server(guest)
    with serving(guest, PlainText, tls=False):
        finds(guest, "tls", 12)


def claim_a_clock_that_is_off_is_named_first_and_by_how_much(guest):
    heal(guest, driver=False)
    to_server(guest, gridd="response_expired")
    with serving(guest, type("Ahead", (WrongClock,), {"ahead": 3600}), tls=True):
        report = finds(guest, "clock", 12)
    words = report["causes"][0]["message"].split()
    need(abs(int(next(word for word in words if word.isdigit())) - 3600) <= 2 and "behind" in words, words)


def claim_a_token_that_only_a_wrong_clock_makes_bad_is_not_named(guest):
    heal(guest, driver=False)
    token(guest, "--host", SERVER, "--not-yet-valid")
    restart(guest)
    with serving(guest, type("Ahead", (WrongClock,), {"ahead": 2 * 86400}), tls=True):
        report = finds(guest, "clock", 12)
    need("token_not_yet_valid" not in [cause["code"] for cause in report["causes"]], report)


DRIVER_CASES = [
    shell_case("module_not_loaded", 13, UNLOAD + "modprobe -r nvidia"),
    shell_case("version_mismatch", 13, "echo 550.54.14 >/sys/module/nvidia/version"),
    shell_case("driver_other_kernel", 13, UNLOAD + "modprobe -r nvidia; mkdir -p /lib/modules/{kernels[1]}/updates; mv "
               + MODULES.format("{kernels[0]}") + " /lib/modules/{kernels[1]}/updates/; depmod {kernels[0]}; depmod {kernels[1]}"),
    shell_case("driver_other_kernel", 13, UNLOAD + "modprobe -r nvidia; mkdir -p /lib/modules/{kernels[1]}/updates; cp -a "
               + MODULES.format("{kernels[0]}") + " /lib/modules/{kernels[1]}/updates/; depmod {kernels[1]}; "
               "echo {kernels[1]} >/run/vgpu-lab/osrelease"),
    shell_case("nouveau_bound", 13, UNLOAD + "modprobe -r nvidia; " + BIND.format("nouveau")),
    shell_case("nova_bound", 13, UNLOAD + "modprobe -r nvidia; " + BIND.format("nova_core")),
    shell_case("secure_boot", 10, UNLOAD + "modprobe -r nvidia; mount -t tmpfs tmpfs /sys/firmware; touch /run/firmware; "
               "mkdir -p /sys/firmware/efi/efivars; " + EFI_ON),
    shell_case("driver_missing", 13, UNLOAD + "modprobe -r nvidia; rm -r "
               + MODULES.format("{kernels[0]}") + " /usr/bin/nvidia-smi; depmod {kernels[0]}"),
    shell_case("no_gpu", 3, "rm -rf /sys/bus/pci/devices/*"),
]


def claim_branch_too_new_is_named_first(guest):
    heal(guest)
    with tempfile.TemporaryDirectory() as tree:
        scene.tool("make-pci", tree, "--gpu", "vgpu", "--host-version", "535.183.04")
        [gpu] = os.listdir(f"{tree}/bus/pci/devices")
        with open(f"{tree}/bus/pci/devices/{gpu}/config", "rb") as file:
            config = file.read()
    guest.exec(["sh", "-c", f"cat >/sys/bus/pci/devices/{gpu}/config"], input=config)
    scene.behave(guest, smi="no-devices")
    finds(guest, "branch_too_new", 13)


def claim_without_root_it_works_and_says_what_needs_root(guest):
    heal(guest)
    restart(guest)
    need(scene.agent(guest, "status", "--wait", "10").returncode == 0, "not licensed")
    sh(guest, "chmod 600 /sys/bus/pci/devices/*/config")  # as the kernel shows only its first bytes to others
    done = guest.exec(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "vgpu-guest-agent", "--json", "doctor"])
    report = scene.report(done)
    need(done.returncode == 0, scene.words(done))
    checks = {one["name"]: one for one in report["checks"]}
    for name in ("host_version", "gridd_log"):
        need(checks[name]["ok"] is None and "needs root" in checks[name]["detail"], checks[name])
    sh(guest, f"systemctl stop nvidia-gridd; chmod 600 {TOKEN}; chmod 644 /sys/bus/pci/devices/*/config")
    done = guest.exec(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "vgpu-guest-agent", "--json", "doctor"])
    report = scene.report(done)
    need(report["causes"][0]["code"] == "gridd_stopped", report)
    need({one["name"]: one["detail"] for one in report["checks"]}["token"] == "needs root", report)


def claim_the_support_archive_has_all_and_no_secret(guest):
    heal(guest)
    restart(guest, gridd="pool_empty")
    finds(guest, "pool_empty", 12)
    with open(f"{guest.root}{TOKEN}") as file:
        jwt = file.read()
    secrets = [*(part[:40] for part in jwt.split(".")), "hunter2pw", "robotuser", "netrcpw", "headerpw", "sigquery",
               "MIIEvQ/pemkey", "bearer0Secret"]
    config = f"{guest.root}/etc/vgpu-guest-agent/agent.conf"
    with open(config) as file:
        before = file.read()
    scene.write(guest, "/etc/vgpu-guest-agent/netrc", "machine pulp.example login x password netrcpw\n", 0o600)
    scene.write(guest, "/etc/vgpu-guest-agent/header", "X-Guard: headerpw\n", 0o600)
    scene.write(guest, "/etc/vgpu-guest-agent/agent.conf", before.replace("http: {", """http: {
        netrc_file = "/etc/vgpu-guest-agent/netrc"; header_file = "/etc/vgpu-guest-agent/header";""") + """
        driver: { repository = "https://robotuser:hunter2pw@pulp.example/pulp/content/nvidia/?sig=sigquery"; };""", 0o600)
    leak = f"{jwt} Bearer bearer0Secret https://robotuser:hunter2pw@host/?sig=sigquery Password=hunter2pw"
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQ/pemkey\n-----END PRIVATE KEY-----"
    scene.write(guest, "/var/log/vgpu-guest-agent/run-2026-01-01T00:00:00Z.log", f"leaked {leak}\n{pem}\n", 0o640)
    with open(f"{guest.root}{CONF}", "a") as file:
        file.write(f"# leaked {leak}\n")
    sh(guest, f"logger -t nvidia-gridd 'leaked {leak}'; logger -t vgpu-guest-agent 'leaked {leak}'")
    for name in ("nvidia-gridd", "vgpu-guest-agent"):
        sh(guest, f"setpriv --reuid=65534 --regid=65534 --clear-groups logger -t {name} 'said by nobody'")
    sh(guest, "journalctl --sync")
    done, report = doctor(guest, "--bundle", "/root/bundle.tar.gz")
    scene.write(guest, "/etc/vgpu-guest-agent/agent.conf", before)
    need(done.returncode == 12 and report["causes"][0]["code"] == "pool_empty", scene.words(done))

    path = f"{guest.root}/root/bundle.tar.gz"
    need(os.stat(path).st_mode & 0o7777 == 0o600, oct(os.stat(path).st_mode))
    with tarfile.open(path, "r:gz") as tar:
        files = {os.path.basename(member.name): tar.extractfile(member).read().decode(errors="replace")
                 for member in tar if member.isfile()}
    for name in ("journal-gridd.txt", "journal-agent.txt"):
        need("said by nobody" not in files[name], f"{name} has what anybody may write")
    for name, content in {**files, "standard error": done.stderr.decode()}.items():
        for secret in secrets:
            need(secret not in content, f"{secret} in {name}")
    need(json.loads(files["doctor.json"])["causes"] == report["causes"], files["doctor.json"])
    need(json.loads(files["status.json"])["licensed"] is False, files["status.json"])
    need(json.loads(files["detect.json"])["gpus"][0]["kind"] == "vgpu", files["detect.json"])
    need("driver.repository" in json.loads(files["config.json"]), files["config.json"])
    need(json.loads(files["state.json"])["driver"]["version"] == scene.DRIVER, files["state.json"])
    for name, word in (("gridd.conf", "FeatureType=1"), ("journal-gridd.txt", "No pool features found"),
                       ("journal-agent.txt", "leaked"), ("nvidia-smi.txt", "NVSMI LOG"), ("os-release", "ID=debian"),
                       ("log-run-2026-01-01T00:00:00Z.log", "leaked"), ("modules", ""), ("dmesg.txt", "")):
        need(word in files[name], f"{word} not in {name}: {files[name][:500]}")
    need(guest.exec(["sh", "-c", "ls -d /tmp/vgpu-*"]).stdout == b"", "something is left in /tmp")


def claim_an_archive_that_cannot_be_written_is_16(guest):
    done, report = doctor(guest, "--bundle", "/nowhere/bundle.tar.gz")
    need(done.returncode == 16 and "/nowhere/bundle.tar.gz" in report["error"]["message"], scene.words(done))


def all_claims():
    names = [value for name, value in list(globals().items()) if name.startswith("claim_")]
    first, rest = names[:3], names[3:]
    return first + CASES + rest[:-4] + DRIVER_CASES + rest[-4:]


def prepare(guest):
    subprocess.run(["ip", "-netns", guest.netns, "address", "add", f"{SERVER}/32", "dev", "lo"], check=True)
    guest.boot(tied=True)
    done = scene.agent(guest, "run")
    need(done.returncode == 0, scene.words(done))
    sh(guest, f"""
        mkdir /root/good && cp -a /etc/nvidia {MODULES.format(guest.kernels[0])} /usr/bin/nvidia-smi /root/good/
        mv /root/good/vgpu-guest-agent /root/good/modules
        cp -a /usr/lib/systemd/system/nvidia-gridd.service /root/good/""")


with scene.bare() as guest:
    scene.furnish(guest, token=("--host", network.REPOSITORY_NAME))
    servers.publish(guest.servers, scene.bundle())
    prepare(guest)
    sys.exit(check.run(all_claims(), guest))
