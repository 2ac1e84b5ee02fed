# SPDX-License-Identifier: Apache-2.0
"""Speaks with the real workers as the agent does: a socket on descriptor 3, files from 4 on (agent/worker/job/job.h)."""

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
TRACE = os.environ.get("VGPU_TRACE")  # a folder: what each confined worker calls, for test_calls.py
LIMIT_S = 40  # a worker that takes longer hangs


def landlock_abi():
    """What this kernel has, as landlock_create_ruleset(2) says; 0: nothing."""
    return max(0, ctypes.CDLL(None).syscall(444, None, 0, 1))


INSTRUMENTED = any("SAN_OPTIONS" in name or name == "GCOV_ERROR_FILE" for name in os.environ)  # such a build has no sandbox
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


FILES = ("ca", "cert", "key", "netrc", "header")
NETS_KEYS = ("http", "url", "repository", "service", "ports", "link_local")


def spawn(online, fds, environment, user, program):
    """One program, with `fds` as 3, 4, ... (None: none has that number). As root it is confined as the agent does it; `user`: only
    another user."""
    command = [program]
    if os.geteuid() == 0 and not user:
        command = [CONFINED, "online" if online else "offline", str(len(fds)), program, *KERNEL]
        if TRACE:
            command = ["strace", "-f", "-qq", "-o", tempfile.mktemp(dir=TRACE), *command]

    def place():
        high = [fd if fd is None else os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
        for i, fd in enumerate(high):
            if fd is not None:
                os.dup2(fd, 3 + i)
        os.closerange(100, 200)
        if user:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)

    return subprocess.Popen(
        command, preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env={"LC_ALL": "C", **{k: v for k, v in os.environ.items() if "SAN_OPTIONS" in k}, **environment},
    )


def start_one(fds, environment=None, user=None, program=PROGRAM, online=False):
    """A program and our end of the talk with it; it was not asked yet."""
    ours, theirs = socket.socketpair()
    process = spawn(online, [theirs.fileno(), *fds], environment or {}, user, program)
    theirs.close()
    process.net = None
    return process, ours


def send(talk, request):
    talk.sendall(json.dumps(request).encode() + b"\n")


def start(request, fds=(), environment=None, user=None, program=PROGRAM):
    """The worker that answers `request`, as agent/base/channel_parts.c starts it; its `net` is the net worker beside it. They may
    connect to every server of this test; request["ports"] says others."""
    request = {"ports": sorted(PORTS), **request}
    net_program = os.path.join(os.path.dirname(program), "net-worker")
    if "servers" in request:
        process, talk = start_one(fds, environment, user, net_program, online=True)
        send(talk, request)
        return process, talk
    if not {"url", "repository", "service"} & set(request):
        process, talk = start_one(fds, environment, user, program)
        send(talk, request)
        return process, talk

    (questions, ask), (hear, answers) = os.pipe(), os.pipe()
    number = 4 + len(fds)
    secrets = [request.get("http", {}).get(name) for name in FILES]
    mine = [None if 4 + i in secrets else fd for i, fd in enumerate(fds)]
    nets = [fd if 4 + i in secrets else None for i, fd in enumerate(fds)]
    net, told = start_one([*nets, questions, answers], environment, user, net_program, online=True)
    process, talk = start_one([*mine, ask, hear], environment, user, program)
    for fd in (questions, ask, hear, answers):
        os.close(fd)
    pipes = {"questions": number, "answers": number + 1}
    send(told, {"job": "serve", **{key: request[key] for key in NETS_KEYS if key in request}, **pipes})
    send(talk, {**{key: value for key, value in request.items() if key != "http"}, **pipes})
    process.net, process.told = net, told
    return process, talk


def end(process, talk):
    """Kills what still runs."""
    talk.close()
    process.kill()
    process.wait()
    if process.net:
        process.net.kill()
        process.net.wait()
        process.told.close()


def call(request, fds=(), environment=None, user=None, program=PROGRAM):
    process, talk = start(request, fds, environment, user, program)
    timer = threading.Timer(LIMIT_S, process.kill)
    timer.start()
    try:
        lines = [json.loads(line) for line in talk.makefile("rb")]
        outcome = Outcome(lines, process.wait())
        if process.net:
            process.net.wait(LIMIT_S)  # it ends when nobody can ask any more
        return outcome
    finally:
        timer.cancel()
        end(process, talk)


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
    """The workers where every user can start them."""
    os.chmod(folder, 0o755)
    for name in ("net-worker", "fetch-worker"):
        path = os.path.join(folder, name)
        shutil.copy(os.path.join(os.path.dirname(PROGRAM), name), path)
        os.chmod(path, 0o755)
    return path
