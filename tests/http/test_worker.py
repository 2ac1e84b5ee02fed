#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The worker as a process: one request, one answer, gone with its agent, nothing left for others to read. And its job "copy"."""

import ctypes
import errno
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import server as fault
import worker
from server import Server, always
from worker import CONFINED, INSTRUMENTED, LIMIT_S, PROGRAM, call, end, memfd, public_copy, send, start, start_one

NET = os.path.join(os.path.dirname(PROGRAM), "net-worker")

DATA = os.urandom(3_000_001)
SHA256 = hashlib.sha256(DATA).hexdigest()

AGENT = """
import sys, time
from worker import memfd, start
process, talk = start({"job": "fetch", "url": sys.argv[1], "output": 4, "max_size": 9, "ports": [int(sys.argv[2])]}, [memfd(b"")])
print(process.pid, process.net.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


class Process(unittest.TestCase):
    def silent(self):
        """A worker that waits for a server's answer."""
        server = Server()
        server.__enter__()
        self.addCleanup(server.__exit__)
        server.faults["/f"] = always(fault.silence())
        return server

    def test_unknown_job(self):
        for request in ({"job": "gossip"}, {"job": 7}, {}):
            outcome = call(request)
            self.assertEqual(outcome.error["name"], "internal", outcome)
            self.assertEqual(outcome.code, 0)

    def test_request_that_is_none(self):
        for sent in (b"", b"{", b"hello\n", b"[1]\n"):
            process, talk = start_one([])
            talk.sendall(sent)
            talk.shutdown(1)
            answer = json.loads(talk.makefile("rb").read())
            talk.close()
            self.assertEqual(answer["error"]["name"], "internal")
            self.assertEqual(process.wait(), 0)

    def test_started_by_hand(self):
        for program in (PROGRAM, NET):
            result = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual(result.returncode, 2)
            self.assertEqual(result.stderr, os.path.basename(program) + ": vgpu-guest-agent starts this program\n")

    def test_agent_that_hung_up_is_no_signal(self):
        """libcurl and the answer both write to sockets that may be closed."""
        process, talk = start({"job": "copy", "input": 4}, [memfd(DATA)])
        talk.close()
        self.assertEqual(process.wait(), 1)

    def test_ends_with_its_agent(self):
        server = self.silent()
        agent = subprocess.Popen(
            [sys.executable, "-B", "-c", AGENT, server.base + "/f", str(server.port)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))},
        )
        pids = [int(pid) for pid in agent.stdout.readline().split()]
        self.assertTrue(until(lambda: server.requests))
        self.assertTrue(all(is_alive(pid) for pid in pids))
        agent.kill()
        agent.wait()
        agent.stdout.close()
        self.assertTrue(until(lambda: not any(is_alive(pid) for pid in pids)))

    def test_leaves_nothing_to_read(self):
        server = self.silent()
        process, talk = start({"job": "fetch", "url": server.base + "/f", "output": 4}, [memfd(b"")])
        self.addCleanup(end, process, talk)
        self.assertTrue(until(lambda: server.requests))
        for one, program in ((process, PROGRAM), (process.net, NET)):
            with open(f"/proc/{one.pid}/limits") as file:
                self.assertRegex(file.read(), r"Max core file size +0 +0 ")
            with open(f"/proc/{one.pid}/cmdline", "rb") as file:
                self.assertEqual(file.read(), program.encode() + b"\0")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(), -signal.SIGTERM)
        process.net.wait(LIMIT_S)  # in the midst of a transfer: whom would it serve?

    @unittest.skipIf(INSTRUMENTED, "a sanitizer looks into it")
    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_is_not_dumpable(self):
        """The files in /proc of a process that is not dumpable are root's, whoever runs it."""
        server = self.silent()
        with tempfile.TemporaryDirectory() as folder:
            process, talk = start({"job": "fetch", "url": server.base + "/f", "output": 4}, [memfd(b"")], user=65534,
                                  program=public_copy(folder))
            self.addCleanup(end, process, talk)
            self.assertTrue(until(lambda: server.requests))
            for one in (process, process.net):
                self.assertEqual(os.stat(f"/proc/{one.pid}/maps").st_uid, 0)

    def test_that_its_net_worker_dies_is_an_error(self):
        server = self.silent()
        process, talk = start({"job": "fetch", "url": server.base + "/f", "output": 4}, [memfd(b"")])
        self.addCleanup(end, process, talk)
        self.assertTrue(until(lambda: server.requests))
        process.net.kill()
        error = json.loads(talk.makefile("rb").readlines()[-1])["error"]
        self.assertEqual((error["name"], error["errnum"]), ("internal", errno.EPIPE), error)
        self.assertEqual(process.wait(), 0)


