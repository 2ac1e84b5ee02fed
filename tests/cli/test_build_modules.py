#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""build-modules: real headers and the real kbuild make the stand-in's modules into an archive, for nobody's user."""

import functools
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import parts
from parts import GUEST, RUN
from program import Case, main, read

SIGN_DIGEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/sign-digest")
MANIFEST = {"schema", "name", "version", "kernel", "vermagic", "compiler", "flavour", "arch", "symbols", "signed_by", "modules"}


def kernel():
    """A kernel whose headers this machine has, or None."""
    for release in sorted(os.listdir("/lib/modules") if os.path.isdir("/lib/modules") else []):
        if os.path.exists(f"/lib/modules/{release}/build/include/config/auto.conf"):
            return release
    return None


@functools.lru_cache(None)
def driver(*words):
    """The stand-in's .run as small as it can be."""
    folder = tempfile.mkdtemp(prefix="small-")
    os.chmod(folder, 0o755)
    parts.standin("make-driver", "--version", GUEST, "--kinds", "run", "--output", folder, *words)
    return os.path.join(folder, RUN)


def members(path):
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}


class Builds(Case):
    def setUp(self):
        super().setUp()
        self.kernel = kernel()
        os.chmod(self.folder, 0o1777)
        self.work = os.path.join(self.folder, "work")
        os.mkdir(self.work)
        os.chmod(self.work, 0o1777)

    def words(self, output="modules.tar.gz", run=None, release=None):
        return ("build-modules", "--kernel", release or self.kernel, "--driver", run or driver(), "--output", self.path(output))

    def call(self, *words, **more):
        return self.json(*(words or self.words()), nobody=True, env={"TMPDIR": self.work}, **more)

    def nothing_left(self, *expected):
        self.assertEqual(os.listdir(self.work), [])
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(["work", *expected]))


