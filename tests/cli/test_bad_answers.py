#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A driver that answers badly: a clear error or the other way to ask, never a crash, never an old status shown as new. Of `status`, its
metrics and `monitor`."""

import json
import os
import random
import signal
import time

import namespace
import parts
from parts import pci, vgpu
from program import Case, living, main, read, remove, write

SMI = "/usr/bin/nvidia-smi"
RUN = "/run/vgpu-guest-agent"
REPORT = read(os.path.join(parts.TESTS, "data/smi/535-vgpu-unlicensed.txt")).decode().replace(
    "Unlicensed", "Licensed (Expiry: 2037-5-27 0:18:43 GMT)")
PRODUCT = "NVIDIA RTX Virtual Workstation"


def many(count):
    """One report of so many vGPUs, of which the last has no license."""
    begin = REPORT.index("GPU 00000000:")
    head, gpu = REPORT[:begin], REPORT[begin:]
    end = gpu.index("\n    PCI\n") + len("\n    PCI\n")
    gpus = [gpu[:end].replace(gpu[:gpu.index("\n")], f"GPU 00000000:{i:02X}:00.0") for i in range(count)]
    gpus[-1] = gpus[-1].replace("Licensed (Expiry: 2037-5-27 0:18:43 GMT)", "Unlicensed (Restricted)")
    return head.replace(": 1\n", f": {count}\n") + "".join(gpus)


class Bad(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(remove, SMI)

    def driver(self, script):
        """As a driver is replaced: whoever asks finds the one or the other."""
        write(SMI + ".new", f"#!/bin/sh\n{script}\n", 0o755)
        os.rename(SMI + ".new", SMI)

    def prints(self, report):
        self.driver(f"cat {self.write('report', report)}")


class Reports(Bad):
    def refused(self, words):
        """For people, in JSON and in the metrics, which know of no license then."""
        value = self.error(13, "status", words, "status", sysfs=vgpu())
        self.assertEqual((value["licensed"], value["gpus"]), (False, []))
        metrics = self.text("status", "--prometheus", sysfs=vgpu(), status=13).out
        self.assertIn("\nvgpu_agent_poll_errors_total 1\n", metrics)
        self.assertNotIn("vgpu_license_licensed{", metrics)
        self.assertEqual(living(), {})

    def test_a_half_written_report(self):
        whole = REPORT[:REPORT.index("\n", REPORT.index("License Status"))]
        for at in (len(whole) // 4, whole.index("Product Name  "), whole.rindex("License Status"), len(whole) - 3, len(whole)):
            with self.subTest(whole[at - 20:at]):
                self.prints(whole[:at])
                self.refused("")

    def test_a_report_of_100_megabytes(self):
        self.driver(f"{{ cat {self.write('report', REPORT)}; yes '        Product Name : x' | head -c 100000000; }}")
        self.refused("nvidia-smi printed more than")

    def test_binary_noise(self):
        self.prints(random.Random(4).randbytes(300000))
        self.refused("nvidia-smi")
        self.prints(b"\0" * 5000 + REPORT.encode())
        self.assertIs(self.json("status", sysfs=vgpu())["licensed"], True)  # a whole report is one, whatever stands before it

    def test_64_gpus(self):
        self.prints(many(64))
        value = self.json("status", sysfs=pci(*["--gpu", "vgpu"] * 8), status=12)
        self.assertEqual((len(value["gpus"]), sum(gpu["licensed"] for gpu in value["gpus"])), (64, 63))
        table = self.text("status", sysfs=vgpu(), status=12).out.splitlines()
        self.assertEqual(len([line for line in table if PRODUCT in line]), 64)
        metrics = self.text("status", "--prometheus", sysfs=vgpu(), status=12).out
        licensed = [line for line in metrics.splitlines() if line.startswith("vgpu_license_licensed{")]
        self.assertEqual((sum(line.endswith("} 1") for line in licensed), len(licensed)), (63, 64))
        self.prints(many(65))
        self.refused("more than 64 GPUs")

    def test_a_product_with_a_quote_and_a_newline(self):
        self.prints(REPORT.replace(PRODUCT, 'NVIDIA "RTX\\" {x="1"} 7\n        Virtual\tWork\x1b[31m\x07station'))
        feature, = self.json("status", sysfs=vgpu())["gpus"][0]["features"]
        self.assertEqual((feature["product"], feature["state"]), ('NVIDIA "RTX\\" {x="1"} 7', "licensed"))
        metrics = self.text("status", "--prometheus", sysfs=vgpu()).out
        self.assertIn('product="NVIDIA \\"RTX\\\\\\" {x=\\"1\\"} 7"} 1\n', metrics)
        for line in metrics.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="([^"\\]|\\.)*"(,[a-z_]+="([^"\\]|\\.)*")*\})? [0-9.]+)$')
        self.assertNotIn("\x1b", self.text("status", sysfs=vgpu()).out)

    def test_a_driver_that_dies_while_status_waits_shows_nothing_old(self):
        self.driver(f"[ ! -e {self.folder}/asked ] || exit 9; touch {self.folder}/asked\n"
                    f"cat {self.write('report', REPORT.replace('Licensed (Expiry: 2037-5-27 0:18:43 GMT)', 'Unlicensed'))}")
        value = self.error(13, "status", "the driver is not loaded", "status", "--wait", "1", sysfs=vgpu())
        self.assertEqual(value["gpus"], [])


class Monitor(Bad):
    def start(self, sysfs=None, env=None, **sets):
        sets = {"monitor.interval": "1", "monitor.backend": "nvidia-smi", **{f"monitor.{key}": value for key, value in sets.items()}}
        process = self.program.start("monitor", sysfs=sysfs or vgpu(), sets=sets, env=env)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out), (-signal.SIGTERM, b""), err)
        self.assertEqual(living(), {})
        return err.decode()

    def status(self):
        try:
            return json.loads(read(f"{RUN}/status.json"))
        except FileNotFoundError:
            return None

    def shows(self, licensed, count=1):
        def is_shown():
            status = self.status()
            return status and (status["licensed"], len(status["gpus"]), os.path.exists(f"{RUN}/licensed")) == (licensed, count, licensed)
        self.until(is_shown, f"{licensed}, {count} GPUs")
        return self.status()

    def test_every_bad_report_is_no_license_and_the_next_good_one_is_one(self):
        self.prints(REPORT)
        process = self.start()
        self.shows(True)
        for script in (f"head -c 900 {self.path('report')}", "head -c 100000 /dev/urandom", "yes GPU | head -c 100000000", "exit 9",
                       "kill -SEGV $$", f"cat {self.write('many', many(65))}"):
            with self.subTest(script):
                self.driver(script)
                self.shows(False, 0)
                self.driver(f"cat {self.path('report')}")
                self.shows(True)
        self.assertIsNone(process.poll())

    def test_a_driver_that_is_gone(self):
        self.prints(REPORT)
        self.start()
        self.shows(True)
        os.unlink(SMI)
        self.assertEqual(self.shows(False, 0)["driver_version"], None)

    def test_what_a_monitor_that_was_killed_left_is_told_anew(self):
        self.prints(REPORT)
        killed = self.program.start("monitor", sysfs=vgpu(), sets={"monitor.backend": "nvidia-smi"})
        self.shows(True)
        killed.kill()
        killed.communicate(timeout=20)
        self.driver("exit 9")
        self.start()
        self.shows(False, 0)

    def test_status_beside_it_asks_for_itself(self):
        self.prints(REPORT)
        self.start(interval="3600")
        self.shows(True)
        self.prints(REPORT.replace("Licensed (Expiry: 2037-5-27 0:18:43 GMT)", "Unlicensed"))
        self.assertIs(self.json("status", sysfs=vgpu(), status=12)["licensed"], False)
        self.assertIs(self.status()["licensed"], True)  # that look was not the monitor's

    def test_a_metrics_folder_that_is_gone_and_comes_back(self):
        self.prints(REPORT)
        metrics = self.path("gone/vgpu.prom")
        process = self.start(metrics_file=metrics)
        self.shows(True)
        time.sleep(1.5)
        self.assertIsNone(process.poll())
        os.mkdir(self.path("gone"))
        self.until(lambda: os.path.exists(metrics), "metrics")
        self.assertIn(b'"} 1\n', read(metrics))
        remove(self.path("gone"))
        self.driver("exit 9")
        self.shows(False, 0)
        self.assertEqual(self.end(process).count("warning: monitor.metrics_file"), 2)

    def test_a_dead_nvml_leaves_the_answer_to_nvidia_smi(self):
        for behaviour in ("without_symbol", "mismatched", "crashes", "grown", "odd", "not-there"):
            with self.subTest(behaviour):
                self.prints(REPORT)
                library = os.path.join(namespace.build(), f"tests/libfake-nvml-{behaviour}.so")
                os.makedirs(self.path(behaviour))
                os.symlink(library, self.path(f"{behaviour}/libnvidia-ml.so.1"))
                process = self.start(backend="auto", env={"LD_LIBRARY_PATH": self.path(behaviour)})
                self.assertEqual(self.shows(True)["driver_version"], "535.183.06")  # NVML's is another
                self.driver("exit 9")
                self.shows(False, 0)
                self.end(process)
                remove(RUN)

    def test_an_nvml_that_dies_later(self):
        """Its first answer is licensed, and it crashes at the second question: nvidia-smi is asked."""
        self.prints(many(1))
        library = os.path.join(namespace.build(), "tests/libfake-nvml-dies_later.so")
        os.symlink(library, self.path("libnvidia-ml.so.1"))
        self.start(backend="auto", env={"LD_LIBRARY_PATH": self.folder})
        self.assertEqual(self.shows(True)["driver_version"], "550.90.07")
        self.assertEqual(self.shows(False)["gpus"][0]["features"][0]["state"], "unlicensed_restricted")


if __name__ == "__main__":
    main(__file__)
