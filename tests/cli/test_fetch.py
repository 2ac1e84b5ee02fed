#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Finding and downloading only: verified, resumed, refused; and what a signal or a kill leaves."""

import base64
import hashlib
import io
import os
import signal
import zipfile

import parts
import server as fault
from parts import BUNDLE, GUEST, RUN, Repository, driver, vgpu
from program import Case, living, main, read, remove, write
from server import Server, always

CACHE = ".vgpu-guest-agent"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Fetches(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = driver()

    def setUp(self):
        super().setUp()
        self.out = self.path("out")
        os.mkdir(self.out)

    def fetch(self, sets, *words, sysfs=None, **more):
        return self.json("fetch", "--output", self.out, *words, sets={"http.ca_file": parts.ca_file(), **sets},
                         sysfs=sysfs or vgpu(), **more)

    def fetched(self, value, name=RUN, data=None):
        """The file lies there under its own name, alone, and the report tells the truth of it."""
        data = self.data if data is None else data
        self.assertEqual(os.listdir(self.out), [name])
        self.assertEqual(value["path"], os.path.join(self.out, name))
        self.assertTrue(read(value["path"]) == data)
        self.assertEqual((value["size"], value["sha256"], value["kind"], value["version"]),
                         (len(data), sha256(data), "run", GUEST))
        return value

    def refused(self, status, words, sets, *more_words, step="fetch", empty=True, kept=(), **more):
        value = self.error(status, step, words, "fetch", "--output", self.out, *more_words,
                           sets={"http.ca_file": parts.ca_file(), **sets}, sysfs=more.pop("sysfs", vgpu()), **more)
        self.assertEqual([name for name in os.listdir(self.out) if name != CACHE], list(kept))
        if empty:
            self.assertEqual(os.listdir(self.out), list(kept))
        return value


class Downloads(Fetches):
    def setUp(self):
        super().setUp()
        self.repository = self.use(Repository())

    def test_a_run_of_the_manifest(self):
        self.repository.add(RUN, self.data)
        value = self.fetched(self.fetch(self.repository.sets))
        self.assertEqual((value["integrity"], value["bytes_transferred"]), ("manifest-tls", len(self.data)))

    def test_what_is_installed_here_is_nothing_to_it(self):
        """A desk's own driver says nothing of the one that is asked for; what lies there already does not come again."""
        for name in ("nvidia-smi", "nvidia-gridd"):
            write(f"/usr/bin/{name}", "#!/bin/sh\n", 0o755)
            self.addCleanup(remove, f"/usr/bin/{name}")
        real = read("/usr/sbin/modinfo")
        remove("/usr/sbin/modinfo")
        write("/usr/sbin/modinfo", f"#!/bin/sh\necho {GUEST}\n", 0o755)
        self.addCleanup(write, "/usr/sbin/modinfo", real, 0o755)
        self.repository.add(RUN, self.data)
        for transferred in (len(self.data), 0, 0):
            value = self.fetched(self.fetch(self.repository.sets))
            self.assertEqual(value["bytes_transferred"], transferred)
        with open(os.path.join(self.out, RUN), "r+b") as file:
            file.write(b"other bytes")
        self.assertEqual(self.fetched(self.fetch(self.repository.sets))["bytes_transferred"], len(self.data))
        self.refused(4, "no usable driver of version 470.63.01", {**self.repository.sets, "driver.version": "470.63.01"}, step="match",
                     kept=(RUN,))

    def test_of_others_nothing_is_believed_to_be_there(self):
        """Who owns the file could change it after it was hashed: it comes anew, over it."""
        self.repository.add(RUN, self.data)
        self.fetch(self.repository.sets)
        os.chown(os.path.join(self.out, RUN), 1, 1)
        self.assertEqual(self.fetched(self.fetch(self.repository.sets))["bytes_transferred"], len(self.data))
        self.assertEqual(os.stat(os.path.join(self.out, RUN)).st_uid, 0)

    def test_the_member_of_a_bundle(self):
        bundle = driver(BUNDLE)
        self.repository.add(BUNDLE, bundle)
        sets = {**self.repository.sets, "driver.sha256": hashlib.sha256(bundle).hexdigest()}
        value = self.fetched(self.fetch(sets))
        self.assertEqual(value["bytes_transferred"], len(bundle))

    def test_an_index_that_contradicts_the_bundle(self):
        bundle = driver(BUNDLE)
        entry = parts.bundle_entry(BUNDLE, bundle)
        self.repository.add(BUNDLE, bundle)
        self.repository.put("vgpu-index.json", parts.index(entry))
        self.assertEqual(self.fetched(self.fetch(self.repository.sets))["integrity"], "index-tls")
        os.unlink(os.path.join(self.out, RUN))
        for key, value in (("sha256", "b" * 64), ("size", entry["members"][0]["size"] + 1), ("version", "525.105.18"), ("kind", "deb"),
                           ("name", "Guest_Drivers/x.run")):
            with self.subTest(key):
                member = {**entry["members"][0], key: value}
                self.repository.put("vgpu-index.json", parts.index({**entry, "members": [member]}))
                if key == "sha256":
                    self.refused(6, "the index says", self.repository.sets)
                    # With a pin the index is asked of the member in the end.
                    pinned = {**self.repository.sets, "driver.sha256": entry["sha256"]}
                    self.refused(6, "another SHA-256", pinned, step="unpack", hint="index")
                else:
                    self.refused(6, "contradicts vgpu-index.json", self.repository.sets, step="unpack", hint="index")

    def test_for_people_the_path_is_all_of_the_output(self):
        self.repository.add(RUN, self.data)
        outcome = self.text("fetch", "--output", self.out, sets=self.repository.sets, sysfs=vgpu())
        self.assertEqual(outcome.out, os.path.join(self.out, RUN) + "\n")
        for step in ("detect", "match", "fetch", "unpack"):
            self.assertIn(step, outcome.err)

    def test_without_a_folder_it_is_the_current_one(self):
        self.repository.add(RUN, self.data)
        value = self.json("fetch", sets=self.repository.sets, sysfs=vgpu(), cwd=self.out)
        self.fetched(value)

    def test_without_root(self):
        self.repository.add(RUN, self.data)
        os.chmod(self.out, 0o777)
        self.fetched(self.fetch(self.repository.sets, nobody=True))

    def test_it_changes_nothing_of_the_system(self):
        self.repository.add(RUN, self.data)
        self.fetch(self.repository.sets)
        for path in ("/var/lib/vgpu-guest-agent", "/var/cache/vgpu-guest-agent", "/var/log/vgpu-guest-agent"):
            self.assertFalse(os.path.exists(path), path)

    def test_a_url_over_https(self):
        self.repository.put("driver.run", self.data)
        value = self.fetched(self.fetch({"driver.url": self.repository.url + "driver.run?x=1"}), "driver.run")
        self.assertEqual(value["integrity"], "tls")

    def test_a_pin(self):
        self.repository.put(RUN, self.data)
        pinned = {"driver.url": self.repository.url + RUN, "driver.sha256": sha256(self.data)}
        self.assertEqual(self.fetched(self.fetch(pinned))["integrity"], "sha256-pin")

    def test_a_pin_that_does_not_hold(self):
        self.repository.put(RUN, self.data)
        self.refused(6, "SHA-256", {"driver.url": self.repository.url + RUN, "driver.sha256": "ab" * 32})

    def test_bytes_that_are_not_the_manifests(self):
        self.repository.add(RUN, self.data).put(RUN, self.data[:-1] + b"x")
        self.refused(6, RUN, self.repository.sets)
        self.assertEqual(len(self.repository.asked(RUN)), 2)  # once more from zero

    def test_a_size_that_is_not_the_manifests(self):
        for body in (self.data[:-5], self.data + b"12345"):
            self.repository.lines.clear()
            self.repository.add(RUN, self.data).put(RUN, body)
            self.refused(6, "", self.repository.sets)

    def test_a_body_that_is_always_cut_is_kept_for_the_next_time(self):
        self.repository.add(RUN, self.data)
        path = "/nvidia/" + RUN
        self.repository.faults[path] = always(fault.cut(after=100_000))
        self.refused(5, RUN, {**self.repository.sets, "http.retries": "0"}, empty=False)
        del self.repository.faults[path]
        self.fetched(self.fetch(self.repository.sets))
        self.assertRegex(self.repository.ranges[-1], r"^bytes=\d+-$")

    def test_a_cut_is_resumed_and_only_the_rest_asked_for(self):
        self.repository.add(RUN, self.data)
        self.repository.faults["/nvidia/" + RUN] = [fault.cut(after=1_000_000)]
        self.fetched(self.fetch({**self.repository.sets, "http.retries": "2"}))
        self.assertEqual(self.repository.ranges[-1], "bytes=1000000-")

    def test_a_server_without_ranges(self):
        self.repository.add(RUN, self.data)
        self.repository.faults["/nvidia/" + RUN] = [fault.cut(after=1_000_000), fault.ignore_range()]
        self.fetched(self.fetch({**self.repository.sets, "http.retries": "2"}))

    def test_a_file_that_is_gone(self):
        self.repository.name(RUN)
        self.refused(5, "404", self.repository.sets)

    def test_a_file_that_grew_too_large_for_the_disk(self):
        self.repository.name(RUN, size=1 << 60)
        self.refused(7, "MiB", self.repository.sets)

    def test_a_redirect_to_another_port_is_followed_by_a_new_worker(self):
        """Object storage on a port of its own: where the kernel can refuse ports, no worker has it before the agent agreed."""
        storage = self.use(Repository())
        storage.put(RUN, self.data)
        self.repository.add(RUN, self.data)
        self.repository.faults["/nvidia/" + RUN] = always(fault.redirect(storage.url + RUN))
        self.assertEqual(self.fetched(self.fetch(self.repository.sets))["integrity"], "manifest-tls")

    def test_verbose_names_what_holds_the_worker(self):
        self.repository.add(RUN, self.data)
        outcome = self.text("-v", "fetch", "--output", self.out, sysfs=vgpu(),
                            sets={"http.ca_file": parts.ca_file(), **self.repository.sets})
        self.assertRegex(outcome.err, "worker +user .*no capabilities, no new privileges, limits")
        with open("/etc/passwd") as users:
            there = "\nvgpu-fetch-worker:" in users.read()
        missing = "the user vgpu-fetch-worker is missing, which the package makes: using 65534"
        self.assertEqual(missing in outcome.err, not there)

    def test_no_redirect_from_https_to_http(self):
        plain = self.use(Server())
        plain.files["/f.run"] = self.data
        self.repository.add(RUN, self.data)
        self.repository.faults["/nvidia/" + RUN] = always(fault.redirect(plain.base + "/f.run"))
        self.refused(5, "http", self.repository.sets)
        self.assertEqual(plain.requests, [])

    def test_a_driver_that_turns_out_to_contradict_the_host(self):
        self.repository.put("driver.run", self.data)
        self.refused(4, "later branch", {"driver.url": self.repository.url + "driver.run"}, sysfs=vgpu("470.63", "r470_00"),
                     step="unpack")

    def test_a_file_that_is_no_driver(self):
        self.repository.put("driver.run", b"#!/bin/sh\necho hello\n" * 100)
        self.refused(6, "driver.run", {"driver.url": self.repository.url + "driver.run"}, step="unpack")

    def test_no_rule_fits(self):
        self.repository.name("NVIDIA-Linux-x86_64-550.90.07-grid.run")
        self.refused(4, "fits", self.repository.sets, step="match")

    def test_no_gpu(self):
        self.refused(3, "no NVIDIA GPU", self.repository.sets, step="detect", sysfs=parts.pci())

    def test_a_host_version_that_only_root_can_read(self):
        self.repository.add(RUN, self.data)
        os.chmod(self.out, 0o777)
        self.refused(16, "could not be read", self.repository.sets, step="match", sysfs=parts.pci("--gpu", "unreadable"),
                     nobody=True)
        self.fetched(self.fetch({**self.repository.sets, "driver.version": GUEST}, sysfs=parts.pci("--gpu", "unreadable"),
                                nobody=True))

    def test_a_folder_that_is_not_there(self):
        self.error(2, "fetch", "/nowhere", "fetch", "--output", "/nowhere", sysfs=vgpu(), sets=self.repository.sets)

    def test_a_folder_that_may_not_be_written(self):
        self.error(16, "fetch", self.folder, "fetch", "--output", self.folder, sysfs=vgpu(), nobody=True,
                   sets=self.repository.sets, hint="--output")

    def test_a_folder_that_others_have_made_for_us(self):
        self.repository.add(RUN, self.data)
        elsewhere = self.path("elsewhere")
        os.mkdir(elsewhere)
        own = os.path.join(self.out, CACHE)

        def link():
            os.symlink(elsewhere, own)

        def anybodys():
            os.mkdir(own)
            os.chmod(own, 0o777)

        def anothers():
            os.mkdir(own)
            os.chown(own, 65534, 65534)

        for make in (link, anybodys, anothers):
            with self.subTest(make.__name__):
                make()
                self.refused(16, CACHE, self.repository.sets, empty=False)
                self.assertEqual(os.listdir(elsewhere) + os.listdir(own), [])
                remove(own)

    def test_names_of_a_url_stay_in_the_folder(self):
        for name in ("..", "%2e%2e", "a%2fb.run", "."):
            self.repository.put("x/" + name, self.data)
            self.program.call("fetch", "--output", self.out, sysfs=vgpu(),
                              sets={"driver.url": self.repository.url + "x/" + name, "http.ca_file": parts.ca_file()})
            self.assertEqual(sorted(os.listdir(self.folder)), ["out"])


class Trust(Fetches):
    def setUp(self):
        super().setUp()
        self.plain = self.use(Server())
        self.plain.files["/" + RUN] = self.data
        self.url = f"{self.plain.base}/{RUN}"

    def test_plain_http_is_refused_before_a_byte_is_asked_for(self):
        value = self.refused(6, "nothing vouches", {"driver.url": self.url})
        for way in ("https://", "driver.sha256", "driver.integrity"):
            self.assertIn(way, value["error"]["hint"])
        self.assertEqual(self.plain.requests, [])

    def test_plain_http_with_a_pin(self):
        value = self.fetched(self.fetch({"driver.url": self.url, "driver.sha256": sha256(self.data)}))
        self.assertEqual(value["integrity"], "sha256-pin")

    def test_plain_http_with_a_warning(self):
        value = self.fetched(self.fetch({"driver.url": self.url, "driver.integrity": "warn"}))
        self.assertEqual(value["integrity"], "none")
        self.assertIn("warning: fetch: ", self.last.err)

    def test_a_redirect_from_https_makes_no_trust_of_http(self):
        first = self.use(Repository())
        first.faults["/nvidia/" + RUN] = always(fault.redirect(self.url))
        self.refused(5, "http", {"driver.url": first.url + RUN})

    def test_another_authority(self):
        first = self.use(Repository())
        first.put(RUN, self.data)
        self.refused(5, "certificate", {"driver.url": first.url + RUN, "http.ca_file": None})

    def test_an_authority_that_is_missing(self):
        self.refused(2, "http.ca_file", {"driver.url": "https://127.0.0.1/a.run", "http.ca_file": "/nowhere.pem"})


class Secrets(Fetches):
    """Guards of a Pulp: what they want is sent, from files that nobody else may read, and shown nowhere."""

    def setUp(self):
        super().setUp()
        self.repository = self.use(Repository())
        self.repository.add(RUN, self.data)

    def test_netrc_is_sent_at_once(self):
        wanted = "Basic " + base64.b64encode(b"me:opensesame").decode()
        self.repository.guard = lambda request: request.headers["Authorization"] == wanted
        netrc = self.write("netrc", "machine 127.0.0.1 login me password opensesame\n", 0o600)
        self.fetched(self.fetch({**self.repository.sets, "http.netrc_file": netrc}))
        self.assertNotIn("opensesame", self.last.out + self.last.err)

    def test_a_header_guard(self):
        value = base64.b64encode(b"opensesame").decode()
        self.repository.guard = lambda request: request.headers["X-Guard"] == value
        header = self.write("header", f"X-Guard: {value}\n", 0o600)
        self.fetched(self.fetch({**self.repository.sets, "http.header_file": header}))
        self.assertNotIn(value, self.last.out + self.last.err)

    def test_a_guard_that_wants_something_else(self):
        self.repository.guard = lambda request: False
        self.refused(5, "403", self.repository.sets, step="match")

    def test_files_that_others_may_read_are_refused(self):
        for key in ("http.netrc_file", "http.header_file"):
            for mode in (0o644, 0o640, 0o604):
                with self.subTest(f"{key} {mode:o}"):
                    path = self.write("secret", "X-Guard: opensesame\n", mode)
                    value = self.refused(2, "others may read", {**self.repository.sets, key: path}, step="match")
                    self.assertIn("chmod 600", value["error"]["hint"])
                    self.assertNotIn("opensesame", self.last.out + self.last.err)
        self.assertEqual(self.repository.requests, [])

    def test_a_client_certificate(self):
        parts.authority().issue("client")
        with_key = self.use(TrustingRepository())
        with_key.add(RUN, self.data)
        files = {"http.client_cert": parts.authority().path("client.pem"), "http.client_key": parts.authority().path("client.key")}
        self.fetched(self.fetch({**with_key.sets, **files}))
        os.unlink(os.path.join(self.out, RUN))
        self.refused(5, "", with_key.sets, step="match")

    def test_a_key_without_its_certificate(self):
        self.refused(2, "client_cert", {**self.repository.sets, "http.client_key": "/etc/key.pem"}, step="fetch")


class TrustingRepository(Repository):
    def __init__(self):
        authority = parts.authority()
        Server.__init__(self, authority.server(clients=authority))
        self.url, self.lines = self.base + "/nvidia/", []


class Proxies(Fetches):
    def setUp(self):
        super().setUp()
        self.proxy = self.use(Server())
        self.proxy.files["http://pulp.example/a.run"] = self.data
        self.sets = {"driver.url": "http://pulp.example/a.run", "driver.sha256": sha256(self.data)}

    def test_of_the_environment(self):
        self.fetched(self.fetch(self.sets, env={"http_proxy": self.proxy.base}), "a.run")

    def test_of_the_configuration(self):
        self.fetched(self.fetch({**self.sets, "http.proxy": self.proxy.base}, env={"http_proxy": "http://192.0.2.1:1"}), "a.run")

    def test_no_proxy_of_the_environment(self):
        self.refused(5, "pulp.example", self.sets, env={"http_proxy": self.proxy.base, "no_proxy": "pulp.example"}, empty=False)
        self.assertEqual(self.proxy.requests, [])


class Local(Fetches):
    def setUp(self):
        super().setUp()
        self.run_file = os.path.join(parts.drivers(), RUN)
        self.bundle = os.path.join(parts.drivers(), BUNDLE)

    def test_a_run(self):
        value = self.fetched(self.fetch({"driver.url": "file://" + self.run_file}))
        self.assertEqual((value["integrity"], value["bytes_transferred"]), ("local-file", 0))

    def test_the_member_of_a_bundle_and_the_bundle_stays(self):
        before = sha256(read(self.bundle))
        self.fetched(self.fetch({"driver.url": "file://" + self.bundle}))
        self.assertEqual(sha256(read(self.bundle)), before)

    def test_percent_encoded(self):
        os.symlink(self.run_file, self.path("a driver.run"))
        self.fetched(self.fetch({"driver.url": f"file://{self.folder}/a%20driver.run"}), "a%20driver.run")

    def test_a_pin(self):
        sets = {"driver.url": "file://" + self.run_file, "driver.sha256": "ab" * 32}
        self.refused(6, "SHA-256", sets)

    def test_one_that_is_not_there(self):
        self.refused(5, "/nowhere.run", {"driver.url": "file:///nowhere.run"})

    def test_what_is_no_file(self):
        os.mkfifo(self.path("fifo.run"))
        os.mkdir(self.path("dir.run"))
        for name in ("fifo.run", "dir.run"):
            self.refused(2, "regular", {"driver.url": f"file://{self.folder}/{name}"})


class Bundles(Fetches):
    """A zip is foreign bytes: it works, or the error names the member and nothing is left."""

    def zipped(self, *members, **options):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1, **options) as archive:
            for name, data in members:
                archive.writestr(name, data)
        return file.getvalue()

    def sets(self, content):
        return {"driver.url": "file://" + self.write(BUNDLE, content)}

    def bad(self, content, words, step="unpack", status=6):
        return self.refused(status, words, self.sets(content), step=step, empty=False)

    def test_every_layout(self):
        for member in (RUN, "Guest_Drivers/" + RUN, BUNDLE[:-4] + "/" + RUN):
            with self.subTest(member):
                self.fetched(self.fetch(self.sets(self.zipped((member, self.data)))))

    def test_data_descriptors(self):
        class Pipe(io.RawIOBase):
            def __init__(self):
                super().__init__()
                self.data = bytearray()

            def writable(self):
                return True

            def write(self, data):
                self.data += data
                return len(data)

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(RUN, self.data)
        self.fetched(self.fetch(self.sets(bytes(pipe.data))))

    def test_zip64(self):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive, archive.open(RUN, "w", force_zip64=True) as member:
            member.write(self.data)
        self.fetched(self.fetch(self.sets(file.getvalue())))

    def test_an_encrypted_member(self):
        content = bytearray(self.zipped((RUN, b"x" * 1000)))
        for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + at] |= 1
        self.bad(bytes(content), RUN)

    def test_a_method_that_nobody_uses(self):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr(RUN, b"x" * 1000)
        self.bad(file.getvalue(), RUN)

    def test_a_member_bomb(self):
        content = bytearray(self.zipped((RUN, bytes(64 << 20))))
        for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            start = content.index(signature) + at
            content[start:start + 4] = (1000).to_bytes(4, "little")
        self.bad(bytes(content), RUN)

    def test_a_member_whose_bytes_are_damaged(self):
        content = bytearray(self.zipped((RUN, self.data)))
        content[len(content) // 2] ^= 0xff
        self.bad(bytes(content), RUN)

    def test_members_outside(self):
        for name in ("../" + RUN, "/" + RUN, "a/../../" + RUN):
            with self.subTest(name):
                outcome = self.program.call("fetch", "--output", self.out, sysfs=vgpu(),
                                            sets=self.sets(self.zipped((name, self.data))))
                self.assertIn(outcome.status, (0, 6), outcome)
                self.assertLessEqual(set(os.listdir(self.folder)), {"out", BUNDLE})
                self.assertLessEqual(set(os.listdir(self.out)), {RUN, CACHE})

    def test_two_members_that_match(self):
        self.bad(self.zipped((RUN, b"a"), ("Guest_Drivers/" + RUN, b"b")), RUN)

    def test_no_member_that_matches(self):
        self.bad(self.zipped(("NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run", b"x"), ("a.pdf", b"x")), BUNDLE)

    def test_what_is_no_zip(self):
        for content in (b"", b"PK", b"hello" * 1000, self.zipped((RUN, self.data))[:-500]):
            self.bad(content, BUNDLE)


class Ends(Fetches):
    """A signal, or the worst: no child stays, and what came is not lost."""

    def setUp(self):
        super().setUp()
        self.repository = self.use(Repository()).add(RUN, self.data)
        self.sets = {**self.repository.sets, "http.stall_timeout": "60"}

    def partial(self):
        return next((os.path.join(where, name) for where, _, names in os.walk(self.out) for name in names
                     if name.endswith(".partial")), None)

    def in_the_middle(self, *words):
        """A fetch of which a third has come."""
        remove(self.out)
        os.mkdir(self.out)
        self.repository.faults["/nvidia/" + RUN] = [fault.stall(after=1_500_000)]
        process = self.program.start("fetch", "--output", self.out, *words, sets=self.sets, sysfs=vgpu())
        self.until(lambda: self.partial() and read(self.partial())[:1_000_000] == self.data[:1_000_000], "the first bytes")
        return process

    def test_a_signal_ends_it_and_its_worker_and_it_dies_of_it(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number):
                process = self.in_the_middle()
                self.assertGreaterEqual(len(living()), 2)
                process.send_signal(number)
                outcome = self.ended(process, number)
                self.assertEqual(outcome.out, "")
                self.assertIsNone(next((name for name in os.listdir(self.out) if name != CACHE), None))

    def test_after_a_signal_only_the_rest_is_fetched(self):
        process = self.in_the_middle()
        process.send_signal(signal.SIGTERM)
        self.ended(process, signal.SIGTERM)
        value = self.fetched(self.fetch(self.repository.sets))
        self.assertRegex(self.repository.ranges[-1], r"^bytes=\d+-$")
        self.assertLess(value["bytes_transferred"], len(self.data) - 1_000_000)

    def test_after_kill_9_no_worker_stays_and_only_the_rest_is_fetched(self):
        process = self.in_the_middle()
        process.kill()
        process.communicate()
        self.until(lambda: living() == {}, "the end of the worker")
        value = self.fetched(self.fetch(self.repository.sets))
        self.assertRegex(self.repository.ranges[-1], r"^bytes=\d+-$")
        self.assertLess(value["bytes_transferred"], len(self.data) - 1_000_000)

    def test_a_partial_file_of_garbage_is_no_reason_to_fail(self):
        process = self.in_the_middle()
        process.kill()
        process.communicate()
        with open(self.partial(), "r+b") as file:
            file.write(b"garbage")
        self.fetched(self.fetch(self.repository.sets))

    def test_a_worker_that_is_killed_is_status_1(self):
        for name in ("fetch-worker", "net-worker"):
            process = self.in_the_middle("--json")
            worker = next(pid for pid, line in living().items() if line.startswith(name))
            os.kill(worker, signal.SIGKILL)
            out, err = process.communicate(timeout=20)
            self.assertEqual(process.returncode, 1, (out, err))
            self.assertIn(b'"name":"internal"', out)
            self.assertIn(b"worker was killed by signal 9", out)
            self.assertEqual(living(), {})


if __name__ == "__main__":
    main(__file__)
