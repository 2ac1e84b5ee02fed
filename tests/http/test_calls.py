#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Which calls of the kernel the workers make that agent/worker/filter.c refuses: other tests of this folder again, with every worker traced.
What stands in KNOWN has an older way that the library then takes; anything else is a call that a new library needs and must be judged. With
VGPU_ALL all jobs are traced."""

import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from worker import INSTRUMENTED

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = ("tls", "probe", "repository", "namespace")  # the last one resolves names: threads
MORE = ("bundle", "download", "member", "metadata", "proxy", "redirects")
KNOWN = {"clone3"}  # clone() of older kernels: its flags can be looked at
# Refused by the list, refused by a look at an argument, killed.
REFUSED = re.compile(r"^\d+ +(\w+)\(.*= -1 (ENOSYS|EACCES|EPERM|EAFNOSUPPORT|ENOTTY)\b|^\d+ +\+\+\+ killed by (SIGSYS)")
# These are the file system's, the network's and the sandbox's own answers, not the filter's.
OTHERS = {"openat", "open", "connect", "prctl", "execve", "access", "statx", "newfstatat", "readlink", "landlock_create_ruleset"}


def refused(text):
    found = collections.Counter()
    for line in text.splitlines():
        match = REFUSED.match(line)
        if match and (match.group(2) == "ENOSYS" or match.group(3) or match.group(1) not in OTHERS):
            found[match.group(1) or match.group(3)] += 1
    return found


class Calls(unittest.TestCase):
    def test_what_is_refused_has_an_older_way(self):
        found, traced = collections.Counter(), 0
        for name in TESTS + (MORE if os.environ.get("VGPU_ALL") else ()):
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run([sys.executable, "-B", f"{HERE}/test_{name}.py"], env={**os.environ, "VGPU_TRACE": folder}, check=False,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertIn(done.returncode, (0, 77), done.stdout[-3000:])
                for each in os.listdir(folder):
                    with open(os.path.join(folder, each), errors="replace") as file:
                        text = file.read()
                    traced += "seccomp(" in text or "PR_SET_SECCOMP" in text
                    # From there on the filter holds.
                    found += refused(text.partition("PR_SET_SECCOMP")[2])
        print(f"{traced} workers traced; refused: {dict(found)}")
        self.assertGreater(traced, 20)
        self.assertEqual(set(found) - KNOWN, set())

    def test_that_a_refusal_would_be_seen(self):
        text = ("7 clone3({flags=CLONE_VM}, 88) = -1 ENOSYS (Function not implemented)\n"
                "7 openat(AT_FDCWD, \"/root\", O_RDONLY) = -1 EACCES (Permission denied)\n"
                "7 memfd_create(\"x\", 0)  = -1 ENOSYS (Function not implemented)\n"
                "7 socket(AF_PACKET, SOCK_RAW, 0) = -1 EAFNOSUPPORT (Address family not supported by protocol)\n"
                "7 +++ killed by SIGSYS (core dumped) +++\n")
        self.assertEqual(set(refused(text)), {"clone3", "memfd_create", "socket", "SIGSYS"})


if __name__ == "__main__":
    if INSTRUMENTED or os.geteuid() != 0 or not shutil.which("strace"):
        sys.exit(77)
    unittest.main()
