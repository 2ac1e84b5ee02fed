#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What needs root to be arranged, in a network and with mounts of its own. A name that leads to this machine is as bad as
the address: the peer's address counts. And a file system without room."""

import errno
import glob
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import server as fault
from authority import Authority
from server import Server
from worker import fetch

DATA = os.urandom(100_000)
INSIDE = "VGPU_TEST_INSIDE"
OUTSIDE_ADDRESS = "192.0.2.10"
HOSTS = f"127.0.0.1 trap.example\n169.254.169.254 link.example\n{OUTSIDE_ADDRESS} pulp.example cdn.example\n"


class Names(unittest.TestCase):
    def setUp(self):
        self.far, self.near = Server(address=OUTSIDE_ADDRESS), Server()
        for server in (self.far, self.near):
            server.__enter__()
            self.addCleanup(server.__exit__)
            server.files["/f.run"] = DATA

    def fetch(self, target):
        self.far.faults["/start"] = [fault.redirect(target)]
        return fetch(f"http://pulp.example:{self.far.port}/start", DATA)

    def test_name_of_a_loopback_address(self):
        outcome = self.fetch(f"http://trap.example:{self.near.port}/f.run")
        self.assertIn("a redirect to a loopback or link-local address", str(outcome.error))
        self.assertEqual(self.near.requests, [])

    def test_name_of_a_link_local_address(self):
        outcome = self.fetch("http://link.example/f.run")
        self.assertIn("a redirect to a loopback or link-local address", str(outcome.error))

    def test_name_of_another_address(self):
        outcome = self.fetch(f"http://cdn.example:{self.far.port}/f.run")
        self.assertTrue(outcome.content == DATA, outcome)

    def test_from_a_name_of_this_machine_back_to_it(self):
        self.near.faults["/start"] = [fault.redirect("/f.run")]
        outcome = fetch(f"http://trap.example:{self.near.port}/start", DATA)
        self.assertTrue(outcome.content == DATA, outcome)


class Room(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, self.folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", self.folder], check=True)
        self.addCleanup(subprocess.run, ["umount", self.folder], check=True)
        self.server = Server()
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.server.files["/f.run"] = os.urandom(2_000_000)

    def full(self, outcome):
        self.assertIsNotNone(outcome.error, outcome)
        self.assertEqual((outcome.error["name"], outcome.error["errnum"]), ("prerequisites", errno.ENOSPC))
        self.assertNotIn("tries", outcome.error["message"])

    def test_full_disk_is_known_before_the_first_byte(self):
        self.full(fetch(self.server.base + "/f.run", self.server.files["/f.run"], folder=self.folder))
        self.assertEqual(self.server.requests, [])

    def test_full_disk_ends_a_file_of_unknown_size(self):
        self.full(fetch(self.server.base + "/f.run", folder=self.folder))
        self.assertEqual(len(self.server.requests), 1)


class SystemTrust(unittest.TestCase):
    """A private authority replaces those of the system: also the ones in a folder, which libcurl would ask besides."""

    FOLDER = "/etc/ssl/certs"

    @unittest.skipUnless(os.path.isdir(FOLDER), "the system keeps its authorities elsewhere")
    def test_ca_file_is_the_only_authority(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        system = Authority(os.path.join(work.name, "system"), "System Authority")
        private = Authority(os.path.join(work.name, "private"), "Private Authority")
        system.issue("server")
        name = subprocess.run(["openssl", "x509", "-noout", "-subject_hash", "-in", system.path("ca.pem")],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.FOLDER], check=True)
        self.addCleanup(subprocess.run, ["umount", self.FOLDER], check=True)
        for file in (f"{name}.0", "ca-certificates.crt"):
            with open(os.path.join(self.FOLDER, file), "wb") as there:
                there.write(system.bytes())
        server = Server(system.server())
        server.__enter__()
        self.addCleanup(server.__exit__)
        server.files["/f.run"] = DATA

        self.assertTrue(fetch(server.base + "/f.run", DATA).content == DATA)
        outcome = fetch(server.base + "/f.run", DATA, ca=private.bytes())
        self.assertIn("http.ca_file", str(outcome.error))


class Resolved(threading.Thread):
    """systemd-resolved's varlink socket, as far as libnss_resolve asks it."""

    def __init__(self, path, names):
        super().__init__(daemon=True)
        self.names, self.asked = names, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen()
        self.start()

    def run(self):
        while True:
            talk, _ = self.listener.accept()
            request = json.loads(talk.recv(65536).rstrip(b"\0"))["parameters"]
            self.asked.append(request["name"])
            address = [int(part) for part in self.names[request["name"]].split(".")]
            answer = {"addresses": [{"ifindex": 1, "family": 2, "address": address}], "name": request["name"], "flags": 1}
            talk.sendall(json.dumps({"parameters": answer}).encode() + b"\0")
            talk.close()


def library(name):
    return glob.glob(f"/usr/lib/*/{name}") + glob.glob(f"/usr/lib64/{name}")


class NameServices(unittest.TestCase):
    """The worker has lost nearly all, but a name service that is a library of its own still answers."""

    @unittest.skipUnless(library("libnss_resolve.so.2"), "libnss-resolve is not installed")
    def test_resolved(self):
        folder = "/run/systemd/resolve"
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", folder], check=True)
        resolved = Resolved(folder + "/io.systemd.Resolve", {"only-resolved.example": OUTSIDE_ADDRESS})
        with tempfile.NamedTemporaryFile("w") as switch, Server(address=OUTSIDE_ADDRESS) as server:
            switch.write("hosts: resolve [!UNAVAIL=return] files\n")
            switch.flush()
            os.chmod(switch.name, 0o644)
            subprocess.run(["mount", "--bind", switch.name, "/etc/nsswitch.conf"], check=True)
            self.addCleanup(subprocess.run, ["umount", "/etc/nsswitch.conf"], check=True)
            server.files["/f.run"] = DATA
            outcome = fetch(f"http://only-resolved.example:{server.port}/f.run", DATA)
        self.assertTrue(outcome.content == DATA, outcome)
        self.assertIn("only-resolved.example", resolved.asked)


def enter():
    """This program again, with a loopback and a hosts file that nobody else sees; 77 where that is not allowed."""
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write(HOSTS)
        hosts.flush()
        os.chmod(hosts.name, 0o644)  # the worker is another user
        script = (
            "mount --make-rprivate / && mount --bind \"$1\" /etc/hosts && ip link set lo up && "
            f"ip address add {OUTSIDE_ADDRESS}/32 dev lo && ip address add 169.254.169.254/32 dev lo || exit 77\n"
            f"exec env {INSIDE}=1 \"$2\" -B \"$3\""
        )
        unshared = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", hosts.name, sys.executable, __file__]
        if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "--mount", "true"], check=False).returncode:
            return 77
        return subprocess.run(unshared, check=False).returncode


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        unittest.main()
    sys.exit(enter())
