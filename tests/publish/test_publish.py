#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""publish-driver from outside: what guests see afterwards, what a second call does, and what every kind of failure leaves.

Without more a stand-in for Pulp answers (pulp.py). Against a real one, all of it:

    PULP_URL=https://pulp.example PULP_USERNAME=admin PULP_PASSWORD=... tests/publish/test_publish.py [-v] [NAME...]

PULP_CONTENT_URL names its content app where that has an address of its own. Repositories of fresh names are made there, and left."""

import ast
import base64
import binascii
import functools
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import unittest
import urllib.request
import uuid
import zipfile

HERE = os.path.dirname(os.path.realpath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(CHECKOUT, "tests", "http"), os.path.join(CHECKOUT, "scripts")]
from authority import Authority  # noqa: E402
from between import Between  # noqa: E402
from publish import say  # noqa: E402
from publish import settings as publish_settings  # noqa: E402
from publish.pulp import Notes  # noqa: E402
from publish.pulp import Pulp as Client  # noqa: E402
from pulp import PASSWORD, USER, Pulp  # noqa: E402
from signing import ED25519, RSA, key  # noqa: E402

say.QUIET = True
BUILD = os.environ.get("VGPU_BUILD") or os.path.join(CHECKOUT, "build", "dev")
AGENT = os.environ.get("VGPU_AGENT") or os.path.join(BUILD, "agent", "vgpu-guest-agent")
REAL = os.environ.get("PULP_URL")
LIMIT_S = 120
INDEX, SIGNATURE = "vgpu-index.json", "vgpu-index.json.sig"
BUNDLE = "NVIDIA-GRID-Linux-KVM-525.105.14-525.105.17-528.89.zip"


@functools.lru_cache(None)
def driver(version="525.105.17"):
    """The path of a guest driver."""
    folder = tempfile.mkdtemp(prefix="drivers-")
    made = subprocess.run([os.path.join(CHECKOUT, "tests/standin/make-driver"), "--version", version, "--host-version", version, "--layout",
                           "dirs", "--kinds", "run", "--output", folder], check=True, stdout=subprocess.PIPE).stdout.decode()
    return made.splitlines()[0]


@functools.lru_cache(None)
def bundle(name=BUNDLE, version="525.105.17"):
    path = os.path.join(tempfile.mkdtemp(prefix="bundles-"), name)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Guest_Drivers/", b"")
        archive.write(driver(version), "Guest_Drivers/" + os.path.basename(driver(version)))
        archive.writestr("Host_Drivers/NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run", os.urandom(3 << 20))
    return path


MODULES = "nvidia-modules-525.105.17-6.1.0-37-cloud-amd64-proprietary.tar.gz"


def modules():
    """An archive of prebuilt modules, as build-modules makes it."""
    module, packed = b"\x7fELF as if", io.BytesIO()
    manifest = {"schema": 1, "name": MODULES, "version": "525.105.17", "kernel": "6.1.0-37-cloud-amd64", "vermagic": "6.1.0 SMP",
                "compiler": "gcc 12.2.0", "flavour": "proprietary", "arch": "x86_64", "symbols": None, "signed_by": None,
                "modules": [{"name": "nvidia.ko", "size": len(module), "sha256": sha256(module)}]}
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in (("manifest.json", json.dumps(manifest).encode()), ("modules/nvidia.ko", module)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def name_of(path):
    return os.path.basename(path)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def page(status, title):
    """A rule: a proxy's page instead of Pulp's answer."""
    return status, f"<html><head><title>{title}</title></head></html>".encode(), "text/html"


def told(status, value):
    return status, json.dumps(value).encode(), "application/json"


class Case(unittest.TestCase):
    pulp = between = None

    @classmethod
    def setUpClass(cls):
        if Case.between is None:
            if not REAL:
                Case.pulp = Pulp()
                Case.pulp.__enter__()
            Case.between = Between(REAL or Case.pulp.url, os.environ.get("PULP_CONTENT_URL"))
            Case.between.__enter__()

    def setUp(self):
        self.between.calm()
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        self.folder = tempfile.mkdtemp(prefix="publish-")
        self.url = f"{self.between.url}/pulp/content/{os.environ.get('PULP_DOMAIN_PATH', '')}{self.name}/"
        self.key = key(*ED25519)[0]

    def write(self, name, data, mode=0o600):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        return path

    def start(self, *words, env=None, url=True):
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder, "PULP_BASE_URL": self.between.url, "VGPU_PUBLISH_PAUSE_S": "0.05",
                       "PULP_USERNAME": os.environ.get("PULP_USERNAME", USER), "PULP_PASSWORD": os.environ.get("PULP_PASSWORD", PASSWORD),
                       **{name: value for name, value in os.environ.items() if name in ("PULP_DOMAIN", "PULP_API_ROOT") or "SAN_" in name}}
        environment.update(env or {})
        environment = {name: value for name, value in environment.items() if value is not None}
        more = ["--guest-url", self.url] if url else []
        return subprocess.Popen([os.path.join(CHECKOUT, "scripts/publish-driver"), "--json", "--agent", AGENT, "--repository", self.name, *more,
                                 *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def publish(self, *words, status=0, says=None, **more):
        """The report; with a `status` the error, and what it says."""
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=LIMIT_S)
        self.err = err.decode()
        self.assertEqual(process.returncode, status, (out, self.err))
        value = json.loads(out)
        self.assertEqual(value["schema"], 1)
        if status:
            self.assertEqual(value["error"]["status"], status)
            self.assertEqual(self.err.count("publish-driver: "), 1, self.err)
            self.assertNotIn("Traceback", self.err)
            value = value["error"]
        for text in [says] if isinstance(says, str) else says or ():
            self.assertIn(text, (value["message"] + str(value["hint"])) if status else self.err)
        return value

    def refused(self, status, says, *words, **more):
        """It stops before any change."""
        before = self.changes()
        self.publish(*words, status=status, says=says, **more)
        self.assertEqual(self.changes(), before)

    def changes(self):
        """What was asked that changes something."""
        return [(method, path) for method, path, _ in self.between.requests if method not in ("GET", "HEAD")]

    def get(self, name):
        with urllib.request.urlopen(self.url + name, timeout=20) as answer:
            return answer.read()

    def manifest(self):
        """name -> sha256, as guests see it; None where nothing is published."""
        try:
            text = self.get("PULP_MANIFEST").decode()
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, 404)
            return None
        return {line.rsplit(",", 2)[0]: line.rsplit(",", 2)[1] for line in text.splitlines()}

    def index(self):
        return json.loads(self.get(INDEX))

    def whole(self):
        """What guests see fits together: manifest, index, signature. Returns the names."""
        manifest = self.manifest()
        if manifest is None:
            return set()
        for name in (INDEX, SIGNATURE):
            if name in manifest:
                self.assertEqual(sha256(self.get(name)), manifest[name])
        if INDEX in manifest:
            for entry in (*self.index()["files"], *self.index()["modules"]):
                self.assertEqual(manifest[entry["name"]], entry["sha256"])
        if SIGNATURE in manifest:
            self.verify(self.get(INDEX), base64.b64decode(self.get(SIGNATURE)))
        return set(manifest) - {INDEX, SIGNATURE}

    def verify(self, content, signature):
        public = self.write("key.pub", subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout"], check=True, stdout=subprocess.PIPE).stdout)
        words = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, "-sigfile", self.write("s", signature), "-in"]
        if "RSA" in self.key:
            words = ["openssl", "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-verify", public, "-signature", self.write("s", signature)]
        subprocess.run([*words, self.write("d", content)], check=True, stdout=subprocess.DEVNULL)

    def client(self):
        """Another who talks with Pulp, straight."""
        own = publish_settings.Settings()
        own.base_url, own.username = REAL or self.pulp.url, os.environ.get("PULP_USERNAME", USER)
        own.password, own.domain = os.environ.get("PULP_PASSWORD", PASSWORD), os.environ.get("PULP_DOMAIN", "default")
        client = Client(own)
        client.check()
        return client

    def other(self, name, data):
        """What another publisher does: one file into the repository."""
        client = self.client()
        artifact, _ = client.put_artifact(self.write("other", data), len(data), sha256(data), name)
        client.modify(client.repository(self.name), [client.put_content(name, sha256(data), artifact)], [])


class Language(unittest.TestCase):
    def test_python_of_2020_understands_it(self):
        """RHEL 9 and Debian 11 have 3.9."""
        scripts = os.path.join(CHECKOUT, "scripts")
        paths = [os.path.join(scripts, "publish", name) for name in os.listdir(os.path.join(scripts, "publish")) if name.endswith(".py")]
        for path in (*paths, *(os.path.join(scripts, name) for name in ("publish-driver", "sign-repository", "make-vendor-data"))):
            ast.parse(read(path), path, feature_version=(3, 9))


class Publishing(Case):
    def test_a_bundle_with_index_and_signature(self):
        for which in (ED25519, RSA):
            with self.subTest(which[0]):
                self.setUp()
                self.key = key(*which)[0]
                report = self.publish("--key", self.key, bundle())
                self.assertEqual(self.whole(), {BUNDLE})
                index = self.index()
                self.assertEqual((report["changed"], report["serial"], index["serial"], report["url"]), (True, 1, 1, self.url))
                entry = index["files"][0]
                self.assertEqual((entry["host_version"], entry["members"][0]["version"]), ("525.105.14", "525.105.17"))
                self.assertEqual(report["lines"]["agent_conf"].count(self.url), 1)
                self.assertEqual(json.loads(report["lines"]["vendor_data"]), {"vgpu_guest_agent": {"driver": {"repository": self.url}}})
                self.assertEqual(report["lines"]["kayobe"], f'vgpu_driver_url: "{self.url}{BUNDLE}"')
                self.assertIn(entry["sha256"], report["lines"]["dib_file"])
                self.assertIn('index_key = "/etc/vgpu-guest-agent/index-pub.pem"', report["lines"]["agent_conf"])
                self.assertEqual(report["lines"]["index_pub"], key(*which)[1].decode().strip())

    def test_again_is_nothing_and_sends_nothing(self):
        self.publish("--key", self.key, bundle())
        self.between.calm()
        self.assertEqual(self.publish("--key", self.key, bundle())["changed"], False)
        self.assertEqual(self.changes(), [])

    def test_what_was_published_before_stays(self):
        self.publish("--key", self.key, bundle())
        report = self.publish("--key", self.key, driver("535.161.08"))
        self.assertEqual(self.whole(), {BUNDLE, name_of(driver("535.161.08"))})
        self.assertEqual((self.index()["serial"], len(self.index()["files"]), report["added"]),
                         (2, 2, sorted([name_of(driver("535.161.08")), INDEX, SIGNATURE])))
        self.assertEqual([path for method, path, _ in self.between.requests if path.endswith(BUNDLE) and method == "GET"], [])

    def test_a_folder_with_other_things(self):
        self.write("f/modules/" + MODULES, modules())
        package = self.write("f/vgpu-guest-agent_1.0_amd64.deb", b"the agent")
        self.write("f/535/" + name_of(driver("535.161.08")), read(driver("535.161.08")))
        for name in ("PULP_MANIFEST", INDEX, ".hidden"):
            self.write("f/" + name, b"not this")
        self.publish("--key", self.key, os.path.dirname(package))
        self.assertEqual(self.whole(), {"vgpu-guest-agent_1.0_amd64.deb", "535/" + name_of(driver("535.161.08")), "modules/" + MODULES})
        self.assertEqual([entry["name"] for entry in self.index()["modules"]], ["modules/" + MODULES])
        self.assertEqual([entry["name"] for entry in self.index()["files"]], ["535/" + name_of(driver("535.161.08"))])

    def test_withdrawn_and_rolled_back(self):
        self.publish("--key", self.key, bundle())
        self.publish("--key", self.key, driver("535.161.08"))
        self.assertEqual(self.publish("--key", self.key, "--withdraw", BUNDLE)["removed"], [BUNDLE])
        self.assertEqual((self.whole(), self.index()["serial"]), ({name_of(driver("535.161.08"))}, 3))
        self.publish("--key", self.key, "--rollback")
        self.assertEqual((self.whole(), self.index()["serial"]), ({BUNDLE, name_of(driver("535.161.08"))}, 4))
        self.assertEqual(len(self.index()["files"][0]["members"]), 1)
        self.refused(2, "no such file", "--key", self.key, "--withdraw", "x.run")

    def test_what_is_in_no_index_is_read_from_where_guests_read(self):
        """Of a bundle the directory and the guest driver, not the host's; of all others the whole."""
        self.publish("--key", self.key, bundle(), driver("535.161.08"))
        first = self.index()
        self.between.calm()
        self.publish("--key", self.key, "--renew")
        self.assertEqual((self.index()["files"], self.index()["serial"]), (first["files"], 2))
        ranges = [headers["Range"] for method, path, headers in self.between.requests if path.endswith(BUNDLE) and method == "GET"]
        self.assertTrue(all(ranges))
        self.assertLess(len(ranges) << 20, os.path.getsize(bundle()) + (2 << 20))

    def test_expiry_is_renewed_in_its_last_third(self):
        self.publish("--key", self.key, "--expires", "30", bundle(), env={"SOURCE_DATE_EPOCH": "1700000000"})
        self.assertEqual(self.index()["expires"], "2023-12-14T22:13:20Z")
        self.assertTrue(self.publish("--key", self.key, "--expires", "30", bundle())["changed"])
        self.assertFalse(self.publish("--key", self.key, "--expires", "30", bundle())["changed"])
        self.assertEqual(self.index()["serial"], 2)

    def test_new_bytes_of_a_name(self):
        self.publish(bundle())
        changed = self.write(BUNDLE, read(bundle(BUNDLE, "525.147.05")))
        self.refused(2, "published with other content", changed)
        self.publish("--replace", changed)
        self.assertEqual(self.manifest()[BUNDLE], sha256(read(changed)))

    def test_a_distribution_that_follows_its_repository_shows_no_half(self):
        """As the documentation makes it. No guest sees the new version before it was looked at."""
        self.publish(driver("535.161.08"))
        client = self.client()
        repository = client.repository(self.name)
        found = client.distribution(self.name, self.name, repository)
        client.distribute(found, {"name": self.name, "publication": None, "repository": repository["pulp_href"]})
        seen = []
        self.between.after = lambda n, method, path: path.startswith("/pulp/content/") or seen.append(len(self.manifest() or ()))
        self.publish(bundle())
        self.between.after = None
        self.assertEqual(set(seen), {2, 3})
        self.assertEqual(self.whole(), {BUNDLE, name_of(driver("535.161.08"))})

    def test_nothing_is_changed_by_a_dry_run(self):
        report = self.publish("--dry-run", "--key", self.key, bundle())
        self.assertEqual(self.changes(), [])
        text = "\n".join(report["commands"])
        for words in (f"pulp artifact upload --file {bundle()}", f"--relative-path {BUNDLE} --sha256 {sha256(read(bundle()))}",
                      f"pulp file repository create --name {self.name}", "pulp file publication create",
                      f"pulp file distribution create --name {self.name} --base-path {self.name} --repository {self.name}",
                      f"vgpu-guest-agent index --output {INDEX} {bundle()}", f"openssl pkeyutl -sign -rawin -inkey {self.key} -in {INDEX}"):
            self.assertIn(words, text)

    def test_guards(self):
        cases = (("header", b"X-Token: sesame\n", {"X-Token": base64.b64encode(b"sesame").decode()}, "X-Token: c2VzYW1l"),
                 ("rbac", None, {"Authorization": "Basic " + base64.b64encode(
                     f"{os.environ.get('PULP_USERNAME', USER)}:{os.environ.get('PULP_PASSWORD', PASSWORD)}".encode()).decode()}, "machine 127.0.0.1"))
        for kind, content, headers, line in cases:
            with self.subTest(kind):
                self.setUp()
                words = ["--guard", kind] + (["--guard-file", self.write("guard", content)] if content else [])
                report = self.publish(*words, driver("535.161.08"))
                self.assertIn(line, report["lines"]["guard_file"])
                with self.assertRaises(urllib.error.HTTPError) as caught:
                    self.get("PULP_MANIFEST")
                self.assertEqual(caught.exception.code, 403)
                with urllib.request.urlopen(urllib.request.Request(self.url + "PULP_MANIFEST", headers=headers), timeout=20) as answer:
                    self.assertEqual(answer.status, 200)
                self.assertFalse(self.publish(*words, driver("535.161.08"))["changed"])

    def test_a_guard_of_others_is_not_changed(self):
        self.publish("--guard", "header", "--guard-file", self.write("guard", b"X-Token: sesame"), driver("535.161.08"))
        self.refused(2, "another header_value", "--guard", "header", "--guard-file", self.write("other", b"X-Token: open"), driver("535.161.08"))

    def test_plain_http_without_a_signature_is_told(self):
        self.publish(bundle(), says="guests will refuse, status 6")
        self.publish("--key", self.key, bundle())
        self.assertNotIn("guests will refuse", self.err)
        self.refused(2, "is signed", bundle())


