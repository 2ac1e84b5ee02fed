#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The member of a bundle in one pass, by ranges or as the whole passes by: what it is beside Python's zipfile, and what servers that
misbehave make of it. Either the promised member is there, or an error and nothing."""

import hashlib
import io
import json
import os
import random
import struct
import time
import unittest
import zipfile

import server as fault
from server import Server, always
from test_bundle import DEB, HOST, LAYOUTS, RPM, RUN, archive
from worker import call, end, start

PATH = "/pulp/content/nvidia/a.zip"
DATA = b"#! /bin/sh\nversion_string=525.105.17\n" + random.Random(1).randbytes(1_500_000) + bytes(600_000)
MEMBER = f"Guest_Drivers/{RUN}"


def layout(name, data=DATA):
    return [(member, data if member.endswith(RUN) else content) for member, content in LAYOUTS[name]]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def entry_of(bundle, **changes):
    """What an index says of the member."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as opened:
        info = opened.getinfo(MEMBER)
        content = opened.read(MEMBER)
    return {"name": MEMBER, "offset": info.header_offset, "method": info.compress_type, "compressed_size": info.compress_size,
            "size": info.file_size, "sha256": sha256(content), **changes}


WAYS = {
    "stored": {"method": zipfile.ZIP_STORED}, "deflated": {}, "descriptors": {"stream": True}, "zip64": {"zip64": True},
    "zip64 with descriptors": {"zip64": True, "stream": True}, "comment": {"comment": b"a comment " * 20},
    "stored with descriptors": {"method": zipfile.ZIP_STORED, "stream": True},
}


class Member(unittest.TestCase):
    def setUp(self):
        self.server = Server().__enter__()
        self.addCleanup(self.server.__exit__)
        self.output, self.note = os.memfd_create("output"), os.memfd_create("note")
        self.addCleanup(os.close, self.output)
        self.addCleanup(os.close, self.note)
        self.bundle = archive(layout("folders"))

    def request(self, ranges=True, entry=None, known=True, kinds=("run",), max_member=1 << 30, **http):
        bundle = self.bundle
        request = {"job": "member", "url": self.server.base + PATH, "output": 4, "note": 5, "ranges": ranges,
                   "max_size": 1 << 30, "max_member": max_member,
                   "wish": {"bundle": "a.zip", "arch": "x86_64", "kinds": list(kinds)},
                   "http": {"proxy": "", "retries": 3, "retry_base_ms": 1, "connect_timeout": 5, "stall_timeout": 20, **http}}
        if known:
            request.update(size=len(bundle), sha256=sha256(bundle))
        if entry:
            request["entry"] = entry
        return request

    def ask(self, faults=(), **options):
        request = self.request(**options)
        self.server.files.setdefault(PATH, self.bundle)
        self.server.faults[PATH] = faults if type(faults) is not tuple else list(faults)
        outcome = call(request, [self.output, self.note])
        outcome.content = os.pread(self.output, 1 << 28, 0)
        return outcome

    def good(self, outcome, transfer, data=DATA, name=MEMBER):
        self.assertIsNotNone(outcome.result, outcome)
        result = outcome.result
        self.assertEqual(result["transfer"], transfer, result)
        self.assertTrue(outcome.content == data)
        self.assertEqual((result["size"], result["sha256"]), (len(data), sha256(data)))
        self.assertFalse(result["verified"])
        return result

    def bad(self, outcome, words, name="integrity"):
        self.assertIsNotNone(outcome.error, outcome)
        self.assertEqual(outcome.error["name"], name, outcome)
        self.assertIn(words, outcome.error["message"])
        if name == "integrity":
            self.assertEqual(outcome.content, b"", "nothing is left")


