#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which license servers answer, as `plan` asks: a connection, nothing sent."""

import socket
import unittest

from worker import call


def probe(*servers):
    request = {"job": "probe", "timeout": 1, "servers": [{"host": host, "ports": ports} for host, ports in servers]}
    return call(request)


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


if __name__ == "__main__":
    unittest.main()
