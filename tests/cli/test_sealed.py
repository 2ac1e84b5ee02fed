#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The mark of seal and uninstall: whatever of ours acts by itself does nothing until the next boot or a `run` by hand."""

import fcntl
import os
import re
import subprocess

import namespace
import parts
from program import Case, main, read, remove, write

MARK = "/run/vgpu-guest-agent-sealed"
AGENT = "/usr/bin/vgpu-guest-agent"
DIST = os.path.join(namespace.checkout(), "agent/dist")
KERNEL = "6.1.0-37-cloud-amd64"


class Sealed(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(remove, MARK)

    def hook(self):
        return subprocess.run([f"{DIST}/kernel/postinst", KERNEL], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=True).stdout

    def test_the_kernel_hook_does_nothing(self):
        remove(AGENT)
        os.symlink(self.program.path, AGENT)
        self.addCleanup(remove, AGENT)
        write("/usr/src/vgpu-guest-agent/550.90.07/Makefile", "")
        self.addCleanup(remove, "/usr/src/vgpu-guest-agent")
        write(f"/lib/modules/{KERNEL}/build/Makefile", "")
        self.addCleanup(remove, f"/lib/modules/{KERNEL}")
        self.assertIn(KERNEL, self.hook())
        write(MARK, "")
        self.assertEqual(self.hook(), "")

    def test_what_units_call_does_nothing(self):
        write(MARK, "")
        for words in (("run",), ("run", "--token-only"), ("install",)):
            with self.subTest(words):
                value = self.json(*words, "--unattended", sysfs=parts.vgpu())
                self.assertEqual(value["steps"], [])
        self.assertTrue(os.path.exists(MARK))

    def test_a_run_by_hand_ends_it(self):
        write(MARK, "")
        self.text("run", sysfs=parts.vgpu(), status=4)
        self.assertFalse(os.path.exists(MARK))
        self.text("run", "--unattended", sysfs=parts.vgpu(), status=4)

    def test_a_run_that_waited_for_the_seal_to_end_obeys_it(self):
        """It waits for the lock, which seal holds; the mark is there before that is let go."""
        with open("/run/vgpu-guest-agent.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = self.program.start("run", "--unattended", "--lock-wait", "50", "--json", sysfs=parts.vgpu())
            self.until(lambda: any("vgpu-guest-agent.lock" in link for link in self.links(process.pid)),
                       "the run at the lock")
            write(MARK, "")
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, b'"steps":[]' in out.replace(b" ", b"")), (0, True), (out, err))

    @staticmethod
    def links(pid):
        try:
            return [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
        except FileNotFoundError:
            return []

    def test_every_unit_that_acts_looks_for_the_mark(self):
        """systemd reads the condition; what it starts then is told that nobody called it."""
        acting = []
        for name in sorted(os.listdir(f"{DIST}/systemd")):
            text = read(f"{DIST}/systemd/{name}").decode()
            calls = re.findall(r"^ExecStart=/usr/bin/vgpu-guest-agent (.*)$", text, re.MULTILINE)
            if not calls and not name.startswith("vgpu-guest-agent-rotate") and not name.endswith(".timer"):
                continue
            acting.append(name)
            self.assertIn(f"\nConditionPathExists=!{MARK}\n", text, name)
            for call in calls:
                self.assertTrue(call == "monitor" or "--unattended" in call, (name, call))
        self.assertEqual(acting, [f"vgpu-guest-agent{each}" for each in ("-hourly.timer", "-monitor.service", "-rotate.path",
                                                                         "-rotate.service", ".service", ".timer")])


if __name__ == "__main__":
    main(__file__)
