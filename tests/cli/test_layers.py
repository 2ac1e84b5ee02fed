#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may say what: a value keeps the trust of the layer that it comes from, and a file is believed by its owner and mode."""

import json
import os

import parts
from parts import GUEST, RUN, Repository, token, vgpu
from program import NOBODY, Case, main, read, remove, write
from server import Server
from signing import ED25519, key, sign

ETC = "/etc/vgpu-guest-agent"
INDEX = "vgpu-index.json"
OTHER = "NVIDIA-Linux-x86_64-525.147.05-grid.run"
SOURCES = ("file", "conf.d", "metadata", "command line")


class Files(Case):
    """Every file that is believed, by one judgement."""

    def settings(self):
        """Setting, content, whether it is a secret, and the command and step that reads it."""
        plan, configure = ("plan", "match"), ("configure", "token")
        yield "http.ca_file", read(parts.ca_file()), False, *plan
        yield "http.client_cert", b"certificate and key", True, *plan
        yield "http.netrc_file", b"default login a password b\n", True, *plan
        yield "http.header_file", b"X-Guard: a\n", True, *plan
        yield "driver.index_key", b"key", False, *plan
        yield "driver.catalog", b"[]", False, *plan
        yield "license.token_file", token(), False, *configure

    def test_another_users_file_is_none(self):
        for name, content, secret, command, step in self.settings():
            with self.subTest(name):
                path = self.write("file", content, 0o600 if secret else 0o644)
                os.chown(path, NOBODY, NOBODY)
                self.refused(name, path, "belongs to user 65534", command, step, "chown root")

    def test_nor_is_one_that_others_may_write(self):
        for name, content, secret, command, step in self.settings():
            for mode in (0o646, 0o664):
                with self.subTest(name, mode=mode):
                    path = self.write("file", content, mode)
                    self.refused(name, path, "others may " + ("read" if secret else "write") + " it", command, step, "chmod")

    def test_the_configuration_itself(self):
        for owner, mode, words in ((NOBODY, 0o644, "belongs to user"), (0, 0o664, "others may write it")):
            path = self.write("agent.conf", "", mode)
            os.chown(path, owner, -1)
            self.error(2, "plan", words, "plan", "--config", path, hint="ch")

    def refused(self, name, path, words, command, step, hint):
        repository = self.use(Repository())
        sets = {**repository.sets, name: path}
        self.error(2, step, words, command, sysfs=vgpu(), sets=sets, hint=hint)
        self.assertEqual(repository.requests, [])


class Saying(Case):
    """A guest, its files, and a cloud that says something."""

    def setUp(self):
        super().setUp()
        self.service = self.use(Server())
        self.repository = self.use(Repository())
        entry = parts.run_entry(RUN, 1000)
        self.signed = {"url": self.repository.url + RUN, "sha256": entry["sha256"]}
        self.other = {"url": self.repository.url + OTHER, "sha256": "a" * 64}
        self.repository.name(RUN, OTHER)
        content = parts.index(entry)
        self.repository.put(INDEX, content)
        self.repository.put(INDEX + ".sig", sign(ED25519, content))
        self.key = self.write("key.pem", key(*ED25519)[1])

    def said(self, source, driver, root="", metadata=""):
        """The options and --set of a guest where `source` says this of the driver, and root's file what `root` has."""
        text = "driver: { %s };\n" % " ".join(f"{name} = {json.dumps(value)};" for name, value in driver.items())
        write(f"{ETC}/agent.conf", f"{root}\nmetadata: {{ {metadata} }};\n{text if source == 'file' else ''}")
        remove(f"{ETC}/conf.d/10.conf")
        if source == "conf.d":
            write(f"{ETC}/conf.d/10.conf", text)
        self.tell(driver=driver if source == "metadata" else {})
        sets = {f"driver.{name}": json.dumps(value) if isinstance(value, bool) else value for name, value in driver.items()}
        return {**(sets if source == "command line" else {}), "http.ca_file": parts.ca_file(), "metadata.enabled": None,
                "metadata.url": self.service.base, "metadata.sources": "metadata-service", "metadata.timeout": "2"}

    def tell(self, **keys):
        self.service.files["/openstack/latest/vendor_data2.json"] = json.dumps({"vgpu_guest_agent": keys}).encode()

    def bound(self):
        return f'\ndriver: {{ index_key = "{self.key}"; }};'


