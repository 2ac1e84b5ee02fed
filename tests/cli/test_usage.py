#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command line itself: options, help, what a wrong one gets, where the output goes. And the configuration."""

import json
import os
import pty
import signal
import subprocess

import parts
from program import QUICK, Case, main, remove, write

COMMANDS = ("detect", "plan", "run", "fetch", "install", "configure", "token check", "token install", "status", "monitor", "config show",
            "config check")
CONFIG = "/etc/vgpu-guest-agent/agent.conf"
CONF_D = "/etc/vgpu-guest-agent/conf.d/"
BUILT_IN = dict.fromkeys(QUICK)  # no --set at all
GLOBAL = ("--config FILE", "--root DIR", "--offline", "--sysfs DIR", "--set PATH=VALUE", "--json", "--log-level", "--help",
          "--version")


class CommandLine(Case):
    def test_version(self):
        self.assertRegex(self.text("--version", sets={}).out, r"^vgpu-guest-agent \d+\.\d+\.\d+\n$")

    def test_version_of_a_command(self):
        self.assertRegex(self.text("status", "--version").out, r"^vgpu-guest-agent \d+\.\d+\.\d+\n$")

    def test_help_names_every_command_and_global_option(self):
        out = self.text("--help").out
        for word in COMMANDS + GLOBAL:
            self.assertIn(word, out)

    def test_help_of_each_command_names_it_and_the_global_options(self):
        for command in COMMANDS:
            with self.subTest(command):
                out = self.text(*command.split(), "--help").out
                self.assertIn(f"vgpu-guest-agent [GLOBAL OPTIONS] {command}", out)
                for word in GLOBAL:
                    self.assertIn(word, out)

    def test_help_of_a_command_names_its_own_options(self):
        for command, option in (("run", "--kernel REL"), ("plan", "--kernel REL"), ("install", "--driver FILE"),
                                ("fetch", "--output DIR"), ("status", "--wait SECONDS"), ("config show", "--origin")):
            with self.subTest(command):
                self.assertIn(option, self.text(*command.split(), "--help").out)

    def test_help_is_a_command_too(self):
        for words, option in (("help",), "--help"), (("help", "run"), "run --help"), (("help", "token", "check"), "token check --help"):
            with self.subTest(words):
                self.assertEqual(self.text(*words).out, self.text(*option.split()).out)
        self.text("help", "nonsense", status=2)

    def test_usage_errors(self):
        for words, said in (((), "which command"), (("nonsense",), 'no command "nonsense"'), (("--nonsense",), "--nonsense"),
                            (("detect", "--nonsense"), "--nonsense"), (("detect", "-z"), "-z"),
                            (("detect", "extra"), "extra"), (("token",), "token"), (("token", "eat"), "token"),
                            (("token", "check", "a", "b"), "b"), (("status", "--wait", "soon"), "soon"),
                            (("status", "--wait", "-1"), "-1"), (("detect", "--wait", "3"), "--wait"),
                            (("status", "--kernel", "6.1"), "--kernel"), (("detect", "--log-level", "loud"), "loud"),
                            (("detect", "--set"), "--set")):
            with self.subTest(words):
                outcome = self.program.call(*words, sets=BUILT_IN)
                self.assertEqual((outcome.status, outcome.out), (2, ""), outcome)
                named = words[:1] in (("detect",), ("status",)) or words[:2] == ("token", "check")
                self.assertRegex(outcome.errors[0], f"^vgpu-guest-agent: {' '.join(words[:2 if words[0] == 'token' else 1]) if named else 'usage'}: ")
                self.assertIn(said, outcome.errors[0])

    def test_a_usage_error_in_json(self):
        self.error(2, "usage", "nonsense", "nonsense", hint="--help")

    def test_no_wrong_call_is_without_a_way_out(self):
        for words, hint in ((("status", "--lock-wait", "x"), "--help"), (("--root", "/nonexist", "status"), "--root"), (("--sysfs", "/nonexist", "detect"), "--sysfs"),
                            (("status", "--watch", "--wait", "3"), "status --help"), (("--offline", "status"), "--offline"), (("--offline", "doctor"), "--offline"),
                            (("--offline", "monitor"), "--offline"), (("--offline", "validate"), "--offline"), (("index", "/nonexist.run"), "index --help"),
                            (("--set", "license.feature_type=9", "status"), "vgpu-guest-agent.conf(5)"), (("--set", "x", "status"), "vgpu-guest-agent.conf(5)"),
                            (("--config", "/nonexist", "status"), "--config"), (("status", "--frob"), "status --help"), (("status", "--wait"), "status --help"),
                            (("status", "--wait", "x"), "status --help"), (("token", "check", "--frob"), "token check --help"), (("--frob",), "agent --help"),
                            (("fetch", "--output", "/nonexist"), "--output DIR")):
            with self.subTest(words):
                self.assertIn(hint, json.loads(self.program.call("--json", *words).out)["error"]["hint"])

    def test_the_hint_names_the_command_that_was_meant(self):
        for typo, meant in (("detcet", "detect"), ("plam", "plan"), ("instal", "install")):
            with self.subTest(typo):
                self.assertIn(f'"{meant}"', self.text(typo, status=2).errors[1])

    def test_global_options_stand_before_or_after_the_command(self):
        before = self.program.call("--json", "--sysfs", parts.vgpu(), "detect")
        after = self.program.call("detect", "--sysfs", parts.vgpu(), "--json")
        self.assertEqual((before.status, json.loads(before.out)["gpus"]), (0, json.loads(after.out)["gpus"]))

    def test_an_option_may_carry_its_value_with_an_equals_sign(self):
        self.assertEqual(self.program.call("detect", f"--sysfs={parts.vgpu()}").status, 0)

    def test_the_installed_program_works_through_a_link_from_elsewhere(self):
        os.symlink(self.program.path, self.path("linked"))
        self.json("token", "check", self.write("token", parts.token()), program=self.path("linked"))


