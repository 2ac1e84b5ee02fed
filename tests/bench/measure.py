# SPDX-License-Identifier: Apache-2.0
"""What a command costs: wall time, CPU of its whole process tree, memory, bytes from the server; and the machine it ran on."""
import glob
import os
import platform
import re
import subprocess
import tempfile
import time


class Failed(Exception):
    """A command that is measured must succeed; the text has what it said."""


class Sample(dict):
    """The sum of what several commands took, one after the other: wall and CPU in seconds."""

    def __add__(self, other):
        return Sample({key: self.get(key, 0) + other.get(key, 0) for key in {*self, *other}})


def run(argv, cwd=None, environment=None):
    """Runs a command. CPU is that of every process it waited for, which is the tree."""
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        child = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if child.returncode:
        raise Failed(f"{' '.join(argv)} ended with {child.returncode}:\n{text[-3000:].decode(errors='replace')}")
    return Sample(wall=wall, cpu=usage.ru_utime + usage.ru_stime), text


def is_ballooned():
    """Whether the hypervisor may take free memory away: then who writes first pays for getting it back."""
    return bool(glob.glob("/sys/bus/virtio/drivers/virtio_balloon/virtio*"))


def tree(pid):
    """The process and all below it."""
    found = [pid]
    for parent in found:
        try:
            with open(f"/proc/{parent}/task/{parent}/children") as file:
                found += [int(child) for child in file.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def memory(argv, cwd=None, environment=None):
    """The most that the processes of a command had resident at the same time, in MB: the sum of each one's own peak."""
    peaks, most = {}, 0
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        while child.poll() is None:
            alive = {}
            for pid in tree(child.pid):
                try:
                    with open(f"/proc/{pid}/status") as file:
                        peak = re.search(r"^VmHWM:\s+(\d+)", file.read(), re.M)
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if peak:
                    alive[pid] = int(peak.group(1))
            peaks.update(alive)
            most = max(most, sum(peaks[pid] for pid in alive))
            time.sleep(0.005)
        said.seek(0)
        if child.returncode:
            raise Failed(said.read()[-3000:].decode(errors="replace"))
    return most * 1024 / 1e6


def machine():
    """One line that says on what the figures were measured."""
    with open("/proc/cpuinfo") as file:
        text = file.read()
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    has = "with" if re.search(r"^flags\s*:.*\bsha_ni\b", text, re.M) else "without"
    return f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} cores, {has} SHA instructions, Linux {platform.release()}"
