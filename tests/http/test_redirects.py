#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where a redirect may lead, and what never goes along: the guard's header, user and password, the way back to http."""

import base64
import os
import unittest

import server as fault
from server import Server, always
from worker import HOLDS_PORTS, fetch

DATA = os.urandom(300_000)
HEADER = b"X-Guard: " + base64.b64encode(b"open sesame") + b"\n"
TRUSTED = {"trusted_hosts": ["127.0.0.1"]}


class Redirects(unittest.TestCase):
    def setUp(self):
        self.first, self.second = Server(), Server()
        for server in (self.first, self.second):
            server.__enter__()
            self.addCleanup(server.__exit__)
            server.files["/f.run"] = DATA
        self.url = self.first.base + "/start"

    def fetch(self, location, code=302, **options):
        self.first.faults["/start"] = always(fault.redirect(location, code))
        return fetch(self.url, DATA, **options)

    def refused(self, outcome, words):
        self.assertIsNotNone(outcome.error, outcome)
        self.assertEqual(outcome.error["name"], "network")
        self.assertIn(words, outcome.error["message"])
        self.assertEqual(outcome.content, b"")

    def test_every_code_of_a_redirect(self):
        for code in (301, 302, 303, 307, 308):
            with self.subTest(code):
                self.assertTrue(self.fetch(self.second.base + "/f.run", code).content == DATA)

    @unittest.skipUnless(HOLDS_PORTS, "this kernel cannot refuse a port")
    def test_another_port_needs_the_agents_word(self):
        self.first.faults["/start"] = always(fault.redirect(self.second.base + "/f.run"))
        outcome = fetch(self.url, DATA, ports=[])
        self.refused(outcome, f"refused: a redirect to port {self.second.port}")
        self.assertIn({"port": self.second.port, "host": "127.0.0.1"}, outcome.progress)
        self.assertEqual(self.second.requests, [])
        self.assertTrue(fetch(self.url, DATA, ports=[self.second.port]).content == DATA)

    def test_relative(self):
        self.assertTrue(self.fetch("./f.run?x=1").content == DATA)

    def test_loop(self):
        self.refused(self.fetch("/start"), "more than 5 redirects")
        self.assertEqual(len(self.first.requests), 6)

    def test_other_schemes(self):
        for location in ("ftp://127.0.0.1/f", "file:///etc/passwd", "gopher://127.0.0.1/"):
            with self.subTest(location):
                self.refused(self.fetch(location), "what is no http or https URL")

    def test_no_target(self):
        self.first.faults["/start"] = always(fault.status(302))
        self.refused(fetch(self.url, DATA), "HTTP 302")

    def test_target_with_bytes_that_a_second_parser_may_obey(self):
        for bad in (b"/f\x01.run", b"/f.run\\@evil", b""):
            with self.subTest(bad):
                head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + bad + b"\r\n\r\n"
                self.first.faults["/start"] = always(fault.raw(head))
                self.refused(fetch(self.url, DATA), "HTTP 302")

    def test_error_behind_a_redirect_names_no_signed_url(self):
        self.second.faults["/f.run"] = always(fault.status(403, "Request has expired"))
        outcome = self.fetch(self.second.base + "/f.run?X-Amz-Signature=5ecret")
        self.refused(outcome, "Request has expired")
        self.assertNotIn("5ecret", str(outcome.error))

    def test_a_cut_is_resumed_from_the_first_url(self):
        """A signed URL of an object store ends with its hour, and is signed for one method."""
        self.second.faults["/f.run"] = [fault.cut(100_000)]
        self.assertTrue(self.fetch(self.second.base + "/f.run").content == DATA)
        self.assertEqual(self.first.ranges, [None, "bytes=100000-"])
        self.assertEqual(self.second.ranges, [None, "bytes=100000-"])

    # Secrets

    def secrets(self, server, name):
        return [request.headers.get(name) for request in server.requests]

    def test_header_reaches_a_guard(self):
        guarded = lambda request: base64.b64decode(request.headers.get("X-Guard", "")) == b"open sesame"
        self.first.guard = guarded
        outcome = fetch(self.first.base + "/f.run", DATA, header=HEADER, **TRUSTED)
        self.assertTrue(outcome.content == DATA, outcome)

    def test_header_stays_at_its_origin(self):
        outcome = self.fetch(self.second.base + "/f.run", header=HEADER, **TRUSTED)
        self.assertTrue(outcome.content == DATA, outcome)
        self.assertEqual(self.secrets(self.first, "X-Guard"), [base64.b64encode(b"open sesame").decode()])
        self.assertEqual(self.secrets(self.second, "X-Guard"), [None])

    def test_header_goes_along_at_its_origin(self):
        self.fetch("/f.run", header=HEADER, **TRUSTED)
        self.assertNotIn(None, self.secrets(self.first, "X-Guard"))

    def test_header_does_not_come_back(self):
        self.second.faults["/back"] = [fault.redirect(self.first.base + "/f.run")]
        self.fetch(self.second.base + "/back", header=HEADER, **TRUSTED)
        self.assertEqual([value is None for value in self.secrets(self.first, "X-Guard")], [False, True])

    def test_header_stays_behind_for_the_whole_way(self):
        self.second.faults["/on"] = [fault.redirect("/f.run")]
        outcome = self.fetch(self.second.base + "/on", header=HEADER, **TRUSTED)
        self.assertTrue(outcome.content == DATA, outcome)
        self.assertEqual(self.secrets(self.second, "X-Guard"), [None, None])

    def test_header_only_to_hosts_of_the_configuration(self):
        for trusted in ([], ["pulp.example"], ["https://127.0.0.1"]):
            with self.subTest(trusted):
                self.first.requests.clear()
                fetch(self.first.base + "/f.run", DATA, header=HEADER, trusted_hosts=trusted)
                self.assertEqual(self.secrets(self.first, "X-Guard"), [None])

    def test_header_file_that_is_none(self):
        for content in (b"", b"X-Guard", b": x", b"X-Guard:\n", b"A: b\nC: d\n", b"A: b\r\n\r\nGET / HTTP/1.1", b"A B: c"):
            with self.subTest(content):
                outcome = fetch(self.first.base + "/f.run", DATA, header=content, **TRUSTED)
                self.assertEqual(outcome.error["name"], "usage", outcome)
                self.assertIn("http.header_file", outcome.error["message"])

    NETRC = b"machine 127.0.0.1 login user password pa55\n"
    BASIC = "Basic " + base64.b64encode(b"user:pa55").decode()

    def test_netrc_is_sent_at_once_and_stays(self):
        outcome = self.fetch(self.second.base + "/f.run", netrc=self.NETRC, **TRUSTED)
        self.assertTrue(outcome.content == DATA, outcome)
        self.assertEqual(self.secrets(self.first, "Authorization"), [self.BASIC])
        self.assertEqual(self.secrets(self.second, "Authorization"), [None])

    def test_netrc_only_to_hosts_of_the_configuration(self):
        fetch(self.first.base + "/f.run", DATA, netrc=self.NETRC)
        self.assertEqual(self.secrets(self.first, "Authorization"), [None])

    def test_user_of_the_url_stays_at_its_origin(self):
        self.first.faults["/start"] = [fault.redirect(self.second.base + "/f.run")]
        outcome = fetch(self.url.replace("://", "://user:pa55@"), DATA)
        self.assertTrue(outcome.content == DATA, outcome)
        self.assertEqual(self.secrets(self.first, "Authorization"), [self.BASIC])
        self.assertEqual(self.secrets(self.second, "Authorization"), [None])


if __name__ == "__main__":
    unittest.main()
