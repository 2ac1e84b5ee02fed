#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What run would do, out of repositories that are served here: each rule of the match, each integrity, each check."""

import ctypes
import fcntl
import json
import os
import platform
import resource
import shutil
import socket

import parts
import shapes
from parts import Repository, pci, vgpu
from program import Case, living, main, read, remove, write
from server import Server, always, close, status
from signing import ED25519, RSA, key, sign

RUNS = [f"NVIDIA-Linux-x86_64-{version}-grid.run" for version in ("525.105.17", "525.147.05", "535.161.08", "550.90.07")]
INDEX = "vgpu-index.json"
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
CATALOG = """
version: 52
date: "2025-05-28"
branch:
  - {name: R528_79, type: host, allow: {branch: [R528_79, R511_65]}}
  - {name: R528_79, type: guest}
  - {name: R511_65, type: guest}
driver:
  - {version: 525.105.14, date: "2023-03-30", branch: R528_79, type: host, hypervisor: [Linux KVM]}
  - {version: 525.105.17, date: "2023-03-30", branch: R528_79, type: guest, os: [Linux]}
  - {version: 510.47.03, date: "2022-02-02", branch: R511_65, type: guest, os: [Linux]}
"""


TIME_ERROR = 5  # of adjtimex(2): the clock is not synchronised


def clock_is_synchronized():
    return ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) != TIME_ERROR


class Plans(Case):
    def setUp(self):
        super().setUp()
        self.repository = self.use(Repository())

    def plan(self, *words, sysfs=None, sets=None, **more):
        return self.json("plan", *words, sysfs=sysfs or vgpu(), sets={**self.repository.sets, **(sets or {})}, **more)

    def why(self, plan, name):
        return next(each["why"] for each in plan["candidates"] if each["name"] == name)

    def chosen(self, rule, version, *words, **more):
        plan = self.plan(*words, **more)
        self.assertEqual((plan["driver"]["rule"], plan["driver"]["version"]), (rule, version), plan)
        return plan

    def none(self, words, *more_words, would_fail=4, **more):
        """`plan` itself ends well, and says what `run` would die of."""
        plan = self.plan(*more_words, **more)
        self.assertIsNone(plan["driver"])
        self.assertEqual(plan["would_fail"], would_fail)
        check = next(each for each in plan["checks"] if each["name"] == "match")
        self.assertIs(check["ok"], False)
        self.assertIn(words, check["detail"])
        return plan


