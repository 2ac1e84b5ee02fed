#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The daemon in a guest: it sees what happens, tells of it, costs nothing, and has a new token installed and taken back."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, scene, servers  # noqa: E402
from lab.check import need  # noqa: E402
from lab.scene import shell, wait_for  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip")

UNIT, ROOT_UNIT, TARGET = "vgpu-guest-agent-monitor.service", "vgpu-guest-agent-rotate.service", "vgpu-licensed.target"
RUN = "/run/vgpu-guest-agent"
METRICS = f"{RUN}/vgpu.prom"
TOKEN = "/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
CONFIGURATION = f"""http: {{ ca_file = "/etc/vgpu-guest-agent/lab-ca.pem"; }};
license: {{ wait = 12; }};
monitor: {{ interval = 1; metrics_file = "{METRICS}"; }};
"""


def show(guest, unit, name):
    return shell(guest, f"systemctl show {unit} --property={name} --value").strip()


def entries(guest, name, since=0):
    """The messages of one MESSAGE_ID of core/journal.h, from our monitor or the root unit."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../agent/core/journal.h")) as file:
        identity = next(line.split('"')[1] for line in file if line.startswith(f"#define JOURNAL_{name} "))
    lines = shell(guest, f"journalctl -o json --no-pager MESSAGE_ID={identity}").splitlines()
    return [entry["MESSAGE"] for entry in map(json.loads, filter(lambda line: line.startswith("{"), lines))
            if int(entry["__REALTIME_TIMESTAMP"]) / 1e6 > since]


def content(guest, path):
    return shell(guest, f"cat {path}")


def say_token(guest, *arguments):
    guest.token = scene.tool("make-token", *arguments).decode()
    scene.say_metadata(guest)


def claim_it_starts_and_tells_of_the_license(guest):
    scene.furnish(guest)
    scene.write(guest, "/etc/vgpu-guest-agent/agent.conf", CONFIGURATION)
    servers.publish(guest.servers, scene.bundle())
    guest.boot(tied=True)
    done = scene.agent(guest, "run")
    need(done.returncode == 0, scene.words(done))
    shell(guest, f"systemctl start {UNIT}")
    need(show(guest, UNIT, "ActiveState") == "active", shell(guest, f"systemctl status {UNIT}"))
    wait_for(guest, "entry", lambda: entries(guest, "LICENSED"))
    need(json.loads(content(guest, f"{RUN}/status.json"))["licensed"] is True, content(guest, f"{RUN}/status.json"))
    need("\nvgpu_license_licensed{" in content(guest, METRICS), shell(guest, f"journalctl -u {UNIT}; ls -la {RUN}"))


def claim_it_has_no_privilege(guest):
    pid = show(guest, UNIT, "MainPID")
    status = content(guest, f"/proc/{pid}/status")
    need("\nUid:\t0" not in status and "\nCapEff:\t0000000000000000" in status, status)
    need("NoNewPrivs:\t1" in status, status)


def claim_it_writes_only_what_has_changed(guest):
    stat = f"stat -c '%n %i %Y %Z' {RUN}/status.json {RUN}/licensed {METRICS}"
    before = shell(guest, stat)
    time.sleep(3.5)
    need(shell(guest, stat) == before, f"{before}{shell(guest, stat)}")


def claim_it_costs_next_to_nothing(guest):
    pid = show(guest, UNIT, "MainPID")

    def ticks():
        return sum(int(word) for word in content(guest, f"/proc/{pid}/stat").rpartition(")")[2].split()[11:13])

    before, began = ticks(), time.monotonic()
    time.sleep(3)
    used = (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
    rollup = {line.split(":")[0]: int(line.split()[1]) for line in content(guest, f"/proc/{pid}/smaps_rollup").splitlines()[1:]}
    print(f"# {used * 100:.2f} % of a core at an interval of 1 s, {rollup['Rss']} KiB resident, {rollup['Anonymous']} KiB anonymous",
          flush=True)
    need(used < 0.03, used)
    if "asan" not in os.environ["VGPU_BUILD"]:
        need(rollup["Anonymous"] < 4096 and rollup["Rss"] < 6144, rollup)


def claim_a_lost_license_is_noticed_and_the_target_follows(guest):
    wait_for(guest, "target", lambda: show(guest, TARGET, "ActiveState") == "active")
    began = time.time()
    scene.behave(guest, license_delay=1, license_gpus=0)
    wait_for(guest, "entry", lambda: entries(guest, "UNLICENSED", began))
    status = json.loads(content(guest, f"{RUN}/status.json"))
    need(status["licensed"] is False and status["gpus"][0]["licensed"] is False, status)
    need(shell(guest, f"test -e {RUN}/licensed && echo there") == "", "licensed is still there")
    samples = [line for line in content(guest, METRICS).splitlines() if line.startswith("vgpu_license_licensed{")]
    need(len(samples) == 1 and samples[0].endswith("} 0"), content(guest, METRICS))
    wait_for(guest, "end of the target", lambda: show(guest, TARGET, "ActiveState") == "inactive")
    scene.behave(guest, license_delay=1)
    wait_for(guest, "license", lambda: entries(guest, "LICENSED", began))
    wait_for(guest, "target", lambda: show(guest, TARGET, "ActiveState") == "active")


def claim_a_driver_that_is_silent_counts_as_no_license(guest):
    began = time.time()
    scene.behave(guest, license_delay=1, smi="half")
    wait_for(guest, "entry", lambda: entries(guest, "SILENT", began))
    status = json.loads(content(guest, f"{RUN}/status.json"))
    need(status["licensed"] is False and status["gpus"] == [], status)
    scene.behave(guest, license_delay=1)
    wait_for(guest, "answer", lambda: entries(guest, "ANSWERS", began))
    need(json.loads(content(guest, f"{RUN}/status.json"))["licensed"] is True, content(guest, f"{RUN}/status.json"))


def claim_entries_are_explained(guest):
    text = shell(guest, f"journalctl --update-catalog; journalctl -x --no-pager -u {UNIT}")
    need("Subject: vGPU: a GPU that needs a license has none" in text, text[-2000:])


def claim_a_new_token_in_the_metadata_is_installed(guest):
    began = time.time()
    say_token(guest, "--host", "192.0.2.77")
    wait_for(guest, "new token", lambda: entries(guest, "TOKEN_NEW", began))
    wait_for(guest, "installation", lambda: content(guest, TOKEN) == guest.token)
    wait_for(guest, "end", lambda: show(guest, ROOT_UNIT, "ActiveState") == "inactive")
    need(show(guest, ROOT_UNIT, "Result") == "success", shell(guest, f"journalctl -u {ROOT_UNIT}"))


def claim_a_token_that_does_not_license_is_taken_back_and_one_that_comes_meanwhile_is_installed(guest):
    began = time.time()
    say_token(guest, "--expired")
    wait_for(guest, "trial", lambda: entries(guest, "TOKEN_NEW", began) and content(guest, TOKEN) == guest.token)
    guest.expired = guest.token
    say_token(guest, "--host", "192.0.2.78")
    wait_for(guest, "old token back", lambda: entries(guest, "TOKEN_BACK", began))
    need(content(guest, TOKEN) != guest.expired, "not the token that was there")
    need(len(entries(guest, "TOKEN_NEW", began)) == 2, "the second token came too late to be asked for at work")
    wait_for(guest, "installation", lambda: content(guest, TOKEN) == guest.token)
    wait_for(guest, "end", lambda: show(guest, ROOT_UNIT, "ActiveState") == "inactive")
    need(b"Licensed" in scene.agent(guest, "status").stdout, scene.words(scene.agent(guest, "status")))


def claim_it_is_not_tried_again_by_itself(guest):
    shell(guest, f"systemctl stop {UNIT}")
    good, guest.token = content(guest, TOKEN), guest.expired
    scene.say_metadata(guest)
    done = scene.agent(guest, "run")
    need(done.returncode == 0 and content(guest, TOKEN) == good, scene.words(done))
    need(b"did not license before" in done.stderr, scene.words(done))


def claim_a_run_after_one_that_was_killed_at_the_trial_takes_the_token_back(guest):
    good = content(guest, TOKEN)
    say_token(guest, "--expired", "--host", "192.0.2.79")
    shell(guest, "systemd-run --unit=trial vgpu-guest-agent run")
    wait_for(guest, "trial", lambda: content(guest, TOKEN) == guest.token)
    shell(guest, "systemctl kill --signal=KILL trial")
    wait_for(guest, "end", lambda: show(guest, "trial", "ActiveState") in ("failed", "inactive"))
    need(content(guest, TOKEN) == guest.token, "it was taken back before the kill")
    done = scene.agent(guest, "run")
    need(done.returncode == 12 and b"the one before is back, and licensed" in done.stderr, scene.words(done))
    need(content(guest, TOKEN) == good, "not the token that was there")


def claim_one_key_brings_the_metrics_into_a_folder_of_others(guest):
    """As a user without rights, who could not write there; and the package takes its link away again."""
    collected = "/var/lib/prometheus/node-exporter/vgpu.prom"
    scene.write(guest, "/etc/vgpu-guest-agent/agent.conf", CONFIGURATION.replace(METRICS, collected))
    shell(guest, f"systemctl restart {UNIT}")
    wait_for(guest, "metrics", lambda: "\nvgpu_agent_info{" in shell(guest, f"setpriv --reuid=65534 --clear-groups cat {collected}"))
    need("\nvgpu_agent_run_status{" in content(guest, collected), content(guest, collected))
    need(shell(guest, f"stat -c %u {os.path.dirname(collected)}").strip() == "0", "the folder is not root's any more")
    shell(guest, "/usr/libexec/vgpu-guest-agent/monitor-prepare --remove")
    need(shell(guest, f"test -L {collected} && echo there") == "", "the link is still there")


def claim_a_metrics_folder_that_cannot_be_is_said_once(guest):
    began = time.time()
    scene.write(guest, "/etc/vgpu-guest-agent/agent.conf", CONFIGURATION.replace(METRICS, "/proc/gone/vgpu.prom"))
    shell(guest, f"systemctl restart {UNIT}")
    journal = f"journalctl -u {UNIT} --since=@{began:.6f} --no-pager"
    wait_for(guest, "warning", lambda: "warning: monitor.metrics_file" in shell(guest, journal))
    time.sleep(2.5)
    said = shell(guest, f"journalctl --sync; {journal}")
    need(said.count("warning: monitor.metrics_file") == 1, said)
    need(show(guest, UNIT, "ActiveState") == "active", said)


with scene.bare() as guest:
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
