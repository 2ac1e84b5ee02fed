#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The member of a bundle on a server: by ranges, from the whole as it passes by, or from a bundle that lies there; and servers that
misbehave. Either the promised member lies there, or nothing."""

import hashlib
import io
import os
import random
import struct
import subprocess
import zipfile

import parts
import server as fault
from parts import BUNDLE, GUEST, RUN, Repository, vgpu
from program import Case, living, main, read
from server import Server, always

CACHE = ".vgpu-guest-agent"
MEMBER = "Guest_Drivers/" + RUN
DATA = b"#! /bin/sh\nversion_string=525.105.17\n" + random.Random(1).randbytes(1_500_000) + bytes(300_000)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Pipe(io.RawIOBase):
    """What cannot seek makes zipfile write data descriptors."""

    def __init__(self):
        super().__init__()
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(data)


def bundle(data=DATA, method=zipfile.ZIP_DEFLATED, descriptors=False):
    file = Pipe() if descriptors else io.BytesIO()
    with zipfile.ZipFile(file, "w", method, compresslevel=1) as archive:
        archive.writestr("Host_Drivers/NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run", random.Random(2).randbytes(800_000))
        archive.writestr(MEMBER, data)
        archive.writestr("a.pdf", random.Random(3).randbytes(400_000))
    return bytes(file.data) if descriptors else file.getvalue()


class Fetches(Case):
    def setUp(self):
        super().setUp()
        self.out = self.path("out")
        os.mkdir(self.out)
        self.data, self.bundle = DATA, bundle()
        self.repository = self.use(Repository())
        self.sets = {"http.ca_file": parts.ca_file(), "http.retries": "2", **self.where()}

    def fetch(self, faults=(), **sets):
        self.repository.requests.clear()
        self.repository.faults["/nvidia/" + BUNDLE] = faults if not isinstance(faults, tuple) else list(faults)
        value = self.json("fetch", "--output", self.out, sets={**self.sets, **sets}, sysfs=vgpu())
        self.assertEqual(os.listdir(self.out), [RUN])
        self.assertTrue(read(os.path.join(self.out, RUN)) == self.data)
        self.assertEqual((value["size"], value["sha256"], value["kind"], value["version"]), (len(self.data), sha256(self.data), "run", GUEST))
        os.unlink(os.path.join(self.out, RUN))
        return value

    def refused(self, status, words, faults=(), step="fetch", empty=True, sysfs=None, **sets):
        self.repository.faults["/nvidia/" + BUNDLE] = faults if not isinstance(faults, tuple) else list(faults)
        once = {"http.retries": "0"} if status == 6 else {}  # that a repository in motion is read again holds unit_command_execute
        value = self.error(status, step, words, "fetch", "--output", self.out, sets={**self.sets, **once, **sets}, sysfs=sysfs or vgpu())
        self.assertEqual([name for name in os.listdir(self.out) if name != CACHE or empty], [])
        return value

    @property
    def ranges(self):
        return [request.headers.get("Range") for request in self.repository.asked(BUNDLE)]


class ByRanges(Fetches):
    """Over TLS, and nothing is known of the bundle."""

    def where(self):
        self.repository.put(BUNDLE, self.bundle)
        return {"driver.url": self.repository.url + BUNDLE}

    def test_only_the_member_comes(self):
        value = self.fetch()
        self.assertEqual(value["integrity"], "tls")
        self.assertLess(value["bytes_transferred"], len(DATA) + 20_000)
        self.assertNotIn(None, self.ranges)

    def test_over_http_where_a_warning_is_enough(self):
        plain = self.use(Server())
        plain.files["/" + BUNDLE] = self.bundle
        url = {"driver.url": f"{plain.base}/{BUNDLE}"}
        value = self.fetch(**url, **{"driver.integrity": "warn"})
        self.assertEqual(value["integrity"], "none")
        self.assertLess(value["bytes_transferred"], len(DATA) + 20_000)
        plain.requests.clear()
        self.refused(6, "nothing vouches", **url)
        self.assertEqual(plain.requests, [])

    def test_with_a_pin_the_whole_passes_by(self):
        value = self.fetch(**{"driver.sha256": sha256(self.bundle)})
        self.assertEqual((value["integrity"], value["bytes_transferred"]), ("sha256-pin", len(self.bundle)))
        self.assertEqual(self.ranges, [None])
        self.refused(6, "SHA-256", **{"driver.sha256": "ab" * 32})

    def test_a_server_whose_ranges_are_none(self):
        for name, faults in (("ignored", always(fault.ignore_range())), ("of the wrong part", [fault.partial("bytes 1-5/9")]),
                             ("compressed", [fault.compressed()])):
            with self.subTest(name):
                value = self.fetch(faults)
                self.assertGreaterEqual(value["bytes_transferred"], len(self.bundle))
                self.assertIn("the whole bundle was fetched: ", self.last.err)

    def test_bytes_whose_crc_is_wrong(self):
        at = self.bundle.index(MEMBER.encode()) + 500_000
        self.refused(6, RUN, always(fault.corrupt(at)))
        self.fetch([None, None, fault.corrupt(at)])

    def test_always_compressed(self):
        self.refused(6, "compressed", always(fault.compressed()))

    def test_no_redirect_to_http(self):
        plain = self.use(Server())
        self.refused(5, "http", always(fault.redirect(f"{plain.base}/{BUNDLE}")))
        self.assertEqual(plain.requests, [])

    def test_a_member_that_contradicts_the_host(self):
        self.repository.put("driver.zip", self.bundle)
        self.refused(4, "later branch", step="unpack", sysfs=vgpu("470.63", "r470_00"),
                     **{"driver.url": self.repository.url + "driver.zip"})

    def test_a_bundle_without_a_driver_that_fits(self):
        self.refused(6, "no driver that fits", **{"driver.package": "deb"})

    def test_what_is_no_zip(self):
        for content in (b"", b"PK", b"hello" * 1000, self.bundle[:-500]):
            self.repository.put(BUNDLE, content)
            self.refused(6, "")


class ByManifest(Fetches):
    """The manifest came over TLS as the member does, and has the bundle's size."""

    def where(self):
        self.repository.add(BUNDLE, self.bundle)
        return self.repository.sets

    def test_only_the_member_comes(self):
        driver = self.json("plan", sets=self.sets, sysfs=vgpu())["driver"]
        self.assertEqual((driver["transfer"], driver["integrity"]), ("member", "manifest-tls"))
        value = self.fetch()
        self.assertEqual(value["integrity"], "manifest-tls")
        self.assertLess(value["bytes_transferred"], len(DATA) + 20_000)

    def test_without_ranges_the_whole_is_the_manifests(self):
        self.assertEqual(self.fetch(always(fault.ignore_range()))["integrity"], "manifest-tls")
        at = self.bundle.index(b"vgpu-kvm.run") + 1000
        content = bytearray(self.bundle)
        content[at] ^= 1
        self.repository.put(BUNDLE, bytes(content))
        self.refused(6, "SHA-256", always(fault.ignore_range()))

    def test_a_bundle_of_another_size(self):
        self.repository.put(BUNDLE, self.bundle + b"x")
        self.refused(6, "")


