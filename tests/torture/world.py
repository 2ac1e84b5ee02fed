# SPDX-License-Identifier: Apache-2.0
"""Worlds that last for one point: an overlay of / and of prepared layers, whose changes stay in memory, with processes, network,
/dev, /run and /tmp of its own. Commands run there one after another, each under the tracer if wanted, and what differs from the
layers afterwards is told, path by path."""

import ctypes
import hashlib
import json
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import time

NEWNS, NEWIPC, NEWPID, NEWNET = 0x20000, 0x8000000, 0x20000000, 0x40000000
TRACER, PRELOAD = "/torture/tracer", "/torture/alloc.so"
ALLOC = "/torture/alloc"
LIMIT_S = 60
STATE = "/var/lib/vgpu-guest-agent/state.json"
COPY = "/var/lib/vgpu-guest-agent/backup/state.json"
# Names or bytes that differ between two good runs, or that anybody may delete at any time.
PASSING = ("/torture", "/var/log/vgpu-guest-agent/", "/var/log/nvidia-", "/etc/ld.so.cache", "/var/cache/ldconfig", "/run/lock", "/run/vgpu-guest-agent.lock",
           "/var/cache/vgpu-guest-agent/.lock", "/var/lib/vgpu-guest-agent/backup/driver/installed",
           "/var/log/apt/", "/var/log/dpkg.log", "/var/cache/apt/", "/var/lib/apt/", "/var/lib/dpkg/lock", "/var/lib/dpkg/status-",
           "/var/lib/dpkg/triggers/Lock", "/var/lib/dpkg/updates/")
# Of nvidia-installer, which goes on past a line that it could not write: whether that matters is seen when it is undone.
RECORD = "/var/lib/nvidia/log"
# Of dpkg, which leaves what it did in a journal until its next start: what counts is what it answers.
PACKAGES = "/var/lib/dpkg/status"
APART = ("/run", "/tmp", "/var/tmp")  # file systems of their own
libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags):
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def mount(kind, source, target, options="", flags=0):
    if libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, options.encode()):
        error = ctypes.get_errno()
        raise OSError(error, f"mount {target}: {os.strerror(error)}: {options[:300]}")


def pivot(root):
    os.chdir(root)
    os.makedirs("old", exist_ok=True)
    if libc.syscall(155, b".", b"old"):
        raise OSError(ctypes.get_errno(), "pivot_root")
    os.chdir("/")
    if libc.umount2(b"/old", 2):
        raise OSError(ctypes.get_errno(), "umount")
    os.rmdir("/old")


def filtered_state(data):
    """The state without what a run that was cut off cannot know: when, how long, and which run it was."""
    try:
        state = json.loads(data)
    except ValueError:
        return "damaged"
    kept = {key: state.get(key) for key in ("driver", "installing", "installing_failed", "index", "lost") if state.get(key)}
    return json.dumps(kept, sort_keys=True) if kept else None


