#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which license servers answer, as `plan` asks: a connection, nothing sent. As `doctor` asks: TLS with whoever answers, and its Date."""

import contextlib
import email.utils
import os
import socket
import ssl
import tempfile
import threading
import time
import unittest

from authority import Authority
from worker import call


def probe(*servers, **more):
    request = {"job": "probe", "timeout": 1, "servers": [{"host": host, "ports": ports} for host, ports in servers], **more}
    return call(request)


@contextlib.contextmanager
def answering(answer, context=None):
    """One connection at a time gets these bytes; with a TLS context behind its handshake. Gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    accepted, _ = listener.accept()
                    with contextlib.suppress(OSError), accepted:
                        if context:
                            accepted = context.wrap_socket(accepted, server_side=True)
                        if context:
                            accepted.recv(4096)
                        accepted.sendall(answer)
                        accepted.close()
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


class Probe(unittest.TestCase):
    def outcomes(self, *servers):
        outcome = probe(*servers)
        self.assertIsNotNone(outcome.result, outcome)
        return [server["outcome"] for server in outcome.result["servers"]]

    def test_a_server_that_listens_is_open_and_gets_no_byte(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.assertEqual(self.outcomes(("127.0.0.1", [listener.getsockname()[1]])), ["open"])
            accepted, _ = listener.accept()
            with accepted:
                self.assertEqual(accepted.recv(1), b"")

    def test_a_closed_port_is_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.assertEqual(self.outcomes(("127.0.0.1", [port])), ["refused"])

    def test_a_full_backlog_is_filtered(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
            self.assertEqual(self.outcomes(("127.0.0.1", [listener.getsockname()[1]])), ["filtered"])
            for one in waiting:
                one.close()

    def test_a_name_without_address_is_dns(self):
        self.assertEqual(self.outcomes(("no-such-host.invalid", [443])), ["dns"])

    def test_what_is_no_server_is_left_out(self):
        self.assertEqual(self.outcomes(("", [443]), ("127.0.0.1", [0]), ("127.0.0.1", [70000])), [])


def date_of(offset):
    """An answer whose clock is so many seconds ahead."""
    return f"HTTP/1.1 404 Not Found\r\nDate: {email.utils.formatdate(time.time() + offset, usegmt=True)}\r\n".encode()


class Date(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        ca = Authority(os.path.join(folder.name, "ca"))
        ca.issue("server", "DNS:elsewhere.example")  # neither known to the guest nor of this name
        cls.context = ca.server()

    def ask(self, port):
        outcome = probe(("127.0.0.1", [port]), date=True)
        self.assertIsNotNone(outcome.result, outcome)
        [server] = outcome.result["servers"]
        return server

    def test_the_offset_is_read_whoever_answers(self):
        for ahead in (0, 3600, -86400):
            with answering(date_of(ahead) + b"Content-Length: 0\r\n\r\n", self.context) as port:
                server = self.ask(port)
            self.assertEqual(server["outcome"], "open")
            self.assertLessEqual(abs(server["offset"] + ahead), 2)

    def test_a_body_without_end_is_not_read(self):
        with answering(date_of(60) + b"\r\n" + b"x" * 1_000_000, self.context) as port:
            began = time.monotonic()
            self.assertLessEqual(abs(self.ask(port)["offset"] + 60), 2)
        self.assertLess(time.monotonic() - began, 15)

    def test_no_date_and_nonsense_are_no_offset(self):
        for header in (b"", b"Date: yesterday\r\n", b"Date:\r\n", b"Date: " + b"9" * 5000 + b"\r\n"):
            with answering(b"HTTP/1.1 200 OK\r\n" + header + b"Content-Length: 0\r\n\r\n", self.context) as port:
                server = self.ask(port)
            self.assertEqual((server["outcome"], server["offset"]), ("open", None), header[:20])

    def test_plain_text_on_the_port_is_tls(self):
        with answering(b"220 no TLS here\r\n") as port:
            server = self.ask(port)
        self.assertEqual((server["outcome"], server["offset"]), ("tls", None))
        self.assertTrue(server["detail"])

    def test_silence_where_tls_should_begin_is_tls(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.assertEqual(self.ask(listener.getsockname()[1])["outcome"], "tls")

    def test_a_redirect_is_not_followed(self):
        with socket.create_server(("127.0.0.1", 0)) as target:
            answer = date_of(0) + b"Location: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % target.getsockname()[1]
            with answering(answer.replace(b"404 Not Found", b"302 Found"), self.context) as port:
                self.assertEqual(self.ask(port)["outcome"], "open")
            target.settimeout(0.2)
            self.assertRaises(OSError, target.accept)


if __name__ == "__main__":
    unittest.main()