class Reading(Case):
    """pulp-cli's configuration and the other places of credentials."""

    def test_where_credentials_come_from(self):
        user, password = os.environ.get("PULP_USERNAME", USER), os.environ.get("PULP_PASSWORD", PASSWORD)
        bare = {"PULP_USERNAME": None, "PULP_PASSWORD": None}
        flat = f'# written by pulp config create\n[cli]\nbase_url = "http://127.0.0.1:1"\n[cli-test]\nbase_url = "{self.between.url}" # here\n' \
               f'username = "{user}"\npassword = \'{password}\'\nverify_ssl = false\nheaders = ["X-A: b"]\ntimeout = 0\n'
        netrc = f"machine 127.0.0.1 login {user} password {password}\n"
        cases = ((("--pulp-config", self.write("cli.toml", flat.encode()), "--profile", "test"), {**bare, "PULP_BASE_URL": None}),
                 (("--username", user, "--password-file", self.write("password", password.encode() + b"\n")), bare),
                 (("--netrc", self.write("netrc", netrc.encode())), bare))
        for words, env in cases:
            with self.subTest(words[0]):
                self.publish("--dry-run", *words, driver("535.161.08"), env=env)
        self.assertEqual(publish_settings.flat_toml(flat)["cli-test"],
                         {"base_url": self.between.url, "username": user, "password": password, "verify_ssl": False, "headers": ["X-A: b"], "timeout": 0})
        for words, status, says in ((("--password-file", self.write("open", b"x", 0o644)), 16, "others may read"),
                                    (("--netrc", self.write("open2", netrc.encode(), 0o640)), 16, "others may read"),
                                    (("--pulp-config", self.write("bad.toml", b"[cli]\nx y\n")), 2, "bad.toml"),
                                    (("--pulp-config", self.write("c.toml", b"[cli]\n"), "--profile", "none"), 2, "no profile"),
                                    (("--base-url", "https://user:secret@pulp.example"), 2, "without a password"),
                                    (("--key", self.write("no.pem", b"x"),), 2, "no private key")):
            with self.subTest(says):
                self.refused(status, says, *words, driver("535.161.08"), env=bare)
                self.assertNotIn("user:secret", self.err)


    @unittest.skipIf(REAL, "PULP_DOMAIN says in which one the others run")
    def test_a_domain(self):
        with Pulp(domain="site") as pulp:
            env = {"PULP_BASE_URL": pulp.url, "PULP_DOMAIN": "site"}
            report = self.publish("--key", self.key, bundle(), env=env, url=False)
            self.url = report["url"]
            self.assertEqual((self.url, self.whole()), (f"{pulp.url}/pulp/content/site/{self.name}/", {BUNDLE}))
            self.assertFalse(self.publish("--key", self.key, bundle(), env=env, url=False)["changed"])

    def test_a_private_authority_and_a_client_certificate(self):
        authority = Authority(tempfile.mkdtemp(prefix="ca-"))
        for name in ("server", "client"):
            authority.issue(name)
        cert = ("--client-cert", authority.path("client.pem"), "--client-key", authority.path("client.key"))
        plain = self.between.url
        for context, words, says in ((authority.server(), (), "its certificate"), (authority.server(), ("--ca-file", authority.path("ca.pem")), None),
                                     (authority.server(clients=authority), ("--ca-file", authority.path("ca.pem")), "does not answer"),
                                     (authority.server(clients=authority), ("--ca-file", authority.path("ca.pem"), *cert), None)):
            with self.subTest(words), Between(self.between.target, self.between.content, context) as between:
                self.url = self.url.replace(plain, between.url)
                plain = between.url
                env = {"PULP_BASE_URL": between.url}
                self.publish(*words, driver("535.161.08"), env=env, status=5 if says else 0, says=says)
        self.refused(16, "certificate /none.pem", "--base-url", plain, "--ca-file", "/none.pem", driver("535.161.08"))


