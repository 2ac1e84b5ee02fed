#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The worker's zip reader beside Python's zipfile and Info-ZIP: what it takes, they read alike."""

import hashlib
import io
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest
import zipfile

from worker import call, memfd

RUN = "NVIDIA-Linux-x86_64-525.105.17-grid.run"
DEB = "nvidia-linux-grid-525_525.105.17_amd64.deb"
RPM = "nvidia-linux-grid-525-525.105.17-1.x86_64.rpm"
HOST = "NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run"
CONTENT = b"#! /bin/sh\nCRCsum=1\nversion_string=525.105.17\n" + bytes(range(256)) * 50 + bytes(5000)


def unpack(archive, member, max_size=1 << 20):
    """The outcome, with the member's bytes in `content`."""
    fds = [archive if isinstance(archive, int) else memfd(archive), os.memfd_create("output")]
    outcome = call({"job": "unpack", "input": 4, "output": 5, "member": member, "max_size": max_size}, fds)
    outcome.content = os.pread(fds[1], 1 << 22, 0)
    for fd in fds:
        if fd is not archive:
            os.close(fd)
    return outcome


def inspect(content, name):
    fd = memfd(content)
    outcome = call({"job": "inspect", "input": 4, "name": name}, [fd])
    os.close(fd)
    return outcome


class Unseekable(io.RawIOBase):
    """What makes zipfile write data descriptors."""

    def __init__(self):
        super().__init__()
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data)
        return len(data)


def archive(members, method=zipfile.ZIP_DEFLATED, comment=b"", stream=False, zip64=False):
    file = Unseekable() if stream else io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        made.comment = comment
        for name, data in members:
            if name.endswith("/"):
                made.writestr(name, b"")
                continue
            with made.open(name, "w", force_zip64=zip64) as member:
                member.write(data)
    return file.data if stream else file.getvalue()


LAYOUTS = {
    "flat": [(HOST, b"host"), (RUN, CONTENT), ("guide.pdf", b"%PDF")],
    "folders": [
        ("Guest_Drivers/", b""), (f"Guest_Drivers/{DEB}", b"!<arch>\ndebian-binary"), (f"Guest_Drivers/{RPM}", b"x"),
        (f"Guest_Drivers/{RUN}", CONTENT), ("Host_Drivers/", b""), (f"Host_Drivers/{HOST}", b"host"),
        ("Signing_Keys/vgpu_rpm_publickey.pub", b"key"),
    ],
    "one folder": [("NVIDIA-GRID-Linux-KVM-525.105.14-525.105.17-528.89/" + name, data) for name, data in
                   [(HOST, b"host"), (RUN, CONTENT)]],
}


