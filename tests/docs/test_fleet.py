#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Two dozen guests in a real Prometheus: the agent's own metrics of each, with a stand-in driver and a run that ended in its own way.
Every query of the shipped dashboard returns data, and the shipped rules accept all that is there.

--picture FILE draws what the queries returned, by a page of this project's own in a browser; it is no Grafana."""
import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../cli"))
sys.path.insert(0, HERE)
import namespace  # noqa: E402
import picture  # noqa: E402

if not all(shutil.which(tool) for tool in ("prometheus", "promtool")):
    print("skipped: no prometheus here")
    sys.exit(77)
if __name__ == "__main__" and not namespace.is_inside():
    if "--picture" in sys.argv:
        sys.argv[-1] = os.path.abspath(sys.argv[-1])
    sys.exit(namespace.enter(__file__))

import parts  # noqa: E402
from program import Case, read, write  # noqa: E402

SHIPPED = os.path.join(namespace.checkout(), "cloud-init/openstack")
LICENSED = read(os.path.join(parts.TESTS, "data/smi/510-vgpu-licensed.txt")).decode()
HOUR = 3600


def ago(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


def report(version, status):
    return LICENSED.replace("510.47.03", version).replace("Licensed (Expiry: 2022-5-27 0:8:28 GMT)", status)


def licensed(hours):
    moment = time.gmtime(time.time() + hours * HOUR)
    return f"Licensed (Expiry: {moment.tm_year}-{moment.tm_mon}-{moment.tm_mday} {time.strftime('%H:%M:%S', moment)} GMT)"


def run_end(status, name, step, minutes, token_days=900, host="550.90.05", message=None):
    return {"schema": 1, "timestamp": ago(60 * minutes), "step": step, "name": name, "status": status, "message": message, "hint": None,
            "host_version": host, "token_expires": ago(-86400 * token_days), "repository": "pulp.example"}


def guests():
    """Name -> (what nvidia-smi prints or None, how the last run ended, seconds of the steps)."""
    fleet = {}
    for number in range(1, 17):
        seconds = {"fetch": 4.0 + number / 3, "build": 61.0 + 3 * number, "install": 9.5, "license": 3.0 + number % 4}
        fleet[f"gpu-{number:02}"] = (report("550.90.07", licensed(14 + number / 2)), run_end(0, "ok", None, 40 * number), seconds)
    for number in range(17, 20):  # module archives
        fleet[f"gpu-{number:02}"] = (report("550.90.07", licensed(20)), run_end(0, "ok", None, 55 * number),
                                     {"fetch": 5.0, "build": 0.4, "install": 6.0, "license": 3.5})
    fleet["gpu-20"] = (report("535.183.06", licensed(9)), run_end(0, "ok", None, 900, host="550.90.05"), {"fetch": 6, "build": 88, "install": 11})
    fleet["gpu-21"] = (report("550.90.07", "Unlicensed (Restricted)"), run_end(12, "unlicensed", "license", 12), {"fetch": 6, "build": 90})
    fleet["gpu-22"] = (report("550.90.07", "Unlicensed (Unrestricted)"), run_end(11, "token", "token", 8, token_days=-2), {"fetch": 6, "build": 70})
    fleet["gpu-23"] = (None, run_end(8, "build", "build", 25, message="nv-pci.c: error"), {"fetch": 7.5})
    fleet["gpu-24"] = (None, run_end(5, "network", "fetch", 3), {})
    fleet["gpu-25"] = (report("550.90.07", licensed(11)), run_end(0, "ok", None, 2000, token_days=3), {"fetch": 40, "build": 1300, "install": 20})
    return fleet


def serve(files):
    """Each guest's metrics under its name; the real node_exporter reads them from a file."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = files.get(self.path.strip("/"))
            self.send_response(200 if text else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@functools.lru_cache(None)
def dashboard():
    with open(os.path.join(SHIPPED, "grafana-dashboard.json"), encoding="utf-8") as file:
        return json.load(file)


def queries():
    """(panel, query with its variables filled in), of every panel."""
    return [(panel, target["expr"].replace("$job", ".*")) for panel in dashboard()["panels"] for target in panel["targets"]]


class Fleet(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.files = {}
        for name, (smi, run, steps) in guests().items():
            cls.files[name] = cls.metrics_of(smi, run, steps)
        cls.server = serve(cls.files)
        cls.folder = tempfile.mkdtemp(prefix="prometheus-")
        cls.start_prometheus()

    @classmethod
    def metrics_of(cls, smi, run, steps):
        """What the agent prints in a guest in which this is so."""
        script = f"cat <<'END'\n{smi}\nEND" if smi else "exit 9"
        write("/usr/bin/nvidia-smi", f"#!/bin/sh\n{script}\n", 0o755)
        write("/run/vgpu-guest-agent-run.json", json.dumps(run))
        state = {"schema": 1, "steps": {name: {"outcome": "changed", "detail": "x", "began": 0, "seconds": float(seconds),
                                               "time": run["timestamp"]} for name, seconds in steps.items()}}
        write("/var/lib/vgpu-guest-agent/state.json", json.dumps(state))
        outcome = cls.program.call("status", "--prometheus", sysfs=parts.vgpu("550.90.05", "r550_00"))
        assert "vgpu_agent_info{" in outcome.out, outcome
        return outcome.out

    @classmethod
    def start_prometheus(cls):
        port = cls.server.server_address[1]
        scrapes = [{"job_name": "node", "scrape_interval": "1s", "static_configs": [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": f"/{name}", "instance": name}} for name in sorted(cls.files)]}]
        write(f"{cls.folder}/prometheus.yml", json.dumps({  # JSON is YAML
            "global": {"evaluation_interval": "1s"}, "rule_files": [f"{SHIPPED}/prometheus-rules.yml"], "scrape_configs": scrapes}))
        cls.process = subprocess.Popen(
            ["prometheus", f"--config.file={cls.folder}/prometheus.yml", f"--storage.tsdb.path={cls.folder}/data",
             "--web.listen-address=127.0.0.1:9090", "--log.level=error"], stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        cls.process.wait(30)
        cls.server.shutdown()
        super().tearDownClass()

    def ask(self, query):
        url = "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return []  # it starts
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        except OSError:
            return []  # it starts

    def test_every_query_of_the_dashboard_has_data(self):
        self.assertGreaterEqual(len(self.files), 20)
        self.until(lambda: len(self.ask("count_over_time(vgpu_gpus[1m]) >= 2")) == len(self.files), "two scrapes of every guest", 60)
        found = [(panel, self.ask(query)) for panel, query in queries()]
        for (panel, query), (_, result) in zip(queries(), found):
            with self.subTest(panel["title"]):
                self.assertTrue(result, query)
        if "--picture" in sys.argv:
            picture.draw(found, len(self.files), os.environ["VGPU_PICTURE"])

    def test_the_guests_that_want_somebody_are_the_ones_that_do(self):
        self.until(lambda: len(self.ask("vgpu_gpus")) == len(self.files), "every guest", 60)
        failed = {each["metric"]["instance"]: each["metric"]["name"] for each in self.ask("vgpu_agent_run_status > 0")}
        self.assertEqual(failed, {"gpu-21": "unlicensed", "gpu-22": "token", "gpu-23": "build", "gpu-24": "network"})
        unlicensed = {each["metric"]["instance"] for each in self.ask("min by (instance) (vgpu_license_licensed) == 0")}
        self.assertEqual(unlicensed, {"gpu-21", "gpu-22"})

    def test_the_rules_see_them(self):
        """Those that wait are pending after seconds; what they wait for is promtool's to test."""
        wanted = {("VgpuUnlicensed", "gpu-21"), ("VgpuUnlicensed", "gpu-22"), ("VgpuInstallFailed", "gpu-23"), ("VgpuRunFails", "gpu-24"),
                  ("VgpuTokenExpires", "gpu-25"), ("VgpuDriverOlderThanHost", "gpu-20"), ("VgpuFirstBootSlow", "gpu-25")}
        self.until(lambda: wanted <= {(each["metric"]["alertname"], each["metric"]["instance"]) for each in self.ask("ALERTS")},
                   "the alerts", 60)

    def test_promtool_takes_the_rules_and_their_tests(self):
        for command in (["check", "rules", f"{SHIPPED}/prometheus-rules.yml"], ["test", "rules", f"{HERE}/prometheus-rules-test.yml"]):
            done = subprocess.run(["promtool", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_every_metric_of_the_agent_is_on_the_dashboard(self):
        """A sample that nobody looks at is none, and one that is looked at must exist."""
        names = {line.split()[2] for text in self.files.values() for line in text.splitlines() if line.startswith("# TYPE ")}
        shown = {word for _, query in queries() for word in names if word in query}
        self.assertEqual(names, shown)


if __name__ == "__main__":
    if "--picture" in sys.argv:
        os.environ["VGPU_PICTURE"] = sys.argv.pop()
        unittest.main(argv=[sys.argv[0], "Fleet.test_every_query_of_the_dashboard_has_data"])
    unittest.main()