class Refusing(Case):
    """What stops before any change."""

    def test_files_that_no_guest_could_use(self):
        broken = bytearray(read(bundle()))
        at = broken.find(b"Guest_Drivers/NVIDIA") + 400
        broken[at] ^= 1
        cases = ((BUNDLE, b"no zip at all", 6), (BUNDLE, bytes(broken), 6), ("NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run", read(driver()), 2),
                 ("driver.run", read(driver()), 2), (name_of(driver()), b"#!/bin/sh\n", 6), ("notes.txt", b"x", 2))
        for name, content, status in cases:
            with self.subTest(name, status=status):
                self.refused(status, name, self.write(name, content))
        self.refused(2, "is no file", os.path.join(self.folder, "nowhere.run"))
        self.refused(2, "which files")

    def test_another_server_than_a_pulp(self):
        rules = (("no Pulp answers at", 5, lambda n, m, p: page(200, "Sign in")), ("no Pulp answers at", 5, lambda n, m, p: page(404, "nginx")),
                 ("no Pulp answers at", 5, lambda n, m, p: told(200, {"hello": 1})), ("does not answer", 5, lambda n, m, p: "drop"),
                 ("no worker online", 5, lambda n, m, p: told(200, {"versions": [{"component": "file"}], "online_workers": []})),
                 ("no file plugin", 7, lambda n, m, p: told(200, {"versions": [{"component": "core"}], "online_workers": [1]})),
                 ("knows no domains", 2, None))
        for says, status, rule in rules:
            with self.subTest(says):
                self.between.calm()
                self.between.rules = [lambda n, m, p, rule=rule: rule(n, m, p) if "status/" in p else None] if rule else []
                if rule or not os.environ.get("PULP_DOMAIN"):
                    self.refused(status, says, bundle(), env=None if rule else {"PULP_DOMAIN": "elsewhere"})

    def test_wrong_credentials(self):
        self.refused(5, ["HTTP 401", "Invalid username/password"], bundle(), env={"PULP_PASSWORD": "wrong-one"})
        self.assertNotIn("wrong-one", self.err)

    def test_what_belongs_to_others(self):
        href = "/pulp/api/v3/repositories/rpm/rpm/1/"
        none = {"count": 0, "next": None, "results": []}
        self.between.rules = [lambda n, m, p: told(200, {**none, "results": [{"pulp_href": href}]}) if "/repositories/?name" in p else None]
        self.refused(2, "of another type (rpm/rpm)", bundle())
        self.between.calm()
        own, self.name = self.name, f"{self.name}-a"
        self.publish(driver("535.161.08"), "--base-path", own)
        for words in (("--base-path", own), ("--base-path", f"{own}/below"), ("--distribution", f"{own}-a", "--base-path", "elsewhere"),
                      ("--distribution", f"{own}-a", "--base-path", own)):
            with self.subTest(words):
                self.name = f"{own}-b"
                self.refused(2, f"{own}-a" if "--distribution" not in words else "distribution", *words, bundle())


