#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the worker's job `list` makes of a repository: manifest, index page, catalog."""

import hashlib
import unittest

from server import Server, always
from worker import call, memfd

RUN = "NVIDIA-Linux-x86_64-550.90.07-grid.run"
SUM = "b2225cbeb4e43c0009ef1d4eb718eaadaf4e7867715d3ddb993700ca64160cd6"
CATALOG = b"version: 52\ndriver:\n  - {version: 470.60, branch: R470_00, type: guest, os: [Linux]}\n"
DRIVER = {"version": "470.60", "branch": "R470_00", "type": "guest", "os": ["Linux"]}
ROOT = "/pulp/content/nvidia/"


def line(name, digest=SUM, size=8388608):
    return f"{name},{digest},{size}\n".encode()


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
            "files": [{"name": RUN, "size": 8388608, "sha256": SUM},
                      {"name": "sub/a,b.zip", "size": 1 << 33, "sha256": SUM}]})
        self.assertEqual([request.path for request in self.server.requests], [ROOT + "PULP_MANIFEST"])

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
        self.server.files["/c.yaml"] = CATALOG
        self.assertEqual(self.list(self.server.base + "/c.yaml").result["catalog"], {"driver": [DRIVER]})
        self.server.files["/c.yaml"] = b"driver:\n  - &a [x]\n  - *a\n"
        outcome = self.list(self.server.base + "/c.yaml")
        self.assertEqual(outcome.error["message"], "the driver catalog: line 3: an alias")
        self.assertEqual(outcome.error["name"], "integrity")

    def test_a_local_one_is_read_from_its_descriptor(self):
        self.serve("PULP_MANIFEST", line(RUN))
        self.assertEqual(self.list("auto", [memfd(CATALOG)], catalog_input=4).result["catalog"], {"driver": [DRIVER]})


if __name__ == "__main__":
    unittest.main()