class Rules(Plans):
    def test_url(self):
        plan = self.chosen("url", "525.105.17", sets={"driver.repository": None,
                                                      "driver.url": f"https://pulp.example/x/{parts.RUN}?sig=secret"})
        self.assertNotIn("secret", self.last.out + self.last.err)
        self.assertEqual(plan["driver"]["url"], f"https://pulp.example/x/{parts.RUN}")
        self.assertEqual(self.repository.requests, [])

    def test_url_of_a_renamed_file_has_no_version_yet(self):
        plan = self.chosen("url", None, sets={"driver.repository": None, "driver.url": "https://pulp.example/driver.run"})
        self.assertEqual(plan["driver"]["kind"], "run")

    def test_url_may_name_a_clouds_own_driver(self):
        self.chosen("url", "525.105.17", sets={"driver.repository": None,
                    "driver.url": "https://h.example/NVIDIA-Linux-x86_64-525.105.17-grid-aws.run"})

    def test_version(self):
        self.repository.name(*RUNS)
        plan = self.chosen("version", "525.105.17", sets={"driver.version": "525.105.17"})
        self.assertIn("not the version asked for", self.why(plan, RUNS[1]))

    def test_version_that_is_not_there(self):
        self.repository.name(*RUNS)
        self.none("525.1.1", sets={"driver.version": "525.1.1"})

    def test_version_that_contradicts_the_host(self):
        self.repository.name(*RUNS)
        self.none("later branch", sets={"driver.version": "550.90.07"})
        self.chosen("version", "550.90.07", sets={"driver.version": "550.90.07", "driver.allow_mismatch": "true"})

    def test_bundle_of_this_host_goes_first(self):
        self.repository.name(*RUNS, parts.BUNDLE, "NVIDIA-GRID-Linux-KVM-525.147.01-525.147.05-529.19.zip")
        plan = self.chosen("bundle", "525.105.17")
        self.assertIn(self.why(plan, parts.BUNDLE), "its host version is this host's")
        self.assertIn("a bundle made for this host goes first", self.why(plan, RUNS[1]))
        self.assertIn("later than the host's", self.why(plan, RUNS[3]))
        self.assertEqual(plan["driver"]["url"], self.repository.url + parts.BUNDLE)

    def test_bundle_with_two_versions_is_host_and_guest_in_one(self):
        self.repository.name("NVIDIA-GRID-Linux-KVM-535.129.03-537.70.zip")
        self.chosen("bundle", "535.129.03", sysfs=vgpu("535.129.03", "r537_70"))

    def test_highest_of_several_bundles_of_this_host(self):
        self.repository.name("NVIDIA-GRID-Linux-KVM-535.161.05-535.161.07-538.33.zip",
                             "NVIDIA-GRID-Linux-KVM-535.161.05-535.161.08-538.46.zip")
        self.chosen("bundle", "535.161.08", sysfs=vgpu("535.161.05", "r538_27"))

    def test_bundles_of_other_platforms_are_passed_over(self):
        name = "NVIDIA-GRID-vSphere-7.0-525.105.14-525.105.17-528.89.zip"
        self.repository.name(name)
        self.assertTrue(self.why(self.none("no Linux guest driver"), name))

    def test_catalog_takes_the_hosts_branch_before_another(self):
        self.repository.add("vgpuDriverCatalog.yaml", CATALOG.encode())
        self.repository.name(RUNS[0], RUNS[1], "NVIDIA-Linux-x86_64-510.47.03-grid.run")
        plan = self.chosen("catalog", "525.105.17")
        self.assertIn("catalog", self.why(plan, RUNS[1]))

    def test_catalog_of_the_configuration(self):
        self.repository.name(RUNS[0], RUNS[1])
        catalog = self.write("catalog.yaml", CATALOG)
        self.chosen("catalog", "525.105.17", sets={"driver.catalog": catalog})
        self.chosen("branch", "525.147.05", sets={"driver.catalog": "none"})

    def test_catalog_of_another_server(self):
        self.repository.name(RUNS[0], RUNS[1])
        other = self.use(Server())
        other.files["/c.yaml"] = CATALOG.encode()
        self.chosen("catalog", "525.105.17", sets={"driver.catalog": other.base + "/c.yaml"})
        other.files["/c.yaml"] = b"{["
        self.error(6, "match", "the driver catalog: ", "plan", sysfs=vgpu(), sets={**self.repository.sets, "driver.catalog": other.base + "/c.yaml"})

    def test_a_catalog_of_garbage_is_a_warning(self):
        self.repository.add("vgpuDriverCatalog.yaml", b"\x00{[}: &a *a").name(RUNS[0])
        self.chosen("branch", "525.105.17")
        self.assertRegex(self.last.err, "warning: .*vgpuDriverCatalog.yaml")

    def test_a_catalog_that_is_not_the_manifests_is_a_warning(self):
        self.repository.name(RUNS[0], "vgpuDriverCatalog.yaml").put("vgpuDriverCatalog.yaml", CATALOG.encode())
        self.chosen("branch", "525.105.17")
        self.assertRegex(self.last.err, "warning: .*SHA-256")

    def test_a_catalog_that_is_asked_for_must_be_good(self):
        self.repository.name(RUNS[0])
        bad = self.write("catalog.yaml", "{[")
        self.error(6, "match", "catalog", "plan", sysfs=vgpu(), sets={**self.repository.sets, "driver.catalog": bad})

    def test_branch(self):
        self.repository.name(*RUNS)
        plan = self.chosen("branch", "525.147.05")
        self.assertIn("older than", self.why(plan, RUNS[0]))

    def test_versions_compare_as_numbers(self):
        self.repository.name("NVIDIA-Linux-x86_64-525.9.1-grid.run", "NVIDIA-Linux-x86_64-525.60-grid.run",
                             "NVIDIA-Linux-x86_64-525.60.1-grid.run")
        self.chosen("branch", "525.60.1")

    def test_previous_branch_with_a_warning(self):
        self.repository.name("NVIDIA-Linux-x86_64-510.108.03-grid.run")
        self.chosen("previous-branch", "510.108.03")
        self.assertIn("warning: ", self.last.err)

    def test_previous_long_term_branch(self):
        self.repository.name("NVIDIA-Linux-x86_64-535.183.06-grid.run")
        self.chosen("previous-branch", "535.183.06", sysfs=vgpu("580.105.08", "r581_66"))

    def test_only_where_the_record_is_absent(self):
        self.repository.name(RUNS[2])
        self.chosen("only", "535.161.08", sysfs=pci("--gpu", "vgpu", "--no-record"))
        self.chosen("only", "535.161.08", sysfs=pci("--gpu", "passthrough"))
        self.assertIn("warning: ", self.last.err)

    def test_only_takes_one_version_and_not_two(self):
        self.repository.name(*RUNS)
        self.none("exactly one", sysfs=pci("--gpu", "vgpu", "--no-record"))

    def test_a_malformed_record_is_no_absent_one(self):
        self.repository.name(RUNS[0])
        self.none("0000:06:00.0", sysfs=pci("--gpu", "vgpu", "--malform", "reclen0"))

    def test_a_host_that_could_not_be_read_is_status_16(self):
        self.repository.name(RUNS[0])
        self.error(16, "match", "could not be read", "plan", sysfs=pci("--gpu", "unreadable"), sets=self.repository.sets,
                   nobody=True, hint="root")

    def test_vgpus_that_disagree_are_named(self):
        self.repository.name(*RUNS)
        tree = pci("--gpu", "vgpu", "--gpu", "vgpu", "--host-version", "535.161.05", "--branch", "r538_27")
        plan = self.none("0000:06:00.0", sysfs=tree)
        detail = next(each["detail"] for each in plan["checks"] if each["name"] == "match")
        for word in ("0000:07:00.0", parts.HOST, "535.161.05"):
            self.assertIn(word, detail)
        self.error(4, "match", "535.161.05", "run", sysfs=tree, sets=self.repository.sets)

    def test_host_drivers_and_data_centre_drivers_are_never_taken(self):
        names = ("NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run", "NVIDIA-Linux-x86_64-525.147.05.run",
                 "NVIDIA-Linux-x86_64-525.147.05-grid-azure.run", "NVIDIA-Linux-aarch64-525.147.05-grid.run")
        self.repository.name(*names, RUNS[0])
        plan = self.chosen("branch", "525.105.17")
        listed = [each["name"] for each in plan["candidates"] if not each["accepted"]]
        self.assertIn(names[0], listed)
        self.assertIn(names[2], listed)

    def test_a_branch_later_than_the_hosts_is_never_taken(self):
        self.repository.name(RUNS[2], RUNS[3])
        self.none("no driver in the repository fits")

    def test_the_kind_of_package_asked_for(self):
        deb, rpm = "nvidia-linux-grid-525_525.105.17_amd64.deb", "nvidia-linux-grid-525-525.105.17-1.x86_64.rpm"
        self.repository.name(RUNS[0], deb, rpm)
        for package, name, kind in (("auto", RUNS[0], "run"), ("deb", deb, "deb"), ("rpm", rpm, "rpm")):
            with self.subTest(package):
                plan = self.chosen("branch", "525.105.17", sets={"driver.package": package})
                self.assertEqual((plan["driver"]["url"], plan["driver"]["kind"]), (self.repository.url + name, kind))