class Kernels(unittest.TestCase):
    """A layer that the kernel does not have is left out, and the job is done. Of the list of calls that is never true."""

    def layers(self):
        return call({"job": "layers"}).result

    @unittest.skipIf(INSTRUMENTED, "such a build has no sandbox")
    def test_what_this_one_has(self):
        layers = self.layers()
        self.assertEqual((layers["landlock"], layers["filter"]), (worker.landlock_abi(), True))
        self.assertNotEqual(layers["user"], 0)

    @unittest.skipUnless(os.geteuid() == 0 and not INSTRUMENTED, "needs root to make such a kernel")
    def test_one_without_landlock(self):
        worker.KERNEL.append("old")
        self.addCleanup(worker.KERNEL.clear)
        layers = self.layers()
        self.assertEqual((layers["landlock"], layers["filter"], layers["own_mounts"]), (0, True, True))
        with Server() as first, Server() as second:
            second.files["/f"] = DATA
            first.faults["/f"] = always(fault.redirect(second.base + "/f"))
            outcome = worker.fetch(first.base + "/f", DATA, ports=[])  # no port can be refused
        self.assertTrue(outcome.content == DATA, outcome)


    @unittest.skipUnless(os.geteuid() == 0 and not INSTRUMENTED, "needs root to make such a kernel")
    def test_the_mounts_of_one_without_landlock(self):
        """What everybody may read or write, but no worker: tried by tests/fake/trial.c in its place."""
        worker.KERNEL.append("old")
        self.addCleanup(worker.KERNEL.clear)
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            os.chmod(folder, 0o777)
            with open(os.path.join(folder, "file"), "w") as file:
                file.write("secret")
            done = {}
            for trial in ("read_library", "read_users_file", "create", "home", "passwd"):
                process, talk = start_one([], program=os.path.join(os.path.dirname(CONFINED), "net-trial"), online=True)
                send(talk, {"job": "probe", "servers": [], "trial": trial, "folder": folder})
                done[trial] = json.loads(talk.makefile("rb").read())["error"]["message"].startswith("done 1")
                end(process, talk)
        self.assertEqual([trial for trial in done if done[trial]], ["read_library"])


class Units(unittest.TestCase):
    CALLS = {"x86_64": (126, 160, 302, 444)}  # capset, setrlimit, prlimit64, landlock_create_ruleset

    @unittest.skipIf(INSTRUMENTED, "a sanitizer needs these calls")
    @unittest.skipUnless(os.geteuid() == 0 and os.uname().machine in CALLS, "needs root to become a plain user")
    def test_the_monitors_which_forbids_limits(self):
        """SystemCallFilter=~@privileged @resources: doctor's worker starts all the same."""
        libc = ctypes.CDLL(None)
        libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
        lines = [(0x20, 0, 0, 0)]  # the number of the call; each of these: EPERM
        for number in self.CALLS[os.uname().machine]:
            lines += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050001)]
        lines.append((0x06, 0, 0, 0x7FFF0000))
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(code)))

        def enter():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            libc.prctl(38, 1, None, 0, 0)
            if libc.prctl(22, 2, ctypes.addressof(program), 0, 0):
                os._exit(77)

        agent = os.path.join(os.path.dirname(PROGRAM), "vgpu-guest-agent")
        done = subprocess.run([agent, "--json", "doctor"], preexec_fn=enter, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              cwd="/", check=False)
        check = next(each for each in json.loads(done.stdout)["checks"] if each["name"] == "worker")
        self.assertIn("your own user, no capabilities", check["detail"])


class Copy(unittest.TestCase):
    def copy(self, content=DATA, **request):
        source, target = memfd(content), memfd(b"older and longer" * 300_000)
        self.addCleanup(os.close, source)
        self.addCleanup(os.close, target)
        outcome = call({"job": "copy", "input": 4, "output": 5, **request}, [source, target])
        outcome.content = os.pread(target, 1 << 23, 0)
        return outcome

    def test_copies_and_hashes(self):
        outcome = self.copy(size=len(DATA), sha256=SHA256)
        self.assertEqual((outcome.result["sha256"], outcome.result["size"]), (SHA256, len(DATA)))
        self.assertTrue(outcome.content == DATA)
        self.assertEqual(outcome.progress[-1], {"done": len(DATA), "total": len(DATA)})

    def test_hashes_only(self):
        source = memfd(DATA)
        self.addCleanup(os.close, source)
        self.assertEqual(call({"job": "copy", "input": 4}, [source]).result["sha256"], SHA256)

    def test_empty(self):
        outcome = self.copy(b"")
        self.assertEqual((outcome.result["size"], outcome.content), (0, b""))

    def test_wrong_bytes_are_not_left(self):
        for wrong in ({"sha256": "0" * 64}, {"size": len(DATA) + 1}, {"size": 1}):
            with self.subTest(wrong):
                outcome = self.copy(**wrong)
                self.assertEqual(outcome.error["name"], "integrity", outcome)
                self.assertEqual(outcome.content, b"")

    def test_input_that_is_none(self):
        outcome = call({"job": "copy", "input": 77})
        self.assertEqual(outcome.error["name"], "internal", outcome)


if __name__ == "__main__":
    unittest.main()
