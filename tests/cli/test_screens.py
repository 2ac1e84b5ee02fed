#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What people see: help, hints, lines and words. That no failure says a word of success and no line a URL twice holds for every call of
every test here, see program.py."""

import json
import os

import parts
from program import Case, main, remove, write

CONFIG = "/etc/vgpu-guest-agent/agent.conf"
SMI = "/usr/bin/nvidia-smi"
COMMANDS = ("detect", "plan", "run", "fetch", "install", "build-modules", "index", "configure", "token check", "token install", "status",
            "validate", "doctor", "monitor", "config show", "config check", "seal", "uninstall")


class Help(Case):
    def test_of_the_first_word_of_two(self):
        for words in (("token", "--help"), ("config", "-h"), ("help", "token"), ("help", "config")):
            with self.subTest(words):
                out = self.text(*words).out
                name = next(word for word in words if word in ("token", "config"))
                for command in COMMANDS:
                    self.assertEqual(f"  {command} " in out, command.startswith(name + " "), command)

    def test_of_a_command_says_what_root_statuses_and_an_example(self):
        for command in COMMANDS:
            with self.subTest(command):
                out = self.text(*command.split(), "--help").out
                for word in ("Usage: ", "\nNeeds root: ", "\nExit status: 0 ok, 1 internal, 2 usage", "\nExample: "):
                    self.assertIn(word, out)
                example = out.partition("\nExample: ")[2].partition("\n")[0]
                self.assertIn(command if command != "monitor" else "vgpu-guest-agent-monitor", example)
                self.assertEqual("Needs root: yes" in out, command in ("run", "install", "configure", "token install", "seal", "uninstall"))

    def test_the_version_in_json(self):
        for words in (("--json", "--version"), ("status", "--version", "--json")):
            with self.subTest(words):
                self.assertEqual(set(json.loads(self.text(*words).out)), {"schema", "version"})


class Hints(Case):
    def hint(self, *words, **more):
        errors = self.text(*words, **more).errors
        return errors[1] if len(errors) > 1 else ""

    def test_a_slip_gets_its_neighbour_and_another_word_none(self):
        for words, near in ((("status", "--wiat", "3"), "--wait"), (("--jsno", "status"), "--json"), (("run", "--kernl", "6.1"), "--kernel"),
                            (("install", "--drivr=x"), "--driver"), (("statsu",), '"status"'), (("unistall",), '"uninstall"'),
                            (("token", "chekc"), '"token check"'), (("run", "--frobnicate"), None), (("xyz",), None), (("s",), None),
                            (("monitoring-station",), None)):
            with self.subTest(words):
                hint = self.hint(*words, status=2)
                self.assertEqual("did you mean" in hint, near is not None, hint)
                self.assertIn(near or "--help", hint)

    def test_a_wish_that_hides_the_repository_says_so(self):
        write(CONFIG, 'driver: { repository = "https://pulp.example/pulp/content/nvidia/"; };\n')
        hint = self.hint("fetch", "--set", "driver.version=550.90.07", sysfs=parts.vgpu(), status=4)
        for word in ("driver.version", "--set", "driver.repository", f"{CONFIG}:1"):
            self.assertIn(word, hint)

    def test_the_doctor_names_the_server_itself(self):
        write("/etc/nvidia/ClientConfigToken/client_configuration_token.tok", parts.token())
        out = self.program.call("doctor", sysfs=parts.vgpu()).out
        self.assertNotIn("SERVER", out)

    def test_a_place_that_cannot_be_written_is_16_with_a_hint(self):
        os.mkdir(self.path("folder"))
        os.mkdir(self.path("folder/index.json"))
        self.write("folder/NVIDIA-Linux-x86_64-550.90.07-grid.run", parts.driver())
        value = self.json("index", "--output", self.path("folder/index.json"), self.path("folder/NVIDIA-Linux-x86_64-550.90.07-grid.run"),
                          status=16, shape="error")
        self.assertIn("folder", value["error"]["hint"])


class Configuration(Case):
    def warnings(self, text, mode=0o644):
        write(CONFIG, text, mode)
        value = json.loads(self.program.call("config", "check", "--json").out)
        self.assertTrue(value["valid"])
        outcome = self.text("config", "check")
        for line in value["warnings"]:
            self.assertIn(f"warning: {line}", outcome.err)
        return value["warnings"]

    def test_what_will_not_work_is_warned_of(self):
        for text, mode, warning in (('http: { ca_file = "/etc/none.pem"; };', 0o644, "/etc/none.pem is not there"),
                                    ('signing: { key = "/etc/k"; cert = "/etc/passwd"; };', 0o644, "signing.key"),
                                    ("license: { gridd: { LicenceInterval = 30; }; };", 0o644, "LicenseInterval"),
                                    ('driver: { repository = "https://me:opensesame@pulp.example/"; };', 0o644, "password"),
                                    ('driver: { repository = "https://me:opensesame@pulp.example/"; };', 0o600, None),
                                    ('driver: { repository = "https://pulp.example/"; };', 0o644, None)):
            with self.subTest(text):
                found = self.warnings(text, mode)
                self.assertEqual(len(found), 1 if warning else 0, found)
                self.assertIn(warning or "", "".join(found))
                self.assertNotIn("opensesame", "".join(found))


class Lines(Case):
    def test_the_report_stands_before_its_error(self):
        """Also in one file, as a journal or a log of a build has them."""
        both = self.path("both")
        with open(both, "w", encoding="utf-8") as out:
            self.program.start("detect", stdout=out, stderr=out).wait(20)
        with open(both, encoding="utf-8") as out:
            lines = out.read().splitlines()
        self.assertRegex(lines[0], "^System")
        self.assertRegex(lines[-2], "^vgpu-guest-agent: detect: ")

    def test_the_lines_of_the_steps_stand_in_columns(self):
        os.mkdir(self.path("system"))
        err = self.text("seal", "--root", self.path("system")).err
        columns = {line.index(" unchanged ") for line in err.splitlines() if " unchanged " in line}
        self.assertIn("trusted_store", err)
        self.assertEqual(len(columns), 1, err)

    def test_every_check_says_something(self):
        for sysfs in (parts.vgpu(), None):
            checks = json.loads(self.program.call("doctor", "--json", sysfs=sysfs).out)["checks"]
            self.assertEqual([check["name"] for check in checks if not check["detail"]], [])

    def test_status_fits_80_columns(self):
        self.addCleanup(remove, SMI)
        folder = os.path.join(parts.TESTS, "data/smi")
        for name in sorted(os.listdir(folder)):
            with self.subTest(name):
                write(SMI, f"#!/bin/sh\ncat {os.path.join(folder, name)}\n", 0o755)
                out = self.program.call("status", sysfs=parts.vgpu()).out
                self.assertEqual([line for line in out.splitlines() if len(line) > 80], [])

    def test_no_size_is_nothing(self):
        repository = self.use(parts.Repository())
        repository.name(parts.RUN, size=0)
        small = self.use(parts.Repository()).add(parts.RUN, parts.driver()[:3000])
        for sets in (repository.sets, small.sets):
            for words in (("plan",), ("fetch", "--output", self.folder)):
                with self.subTest(words):
                    outcome = self.program.call(*words, sysfs=parts.vgpu(), sets=sets)
                    self.assertNotIn("0.0 MiB", outcome.out + outcome.err)


if __name__ == "__main__":
    main(__file__)