class Bundle(unittest.TestCase):
    def same(self, data, python=True):
        """The worker and zipfile read the same bytes, and Info-ZIP has nothing to say."""
        member = f"Guest_Drivers/{RUN}"
        if python:
            with zipfile.ZipFile(io.BytesIO(data)) as oracle:
                self.assertEqual(oracle.read(member), CONTENT)
        outcome = unpack(data, member)
        self.assertIsNotNone(outcome.result, outcome)
        self.assertTrue(outcome.content == CONTENT)
        self.assertEqual(outcome.result, {"member": member, "size": len(CONTENT),
                                          "sha256": hashlib.sha256(CONTENT).hexdigest()})
        if shutil.which("unzip"):
            with tempfile.NamedTemporaryFile(suffix=".zip") as file:
                file.write(data)
                file.flush()
                self.assertEqual(subprocess.run(["unzip", "-tqq", file.name], check=False).returncode, 0)

    def refused(self, data, member, words):
        outcome = unpack(data, member)
        self.assertIsNotNone(outcome.error, outcome)
        self.assertEqual(outcome.error["name"], "integrity")
        self.assertIn(words, outcome.error["message"])
        self.assertIn(member, outcome.error["message"])
        self.assertEqual(outcome.content, b"", "nothing is left")

    def test_the_guest_drivers_of_every_layout_are_found(self):
        for layout, members in LAYOUTS.items():
            with self.subTest(layout):
                outcome = inspect(archive(members), "renamed.bin")
                self.assertEqual(outcome.result["kind"], "bundle")
                found = {member["name"]: member for member in outcome.result["members"]}
                expected = {name for name, _ in members if name.endswith((RUN, DEB, RPM))}
                self.assertEqual(set(found), expected)
                run = next(member for name, member in found.items() if name.endswith(RUN))
                self.assertEqual((run["kind"], run["version"], run["arch"], run["size"]),
                                 ("run", "525.105.17", "x86_64", len(CONTENT)))

    def test_every_way_of_writing_is_read(self):
        ways = {
            "stored": {"method": zipfile.ZIP_STORED}, "deflated": {}, "descriptors": {"stream": True},
            "stored with descriptors": {"method": zipfile.ZIP_STORED, "stream": True}, "zip64": {"zip64": True},
            "zip64 with descriptors": {"zip64": True, "stream": True}, "comment": {"comment": b"a comment " * 20},
        }
        for way, options in ways.items():
            with self.subTest(way):
                self.same(archive(LAYOUTS["folders"], **options))

    def test_bytes_in_front_do_not_matter(self):
        data = b"#!/bin/sh\nexit 0\n" + archive(LAYOUTS["flat"])
        self.assertEqual(unpack(data, RUN).content, CONTENT)
        self.assertEqual(inspect(data, "x.zip").result["members"][0]["name"], RUN)

    @unittest.skipUnless(shutil.which("zip"), "zip is not installed")
    def test_what_info_zip_writes_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/Guest_Drivers")
            with open(f"{folder}/Guest_Drivers/{RUN}", "wb") as file:
                file.write(CONTENT)
            for options in (["-0"], ["-9"], ["-1"], ["-fd"], ["-fz"], ["-X"]):
                with self.subTest(options=options):
                    command = ["zip", "-qr", *options]
                    # With -fz Python 3.11 does not understand the offsets, and as a stream nobody does.
                    python = "-fz" not in options
                    if python:
                        done = subprocess.run([*command, "-", "Guest_Drivers"], cwd=folder, check=True,
                                              stdout=subprocess.PIPE)
                        self.same(done.stdout)
                    name = f"{folder}/{'_'.join(options)}.zip"
                    subprocess.run([*command, name, "Guest_Drivers"], cwd=folder, check=True)
                    with open(name, "rb") as file:
                        self.same(file.read(), python)

    @unittest.skipUnless(shutil.which("zip"), "zip is not installed")
    def test_an_encrypted_member_is_refused_by_name(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/{RUN}", "wb") as file:
                file.write(CONTENT)
            subprocess.run(["zip", "-qP", "secret", "a.zip", RUN], cwd=folder, check=True)
            with open(f"{folder}/a.zip", "rb") as file:
                data = file.read()
        self.refused(data, RUN, "is encrypted")
        self.assertIn(f"{RUN} is encrypted", inspect(data, "a.zip").error["message"])

    def test_a_symbolic_link_is_refused_by_name(self):
        info = zipfile.ZipInfo(RUN)
        info.create_system, info.external_attr = 3, 0o120777 << 16
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as made:
            made.writestr(info, "/etc/shadow")
        self.refused(file.getvalue(), RUN, "is a symbolic link")

    def test_other_methods_are_refused_by_name(self):
        for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            self.refused(archive(LAYOUTS["flat"], method), RUN, "is compressed by another method")

    def test_a_bomb_ends_at_its_first_byte_too_many(self):
        data = bytearray(archive([(RUN, bytes(64 << 20))]))
        self.refused(data, RUN, "is larger than it may be")
        # One that lies about its size, in both places.
        local, central = data.index(b"PK\3\4"), data.index(b"PK\1\2")
        data[local + 22:local + 26] = data[central + 24:central + 28] = struct.pack("<I", 1000)
        self.refused(data, RUN, "unpacks to more than the 1000 bytes promised")

    def test_a_name_that_leads_out_is_refused(self):
        for name in ("../" + RUN, "/" + RUN, "a/../../" + RUN, "a\\" + RUN):
            outcome = inspect(archive([(name, CONTENT)]), "a.zip")
            self.assertEqual(outcome.error["name"], "integrity")
            self.assertIn(f"{name} has an unsafe name", outcome.error["message"])

    def test_a_member_that_is_there_twice_is_refused(self):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as made, self.assertWarns(UserWarning):
            made.writestr(RUN, b"one")
            made.writestr(RUN, b"two")
        self.refused(file.getvalue(), RUN, "is there twice")

    def test_an_archive_beyond_four_gigabytes_is_read(self):
        with tempfile.TemporaryFile() as file:
            file.truncate((1 << 32) + 4096)
            with zipfile.ZipFile(file, "a") as made:
                made.writestr(RUN, CONTENT, zipfile.ZIP_DEFLATED)
            outcome = unpack(file.fileno(), RUN)
        self.assertEqual(outcome.content, CONTENT)

    def test_what_is_taken_of_a_damaged_archive_is_what_others_read(self):
        """Bytes are changed at random: the worker refuses, or reads what zipfile reads."""
        chance = random.Random(20221)
        samples = [archive(LAYOUTS["folders"], stream=stream, zip64=zip64) for stream in (0, 1) for zip64 in (0, 1)]
        taken = 0
        for _ in range(120):
            data = bytearray(chance.choice(samples))
            heads = [i for i in range(len(data) - 4) if data[i:i + 2] == b"PK"]
            for _ in range(chance.randint(1, 2)):
                data[min(chance.choice(heads) + chance.randint(0, 60), len(data) - 1)] = chance.randrange(256)
            outcome = unpack(bytes(data), f"Guest_Drivers/{RUN}")
            self.assertEqual(outcome.code, 0, "the worker answers")
            if outcome.error:
                self.assertIn(outcome.error["name"], ("integrity",), outcome)
                continue
            taken += 1
            self.assertEqual(outcome.content, CONTENT)
        self.assertGreater(taken, 10, "the test can fail")


class Inspect(unittest.TestCase):
    def test_a_run_tells_its_version_whatever_its_name(self):
        outcome = inspect(b"#! /bin/sh\nCRCsum=7\nversion_string=535.161.08\nTARGET_ARCH=\"x86_64\"\n\0\xff", "driver.bin")
        self.assertEqual(outcome.result, {"kind": "run", "version": "535.161.08", "arch": "x86_64", "members": []})

    def test_packages_are_known_by_their_first_bytes(self):
        for content, kind in ((b"!<arch>\ndebian-binary   1", "deb"), (b"\xed\xab\xee\xdb\3\0", "rpm")):
            self.assertEqual(inspect(content, "x").result, {"kind": kind, "version": None, "arch": None, "members": []})

    def test_a_web_page_is_called_one(self):
        outcome = inspect(b"\n<!DOCTYPE html><html>", "x.run")
        self.assertEqual(outcome.error["name"], "integrity")
        self.assertEqual(outcome.error["message"], "x.run is neither a bundle nor a .run, .deb or .rpm package")
        self.assertIn("web page", outcome.error["hint"])

    def test_a_cut_bundle_is_refused(self):
        outcome = inspect(archive(LAYOUTS["flat"])[:-1], "x.zip")
        self.assertEqual(outcome.error["name"], "integrity")
        self.assertIn("does not end like a zip archive", outcome.error["message"])


if __name__ == "__main__":
    unittest.main()
