#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the worker's job `list` makes of a repository: manifest, index page, catalog."""

import hashlib
import json
import unittest

from server import Server, always
from signing import ED25519, RSA, key, sign
from worker import call, memfd

RUN = "NVIDIA-Linux-x86_64-550.90.07-grid.run"
SUM = "b2225cbeb4e43c0009ef1d4eb718eaadaf4e7867715d3ddb993700ca64160cd6"
CATALOG = b"version: 52\ndriver:\n  - {version: 470.60, branch: R470_00, type: guest, os: [Linux]}\n"
DRIVER = {"version": "470.60", "branch": "R470_00", "type": "guest", "os": ["Linux"]}
ROOT = "/pulp/content/nvidia/"
INDEX = "vgpu-index.json"
ENTRY = {"name": RUN, "kind": "run", "version": "550.90.07", "arch": "x86_64", "size": 8388608, "sha256": SUM}


def line(name, digest=SUM, size=8388608):
    return f"{name},{digest},{size}\n".encode()


def index(*files, **more):
    return json.dumps({"schema": 1, "serial": 7, "created": "2026-11-22T21:00:00Z", "files": files, "modules": [], **more}).encode()


class Repository(unittest.TestCase):
    def setUp(self):
        self.server = Server().__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)

    def list(self, catalog="auto", fds=(), **options):
        request = {"job": "list", "repository": self.server.base + ROOT, "catalog": catalog,
                   "http": {"proxy": "", "retries": 1, "retry_base_ms": 1, "connect_timeout": 5, "stall_timeout": 20}}
        return call({**request, **options}, fds)

    def serve(self, name, data):
        self.server.files[ROOT + name] = data

    def test_a_manifest_is_read_as_pulp_writes_it(self):
        self.serve("PULP_MANIFEST", line(RUN) + line("notes.txt") + line("sub/a,b.zip", SUM.upper(), 1 << 33))
        outcome = self.list()
        self.assertEqual(outcome.result, {
            "source": "manifest", "verified": False, "warnings": [], "catalog": None,
            "index": None, "index_verified": False, "index_signed": False, "index_key": None,
            "files": [{"name": RUN, "size": 8388608, "sha256": SUM},
                      {"name": "sub/a,b.zip", "size": 1 << 33, "sha256": SUM}]})
        self.assertEqual([request.path for request in self.server.requests], [ROOT + "PULP_MANIFEST", ROOT + INDEX])

    def test_the_slash_at_the_end_may_be_missing(self):
        self.serve("PULP_MANIFEST", line(RUN))
        self.assertEqual(len(self.list(repository=self.server.base + ROOT[:-1]).result["files"]), 1)

    def test_bad_lines_are_named_and_skipped(self):
        bad = b"".join(line(f"../{i}.run") for i in range(30))
        self.serve("PULP_MANIFEST", b"hello\n" + bad + line("/a.run") + line(RUN))
        outcome = self.list()
        self.assertEqual([file["name"] for file in outcome.result["files"]], [RUN])
        warnings = outcome.result["warnings"]
        self.assertEqual(len(warnings), 21)
        self.assertEqual(warnings[0], "PULP_MANIFEST line 1 is not path,sha256,size: skipped")
        self.assertEqual(warnings[1], "PULP_MANIFEST line 2 has an unsafe path: skipped")
        self.assertEqual(warnings[20], "PULP_MANIFEST: 12 more bad lines skipped")

    def test_a_hundred_thousand_entries_are_read(self):
        self.serve("PULP_MANIFEST", b"".join(line(f"{i}.txt") for i in range(99_999)) + line(RUN))
        self.assertEqual([file["name"] for file in self.list().result["files"]], [RUN])

    def test_more_entries_are_refused(self):
        self.serve("PULP_MANIFEST", line(RUN) * 100_001)
        outcome = self.list()
        self.assertEqual(outcome.error["name"], "integrity")
        self.assertIn("more than 100000 lines", outcome.error["message"])

    def test_drivers_beyond_twenty_thousand_are_counted_only(self):
        self.serve("PULP_MANIFEST", b"".join(line(f"NVIDIA-Linux-x86_64-550.{i}.07-grid.run") for i in range(20_007)))
        outcome = self.list()
        self.assertEqual(len(outcome.result["files"]), 20_000)
        self.assertEqual(outcome.result["warnings"], ["PULP_MANIFEST: 7 more files than can be looked at"])

    def test_long_names_do_not_make_the_answer_too_long(self):
        self.serve("PULP_MANIFEST", b"".join(line(f"{i:05}" + "\"" * 480 + ".run") for i in range(20_000)))
        outcome = self.list()
        self.assertLess(len(outcome.result["files"]), 4_000)
        self.assertIn("more files than can be looked at", outcome.result["warnings"][0])

    def test_an_index_page_stands_in_for_the_manifest(self):
        self.serve("", f'<a href="../">../</a><a href="./{RUN}">x</a> 8.4 MB\n<a href="%2e%2e%2fx.run">'.encode())
        outcome = self.list()
        self.assertEqual(outcome.result["source"], "listing")
        self.assertEqual(outcome.result["files"], [{"name": RUN, "size": 0, "sha256": ""}])
        self.assertEqual(outcome.result["warnings"], ["index page line 2 has an unsafe path: skipped"])

    def test_neither_is_a_network_error_with_a_hint(self):
        outcome = self.list()
        self.assertEqual(outcome.error["name"], "network")
        self.assertIn("404", outcome.error["message"])
        self.assertIn("neither PULP_MANIFEST nor an index page", outcome.error["hint"])

    def test_a_manifest_that_is_cut_is_read_anew(self):
        def half(handler):
            handler.head(200, [("Content-Length", str(len(handler.data)))])
            handler.wfile.write(handler.data[: len(handler.data) // 2])
            handler.drop()

        self.serve("PULP_MANIFEST", line(RUN) + line("b.run") + line("c.run"))
        self.server.faults[ROOT + "PULP_MANIFEST"] = [half]
        self.assertEqual([file["name"] for file in self.list().result["files"]], [RUN, "b.run", "c.run"])

    # The catalog

    def test_the_repository_s_catalog_is_read(self):
        self.serve("PULP_MANIFEST", line("vgpuDriverCatalog.yaml", hashlib.sha256(CATALOG).hexdigest(), len(CATALOG)))
        self.serve("vgpuDriverCatalog.yaml", CATALOG)
        self.assertEqual(self.list().result["catalog"], {"driver": [DRIVER]})
        self.assertIsNone(self.list("none").result["catalog"])

    def test_an_index_page_can_have_one_too(self):
        self.serve("", b'<a href="vgpuDriverCatalog.yaml">')
        self.serve("vgpuDriverCatalog.yaml", CATALOG)
        self.assertEqual(self.list().result["catalog"], {"driver": [DRIVER]})

    def test_one_that_is_unusable_is_a_warning(self):
        self.serve("PULP_MANIFEST", line(RUN) + line("vgpuDriverCatalog.yaml"))
        self.serve("vgpuDriverCatalog.yaml", CATALOG)
        outcome = self.list()
        self.assertIsNone(outcome.result["catalog"])
        self.assertEqual(outcome.result["warnings"],
                         ["vgpuDriverCatalog.yaml is not used: its SHA-256 is not the manifest's"])
        del self.server.files[ROOT + "vgpuDriverCatalog.yaml"]
        self.assertIn("404", self.list().result["warnings"][0])

    def test_one_that_the_server_cannot_give_now_is_an_error(self):
        self.serve("PULP_MANIFEST", line("vgpuDriverCatalog.yaml"))
        self.server.faults[ROOT + "vgpuDriverCatalog.yaml"] = always(lambda handler: handler.answer(503))
        outcome = self.list()
        self.assertEqual(outcome.error["name"], "network")
        self.assertIn("the driver catalog: ", outcome.error["message"])

    def test_one_that_was_asked_for_must_be_good(self):
        self.serve("PULP_MANIFEST", line(RUN))
        outcome = self.list("none", [memfd(b"driver:\n  - &a [x]\n  - *a\n")], catalog_input=4)
        self.assertEqual(outcome.error["message"], "the driver catalog: line 3: an alias")
        self.assertEqual(outcome.error["name"], "integrity")

    def test_a_local_one_is_read_from_its_descriptor(self):
        self.serve("PULP_MANIFEST", line(RUN))
        self.assertEqual(self.list("auto", [memfd(CATALOG)], catalog_input=4).result["catalog"], {"driver": [DRIVER]})

    def test_with_a_key_for_the_index_one_that_the_repository_merely_has_is_not_used(self):
        self.serve("PULP_MANIFEST", line(RUN) + line("vgpuDriverCatalog.yaml", hashlib.sha256(CATALOG).hexdigest(), len(CATALOG)))
        self.serve("vgpuDriverCatalog.yaml", CATALOG)
        self.serve(INDEX, index(ENTRY))
        self.serve(INDEX + ".sig", sign(ED25519, index(ENTRY)))
        outcome = self.list("auto", [memfd(key(*ED25519)[1])], index_keys=4)
        self.assertIsNone(outcome.result["catalog"])
        [warning] = outcome.result["warnings"]
        self.assertIn("vgpuDriverCatalog.yaml is not used: driver.index_key is set", warning)
        named = self.list("none", [memfd(key(*ED25519)[1]), memfd(CATALOG)], index_keys=4, catalog_input=5)
        self.assertEqual((named.result["catalog"], named.result["warnings"]), ({"driver": [DRIVER]}, []))

    # The index

    def signed(self, content, signature, *keys):
        self.serve("PULP_MANIFEST", line(RUN))
        if content is not None:
            self.serve(INDEX, content)
        if signature is not None:
            self.serve(INDEX + ".sig", signature)
        return self.list("none", [memfd(b"".join(key(*each)[1] for each in keys))], index_keys=4)

    def refused(self, outcome, words, name="integrity"):
        self.assertEqual(outcome.error["name"], name, outcome)
        self.assertIn(words, outcome.error["message"])
        if name == "integrity":
            self.assertIn("publish vgpu-index.json", outcome.error["hint"])

    def test_an_index_comes_along(self):
        module = {"name": "m.tar.gz", "size": 7, "sha256": SUM, "kernel": "6.1.0"}
        self.serve("PULP_MANIFEST", line(RUN))
        self.serve(INDEX, index(ENTRY, modules=[module], extra=1))
        outcome = self.list()
        self.assertEqual(outcome.result["index"], {"schema": 1, "serial": 7, "created": "2026-11-22T21:00:00Z",
                                                   "files": [ENTRY], "modules": [module], "builds": []})
        self.assertIs(outcome.result["index_signed"], False)
        self.assertEqual([request.path for request in self.server.requests], [ROOT + "PULP_MANIFEST", ROOT + INDEX])

    def test_a_store_that_denies_what_it_does_not_have(self):
        self.serve("PULP_MANIFEST", line(RUN))
        self.server.faults[ROOT + INDEX] = always(lambda handler: handler.answer(403))
        outcome = self.list()
        self.assertEqual((outcome.result["index"], outcome.result["warnings"]), (None, []))
        self.assertEqual(len(self.server.requests), 2)

    def test_an_index_that_is_unusable_is_a_warning(self):
        self.serve("PULP_MANIFEST", line(RUN))
        for content, words in ((index(schema=2), "another schema"), (index(ENTRY)[:-9], "not used"), (b" " * ((2 << 20) + 1), "not used"),
                               (index(ENTRY, ENTRY), "twice"), (b"[]", "no object"), (index(serial=0), "no serial")):
            with self.subTest(words):
                self.serve(INDEX, content)
                outcome = self.list()
                self.assertIsNone(outcome.result["index"])
                self.assertEqual(len(outcome.result["files"]), 1)
                self.assertEqual(len(outcome.result["warnings"]), 1)
                self.assertIn(words, outcome.result["warnings"][0])

    def test_an_unsafe_name_in_it_is_skipped_and_named(self):
        self.serve("PULP_MANIFEST", line(RUN))
        self.serve(INDEX, index({**ENTRY, "name": "../" + RUN}))
        outcome = self.list()
        self.assertEqual(outcome.result["index"]["files"], [])
        self.assertEqual(outcome.result["warnings"], ["vgpu-index.json files[0] has an unsafe name: skipped"])

    def test_the_manifest_knows_the_hash_of_the_index(self):
        self.serve(INDEX, index(ENTRY))
        self.serve("PULP_MANIFEST", line(INDEX, hashlib.sha256(index(ENTRY)).hexdigest()))
        self.assertIsNotNone(self.list().result["index"])
        self.serve("PULP_MANIFEST", line(INDEX))
        self.assertIn("not the manifest's", self.list().result["warnings"][0])

    def test_an_index_can_do_without_a_manifest(self):
        self.serve(INDEX, index(ENTRY))
        outcome = self.list()
        self.assertEqual((outcome.result["source"], outcome.result["files"]), ("index", []))
        self.assertEqual(outcome.result["index"]["files"], [ENTRY])

    def test_a_signature_of_one_of_the_keys(self):
        for which in (ED25519, RSA):
            with self.subTest(which):
                outcome = self.signed(index(ENTRY), sign(which, index(ENTRY)), RSA, ("X25519",), ED25519)
                self.assertIs(outcome.result["index_signed"], True, outcome)
                self.assertEqual(outcome.result["index"]["files"], [ENTRY])
        self.assertIs(self.signed(index(ENTRY), sign(RSA, index(ENTRY), "digest"), RSA).result["index_signed"], True)

    def test_a_signature_of_another_key_or_over_other_bytes(self):
        other = ("RSA", "rsa_keygen_bits:2048", "rsa_keygen_pubexp:3")
        content = index(ENTRY)
        for what, made, keys in (("other key", sign(RSA, content), (other, ED25519)), ("other bytes", sign(ED25519, content + b" "), (ED25519,)),
                                 ("other digest", sign(RSA, content, digest="sha1"), (RSA,)), ("empty", b"", (ED25519,)),
                                 ("cut", sign(ED25519, content)[:40] + b"\n", (ED25519,))):
            with self.subTest(what):
                self.refused(self.signed(content, made, *keys), "no signature over")
        self.refused(self.signed(content, b"\x00\xff", ED25519), "no base64")

    def test_with_a_key_an_index_that_is_missing_unsigned_or_bad_is_an_error(self):
        self.refused(self.signed(None, None, ED25519), "the repository has no vgpu-index.json")
        self.refused(self.signed(index(ENTRY), None, ED25519), "is not signed")
        outcome = self.signed(index(schema=2), sign(ED25519, index(schema=2)), ED25519)
        self.assertEqual(outcome.error["name"], "integrity")
        self.assertIn("another schema", outcome.error["message"])

    def test_a_file_without_a_usable_key(self):
        weak = ("RSA", "rsa_keygen_bits:1024")
        for keys in ((), (("X25519",),), (weak,)):
            with self.subTest(keys):
                self.refused(self.signed(index(ENTRY), sign(weak, index(ENTRY)), *keys), "holds no public key", "usage")


if __name__ == "__main__":
    unittest.main()