def value_of(top, path):
    """What is at a path, as far as two good runs agree about it; None: nothing."""
    try:
        at = os.lstat(top + path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    kind = stat.S_IFMT(at.st_mode)
    if kind == stat.S_IFDIR:
        return f"folder {at.st_mode:o} {at.st_uid}"
    if kind == stat.S_IFLNK:
        return "link " + os.readlink(top + path)
    if kind != stat.S_IFREG:
        return f"special {at.st_mode:o}"
    with open(top + path, "rb") as file:
        data = file.read()
    if path.endswith(RECORD):
        return f"record {at.st_mode:o} {at.st_uid}"
    if path.endswith((STATE, COPY)):
        return filtered_state(data)
    if path.endswith("/run/vgpu-guest-agent/status.json"):  # the time is in it; torn it must never be
        return f"status {at.st_mode:o} {filtered_state(data) != 'damaged'}"
    what = hashlib.sha1(data).hexdigest()
    return f"file {at.st_mode:o} {at.st_uid} {what}"


def packages(top):
    return subprocess.run(["dpkg-query", f"--admindir={top}/var/lib/dpkg", "--show", "--showformat=${Package} ${Version} ${Status}\n"],
                          check=True, stdout=subprocess.PIPE).stdout.decode()


def names_below(top, path=""):
    for entry in os.scandir(top + path or "/"):
        name = f"{path}/{entry.name}"
        yield name
        if entry.is_dir(follow_symlinks=False):
            yield from names_below(top, name)


def is_opaque(path):
    try:
        return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


def touched(upper, before):
    """Every path that the upper layer may have changed."""
    for name in names_below(upper):
        yield name
        if is_opaque(upper + name) and os.path.isdir(before + name):
            yield from (path for path in names_below(before, name))


class Inside:
    """Process 1 of a world."""

    def __init__(self, task):
        self.task = task

    def enter(self):
        task = self.task
        mount(None, "none", "/", flags=0x44000)  # private, recursive
        base = "/mnt"
        mount("tmpfs", "world", base, "size=2g,mode=0755")
        upper, work = task.get("upper") or base + "/upper", (task.get("upper") or base + "/") + "work"
        for name in (upper, work, base + "/root", base + "/before"):
            os.makedirs(name, exist_ok=True)
        lower = ":".join([*reversed(task["layers"]), "/"])
        empty = base + "/empty"
        os.mkdir(empty)
        mount("overlay", "before", base + "/before", f"lowerdir={empty}:{lower}")
        mount("overlay", "world", base + "/root", f"lowerdir={empty}:{lower},upperdir={upper},workdir={work}")
        root = base + "/root"
        for name in ("dev", "sys", "run", "tmp", "var/tmp", "root", "home", "opt"):  # the last three: what `seal` would search
            mount("tmpfs", name, f"{root}/{name}", "mode=1777" if "tmp" in name else "mode=0755")
        for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
            os.mknod(f"{root}/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(1, minor))
            os.chmod(f"{root}/dev/{name}", 0o666)
        os.symlink("/proc/self/fd", f"{root}/dev/fd")
        os.mkdir(f"{root}/dev/pts")
        mount("devpts", "pts", f"{root}/dev/pts", "newinstance,ptmxmode=0666,mode=0620")
        os.symlink("pts/ptmx", f"{root}/dev/ptmx")
        os.makedirs(f"{root}/run/lock")
        os.makedirs(f"{root}/sys/bus/pci/devices")
        os.makedirs(f"{root}/torture", exist_ok=True)
        self.upper = f"/proc/self/fd/{os.open(upper, os.O_RDONLY | os.O_DIRECTORY)}"
        self.before = f"/proc/1/fd/{os.open(base + '/before', os.O_RDONLY | os.O_DIRECTORY)}"
        mount("proc", "proc", f"{root}/proc")
        pivot(root)
        subprocess.run(["/sbin/ip", "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)
        if task.get("root"):  # the same system once more, below a folder
            for name in os.listdir("/"):
                target = task["root"] + "/" + name
                if os.path.islink("/" + name):
                    os.symlink(os.readlink("/" + name), target)
                elif name in ("etc", "lib", "lib64", "bin", "sbin", "usr", "var", "run", "tmp", "dev", "opt", "torture"):
                    os.makedirs(target)
                    mount(None, "/" + name, target, flags=0x5000)

    def is_passing(self, name):
        return name.startswith(PASSING) or any(re.match(each, name) for each in self.task["litter"])

    def snapshot(self):
        found = {}
        for name in {*touched(self.upper, self.before)}:
            if self.is_passing(name) or any(name == top or name.startswith(top + "/") for top in (*APART, "/dev", "/proc", "/sys",
                                                                                                   self.task.get("root") or "/dev")):
                continue
            now = value_of("", name)
            if now != value_of(self.before, name):
                found[name] = now
        for top in APART:
            for name in names_below("", top):
                if not self.is_passing(name):
                    found[name] = value_of("", name)
        if found.pop(PACKAGES, None):
            before, now = packages(self.before), packages("")
            if before != now:
                found[PACKAGES] = now
        return {path: what for path, what in found.items() if path not in (STATE, COPY) or what}

    def others(self):
        """Living processes besides this one."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or name == "1":
                continue
            try:
                with open(f"/proc/{name}/stat") as file:
                    state = file.read().rpartition(")")[2].split()[0]
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if state not in "ZX":
                found.append(words)
        return found

    @staticmethod
    def tell(program, number):
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and name != "1" and os.path.basename(os.readlink(f"/proc/{name}/exe")) == program:
                    os.kill(int(name), number)
            except OSError:
                pass

    def reap(self):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def run(self, phase):
        command = phase["command"]
        report = "/torture/report"
        if "tracer" in phase:
            command = [TRACER, *phase["tracer"], "--report", report, "--", *command]
        if "alloc" in phase:
            with open(ALLOC, "wb") as file:
                file.write(struct.pack("QQ", phase["alloc"], 0))
            os.chmod(ALLOC, 0o666)  # the worker is another user
            with open("/etc/ld.so.preload", "w") as file:
                file.write(PRELOAD + "\n")
        # A file, not a pipe: who outlives the command would hold its other end.
        with open("/torture/output", "w+b") as file:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, cwd="/",
                                       env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
                                       start_new_session=True)
            if phase.get("term_s"):  # what never ends by itself
                time.sleep(phase["term_s"])
                self.tell("vgpu-guest-agent", signal.SIGTERM)
            try:
                process.wait(phase.get("limit_s", LIMIT_S))
            except subprocess.TimeoutExpired:
                os.kill(-1, signal.SIGKILL)
                process.wait()
            file.seek(0)
            output = file.read()
        status = process.returncode
        result = {"status": status if status >= 0 else 128 - status, "output": output.decode(errors="replace")[-3000:]}
        if "alloc" in phase:
            os.unlink("/etc/ld.so.preload")
            with open(ALLOC, "rb") as file:
                result["allocations"] = struct.unpack("QQ", file.read())[1]
        if "tracer" in phase:
            try:
                with open(report) as file:
                    result["report"] = json.load(file)
            except (OSError, ValueError):
                result["report"] = None
            if "--log" in phase["tracer"]:
                with open(phase["tracer"][phase["tracer"].index("--log") + 1]) as file:
                    result["log"] = file.read()
        end = time.monotonic() + 10
        while self.others() and time.monotonic() < end:
            time.sleep(0.02)
        self.reap()
        result["left"] = self.others()
        if result["left"]:
            os.kill(-1, signal.SIGKILL)
        if phase.get("snapshot", True):
            result["tree"] = self.snapshot()
        return result

    def work(self):
        self.enter()
        server = None
        if self.task.get("serve"):
            import server as http  # of tests/http
            server = http.Server(port=8080).__enter__()
            for name, path in self.task["serve"].items():
                with open(path, "rb") as file:
                    server.files[name] = file.read()
        results = [self.run(phase) for phase in self.task["phases"]]
        return results


def run(task):
    """The results of the task's phases, in a world of its own."""
    out, into = os.pipe()
    outer = os.fork()
    if outer == 0:
        os.close(out)
        os.setpgid(0, 0)
        try:
            unshare(NEWNS | NEWIPC | NEWPID | NEWNET)
            inner = os.fork()
            if inner == 0:
                libc.prctl(1, signal.SIGKILL)
                try:
                    answer = json.dumps(Inside(task).work())
                except BaseException as error:  # whatever it is, the point must not pass
                    import traceback
                    answer = json.dumps({"broken": f"{error!r}\n{traceback.format_exc()[-1500:]}"})
                with os.fdopen(into, "w") as file:
                    file.write(answer)
                os._exit(0)
            os.waitpid(inner, 0)
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out) as file:
        text = file.read()
    os.waitpid(outer, 0)
    results = json.loads(text or '{"broken": "process 1 died"}')
    if isinstance(results, dict):
        raise RuntimeError(results["broken"])
    return results