class Indexes(Plans):
    """What vgpu-index.json is good for, and what it is not believed."""

    def key(self, which=ED25519):
        return {"driver.index_key": self.write("key.pem", key(*which)[1])}

    def sign(self, content, signed=None, repository=None):
        repository = repository or self.repository
        repository.put(INDEX, content)
        repository.put(INDEX + ".sig", sign(ED25519, content if signed is None else signed))

    def test_its_files_are_candidates(self):
        self.repository.index(parts.index(parts.run_entry(RUNS[1], 777, "525.147.05"))).name(RUNS[0])
        driver = self.chosen("branch", "525.147.05")["driver"]
        self.assertEqual((driver["integrity"], driver["size"]), ("index-tls", 777))

    def test_the_host_version_in_it_counts(self):
        content = parts.driver(parts.BUNDLE)
        name = "NVIDIA-GRID-Linux-KVM-525.105.01-525.105.02-528.01.zip"
        self.repository.index(parts.index(parts.bundle_entry(name, content)))
        self.chosen("bundle", parts.GUEST)

    def test_what_only_the_index_names_does_not_exist(self):
        """Where there is a manifest; an index page, which knows no checksums, or nothing at all is no better source."""
        content = parts.index(parts.run_entry(RUNS[1], 777, "525.147.05"))
        self.repository.name(RUNS[0]).index(content, listed=False)
        plan = self.chosen("branch", parts.GUEST)
        self.assertIn("the manifest has no such file", self.why(plan, RUNS[1]))
        del self.repository.files["/nvidia/PULP_MANIFEST"]
        self.chosen("branch", "525.147.05")

    def test_what_a_signed_index_misses_is_told(self):
        self.sign(parts.index(parts.run_entry(RUNS[0], 1000)))
        self.repository.name(RUNS[0])
        sets = {**self.repository.sets, **self.key()}
        for name, words in ((None, ""), (RUNS[1], "1 driver is"), (parts.BUNDLE, "2 drivers are"), ("notes.run", "2 drivers are")):
            with self.subTest(name):
                if name:
                    self.repository.name(name)
                self.chosen("branch", parts.GUEST, sets=sets)
                told = f"{words} not in the signed vgpu-index.json (serial 1, of 2026-11-22): make and sign it again"
                self.assertEqual(told in self.last.err, name is not None, self.last)

    def test_a_checksum_pairs_what_has_another_name(self):
        for index, manifest in ((RUNS[0], f"525/{RUNS[0]}"), (f"old/{RUNS[0]}", RUNS[0]), (f"a/{RUNS[0]}", f"b/{RUNS[0]}"), (RUNS[0], "renamed.run")):
            with self.subTest(manifest):
                repository = self.use(Repository())
                entry = parts.run_entry(index, 1000)
                self.sign(parts.index(entry), repository=repository)
                repository.say(f"{manifest},{entry['sha256']},1000")
                driver = self.chosen("branch", parts.GUEST, sets={**repository.sets, **self.key()})["driver"]
                self.assertEqual((driver["url"], driver["integrity"]), (repository.url + manifest, "signature"))

    def test_a_signature_vouches_over_plain_http_too(self):
        plain = self.use(Repository(tls=False))
        self.sign(parts.index(parts.run_entry(RUNS[0], 777)), repository=plain)
        plain.index(plain.files["/nvidia/" + INDEX])
        self.assertEqual(self.plan(sets={**plain.sets, **self.key()})["driver"]["integrity"], "signature")
        plain.name(RUNS[1])
        plan = self.chosen("branch", parts.GUEST, sets={**plain.sets, **self.key()})
        self.assertIn("not in the signed", self.why(plan, RUNS[1]))
        self.error(6, "fetch", "nothing vouches", "plan", sysfs=vgpu(), sets={**plain.sets, "driver.version": parts.GUEST})

    def test_a_pin_goes_before_the_signature(self):
        entry = parts.run_entry(RUNS[0], 777)
        self.sign(parts.index(entry))
        self.repository.index(parts.index(entry))
        sets = {**self.repository.sets, **self.key(), "driver.sha256": entry["sha256"]}
        self.assertEqual(self.plan(sets=sets)["driver"]["integrity"], "sha256-pin")
        self.error(6, "fetch", "the index says", "plan", sysfs=vgpu(), sets={**sets, "driver.sha256": "a" * 64})

    def test_a_wrong_signature_is_refused(self):
        content = parts.index(parts.run_entry(RUNS[0], 1000))
        self.repository.name(RUNS[0])
        self.sign(content, signed=content + b" ")
        self.error(6, "match", "no signature over", "plan", sysfs=vgpu(), sets={**self.repository.sets, **self.key()}, hint="index_key")
        self.chosen("branch", parts.GUEST)

    def serial(self, number, repository=None, which=ED25519, **more):
        content = parts.index(parts.run_entry(RUNS[0], 1000), serial=number, **more)
        (repository or self.repository).put(INDEX, content)
        (repository or self.repository).put(INDEX + ".sig", sign(which, content))

    def test_a_signed_index_that_is_older_than_the_last_one(self):
        sets = {**self.repository.sets, **self.key(), "driver.prerequisites": "never"}
        self.repository.name(RUNS[0]).put(RUNS[0], b"not it")
        for serial in (7, 8, 8):
            self.serial(serial)
            self.error(6, "fetch", "expected were 1000", "run", sysfs=vgpu(), sets=sets)
        self.serial(7)
        self.error(6, "match", "this is an old one", "plan", sysfs=vgpu(), sets=sets, hint="--previous")
        self.error(6, "match", "this is an old one", "run", sysfs=vgpu(), sets=sets)

    def test_under_another_spelling_and_on_another_server_it_is_as_old(self):
        """The serial is of the key: who shows the index cannot choose what it is compared with."""
        sets = {**self.repository.sets, **self.key(), "driver.prerequisites": "never"}
        other = self.use(Repository(tls=False))
        self.serial(8)
        self.program.call("run", sysfs=vgpu(), sets=sets)
        for repository in (self.repository, other):
            self.serial(7, repository)
        for url in (self.repository.url.rstrip("/"), self.repository.url + "/", self.repository.url.replace("/nvidia/", "/./nvidia/"),
                    other.url):
            with self.subTest(url):
                self.repository.files.update({path.replace("/nvidia/", "/nvidia//"): content
                                              for path, content in list(self.repository.files.items()) if "//" not in path})
                value = self.json("plan", sysfs=vgpu(), status=6, sets={**sets, "driver.repository": url})
                self.assertIn("this is an old one", value["error"]["message"])

    def test_a_serial_that_rises_is_kept_whatever_else_there_is_to_do(self):
        """A run ends at the first step, or finds nothing to do: what it saw of the index stays seen."""
        sets = {**self.repository.sets, **self.key(), "driver.prerequisites": "never"}
        state = "/var/lib/vgpu-guest-agent/state.json"
        for serial in (3, 9):
            self.serial(serial)
            self.json("plan", sysfs=vgpu(), sets=sets)
            kept = json.loads(read(state))["indexes"][0]["serial"] if os.path.exists(state) else 0
            self.assertLess(kept, serial, "plan changes nothing")
            self.program.call("run", sysfs=vgpu(), sets=sets)
            self.assertEqual(json.loads(read(state))["indexes"][0]["serial"], serial)

    def test_each_key_counts_for_itself(self):
        both = self.write("keys.pem", key(*ED25519)[1] + key(*RSA)[1])
        sets = {**self.repository.sets, "driver.index_key": both, "driver.prerequisites": "never"}
        for which, serial in ((ED25519, 8), (RSA, 3)):
            self.serial(serial, which=which)
            self.program.call("run", sysfs=vgpu(), sets=sets)
        for which, serial in ((ED25519, 7), (RSA, 2)):
            self.serial(serial, which=which)
            self.error(6, "match", "this is an old one", "plan", sysfs=vgpu(), sets=sets)

    def test_the_least_serial_of_the_configuration(self):
        self.serial(7)
        for least, status in ((7, 0), (8, 6)):
            sets = {**self.repository.sets, **self.key(), "driver.index_min_serial": str(least)}
            value = self.json("plan", sysfs=vgpu(), sets=sets, status=status)
        self.assertIn("driver.index_min_serial is 8", value["error"]["message"])

    def test_an_index_that_has_expired(self):
        """A clock that nobody vouches for refuses nothing."""
        sets = {**self.repository.sets, **self.key()}
        for expires, words in (("2020-01-01T00:00:00Z", "expired on 2020-01-01T00:00:00Z"), ("9999-01-01T00:00:00Z", None),
                               ("tomorrow", "is no time"), (7, "is no time"), (None, None)):
            with self.subTest(expires):
                self.serial(1, expires=expires)
                past = expires == "2020-01-01T00:00:00Z"
                refused = words and (not past or clock_is_synchronized())
                value = self.json("plan", sysfs=vgpu(), sets=sets, status=6 if refused else 0)
                self.assertIn(words or "", (value["error"]["message"] if refused else self.last.err))

    def test_with_a_key_there_must_be_an_index(self):
        self.repository.name(RUNS[0])
        self.error(6, "match", "has no vgpu-index.json", "plan", sysfs=vgpu(), sets={**self.repository.sets, **self.key()})
        missing = {**self.repository.sets, "driver.index_key": "/nowhere/key.pem"}
        self.error(2, "match", "driver.index_key", "plan", sysfs=vgpu(), sets=missing)

    def test_a_key_that_others_may_write(self):
        path = self.write("key.pem", key(*ED25519)[1], 0o666)
        self.error(2, "match", "others may write", "plan", sysfs=vgpu(), sets={**self.repository.sets, "driver.index_key": path})

    def test_of_another_schema_or_half_it_is_a_warning(self):
        self.repository.name(RUNS[0])
        for content in (parts.index(schema=2), parts.index(parts.run_entry(RUNS[1], 7))[:-20]):
            self.repository.put(INDEX, content)
            self.assertEqual(self.chosen("branch", parts.GUEST)["driver"]["integrity"], "manifest-tls")
            self.assertRegex(self.last.err, "warning: match: vgpu-index.json is not used: ")
            self.sign(content)
            self.error(6, "match", "vgpu-index.json", "plan", sysfs=vgpu(), sets={**self.repository.sets, **self.key()})

    def test_an_unsafe_name_is_skipped(self):
        self.repository.put(INDEX, parts.index(parts.run_entry("x/../" + RUNS[0], 7)))
        self.none("no Linux guest driver")
        self.assertIn("has an unsafe name: skipped", self.last.err)

    def test_one_that_contradicts_the_manifest(self):
        self.repository.name(RUNS[0])
        self.repository.put(INDEX, parts.index(parts.run_entry(RUNS[0], 1001)))
        self.assertIn("different sizes", self.why(self.none("no Linux guest driver"), RUNS[0]))
        self.repository.put(INDEX, parts.index({**parts.run_entry(RUNS[0], 1000), "sha256": "a" * 64}))
        self.assertIn("different SHA-256", self.why(self.none("no Linux guest driver"), RUNS[0]))
        self.repository.put(INDEX, parts.index(parts.run_entry(RUNS[0], 1000)))
        self.chosen("branch", parts.GUEST)


