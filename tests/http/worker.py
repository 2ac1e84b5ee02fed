# SPDX-License-Identifier: Apache-2.0
"""Speaks with the real worker as the agent does: a socket on descriptor 3, files from 4 on (agent/worker/job/job.h)."""

import ctypes
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading

from server import PORTS

PROGRAM = os.path.join(os.environ["VGPU_BUILD"], "agent", "fetch-worker")
CONFINED = os.path.join(os.environ["VGPU_BUILD"], "tests", "confined")
KERNEL = []  # ["old"]: one without Landlock; only as root
ONLINE = ("list", "fetch", "member", "metadata", "probe")
LIMIT_S = 40  # a worker that takes longer hangs


def landlock_abi():
    """What this kernel has, as landlock_create_ruleset(2) says; 0: nothing."""
    return max(0, ctypes.CDLL(None).syscall(444, None, 0, 1))


INSTRUMENTED = any("SAN_OPTIONS" in name for name in os.environ)  # such a build has no sandbox
HOLDS_PORTS = landlock_abi() >= 4 and not INSTRUMENTED


class Outcome:
    def __init__(self, lines, code):
        self.code = code
        self.progress = [line["progress"] for line in lines if "progress" in line]
        self.result = next((line["result"] for line in lines if "result" in line), None)
        self.error = next((line["error"] for line in lines if "error" in line), None)
        self.content = None

    def __repr__(self):
        return f"<exit {self.code}, {self.result or self.error}>"


def memfd(content):
    """As the agent hands over a file: the offset stands at the end."""
    fd = os.memfd_create("test")
    os.write(fd, content)
    return fd


def start(fds, environment, user=None, program=PROGRAM, online=True):
    """As root the worker is confined as the agent does it; `user`: only another user."""
    ours, theirs = socket.socketpair()
    command = [program]
    if os.geteuid() == 0 and not user:
        command = [CONFINED, "online" if online else "offline", str(len(fds) + 1), program, *KERNEL]

    def place():
        high = [os.dup2(fd, 100 + i) for i, fd in enumerate([theirs.fileno(), *fds])]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
        if user:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)

    process = subprocess.Popen(
        command, preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env={"LC_ALL": "C", **{k: v for k, v in os.environ.items() if "SAN_OPTIONS" in k}, **environment},
    )
    theirs.close()
    return process, ours


def call(request, fds=(), environment=None, user=None, program=PROGRAM):
    """One worker. It may connect to every server of this test; request["ports"] says others."""
    process, talk = start(fds, environment or {}, user, program, request.get("job") in ONLINE)
    request = {"ports": sorted(PORTS), **request}
    timer = threading.Timer(LIMIT_S, process.kill)
    timer.start()
    try:
        talk.sendall(json.dumps(request).encode() + b"\n")
        lines = [json.loads(line) for line in talk.makefile("rb")]
        return Outcome(lines, process.wait())
    finally:
        timer.cancel()
        talk.close()


FILES = ("ca", "cert", "key", "netrc", "header")


def fetch(url, data=None, held=b"", environment=None, user=None, program=PROGRAM, **options):
    """Fetches `url`. `data` says what is promised (its size and SHA-256; `size` and `sha256` override), `held` is the
    partial file, which lies in `folder`. The other options are those of "http", the files among them as bytes."""
    request = {"job": "fetch", "url": url, "output": 4, "max_size": options.pop("max_size", 1 << 30)}
    if data is not None:
        request.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    for name in ("size", "sha256", "ports"):
        if name in options:
            request[name] = options.pop(name)
    folder = options.pop("folder", None)
    settings = {"proxy": "", "retries": 3, "retry_base_ms": 1, "connect_timeout": 5, "stall_timeout": 20}
    settings.update(options)

    with tempfile.TemporaryFile(dir=folder) as output:
        output.write(held)
        output.flush()
        fds = [output.fileno()]
        for name in FILES:
            if name in settings:
                fds.append(memfd(settings[name]))
                settings[name] = 3 + len(fds)
        request["http"] = settings
        outcome = call(request, fds, environment, user, program)
        for fd in fds[1:]:
            os.close(fd)
        output.seek(0)
        outcome.content = output.read()
    return outcome


def public_copy(folder):
    """The worker where every user can start it."""
    path = os.path.join(folder, "fetch-worker")
    os.chmod(folder, 0o755)
    shutil.copy(PROGRAM, path)
    os.chmod(path, 0o755)
    return path
