#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""seal: where copies of a token are found, and what is left of a guest that is sealed."""

import base64
import glob
import gzip
import os
import socket
import subprocess
import unittest

import parts
from program import Case, main, read, remove, write

PLACE = "/etc/nvidia/ClientConfigToken/client_configuration_token.tok"
SITE = "/etc/nvidia/vgpu-tokens"
GRIDD_CONF = "/etc/nvidia/gridd.conf"
JOURNALD = "/usr/lib/systemd/systemd-journald"
DATED = "client_configuration_token_03-28-2023-16-16-36.tok"


def folded(data, width=76, indent=b""):
    return b"\n".join(indent + data[at:at + width] for at in range(0, len(data), width))


def user_data(token):
    """cloud-config with a token in base64, folded and indented, as people write it."""
    return b"#cloud-config\nwrite_files:\n- path: /etc/t\n  encoding: b64\n  content: |\n" + \
        folded(base64.b64encode(token), 64, b"    ") + b"\n"


# How a copy of a token lies in a file.
SPELLINGS = {
    "plain": lambda token: token,
    "among others": lambda token: b"x = 1\nt=" + token + b" # and more\n",
    "folded": folded,
    "base64": base64.b64encode,
    "base64, folded": lambda token: folded(base64.b64encode(token)),
    "in user-data": user_data,
    "in user-data of a MIME message": lambda token: b"Content-Transfer-Encoding: base64\n\n" + folded(base64.b64encode(user_data(token))),
    "gzip": gzip.compress,
    "gzip of user-data": lambda token: gzip.compress(b"a line before\n" * 9000 + user_data(token)),
}


class Image(Case):
    """Of an image that is mounted somewhere: what is searched is the same as on a running guest."""

    def setUp(self):
        super().setUp()
        parts.small_system(self.folder)
        self.token = parts.token()
        self.put(PLACE, self.token)

    def at(self, path):
        return self.folder + path

    def put(self, path, content):
        write(self.at(path), content)
        return path

    def take(self, path):
        remove(self.at(path))

    def sealed(self, status=0):
        return self.json("seal", "--root", self.folder, status=status)

    def refused(self):
        """Status 16, and nothing is removed. The places."""
        before = {name: read(self.at(name)) for name in (PLACE,) if os.path.exists(self.at(name))}
        value = self.sealed(16)
        self.assertEqual(value["error"]["step"], "seal")
        self.assertIn("seal again", value["error"]["hint"])
        self.assertEqual({name: read(self.at(name)) for name in before}, before)
        return sorted(value["places"])



