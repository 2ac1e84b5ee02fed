#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Modules that somebody has built already: used where they are this kernel's beyond doubt, and else never installed. The archive is
made by build-modules with real headers; then the headers are gone, and the kernel has some modules of its own."""

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
from parts import GUEST, RUN, Repository, vgpu
from program import OWN, Case, main, read, remove, write
from test_build_modules import driver, kernel

KERNEL = kernel()
FOLDER = f"/lib/modules/{KERNEL}"
NAME = f"nvidia-modules-{GUEST}-{KERNEL}-proprietary.tar.gz"
KEY_ID = "ab" * 20
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@functools.lru_cache(None)
def made():
    """The members of an archive, by name."""
    folder = tempfile.mkdtemp(prefix="made-")
    outcome = Case.program.call("build-modules", "--kernel", KERNEL, "--driver", driver(), "--output", f"{folder}/{NAME}")
    assert outcome.status == 0, outcome
    with tarfile.open(f"{folder}/{NAME}") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}


@functools.lru_cache(None)
def signed():
    """The same, signed as build-modules does with a key, where the headers are. Its name is none that a list of keys could be
    searched for: the kernel shows the organization too, and modinfo the issuer."""
    folder = tempfile.mkdtemp(prefix="signed-")
    subprocess.run(["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-utf8", "-subj", "/O=Wolke/CN=Schlüssel der Flotte",
                    "-addext", f"subjectKeyIdentifier={':'.join(['AB'] * 20)}",
                    "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, stderr=subprocess.DEVNULL)
    signed.key, signed.cert = f"{folder}/key.pem", f"{folder}/cert.pem"
    members = said(made(), signed_by=f"Schl??ssel der Flotte: {KEY_ID}", certificate=read(f"{folder}/cert.pem").decode())
    for name in [each for each in members if each.endswith(".ko")]:
        path = write(f"{folder}/module.ko", members[name])
        subprocess.run([f"{FOLDER}/build/scripts/sign-file", "sha256", f"{folder}/key.pem", f"{folder}/cert.pem", path], check=True)
        members[name] = read(path)
    return members


def pack(members):
    """An archive whose manifest has the right hashes of its modules, whatever they are."""
    members = dict(members)
    manifest = json.loads(members["manifest.json"])
    for each in manifest["modules"]:
        each["sha256"] = hashlib.sha256(members[f"modules/{each['name']}"]).hexdigest()
    members["manifest.json"] = json.dumps(manifest).encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(members):
            info = tarfile.TarInfo(name)
            info.size = len(members[name])
            archive.addfile(info, io.BytesIO(members[name]))
    return gzip.compress(raw.getvalue(), compresslevel=1)


def said(members, **other):
    """The manifest with some keys changed."""
    manifest = json.loads(members["manifest.json"])
    manifest.update(other)
    return {**members, "manifest.json": json.dumps(manifest).encode()}


def other_crc(module, symbol=b"module_layout"):
    """The module as if it were built against another version of this symbol."""
    at = module.index(symbol + b"\0" * 8) - 8
    return module[:at] + bytes([module[at] ^ 0xff]) + module[at + 1:]


def other_vermagic(module):
    at = module.index(b"vermagic=") + len(b"vermagic=")
    return module[:at] + b"9" + module[at + 1:]


@unittest.skipUnless(KERNEL, "no kernel headers on this machine")
class Prebuilt(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made()
        signed()

    def setUp(self):
        super().setUp()
        for name in ("build", "source"):
            if os.path.lexists(f"{FOLDER}/{name}"):
                os.rename(f"{FOLDER}/{name}", f"{FOLDER}/{name}.away")
                self.addCleanup(os.rename, f"{FOLDER}/{name}.away", f"{FOLDER}/{name}")
        self.own({f"own{number}.ko": made()[f"modules/{name}.ko"] for number, name in enumerate(("nvidia", "nvidia-uvm"))})
        self.addCleanup(self.clean)
        self.repository = self.use(Repository()).add(RUN, read(driver()))

    def clean(self):
        for path in (f"{FOLDER}/kernel", f"{FOLDER}/updates", "/usr/bin/nvidia-smi", "/usr/bin/nvidia-gridd", "/etc/nvidia",
                     f"{FOLDER}/modules.dep", f"{FOLDER}/modules.dep.bin", *OWN):
            remove(path)

    def own(self, modules):
        """What came with the kernel."""
        remove(f"{FOLDER}/kernel")
        for name, content in modules.items():
            write(f"{FOLDER}/kernel/drivers/{name}", content)
        write(f"{FOLDER}/modules.order", "")
        write(f"{FOLDER}/modules.dep", "".join(f"kernel/drivers/{name}: kernel/other.ko\n" for name in modules))

    def headers(self):
        """Headers whose make only says that it was asked."""
        compiler = subprocess.run(["gcc", "--version"], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()[0]
        write(f"{FOLDER}/build/Makefile", 'modules:\n\t@echo "nv.c:7:1: error: asked to compile"; exit 2\n')
        write(f"{FOLDER}/build/include/config/auto.conf", f'CONFIG_CC_VERSION_TEXT="{compiler}"\n')
        write(f"{FOLDER}/build/include/generated/utsrelease.h", f'#define UTS_RELEASE "{KERNEL}"\n')
        self.addCleanup(remove, f"{FOLDER}/build")

    def offer(self, members=None, content=None, **entry):
        """The archive and an index that lists it, with some keys changed."""
        content = content or pack(members or made())
        self.repository.put(NAME, content)
        manifest = json.loads((members or made())["manifest.json"])
        listed = {key: manifest[key] for key in ("version", "kernel", "vermagic", "compiler", "flavour", "arch", "signed_by")}
        listed.update(name=NAME, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        listed.update(entry)
        self.repository.index(json.dumps(
            {"schema": 1, "serial": 1, "created": "2026-01-01T00:00:00Z", "files": [], "modules": [listed]}).encode())
        return self

    def sets(self, **other):
        return {**self.repository.sets, "driver.version": GUEST, "driver.prerequisites": "never",
                **{f"driver.{key}": value for key, value in other.items()}}

    def refused(self, words, prebuilt="only", **sets):
        """It is not used, and the reason is said; nothing of it is installed."""
        value = self.error(7, "build", words, "install", "--offline", "--kernel", KERNEL, sets=self.sets(prebuilt=prebuilt, **sets))
        self.assertFalse(os.path.exists(f"{FOLDER}/updates"))
        self.assertFalse(os.path.exists("/usr/bin/nvidia-smi"))
        return value


class Use(Prebuilt):
    def test_neither_headers_nor_a_compiler_are_needed(self):
        self.offer()
        plan = self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets=self.sets())
        self.assertEqual(plan["kernels"], [{"release": KERNEL, "action": "prebuilt"}])
        checks = {each["name"]: each["ok"] for each in plan["checks"]}
        self.assertEqual((checks["headers"], checks["compiler"]), (True, True))
        self.assertNotEqual(plan["would_fail"], 7)
        plan = self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets={**self.sets(), "driver.dkms": "yes"})
        self.assertEqual(plan["kernels"], [{"release": KERNEL, "action": "build"}])

        value = self.json("install", "--offline", "--kernel", KERNEL, sets=self.sets(prebuilt="only"))
        self.assertEqual({each["step"]: each["detail"] for each in value["steps"]}["build"], f"prebuilt proprietary modules for {KERNEL}")
        for name in ("nvidia", "nvidia-uvm"):
            self.assertEqual(read(f"{FOLDER}/updates/vgpu-guest-agent/{name}.ko"), made()[f"modules/{name}.ko"])
        self.assertEqual(os.listdir("/var/cache/vgpu-guest-agent"), [])

    def test_with_a_driver_file_the_repository_is_asked_all_the_same(self):
        self.offer()
        sets = {**self.repository.sets, "driver.prerequisites": "never"}
        value = self.json("install", "--offline", "--kernel", KERNEL, "--driver", driver(), sets=sets)
        details = {each["step"]: each["detail"] for each in value["steps"]}
        self.assertEqual(details["build"], f"prebuilt proprietary modules for {KERNEL}")
        self.assertEqual(read(f"{FOLDER}/updates/vgpu-guest-agent/nvidia.ko"), made()["modules/nvidia.ko"])
        self.assertEqual((len(self.repository.asked(NAME)), self.repository.asked(os.path.basename(driver()))), (1, []))

    def test_with_a_driver_file_no_repository_is_asked_where_it_may_not_be_used(self):
        self.offer()
        self.error(7, "build", "headers", "install", "--offline", "--kernel", KERNEL, "--driver", driver(),
                   sets={**self.repository.sets, "driver.prerequisites": "never", "driver.prebuilt": "never"})
        self.assertEqual(self.repository.requests, [])

    def test_it_is_not_even_fetched_where_it_may_not_be_used(self):
        self.offer()
        plan = self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets=self.sets(prebuilt="never"))
        self.assertEqual((plan["kernels"][0]["action"], plan["would_fail"]), ("build", 7))
        self.refused("headers", prebuilt="never")
        self.assertEqual(self.repository.asked(NAME), [])

    def test_where_none_is_listed(self):
        self.refused("no prebuilt modules for kernel")
        plan = self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets=self.sets(prebuilt="only"))
        self.assertEqual(plan["would_fail"], 7)

    def test_headers_confirm_it_too(self):
        self.headers()
        self.offer()
        shutil.copy(f"{FOLDER}/build.away/Module.symvers", f"{FOLDER}/build/Module.symvers")
        value = self.json("install", "--offline", "--kernel", KERNEL, sets=self.sets(prebuilt="only"))
        self.assertIn("prebuilt", {each["step"]: each["detail"] for each in value["steps"]}["build"])


class Doubt(Prebuilt):
    def test_it_is_compiled_then_and_the_reason_said(self):
        self.headers()
        self.offer({**made(), "modules/nvidia.ko": other_vermagic(made()["modules/nvidia.ko"])})
        self.error(8, "build", "asked to compile", "install", "--offline", "--kernel", KERNEL, sets=self.sets())
        self.assertIn(f"prebuilt modules are not used: {NAME}: their vermagic", self.last.err)
        self.assertFalse(os.path.exists(f"{FOLDER}/updates"))

    def test_for_another_kernel(self):
        self.offer(kernel="6.1.0-0-other")
        self.refused("lists none")
        self.assertEqual(self.repository.asked(NAME), [])
        for key, value in (("version", "1.2.3"), ("arch", "riscv64"), ("flavour", "open")):
            self.offer(**{key: value})
            self.refused("lists none")

    def test_another_vermagic(self):
        for name in ("modules/nvidia.ko", "modules/nvidia-uvm.ko"):
            self.offer({**made(), name: other_vermagic(made()[name])})
            self.refused("their vermagic is not")

    def test_another_version_of_a_symbol(self):
        bad = made()["modules/nvidia-uvm.ko"]
        for symbol in (b"module_layout", b"_printk"):
            bad = {name: other_crc(data, symbol) if name.endswith(".ko") else data for name, data in made().items()}
            self.offer(bad)
            self.refused("they want another version of the symbol " + symbol.decode())

    def test_the_headers_contradict(self):
        self.headers()
        self.offer()
        lines = read(f"{FOLDER}/build.away/Module.symvers").splitlines(keepends=True)
        at = next(number for number, line in enumerate(lines) if b"\t_printk\t" in line)
        for line, words in ((b"", "the kernel has no symbol _printk"),
                            (b"0x00000000" + lines[at][10:], "they want another version of the symbol _printk")):
            self.own({"own.ko": other_crc(made()["modules/nvidia.ko"], b"_printk").replace(b"_printk\0", b"_printl\0")})
            write(f"{FOLDER}/build/Module.symvers", b"".join([*lines[:at], line, *lines[at + 1:]]))
            self.refused(words)

    def test_the_kernels_modules_confirm_too_little(self):
        few = other_crc(made()["modules/nvidia.ko"])
        self.own({})
        self.offer().refused("no modules of its own")
        self.own({"own.ko": b"no module"})
        self.refused("")
        self.own({"own.ko": few.replace(b"module_layout", b"module_layouT")})
        self.refused("do not confirm")

    def test_half_an_archive(self):
        whole = pack(made())
        self.offer(content=whole[:len(whole) // 2])
        self.refused(NAME)

    def test_other_bytes_than_the_index_says(self):
        self.offer(sha256="0" * 64)
        self.refused(NAME)
        self.offer(size=len(pack(made())) - 1)
        self.refused(NAME)

    def test_a_manifest_that_contradicts_the_index(self):
        for key, value in (("version", "1.2.3"), ("kernel", "6.1.0-0-other"), ("arch", "riscv64"), ("flavour", "open"),
                           ("vermagic", "x"), ("signed_by", "Somebody: 00")):
            content = pack(said(made(), **{key: value}))
            self.offer(content=content)
            self.refused(f'its manifest contradicts the index in "{key}"')

    def test_nothing_vouches_for_the_index(self):
        self.repository = self.use(Repository(tls=False)).add(RUN, read(driver()))
        self.offer()
        self.refused("nothing vouches", sha256=hashlib.sha256(read(driver())).hexdigest())
        self.assertEqual(self.repository.asked(NAME), [])

    def test_an_index_page_alone_vouches_for_none(self):
        """Its name alone is no wish of the publisher's: neither size nor SHA-256 is known. No driver is made of it either."""
        del self.repository.files["/nvidia/PULP_MANIFEST"]
        self.repository.put(NAME, pack(made()))
        self.repository.put("", f'<html><a href="{NAME}">{NAME}</a> <a href="{RUN}">{RUN}</a></html>'.encode())
        plan = self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets=self.sets())
        self.assertEqual((plan["kernels"][0]["action"], plan["driver"]["version"]), ("build", GUEST))
        self.assertNotIn(NAME, [each["name"] for each in plan["candidates"] if each["accepted"]])
        self.refused("the repository's index lists none")
        for words in ((), ("--driver", driver())):
            self.error(7, "build", "headers", "install", "--offline", "--kernel", KERNEL, *words, sets=self.sets())
        self.assertEqual(self.repository.asked(NAME), [])

    def test_what_only_the_index_lists_does_not_exist(self):
        self.offer()
        self.repository.lines = self.repository.lines[:1]
        self.repository.say("# no archive")
        self.refused("lists none")
        self.assertIn("1 archive of modules that the manifest does not have", self.last.err)
        self.assertEqual(self.repository.asked(NAME), [])

    def test_what_is_listed_is_not_there(self):
        self.offer()
        del self.repository.files["/nvidia/" + NAME]
        self.refused("404")


