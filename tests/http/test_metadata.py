#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the worker's job `metadata` finds out: config drive, metadata service, and services behind it that fail."""

import base64
import json
import socket
import time
import unittest

from server import Server, always
from worker import call, memfd

FOLDER = "/openstack/latest/"
TWO, ONE = FOLDER + "vendor_data2.json", FOLDER + "vendor_data.json"


def document(**ours):
    return json.dumps({"vgpu_guest_agent": ours}).encode()


class Metadata(unittest.TestCase):
    def setUp(self):
        self.server = Server().__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)

    def ask(self, drive=(), service=None, timeout=4, environment=None, **more):
        request = {"job": "metadata", "service": service or self.server.base, "timeout": timeout,
                   "drive": [{"name": name, "input": 4 + i} for i, (name, _) in enumerate(drive)], **more}
        if service == "off":
            del request["service"]
        outcome = call(request, [memfd(data) for _, data in drive], environment)
        self.assertIsNotNone(outcome.result, outcome)
        self.assertEqual(set(outcome.result), {"found", "object", "token", "token_source", "token_check", "sources", "service",
                                               "warnings", "silent", "service_object", "service_token_sha256"})
        return outcome.result

    def test_a_silent_service_is_told_from_one_that_says_nothing(self):
        drive = [("openstack/latest/vendor_data2.json", document(client_token="old"))]
        for name, path, answer, silent in (
                ("no document", TWO, None, False), ("an empty one", TWO, b"{}", False), ("another's", TWO, b'{"x": {"y": 1}}', False),
                ("a service behind it failed", TWO, b'{"x": {}}', True), ("in trouble", TWO, 500, True),
                ("a portal's page", TWO, b"<html>", True), ("cut off", TWO, b'{"vgpu_guest', True), ("not a byte", TWO, b"", True),
                ("no object", TWO, b"null", True), ("we are no object", TWO, b'{"vgpu_guest_agent": null}', True),
                ("the plain one in trouble", ONE, 500, True), ("the plain one a page", ONE, b"<html>", True)):
            for known in (False, True):
                with self.subTest(name, known=known):
                    self.server.files.clear()
                    self.server.faults.clear()
                    if answer == 500:
                        self.server.faults[path] = always(lambda handler: handler.answer(500))
                    elif answer is not None:
                        self.server.files[path] = answer
                    result = self.ask(drive, timeout=1 if silent else 20, known=known)
                    self.assertEqual(result["silent"], silent)
                    self.assertEqual(result["token"], None if silent and known else "old")
                    self.assertEqual(result["service_object"], {})
                    self.assertIsNone(result["service_token_sha256"])

    def test_the_service_wins_over_the_drive_by_key(self):
        self.server.files[TWO] = json.dumps({"static": {}, "nvidia": {"vgpu_guest_agent": {
            "client_token": "new", "license": {"feature_type": 1}}}}).encode()
        self.server.files[ONE] = document(license={"feature_type": 2, "wait": 5})
        result = self.ask([("openstack/latest/vendor_data.json", document(client_token="old", license={"wait": 7})),
                           ("openstack/latest/vendor_data2.json", document(driver={"repository": "r"}))])
        self.assertEqual(result["object"], {"license": {"feature_type": 1, "wait": 5}, "driver": {"repository": "r"}})
        self.assertEqual((result["token"], result["token_source"]), ("new", "metadata service, vendor_data2.json"))
        self.assertEqual(result["sources"], [
            "metadata service, vendor_data2.json", "metadata service, vendor_data.json",
            "config drive, vendor_data2.json", "config drive, vendor_data.json"])
        self.assertEqual((result["service"], result["found"], result["warnings"]), ("answered", True, []))

    def test_a_token_may_be_base64(self):
        self.server.files[ONE] = document(client_token_base64=base64.b64encode(b"a.b.c").decode())
        result = self.ask()
        self.assertEqual(result["token"], "a.b.c")
        self.assertEqual(result["token_check"], call({"job": "token", "input": 4}, [memfd(b"a.b.c")]).result)

    def test_the_drive_alone_is_enough(self):
        result = self.ask([("vendor_data2.json", document(client_token="t"))], service="off")
        self.assertEqual((result["service"], result["token"]), ("off", "t"))
        self.assertEqual(self.server.requests, [])

    def test_no_documents_are_a_quick_absence(self):
        start = time.monotonic()
        result = self.ask(timeout=30)
        self.assertEqual((result["service"], result["found"], result["warnings"]), ("absent", False, []))
        self.assertIsNone(result["token"])
        self.assertIsNone(result["token_check"])
        self.assertLess(time.monotonic() - start, 15)

    def test_nobody_listening_is_a_quick_absence(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            start = time.monotonic()
            result = self.ask(service=f"http://127.0.0.1:{closed.getsockname()[1]}", timeout=30)
        self.assertEqual((result["service"], result["warnings"]), ("absent", []))
        self.assertLess(time.monotonic() - start, 15)

    def test_a_service_that_fails_is_a_warning_in_time(self):
        for path in (ONE, TWO):
            self.server.faults[path] = always(lambda handler: handler.answer(500))
        start = time.monotonic()
        result = self.ask([("vendor_data.json", document(client_token="t"))], timeout=2)
        self.assertEqual((result["service"], result["token"]), ("absent", "t"))
        self.assertIn("500", result["warnings"][0])
        self.assertLess(time.monotonic() - start, 10)

    def test_the_plain_document_counts_where_the_dynamic_one_fails(self):
        self.server.faults[TWO] = always(lambda handler: handler.answer(500))
        self.server.files[ONE] = document(client_token="t")
        result = self.ask(timeout=2)
        self.assertEqual((result["service"], result["token"], len(result["warnings"])), ("answered", "t", 1))

    def test_an_answer_without_a_byte_is_a_warning(self):
        self.server.files[TWO] = b""
        result = self.ask()
        self.assertEqual(result["warnings"], ["metadata service, vendor_data2.json: no JSON: line 1, column 0 is not what may "
                                              "stand there"])

    def test_an_empty_answer_is_asked_again(self):
        empty = json.dumps({"static": {}, "nvidia": {}}).encode()
        self.server.files[TWO] = json.dumps({"nvidia": {"vgpu_guest_agent": {"client_token": "t"}}}).encode()
        self.server.faults[TWO] = [lambda handler: handler.answer(200, empty)]
        result = self.ask(timeout=20)
        self.assertEqual((result["service"], result["token"]), ("answered", "t"))

    def test_a_service_that_stays_empty_is_said(self):
        self.server.files[TWO] = json.dumps({"vgpu_guest_agent": {}}).encode()
        self.server.files[ONE] = document(license={"feature_type": 1})
        start = time.monotonic()
        result = self.ask(timeout=3)
        self.assertEqual((result["service"], result["found"]), ("empty", True))
        self.assertEqual(result["warnings"],
                         ["metadata service, vendor_data2.json: a vendordata service behind it gives nothing"])
        self.assertGreater(len(self.server.requests), 2)
        self.assertLess(time.monotonic() - start, 15)

    def test_a_wholly_empty_document_is_none_and_not_asked_again(self):
        self.server.files[TWO] = b"{}"
        result = self.ask(timeout=30)
        self.assertEqual((result["service"], result["found"], result["warnings"]), ("answered", False, []))
        self.assertEqual(len(self.server.requests), 2)

    def test_what_is_no_json_is_a_warning(self):
        self.server.files[TWO] = b"<html>"
        self.server.files[ONE] = document(client_token="t")
        result = self.ask()
        self.assertEqual(result["token"], "t")
        self.assertIn("metadata service, vendor_data2.json: no JSON", result["warnings"][0])

    def test_an_answer_has_its_limit(self):
        self.server.files[TWO] = document(x="y" * (1 << 20))
        result = self.ask([("vendor_data2.json", document(client_token="t"))], timeout=2)
        self.assertEqual(result["token"], "t")
        self.assertEqual(len(result["warnings"]), 1)
        self.assertEqual(len(self.ask([("vendor_data.json", b" " * ((1 << 20) + 1))], service="off")["warnings"]), 1)

    def test_no_proxy_is_ever_asked(self):
        self.server.files[ONE] = document(client_token="t")
        proxy = "http://127.0.0.1:9"
        result = self.ask(environment={"http_proxy": proxy, "HTTP_PROXY": proxy, "all_proxy": proxy, "ALL_PROXY": proxy})
        self.assertEqual(result["token"], "t")


class Token(unittest.TestCase):
    def check(self, content):
        return call({"job": "token", "input": 4}, [memfd(content)]).result

    def test_a_file_is_read_from_its_beginning(self):
        result = self.check(b"hello")
        self.assertEqual((result["valid"], result["size"], result["problems"][0]["code"]), (False, 5, "not_a_token"))

    def test_a_file_that_is_too_large_is_not_read(self):
        result = self.check(b"a" * 70_000)
        self.assertEqual((result["size"], result["problems"][0]["code"]), (70_000, "too_large"))

    def test_no_file_is_a_missing_token(self):
        self.assertEqual(call({"job": "token"}).result["problems"][0]["code"], "missing")


if __name__ == "__main__":
    unittest.main()