class Seal(Image):
    def test_each_spelling_of_the_installed_token_is_found(self):
        for name, spell in SPELLINGS.items():
            with self.subTest(name):
                path = self.put("/root/copy", spell(self.token))
                self.assertEqual(self.refused(), [path])

    def test_each_spelling_of_an_unknown_token_is_found(self):
        self.take(PLACE)
        for name, spell in SPELLINGS.items():
            with self.subTest(name):
                path = self.put("/srv/copy", spell(parts.token("--expired")))
                self.assertEqual(self.refused(), [path])

    def test_a_file_that_nvidia_names_so_is_found_though_damaged(self):
        for path in (f"/root/{DATED}", f"/home/user1/Downloads/{DATED}", "/root/client_configuration_token.tok"):
            with self.subTest(path):
                self.put(path, "this was a token")
                self.assertEqual(self.refused(), [path])
                self.take(path)

    def test_the_folder_that_gridd_conf_names_is_the_tokens_folder(self):
        self.put(GRIDD_CONF, f"FeatureType=1\nClientConfigTokenPath={SITE}/\n")
        self.put(f"{SITE}/{DATED}", self.token)
        self.put(f"{SITE}/README", "of the site")
        self.sealed()
        self.assertEqual(os.listdir(self.at(SITE)), ["README"])
        self.assertFalse(os.path.exists(self.at(PLACE)))

    def test_a_token_in_a_folder_that_gridd_conf_names_no_more_is_found(self):
        path = self.put(f"{SITE}/{DATED}", self.token)
        self.assertEqual(self.refused(), [path])

    def test_what_is_mounted_from_elsewhere_is_not_the_images(self):
        os.makedirs(self.at("/srv/elsewhere"))
        subprocess.run(["mount", "-t", "tmpfs", "elsewhere", self.at("/srv/elsewhere")], check=True)
        try:
            self.put("/srv/elsewhere/copy", self.token)
            self.sealed()
        finally:
            subprocess.run(["umount", self.at("/srv/elsewhere")], check=True)

    def test_a_second_seal_is_no_weaker(self):
        path = self.put("/root/part", self.token[-300:])
        self.assertEqual(self.refused(), [path])
        self.take(PLACE)
        self.assertEqual(self.refused(), [path])
        self.take(path)
        self.sealed()
        self.put(path, self.token[-300:])
        self.assertEqual(self.sealed()["places"], [])
        self.assertFalse(os.path.exists(self.at("/var/lib/vgpu-guest-agent/seal.json")))

    def test_many_places_are_all_told(self):
        paths = [self.put(f"/srv/copies-{'x' * 80}/{number}", self.token) for number in range(9)]
        value = self.sealed(16)
        self.assertEqual(sorted(value["places"]), paths)
        self.assertIn(" and elsewhere", value["error"]["message"])

    def test_a_damaged_gzip_file_is_searched_as_far_as_it_goes_and_told(self):
        whole = gzip.compress(b"a line before\n" + user_data(self.token) + os.urandom(200000))
        path = self.put("/root/cut.gz", whole[:len(whole) // 2])
        self.assertEqual(self.refused(), [path])
        self.put(path, gzip.compress(os.urandom(200000))[:-9])
        self.assertIn(f"could not be searched to the end: {path}", self.text("seal", "--root", self.folder).err)

    def test_more_gzip_files_than_one_worker_takes(self):
        for number in range(70):
            self.put(f"/srv/{number}.gz", gzip.compress(self.token if number in (0, 31, 32, 69) else b"words"))
        self.assertEqual(self.refused(), sorted(f"/srv/{number}.gz" for number in (0, 31, 32, 69)))

    def test_other_texts_are_no_tokens(self):
        self.put("/root/words.gz", gzip.compress(b"keys.of.python.modules and eyJ... of a manual\n" * 1000))
        self.put("/root/config", 'client_token = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9..."\n')
        self.assertEqual(self.sealed()["places"], [])


@unittest.skipUnless(os.path.exists(JOURNALD), "no systemd-journald")
class Journal(Image):
    """With a journal that systemd-journald has written, and compressed."""

    STORE = "/var/log/journal"

    def logged(self, text):
        """The image gets a journal with this line; its path there."""
        remove(self.STORE)
        os.makedirs(self.STORE)
        write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        os.makedirs("/sys/fs/cgroup", exist_ok=True)
        if not os.listdir("/sys/fs/cgroup"):
            subprocess.run(["mount", "-t", "cgroup2", "cgroup", "/sys/fs/cgroup"], check=False)
        remove("/run/systemd/journal")
        daemon = subprocess.Popen([JOURNALD], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(lambda: (daemon.kill(), daemon.communicate()))
        socket_path = "/run/systemd/journal/socket"
        self.until(lambda: os.path.exists(socket_path) or daemon.poll() is not None, "the journal's socket", 20)
        if daemon.poll() is not None:
            self.skipTest("systemd-journald does not run here")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"MESSAGE=" + text + b"\n", socket_path)
        found = lambda: [path for place in ("/run/log/journal", self.STORE) for path in glob.glob(place + "/*/system.journal")
                         if text in subprocess.run(["journalctl", "--file", path, "-o", "cat", "--all"], stdout=subprocess.PIPE,
                                                   stderr=subprocess.DEVNULL).stdout]
        self.until(found, "the line in the journal", 20)
        source = found()[0]
        daemon.terminate()
        daemon.communicate(timeout=20)
        return self.put("/var/log/journal/0123/system.journal", read(source))

    def test_a_token_that_was_logged_is_found(self):
        path = self.logged(b"a client sent " + self.token + b" of " + b"x" * 900)
        self.assertNotIn(self.token[-200:], read(self.at(path)), "the journal has not compressed it")
        self.assertEqual(self.refused(), [path])

    def test_a_journal_without_one_is_no_place(self):
        self.logged(b"nothing of interest " + b"x" * 900)
        self.assertEqual(self.sealed()["places"], [])


if __name__ == "__main__":
    main(__file__)
