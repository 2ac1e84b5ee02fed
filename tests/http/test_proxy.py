#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proxies of the configuration and of the environment, and redirects to where no repository is."""

import base64
import os
import select
import socket
import tempfile
import unittest

from authority import Authority
from server import Handler, Server
from worker import fetch

DATA = os.urandom(300_000)


class ProxyHandler(Handler):
    """Every name leads to the one server behind it."""

    def do_GET(self):
        owner = self.server.owner
        owner.asked.append(self.path)
        if not owner.admits(self):
            return self.answer(407, b"", [("Proxy-Authenticate", "Basic realm=x")])
        host, _, path = self.path.removeprefix("http://").partition("/")
        if host in owner.redirects:
            return self.answer(302, b"", [("Location", owner.redirects[host])])
        self.path = "/" + path
        return self.serve()

    def do_CONNECT(self):
        owner = self.server.owner
        owner.asked.append(self.path)
        if not owner.admits(self):
            return self.answer(407, b"", [("Proxy-Authenticate", "Basic realm=x")])
        if owner.connect_status:
            return self.answer(owner.connect_status.pop(), b"no")
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", owner.behind)) as there:
            self.pump(there)
        self.close_connection = True
        return None

    def pump(self, there):
        ends = {self.connection: there, there: self.connection}
        while True:
            for end in select.select(ends, [], [], 10)[0] or [None]:
                data = end.recv(65536) if end else b""
                if not data:
                    return
                ends[end].sendall(data)


class Proxy(Server):
    def __init__(self):
        super().__init__()
        self.httpd.RequestHandlerClass = ProxyHandler
        self.asked, self.redirects, self.connect_status, self.behind, self.login = [], {}, [], 0, None

    def admits(self, request):
        return not self.login or request.headers.get("Proxy-Authorization") == self.login


class Proxies(unittest.TestCase):
    def setUp(self):
        self.proxy = Proxy()
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        self.proxy.files["/f.run"] = DATA
        self.url = "http://pulp.example/f.run"

    def good(self, outcome, asked=None):
        self.assertTrue(outcome.content == DATA, outcome)
        if asked is not None:
            self.assertEqual(self.proxy.asked, asked)

    def bad(self, outcome, words):
        self.assertIsNotNone(outcome.error, outcome)
        self.assertEqual(outcome.error["name"], "network")
        self.assertIn(words, outcome.error["message"])
        self.assertEqual(outcome.content, b"")

    def test_of_the_configuration(self):
        self.good(fetch(self.url, DATA, proxy=self.proxy.base), [self.url])

    def test_of_the_environment(self):
        self.good(fetch(self.url, DATA, environment={"http_proxy": self.proxy.base}), [self.url])

    def test_configuration_before_environment(self):
        environment = {"http_proxy": "http://127.0.0.1:9"}
        self.good(fetch(self.url, DATA, environment=environment, proxy=self.proxy.base), [self.url])

    def test_no_proxy_of_the_environment(self):
        server = Server()
        server.__enter__()
        self.addCleanup(server.__exit__)
        server.files["/f.run"] = DATA
        environment = {"http_proxy": self.proxy.base, "no_proxy": "127.0.0.1"}
        self.good(fetch(server.base + "/f.run", DATA, environment=environment), [])

    def test_user_and_password(self):
        self.proxy.login = "Basic " + base64.b64encode(b"user:pa55").decode()
        proxy = self.proxy.base.replace("://", "://user:pa55@")
        self.good(fetch(self.url, DATA, proxy=proxy))

    def test_refusal_names_the_setting(self):
        self.proxy.login = "Basic other"
        proxy = self.proxy.base.replace("://", "://user:pa55@")
        outcome = fetch(self.url, DATA, proxy=proxy)
        self.bad(outcome, "HTTP 407")
        self.assertIn("http.proxy", outcome.error["hint"])
        self.assertNotIn("pa55", str(outcome.error))
        self.assertEqual(len(self.proxy.asked), 1)

    def test_a_url_of_a_proxy_that_cannot_be_read_is_not_shown(self):
        for proxy in ("http://user:pa55@[::bad/", "http://user:pa55@host:99999/", "gopher://user:pa55@host/"):
            for options in ({"proxy": proxy}, {"environment": {"http_proxy": proxy}}):
                with self.subTest(options):
                    outcome = fetch(self.url, DATA, **options)
                    self.assertEqual(outcome.error["name"], "usage")
                    self.assertEqual(outcome.error["message"], f"{self.url}: the proxy's URL cannot be read")
                    self.assertNotIn("pa55", str(outcome.error))

    def tunnel(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        authority = Authority(folder.name)
        authority.issue("server", "DNS:pulp.example")
        server = Server(authority.server())
        server.__enter__()
        self.addCleanup(server.__exit__)
        server.files["/f.run"] = DATA
        self.proxy.behind = server.port
        return {"proxy": self.proxy.base, "ca": authority.bytes()}

    def test_tunnel(self):
        outcome = fetch("https://pulp.example/f.run", DATA, **self.tunnel())
        self.good(outcome, ["pulp.example:443"])
        self.assertTrue(outcome.result["verified"])

    def test_tunnel_refused_for_the_moment(self):
        options = self.tunnel()
        self.proxy.connect_status = [503]
        self.good(fetch("https://pulp.example/f.run", DATA, **options))

    def test_tunnel_refused(self):
        options = self.tunnel()
        self.proxy.login = "Basic other"
        outcome = fetch("https://pulp.example/f.run", DATA, **options)
        self.bad(outcome, "the proxy answers HTTP 407")
        self.assertIn("http.proxy", outcome.error["hint"])
        self.assertEqual(len(self.proxy.asked), 1)

    # A server that is not on this machine has no business there

    def test_redirects_to_this_machine_are_refused(self):
        targets = ("127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "localhost", "x.localhost", "[::1]", "[::]",
                   "[fe80::1]", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]",
                   "[::ffff:169.254.169.254]", "2130706433", "127.1", "0x7f.1")
        for target in targets:
            with self.subTest(target):
                self.proxy.asked.clear()
                self.proxy.redirects = {"pulp.example": f"http://{target}/f.run"}
                self.bad(fetch(self.url, DATA, proxy=self.proxy.base), "refused: a redirect to")
                self.assertEqual(self.proxy.asked, [self.url])

    def test_redirects_elsewhere_are_followed(self):
        for target in ("cdn.example", "169.253.1.1", "10.0.0.1", "[fd00::1]", "128.0.0.1"):
            with self.subTest(target):
                self.proxy.redirects = {"pulp.example": f"http://{target}/f.run"}
                self.good(fetch(self.url, DATA, proxy=self.proxy.base))


if __name__ == "__main__":
    unittest.main()
