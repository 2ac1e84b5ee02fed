# SPDX-License-Identifier: Apache-2.0
"""The installed program, called as a user calls it, and the claims that hold for every call of it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import namespace
import shapes

LIMIT_S = 60  # a command that takes longer hangs
NOBODY = 65534
OWN = ("/etc/vgpu-guest-agent", "/etc/nvidia", "/var/lib/vgpu-guest-agent", "/var/cache/vgpu-guest-agent",
       "/var/log/vgpu-guest-agent", "/run/vgpu-guest-agent", "/run/vgpu-guest-agent-run.json", "/usr/src/vgpu-guest-agent",
       "/etc/modprobe.d/vgpu-guest-agent.conf")
# What would make a test slow or ask what is not there; a test that is about them sets its own.
QUICK = {"metadata.enabled": "false", "http.retries": "0", "http.connect_timeout": "5", "http.stall_timeout": "10",
         "license.wait": "0"}


class Outcome:
    """`status` is negative where a signal ended the program."""

    def __init__(self, status, out, err, seconds=0.0):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    def __repr__(self):
        return f"<status {self.status}\n--- out\n{self.out}\n--- err\n{self.err}>"

    def look(self):
        """What holds for every call: a failure says no word of success, no line names a URL twice."""
        if self.status:
            found = [word for word in ("Done: ", "Nothing to do.", "Nothing is wrong.", "configuration is valid") if word in self.out]
            assert not found, (found, self)
        for line in self.err.splitlines():
            urls = re.findall(r"https?://[^\s\"',;)]+[^\s\"',;.:)]", line)
            assert len(urls) == len(set(urls)), (line, self)

    @property
    def errors(self):
        """The lines of a fatal error."""
        return [line for line in self.err.splitlines() if line.startswith(("vgpu-guest-agent: ", "hint: "))]


class Program:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="agent-")
        os.chmod(self.folder, 0o755)
        subprocess.run(["cmake", "--install", namespace.build(), "--prefix", "/usr"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DESTDIR": self.folder})
        self.path = os.path.join(self.folder, "usr/bin/vgpu-guest-agent")
        self.worker = os.path.join(self.folder, "usr/libexec/vgpu-guest-agent/fetch-worker")

    def command(self, words, sets=None, sysfs=None, program=None):
        command = [program or self.path, *words]
        for key, value in {**QUICK, **(sets or {})}.items():
            if value is not None:
                command += ["--set", f"{key}={value}"]
        if sysfs:
            command += ["--sysfs", sysfs]
        return command

    def start(self, *words, sets=None, sysfs=None, nobody=False, env=None, cwd="/", program=None, **more):
        """A running program. Its environment is what a unit would have, and `env`."""
        environment = {name: os.environ[name] for name in os.environ
                       if name in ("PATH", "LC_ALL", "HOME") or "SAN_OPTIONS" in name}
        if nobody:
            environment.update(GCOV_PREFIX="/tmp/nobody-gcov")
            more.update(user=NOBODY, group=NOBODY, extra_groups=[])
        environment.update(env or {})
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.command(words, sets, sysfs, program), env=environment, cwd=cwd, **more)

    def call(self, *words, **more):
        begin = time.monotonic()
        process = self.start(*words, **more)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{words} hangs: {out!r} {err!r}") from None
        outcome = Outcome(process.returncode, (out or b"").decode(), (err or b"").decode(), time.monotonic() - begin)
        outcome.look()
        return outcome


def remove(path):
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        shutil.rmtree(path)


def write(path, content, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def living():
    """The processes of this namespace besides ours, with their command lines."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (1, os.getpid()):
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] in "ZX":
                    continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode()
            if line:  # without its memory it is as good as gone
                found[int(name)] = line
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


class Case(unittest.TestCase):
    longMessage = True
    program = None

    @classmethod
    def setUpClass(cls):
        if not Case.program:
            Case.program = Program()

    def setUp(self):
        for path in OWN:
            remove(path)
        self.folder = tempfile.mkdtemp(prefix="test-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(remove, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content, mode=0o644):
        return write(self.path(name), content, mode)

    def use(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def text(self, *words, status=0, **more):
        """The command for people: its status, and no error or exactly one."""
        outcome = self.program.call(*words, **more)
        self.assertEqual(outcome.status, status, outcome)
        if status == 0:
            self.assertEqual(outcome.errors, [], outcome)
        else:
            self.assertRegex(outcome.errors[0] if outcome.errors else "", r"^vgpu-guest-agent: [a-z ]+: [^ ].*[^.]$", outcome)
            self.assertLessEqual([line[:6] for line in outcome.errors[1:]], ["hint: "], outcome)
        return outcome

    def json(self, *words, status=0, shape=None, **more):
        """The command with --json: one object of the contract's shape and nothing else. Returns it."""
        outcome = self.program.call(*words, "--json", **more)
        self.assertEqual(outcome.status, status, outcome)
        try:
            value = json.loads(outcome.out)
        except ValueError:
            self.fail(f"no JSON alone on standard output: {outcome}")
        name = shape or next((" ".join(words[:n]) for n in (2, 1)
                              if " ".join(words[:n]) in {*shapes.SHAPES, *shapes.COMMANDS}), "error")
        self.assertEqual(shapes.check(name, value), [], outcome)
        self.assertEqual(value.get("error", {"status": 0})["status"], status, outcome)
        if status:
            self.assertIn(f"vgpu-guest-agent: {value['error']['step']}: {value['error']['message']}", outcome.errors, outcome)
            hint = value["error"]["hint"]
            self.assertEqual([f"hint: {hint}"] if hint else [], outcome.errors[1:], outcome)
        self.last = outcome
        return value

    def error(self, status, step, words, *command, hint=None, **more):
        """The command fails so, for people and in JSON; its report, where it made one."""
        value = self.json(*command, status=status, **more)
        self.assertEqual(value["error"]["step"], step, self.last)
        self.assertIn(words, value["error"]["message"], self.last)
        self.assertFalse(value["error"]["message"].startswith(f"{step}:"), self.last)
        if hint:
            self.assertIn(hint, value["error"]["hint"] or "", self.last)
        if status == 2:
            self.assertTrue(value["error"]["hint"], f"a wrong call without a way out: {self.last}")
        return value

    def until(self, condition, what, limit_s=120):
        end = time.monotonic() + limit_s
        while not condition():
            self.assertLess(time.monotonic(), end, f"waiting in vain for {what}")
            time.sleep(0.01)

    def ended(self, process, number):
        """It was ended by this signal, and nothing that it started is left."""
        out, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, -number, (out, err))
        self.assertEqual(living(), {}, (out, err))
        return Outcome(process.returncode, out.decode(), err.decode())


def main(program):
    """Of every test program here."""
    if not namespace.is_inside():
        sys.exit(namespace.enter(program))
    unittest.main(module="__main__")