class Repositories(Plans):
    def test_what_the_manifest_says_of_the_file(self):
        self.repository.add(RUNS[0], b"x" * 12345)
        driver = self.plan()["driver"]
        self.assertEqual((driver["size"], driver["bytes"], driver["transfer"], driver["integrity"]),
                         (12345, 12345, "whole", "manifest-tls"))
        self.assertTrue(shapes.sha256(driver["sha256"]))
        self.assertEqual(self.repository.asked(RUNS[0]), [])

    def test_the_way_of_a_bundle_and_its_bytes(self):
        url = {"driver.repository": None, "driver.url": "https://h.example/" + parts.BUNDLE}
        self.repository.add(parts.BUNDLE, b"x" * 12345)
        for sets, said in (({}, ("member", None, "manifest-tls")), (url, ("member", None, "tls")),
                           ({**url, "driver.sha256": "a" * 64}, ("whole", None, "sha256-pin")),
                           ({**url, "driver.url": url["driver.url"].replace("s:", ":"), "driver.integrity": "warn"},
                            ("member", None, "none")),
                           ({**url, "driver.url": f"file://{self.write('a.zip', b'')}"}, ("local", 0, "local-file"))):
            with self.subTest(said):
                driver = self.plan(sets=sets)["driver"]
                self.assertEqual((driver["transfer"], driver["bytes"], driver["integrity"]), said)
                self.assertIsNone(driver["member"])

    def test_integrity(self):
        url = {"driver.repository": None}
        for sets, integrity in (({**url, "driver.url": "https://h.example/a.run"}, "tls"),
                                ({**url, "driver.url": "https://h.example/a.run", "driver.sha256": "a" * 64}, "sha256-pin"),
                                ({**url, "driver.url": f"file://{self.write('a.run', b'')}"}, "local-file"),
                                ({**url, "driver.url": "http://h.example/a.run", "driver.integrity": "warn"}, "none")):
            with self.subTest(integrity):
                self.assertEqual(self.plan(sets=sets)["driver"]["integrity"], integrity)
                warned = "TLS alone: " in self.text("plan", sysfs=vgpu(), sets=sets).out
                self.assertEqual(warned, integrity == "tls")

    def test_plain_http_with_nothing_that_vouches_is_refused_with_three_ways_out(self):
        value = self.error(6, "fetch", "nothing vouches", "plan", sysfs=vgpu(), sets={"driver.url": "http://h.example/a.run"})
        for word in ("https", "driver.sha256", "driver.integrity"):
            self.assertIn(word, value["error"]["hint"])

    def test_a_manifest_over_plain_http_vouches_for_nothing(self):
        plain = self.use(Repository(tls=False)).name(RUNS[0])
        self.error(6, "fetch", "nothing vouches", "plan", sysfs=vgpu(), sets=plain.sets)

    def test_a_pin_that_the_manifest_contradicts(self):
        self.repository.name(RUNS[0])
        self.error(6, "fetch", "manifest", "plan", sysfs=vgpu(),
                   sets={**self.repository.sets, "driver.sha256": "a" * 64, "driver.version": "525.105.17"})

    def test_bad_lines_are_named_and_skipped(self):
        for line in ("nonsense", "../../etc/x-grid.run," + "a" * 64 + ",1", "/NVIDIA-Linux-x86_64-525.147.05-grid.run," + "a" * 64
                     + ",1", f"{RUNS[1]},short,1", f"{RUNS[1]},{'a' * 64},-5", f"{RUNS[1]},{'a' * 64},99999999999999999999",
                     "\x1b[31mred", ""):
            self.repository.say(line)
        self.repository.name(RUNS[0])
        self.chosen("branch", "525.105.17")
        for number in range(1, 8):
            self.assertIn(f"line {number}", self.last.err)
        self.assertNotIn("\x1b", self.last.err + self.last.out)

    def test_comments_and_commas_in_names(self):
        self.repository.say("# a comment")
        self.repository.say(f"drivers, old/{RUNS[0]},{'A' * 64}, 1000 ")
        plan = self.plan()
        self.assertEqual(plan["driver"]["url"], self.repository.url + "drivers%2C%20old/" + RUNS[0])
        self.assertEqual(plan["driver"]["sha256"], "a" * 64)

    def test_an_empty_manifest(self):
        self.none("no Linux guest driver")

    def test_a_hundred_thousand_entries_in_bounded_memory(self):
        lines = [f"folder{i}/NVIDIA-Linux-x86_64-525.{i % 900}.{i // 900}-grid.run,{'a' * 64},1000" for i in range(100000)]
        self.repository.put("PULP_MANIFEST", "\n".join(lines).encode())
        outcome = self.program.call("plan", "--json", sysfs=vgpu(), sets=self.repository.sets)
        self.assertIn(outcome.status, (0, 6), outcome.err)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if not any("SAN_OPTIONS" in name for name in os.environ):
            self.assertLess(peak, 100 * 1024, "KiB of the largest process until now")

    def test_an_endless_manifest(self):
        self.repository.put("PULP_MANIFEST", b"x" * (80 << 20))
        self.error(6, "match", "PULP_MANIFEST", "plan", sysfs=vgpu(), sets=self.repository.sets)

    def test_an_index_page_where_there_is_no_manifest(self):
        del self.repository.files["/nvidia/PULP_MANIFEST"]
        self.repository.put("", b'<html><a href="../">up</a><a href="./%s">x</a><a href="https://evil.example/%s">y</a></html>'
                            % (RUNS[0].encode(), RUNS[1].encode()))
        plan = self.chosen("branch", "525.105.17")
        driver = plan["driver"]
        self.assertEqual((driver["size"], driver["sha256"], driver["integrity"]), (None, None, "tls"))

    def test_neither_manifest_nor_page(self):
        del self.repository.files["/nvidia/PULP_MANIFEST"]
        self.error(5, "match", "404", "plan", sysfs=vgpu(), sets=self.repository.sets)

    def test_unreachable_repositories_are_status_5(self):
        with Repository() as gone:
            pass
        for url in (gone.url, "https://192.0.2.1/x/", "https://pulp.invalid/"):
            with self.subTest(url):
                self.error(5, "match", url.split("/")[2], "plan", sysfs=vgpu(), sets={"driver.repository": url})

    def test_servers_that_fail(self):
        for fault, said in ((status(503), "503"), (status(403, "x" * 400), "403"), (close(), "")):
            with self.subTest(said):
                self.repository.faults["/nvidia/PULP_MANIFEST"] = always(fault)
                self.error(5, "match", said, "plan", sysfs=vgpu(), sets=self.repository.sets)

    def test_a_certificate_of_nobody_known(self):
        self.repository.name(RUNS[0])
        self.error(5, "match", "certificate", "plan", sysfs=vgpu(), sets={"driver.repository": self.repository.url})

    def test_credentials_of_a_url_are_in_no_output(self):
        self.repository.guard = lambda request: "opensesame" not in request.path and request.headers["Authorization"]
        self.repository.name(RUNS[0])
        url = self.repository.url.replace("https://", "https://user:opensesame@")
        outcome = self.program.call("plan", "--json", sysfs=vgpu(), sets={"driver.repository": url, "http.ca_file": parts.ca_file()})
        self.assertEqual(outcome.status, 0, outcome)
        self.assertNotIn("opensesame", outcome.out + outcome.err)


