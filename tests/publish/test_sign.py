#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sign-repository: a folder becomes a repository of a plain web server, and the agent's own eyes find nothing wrong with it."""

import hashlib
import json
import os
import shutil
import subprocess
import unittest

import test_publish as publishing
from server import Server
from signing import ED25519, RSA, key, openssl
from test_publish import AGENT, BUNDLE, CHECKOUT, INDEX, SIGNATURE, bundle, driver, name_of, read, sha256

FILES = (INDEX, SIGNATURE, "PULP_MANIFEST")


class Signing(publishing.Case):
    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.folder, self.key = publishing.tempfile.mkdtemp(prefix="sign-"), key(*ED25519)[0]
        self.repository = os.path.join(self.folder, "www")
        os.mkdir(self.repository)
        shutil.copy(bundle(), self.repository)

    def sign(self, *words, status=0, says=""):
        done = subprocess.run([os.path.join(CHECKOUT, "scripts/sign-repository"), "--json", "--agent", AGENT, *words, self.repository],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, status, done)
        self.assertIn(says, done.stderr.decode())
        return json.loads(done.stdout)

    def get(self, name):
        return read(os.path.join(self.repository, name))

    def manifest(self):
        return {line.rsplit(",", 2)[0]: line.rsplit(",", 2)[1] for line in self.get("PULP_MANIFEST").decode().splitlines()}

    def test_a_folder_is_signed_and_signed_again_only_when_it_changed(self):
        for which in (ED25519, RSA):
            self.key = key(*which)[0]
            self.sign("--key", self.key, "--renew")
            self.assertEqual(self.whole(), {BUNDLE})
            before = [self.get(name) for name in FILES]
            self.assertEqual(self.sign("--key", self.key)["changed"], False)
            self.assertEqual([self.get(name) for name in FILES], before)
        os.mkdir(os.path.join(self.repository, "535"))
        shutil.copy(driver("535.161.08"), os.path.join(self.repository, "535"))
        self.write("www/notes.txt", b"mine")
        serial = self.index()["serial"]
        self.assertEqual(self.sign("--key", self.key, says="notes.txt is passed over")["serial"], serial + 1)
        self.assertEqual(self.whole(), {BUNDLE, "535/" + name_of(driver("535.161.08"))})
        os.unlink(os.path.join(self.repository, BUNDLE))
        self.sign("--key", self.key)
        self.assertEqual(self.whole(), {"535/" + name_of(driver("535.161.08"))})

    def test_a_guest_takes_a_driver_from_it(self):
        self.sign("--key", self.key)
        public = self.write("public.pem", openssl("pkey", "-in", self.key, "-pubout"), 0o644)
        with Server() as server:
            for name in os.listdir(self.repository):
                server.files["/" + name] = self.get(name)
            out = os.path.join(self.folder, "out")
            os.mkdir(out)
            words = ["--config", self.write("empty.conf", b""), "--set", "metadata.enabled=false", "--set", f"driver.repository={server.base}/", "--set", f"driver.index_key={public}",
                     "--set", "driver.version=525.105.17", "--offline", "--json", "--quiet", "fetch", "--output", out]
            done = subprocess.run([AGENT, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        value = json.loads(done.stdout)
        self.assertEqual((value.get("integrity"), value.get("sha256")), ("signature", sha256(read(driver()))), done)

    def test_one_that_was_cut_off_is_ended(self):
        """After each of its renames in turn."""
        for cut in range(1, len(FILES)):
            with self.subTest(cut):
                self.setUp()
                self.sign("--key", self.key)
                before = {name: self.get(name) for name in FILES}
                shutil.copy(driver("535.161.08"), self.repository)
                self.sign("--key", self.key)
                after = {name: self.get(name) for name in FILES}
                for name in FILES[cut:]:
                    self.write(f"www/{name}", before[name])
                    self.write(f"www/{name}.new", after[name])
                self.sign("--key", self.key)
                self.assertEqual(self.whole(), {BUNDLE, name_of(driver("535.161.08"))})

    def test_notes_of_builds_are_signed_and_not_published(self):
        note = {"version": "525.105.17", "kernel": "6.1.0-57-cloud-amd64", "flavour": "proprietary", "ok": False, "why": "nv-pci.c: error"}
        name = f"www/nvidia-build-{note['version']}-{note['kernel']}-proprietary.json"
        self.sign("--key", self.key)
        self.write(name, json.dumps(note).encode())
        self.assertEqual(self.sign("--key", self.key)["serial"], 2)
        self.assertEqual((self.whole(), self.index()["builds"]), ({BUNDLE}, [note]))
        self.assertEqual(self.sign("--key", self.key)["changed"], False)
        self.write(name, json.dumps({**note, "why": "another"}).encode())
        self.assertEqual(self.sign("--key", self.key)["serial"], 3)
        self.assertEqual(self.index()["builds"], [{**note, "why": "another"}])
        os.unlink(os.path.join(self.folder, name))
        self.assertEqual(self.sign("--key", self.key)["changed"], False)
        self.sign("--key", self.key, "--renew")
        self.assertNotIn("builds", self.index())
        self.write(name, b"{}")
        self.sign("--key", self.key, status=6, says="has no version")

    def test_what_is_refused(self):
        self.sign("--key", self.key)
        other = self.write("other.pem", openssl("genpkey", "-algorithm", "ED25519"))
        before = {name: hashlib.sha256(self.get(name)).hexdigest() for name in FILES}
        self.sign("--key", other, status=6, says="no signature of --key")
        self.sign(status=2, says="is signed")
        self.write(f"www/{name_of(driver('535.161.08'))}", b"#!/bin/sh\n")
        self.sign("--key", self.key, status=6, says=name_of(driver("535.161.08")))
        self.assertEqual({name: hashlib.sha256(self.get(name)).hexdigest() for name in FILES}, before)
        self.repository = os.path.join(self.folder, "nowhere")
        self.sign(status=2, says="is no folder")


if __name__ == "__main__":
    unittest.main()
