#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A net worker that was taken over: it gives its own bytes, says that they are what was asked for, signed, verified, and writes them
into whatever it was handed. With a pin or a signature nothing of that is accepted; without either its word was all there is."""

import hashlib
import json
import os
import random

from parts import BUNDLE, GUEST, RUN, Repository, bundle_entry, index, run_entry, vgpu
from program import Case, living, main, read, remove, write
from signing import ED25519, key, sign
from test_fetch_bundle import bundle

GOOD = b"#! /bin/sh\nversion_string=525.105.17\n" + random.Random(1).randbytes(300_000)
EVIL = GOOD[:-11] + b"echo gotcha"
INDEX, SIGNATURE, MANIFEST = "vgpu-index.json", "vgpu-index.json.sig", "PULP_MANIFEST"

# In the net worker's place. What it gives for each name lies in a folder, as does the verdict that it says for each job.
LIAR = """#!/usr/bin/python3 -I
import json, os, stat, struct
folder = %r

def load(name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()

def frame(kind, data):
    os.write(request["answers"], struct.pack("=II", kind, len(data)))
    while data:
        data = data[os.write(request["answers"], data[:60000]):]

request = json.loads(os.read(3, 1 << 20))
verdicts = json.loads(load("verdicts"))
for fd in range(4, 40):  # the output, were it here
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            with open(os.path.join(folder, f"seen-{os.getpid()}"), "ab") as seen:
                seen.write(os.pread(fd, 65536, 0))
            os.ftruncate(fd, 0)
            os.pwrite(fd, load("evil"), 0)
    except OSError:
        pass
for verdict in [verdicts[request["job"]]] if request["job"] in verdicts else verdicts.values():
    os.write(3, json.dumps({"result": verdict}).encode() + b"\\n")
if "questions" not in request:
    raise SystemExit
for line in os.fdopen(request["questions"]):
    asked = json.loads(line)["get"]
    try:
        data = load(asked["url"].rpartition("/")[2])
    except OSError:
        frame(3, json.dumps({"error": {"name": "network", "message": "not here", "errnum": 2}}).encode())
        continue
    part = data[asked["first"]:asked["end"]] if asked["end"] else data[asked["offset"]:]
    if part:
        frame(1, part)
    frame(3, json.dumps({"result": {"verified": True, "total": len(data), "sha256": verdicts["fetch"]["sha256"]}}).encode())
"""


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def line(name, data):
    return f"{name},{sha256(data)},{len(data)}\n".encode()


def signed(content):
    return {INDEX: content, SIGNATURE: sign(ED25519, content)}


class Lies(Case):
    def setUp(self):
        super().setUp()
        self.out, self.said = self.path("out"), self.path("said")
        self.net = os.path.join(os.path.dirname(self.program.worker), "net-worker")
        honest = read(self.net)
        self.addCleanup(write, self.net, honest, 0o755)
        write(self.net, LIAR % self.said, 0o755)
        self.keys = self.write("keys.pem", key(*ED25519)[1])

    def lie(self, sets, files, promised):
        """In an empty folder, one `fetch` while the net worker says so; `promised` is the SHA-256 that it claims of what it has written."""
        member = {"name": RUN, "kind": "run", "version": GUEST, "arch": "x86_64", "size": len(EVIL)}
        fetched = {"size": len(EVIL), "sha256": promised, "bytes_transferred": len(EVIL), "verified": True}
        listed = {"source": "manifest", "verified": True, "files": [{"name": RUN, "size": len(EVIL), "sha256": sha256(EVIL)}],
                  "warnings": [], "catalog": None, "index": json.loads(index(run_entry(RUN, EVIL))), "index_verified": True,
                  "index_signed": True, "index_key": "0" * 64}
        verdicts = {"fetch": fetched, "member": {**fetched, "transfer": "member", "member": member, "why": None}, "list": listed}
        for folder in (self.out, self.said):
            remove(folder)
            os.mkdir(folder)
        os.chmod(self.said, 0o777)  # the liar writes there what it was handed
        for name, content in {**files, "verdicts": json.dumps(verdicts), "evil": EVIL}.items():
            write(os.path.join(self.said, name), content)
        outcome = self.program.call("fetch", "--output", self.out, "--json", sets=sets, sysfs=vgpu())
        self.assertEqual(living(), {})
        return outcome

    def refused(self, *case):
        outcome = self.lie(*case)
        self.assertIn(outcome.status, (1, 4, 6), outcome)
        left = [os.path.join(at, name) for at, _, names in os.walk(self.out) for name in names]
        self.assertEqual([path for path in left if b"gotcha" in read(path)], [], outcome)

    def test_nothing_is_accepted_with_a_pin_or_a_signature(self):
        whole, other = bundle(GOOD), bundle(EVIL)
        pinned = {"driver.url": f"https://192.0.2.1/nvidia/{RUN}", "driver.sha256": sha256(GOOD)}
        by_key = {"driver.repository": "https://192.0.2.1/nvidia/", "driver.index_key": self.keys}
        good_index, good_bundles = signed(index(run_entry(RUN, GOOD))), signed(index(bundle_entry(BUNDLE, whole)))
        own_index = index(run_entry(RUN, EVIL), serial=9)
        for name, *case in (
                ("a pinned file", pinned, {RUN: EVIL}, sha256(GOOD)),
                ("a pinned bundle", {"driver.url": f"https://192.0.2.1/nvidia/{BUNDLE}", "driver.sha256": sha256(whole)},
                 {BUNDLE: other}, sha256(GOOD)),
                ("a file of a signed index", by_key, {MANIFEST: line(RUN, GOOD), RUN: EVIL, **good_index}, sha256(GOOD)),
                ("a file of a signed index, and of another manifest", by_key, {MANIFEST: line(RUN, EVIL), RUN: EVIL, **good_index},
                 sha256(GOOD)),
                ("a member by ranges", by_key, {MANIFEST: line(BUNDLE, whole), BUNDLE: other, **good_bundles}, sha256(GOOD)),
                ("an index with another's signature", by_key,
                 {MANIFEST: line(RUN, EVIL), RUN: EVIL, **good_index, INDEX: own_index}, sha256(EVIL)),
                ("an index without signature", by_key, {MANIFEST: line(RUN, EVIL), RUN: EVIL, INDEX: own_index}, sha256(EVIL)),
                ("no index", by_key, {MANIFEST: line(RUN, EVIL), RUN: EVIL}, sha256(EVIL)),
                ("a pin against its manifest", {"driver.repository": "https://192.0.2.1/nvidia/", "driver.sha256": sha256(GOOD)},
                 {MANIFEST: line(RUN, GOOD), RUN: EVIL}, sha256(GOOD)),
        ):
            with self.subTest(name):
                self.refused(*case)

    def test_where_tls_alone_vouches_its_word_was_all_there_is(self):
        outcome = self.lie({"driver.repository": "https://192.0.2.1/nvidia/"}, {MANIFEST: line(RUN, EVIL), RUN: EVIL}, sha256(EVIL))
        self.assertEqual(outcome.status, 0, outcome)
        self.assertEqual(json.loads(outcome.out)["integrity"], "manifest-tls")
        self.assertTrue(read(os.path.join(self.out, RUN)) == EVIL)

    def test_it_is_handed_the_credentials_of_the_host_that_it_is_to_ask(self):
        words = {host: f"word-of-{host}".encode() for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3")}
        netrc = self.write("netrc", "".join(f"machine {host} login me password {word.decode()}\n" for host, word in words.items()), 0o600)
        repository = {"driver.repository": "https://192.0.2.1/nvidia/", "http.netrc_file": netrc}
        both = {**repository, "driver.catalog": "https://192.0.2.2/catalog.yaml"}
        for sets, files in ((both, {MANIFEST: line(RUN, GOOD), RUN: GOOD, "catalog.yaml": b"driver: []\n"}),
                            ({"driver.url": f"https://192.0.2.1/nvidia/{RUN}", "driver.sha256": sha256(GOOD), "http.netrc_file": netrc},
                             {RUN: GOOD}),
                            (repository, {MANIFEST: line(RUN, GOOD), RUN: GOOD}),
                            (repository, {MANIFEST: line(BUNDLE, bundle(GOOD)), BUNDLE: bundle(GOOD)})):
            self.assertEqual(self.lie(sets, files, sha256(GOOD)).status, 0)
            seen = [read(os.path.join(self.said, name)) for name in os.listdir(self.said) if name.startswith("seen-")]
            handed = {tuple(host for host, word in words.items() if word in each) for each in seen}
            self.assertEqual(handed, {("192.0.2.1",), ("192.0.2.2",)} if sets is both else {("192.0.2.1",)})

    def test_an_honest_one_gives_what_was_promised(self):
        """With the same settings: what was refused above was refused for its bytes."""
        for files, sets in (({RUN: GOOD}, {"driver.url": f"https://192.0.2.1/nvidia/{RUN}", "driver.sha256": sha256(GOOD)}),
                            ({MANIFEST: line(RUN, GOOD), RUN: GOOD, **signed(index(run_entry(RUN, GOOD)))},
                             {"driver.repository": "https://192.0.2.1/nvidia/", "driver.index_key": self.keys})):
            outcome = self.lie(sets, files, sha256(GOOD))
            self.assertEqual(outcome.status, 0, outcome)
            self.assertTrue(read(os.path.join(self.out, RUN)) == GOOD)


if __name__ == "__main__":
    main(__file__)