class Elsewhere(Plans):
    """What a guest on another host would get: from an operator's desk, without a GPU, and not as root."""

    def supposed(self, version, *words, **more):
        return self.json("plan", "--host-version", version, *words, sets={**self.repository.sets, **more}, nobody=True)

    def test_each_host_its_driver(self):
        self.repository.name(*RUNS)
        for host, rule, version in (("550.90.05", "branch", "550.90.07"), ("535.161.05", "branch", "535.161.08"),
                                    ("570.86.16", "previous-branch", "550.90.07"), ("525.1.1", "branch", "525.147.05")):
            with self.subTest(host):
                plan = self.supposed(host)
                self.assertEqual((plan["host_driver"]["version"], plan["driver"]["rule"], plan["driver"]["version"]), (host, rule, version))
                self.assertEqual((plan["kernels"], plan["would_fail"]), ([], None))

    def test_a_host_that_nothing_fits(self):
        self.repository.name(*RUNS)
        plan = self.supposed("470.63.01")
        self.assertEqual((plan["driver"], plan["would_fail"]), (None, 4))

    def test_the_catalog_knows_the_branch_of_the_version(self):
        self.repository.name(*RUNS)
        self.repository.add("vgpuDriverCatalog.yaml", CATALOG.encode())
        plan = self.supposed("525.105.14")
        self.assertEqual((plan["driver"]["rule"], plan["driver"]["version"]), ("catalog", "525.105.17"))
        self.assertIn("catalog", [each["what"] for each in plan["unasked"]])

    def test_every_check_is_there_and_only_the_choice_was_made(self):
        self.repository.name(*RUNS)
        checks = self.supposed("550.90.05")["checks"]
        self.assertEqual([each["name"] for each in checks], list(shapes.CHECKS))
        self.assertEqual([each["name"] for each in checks if each["ok"] is not None], ["match"])

    def test_a_kernel_that_is_nowhere_here(self):
        self.repository.name(*RUNS)
        plan = self.supposed("550.90.05", "--kernel", "9.9.9-else", "--kernel", "9.9.10")
        self.assertEqual(plan["kernels"], [{"release": "9.9.9-else", "action": "build"}, {"release": "9.9.10", "action": "build"}])

    def test_what_is_no_version(self):
        for value in ("550", "R550", "550.90.05-1", ""):
            self.error(2, "detect", "no driver version", "plan", "--host-version", value, nobody=True, hint="nvidia-smi")

    def test_of_five_thousand_the_chosen_one_the_near_ones_and_how_many_more(self):
        names = [f"NVIDIA-Linux-x86_64-{branch}.{minor}.{patch:02}-grid.run" for branch in (470, 525, 535, 550, 570)
                 for minor in range(100) for patch in range(1, 11)]
        self.repository.name(*names)
        lines = self.text("plan", "--host-version", "550.40.05", sets=self.repository.sets, nobody=True).out.splitlines()
        begin = lines.index("Candidates:") + 1
        listed = [line for line in lines[begin:] if line.startswith(("  * ", "  - ")) and ".run" in line]
        self.assertEqual(listed[0], "  * NVIDIA-Linux-x86_64-550.99.10-grid.run")
        self.assertEqual(len(listed), 10)
        self.assertTrue(all("-550.9" in line for line in listed), listed)
        self.assertIn("  and 4990 more: --json lists them all", lines)
        self.assertLess(len(lines), 40)
        self.assertEqual(len(self.supposed("550.40.05")["candidates"]), 5000)

    def test_the_network_is_asked_once(self):
        self.repository.faults["/nvidia/PULP_MANIFEST"] = always(status(503))
        self.error(5, "match", "503", "plan", "--host-version", "550.90.05", sets={**self.repository.sets, "http.retries": "8"}, nobody=True)
        self.assertEqual([request.path for request in self.repository.requests], ["/nvidia/PULP_MANIFEST"])