class Output(Case):
    def unread(self, *words):
        """Its status and words on standard error where nobody reads its standard output."""
        ours, theirs = os.pipe()
        os.close(ours)
        process = self.program.start(*words, sysfs=parts.vgpu(), stdout=theirs)
        os.close(theirs)
        return process.communicate(timeout=30)[1].decode(), process.returncode

    def test_who_reads_no_further_gets_no_complaint(self):
        for words in (("config", "show"), ("config", "show", "--json"), ("--help",), ("--version",), ("detect",), ("status", "--watch")):
            with self.subTest(words):
                self.assertEqual(self.unread(*words), ("", -signal.SIGPIPE))

    def test_what_failed_is_said_though_nobody_reads(self):
        err, status = self.unread("status")
        self.assertEqual(status, 13)
        self.assertRegex(err, "^vgpu-guest-agent: status: ")

    def test_without_proc_it_says_what_is_missing(self):
        command = self.program.command(("config", "check"), None, None, None)
        done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh", *command],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"(?s)/proc/self/exe.*\nhint: mount /proc")

    def silent(self, *words, **more):
        return self.text("run", *words, sysfs=parts.vgpu(), status=4, **more).err

    def test_quiet_leaves_the_error_only(self):
        for words in (("-qq",), ("-q", "-q"), ("--log-level", "error")):
            with self.subTest(words):
                outcome = self.text("run", *words, sysfs=parts.vgpu(), status=4)
                self.assertEqual(outcome.err.splitlines(), outcome.errors)

    def test_verbose_says_more(self):
        plain = self.silent()
        self.assertIn("detect", plain)
        self.assertNotIn("skipped", plain)
        for words in (("-v",), ("--verbose",), ("--log-level", "info")):
            with self.subTest(words):
                self.assertIn("skipped", self.silent(*words))

    def test_no_colour_in_a_file(self):
        outcome = self.text("run", sysfs=parts.vgpu(), status=4)
        self.assertNotIn("\033", outcome.out + outcome.err)

    def on_a_terminal(self, **env):
        ours, theirs = pty.openpty()
        process = self.program.start("run", sysfs=parts.vgpu(), stderr=theirs, stdout=theirs, env={"TERM": "xterm", **env})
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:
            pass  # the end of a pseudo terminal
        os.close(ours)
        self.assertEqual(process.wait(20), 4)
        return said

    def test_colour_on_a_terminal_only_without_NO_COLOR(self):
        self.assertIn(b"\033[1;31m", self.on_a_terminal())
        self.assertNotIn(b"\033[1;31m", self.on_a_terminal(NO_COLOR="1"))

    def test_a_full_disk_under_the_report_is_an_error(self):
        for words in (("detect",), ("detect", "--json"), ("config", "show"), ("--help",), ("--version",)):
            with self.subTest(words), open("/dev/full", "wb") as full:
                outcome = self.program.call(*words, sysfs=parts.vgpu(), stdout=full)
                self.assertEqual(outcome.status, 1, outcome)
                self.assertRegex(outcome.errors[0], "writing")

    def test_closed_descriptors_do_not_matter(self):
        for closed in ("<&-", "2>&-", "<&- 2>&-"):
            with self.subTest(closed):
                done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh",
                                       *self.program.command(["detect", "--json"], sysfs=parts.vgpu())],
                                      stdout=subprocess.PIPE, check=False)
                self.assertEqual(done.returncode, 0)
                self.assertEqual(len(json.loads(done.stdout)["gpus"]), 1)


