#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the worker makes of a server's misbehaviour: the whole file, verified, or an error in words and nothing left."""

import hashlib
import os
import time
import unittest

import server as fault
from server import Server, always
from worker import call, fetch, memfd

DATA = os.urandom(1_000_003)
HALF = 500_000


class Download(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext_(Server())
        self.server.files["/f.run"] = DATA
        self.url = self.server.base + "/f.run"

    def enterContext_(self, manager):  # enterContext() is new in Python 3.11
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def fetch(self, faults=(), data=DATA, **options):
        self.server.faults["/f.run"] = faults if type(faults) is not tuple else list(faults)
        return fetch(self.url, data, **options)

    def good(self, outcome, requests=None):
        self.assertIsNotNone(outcome.result, outcome)
        self.assertEqual(outcome.result["sha256"], hashlib.sha256(DATA).hexdigest())
        self.assertEqual(outcome.result["size"], len(DATA))
        self.assertTrue(outcome.content == DATA)
        self.assertEqual(outcome.code, 0)
        if requests:
            self.assertEqual(len(self.server.requests), requests)

    def bad(self, outcome, name, words, requests=None):
        self.assertIsNotNone(outcome.error, outcome)
        self.assertEqual(outcome.error["name"], name, outcome)
        self.assertIn(words, outcome.error["message"])
        self.assertEqual(outcome.code, 0)
        if requests:
            self.assertEqual(len(self.server.requests), requests)

    def resumed(self, outcome, at):
        self.good(outcome, 2)
        self.assertEqual(self.server.ranges, [None, f"bytes={at}-"])

    def from_zero(self, outcome, first):
        """The range of the first request was of no use: the second has none."""
        self.good(outcome, 2)
        self.assertEqual(self.server.ranges, [first, None])

    # A good server

    def test_whole_file_in_one_request(self):
        outcome = self.fetch()
        self.good(outcome, 1)
        self.assertEqual(outcome.result["bytes_transferred"], len(DATA))
        self.assertFalse(outcome.result["verified"])
        self.assertEqual(self.server.requests[0].command, "GET")
        self.assertNotIn("If-Range", self.server.requests[0].headers)
        self.assertNotIn("Accept-Encoding", self.server.requests[0].headers)
        self.assertEqual(outcome.progress[-1], {"done": len(DATA), "total": len(DATA)})

    def test_nothing_known_beforehand(self):
        self.good(self.fetch(data=None), 1)

    def test_empty_file(self):
        self.server.files["/f.run"] = b""
        outcome = self.fetch(data=None)
        self.assertEqual(outcome.result["size"], 0)

    def test_upper_case_checksum(self):
        self.good(self.fetch(sha256=hashlib.sha256(DATA).hexdigest().upper()))

    # The partial file of an earlier run

    def test_partial_file_is_hashed_and_continued(self):
        outcome = self.fetch(held=DATA[:HALF])
        self.good(outcome, 1)
        self.assertEqual(self.server.ranges, [f"bytes={HALF}-"])
        self.assertEqual(outcome.result["bytes_transferred"], len(DATA) - HALF)

    def test_whole_partial_file_needs_no_request(self):
        outcome = self.fetch(held=DATA)
        self.good(outcome)
        self.assertEqual(self.server.requests, [])
        self.assertEqual(outcome.result["bytes_transferred"], 0)

    def test_poisoned_partial_file_is_dropped(self):
        self.from_zero(self.fetch(held=b"x" * HALF), f"bytes={HALF}-")

    def test_poisoned_whole_file_is_dropped(self):
        self.good(self.fetch(held=b"x" * len(DATA)), 1)

    def test_too_long_partial_file_is_dropped(self):
        self.good(self.fetch(held=DATA + b"x"), 1)

    def test_without_checksum_nothing_is_resumed(self):
        self.good(self.fetch(data=None, held=DATA[:HALF]), 1)
        self.assertEqual(self.server.ranges, [None])

    def test_416_for_a_whole_file_of_unknown_size(self):
        self.good(self.fetch(held=DATA, size=0), 1)
        self.assertEqual(self.server.ranges, [f"bytes={len(DATA)}-"])

    def test_416_for_a_wrong_file_of_unknown_size(self):
        held = b"x" * (len(DATA) + 5)
        self.from_zero(self.fetch(held=held, size=0), f"bytes={len(held)}-")

    def test_416_for_a_partial_file(self):
        refuse = fault.status(416, headers=[("Content-Range", "bytes */77")])
        self.from_zero(self.fetch([refuse], held=DATA[:HALF]), f"bytes={HALF}-")

    # Cuts

    def test_cut_with_length(self):
        self.resumed(self.fetch([fault.cut(HALF)]), HALF)

    def test_cut_of_chunks(self):
        self.resumed(self.fetch([fault.chunked(after=HALF)]), HALF)

    def test_cut_without_length_or_chunks(self):
        self.resumed(self.fetch([fault.cut_without_length(HALF)]), HALF)

    def test_reset(self):
        self.good(self.fetch([fault.reset(HALF)]), 2)

    def test_close_before_the_answer(self):
        self.good(self.fetch([fault.close()]), 2)

    def test_cut_in_the_head(self):
        for head in (b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"):
            with self.subTest(head):
                self.server.requests.clear()
                self.good(self.fetch([fault.raw(head)]), 2)

    def test_stall(self):
        begin = time.monotonic()
        self.resumed(self.fetch([fault.stall(1500)], stall_timeout=1), 1500)
        self.assertLess(time.monotonic() - begin, 10)

    def test_silence_instead_of_an_answer(self):
        self.good(self.fetch([fault.silence()], stall_timeout=1), 2)

    def test_drip(self):
        self.good(self.fetch([fault.drip(1500)], stall_timeout=1), 2)

    def test_cut_without_checksum_starts_again(self):
        self.good(self.fetch([fault.cut(HALF)], data=None), 2)
        self.assertEqual(self.server.ranges, [None, None])

    def test_progress_resets_the_count(self):
        self.good(self.fetch([fault.cut(100_000)] * 9, retries=1), 10)

    def test_cuts_at_the_same_place_come_to_an_end(self):
        outcome = self.fetch(always(fault.cut(HALF)), data=None, retries=2)
        self.bad(outcome, "network", "(3 tries)", 3)

    def test_what_came_is_kept_for_the_next_run(self):
        outcome = self.fetch([fault.cut(HALF), *[fault.status(502)] * 9])
        self.bad(outcome, "network", "HTTP 502")
        self.assertTrue(outcome.content == DATA[:HALF])

    # Answers to a range that are none

    def test_range_ignored(self):
        self.good(self.fetch([fault.ignore_range()], held=DATA[:HALF]), 1)

    def test_range_ignored_after_a_cut(self):
        self.good(self.fetch([fault.cut(HALF), fault.ignore_range()]), 2)

    def unfit(self, content_range, start=0):
        outcome = self.fetch([fault.partial(content_range, start)], held=DATA[:HALF])
        self.from_zero(outcome, f"bytes={HALF}-")

    def test_range_with_another_start(self):
        self.unfit(f"bytes 0-{len(DATA) - 1}/{len(DATA)}")

    def test_range_without_content_range(self):
        self.unfit(None, HALF)

    def test_range_of_a_file_of_another_size(self):
        self.unfit(f"bytes {HALF}-{len(DATA)}/{len(DATA) + 1}", HALF)

    def test_range_that_ends_early(self):
        self.unfit(f"bytes {HALF}-{len(DATA) - 2}/{len(DATA)}", HALF)

    def test_range_as_pulps_broken_suffix(self):
        self.unfit(f"bytes -10-{len(DATA) - 1}/{len(DATA)}")

    def test_range_without_total(self):
        self.unfit(f"bytes {HALF}-{len(DATA) - 1}/*", HALF)

    def test_cut_after_an_unfit_range_starts_again(self):
        outcome = self.fetch([fault.partial(None, HALF), fault.cut(HALF)], held=DATA[:HALF])
        self.good(outcome, 3)
        self.assertEqual(self.server.ranges, [f"bytes={HALF}-", None, None])

    def test_range_nobody_asked_for(self):
        whole = f"bytes 0-{len(DATA) - 1}/{len(DATA)}"
        self.bad(self.fetch([fault.partial(whole)]), "network", "HTTP 206", 1)

    def test_file_changed_during_resume(self):
        self.server.files["/f.run"] = os.urandom(len(DATA))
        outcome = self.fetch(held=DATA[:HALF])
        self.bad(outcome, "integrity", "the SHA-256 is", 2)
        self.assertEqual(self.server.ranges, [f"bytes={HALF}-", None])
        self.assertEqual(outcome.content, b"")

    # Wrong bytes

    def test_one_bad_bit_once(self):
        self.from_zero(self.fetch([fault.corrupt(77)]), None)

    def test_one_bad_bit_always(self):
        outcome = self.fetch(always(fault.corrupt(77)))
        self.bad(outcome, "integrity", f"expected was {hashlib.sha256(DATA).hexdigest()}", 2)
        self.assertIn("publish", outcome.error["hint"])
        self.assertEqual(outcome.content, b"")

    def test_on_demand_retries_into_the_same_answer(self):
        outcome = self.fetch([fault.chunked(after=300_000, repeat=4)])
        self.good(outcome, 2)
        self.assertEqual(self.server.ranges, [None, None])

    def test_endless_body(self):
        outcome = self.fetch(always(fault.chunked(extra=b"x" * 5000)))
        self.bad(outcome, "integrity", f"more than the {len(DATA)} bytes expected", 2)
        self.assertEqual(outcome.content, b"")

    def test_endless_body_of_unknown_size(self):
        outcome = self.fetch(data=None, max_size=70_000)
        self.bad(outcome, "integrity", "more than the 70000 bytes expected")
        self.assertEqual(outcome.content, b"")

    def test_length_smaller_than_promised(self):
        outcome = self.fetch(always(fault.lengths(len(DATA) - 1)))
        self.bad(outcome, "integrity", f"has {len(DATA) - 1} bytes, expected were {len(DATA)}")
        self.assertEqual(outcome.content, b"")

    def test_length_larger_than_promised(self):
        self.bad(self.fetch(always(fault.lengths(len(DATA) + 9))), "integrity", "expected were")

    def test_two_lengths(self):
        outcome = self.fetch(always(fault.lengths(len(DATA) + 1, len(DATA))))
        self.bad(outcome, "integrity", "two different sizes")

    def test_sign_in_page_instead_of_the_file(self):
        page = fault.status(200, body=b"<html>Please sign in to the network</html>")
        outcome = self.fetch(always(page))
        self.bad(outcome, "integrity", "has 42 bytes")
        self.assertEqual(outcome.content, b"")

    def test_compressed(self):
        outcome = self.fetch(always(fault.compressed()))
        self.bad(outcome, "integrity", "compressed")
        self.assertIn("compression", outcome.error["hint"])
        self.assertEqual(outcome.content, b"")

    def test_compressed_with_nothing_known(self):
        self.bad(self.fetch(always(fault.compressed("br")), data=None), "integrity", "compressed")

    def test_identity_is_no_compression(self):
        plain = fault.status(200, body=DATA, headers=[("Content-Encoding", "identity")])
        self.good(self.fetch([plain]), 1)

    # Odd forms of good answers

    def test_chunks(self):
        self.good(self.fetch([fault.chunked()]), 1)

    def test_trailers_say_nothing(self):
        self.good(self.fetch([fault.chunked(trailer=b"Content-Length: 5\r\nContent-Encoding: gzip\r\n")]), 1)

    def test_interim_answer(self):
        head = b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: gzip\r\n\r\n"
        good = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(DATA)
        self.good(self.fetch([fault.raw(head + good + DATA)]), 1)

    def test_no_http_at_all(self):
        self.bad(self.fetch(always(fault.raw(b"just bytes, no header\n" * 50))), "network", "HTTP/0.9")

    def test_endless_head(self):
        head = b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 90_000 + b"\r\n"
        outcome = self.fetch(always(fault.raw(head + head[17:] * 4)))
        self.assertEqual(outcome.error["name"], "network")
        self.assertEqual(outcome.content, b"")

    # Statuses

    def test_retried_statuses(self):
        for code in (408, 425, 429, 500, 502, 503, 504):
            with self.subTest(code):
                self.server.requests.clear()
                self.good(self.fetch([fault.status(code), fault.status(code)]), 3)

    def test_retries_are_counted(self):
        outcome = self.fetch(always(fault.status(502, "Bad Gateway")))
        self.bad(outcome, "network", f"{self.url}: HTTP 502 Bad Gateway (4 tries)", 4)
        self.assertEqual(outcome.content, b"")

    def test_a_busy_server_is_asked_forty_times(self):
        for code in (429, 503):
            with self.subTest(code):
                self.server.requests.clear()
                self.good(self.fetch([fault.status(code)] * 40, retries=8), 41)

    def test_a_busy_server_is_not_asked_for_ever(self):
        outcome = self.fetch(always(fault.status(503, "Service Unavailable")), retries=1)
        self.bad(outcome, "network", f"{self.url}: HTTP 503 Service Unavailable")
        self.assertLess(len(self.server.requests), 40)

    def test_without_retries_a_busy_server_is_asked_once(self):
        self.bad(self.fetch(always(fault.status(503)), retries=0), "network", "HTTP 503", 1)

    def test_refusals_are_final(self):
        for code in (400, 401, 405, 410, 451):
            with self.subTest(code):
                self.server.requests.clear()
                self.bad(self.fetch(always(fault.status(code))), "network", f"HTTP {code}", 1)

    def test_other_successes_are_none(self):
        for code in (201, 203, 204, 300, 304):
            with self.subTest(code):
                self.server.requests.clear()
                body = b"" if code in (204, 304) else DATA
                outcome = self.fetch(always(fault.status(code, body=body)))
                self.bad(outcome, "network", f"HTTP {code}", 1)
                self.assertEqual(outcome.content, b"")

    def test_404_is_asked_few_times(self):
        outcome = self.fetch(always(fault.status(404)), retries=8)
        self.bad(outcome, "network", "HTTP 404", 3)
        self.assertEqual(outcome.error["errnum"], 2)
        self.assertIn("publication", outcome.error["hint"])

    def test_404_may_pass(self):
        self.good(self.fetch([fault.status(404)]), 2)

    def test_403_says_what_a_guard_wants(self):
        outcome = self.fetch(always(fault.status(403, "A client certificate was not received")))
        self.bad(outcome, "network", "A client certificate was not received", 3)
        for key in ("header_file", "netrc_file", "client_cert"):
            self.assertIn(key, outcome.error["hint"])

    def test_reason_is_bounded_and_clean(self):
        line = b"HTTP/1.1 403 \x1b[31mno" + b" way" * 2000 + b"\r\nContent-Length: 0\r\n\r\n"
        outcome = self.fetch(always(fault.raw(line)))
        self.bad(outcome, "network", "HTTP 403 ?[31mno way")
        self.assertLess(len(outcome.error["message"]), 300)

    def test_retry_after_is_honoured(self):
        begin = time.monotonic()
        busy = fault.status(503, headers=[("Retry-After", "2")])
        self.good(self.fetch([busy]), 2)
        self.assertGreaterEqual(time.monotonic() - begin, 2)

    def test_waiting_worker_gives_signs_of_life(self):
        busy = fault.status(503, headers=[("Retry-After", "7")])
        outcome = self.fetch([busy])
        self.good(outcome, 2)
        self.assertIn({"done": 0, "total": 0}, outcome.progress)
        [waiting] = [line for line in outcome.progress if "waiting" in line]
        self.assertIn(waiting["waiting"], range(7, 15))
        self.assertIn("503", waiting["why"])

    # Errors that are not the server's

    def test_nobody_listens(self):
        outcome = fetch("http://127.0.0.1:9/f.run", DATA)
        self.bad(outcome, "network", "(4 tries)")
        self.assertIn("http://127.0.0.1:9/f.run: ", outcome.error["message"])

    def test_no_such_name(self):
        outcome = fetch("http://pulp.invalid/f.run", DATA, retries=0)
        self.bad(outcome, "network", "pulp.invalid")
        self.assertIn("DNS", outcome.error["hint"])

    def test_no_url_for_us(self):
        for url in ("ftp://127.0.0.1/f", "file:///etc/passwd", "http://a b/", "http:///f", "http://h:99999/", "x"):
            with self.subTest(url):
                self.bad(fetch(url, DATA), "usage", "no http or https URL")

    def test_secrets_of_the_url_stay_out_of_errors(self):
        url = self.url.replace("://", "://user:pa55@") + "?validate_token=s3cret#f"
        self.server.faults["/f.run"] = always(fault.status(503))
        outcome = fetch(url, DATA)
        self.bad(outcome, "network", self.url)
        for secret in ("pa55", "s3cret", "user"):
            self.assertNotIn(secret, str(outcome.error))

    def test_output_that_takes_nothing(self):
        fd = memfd(b"")
        self.addCleanup(os.close, fd)
        read_only = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
        self.addCleanup(os.close, read_only)
        outcome = call({"job": "fetch", "url": self.url, "output": 4, "max_size": 9, "http": {}}, [read_only])
        self.bad(outcome, "internal", "the file to write")

    def test_rate_limit(self):
        self.server.files["/f.run"] = data = bytes(8 << 20)
        begin = time.monotonic()
        outcome = self.fetch(data=data, rate_limit_kib=4096)
        self.assertTrue(outcome.content == data, outcome)
        self.assertGreater(time.monotonic() - begin, 0.9)


if __name__ == "__main__":
    unittest.main()
