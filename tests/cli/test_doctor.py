#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What doctor names where no daemon can be started: GPU, driver, gridd.conf, token and license server. The others: tests/boot."""

import json
import os
import socket
import tarfile

import parts
from parts import pci, token, vgpu
from program import Case, main, read, remove, write

SMI, GRIDD = "/usr/bin/nvidia-smi", "/usr/bin/nvidia-gridd"
CONF = "/etc/nvidia/gridd.conf"
TOKEN = "/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
REPORT = read(os.path.join(parts.TESTS, "data/smi/535-vgpu-unlicensed.txt")).decode()


class Doctor(Case):
    def setUp(self):
        super().setUp()
        for program in (SMI, GRIDD):
            self.addCleanup(remove, program)
        write(GRIDD, "#!/bin/sh\n", 0o755)
        write(SMI, f"#!/bin/sh\ncat <<'END'\n{REPORT}\nEND\n", 0o755)
        write(CONF, "FeatureType=1\n")
        write(TOKEN, token("--host", "127.0.0.1"))

    def finds(self, code, status=12, sysfs=None):
        """The first cause, in JSON and for people."""
        sysfs = sysfs or vgpu("535.183.04", "r538_78")
        value = self.json("doctor", status=status, sysfs=sysfs)
        first = value["causes"][0]
        self.assertEqual(first["code"], code, value)
        self.assertEqual((value["error"]["message"], value["error"]["hint"]), (first["message"], first["hint"]))
        lines = self.text("doctor", status=status, sysfs=sysfs).out.splitlines()
        self.assertTrue(lines[0].startswith(code), lines)
        self.assertEqual(lines[1], "  fix: " + first["hint"])
        return value


class Causes(Doctor):
    def test_no_gpu(self):
        self.finds("no_gpu", 3, sysfs=self.folder)

    def test_driver_missing(self):
        remove(SMI)
        self.finds("driver_missing", 13)

    def test_gridd_missing(self):
        remove(GRIDD)
        self.finds("gridd_missing")

    def test_gridd_conf_and_feature_type(self):
        for content, code in (("FeatureType=9", "gridd_conf"), ("FeatureType=0", "feature_type"), ("a\0b", "gridd_conf"),
                              ("FeatureType=1\nClientConfigTokenPath=srv", "gridd_conf")):
            with self.subTest(content):
                write(CONF, content)
                self.finds(code)

    def test_the_token(self):
        for content, code in ((token("--half"), "token_malformed"), (b"", "token_malformed"),
                              (token("--expired"), "token_expired"),
                              (token("--not-yet-valid"), "token_not_yet_valid")):
            with self.subTest(code):
                write(TOKEN, content)
                self.finds(code, 11)
        remove(TOKEN)
        self.finds("token_missing", 11)
        os.mkdir(TOKEN)
        self.finds("token_unreadable", 11)

    def test_a_closed_port_and_a_name_without_address(self):
        self.finds("port_refused")
        write(TOKEN, token("--host", "no-such-host.invalid"))
        self.finds("dns")

    def test_a_port_that_speaks_no_tls(self):
        listener = self.use(socket.create_server(("127.0.0.1", 443)))
        self.finds("tls")
        listener.close()

    def test_a_passed_through_gpu_needs_no_license_and_has_no_cause(self):
        text = read(os.path.join(parts.TESTS, "data/smi/580-passthrough.txt")).decode()
        write(SMI, f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n", 0o755)
        remove(TOKEN)
        value = self.json("doctor", sysfs=pci("--gpu", "passthrough"))
        self.assertEqual(value["causes"], [])
        self.assertIn("Nothing is wrong.", self.text("doctor", sysfs=pci("--gpu", "passthrough")).out)

    def test_a_driver_that_says_a_mismatch(self):
        write(SMI, "#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n", 0o755)
        value = self.json("doctor", status=13, sysfs=vgpu("535.183.04", "r538_78"))
        self.assertEqual(value["causes"][0]["code"], "driver_missing")  # no module is loaded here
        checks = {each["name"]: each for each in value["checks"]}
        self.assertIs(checks["nvidia_smi"]["ok"], False)

    def test_what_holds_the_worker_is_named(self):
        for nobody in (False, True):
            value = self.json("doctor", status=13, sysfs=vgpu(), nobody=nobody)
            check = next(each for each in value["checks"] if each["name"] == "worker")
            self.assertRegex(check["detail"], "^your own user, " if nobody else "^user (vgpu-fetch-worker|65534)")
            self.assertIn("no capabilities, no new privileges, limits, ", check["detail"])
            self.assertRegex(check["detail"], "system call filter|built without its sandbox")
            missing = "vgpu-fetch-worker is missing" in check["detail"]
            if "built without its sandbox" not in check["detail"]:
                self.assertEqual(check["ok"] is False, missing, check)

    def test_offline_is_2(self):
        self.error(2, "doctor", "not offline", "doctor", "--offline")


class Bundle(Doctor):
    def test_all_files_are_in_it_also_without_root_and_without_the_programs(self):
        secret = token("--host", "127.0.0.1").decode().split(".")[1][:40]
        write(CONF, f"FeatureType=1\nProxyPassword=hunter2\n# {secret}\n")
        write(SMI, f"#!/bin/sh\necho {token('--host', '127.0.0.1').decode()}\nexit 9\n", 0o755)
        for nobody in (False, True):
            path = f"/tmp/bundle-{nobody}.tar.gz"
            self.json("doctor", "--bundle", path, status=13, sysfs=vgpu(), nobody=nobody)
            with tarfile.open(path) as tar:
                files = {os.path.basename(each.name): tar.extractfile(each).read().decode() for each in tar if each.isfile()}
            self.assertEqual(sorted(files), sorted(
                "config.json detect.json dmesg.txt doctor.json gridd.conf journal-agent.txt journal-gridd.txt modules "
                "nvidia-smi.txt os-release state.json status.json".split()))
            for name, content in files.items():
                self.assertNotIn(secret, content, name)
                self.assertNotIn("hunter2", content, name)
            self.assertEqual(json.loads(files["doctor.json"])["causes"][0]["code"], "driver_missing")
            self.assertIn("not there", files["state.json"])
        self.assertEqual([name for name in os.listdir("/tmp") if name.startswith("vgpu-guest-agent")], [])

    def test_it_replaces_no_folder(self):
        os.mkdir(self.path("folder"))
        self.error(16, "doctor", "folder", "doctor", "--bundle", self.path("folder"), sysfs=vgpu())


if __name__ == "__main__":
    main(__file__)
