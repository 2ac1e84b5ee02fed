#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The client configuration token: what is wrong with one, and how it gets to its place."""

import fcntl
import os
import signal
import stat
import termios
import threading
import time

import parts
from parts import pci, token, vgpu
from program import Case, main, read, write

FOLDER = "/etc/nvidia/ClientConfigToken"
PLACE = FOLDER + "/client_configuration_token.tok"
BACKUP = "/var/lib/vgpu-guest-agent/backup"


def folded(data):
    return b"\n".join(data[at:at + 76] for at in range(0, len(data), 76))


class Check(Case):
    def check(self, content, *problems, valid, status=None):
        path = self.write("client.tok", content, 0o600)
        value = self.json("token", "check", path, status=11 if status is None else status)
        self.assertEqual([each["code"] for each in value["problems"]], list(problems))
        self.assertEqual(value["valid"], valid)
        self.assertEqual(value["size"], len(content))
        if "error" in value:
            self.assertIn("token install FILE", value["error"]["hint"] or "", content)
        return value

    def damaged(self, content, *problems):
        value = self.check(content, *problems, valid=False)
        self.assertEqual({each["severity"] for each in value["problems"]}, {"error"})
        return value

    def suspect(self, content, *problems, status=11):
        value = self.check(content, *problems, valid=True, status=status)
        self.assertEqual({each["severity"] for each in value["problems"]}, {"warning"})
        return value

    def test_a_good_one(self):
        value = self.check(token("--host", "10.0.0.5", "--host", "dls2.example.org"), valid=True, status=0)
        self.assertEqual(value["signature"], "ok")
        self.assertEqual([server["host"] for server in value["servers"]], ["10.0.0.5", "dls2.example.org"])
        self.assertIn(443, value["servers"][0]["ports"])
        self.assertLess(value["not_before"], value["expires"])
        self.assertIsNotNone(value["issued"])

    def test_for_people(self):
        out = self.text("token", "check", self.write("t", token("--host", "dls.example"))).out
        self.assertRegex(out, r"(?m)^  server: dls\.example port 443(, [0-9]+)*$")
        self.assertRegex(out, r"(?m)^  expires: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, \d+ days left$")

    def test_of_no_token_and_an_empty_one_the_error_says_all(self):
        for path, reason in ((self.path("none"), "there is no token"), (self.write("empty", b""), "there is not one byte")):
            done = self.program.call("token", "check", path)
            self.assertEqual((done.status, done.out), (11, ""))
            self.assertIn(f"{path}: {reason}", done.err)

    def test_missing(self):
        value = self.json("token", "check", self.path("none"), status=11)
        self.assertEqual([each["code"] for each in value["problems"]], ["missing"])
        self.assertIs(value["valid"], False)

    def test_missing_everywhere(self):
        value = self.json("token", "check", status=11)
        self.assertEqual([each["code"] for each in value["problems"]], ["missing"])

    def test_empty(self):
        self.damaged(b"", "empty")

    def test_not_a_token(self):
        for content in (b"hello", b"a.b.c", b"\x7fELF" + bytes(3000), b"<html>login</html>"):
            value = self.json("token", "check", self.write("t", content), status=11)
            self.assertTrue({"not_a_token", "invisible"} & {each["code"] for each in value["problems"]}, content)

    def test_half_of_one(self):
        self.damaged(token("--half"), "not_a_token")

    def test_two_glued_together(self):
        self.damaged(token("--glued"), "glued")

    def test_two_with_a_line_break_between(self):
        codes = [each["code"] for each in self.json("token", "check", self.write("t", token() + b"\n" + token()),
                                                    status=11)["problems"]]
        self.assertIn("glued", codes)

    def test_line_breaks_inside(self):
        value = self.damaged(folded(token()), "inner_whitespace")
        self.assertIn("byte 77", value["problems"][0]["message"])

    def test_an_invisible_character_inside(self):
        codes = [each["code"] for each in self.json(
            "token", "check", self.write("t", token()[:100] + "\N{ZERO WIDTH SPACE}".encode() + token()[100:]), status=11)["problems"]]
        self.assertIn("invisible", codes)

    def test_too_large(self):
        for content in (b"a" * (1 << 20), token() + b"\n" * (3 << 20)):
            value = self.json("token", "check", self.write("t", content), status=11)
            self.assertEqual([each["code"] for each in value["problems"]], ["too_large"])

    def test_a_byte_order_mark_is_fine(self):
        self.suspect(token("--bom"), "bom", status=0)

    def test_blanks_at_the_ends_are_fine(self):
        for content in (token() + b"\n", token("--crlf"), b"  " + token()):
            self.suspect(content, "whitespace", status=0)

    def test_expired(self):
        value = self.suspect(token("--expired"), "expired")
        self.assertLess(value["expires"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))

    def test_not_yet_valid(self):
        self.suspect(token("--not-yet-valid"), "not_yet_valid")

    def test_bad_signature(self):
        self.assertEqual(self.suspect(token("--bad-signature"), "bad_signature")["signature"], "bad")

    def test_several_in_the_folder(self):
        write(PLACE, token())
        write(FOLDER + "/another.tok", token())
        value = self.json("token", "check", status=11)
        self.assertEqual([each["code"] for each in value["problems"]], ["several"])
        self.assertIs(value["valid"], True)

    def test_the_installed_one_without_a_file(self):
        write(FOLDER + "/client_configuration_token_03-28-2023-16-16-36.tok", token())
        self.assertIs(self.json("token", "check")["valid"], True)

    def test_the_one_of_the_configuration(self):
        path = self.write("t", token("--expired"))
        self.json("token", "check", sets={"license.token_file": path}, status=11)

    def test_strange_files(self):
        os.mkfifo(self.path("fifo"))
        for path in (self.folder, self.path("fifo"), "/dev/zero", "/proc/self/mem"):
            with self.subTest(path):
                outcome = self.program.call("token", "check", path)
                self.assertIn(outcome.status, (11, 16))
                self.assertIn(path, outcome.errors[0])

    def out_of_a_pipe(self, begin):
        """As a shell's <(...): a check that has read `begin` and waits for more, and the end to write into."""
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        process = self.program.start("token", "check", "/dev/fd/0", stdin=ours)
        os.write(theirs, begin)
        while process.poll() is None and fcntl.ioctl(ours, termios.FIONREAD, b"\0" * 4) != b"\0" * 4:
            time.sleep(0.01)
        return process, theirs

    def test_one_out_of_a_slow_pipe(self):
        process, pipe = self.out_of_a_pipe(token()[:100])
        os.write(pipe, token()[100:])
        os.close(pipe)
        out, err = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out[:9]), (0, b"The token"), err)

    def test_a_signal_ends_the_wait_for_a_pipe(self):
        process, pipe = self.out_of_a_pipe(b"e")
        self.addCleanup(os.close, pipe)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, -signal.SIGINT)

    def test_one_that_may_not_be_read_is_status_16(self):
        self.error(16, "token check", "t.tok", "token", "check", self.write("t.tok", token(), 0o600), nobody=True)

    def test_anybody_may_check(self):
        self.assertIs(self.json("token", "check", self.write("t", token()), nobody=True)["valid"], True)