@unittest.skipUnless(kernel(), "no kernel headers on this machine")
class Archive(Builds):
    def test_whoever_builds_gets_the_same_bytes(self):
        self.call()
        os.mkdir(self.path("other"))
        other = self.path("work/a-longer-name-for-the-folder")
        os.mkdir(other)
        self.json(*self.words("other/another-name.tar.gz"), env={"TMPDIR": other})

        self.assertEqual(read(self.path("modules.tar.gz")), read(self.path("other/another-name.tar.gz")))
        self.assertEqual(os.listdir(other), [])

    def test_what_is_in_it(self):
        value = self.call()
        path = self.path("modules.tar.gz")
        found = members(path)
        manifest = json.loads(found.pop("manifest.json"))

        self.assertEqual([step["step"] for step in value["steps"]], ["match", "fetch", "unpack", "build"])
        self.assertEqual(set(manifest), MANIFEST)
        self.assertEqual(manifest["name"], f"nvidia-modules-{GUEST}-{self.kernel}-proprietary.tar.gz")
        self.assertEqual((manifest["version"], manifest["kernel"], manifest["arch"]), (GUEST, self.kernel, os.uname().machine))
        self.assertEqual((manifest["flavour"], manifest["signed_by"]), ("proprietary", None))
        self.assertEqual(sorted(found), ["modules/nvidia-uvm.ko", "modules/nvidia.ko"])
        self.assertEqual({f"modules/{each['name']}": each["sha256"] for each in manifest["modules"]},
                         {name: hashlib.sha256(data).hexdigest() for name, data in found.items()})
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o644)
        self.nothing_left("modules.tar.gz")

        module = self.write("nvidia.ko", found["modules/nvidia.ko"])
        vermagic = subprocess.run(["modinfo", "-F", "vermagic", module], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
        self.assertEqual(manifest["vermagic"], vermagic)
        sections = subprocess.run(["readelf", "-SW", module], check=True, stdout=subprocess.PIPE).stdout
        self.assertNotIn(b".debug_info", sections)
        self.assertIn(b"__versions", sections)
        self.assertNotIn(self.work.encode(), found["modules/nvidia.ko"])

    def test_nothing_in_it_tells_who_and_when(self):
        self.call()
        packed = read(self.path("modules.tar.gz"))
        self.assertEqual(packed[3:9], b"\0\0\0\0\0\0", "gzip's flags and time")
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
            listed = archive.getmembers()
        self.assertEqual([member.name for member in listed], sorted(member.name for member in listed))
        for member in listed:
            self.assertEqual((member.mtime, member.uid, member.gid, member.uname, member.gname), (0, 0, 0, "", ""))

    def test_signed(self):
        subprocess.run(["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Modules of the fleet",
                        "-addext", "subjectKeyIdentifier=hash", "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")],
                       check=True, stderr=subprocess.DEVNULL)
        self.json(*self.words(), env={"TMPDIR": self.work},
                  sets={"signing.key": self.path("key.pem"), "signing.cert": self.path("cert.pem")})
        found = members(self.path("modules.tar.gz"))
        identifier = subprocess.run(["openssl", "x509", "-in", self.path("cert.pem"), "-noout", "-ext", "subjectKeyIdentifier"],
                                    check=True, stdout=subprocess.PIPE).stdout.decode().split()[-1].replace(":", "").lower()

        manifest = json.loads(found["manifest.json"])
        self.assertEqual((manifest["signed_by"], manifest["certificate"].encode()),
                         (f"Modules of the fleet: {identifier}", read(self.path("cert.pem"))))
        self.assertTrue(found["modules/nvidia.ko"].endswith(b"~Module signature appended~\n"))
        self.assertTrue(found["modules/nvidia-uvm.ko"].endswith(b"~Module signature appended~\n"))

    def keys(self, *names):
        for name in names:
            subprocess.run(["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-utf8", "-subj", f"/O=Wölfe/CN={name}",
                            "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.crt")], check=True, stderr=subprocess.DEVNULL)

    def signing(self, text, cert="here.crt"):
        """Options that let this script sign."""
        path = self.write("sign", f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)
        return "--sign-command", path, "--sign-cert", self.path(cert)

    def test_a_host_that_has_the_key_and_not_the_modules_signs_them_alike(self):
        self.keys("here")
        os.mkdir(self.path("other"))
        self.json(*self.words(), env={"TMPDIR": self.work}, sets={"signing.key": self.path("here.key"), "signing.cert": self.path("here.crt")})
        seen = self.path("seen")
        os.rename(self.path("here.key"), self.path("there.key"))
        self.json(*self.words("other/modules.tar.gz"), *self.signing(
            f'cat "$1" >>{seen}; exec {SIGN_DIGEST} --key {self.path("there.key")} --cert {self.path("here.crt")} <"$1" >"$2"'), env={"TMPDIR": self.work})

        self.assertEqual(read(self.path("modules.tar.gz")), read(self.path("other/modules.tar.gz")))
        self.assertEqual(len(read(seen)), 2 * 64, "more than digests has left the build host")
        self.assertEqual(os.listdir(self.work), [])

    def test_what_is_no_signature_of_that_key_makes_no_archive(self):
        self.keys("here", "stranger")
        stranger = f'{SIGN_DIGEST} --key {self.path("stranger.key")} --cert {self.path("stranger.crt")}'
        for text, words in ((f'{stranger} <"$1" >"$2"', "no signature of nvidia"), ('echo 0000 >"$2"', "no signature of nvidia"),
                            (": >>$2", "written nothing"), ("echo the token is not plugged in; exit 3", "not plugged in"),
                            (f'sha256sum "$1" | cut -c1-64 | {stranger.replace("stranger", "here")} >"$2"', "no signature of nvidia")):
            self.error(10, "build", words, *self.words(), *self.signing(text), env={"TMPDIR": self.work})
        for words, more in (("need each other", ("--sign-command", "/bin/true")), ("need each other", ("--sign-cert", self.path("here.crt"))),
                            ("there is no", ("--sign-command", "/nowhere", "--sign-cert", self.path("here.crt")))):
            self.error(2, "build-modules", words, *self.words(), *more, env={"TMPDIR": self.work})
        self.error(2, "match", "No such file", *self.words(), *self.signing("exit 1", "none.crt"), env={"TMPDIR": self.work})
        self.assertFalse(os.path.exists(self.path("modules.tar.gz")))
        self.assertEqual(os.listdir(self.work), [])

    def test_a_key_that_cannot_sign_is_refused_before_anything_is_done(self):
        new = ["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
        for name in ("one", "other"):
            subprocess.run([*new, "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.crt")], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["openssl", "pkey", "-in", self.path("one.key"), "-aes128", "-passout", "pass:x", "-out", self.path("locked.key")], check=True)
        subprocess.run(["openssl", "pkey", "-in", self.path("one.key"), "-outform", "DER", "-out", self.path("der.key")], check=True)
        shutil.copy(self.path("one.key"), self.path("open.key"))
        for name in ("locked.key", "der.key"):
            os.chmod(self.path(name), 0o600)
        os.chmod(self.path("open.key"), 0o644)
        for key, cert, words in (("other.key", "one.crt", "not the key of signing.cert"), ("locked.key", "one.crt", "passphrase"),
                                 ("der.key", "one.crt", "DER"), ("open.key", "one.crt", "holds a secret"), ("none.key", "one.crt", "No such file"),
                                 ("one.crt", "one.crt", "others may read"), ("one.key", "one.key", "no X.509 certificate")):
            self.error(2, "match", words, *self.words(), sets={"signing.key": self.path(key), "signing.cert": self.path(cert)}, env={"TMPDIR": self.work})
        self.assertFalse(os.path.exists(self.path("modules.tar.gz")))

    def test_a_file_that_was_there_is_replaced_only_by_a_whole_one(self):
        self.write("modules.tar.gz", "old")
        self.error(8, "build", "", *self.words(run=driver("--fault", "build-error")), env={"TMPDIR": self.work})
        self.assertEqual(read(self.path("modules.tar.gz")), b"old")
        self.nothing_left("modules.tar.gz")

        self.json(*self.words(), env={"TMPDIR": self.work})
        self.assertNotEqual(read(self.path("modules.tar.gz")), b"old")
        self.nothing_left("modules.tar.gz")

    def test_a_compile_error(self):
        value = self.error(8, "build", "error:", *self.words(run=driver("--fault", "build-error")), nobody=True,
                           env={"TMPDIR": self.work})
        self.assertEqual(value["steps"][-1]["outcome"], "failed")
        self.nothing_left()

    def test_another_version_than_the_drivers(self):
        self.error(8, "build", "", *self.words(run=driver("--fault", "module-version")), nobody=True, env={"TMPDIR": self.work})
        self.nothing_left()

    def test_no_driver_is_named(self):
        self.error(4, "match", "no driver is named", "build-modules", "--kernel", self.kernel, "--output", self.path("x"), nobody=True)