class Configuration(Case):
    def shown(self, *words, **more):
        """The settings of config show: key to (value, origin)."""
        value = json.loads(self.program.call("config", "show", *words, "--json", **more).out)
        self.assertEqual(value.keys(), {"schema", "settings"})
        self.assertEqual(value["schema"], 1)
        return {key: (each["value"], each["origin"]) for key, each in value["settings"].items()}

    def refused(self, text, *said, line=None, name=CONFIG):
        write(name, text)
        outcome = self.text("config", "check", status=2)
        for word in (f"{name}:{line}: " if line else name, *said):
            self.assertIn(word, outcome.err)
        self.error(2, "config check", said[0] if said else name, "config", "check")
        remove(name)
        return outcome

    def test_defaults_are_those_of_the_contract(self):
        found = {key: value for key, (value, _) in self.shown(sets=BUILT_IN).items()}
        expected = {
            "driver.repository": "", "driver.url": "", "driver.sha256": "", "driver.version": "", "driver.catalog": "auto",
            "driver.package": "auto", "driver.kernel_module": "auto", "driver.integrity": "require", "driver.index_key": "",
            "driver.prebuilt": "auto", "driver.upgrade": False, "driver.prerequisites": "install", "driver.dkms": "no",
            "driver.index_min_serial": 0, "driver.allow_mismatch": False, "driver.fallback": True,
            "http.proxy": "", "http.ca_file": "", "http.client_cert": "", "http.client_key": "", "http.netrc_file": "", "http.header_file": "", "http.rate_limit_kib": 0, "http.retries": 8,
            "http.connect_timeout": 20, "http.stall_timeout": 180, "license.feature_type": 1, "license.token_file": "",
            "license.token_mode": "0744", "license.wait": 300, "monitor.interval": 60, "monitor.backend": "auto",
            "monitor.metrics_file": "", "metadata.enabled": True, "metadata.url": "http://169.254.169.254",
            "metadata.sources": ["config-drive", "metadata-service"], "metadata.keys": ["*"],
            "metadata.removable_drive": False, "metadata.timeout": 30,
            "signing.key": "", "signing.cert": ""}
        self.assertEqual(found, expected)

    def test_each_value_names_its_origin(self):
        write(CONFIG, 'driver: {\n  package = "deb";\n};\nlicense: { wait = 7; };\n')
        write(CONF_D + "10.conf", "license: { feature_type = 2; };\n")
        found = self.shown("--set", "monitor.interval=5", sets={"license.wait": None})
        self.assertEqual(found["driver.package"], ("deb", f"{CONFIG}:2"))
        self.assertEqual(found["license.wait"], (7, f"{CONFIG}:4"))
        self.assertEqual(found["license.feature_type"], (2, CONF_D + "10.conf:1"))
        self.assertEqual(found["monitor.interval"], (5, "--set"))
        self.assertEqual(found["monitor.backend"], ("auto", "built-in"))

    def test_origins_for_people_only_with_the_option(self):
        self.assertIn("built-in", self.text("config", "show", "--origin").out)
        self.assertNotIn("built-in", self.text("config", "show").out)

    def test_conf_d_is_read_in_the_order_of_names_and_wins_over_the_file(self):
        write(CONFIG, "monitor: { interval = 1; };\n")
        for name, interval in (("20-b.conf", 20), ("10-a.conf", 10), ("30-not-read.conf~", 30), (".40-hidden.conf", 40)):
            write(CONF_D + name, f"monitor: {{ interval = {interval}; }};\n")
        self.assertEqual(self.shown()["monitor.interval"], (20, CONF_D + "20-b.conf:1"))

    def test_a_named_file_is_read_alone(self):
        write(CONFIG, "monitor: { interval = 1; };\n")
        write(CONF_D + "10.conf", 'monitor: { backend = "nvml"; };\n')
        self.write("own.conf", "license: { feature_type = 4; };\n")
        found = self.shown("--config", "own.conf", cwd=self.folder)
        self.assertEqual(found["license.feature_type"][0], 4)
        self.assertEqual(found["monitor.interval"][0], 60)
        self.assertEqual(found["monitor.backend"][0], "auto")

    def test_a_named_file_that_is_missing_is_an_error(self):
        self.error(2, "config check", "/nowhere", "config", "check", "--config", "/nowhere")

    def test_below_a_root_its_own_files_are_read(self):
        write(CONFIG, "monitor: { interval = 1; };\n")
        write(self.folder + CONFIG, "monitor: { interval = 2; };\n")
        self.assertEqual(self.shown("--root", self.folder)["monitor.interval"][0], 2)

    def test_a_named_file_is_the_callers_also_with_a_root(self):
        own = self.write("own.conf", "monitor: { interval = 3; };\n")
        os.mkdir(self.path("root"))
        self.assertEqual(self.shown("--root", self.path("root"), "--config", own)["monitor.interval"][0], 3)

    def test_set_reads_the_keys_type(self):
        for assignment, key, value in (("driver.upgrade=true", "driver.upgrade", True), ("http.retries=3", "http.retries", 3),
                                       ("license.token_mode=0600", "license.token_mode", "0600"),
                                       ("metadata.sources=config-drive", "metadata.sources", ["config-drive"]),
                                       ("driver.url=file:///x/a.run", "driver.url", "file:///x/a.run")):
            with self.subTest(assignment):
                self.assertEqual(self.shown("--set", assignment, sets={"http.retries": None})[key], (value, "--set"))

    def test_set_of_another_type_or_range_is_refused(self):
        for assignment in ("driver.upgrade=maybe", "http.retries=many", "http.retries=101", "http.retries=4294967297",
                           "license.token_mode=0999", "license.feature_type=5", "driver.sha256=abc", "driver.integrity=maybe",
                           "driver.nonsense=1", "driver=1", "noequals", "=1", "metadata.sources=elsewhere",
                           "driver.url=ftp://host/x.run", "driver.version=1.2.3.4.5.x"):
            with self.subTest(assignment):
                value = self.json("config", "check", "--set", assignment, status=2)
                self.assertIn(assignment.partition("=")[0] if "." in assignment else "", value["error"]["message"])

    def test_a_typo_is_named_with_its_line_and_the_nearest_key(self):
        self.refused('driver: {\n  repositry = "https://pulp.example/";\n};\n', "driver.repositry", "driver.repository", line=2)
        self.refused("licence: {\n  wait = 3;\n};\n", "licence", "license", line=1)
        self.refused("monitor: { interval = 5; };\nlicense: {\n wait = 3;\n feature_typ = 1; };\n", "feature_typ",
                     "license.feature_type", line=4)

    def test_wrong_types_and_values_are_named_with_their_line(self):
        for text, line in (('license: {\n wait = "soon"; };\n', 2), ("license: {\n\n feature_type = 9; };\n", 3),
                           ('driver: {\n upgrade = "yes"; };\n', 2), ("monitor: { interval = 4294967356; };\n", 1),
                           ('license: { token_mode = "0888"; };\n', 1), ("license: {\n wait = 3\n feature", 3)):
            with self.subTest(text):
                self.refused(text, line=line)

    def test_includes_are_refused(self):
        self.write("other.conf", "monitor: { interval = 3; };\n")
        self.refused(f'@include "{self.path("other.conf")}"\n', "@include", line=1)

    def test_errors_in_conf_d_name_that_file(self):
        self.refused("monitor: { intervall = 3; };\n", "monitor.intervall", line=1, name=CONF_D + "50.conf")

    def test_a_file_that_others_may_write_is_refused(self):
        for mode in (0o664, 0o646, 0o777):
            with self.subTest(oct(mode)):
                write(CONFIG, "monitor: { interval = 3; };\n", mode)
                self.assertIn("chmod", self.error(2, "config check", "may write", "config", "check")["error"]["hint"])

    def test_a_file_of_another_user_is_refused(self):
        write(CONFIG, "monitor: { interval = 3; };\n")
        os.chown(CONFIG, 65534, 65534)
        self.error(2, "config check", CONFIG, "config", "check", hint="chown")

    def test_a_good_configuration_is_said_to_be_good(self):
        write(CONFIG, 'driver: { repository = "https://pulp.example/pulp/content/nvidia/"; };\n')
        self.assertEqual(self.text("config", "check").err, "")
        self.assertEqual(json.loads(self.program.call("config", "check", "--json").out), {"schema": 1, "valid": True, "warnings": []})

    def test_an_error_of_the_configuration_starts_nothing(self):
        write(CONFIG, "typo = 1;\n")
        for command in (("run",), ("install",), ("configure",), ("detect",), ("plan",), ("fetch",), ("status",)):
            with self.subTest(command):
                self.text(*command, status=2, sysfs=parts.vgpu())
        self.assertFalse(os.path.exists("/var/lib/vgpu-guest-agent"))

    def test_prebuilt_modules_alone_and_dkms_contradict_each_other(self):
        self.text("config", "check", "--set", "driver.dkms=yes")
        self.error(2, "config check", "driver.dkms", "config", "check", "--set", "driver.dkms=yes", "--set", "driver.prebuilt=only")

    def test_url_and_pin_come_from_one_layer(self):
        write(CONFIG, f'driver: {{ url = "https://pulp.example/a.run"; sha256 = "{"a" * 64}"; }};\n')
        found = self.shown("--set", "driver.url=https://pulp.example/b.run")
        self.assertEqual((found["driver.url"][0], found["driver.sha256"][0]), ("https://pulp.example/b.run", ""))

    def test_credentials_in_urls_are_not_shown(self):
        write(CONFIG, 'driver: { repository = "https://user:opensesame@pulp.example/x/?sig=opensesame"; };\n'
                      'http: { proxy = "http://me:opensesame@proxy.example:3128"; };\n', 0o600)
        for words in (("config", "show"), ("config", "show", "--json"), ("config", "show", "--origin")):
            outcome = self.program.call(*words)
            self.assertEqual(outcome.status, 0, outcome)
            self.assertNotIn("opensesame", outcome.out + outcome.err)
            self.assertIn("pulp.example", outcome.out)
            self.assertIn("proxy.example", outcome.out)

    def test_settings_are_read_without_root(self):
        write(CONFIG, "monitor: { interval = 3; };\n")
        self.assertEqual(self.shown(nobody=True)["monitor.interval"][0], 3)


if __name__ == "__main__":
    main(__file__)