class Ranges(Member):
    def test_every_layout_and_every_way_of_writing(self):
        for name in LAYOUTS:
            for way, options in WAYS.items():
                with self.subTest(f"{name}, {way}"):
                    self.bundle = self.server.files[PATH] = archive(layout(name), **options)
                    outcome = self.ask()
                    result = self.good(outcome, "member")
                    self.assertTrue(result["member"]["name"].endswith(RUN))
                    self.assertEqual((result["member"]["kind"], result["member"]["version"], result["member"]["arch"],
                                      result["member"]["size"]), ("run", "525.105.17", "x86_64", len(DATA)))
                    self.assertEqual(outcome.progress[-1]["done"], outcome.progress[-1]["total"])

    def test_two_requests_where_the_size_is_known_and_no_suffix_range(self):
        outcome = self.ask()
        self.good(outcome, "member")
        self.assertEqual(len(self.server.requests), 2)
        for asked in self.server.ranges:
            self.assertRegex(asked, r"^bytes=\d+-\d+$")

    def test_the_size_is_asked_for_where_it_is_not_known(self):
        self.good(self.ask(known=False), "member")
        self.assertEqual(self.server.ranges[0], "bytes=0-0")
        self.assertEqual(len(self.server.requests), 3)

    def test_with_an_index_one_request_of_hardly_more_than_the_member(self):
        for way, options in WAYS.items():
            with self.subTest(way):
                self.server.requests.clear()
                self.bundle = self.server.files[PATH] = archive(layout("folders"), **options)
                entry = entry_of(self.bundle)
                result = self.good(self.ask(entry=entry), "member")
                self.assertEqual(len(self.server.requests), 1)
                self.assertLess(result["bytes_transferred"], entry["compressed_size"] + 300)

    def test_a_local_header_with_a_long_extra_field(self):
        info = zipfile.ZipInfo(MEMBER)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as made:
            made.writestr("a.pdf", b"x")
            info.extra = struct.pack("<HH", 0x4444, 3000) + bytes(3000)
            made.writestr(info, DATA, zipfile.ZIP_DEFLATED)
        self.bundle = file.getvalue()
        self.good(self.ask(entry=entry_of(self.bundle)), "member")
        self.assertEqual(len(self.server.requests), 2)

    def test_a_cut_in_the_member_is_continued_there(self):
        for way in ("stored", "deflated"):
            with self.subTest(way):
                self.server.requests.clear()
                self.bundle = self.server.files[PATH] = archive(layout("folders"), **WAYS[way])
                entry = entry_of(self.bundle)
                result = self.good(self.ask([fault.cut(700_000), fault.reset(300_000)], entry=entry), "member")
                self.assertEqual(self.server.ranges[1].partition("-")[0], f"bytes={entry['offset'] + 700_000}")
                self.assertLess(result["bytes_transferred"], entry["compressed_size"] + 300)

    def stopped(self, entry, after, unpacked):
        """A worker that gets so much of the member and is killed once so much is unpacked and noted."""
        self.server.files[PATH] = self.bundle
        self.server.faults[PATH] = [fault.stall(after)]
        process, talk = start(self.request(entry=entry), [self.output, self.note])
        late = time.monotonic() + 20
        while os.fstat(self.output).st_size < unpacked or not os.fstat(self.note).st_size:
            self.assertLess(time.monotonic(), late)
            time.sleep(0.02)
        end(process, talk)
        self.server.requests.clear()

    def large(self, **options):
        """Half of it in blocks that end at any bit."""
        chance = random.Random(2)
        data = b"#! /bin/sh\n" + chance.randbytes(10 << 20).hex().encode() + chance.randbytes(10 << 20)
        self.bundle = archive(layout("folders", data), **options)
        return data

    def test_after_a_kill_only_the_rest_is_fetched(self):
        for way in ("stored", "deflated"):
            with self.subTest(way):
                os.ftruncate(self.output, 0)
                os.ftruncate(self.note, 0)
                data = self.large(**WAYS[way])
                entry = entry_of(self.bundle)
                for unpacked in (9 << 20, 18 << 20):
                    self.stopped(entry, 12 << 20, unpacked)
                result = self.good(self.ask(entry=entry), "member", data)
                self.assertEqual(len(self.server.requests), 1)
                self.assertLess(result["bytes_transferred"], entry["compressed_size"] - (6 << 20))

    def test_after_a_kill_what_was_changed_meanwhile_is_no_reason_to_fail(self):
        data = self.large()
        entry = entry_of(self.bundle)
        for change in ("output", "note", "bundle"):
            with self.subTest(change):
                os.ftruncate(self.output, 0)
                os.ftruncate(self.note, 0)
                self.stopped(entry, 12 << 20, 9 << 20)
                if change == "output":
                    os.pwrite(self.output, b"garbage", 1000)
                elif change == "note":
                    note = os.pread(self.note, 200, 0).split()
                    note[3] = b"%d" % (int(note[3]) - 17)
                    os.pwrite(self.note, b" ".join(note) + b" \n", 0)
                self.good(self.ask(entry=entry), "member", data)

    def test_notes_that_cannot_be_are_none(self):
        entry = entry_of(self.bundle)
        place = f"{entry['offset']} {entry['compressed_size']}"
        for note in ("", "x", f"{place} 87 1 1 9 0 \n", f"{place} 87 1 1 2 9 \n", f"{place} 87 99999999999 1 0 0 \n",
                     f"{place} 87 1 99999999999 0 0 \n", f"{place} 99999999999 1 1 0 0 \n", "18446744073709551616 1 1 1 1 1 1 \n"):
            with self.subTest(note):
                os.ftruncate(self.note, 0)
                os.pwrite(self.note, note.encode(), 0)
                os.pwrite(self.output, b"12345", 0)
                self.good(self.ask(entry=entry), "member")

    def test_what_came_is_kept_for_the_next_run(self):
        entry = entry_of(self.bundle)
        outcome = self.ask([fault.cut(1_400_000), *[fault.status(500)] * 9], entry=entry)
        self.bad(outcome, "HTTP 500", "network")
        self.server.requests.clear()
        self.good(self.ask(entry=entry), "member")

    # Servers and proxies that have no ranges

    def whole_instead(self, faults, **options):
        result = self.good(self.ask(faults, **options), "whole")
        self.assertIn("part", result["why"])

    def test_range_ignored(self):
        self.whole_instead(always(fault.ignore_range()))
        self.assertEqual(len(self.server.requests), 2)
        self.whole_instead(always(fault.ignore_range()), entry=entry_of(self.bundle))
        self.whole_instead(always(fault.ignore_range()), known=False)

    def test_ranges_of_the_wrong_part(self):
        size = len(self.bundle)
        for text in (f"bytes 0-{size - 1}/{size}", f"bytes 1-5/{size}", "bytes 0-0/*", None, "bytes -5-7/9"):
            with self.subTest(text):
                self.whole_instead([fault.partial(text)])
                self.whole_instead([fault.partial(text)], entry=entry_of(self.bundle))

    def test_range_refused(self):
        self.whole_instead([fault.status(416, headers=[("Content-Range", "bytes */5")])])

    def test_compressed(self):
        self.whole_instead([fault.compressed()])
        self.bad(self.ask(always(fault.compressed())), "compressed")

    def test_a_range_of_a_bundle_of_another_size(self):
        self.whole_instead([fault.partial(f"bytes 0-4/{len(self.bundle) + 1}")])

    def test_a_range_that_goes_on_and_on(self):
        """The head is right and the body is longer."""
        entry = entry_of(self.bundle)

        def more(handler):
            start, end = handler.asked()
            handler.head(206, [("Content-Range", f"bytes {start}-{end - 1}/{len(handler.data)}"),
                               ("Transfer-Encoding", "chunked")])
            handler.chunk(handler.data[start:end] + b"x" * 100)
            handler.wfile.write(b"0\r\n\r\n")

        self.good(self.ask([more, more], entry=entry), "whole")

    def test_the_bundle_is_replaced_between_two_requests(self):
        other = archive(layout("folders", DATA[::-1]), comment=b"longer")

        def replace(handler):
            handler.serve()
            self.server.files[PATH] = other

        outcome = self.ask([None, replace], known=False)
        self.good(outcome, "member", DATA[::-1])

    def test_the_bundle_is_replaced_by_one_of_the_same_size(self):
        other = archive(layout("folders", DATA[::-1]), method=zipfile.ZIP_STORED)
        self.bundle = archive(layout("folders"), method=zipfile.ZIP_STORED)

        def replace(handler):
            handler.serve()
            self.server.files[PATH] = other

        self.assertEqual(len(other), len(self.bundle))
        self.good(self.ask([replace], known=False), "member", DATA[::-1])

    def test_what_is_refused_is_no_missing_range(self):
        self.bad(self.ask(always(fault.status(500))), "HTTP 500", "network")
        self.bad(self.ask(always(fault.status(404))), "HTTP 404", "network")
        self.assertNotIn(None, self.server.ranges)

    # Bytes that are not the promised ones

    def test_a_wrong_crc(self):
        at = entry_of(self.bundle)["offset"] + 500_000
        self.good(self.ask([None, fault.corrupt(at)], known=False), "member")
        self.bad(self.ask(always(fault.corrupt(at)), known=False), RUN)

    def test_a_wrong_sum_of_the_member(self):
        entry = entry_of(self.bundle)
        at = entry["offset"] + 500_000
        self.good(self.ask([fault.corrupt(at)], entry=entry), "member")
        self.good(self.ask([fault.corrupt(at)] * 2, entry=entry), "whole")
        self.bad(self.ask(always(fault.corrupt(at)), entry=entry), "SHA-256")

    def test_an_index_that_contradicts_the_bundle(self):
        for changes in ({"offset": 0}, {"offset": 40}, {"offset": 1 << 40}, {"offset": (1 << 63) - 1}, {"method": 0},
                        {"method": 12}, {"size": 5}, {"size": len(DATA) + 1}, {"compressed_size": 1},
                        {"compressed_size": 1 << 40}, {"compressed_size": (1 << 63) - 1}, {"name": "Guest_Drivers/x.run"},
                        {"name": "x" * 600}):
            with self.subTest(changes):
                self.good(self.ask(entry={**entry_of(self.bundle), **changes}), "whole")
        self.bad(self.ask(entry=entry_of(self.bundle, sha256="ab" * 32)), "the index says")

    def test_an_index_that_contradicts_the_bundle_where_only_it_could_tell(self):
        self.bad(self.ask(entry=entry_of(self.bundle, offset=40), known=False), MEMBER)

    def test_a_member_larger_than_allowed(self):
        self.bad(self.ask(max_member=1000), "larger than it may be")
        self.bad(self.ask(max_member=1000, entry=entry_of(self.bundle), known=False), "larger than it may be")

    def test_two_members_that_match_and_none(self):
        self.bundle = archive([(RUN, b"a"), ("Guest_Drivers/" + RUN, b"b")])
        self.bad(self.ask(), "more than one driver that fits")
        self.bundle = self.server.files[PATH] = archive([(HOST, b"a")])
        self.bad(self.ask(), "holds no driver that fits")

    def test_the_kind_that_is_wanted(self):
        for kinds, content in ((("deb",), b"!<arch>\ndebian-binary"), (("rpm",), b"x"), (("run", "deb"), DATA)):
            self.good(self.ask(kinds=kinds), "member", content)

    def test_what_is_no_zip(self):
        for content in (b"PK", b"hello" * 30000, self.bundle[:-1]):
            self.bundle = self.server.files[PATH] = content
            self.bad(self.ask(known=False), "")


