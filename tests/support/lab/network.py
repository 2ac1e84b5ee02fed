# SPDX-License-Identifier: Apache-2.0
"""A network namespace of its own for each guest: nothing in it but a loopback that carries the servers' addresses."""
import ctypes
import os
import subprocess

from .base import ENVIRONMENT, LabError, output

METADATA = "169.254.169.254"
REPOSITORY = "192.0.2.10"  # TEST-NET-1: no such host anywhere
REPOSITORY_NAME = "pulp.example"
LICENSE_NAME = "license.example"  # for tokens: its port 443 answers, nobody behind it licenses anything
GATEWAY_PORT = 3128

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def path(name):
    return f"/run/netns/{name}"


def create(name):
    if not os.path.exists(path(name)):
        output("ip", "netns", "add", name)
    output("ip", "-n", name, "link", "set", "lo", "up")
    for address in (METADATA, REPOSITORY):
        output("ip", "-n", name, "address", "replace", f"{address}/32", "dev", "lo")


def remove(name):
    if os.path.exists(path(name)):
        subprocess.run(["ip", "netns", "delete", name], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                       capture_output=True, check=False)


class inside:
    """with inside(name): this thread's new sockets and children belong to the namespace."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(path(self.name), os.O_RDONLY | os.O_CLOEXEC)
        enter(there)
        os.close(there)

    def __exit__(self, *_):
        enter(self.home)
        os.close(self.home)


def enter(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise LabError(f"entering a network namespace: {os.strerror(ctypes.get_errno())}")
