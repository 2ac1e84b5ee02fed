#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whom the worker believes over https, and whom it shows its own certificate."""

import os
import tempfile
import unittest

import server as fault
from authority import Authority
from server import Server, always
from worker import fetch, public_copy

DATA = os.urandom(300_000)
NOBODY = 65534


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.ca = Authority(os.path.join(cls.folder.name, "ca"))
        cls.other = Authority(os.path.join(cls.folder.name, "other"), "Another Authority")
        cls.ca.issue("server")
        cls.ca.issue("elsewhere", "DNS:elsewhere.example")
        cls.ca.issue("client")
        cls.other.issue("client")

    def start(self, name="server", **options):
        server = Server(self.ca.server(name, **options))
        server.__enter__()
        self.addCleanup(server.__exit__)
        server.files["/f.run"] = DATA
        return server

    def fetch(self, server, **options):
        return fetch(server.base + "/f.run", DATA, **{"ca": self.ca.bytes(), **options})

    def client(self, authority):
        return {"cert": authority.bytes("client.pem"), "key": authority.bytes("client.key"),
                "trusted_hosts": ["https://127.0.0.1"]}

    def refused(self, outcome, hint):
        self.assertIsNotNone(outcome.error, outcome)
        self.assertEqual(outcome.error["name"], "network")
        self.assertIn(hint, outcome.error["hint"])
        self.assertNotIn("tries", outcome.error["message"])
        self.assertEqual(outcome.content, b"")

    def test_private_authority(self):
        outcome = self.fetch(self.start())
        self.assertTrue(outcome.content == DATA, outcome)
        self.assertTrue(outcome.result["verified"])

    def test_unknown_authority_is_final(self):
        server = self.start()
        outcome = self.fetch(server, ca=self.other.bytes())
        self.refused(outcome, "http.ca_file")
        self.assertEqual(server.requests, [])

    def test_without_ca_file_the_system_decides(self):
        self.refused(fetch(self.start().base + "/f.run", DATA), "http.ca_file")

    def test_certificate_of_another_host(self):
        self.refused(self.fetch(self.start("elsewhere")), "is it the right server")

    def test_ca_file_that_is_none(self):
        self.refused(self.fetch(self.start(), ca=b"hello"), "PEM")

    def test_cut_over_tls(self):
        server = self.start()
        server.faults["/f.run"] = [fault.cut(100_000), fault.reset(50_000)]
        outcome = self.fetch(server)
        self.assertTrue(outcome.content == DATA, outcome)

    # The client's certificate

    def test_client_certificate(self):
        outcome = self.fetch(self.start(clients=self.ca), **self.client(self.ca))
        self.assertTrue(outcome.content == DATA, outcome)

    def test_server_that_wants_a_certificate_says_so(self):
        self.refused(self.fetch(self.start(clients=self.ca)), "http.client_cert")

    def test_client_certificate_only_to_hosts_of_the_configuration(self):
        options = {**self.client(self.ca), "trusted_hosts": ["pulp.example"]}
        self.refused(self.fetch(self.start(clients=self.ca), **options), "http.client_cert")

    def test_client_certificate_stays_at_its_origin(self):
        first, second = self.start(clients=self.ca), self.start(clients=self.ca)
        first.faults["/f.run"] = [fault.redirect(second.base + "/f.run")]
        self.refused(self.fetch(first, **self.client(self.ca)), "http.client_cert")
        self.assertEqual(second.requests, [])

    def test_client_certificate_of_another_authority(self):
        self.refused(self.fetch(self.start(clients=self.ca), **self.client(self.other)), "http.client_cert")

    def test_key_that_does_not_belong_to_the_certificate(self):
        options = {**self.client(self.ca), "key": self.other.bytes("client.key")}
        self.refused(self.fetch(self.start(), **options), "its own key")

    # Between https and http

    def test_never_from_https_to_http(self):
        plain = Server()
        plain.__enter__()
        self.addCleanup(plain.__exit__)
        plain.files["/f.run"] = DATA
        server = self.start()
        server.faults["/f.run"] = always(fault.redirect(plain.base + "/f.run"))
        outcome = self.fetch(server)
        self.assertIn("refused: a redirect from https", outcome.error["message"])
        self.assertEqual(plain.requests, [])
        self.assertEqual(len(server.requests), 1)

    def test_from_http_to_https_is_not_verified(self):
        plain = Server()
        plain.__enter__()
        self.addCleanup(plain.__exit__)
        plain.faults["/f.run"] = [fault.redirect(self.start().base + "/f.run")]
        outcome = self.fetch(plain)
        self.assertTrue(outcome.content == DATA, outcome)
        self.assertFalse(outcome.result["verified"])

    # No privilege

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_worker_without_privilege_reads_what_it_was_handed(self):
        """A process that is not dumpable has a /proc/self that belongs to root."""
        with tempfile.TemporaryDirectory() as folder:
            server = self.start(clients=self.ca)
            outcome = self.fetch(server, header=b"X-Guard: x", user=NOBODY, program=public_copy(folder),
                                 **self.client(self.ca))
        self.assertTrue(outcome.content == DATA, outcome)
        self.assertEqual(server.requests[0].headers.get("X-Guard"), "x")


if __name__ == "__main__":
    unittest.main()