class Layers(Saying):
    """Each source against what it may say. The config drive's document is put under the service's by the worker: one layer."""

    def takes(self, source, driver, url, integrity, **more):
        plan = self.json("plan", sets=self.said(source, driver, **more), sysfs=vgpu())["driver"]
        self.assertEqual((plan["url"], plan["integrity"]), (url, integrity), self.last)

    def refuses(self, driver, step, words, hint, **more):
        self.error(6, step, words, "plan", sets=self.said("metadata", driver, **more), sysfs=vgpu(), hint=hint)

    def test_a_url_may_come_from_each(self):
        for source in SOURCES:
            with self.subTest(source):
                self.takes(source, self.other, self.other["url"], "sha256-pin")

    def test_a_file_of_the_guest_from_each_but_the_metadata(self):
        url = "file://" + self.write(RUN, "content")
        for source in SOURCES:
            with self.subTest(source):
                if source != "metadata":
                    self.takes(source, {"url": url}, url, "local-file")
                    continue
                for each in (url, "FILE:///x.run", "file:x.run"):
                    for pin in ({}, {"sha256": "a" * 64}):
                        self.refuses({"url": each, **pin}, "metadata", "file://", "root can")
                self.refuses({"repository": "file:///srv/"}, "metadata", "driver.repository", "root can")

    def test_with_a_key_in_roots_file_the_others_are_roots_word(self):
        for source in ("conf.d", "command line"):
            with self.subTest(source):
                self.takes(source, self.other, self.other["url"], "sha256-pin", root=self.bound())

    def test_and_the_metadata_chooses_what_the_signed_index_names(self):
        for driver, integrity in ((self.signed, "sha256-pin"), ({"url": self.signed["url"]}, "signature"),
                                  ({"repository": self.repository.url}, "signature"),
                                  ({"repository": self.repository.url, "version": GUEST}, "signature")):
            with self.subTest(driver):
                self.takes("metadata", driver, self.signed["url"], integrity, root=self.bound())
                self.assertTrue(self.repository.asked(INDEX + ".sig"))

    def test_and_nothing_else(self):
        elsewhere = self.use(Repository()).name(RUN)
        for name, driver in (("another file", self.other), ("no pin", {"url": self.other["url"]}),
                             ("its name with another checksum", {**self.signed, "sha256": "b" * 64})):
            with self.subTest(name):
                self.refuses(driver, "match", "which the signed vgpu-index.json does not name", f"driver.index_key ({ETC}/agent.conf:2)",
                             root=self.bound())
        self.refuses({"url": elsewhere.url + RUN}, "match", "has no vgpu-index.json", "driver.index_key", root=self.bound())

    def test_what_another_server_has_under_a_signed_name_is_not_taken(self):
        elsewhere = self.use(Repository())
        elsewhere.put(RUN, b"x" * 1000)
        write(f"{ETC}/conf.d/20.conf", f'driver: {{ repository = "{self.repository.url}"; }};')
        self.addCleanup(remove, f"{ETC}/conf.d/20.conf")
        sets = self.said("metadata", {"url": elsewhere.url + RUN}, root=self.bound())
        self.error(6, "fetch", "SHA-256", "fetch", "--output", self.folder, sets=sets, sysfs=vgpu())
        self.assertEqual([name for name in os.listdir(self.folder) if name.endswith(".run")], [])

    def test_the_metadata_sets_no_key(self):
        self.takes("metadata", {**self.other, "index_key": "", "integrity": "warn"}, self.other["url"], "sha256-pin")
        self.assertRegex(self.last.err, "warning: metadata: driver.index_key cannot be set")
        self.refuses({**self.other, "index_key": ""}, "match", "does not name", "index_key", root=self.bound())


class Keys(Saying):
    """metadata.keys: root says what the cloud may set."""

    def upgrades(self, keys, source="file"):
        """What configure makes of a cloud that says all it can."""
        sets = self.said("file", {}, metadata=f"keys = {json.dumps(keys)};" if source == "file" else "")
        if source == "command line":
            sets["metadata.keys"] = ",".join(keys)
        self.tell(client_token=token().decode(), license={"feature_type": 2, "gridd": {"LicenseInterval": 61}},
                  driver={"upgrade": True})
        outcome = self.program.call("configure", "--json", sets=sets, sysfs=vgpu())
        gridd = read("/etc/nvidia/gridd.conf").decode().splitlines()
        found = {"token": os.path.exists("/etc/nvidia/ClientConfigToken/client_configuration_token.tok"),
                 "type": "FeatureType=2" in gridd, "gridd": "LicenseInterval=61" in gridd}
        refused = [name for name in ("client_token", "license.feature_type", "license.gridd.LicenseInterval", "driver.upgrade")
                   if f"warning: metadata: {name} is not among metadata.keys" in outcome.err]
        remove("/etc/nvidia")
        return [name for name, is_there in found.items() if is_there], refused

    def test_what_is_named_counts_and_the_rest_is_a_warning(self):
        token_, type_, gridd, upgrade = "client_token", "license.feature_type", "license.gridd.LicenseInterval", "driver.upgrade"
        for keys, found, refused in ((["*"], ["token", "type", "gridd"], []),
                                     ([], [], [token_, type_, gridd, upgrade]),
                                     (["client_token"], ["token"], [type_, gridd, upgrade]),
                                     (["client_token_base64", "driver.*"], ["token"], [type_, gridd]),
                                     (["license.*"], ["type", "gridd"], [token_, upgrade]),
                                     (["license.gridd.*", "driver.upgrade"], ["gridd"], [token_, type_])):
            for source in ("file", "command line") if keys else ("file",):
                with self.subTest(keys=keys, source=source):
                    self.assertEqual(self.upgrades(keys, source), (found, refused))

    def test_a_typo_is_an_error(self):
        for keys in (["driver"], ["drivr.*"], ["driver.index_key"], ["http.*"], [""], ["**"], ["license.gridd."]):
            with self.subTest(keys):
                write(f"{ETC}/agent.conf", f"metadata: {{ keys = {json.dumps(keys)}; }};\n")
                self.error(2, "plan", "metadata.keys", "plan")


if __name__ == "__main__":
    main(__file__)
