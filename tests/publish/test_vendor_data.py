#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make-vendor-data: which settings it takes and refuses, and what it prints. What a guest makes of it is in tests/image."""

import json
import os
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))
AGENT = os.path.join(os.environ.get("VGPU_BUILD") or os.path.join(CHECKOUT, "build", "dev"), "agent", "vgpu-guest-agent")
GOOD = "[driver]\nrepository = https://pulp.example/nvidia/\n"
KEY = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"


class VendorData(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vendor-")
        self.out = os.path.join(self.folder, "out")

    def make(self, text, status=0):
        path = os.path.join(self.folder, "settings.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with open(os.path.join(self.folder, "index-pub.pem"), "w", encoding="utf-8") as file:
            file.write(KEY)
        done = subprocess.run([os.path.join(CHECKOUT, "scripts/make-vendor-data"), "--agent", AGENT, path, self.out], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, status, done)
        return (done.stderr if status else done.stdout).decode()

    def own(self):
        with open(os.path.join(self.out, "vendor-data.json"), encoding="utf-8") as file:
            return json.load(file)

    def test_what_is_refused_names_its_key(self):
        zeros = "0" * 64
        cases = ((f"[package]\ndeb_url = https://x/a.deb\ndeb_sha256 = {zeros}\n", "[package] deb_sha256: these are zeros"),
                 (f"[driver]\nrepository = https://x/\nsha256 = {zeros}\n", "[driver] sha256: these are zeros"),
                 ("[driver]\nrepository = http://x/\n", "[driver] repository: over plain http"),
                 ("[driver]\nurl = http://x/a.run\n", "[driver] url: over plain http"),
                 ("[driver]\nurl = file:///a.run\n", "[driver] url: an http(s) URL"),
                 ("[driver]\nrepository = https://me:secret@x/\n", "[driver] repository: a URL without a password"),
                 ("[driver]\nrepositroy = https://x/\n", "[driver] repositroy: no such setting"),
                 ("[driver]\ndkms = yes\n", "[driver] dkms: the cloud may not set it"),
                 ("[http]\nretries = 3\n", "[http] retries: the cloud may not set it"),
                 ("[driver]\nrepository = https://x/\nversion = new\n", "driver.version"),
                 ("[license]\nfeature_type = 7\n", "license.feature_type"), ("[license]\ntoken_file = none.tok\n", "[license] token_file: "),
                 ("[http]\nca_file = none.pem\n", "[http] ca_file: "), ("[driver]\nindex_key = settings.ini\n", "[driver] index_key: no public key"),
                 ("[license.gridd]\nFeatureType = 1\n", "FeatureType"))
        for text, words in cases:
            with self.subTest(words):
                said = self.make(text, 2)
                self.assertTrue(said.startswith("make-vendor-data: ") and said.count("\n") == 1, said)
                self.assertIn(words, said)
                self.assertNotIn("secret", said)
                self.assertFalse(os.path.exists(self.out))

    def test_every_key_that_the_cloud_may_set(self):
        """As the agent says, with values of its own kinds."""
        with open(os.path.join(self.folder, "empty.conf"), "wb"):
            pass
        shown = json.loads(subprocess.run([AGENT, "--config", os.path.join(self.folder, "empty.conf"), "--quiet", "--json", "config", "show"], check=True, stdout=subprocess.PIPE).stdout)["settings"]
        values = {"driver.repository": "https://x/", "driver.url": "https://x/a.run", "driver.sha256": "a" * 64, "driver.version": "550.90.07",
                  "driver.kernel_module": "open", "driver.prebuilt": "never"}
        keys = [key for key, each in shown.items() if each["metadata"] and not key.startswith("license.gridd")]
        self.assertGreater(len(keys), 7)
        for path in keys:
            with self.subTest(path):
                section, key = path.split(".", 1)
                value = values.get(path, shown[path]["value"])
                more = GOOD if section == "driver" and key != "repository" else f"[{section}]\n"
                self.make(f"{more}{key} = {json.dumps(value) if isinstance(value, bool) else value}\n")
                self.assertEqual(self.own()["vgpu_guest_agent"][section][key], value)

    def test_options_of_gridd_and_a_key_of_the_index(self):
        said = self.make("[driver]\nrepository = http://x/\nindex_key = index-pub.pem\n[license.gridd]\nServerAddress = 10.0.0.5\n")
        made = self.own()
        self.assertEqual(made["vgpu_guest_agent"], {"driver": {"repository": "http://x/"}, "license": {"gridd": {"ServerAddress": "10.0.0.5"}}})
        self.assertIn(KEY, made["cloud-init"])
        self.assertIn('driver: { index_key = "/etc/vgpu-guest-agent/vendor-index-key.pem"; }', made["cloud-init"])
        for words in ("vendordata_jsonfile_path = /etc/nova/vendor-data.json", "vendordata_dynamic_targets = vgpu@https://", "Next: "):
            self.assertIn(words, said)


if __name__ == "__main__":
    unittest.main()