class Failing(Case):
    """Pulp or what stands before it fails in the middle: nothing is half-published, and running it again goes on."""

    def fails(self, says, matches, rule, after=1, status=5, files=None):
        """The `after`-th request that matches, and all like it from then on, get this answer."""
        self.between.calm()
        count = []

        def each(number, method, path):
            if not matches(method, path):
                return None
            count.append(1)
            return rule if len(count) >= after else None

        self.between.rules = [each]
        files = files or [bundle(), self.big]
        before = self.whole()
        self.publish("--key", self.key, *files, status=status, says=says)
        self.between.calm()
        self.assertEqual(self.whole(), before)
        self.publish("--key", self.key, *files)
        self.assertEqual(self.whole(), {name_of(path) for path in files})

    def setUp(self):
        super().setUp()
        self.big = self.write("vgpu-guest-agent_1.0_amd64.deb", os.urandom(12_000_000))

    def test_a_token_that_expires_in_the_middle_of_an_upload(self):
        self.fails(["HTTP 401", "Token has expired"], lambda method, path: True, told(401, {"detail": "Token has expired."}), after=12)

    def test_a_proxy_that_takes_no_large_body(self):
        self.fails(["HTTP 413", "client_max_body_size"], lambda method, path: method == "PUT", page(413, "413 Request Entity Too Large"))

    def test_a_storage_that_is_full(self):
        self.fails(["HTTP 507"], lambda method, path: method == "PUT", page(507, "Insufficient Storage"), after=2)

    def test_a_page_of_a_proxy(self):
        self.fails(["web page", "Bad Gateway"], lambda method, path: "modify/" in path, page(500, "Bad Gateway"))

    def test_a_page_of_a_proxy_that_says_200(self):
        self.fails(["no Pulp's"], lambda method, path: "/tasks/" in path, page(200, "Sign in"))

    def test_a_task_that_fails(self):
        self.fails("No space left", lambda method, path: "/tasks/" in path, told(200, {"state": "failed", "error": {"description": "No space left"}}))

    def test_a_connection_that_is_cut(self):
        self.fails("does not answer", lambda method, path: "publications" in path and method == "POST", "drop")

    def test_an_upload_goes_on_where_it_was_cut(self):
        self.big = self.write("vgpu-guest-agent_1.0_amd64.deb", os.urandom(25_000_000))
        count = []
        self.between.rules = [lambda n, method, path: method == "PUT" and (count.append(1) or len(count) > 2) and page(500, "x") or None]
        self.publish(self.big, status=5)
        self.between.calm()
        self.publish(self.big, says="going on, 20000000 bytes are there")
        self.assertEqual(len([1 for method, _ in self.changes() if method == "PUT"]), 1)

    def test_an_upload_that_is_gone_or_wrong_begins_anew(self):
        self.between.rules = [lambda n, method, path: page(500, "x") if "commit/" in path else None]
        self.publish(self.big, status=5)
        self.between.calm()
        os.environ["XDG_CACHE_HOME"], cache = os.path.join(self.folder, ".cache"), os.environ.get("XDG_CACHE_HOME")
        self.addCleanup(lambda: os.environ.update(XDG_CACHE_HOME=cache) if cache else os.environ.pop("XDG_CACHE_HOME"))
        notes = Notes()
        name, href = next(iter(notes.read().items()))
        notes.write(name, href[:-5] + "0000/")
        self.publish(self.big)
        self.assertEqual(len([1 for method, _ in self.changes() if method == "PUT"]), 2)

    def test_a_second_publisher(self):
        """Who comes in between is told, and what it did is kept."""
        self.publish("--key", self.key, bundle())
        other = f"vgpu-guest-agent_{uuid.uuid4().hex}_amd64.deb"
        once = []
        self.between.rules = [lambda n, method, path: None if once or "modify/" not in path else once.append(self.other(other, os.urandom(9)))]
        self.publish("--key", self.key, driver("535.161.08"), says="another publisher is at work")
        self.assertEqual(self.whole(), {BUNDLE, other, name_of(driver("535.161.08"))})

    def test_a_second_publisher_that_does_not_end(self):
        self.publish("--key", self.key, bundle())
        self.between.rules = [lambda n, method, path: None if "modify/" not in path else
                              self.other(f"vgpu-guest-agent_{uuid.uuid4().hex}_amd64.deb", os.urandom(9))]
        self.publish("--key", self.key, driver("535.161.08"), status=15, says="another publisher is at work")
        self.assertEqual(self.whole(), {BUNDLE})
        self.between.calm()
        self.publish("--key", self.key, driver("535.161.08"))
        self.assertEqual(len(self.whole()), 5)

    def test_a_second_publisher_that_undoes_it(self):
        """base_version is no compare-and-swap: a stale one drops what came after it."""
        self.publish("--key", self.key, bundle())
        stale, once = self.client().repository(self.name)["latest_version_href"], []

        def undo(n, method, path):
            if once or method != "POST" or "publications" not in path:
                return
            once.append(1)
            client = self.client()
            repository = client.repository(self.name)
            content = client.content(stale)
            client.task(client.ask("POST", repository["pulp_href"] + "modify/", "undoing",
                                   {"base_version": stale, "add_content_units": [], "remove_content_units": [content[INDEX][1]]}), "undoing")

        self.between.rules = [undo]
        self.publish("--key", self.key, driver("535.161.08"), says="another publisher is at work")
        self.assertEqual(self.whole(), {BUNDLE, name_of(driver("535.161.08"))})

    def test_a_publication_that_is_switched_while_it_is_read(self):
        """A removed path is 404 at once; a replaced one has the new bytes."""
        self.publish("--key", self.key, bundle())
        old = self.get(INDEX)
        for answer in ((404, b"404: Not Found", "text/plain"), (200, old + b" ", "application/octet-stream")):
            with self.subTest(answer[0]):
                once = []
                self.between.rules = [lambda n, method, path: path.endswith(INDEX) and not once and (once.append(1) or answer) or None]
                self.publish("--key", self.key, bundle())
        self.between.rules = [lambda n, method, path: (200, old + b" ", "text/plain") if path.endswith(INDEX) else None]
        self.publish("--key", self.key, bundle(), status=6, says="contradict each other")

    def test_another_who_makes_the_same_things(self):
        """A race that was lost: what was not there when it was looked for is there when it is made."""
        absent = told(200, {"count": 0, "next": None, "results": []})
        for matches, times in (("artifacts/?sha256", 1), ("content/file/files/?relative_path", 1), ("repositories/", 2)):
            with self.subTest(matches):
                self.setUp()
                if times == 2:
                    self.client().make_repository(self.name)
                once = []
                self.between.rules = [lambda n, m, p: absent if m == "GET" and matches in p and len(once) < times and not once.append(1) else None]
                self.publish(driver("535.161.08"))
                self.assertEqual((self.whole(), len(once)), ({name_of(driver("535.161.08"))}, times))

    def test_an_index_that_another_signed(self):
        self.publish("--key", self.key, bundle())
        other = self.write("other.pem", subprocess.run(
            ["openssl", "genpkey", "-algorithm", "ED25519"], check=True, stdout=subprocess.PIPE).stdout)
        self.refused(6, "is none of --key", "--key", other, driver("535.161.08"))
        self.publish("--key", other, "--renew", bundle())
        self.key = other
        self.assertEqual((self.whole(), self.index()["serial"]), ({BUNDLE}, 2))