class Install(Case):
    def install(self, content, status=0, **more):
        return self.json("token", "install", self.write("t", content, 0o600), status=status, **more)

    def outcome(self, value):
        return next(each["outcome"] for each in value["steps"] if each["step"] == "token")

    def test_exactly_its_bytes_and_the_documented_mode(self):
        self.assertEqual(self.outcome(self.install(token())), "changed")
        self.assertEqual(read(PLACE), token())
        self.assertEqual(stat.S_IMODE(os.stat(PLACE).st_mode), 0o744)

    def test_the_mode_of_the_configuration(self):
        self.install(token(), sets={"license.token_mode": "0600"})
        self.assertEqual(stat.S_IMODE(os.stat(PLACE).st_mode), 0o600)

    def test_bytes_that_are_no_damage_stay(self):
        for content in (token("--crlf"), token("--bom")):
            self.install(content)
            self.assertEqual(read(PLACE), content)

    def test_once_more_changes_nothing(self):
        self.install(token())
        before = os.stat(PLACE)
        self.assertEqual(self.outcome(self.install(token())), "unchanged")
        self.assertEqual((os.stat(PLACE).st_ino, os.stat(PLACE).st_mtime_ns), (before.st_ino, before.st_mtime_ns))

    def test_damaged_ones_are_refused_and_an_older_good_one_stays(self):
        self.install(token())
        for content, said in ((token("--half"), "token"), (token("--glued"), "two"), (folded(token()), "line"), (b"", "empty"),
                              (b"x" * (2 << 20), "large")):
            with self.subTest(said):
                value = self.error(11, "token", "", "token", "install", self.write("t", content))
                self.assertEqual(value["steps"][-1]["outcome"], "failed")
                self.assertEqual(read(PLACE), token())
                self.assertEqual(os.listdir(FOLDER), [os.path.basename(PLACE)])

    def test_a_missing_file(self):
        self.error(11, "token install", "none", "token", "install", self.path("none"))

    def test_suspect_ones_are_installed_with_a_warning(self):
        for words in ("--bad-signature", "--expired", "--not-yet-valid"):
            with self.subTest(words):
                self.install(token(words))
                self.assertEqual(read(PLACE), token(words))
                self.assertIn("warning: token: ", self.last.err)

    def test_it_is_alone_and_older_ones_are_kept_elsewhere(self):
        write(FOLDER + "/old_03-28-2023.tok", b"old token")
        write(PLACE, b"another")
        self.install(token())
        self.assertEqual(os.listdir(FOLDER), [os.path.basename(PLACE)])
        kept = [os.path.join(where, name) for where, _, names in os.walk(BACKUP) for name in names if ".tok" in name]
        self.assertEqual({read(path) for path in kept}, {b"old token", b"another"})
        self.assertEqual(stat.S_IMODE(os.stat(BACKUP).st_mode), 0o700)

    def test_it_needs_root(self):
        self.error(16, "token install", "root", "token", "install", self.write("t", token()), nobody=True, hint="sudo")

    def test_that_nothing_was_done_is_said_with_its_reason(self):
        out = self.text("token", "install").out
        self.assertRegex(out, r"^Nothing to do: .*license")

    def test_below_a_root(self):
        os.mkdir(self.path("root"))
        value = self.json("token", "install", self.write("t", token()), "--root", self.path("root"))
        self.assertEqual(read(self.path("root") + PLACE), token())
        self.assertFalse(os.path.exists(PLACE))
        self.assertEqual({each["step"]: each["outcome"] for each in value["steps"]}, {"token": "changed", "gridd": "skipped"})

    def test_a_link_in_the_root_does_not_lead_out(self):
        os.makedirs(self.path("root/etc"))
        os.mkdir("/tmp/outside")
        self.addCleanup(os.rmdir, "/tmp/outside")
        os.symlink("/tmp/outside", self.path("root/etc/nvidia"))
        self.program.call("token", "install", self.write("t", token()), "--root", self.path("root"))
        self.assertEqual(os.listdir("/tmp/outside"), [])

    def test_its_text_is_in_no_output_log_state_or_command_line(self):
        text = token("--bad-signature").decode()
        seen, done = [], threading.Event()

        def watch():
            while not done.is_set():
                for name in filter(str.isdigit, os.listdir("/proc")):
                    try:
                        if int(name) != os.getpid():
                            seen.append(read(f"/proc/{name}/cmdline") + read(f"/proc/{name}/environ"))
                    except OSError:
                        pass

        watcher = threading.Thread(target=watch)
        watcher.start()
        path = self.write("t", text, 0o600)
        said = ""
        for words in (("token", "check", path), ("token", "install", path), ("token", "install", path, "--json"), ("plan",),
                      ("run", "-vv"), ("token", "check", "--log-level", "debug"), ("config", "show")):
            outcome = self.program.call(*words, sysfs=vgpu(), sets={"license.token_file": path})
            said += outcome.out + outcome.err
        done.set()
        watcher.join()
        for folder in ("/var/log/vgpu-guest-agent", "/var/lib/vgpu-guest-agent"):
            for where, _, names in os.walk(folder):
                said += "".join(read(os.path.join(where, name)).decode() for name in names if where != BACKUP)
        self.assertGreater(len(seen), 0)
        for at in range(0, len(text) - 24, 24):
            piece = text[at:at + 24]
            self.assertNotIn(piece, said)
            self.assertFalse(any(piece.encode() in each for each in seen), "on a command line")