class Whole(Member):
    def ask(self, faults=(), **options):
        return super().ask(faults, ranges=False, **options)

    def spool(self, outcome, words=""):
        self.assertIsNotNone(outcome.result, outcome)
        self.assertEqual(outcome.result["transfer"], "spool")
        self.assertIn("it cannot be read in one pass: " + words, outcome.result["why"])
        self.assertEqual(outcome.content, b"")

    def test_every_layout_and_every_way_of_writing(self):
        for name in LAYOUTS:
            for way, options in WAYS.items():
                with self.subTest(f"{name}, {way}"):
                    self.server.requests.clear()
                    self.bundle = self.server.files[PATH] = archive(layout(name), **options)
                    outcome = self.ask()
                    self.assertEqual(self.server.ranges, [None])
                    if way == "stored with descriptors":
                        self.spool(outcome, "the size of stored data follows them")
                        continue
                    result = self.good(outcome, "whole")
                    self.assertEqual(result["bytes_transferred"], len(self.bundle))
                    self.assertEqual(result["member"]["size"], len(DATA))

    def test_in_pieces_of_any_size(self):
        """The borders of what comes are nobody's borders."""
        small = random.Random(3).randbytes(3000)
        for options in ({}, {"stream": True}, {"zip64": True, "stream": True}):
            self.bundle = self.server.files[PATH] = archive(layout("folders", small), **options)
            for piece in (1, 7, 23, 1000):
                def pieces(handler, piece=piece):
                    def send(body):
                        for at in range(0, len(body), piece):
                            handler.wfile.write(b"%x\r\n%s\r\n" % (len(body[at:at + piece]), body[at:at + piece]))
                        handler.wfile.write(b"0\r\n\r\n")

                    handler.serve(length=False, headers=[("Transfer-Encoding", "chunked")], send=send)

                self.good(self.ask([pieces]), "whole", small)

    def test_a_cut_is_continued_and_a_range_ignored_begins_anew(self):
        half = len(self.bundle) // 2
        self.good(self.ask([fault.cut(half)]), "whole")
        self.assertEqual(self.server.ranges, [None, f"bytes={half}-"])
        self.good(self.ask([fault.cut(half), fault.ignore_range()]), "whole")
        self.good(self.ask([fault.cut(len(self.bundle) - 30), fault.ignore_range()]), "whole")

    def test_without_a_checksum_a_cut_begins_anew(self):
        self.good(self.ask([fault.cut(1_000_000)], known=False), "whole")
        self.assertEqual(self.server.ranges, [None, None])

    def test_one_bad_bit_anywhere(self):
        for at in (10, 1_000_000, len(self.bundle) - 60):
            with self.subTest(at):
                self.good(self.ask([fault.corrupt(at)]), "whole")
        self.bad(self.ask(always(fault.corrupt(1_000_000))), "")

    def test_a_bad_bit_in_what_nobody_reads(self):
        with zipfile.ZipFile(io.BytesIO(self.bundle)) as opened:
            at = opened.getinfo(f"Host_Drivers/{HOST}").header_offset + 30 + 40
        self.bad(self.ask(always(fault.corrupt(at))), "")

    def test_sizes_that_lie(self):
        self.bad(self.ask(always(fault.lengths(len(self.bundle) - 1))), "expected were")
        self.bad(self.ask(always(fault.chunked(extra=b"x" * 100))), "more than")
        self.bad(self.ask(always(fault.chunked(extra=b"x" * 100)), known=False), "zip archive")

    def test_a_member_that_the_directory_does_not_know(self):
        """A decoy in front: who reads by local headers alone takes it."""
        decoy = archive([(RUN, b"evil")])
        decoy = decoy[:decoy.index(b"PK\1\2")]
        self.bundle = decoy + archive(layout("flat"))
        self.spool(self.ask(), "another member")

    def test_a_directory_that_says_something_else_of_it(self):
        bundle = bytearray(archive(layout("folders", b"x" * 5000), method=zipfile.ZIP_STORED))
        entry = entry_of(bytes(bundle))
        central = bundle.rindex(b"PK\1\2", 0, bundle.rindex(MEMBER.encode()))
        for at, words in ((16, "CRC-32"), (20, "two different sizes"), (24, "two different sizes"), (10, "method"), (8, "flags")):
            with self.subTest(at):
                other = bytearray(bundle)
                other[central + at] ^= 8
                self.bundle = self.server.files[PATH] = bytes(other)
                self.bad(self.ask(), words)
        self.assertEqual(entry["size"], 5000)

    def test_bytes_in_front_and_between(self):
        self.bundle = b"#!/bin/sh\n" + self.bundle
        self.spool(self.ask(), "its members do not follow each other")

    def test_two_members_that_match_and_none(self):
        self.bundle = archive([(RUN, b"a"), ("Guest_Drivers/" + RUN, b"b")])
        self.bad(self.ask(), "more than one driver that fits")
        self.bundle = self.server.files[PATH] = archive([(HOST, b"a")])
        self.bad(self.ask(), "holds no driver that fits")

    def test_the_kind_that_is_wanted(self):
        self.good(self.ask(kinds=("deb",)), "whole", b"!<arch>\ndebian-binary")
        self.good(self.ask(kinds=("run", "deb")), "whole")
        self.bundle = self.server.files[PATH] = archive([(DEB, b"x"), (RPM, b"y")])
        self.spool(self.ask(kinds=("run", "deb")), "another member")

    def test_an_encrypted_member_is_left_to_the_other_way(self):
        bundle = bytearray(archive(layout("folders", b"abc"), method=zipfile.ZIP_STORED))
        bundle[bundle.index(MEMBER.encode()) - 24] |= 1
        self.bundle = bytes(bundle)
        self.spool(self.ask(), "another member")

    def test_a_bomb_ends_at_its_first_byte_too_many(self):
        for options in ({}, {"stream": True}):
            self.bundle = self.server.files[PATH] = archive([(RUN, bytes(64 << 20))], **options)
            self.bad(self.ask(max_member=1 << 20), "")

    def test_a_cut_bundle(self):
        for cut in (10, 1000, 700_000, len(self.bundle) - 200, len(self.bundle) - 1):
            self.bundle = self.server.files[PATH] = archive(layout("folders"))[:cut]
            self.bad(self.ask(), "zip archive")

    def test_an_index_whose_sum_is_another(self):
        self.bad(self.ask(entry=entry_of(self.bundle, sha256="ab" * 32)), "the index says")

    def test_what_is_taken_of_a_damaged_archive_is_what_others_read(self):
        """Bytes are changed at random: the worker refuses, or takes what zipfile reads, in both ways."""
        chance = random.Random(20221)
        small = random.Random(3).randbytes(2000) + bytes(3000)
        samples = [archive(layout("folders", small), stream=stream, zip64=zip64) for stream in (0, 1) for zip64 in (0, 1)]
        taken = 0
        for turn in range(120):
            data = bytearray(chance.choice(samples))
            heads = [i for i in range(len(data) - 4) if data[i:i + 2] == b"PK"]
            for _ in range(chance.randint(1, 2)):
                data[min(chance.choice(heads) + chance.randint(0, 60), len(data) - 1)] = chance.randrange(256)
            self.bundle = self.server.files[PATH] = bytes(data)
            outcome = Member.ask(self, ranges=turn % 2 == 0)
            self.assertEqual(outcome.code, 0, "the worker answers")
            if outcome.error:
                self.assertEqual(outcome.error["name"], "integrity", outcome)
                continue
            if outcome.result["transfer"] == "spool":
                continue
            taken += 1
            self.assertEqual(outcome.content, small)
        self.assertGreater(taken, 10, "the test can fail")


if __name__ == "__main__":
    unittest.main()