class Checks(Plans):
    def check(self, plan, name):
        return next(each for each in plan["checks"] if each["name"] == name)

    def test_every_check_of_the_contract_once_and_in_its_order(self):
        self.repository.name(RUNS[0])
        self.assertEqual([each["name"] for each in self.plan()["checks"]], list(shapes.CHECKS))

    def test_the_kernel_that_runs(self):
        self.repository.name(RUNS[0])
        self.assertEqual(self.plan()["kernels"], [{"release": platform.release(), "action": "build"}])

    def test_kernels_that_are_named(self):
        self.repository.name(RUNS[0])
        for release in ("6.1.0-98-test", "6.1.0-99-test"):
            write(f"/lib/modules/{release}/modules.builtin", "")
        plan = self.plan("--kernel", "6.1.0-98-test", "--kernel=6.1.0-99-test")
        self.assertEqual([each["release"] for each in plan["kernels"]], ["6.1.0-98-test", "6.1.0-99-test"])

    def test_a_kernel_that_is_not_installed(self):
        self.repository.name(RUNS[0])
        self.error(2, "detect", "9.9.9", "plan", "--kernel", "9.9.9", sysfs=vgpu(), sets=self.repository.sets, hint="detect")
        self.error(7, "detect", "9.9.9", "run", "--kernel", "9.9.9", sysfs=vgpu(), sets=self.repository.sets, hint="detect")

    def test_a_kernel_that_is_no_release(self):
        for name in ("../../etc", "a b", "", "x" * 200):
            with self.subTest(name):
                self.error(2, "detect", "kernel", "plan", "--kernel", name, sysfs=vgpu())

    def test_headers_that_may_not_be_installed(self):
        self.repository.name(RUNS[0])
        write("/lib/modules/6.1.0-97-test/modules.builtin", "")
        plan = self.plan("--kernel", "6.1.0-97-test", sets={"driver.prerequisites": "never"})
        self.assertIs(self.check(plan, "headers")["ok"], False)
        self.assertEqual(plan["would_fail"], 7)
        plan = self.plan("--kernel", "6.1.0-97-test")
        self.assertIsNone(self.check(plan, "headers")["ok"])

    def test_a_disk_that_is_too_small(self):
        self.repository.name(RUNS[0], size=1 << 50)
        plan = self.plan()
        self.assertIs(self.check(plan, "space")["ok"], False)
        self.assertEqual(plan["would_fail"], 7)

    def test_no_token(self):
        self.repository.name(RUNS[0])
        plan = self.plan()
        self.assertIs(self.check(plan, "token")["ok"], False)
        self.assertEqual(plan["would_fail"], 11)
        self.assertIn("token install FILE", plan["hint"])
        out = self.text("plan", sysfs=parts.vgpu(), sets=self.repository.sets).out
        self.assertTrue(out.endswith(f"run would fail with status 11 (token)\n  fix: {plan['hint']}\n"), out)

    def test_a_good_token_and_its_text_nowhere(self):
        self.repository.name(RUNS[0])
        path = self.write("t.tok", parts.token(), 0o600)
        plan = self.plan(sets={"license.token_file": path})
        self.assertIs(self.check(plan, "token")["ok"], True)
        self.assertIsNone(plan["would_fail"])
        self.assertNotIn(parts.token().decode()[40:80], self.last.out + self.last.err)

    def server(self, host):
        """The check of a token's license server; port 443 and 80 of this test's own network."""
        self.repository.name(RUNS[0])
        return self.check(self.plan(sets={"license.token_file": self.write("t.tok", parts.token("--host", host))}),
                          "license_server")

    def test_a_license_server_that_listens(self):
        with socket.create_server(("127.0.0.1", 443)), socket.create_server(("127.0.0.1", 80)):
            self.assertIs(self.server("127.0.0.1")["ok"], True)

    def test_a_license_server_that_does_not(self):
        check = self.server("127.0.0.1")
        self.assertIs(check["ok"], False)
        self.assertIn("127.0.0.1", check["detail"])

    def test_a_license_server_whose_name_nobody_knows(self):
        check = self.server("dls.invalid")
        self.assertIs(check["ok"], False)
        self.assertIn("dls.invalid", check["detail"])

    def test_secure_boot_without_a_key(self):
        self.repository.name(RUNS[0])
        write(SECURE_BOOT, b"\6\0\0\0\1")
        self.addCleanup(remove, "/sys/firmware")
        plan = self.plan()
        self.assertIs(self.check(plan, "secure_boot")["ok"], False)
        self.assertEqual(plan["would_fail"], 10)
        write(SECURE_BOOT, b"\6\0\0\0\0")
        self.assertIs(self.check(self.plan(), "secure_boot")["ok"], True)
        write(SECURE_BOOT, b"garbage")
        self.assertIsNone(self.check(self.plan(), "secure_boot")["ok"])

    def test_a_gpu_that_nouveau_or_nova_holds(self):
        self.repository.name(RUNS[0])
        for name in ("nouveau", "nova_core"):
            tree = self.path(name)
            shutil.copytree(vgpu(), tree)
            os.makedirs(f"{tree}/bus/pci/drivers/{name}")
            os.symlink(f"../../drivers/{name}", f"{tree}/bus/pci/devices/0000:06:00.0/driver")
            self.assertIn(name, self.check(self.plan(sysfs=tree), "nouveau")["detail"])

    def test_another_package_manager_at_work(self):
        self.repository.name(RUNS[0])
        path = "/var/lib/dpkg/lock-frontend"
        write(path, "")
        self.assertIs(self.check(self.plan(), "package_lock")["ok"], True)
        with open(path, "w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            self.assertIsNone(self.check(self.plan(), "package_lock")["ok"])

    def test_a_gpu_that_is_passed_through_needs_no_token(self):
        self.repository.name(RUNS[0])
        plan = self.plan(sysfs=pci("--gpu", "passthrough"))
        self.assertIsNone(self.check(plan, "token")["ok"])
        self.assertIsNone(plan["would_fail"])

    def test_the_changes(self):
        self.repository.name(RUNS[0])
        write("/etc/nvidia/gridd.conf", "# mine\nFeatureType=0\n")
        changes = {each["path"]: each["detail"] for each in self.plan()["changes"]}
        self.assertEqual(changes["/etc/nvidia/gridd.conf"], "FeatureType 0 -> 1")
        self.assertIn(f"/lib/modules/{platform.release()}/updates/vgpu-guest-agent/", changes)

    def test_the_changes_by_dkms(self):
        self.repository.name(RUNS[0])
        write("/etc/vgpu-guest-agent/conf.d/dkms.conf", 'driver: { dkms = "yes"; };\n')
        plan = self.plan()
        changes = {each["path"]: each["detail"] for each in plan["changes"]}
        self.assertIn("DKMS", changes[f"/lib/modules/{platform.release()}/updates/dkms/"])
        self.assertIn("DKMS", changes[f"/usr/src/nvidia-{plan['driver']['version']}/"])
        self.assertNotIn(f"/lib/modules/{platform.release()}/updates/vgpu-guest-agent/", changes)
        self.assertIn("dkms", self.check(plan, "compiler")["detail"])

    def test_no_gpu_is_status_3(self):
        self.error(3, "detect", "no NVIDIA GPU", "plan", sysfs=pci())

    def test_plan_changes_nothing_and_leaves_nobody(self):
        self.repository.name(RUNS[0])
        self.plan()
        for path in ("/var/lib/vgpu-guest-agent", "/var/log/vgpu-guest-agent", "/var/cache/vgpu-guest-agent", "/etc/nvidia"):
            self.assertFalse(os.path.exists(path), path)
        self.assertEqual(living(), {})

    def test_for_people(self):
        self.repository.name(*RUNS, parts.BUNDLE)
        out = self.text("plan", sysfs=vgpu(), sets=self.repository.sets).out
        for word in (parts.HOST, "525.105.17", parts.BUNDLE, "later than the host's", "headers", "run would fail with status 11"):
            self.assertIn(word, out)


class Offline(Plans):
    def test_a_driver_must_be_named(self):
        plan = self.json("plan", "--offline")
        self.assertEqual((plan["driver"], plan["would_fail"]), (None, 4))
        self.error(4, "match", "offline", "run", "--offline", hint="driver.url")

    def test_below_a_root_every_kernel_with_headers(self):
        parts.small_system(self.folder, ("6.1.0-9-amd64", "6.1.0-37-cloud-amd64"))
        parts.small_system(self.folder, ("6.12.1-amd64",), headers=False)
        plan = self.json("plan", "--root", self.folder, sets={"driver.url": "https://h.example/" + parts.RUN})
        self.assertEqual([each["release"] for each in plan["kernels"]], ["6.1.0-9-amd64", "6.1.0-37-cloud-amd64"])
        self.assertEqual(plan["driver"]["rule"], "url")


if __name__ == "__main__":
    main(__file__)