class Configure(Case):
    CONF = "/etc/nvidia/gridd.conf"

    def configure(self, status=0, **more):
        return self.json("configure", "--root", self.folder, status=status, **more)

    def outcomes(self, value):
        return {each["step"]: each["outcome"] for each in value["steps"]}

    def test_below_a_root_gridd_conf_and_token_are_written(self):
        value = self.configure(sets={"license.token_file": write("/tmp/t.tok", token())})
        self.assertEqual(self.outcomes(value), {"detect": "unchanged", "metadata": "skipped", "configure": "changed",
                                                "token": "changed", "gridd": "skipped"})
        self.assertIn(b"FeatureType=1\n", read(self.folder + self.CONF))
        self.assertEqual(read(self.folder + PLACE), token())

    def test_comments_order_unknown_keys_and_a_missing_last_newline_survive(self):
        write(self.folder + self.CONF, "# mine\n\nServerAddress=10.0.0.1\n#FeatureType=0\nFeatureType=0 \nUnknown = x\n# end")
        self.configure(sets={"license.feature_type": "2"})
        self.assertEqual(read(self.folder + self.CONF).decode(),
                         "# mine\n\nServerAddress=10.0.0.1\n#FeatureType=0\nFeatureType=2\nUnknown = x\n# end")

    def test_once_more_changes_nothing(self):
        self.configure()
        before = os.stat(self.folder + self.CONF)
        self.assertEqual(self.outcomes(self.configure())["configure"], "unchanged")
        self.assertEqual(os.stat(self.folder + self.CONF).st_ino, before.st_ino)

    def test_a_link_becomes_a_file(self):
        write(self.folder + "/etc/nvidia/real.conf", "FeatureType=0\n")
        os.symlink("real.conf", self.folder + self.CONF)
        self.configure()
        self.assertFalse(os.path.islink(self.folder + self.CONF))
        self.assertEqual(read(self.folder + "/etc/nvidia/real.conf"), b"FeatureType=0\n")

    def test_further_options(self):
        conf = self.write("own.conf", 'license: { gridd: { EnableLogging = true; LicenseInterval = 1440; Name = "x"; }; };\n')
        self.json("configure", "--root", self.folder, "--config", conf)
        text = read(self.folder + self.CONF).decode()
        for line in ("EnableLogging=TRUE\n", "LicenseInterval=1440\n", "Name=x\n", "FeatureType=1\n"):
            self.assertIn(line, text)

    def test_without_a_token_it_is_status_11_on_a_vgpu(self):
        value = self.error(11, "token", "no client configuration token", "configure", sysfs=vgpu(), hint="token install")
        self.assertEqual(self.outcomes(value)["configure"], "changed")
        self.assertNotIn("gridd", self.outcomes(value))

    def test_without_a_token_it_is_fine_where_none_is_needed(self):
        value = self.json("configure", sysfs=pci("--gpu", "passthrough"))
        self.assertEqual(self.outcomes(value)["token"], "skipped")

    def test_no_gpu_is_status_3(self):
        self.error(3, "detect", "no NVIDIA GPU", "configure", sysfs=pci())

    def test_it_needs_root(self):
        self.error(16, "configure", "root", "configure", nobody=True, hint="sudo")


if __name__ == "__main__":
    main(__file__)