class Whole(Fetches):
    """A pin."""

    def where(self):
        self.repository.add(BUNDLE, self.bundle)
        return {**self.repository.sets, **self.pin}

    @property
    def pin(self):
        return {"driver.sha256": sha256(self.bundle)}

    def fetch(self, faults=(), **sets):
        return super().fetch(faults, **self.pin, **sets)

    def test_the_whole_passes_by_once(self):
        value = self.fetch()
        self.assertEqual((value["integrity"], value["bytes_transferred"]), ("sha256-pin", len(self.bundle)))
        self.assertEqual(self.ranges, [None])

    def test_data_descriptors(self):
        self.repository.lines.clear()
        self.bundle = bundle(descriptors=True)
        self.repository.add(BUNDLE, self.bundle)
        self.assertEqual(self.fetch()["bytes_transferred"], len(self.bundle))

    def test_one_that_cannot_be_read_in_one_pass_is_spooled(self):
        self.repository.lines.clear()
        self.bundle = bundle(method=zipfile.ZIP_STORED, descriptors=True)
        self.repository.add(BUNDLE, self.bundle)
        value = self.fetch()
        self.assertGreaterEqual(value["bytes_transferred"], len(self.bundle))
        self.assertEqual((self.ranges, value["integrity"]), ([None, None], "sha256-pin"))
        self.assertIn("cannot be read in one pass", self.last.err)

    def test_a_cut_is_resumed_within_the_process(self):
        self.fetch([fault.cut(1_000_000)])
        self.assertEqual(self.ranges, [None, "bytes=1000000-"])

    def test_bytes_that_are_not_the_pinned(self):
        self.repository.put(BUNDLE, self.bundle[:-1] + b"x")
        self.refused(6, "")
        at = self.bundle.index(b"vgpu-kvm.run") + 1000  # of what nobody reads
        self.repository.put(BUNDLE, self.bundle)
        self.refused(6, "SHA-256", always(fault.corrupt(at)))
        self.fetch([fault.corrupt(at)])

    def test_lengths_that_lie(self):
        for faults in (always(fault.lengths(len(self.bundle) - 1)), always(fault.lengths(len(self.bundle) + 1)),
                       always(fault.chunked(extra=b"x" * 100))):
            self.refused(6, "", faults)

    def test_after_a_kill_it_begins_anew(self):
        self.repository.faults["/nvidia/" + BUNDLE] = [fault.stall(2_000_000)]
        process = self.program.start("fetch", "--output", self.out, sets=self.sets, sysfs=vgpu())
        partial = os.path.join(self.out, CACHE, "var/cache/vgpu-guest-agent/member.partial")
        self.until(lambda: os.path.exists(partial) and self.ranges, "the first bytes")
        process.kill()
        process.communicate()
        self.until(lambda: living() == {}, "the end of the worker")
        self.assertEqual(os.listdir(self.out), [CACHE])
        with open(partial, "wb") as file:
            file.write(b"garbage" * 500_000)
        self.assertEqual(self.fetch()["bytes_transferred"], len(self.bundle))

    def test_a_bomb(self):
        content = bytearray(bundle(bytes(64 << 20)))  # whose members say 1000 bytes
        for signature, name, at in ((b"PK\3\4", 30, 22), (b"PK\1\2", 46, 24)):
            start = next(i - name for i in range(len(content)) if content.startswith(MEMBER.encode(), i)
                         and content[i - name:i - name + 4] == signature)
            struct.pack_into("<I", content, start + at, 1000)
        self.repository.lines.clear()
        self.bundle = bytes(content)
        self.repository.add(BUNDLE, self.bundle)
        self.refused(6, "", **self.pin)


