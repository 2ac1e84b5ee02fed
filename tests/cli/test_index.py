#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""index: what it says of bundles, guest drivers and module archives, and that the guests of that repository believe it."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile

import parts
from parts import BUNDLE, RUN, Repository, driver, vgpu
from program import Case, main, read
from signing import ED25519, RSA, key, sign

MODULES = "nvidia-modules-525.105.17-6.1.0-37-cloud-amd64-proprietary.tar.gz"
NOTE = {"version": parts.GUEST, "kernel": "6.1.0-57-cloud-amd64", "flavour": "proprietary", "ok": False, "why": "nv-pci.c: error"}
WHEN = {"SOURCE_DATE_EPOCH": "1763845200"}  # 2025-11-22T21:00:00Z


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def module_archive(**keys):
    module = b"\x7fELF as if"
    manifest = {"schema": 1, "name": "built.tar.gz", "version": parts.GUEST, "kernel": "6.1.0-37-cloud-amd64", "vermagic": "6.1.0 SMP",
                "compiler": "gcc 12.2.0", "flavour": "proprietary", "arch": "x86_64", "symbols": None, "signed_by": None,
                "modules": [{"name": "nvidia.ko", "size": len(module), "sha256": sha256(module)}], **keys}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in (("manifest.json", json.dumps(manifest).encode()), ("modules/nvidia.ko", module)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


class Index(Case):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)

    def index(self, *words, **more):
        outcome = self.text("index", *words, nobody=True, env=WHEN, **more)
        self.assertEqual(outcome.out.count("\n"), 1)
        return json.loads(outcome.out), outcome.out

    def test_what_it_says_of_each_kind_of_file(self):
        packed = module_archive()
        paths = [self.write(f"a/{RUN}", driver()), self.write(f"b/{MODULES}", packed), self.write(f"c/{BUNDLE}", driver(BUNDLE))]
        value, _ = self.index(*paths)
        self.assertEqual(value, {
            "schema": 1, "serial": 1, "created": "2025-11-22T21:00:00Z",
            "files": [parts.bundle_entry(BUNDLE, driver(BUNDLE)), parts.run_entry(RUN, driver())],
            "modules": [{"name": MODULES, "version": parts.GUEST, "kernel": "6.1.0-37-cloud-amd64", "vermagic": "6.1.0 SMP",
                         "compiler": "gcc 12.2.0", "flavour": "proprietary", "arch": "x86_64", "symbols": None, "signed_by": None,
                         "size": len(packed), "sha256": sha256(packed)}]})

    def test_the_same_files_make_the_same_bytes(self):
        paths = [self.write(RUN, driver()), self.write(BUNDLE, driver(BUNDLE)), self.write(MODULES, module_archive())]
        self.assertEqual(self.index(*paths)[1], self.index(*reversed(paths))[1])
        self.assertEqual(self.index(*paths)[1], self.program.call("index", "--json", *paths, env=WHEN).out)

    def test_the_serial_counts_on(self):
        path = self.write(RUN, driver())
        previous = self.write("old.json", parts.index(serial=41))
        self.assertEqual(self.index("--previous", previous, path)[0]["serial"], 42)
        for content, words in ((b"{", "--previous"), (parts.index(schema=2), "another schema"),
                               (parts.index({**parts.run_entry("a.run", 7), "size": 0}), "files[0] has no size")):
            self.write("old.json", content)
            self.error(6, "index", words, "index", "--previous", previous, path, nobody=True)

    def test_entries_of_files_that_are_not_here_stay(self):
        old = parts.index(parts.run_entry("535/" + RUN, 777), serial=4, builds=[NOTE])
        previous, output, path = self.write("old.json", old), self.path("vgpu-index.json"), self.write(MODULES, module_archive())
        os.utime(path, (0, 1900000000))
        words = ("index", "--previous", previous, "--output", output, path)
        self.assertEqual(self.text(*words).out, output + "\n")
        made = json.loads(read(output))
        self.assertEqual((made["serial"], made["created"]), (5, "2030-03-17T17:46:40Z"))
        self.assertEqual([each["name"] for each in (*made["files"], *made["modules"])], ["535/" + RUN, MODULES])
        self.assertEqual(made["builds"], [NOTE])
        again = self.text("index", "--previous", output, "--output", self.path("again.json"), path)
        self.assertEqual((again.out, read(self.path("again.json"))), (self.path("again.json") + "\n", read(output)))
        dropped = json.loads(self.text("index", "--previous", output, "--drop", "535/" + RUN).out)
        self.assertEqual((dropped["serial"], dropped["files"]), (6, []))

    def test_the_note_of_a_build_that_failed_is_taken_in_until_its_modules_come(self):
        note = {**NOTE, "kernel": "6.1.0-37-cloud-amd64"}
        path = self.write(f"nvidia-build-{note['version']}-{note['kernel']}-proprietary.json", json.dumps(note).encode())
        value, text = self.index(path)
        self.assertEqual((value["serial"], value["builds"]), (1, [note]))
        before = self.write("before.json", text.encode())
        self.assertEqual(self.index("--previous", before, path)[1], text)
        self.assertEqual(self.index("--previous", before)[1], text)
        value, _ = self.index("--previous", before, self.write(MODULES, module_archive()))
        self.assertEqual((value["serial"], value.get("builds")), (2, None))
        for damaged in ({}, [], {**note, "kernel": "../x"}, {**note, "ok": "no"}, {**note, "flavour": "x"}):
            with self.subTest(damaged):
                self.write(os.path.basename(path), json.dumps(damaged).encode())
                self.error(6, "index", "nvidia-build-", "index", path, nobody=True)

    def test_when_it_expires(self):
        path = self.write(RUN, driver())
        made, text = self.index("--expires", "30", path)
        self.assertEqual(made["expires"], "2025-12-22T21:00:00Z")
        previous = self.write("old.json", text)
        self.assertEqual(self.index("--previous", previous, path)[1], text)
        self.assertNotIn("expires", self.index("--previous", previous, "--expires", "0", path)[0])

    def test_names_are_paths_of_the_repository(self):
        sub, own = self.write(f"repo/535/{RUN}", driver()), self.path("repo/vgpu-index.json")
        elsewhere = self.path("other.json")
        for words, more, name in ((("--output", own, sub), {}, "535/" + RUN), (("--output", elsewhere, sub), {}, RUN), ((sub,), {}, RUN),
                                  ((f"535/{RUN}",), {"cwd": self.path("repo")}, "535/" + RUN), ((f"./{RUN}",), {"cwd": self.path("repo/535")}, RUN),
                                  ((f"../repo/535/{RUN}",), {"cwd": self.path("repo")}, RUN)):
            with self.subTest(words):
                made = self.json("index", *words, env=WHEN, **more)
                self.assertEqual([each["name"] for each in made["files"]], [name])

    def test_its_own_files_are_skipped(self):
        own = [self.write(name, b"{") for name in ("PULP_MANIFEST", "vgpu-index.json", "vgpu-index.json.sig")]
        made, _ = self.index(self.write(RUN, driver()), *own)
        self.assertEqual([each["name"] for each in made["files"]], [RUN])
        self.error(2, "index", "which files", "index", *own, nobody=True)

    def test_the_output_is_whole_or_not_there_and_never_what_is_read(self):
        path, previous, output = self.write(RUN, driver()), self.write("old.json", parts.index()), self.path("vgpu-index.json")
        os.link(path, self.path("link"))
        os.symlink(path, self.path("symlink"))
        for name, words in ((path, (path,)), (self.path("link"), (path,)), (self.path("symlink"), (path,)), (previous, ("--previous", previous, path))):
            with self.subTest(name):
                self.error(2, "index", "--output would overwrite", "index", "--output", name, *words)
        self.assertEqual((read(path) == driver(), read(previous)), (True, parts.index()))
        bad = self.write(f"bad/{BUNDLE}", driver(BUNDLE)[:-30])
        self.write("vgpu-index.json", b"before")
        self.error(6, "index", BUNDLE, "index", "--output", output, path, bad)
        self.assertEqual(read(output), b"before")
        os.mkdir(self.path("folder"))
        for place in (self.path("folder"), self.path("none/vgpu-index.json"), "/dev/null", "/proc/vgpu-index.json"):
            with self.subTest(place):
                self.error(16, "index", "--output" if place != "/proc/vgpu-index.json" else "", "index", "--output", place, path)
        os.chmod(self.folder, 0o555)
        self.error(16, "index", "--output", "index", "--output", output, path, nobody=True)

    def test_what_can_be_seen_before_is_said_before_anything_is_read(self):
        path, none = self.write(RUN, driver()), self.path("none.run")
        old = self.write("old.json", parts.index())
        for words in ((path, none), ("--previous", old, "--drop", "nothing.run", path), ("--previous", none, path)):
            with self.subTest(words):
                self.error(2, "index", "", "index", *words)
                self.assertNotIn("reading", self.text("index", *words, status=2).err)

    def test_a_guest_installs_by_it(self):
        repository = self.use(Repository(tls=False))
        content = self.index(self.write(BUNDLE, driver(BUNDLE)))[1].encode()
        os.mkdir(self.path("out"))
        repository.add(BUNDLE, driver(BUNDLE))
        repository.put("vgpu-index.json", content)
        for which in (ED25519, RSA):
            repository.put("vgpu-index.json.sig", sign(which, content))
            sets = {**repository.sets, "driver.index_key": self.write("key.pem", key(*which)[1])}
            value = self.json("fetch", "--output", self.path("out"), sysfs=vgpu(), sets=sets)
            self.assertEqual(value["integrity"], "signature")
            self.assertTrue(read(value["path"]) == driver())

    def test_files_that_no_guest_takes(self):
        for name, words in (("NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run", "a host driver"), ("driver.run", "not a name"),
                            ("notes.txt", "no guest takes it")):
            with self.subTest(name):
                self.error(2, "index", words, "index", self.write(name, driver()), nobody=True)

    def test_files_that_are_damaged_or_something_else(self):
        packed = module_archive()
        with zipfile.ZipFile(self.path("empty.zip"), "w") as archive:
            archive.writestr("readme.txt", "nothing")
        for name, content, words in ((BUNDLE, driver(BUNDLE)[:-30], BUNDLE), (RUN, b"<html>", RUN), (RUN, driver(BUNDLE), "not what its name says"),
                                     (MODULES, packed[:-9], MODULES), (MODULES, module_archive(flavour="other"), "incomplete"),
                                     (BUNDLE, read(self.path("empty.zip")), "no guest driver")):
            with self.subTest(words):
                self.error(6, "index", words, "index", self.write(name, content), nobody=True)

    def test_what_is_called_wrongly(self):
        path = self.write(RUN, driver())
        value = self.error(2, "index", "which files", "index", nobody=True)
        self.assertIn("index FILE", value["error"]["hint"] or "")
        self.error(2, "index", "--drop x: --previous does not name it", "index", "--drop", "x", path, nobody=True)
        self.error(2, "index", "--expires soon: a number", "index", "--expires", "soon", path, nobody=True)
        self.error(2, "index", "given twice", "index", path, self.write(f"b/{RUN}", b""), nobody=True)
        self.error(2, "index", "no-such.run", "index", self.path("no-such.run"), nobody=True)
        self.error(2, "index", "no regular file", "index", self.folder + "/.", nobody=True)
        self.error(2, "index", "SOURCE_DATE_EPOCH", "index", path, nobody=True, env={"SOURCE_DATE_EPOCH": "now"})
        self.error(16, "index", RUN, "index", self.write(RUN, driver(), 0o600), nobody=True)


if __name__ == "__main__":
    main(__file__)
