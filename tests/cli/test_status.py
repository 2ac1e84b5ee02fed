#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The license of every GPU, out of reports that real drivers printed; and drivers that do not answer."""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import termios
import time

import parts
from parts import pci, vgpu
from program import Case, living, main, read, remove, write

DATA = os.path.join(parts.TESTS, "data/smi")
SMI = "/usr/bin/nvidia-smi"


class Status(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(remove, SMI)

    def driver(self, script):
        write(SMI, f'#!/bin/sh\n[ "$1" = -q ] || exit 2\n{script}\n', 0o755)

    def prints(self, name, license_status=None, without=None):
        text = read(os.path.join(DATA, name)).decode()
        if license_status:
            text, count = re.subn(r"(License Status +: ).*", r"\g<1>" + license_status, text)
            self.assertEqual(count, 1)
        if without:
            text, count = re.subn(without, "", text)
            self.assertEqual(count, 1)
        self.driver(f"cat <<'END'\n{text}\nEND")

    def status(self, *words, status=0, sysfs=None, **more):
        return self.json("status", *words, status=status, sysfs=sysfs or vgpu(), **more)


class Reports(Status):
    def test_licensed(self):
        self.prints("510-vgpu-licensed.txt")
        value = self.status(sysfs=vgpu("510.47.03", "r511_65"))
        self.assertEqual((value["licensed"], value["driver_version"], value["reason"]), (True, "510.47.03", None))
        gpu, = value["gpus"]
        self.assertEqual((gpu["needs_license"], gpu["licensed"], gpu["virtualization"]), (True, True, "VGPU"))
        feature, = gpu["features"]
        self.assertEqual((feature["state"], feature["expiry_kind"]), ("licensed", "date"))
        self.assertIsNotNone(feature["expiry"])

    def test_unlicensed_is_status_12_with_the_report(self):
        self.prints("535-vgpu-unlicensed.txt", "Unlicensed (Unrestricted)")
        value = self.status(status=12)
        self.assertIs(value["licensed"], False)
        self.assertEqual(value["gpus"][0]["features"][0]["status"], "Unlicensed (Unrestricted)")
        self.assertEqual(value["gpus"][0]["features"][0]["state"], "unlicensed_unrestricted")
        self.assertEqual(value["error"]["step"], "status")

    def test_every_state_and_kind_of_expiry(self):
        for words, state, kind, status in (
                ("Licensed (Expiry: 2037-5-27 0:18:43 GMT)", "licensed", "date", 0),
                ("Licensed (Expiry: Permanent)", "licensed", "permanent", 0),
                ("Licensed (Expiry: N/A)", "licensed", "not_applicable", 0),
                ("Licensed", "licensed", None, 0), ("Unlicensed", "unlicensed", None, 12),
                ("Unlicensed (Restricted)", "unlicensed_restricted", None, 12), ("N/A", "not_applicable", None, 12),
                ("Something new", "unknown", None, 13)):
            with self.subTest(words):
                self.prints("535-vgpu-unlicensed.txt", words)
                feature = self.status(status=status)["gpus"][0]["features"][0]
                self.assertEqual((feature["status"], feature["state"], feature["expiry_kind"]), (words, state, kind))

    def test_a_vgpu_without_a_license_section_is_not_licensed(self):
        self.prints("535-vgpu-unlicensed.txt", without=r" +vGPU Software Licensed Product\n.*\n.*\n")
        value = self.status(status=12)
        self.assertEqual((value["gpus"][0]["features"], value["gpus"][0]["licensed"]), ([], False))

    def test_one_of_two_is_not_enough(self):
        self.prints("610-two-vgpus.txt")
        value = self.json("status", sysfs=pci("--gpu", "vgpu", "--gpu", "vgpu"), status=12)
        self.assertEqual(len(value["gpus"]), 2)
        self.assertEqual(sorted(gpu["licensed"] for gpu in value["gpus"]), [False, True])

    def test_passed_through_needs_none_unless_the_feature_type_says_so(self):
        self.prints("580-passthrough.txt")
        tree = pci("--gpu", "passthrough")
        value = self.status(sysfs=tree)
        self.assertEqual((value["licensed"], value["gpus"][0]["needs_license"]), (True, False))
        for feature_type in ("2", "4"):
            value = self.status(sysfs=tree, sets={"license.feature_type": feature_type}, status=12)
            self.assertEqual((value["licensed"], value["gpus"][0]["needs_license"]), (False, True))

    def test_the_time_is_now(self):
        self.prints("510-vgpu-licensed.txt")
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.assertGreaterEqual(self.status()["timestamp"], before)

    def test_anybody_may_ask(self):
        self.prints("510-vgpu-licensed.txt")
        self.assertIs(self.status(nobody=True)["licensed"], True)

    def test_for_people(self):
        self.prints("535-vgpu-unlicensed.txt", "Unlicensed (Unrestricted)")
        out = self.text("status", sysfs=vgpu(), status=12).out
        for word in ("NVIDIA RTXA6000-24Q", "Unlicensed (Unrestricted)", "535.183.06"):
            self.assertIn(word, out)

    def test_status_changes_nothing(self):
        self.prints("510-vgpu-licensed.txt")
        self.status()
        for path in ("/var/lib/vgpu-guest-agent", "/var/log/vgpu-guest-agent", "/etc/nvidia"):
            self.assertFalse(os.path.exists(path), path)


class Metrics(Status):
    def test_every_name_of_the_contract(self):
        self.prints("510-vgpu-licensed.txt")
        out = self.text("status", "--prometheus", sysfs=vgpu("510.47.03", "r511_65")).out
        gpu = 'gpu="00000000:02:01.0",product="NVIDIA Virtual Compute Server"'
        self.assertIn(f"\nvgpu_license_licensed{{{gpu}}} 1\n", out)
        self.assertIn(f"\nvgpu_license_expiry_timestamp_seconds{{{gpu}}} 1653610108\n", out)
        self.assertIn('\nvgpu_driver_info{version="510.47.03",host_version="510.47.03"} 1\n', out)
        self.assertIn("\nvgpu_agent_poll_errors_total 0\n", out)
        self.assertRegex(out, r"\nvgpu_agent_last_poll_timestamp_seconds \d{10}\n")

    def test_a_quote_in_a_product_is_escaped(self):
        text = read(os.path.join(DATA, "510-vgpu-licensed.txt")).decode().replace("Virtual Compute", 'a"b\\c')
        self.write("odd", text)
        self.driver(f"cat {self.folder}/odd")
        out = self.text("status", "--prometheus", sysfs=vgpu()).out
        self.assertIn('product="NVIDIA a\\"b\\\\c Server"} 1\n', out)

    def test_a_dead_driver_counts_as_an_error_and_shows_no_license(self):
        self.driver("exit 9")
        out = self.text("status", "--prometheus", sysfs=vgpu(), status=13).out
        self.assertIn("\nvgpu_agent_poll_errors_total 1\n", out)
        self.assertNotIn("vgpu_license_licensed{", out)

    def test_a_guest_without_driver_tells_how_its_run_ended(self):
        """Also to nobody, who cannot read the host's version; and the same in status.json's words."""
        repository = "https://pulp.invalid/pulp/content/nvidia/"
        self.error(5, "match", "pulp.invalid", "run", sysfs=vgpu(), sets={"driver.repository": repository})
        for nobody in (False, True):
            out = self.text("status", "--prometheus", sysfs=vgpu(), status=13, nobody=nobody).out
            self.assertIn('\nvgpu_agent_run_status{step="match",name="network"} 5\n', out)
            self.assertIn('\nvgpu_agent_repository_info{host="pulp.invalid"} 1\n', out)
            self.assertRegex(out, r'\nvgpu_agent_info\{version="\d+\.\d+\.\d+[^"]*"\} 1\n')
            self.assertRegex(out, r"\nvgpu_agent_run_timestamp_seconds \d{10}\n")
            self.assertIn("\nvgpu_gpus 1\n", out)
        run = self.status(status=13)["run"]
        self.assertEqual((run["step"], run["name"], run["status"]), ("match", "network", 5))
        self.assertIn("pulp.invalid", run["message"])
        self.assertNotIn("timestamp", run)

    def test_nobody_sees_the_hosts_version_that_a_run_has_noted(self):
        self.prints("510-vgpu-licensed.txt")
        self.error(4, "match", "no repository", "run", sysfs=vgpu("510.47.03", "r511_65"))
        out = self.text("status", "--prometheus", sysfs=vgpu("510.47.03", "r511_65"), nobody=True).out
        self.assertIn('\nvgpu_driver_info{version="510.47.03",host_version="510.47.03"} 1\n', out)

    def test_without_a_run_since_the_boot_none_is_told(self):
        self.prints("510-vgpu-licensed.txt")
        out = self.text("status", "--prometheus", sysfs=vgpu()).out
        self.assertNotIn("\nvgpu_agent_run_status{", out)
        self.assertNotIn("\nvgpu_agent_run_timestamp_seconds", out)
        self.assertIsNone(self.status()["run"])

    def test_not_as_json_too(self):
        self.error(2, "status", "--prometheus", "status", "--prometheus")


def until_shown(source, *texts):
    """What is read from a descriptor until each text has come, in this order; the end of the file is none."""
    out, at = b"", 0
    for text in texts:
        while (found := out.find(text, at)) < 0:
            part = os.read(source, 65536)
            if not part:
                raise AssertionError(f"{text} did not come: {out}")
            out += part
        at = found + len(text)
    return out


class Watches(Status):
    NAME = b"GRID A100-4C"

    def test_plain_blocks_until_a_signal(self):
        self.prints("510-vgpu-licensed.txt")
        process = self.program.start("status", "--watch", sysfs=vgpu())
        out = until_shown(process.stdout.fileno(), self.NAME, self.NAME)
        process.send_signal(signal.SIGINT)
        out += process.communicate(timeout=20)[0]
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertNotIn(b"\033", out)

    def on_terminal(self, rows, *texts):
        """What a terminal of so many rows gets when Ctrl-C is pressed after these texts."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 200, 0, 0))
        process = self.program.start("status", "--watch", sysfs=vgpu(), stdout=theirs, env={"TERM": "xterm"})
        os.close(theirs)
        out = until_shown(ours, *texts)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, -signal.SIGINT)
        try:
            while part := os.read(ours, 65536):
                out += part
        except OSError:
            pass  # the other end is closed
        os.close(ours)
        return out

    def test_a_terminal_is_drawn_over_and_left_on_a_new_line(self):
        self.prints("510-vgpu-licensed.txt")
        out = self.on_terminal(20, self.NAME, self.NAME)
        self.assertEqual((out.count(b"\033[2J"), out.count(b"\033[H")), (1, out.count(self.NAME)), out)
        self.assertNotIn(b"\033[?25l", out)
        self.assertTrue(out.endswith(b"\n"), out)

    def test_a_low_terminal_does_not_scroll(self):
        self.prints("510-vgpu-licensed.txt")
        out = self.on_terminal(3, b"\n...")
        self.assertNotIn(self.NAME, out)
        self.assertEqual(out.count(b"\n"), 2 * out.count(b"\033[H") + 1, out)  # two within a frame, one at the end

    def test_an_old_report_is_never_shown_as_new(self):
        self.prints("510-vgpu-licensed.txt")
        process = self.program.start("status", "--watch", sysfs=vgpu())
        source = process.stdout.fileno()
        until_shown(source, self.NAME)
        self.driver("exit 9")
        out = until_shown(source, b"the driver is not loaded")
        process.send_signal(signal.SIGINT)
        out += process.communicate(timeout=20)[0]
        self.assertNotIn(self.NAME, out.partition(b"the driver is not loaded")[2], out)


class Monitor(Status):
    def test_without_a_gpu_there_is_nothing_to_watch(self):
        os.makedirs(self.path("bus/pci/devices"))
        self.error(3, "monitor", "no NVIDIA GPU", "monitor", sysfs=self.folder)

    def test_offline_there_is_nothing_to_ask(self):
        self.error(2, "monitor", "offline", "monitor", "--offline", sysfs=vgpu())


    def test_the_metrics_tell_of_the_run_that_has_just_been(self):
        self.prints("510-vgpu-licensed.txt")
        state = "/var/lib/vgpu-guest-agent/state.json"
        text = ('{"schema":1,"steps":{"token":{"outcome":"changed","detail":"x","began":0,"seconds":%d,'
                '"time":"2026-01-01T00:00:00Z"}}}')
        write(state, text % 1)
        self.addCleanup(shutil.rmtree, os.path.dirname(state))
        metrics = self.path("metrics")
        process = self.program.start("monitor", sysfs=vgpu(), sets={"monitor.metrics_file": metrics})
        for seconds in (1, 2):
            write(state + ".new", text % seconds)
            os.rename(state + ".new", state)
            end = time.monotonic() + 10
            line = f'vgpu_agent_run_step_seconds{{step="token"}} {seconds}.000\n'
            while not (os.path.exists(metrics) and line in read(metrics).decode()):
                self.assertLess(time.monotonic(), end, line)
                time.sleep(0.1)
        run = '{"schema":1,"timestamp":"2026-01-01T00:00:%02dZ","step":"fetch","name":"network","status":5}'
        for second, at in ((1, 1767225601), (2, 1767225602)):
            write("/run/vgpu-guest-agent-run.json.new", run % second)
            os.rename("/run/vgpu-guest-agent-run.json.new", "/run/vgpu-guest-agent-run.json")
            self.until(lambda: f"vgpu_agent_run_timestamp_seconds {at}\n" in read(metrics).decode(), at)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    def test_the_reason_is_in_the_metrics(self):
        self.prints("535-vgpu-unlicensed.txt", "Unlicensed (Unrestricted)")
        metrics = self.path("metrics")
        process = self.program.start("monitor", sysfs=vgpu(), sets={"monitor.metrics_file": metrics})
        self.until(lambda: os.path.exists(metrics), "metrics")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        reason = self.status(status=12)["reason"]["code"]
        self.assertIn(f'\nvgpu_license_reason{{code="{reason}"}} 1\n', read(metrics).decode())


class Waits(Status):
    def test_until_it_is_licensed(self):
        licensed = read(os.path.join(DATA, "510-vgpu-licensed.txt")).decode()
        unlicensed = read(os.path.join(DATA, "535-vgpu-unlicensed.txt")).decode()
        self.write("licensed", licensed)
        self.write("unlicensed", unlicensed)
        self.driver(f"if [ -e {self.folder}/third ]; then cat {self.folder}/licensed; exit; fi\n"
                    f"[ -e {self.folder}/second ] && touch {self.folder}/third; touch {self.folder}/second\n"
                    f"cat {self.folder}/unlicensed")
        self.assertIs(self.status("--wait", "20")["licensed"], True)

    def test_for_a_driver_that_is_still_to_come(self):
        process = self.program.start("status", "--wait", "60", sysfs=vgpu())
        time.sleep(1)
        self.assertIsNone(process.poll())
        self.prints("510-vgpu-licensed.txt")
        self.assertEqual(process.wait(30), 0)

    def test_no_longer_than_asked_for(self):
        self.prints("535-vgpu-unlicensed.txt")
        value = self.status("--wait", "1", status=12)
        self.assertEqual(len(value["gpus"]), 1)
        self.assertLess(self.last.seconds, 20)

    def test_a_signal_ends_it_and_the_driver_that_hangs(self):
        self.driver("sleep 1000")
        process = self.program.start("status", "--wait", "600", sysfs=vgpu())
        self.until(lambda: any("sleep 1000" in line for line in living().values()), "nvidia-smi")
        process.send_signal(signal.SIGTERM)
        self.ended(process, signal.SIGTERM)


class Drivers(Status):
    def broken(self, words, *command, sysfs=None):
        value = self.error(13, "status", words, "status", *command, sysfs=sysfs or vgpu())
        self.assertEqual(living(), {})
        return value

    def test_none(self):
        self.broken("nvidia-smi is not there")
        self.assertIn("run", self.last.errors[1])

    def test_one_that_hangs_and_does_not_listen(self):
        self.driver("trap '' TERM; while :; do sleep 1000; done")
        self.broken("nvidia-smi", "--wait", "2")
        self.assertLess(self.last.seconds, 50)

    def test_module_that_is_not_loaded(self):
        self.driver('echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver. Make sure that the '
                    'latest NVIDIA driver is installed and running."; exit 9')
        self.broken("communicate with the NVIDIA driver")

    def test_half_a_report(self):
        text = read(os.path.join(DATA, "535-vgpu-unlicensed.txt"))
        self.write("half", text[:200])
        self.driver(f"cat {self.folder}/half")
        self.broken("")

    def test_noise(self):
        for script in ("exit 0", "exit 255", "head -c 100000 /dev/urandom", "yes | head -c 20000000", "kill -SEGV $$"):
            with self.subTest(script):
                self.driver(script)
                self.broken("")

    def test_fewer_gpus_than_on_the_bus(self):
        self.prints("510-vgpu-licensed.txt")
        value = self.error(13, "status", "1 of the 2", "status", sysfs=pci("--gpu", "vgpu", "--gpu", "vgpu"))
        self.assertEqual(len(value["gpus"]), 1)

    def test_no_gpu_at_all(self):
        self.error(3, "status", "no NVIDIA GPU", "status", sysfs=pci())

    def test_offline_nobody_is_asked(self):
        self.error(2, "status", "offline", "status", "--offline")


if __name__ == "__main__":
    main(__file__)