class Indexed(Fetches):
    """vgpu-index.json has the member's own SHA-256."""

    def where(self):
        self.entry = parts.bundle_entry(BUNDLE, self.bundle)
        self.member = self.entry["members"][0]
        self.repository.add(BUNDLE, self.bundle)
        self.repository.put("vgpu-index.json", parts.index(self.entry))
        return self.repository.sets

    def test_one_request_of_hardly_more_than_the_member(self):
        value = self.fetch()
        self.assertEqual((value["integrity"], len(self.ranges)), ("index-tls", 1))
        self.assertLess(value["bytes_transferred"], 1.001 * self.member["compressed_size"])

    def test_with_a_pin_the_whole_passes_by(self):
        value = self.fetch(**{"driver.sha256": sha256(self.bundle)})
        self.assertEqual((value["integrity"], self.ranges), ("sha256-pin", [None]))

    def test_the_plan_says_it(self):
        driver = self.json("plan", sets=self.sets, sysfs=vgpu())["driver"]
        self.assertEqual((driver["transfer"], driver["bytes"], driver["member"], driver["integrity"]),
                         ("member", self.member["compressed_size"], MEMBER, "index-tls"))

    def test_servers_without_ranges_and_with_wrong_ones(self):
        at = self.member["offset"] + 500_000
        for name, faults in (("ignored", always(fault.ignore_range())), ("wrong part", [fault.partial("bytes 1-5/9")]),
                             ("compressed", [fault.compressed()]), ("damaged", [fault.corrupt(at)] * 2)):
            with self.subTest(name):
                self.assertEqual(self.fetch(faults)["integrity"], "index-tls")
                self.assertIn("the whole bundle was fetched: ", self.last.err)
        self.refused(6, "SHA-256", always(fault.corrupt(at)))

    def places(self):
        cache = os.path.join(self.out, CACHE, "var/cache/vgpu-guest-agent", self.member["sha256"])
        return cache + ".partial", cache + ".place"

    def large(self):
        """Only every few MiB is there a place to go on."""
        self.data = b"#! /bin/sh\n" + random.Random(4).randbytes(12 << 20)
        self.bundle = bundle(self.data)
        self.repository.lines.clear()
        self.sets.update(self.where())

    def test_after_a_cut_the_next_run_fetches_the_rest(self):
        self.large()
        self.refused(5, BUNDLE, always(fault.cut(10 << 20)), empty=False, **{"http.retries": "0"})
        self.assertLess(self.fetch()["bytes_transferred"], self.member["compressed_size"] - (5 << 20))

    def test_after_a_kill_too_and_garbage_is_no_reason_to_fail(self):
        self.large()
        for garbage in (None, *self.places()):
            with self.subTest(garbage):
                self.repository.faults["/nvidia/" + BUNDLE] = [fault.stall(10 << 20)]
                process = self.program.start("fetch", "--output", self.out, sets=self.sets, sysfs=vgpu())
                self.until(lambda: all(map(os.path.exists, self.places())) and os.path.getsize(self.places()[0]) >= 8 << 20
                           and os.path.getsize(self.places()[1]), "the first bytes and their note")
                process.kill()
                process.communicate()
                self.until(lambda: living() == {}, "the end of the worker")
                if garbage:
                    with open(garbage, "r+b") as file:
                        file.write(b"12345678")
                transferred = self.fetch()["bytes_transferred"]
                if not garbage:
                    self.assertLess(transferred, self.member["compressed_size"] - (2 << 20))

    def test_a_full_disk(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "test", self.out], check=True)
        try:
            self.refused(7, "MiB")
            for pinned in ("", sha256(self.bundle)):
                self.repository.put("vgpu-index.json", parts.index({**self.entry, "members": []}))
                self.refused(7, "", **{"driver.sha256": pinned})
            self.repository.put("vgpu-index.json", parts.index(self.entry))
            subprocess.run(["mount", "-o", "remount,size=9m", self.out], check=True)
            self.fetch()
        finally:
            subprocess.run(["umount", self.out], check=True)


class Cached(Case):
    """What a job that ended later left of the bundle."""

    KERNEL = "6.1.0-37-cloud-amd64"

    def test_the_next_one_needs_no_bundle_and_unpacks_the_member(self):
        repository = self.use(Repository())
        repository.add(BUNDLE, parts.driver(BUNDLE))
        parts.small_system(self.folder, (self.KERNEL,), headers=False)
        words = ("install", "--root", self.folder, "--kernel", self.KERNEL)
        sets = {**repository.sets, "driver.version": GUEST, "driver.prerequisites": "never"}
        cache = self.path("var/cache/vgpu-guest-agent")
        for transferred in (True, False):
            repository.requests.clear()
            value = self.json(*words, status=7, sets=sets)
            done = {step["step"]: step["outcome"] for step in value["steps"]}
            self.assertEqual(done["fetch"], "changed" if transferred else "unchanged", value)
            self.assertEqual(sorted(os.listdir(cache)), sorted([sha256(parts.driver(RUN)) + ".run", "member.json"]), value)
            self.assertEqual(bool(repository.asked(BUNDLE)), transferred)


if __name__ == "__main__":
    main(__file__)