class SecureBoot(Prebuilt):
    def setUp(self):
        super().setUp()
        write(SECURE_BOOT, b"\6\0\0\0\1")
        self.addCleanup(remove, "/sys/firmware")

    def keys(self, *names):
        """What the kernel says that it trusts."""
        lines = [f"1f03{number:04x} I------     1 perm 1f030000     0     0 asymmetri {name}: X509.rsa 0a1b2c3d []\n"
                 for number, name in enumerate(names)]
        subprocess.run(["mount", "--bind", self.write("keys", "".join(lines)), "/proc/keys"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/proc/keys"], check=True)

    def built(self, sets, status):
        value = self.json("install", "--kernel", KERNEL, sysfs=vgpu(), sets=sets, status=status)
        return {each["step"]: each for each in value["steps"]}["build"]

    def test_unsigned_modules_are_not_used(self):
        self.keys("Somebody: 00")
        self.offer()
        for sets, words in ((self.sets(prebuilt="only"), "they are not signed"), (self.sets(), "no key to sign")):
            self.assertIn(words, self.refused_at_once(sets))

    def test_signed_by_a_key_that_the_kernel_does_not_list(self):
        self.keys("Somebody else: 00", f"{KEY_ID}: 00")
        self.offer(signed())
        self.assertIn("does not list the key", self.refused_at_once(self.sets(prebuilt="only")))

    def refused_at_once(self, sets):
        """Before anything is fetched, and plan says the same."""
        plan = self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets=sets)
        self.assertEqual((plan["would_fail"], plan["kernels"][0]["action"]), (10, "build"))
        value = self.json("install", "--kernel", KERNEL, sysfs=vgpu(), sets=sets, status=10)
        self.assertEqual(self.repository.asked(NAME) + self.repository.asked(RUN), [])
        return value["steps"][-1]["detail"]

    def test_modules_that_their_certificate_did_not_sign(self):
        """An index and a manifest that name a signer of the kernel's do not make a signature."""
        self.keys(f"x: {KEY_ID}")
        for members, words in (
                (said(made(), signed_by=f"x: {KEY_ID}"), "does not carry the certificate"),
                (said(made(), **{key: json.loads(signed()["manifest.json"])[key] for key in ("signed_by", "certificate")}), "is not signed"),
                (said(signed(), signed_by=f"x: {KEY_ID}"), "names another signer than its certificate"),
                ({**signed(), "modules/nvidia.ko": other_crc(signed()["modules/nvidia.ko"])}, "is not signed by the key")):
            self.offer(members)
            status = 10 if "carry" in words else 7
            self.assertIn(words, self.built(self.sets(prebuilt="only"), status)["detail"])

    def test_signed_by_a_key_of_the_kernels(self):
        self.keys("Somebody else: 00", f"Wolke: Schlüssel der Flotte: {KEY_ID}")
        self.offer(signed())
        plan = self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets=self.sets())
        self.assertIs({each["name"]: each["ok"] for each in plan["checks"]}["secure_boot"], True)
        self.assertEqual(self.built(self.sets(), 9)["detail"], f"prebuilt proprietary modules for {KERNEL}")


    def test_modules_in_place_that_are_not_signed(self):
        """They are there and do not count: the hint's signing.key mends them without a compile, a signed archive without a key."""
        place, plain = f"{FOLDER}/updates/vgpu-guest-agent", made()["modules/nvidia.ko"]
        self.offer()
        self.json("install", "--offline", "--kernel", KERNEL, sets=self.sets(prebuilt="only"))
        self.assertEqual(read(f"{place}/nvidia.ko"), plain)
        self.keys(f"x: {KEY_ID}")
        self.assertIn("no key to sign", self.built(self.sets(), 10)["detail"])
        self.assertEqual(self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets=self.sets())["would_fail"], 10)

        os.rename(f"{FOLDER}/build.away", f"{FOLDER}/build")
        self.addCleanup(lambda: os.path.lexists(f"{FOLDER}/build") and os.rename(f"{FOLDER}/build", f"{FOLDER}/build.away"))
        key = {**self.sets(), "signing.key": signed.key, "signing.cert": signed.cert}
        self.assertEqual(self.built(key, 9)["detail"], f"signed in place: proprietary modules for {KERNEL}")
        for name in ("nvidia", "nvidia-uvm"):
            self.assertEqual(read(f"{place}/{name}.ko"), signed()[f"modules/{name}.ko"])
        self.assertEqual(self.built(key, 9)["detail"], f"the modules of {GUEST} are there")

        write(f"{place}/nvidia.ko", plain)
        self.offer(signed())
        self.assertEqual(self.built(self.sets(), 9)["detail"], f"prebuilt proprietary modules for {KERNEL}")
        self.assertEqual(read(f"{place}/nvidia.ko"), signed()["modules/nvidia.ko"])

    def test_modules_in_place_that_another_key_has_signed(self):
        subprocess.run(["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Another", "-keyout", self.path("key.pem"),
                        "-out", self.path("cert.pem"), "-addext", "subjectKeyIdentifier=CD:01"], check=True, stderr=subprocess.DEVNULL)
        self.offer(signed())
        self.json("install", "--offline", "--kernel", KERNEL, sets=self.sets(prebuilt="only"))
        os.rename(f"{FOLDER}/build.away", f"{FOLDER}/build")
        self.addCleanup(os.rename, f"{FOLDER}/build", f"{FOLDER}/build.away")
        another = {**self.sets(), "signing.key": self.path("key.pem"), "signing.cert": self.path("cert.pem")}
        self.keys(f"x: {KEY_ID}")
        self.assertEqual(self.built(another, 9)["detail"], f"the modules of {GUEST} are there")  # that key would not mend them
        self.keys("x: cd01")
        self.assertEqual(self.built(another, 9)["detail"], f"signed in place: proprietary modules for {KERNEL}")
        whole = read(f"{FOLDER}/updates/vgpu-guest-agent/nvidia.ko")
        self.assertTrue(whole.startswith(signed()["modules/nvidia.ko"]))
        self.assertEqual(whole.count(b"~Module signature appended~"), 2)


if __name__ == "__main__":
    main(__file__)