class Refusals(Builds):
    def test_what_must_be_given(self):
        for words in (("--output", "x"), ("--kernel", "6.1.0"), ("--kernel", "6.1.0", "--kernel", "6.1.1", "--output", "x")):
            self.error(2, "build-modules", "one --kernel and --output", "build-modules", *words, nobody=True)

    def test_an_output_that_cannot_be(self):
        self.error(16, "build-modules", "no-such-folder", *self.words("no-such-folder/x", release="6.1.0"), nobody=True)
        self.error(16, "build-modules", "no regular file", *self.words("work", release="6.1.0"), nobody=True)
        self.error(2, "build-modules", "names no file", *self.words("work/", release="6.1.0"), nobody=True)

    def test_a_kernel_that_is_not_here(self):
        self.error(7, "build-modules", "not installed", *self.words(release="6.1.0-none"), nobody=True)

    def test_a_kernel_without_headers(self):
        os.makedirs("/lib/modules/6.1.0-bare")
        with open("/lib/modules/6.1.0-bare/modules.order", "w"):
            pass
        self.error(7, "build-modules", "missing: ", *self.words(release="6.1.0-bare"), nobody=True, env={"TMPDIR": self.work},
                   hint="linux-headers-6.1.0-bare")
        self.nothing_left()


if __name__ == "__main__":
    main(__file__)