class Killed(Case):
    def test_at_any_point(self):
        """After each request in turn that changes something, with VGPU_ALL after each at all: guests see the old publication or the new
        one, and the next call ends it."""
        toggled = name_of(driver("535.161.08"))
        self.publish("--key", self.key, bundle())
        names, number, killed = {BUNDLE}, 0, True
        while killed:
            number += 1
            fresh = self.write(f"vgpu-guest-agent_0.{number}_amd64.deb", binascii.hexlify(os.urandom(20)))
            words = ["--key", self.key, fresh, *(["--withdraw", toggled] if toggled in names else [driver("535.161.08")])]
            after = (names ^ {toggled}) | {name_of(fresh)}
            self.between.calm()
            started, count = [], []

            def after_request(_, method, path, number=number):
                if os.environ.get("VGPU_ALL") or method not in ("GET", "HEAD"):
                    count.append(path)
                    if len(count) == number:
                        os.kill(started[0].pid, signal.SIGKILL)

            self.between.after = after_request
            started.append(self.start(*words))
            started[0].communicate(timeout=LIMIT_S)
            killed = started[0].returncode == -signal.SIGKILL
            with self.subTest(number):
                self.between.calm()
                self.assertIn(self.whole(), (names, after))
                self.publish(*words)
                self.assertEqual(self.whole(), after)
            names = after
        self.assertGreater(number, 8)

    def test_a_rollback_leaves_nothing(self):
        """Cut off while it reads the former publication, over a distribution of its own."""
        self.publish("--key", self.key, bundle())
        self.publish("--key", self.key, driver("535.161.08"))
        self.publish("--key", self.key, "--withdraw", BUNDLE)
        started = []
        self.between.after = lambda n, method, path: "-before/" in path and path.endswith("MANIFEST") and os.kill(started[0].pid, signal.SIGKILL)
        started.append(self.start("--key", self.key, "--rollback"))
        started[0].communicate(timeout=LIMIT_S)
        self.between.calm()
        former = lambda: self.client().first(f"distributions/file/file/?name={self.name}-before", "looking")  # noqa: E731
        self.assertEqual((started[0].returncode, bool(former())), (-signal.SIGKILL, True))
        self.publish("--key", self.key, driver("535.161.08"))
        self.assertEqual((former(), self.whole()), (None, {name_of(driver("535.161.08"))}))

    def test_a_rollback_goes_where_it_was_going(self):
        """Not another step back, where it was cut off after guests saw it."""
        self.publish("--key", self.key, bundle())
        for version in ("535.161.08", "525.147.05"):
            self.publish("--key", self.key, driver(version))
        started = []
        self.between.after = lambda n, method, path: method == "PATCH" and os.kill(started[0].pid, signal.SIGKILL)
        started.append(self.start("--key", self.key, "--rollback"))
        started[0].communicate(timeout=LIMIT_S)
        self.between.calm()
        expected = {BUNDLE, name_of(driver("535.161.08"))}
        self.assertEqual((started[0].returncode, self.whole()), (-signal.SIGKILL, expected))
        self.publish("--key", self.key, "--rollback")
        self.assertEqual(self.whole(), expected)
        self.publish("--key", self.key, "--rollback")
        self.assertEqual(self.whole(), {*expected, name_of(driver("525.147.05"))})


if __name__ == "__main__":
    unittest.main()
