#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is here: GPUs out of captured and damaged configuration spaces, the system, its kernels."""

import os
import platform
import shutil

import parts
from parts import pci
from program import Case, main, write

DATA = os.path.join(parts.TESTS, "data/pci")


class Gpus(Case):
    def gpus(self, sysfs, **more):
        return self.json("detect", sysfs=sysfs, **more)["gpus"]

    def one(self, *words, **more):
        found = self.gpus(pci("--gpu", *words), **more)
        self.assertEqual(len(found), 1)
        return found[0]

    def captured(self, name, **files):
        """A real configuration space in the tree of one function."""
        folder = self.path("bus/pci/devices/0000:06:00.0")
        for file, text in {"vendor": "0x10de", "class": "0x030000", **files}.items():
            write(os.path.join(folder, file), text + "\n")
        shutil.copy(os.path.join(DATA, name), os.path.join(folder, "config"))
        return self.gpus(self.folder)[0]

    def unknown_host(self, gpu, *said):
        self.assertIsNone(gpu["host_driver"])
        for word in said:
            self.assertIn(word, gpu["note"])

    def test_a_captured_vgpu(self):
        gpu = self.captured("vgpu_1eb8.config", device="0x1eb8", subsystem_device="0x130f")
        self.assertEqual(gpu, {"address": "0000:06:00.0", "device_id": "0x1eb8", "subsystem_device_id": "0x130f",
                               "class": "0x030000", "kind": "vgpu", "host_driver": {"version": "460.16", "branch": "r460_00"}})

    def test_a_captured_gpu_that_is_passed_through(self):
        gpu = self.captured("passthrough_118a.config", device="0x118a", subsystem_device="0x1014")
        self.assertEqual(gpu["kind"], "passthrough")
        self.unknown_host(gpu)

    def test_a_version_that_fills_its_field(self):
        for version, branch in (("525.105.14", "r528_79"), ("580.126.08", "r582_12"), ("553.07", "r552_52")):
            with self.subTest(version):
                gpu = self.one("vgpu", "--host-version", version, "--branch", branch)
                self.assertEqual(gpu["host_driver"], {"version": version, "branch": branch})

    def test_records_before_the_hosts_are_skipped(self):
        self.assertEqual(self.one("vgpu", "--other-record-first")["host_driver"]["version"], parts.HOST)

    def test_a_host_without_a_record(self):
        gpu = self.one("vgpu", "--no-record")
        self.assertEqual(gpu["kind"], "vgpu")
        self.unknown_host(gpu, "no host driver record")

    def test_damaged_capabilities_are_named_and_end_nothing(self):
        for damage, kind, said in (("loop", "unknown", "broken"), ("reclen0", "vgpu", "malformed record"),
                                   ("long-cap", "vgpu", "cut off"), ("truncated64", "unknown", "64")):
            with self.subTest(damage):
                gpu = self.one("vgpu", "--malform", damage)
                self.unknown_host(gpu, said)
                if damage != "loop":
                    self.assertEqual(gpu["kind"], kind)

    def test_other_functions_and_vendors_are_no_gpus(self):
        tree = pci("--gpu", "vgpu", "--gpu", "vgpu", "--class", "0x040300", "--gpu", "vgpu", "--class", "0x068000",
                   "--gpu", "vgpu", "--vendor", "0x1002")
        self.assertEqual([gpu["address"] for gpu in self.gpus(tree)], ["0000:06:00.0"])

    def test_an_audio_function_that_cannot_be_read_disturbs_nobody(self):
        shutil.copytree(pci("--gpu", "vgpu", "--gpu", "vgpu", "--class", "0x040300"), self.path("sys"))
        os.unlink(self.path("sys/bus/pci/devices/0000:07:00.0/config"))
        self.assertEqual(len(self.gpus(self.path("sys"))), 1)

    def test_a_3d_controller_is_a_gpu(self):
        self.assertEqual(self.one("vgpu", "--class", "0x030200")["class"], "0x030200")

    def test_every_gpu_is_read_in_the_order_of_addresses(self):
        tree = pci("--gpu", "vgpu", "--address", "0001:01:00.0", "--gpu", "passthrough", "--address", "0000:02:00.0",
                   "--gpu", "vgpu", "--host-version", "535.161.05", "--address", "0000:0a:00.0")
        found = self.gpus(tree)
        self.assertEqual([(gpu["address"], gpu["kind"]) for gpu in found],
                         [("0000:02:00.0", "passthrough"), ("0000:0a:00.0", "vgpu"), ("0001:01:00.0", "vgpu")])
        self.assertEqual(found[1]["host_driver"]["version"], "535.161.05")

    def test_without_root_64_bytes_are_said_to_be_too_few(self):
        gpu = self.one("unreadable", nobody=True)
        self.assertEqual(gpu["kind"], "unknown")
        self.unknown_host(gpu, "root")

    def test_no_gpu_is_status_3_with_an_empty_list_and_a_hint(self):
        value = self.error(3, "detect", "no NVIDIA GPU", "detect", sysfs=pci())
        self.assertEqual(value["gpus"], [])
        self.assertIn("flavor", value["error"]["hint"])
        outcome = self.text("detect", sysfs=pci(), status=3)
        self.assertEqual(outcome.err.splitlines(), outcome.errors)

    def test_the_machines_own_bus_without_sysfs(self):
        """Its /sys is an empty one of this test."""
        self.error(3, "detect", "no NVIDIA GPU", "detect")
        shutil.copytree(parts.vgpu(), "/sys", dirs_exist_ok=True)
        self.addCleanup(shutil.rmtree, "/sys/bus/pci/devices/0000:06:00.0")
        self.assertEqual(len(self.json("detect")["gpus"]), 1)

    def test_a_sysfs_that_is_not_there(self):
        self.error(2, "detect", "/nowhere", "detect", sysfs="/nowhere")

    def test_names_in_sysfs_that_are_no_addresses(self):
        shutil.copytree(parts.vgpu(), self.path("sys"))
        for name in ("garbage", "0000:06:00.0\n\033[31m", "zz"):
            os.makedirs(self.path(f"sys/bus/pci/devices/{name}"))
        self.assertEqual(len(self.gpus(self.path("sys"))), 1)

    def test_attributes_of_garbage(self):
        for name, content in (("vendor", b"\xff\xfe"), ("class", b""), ("device", b"0x" + b"f" * 5000),
                              ("config", b""), ("config", os.urandom(100000))):
            with self.subTest(name):
                tree = self.path(f"{name}{len(content)}")
                shutil.copytree(parts.vgpu(), tree)
                write(f"{tree}/bus/pci/devices/0000:06:00.0/{name}", content)
                self.assertIn(self.program.call("detect", sysfs=tree).status, (0, 3))

    def test_for_people(self):
        out = self.text("detect", sysfs=parts.vgpu()).out
        for word in ("0000:06:00.0", "vgpu", parts.HOST, "r528_79", platform.release()):
            self.assertIn(word, out)


class System(Case):
    def test_the_running_kernel_is_marked(self):
        kernels = self.json("detect", sysfs=parts.vgpu())["kernels"]
        self.assertEqual([kernel["release"] for kernel in kernels if kernel["running"]], [platform.release()])

    def test_the_architecture(self):
        self.assertEqual(self.json("detect", sysfs=parts.vgpu())["os"]["arch"], platform.machine())

    def test_a_mounted_system(self):
        parts.small_system(self.folder, ("6.1.0-9-amd64", "6.1.0-37-cloud-amd64"))
        parts.small_system(self.folder, ("6.12.1-amd64",), headers=False)
        value = self.json("detect", "--root", self.folder)
        self.assertEqual(value["gpus"], [])
        self.assertEqual((value["os"]["id"], value["os"]["version_id"]), ("debian", "12"))
        self.assertEqual(value["kernels"], [
            {"release": "6.1.0-9-amd64", "running": False, "headers": True},
            {"release": "6.1.0-37-cloud-amd64", "running": False, "headers": True},
            {"release": "6.12.1-amd64", "running": False, "headers": False}])

    def test_links_of_a_mounted_system_stay_inside(self):
        parts.small_system(self.path("usr"), ("6.1.0-1-amd64",))
        os.symlink("/usr/lib", self.path("lib"))
        self.assertEqual([kernel["release"] for kernel in self.json("detect", "--root", self.folder)["kernels"]],
                         ["6.1.0-1-amd64"])

    def test_a_system_that_does_not_say_what_it_is(self):
        value = self.json("detect", "--root", self.folder)
        self.assertIn(value["os"]["id"], ("linux", ""))
        self.assertIsNone(value["os"]["version_id"])
        self.assertEqual(value["kernels"], [])

    def test_a_hostile_os_release(self):
        write(self.path("etc/os-release"), b"ID=\"\xff\xfe\"\nVERSION_ID='" + b"9" * 70000 + b"'\nID\n=\n" + b"\0" * 100)
        self.assertIn(self.program.call("detect", "--root", self.folder).status, (0, 1))

    def test_a_root_that_is_not_there(self):
        self.error(2, "detect", "/nowhere", "detect", "--root", "/nowhere")

    def test_detect_changes_nothing(self):
        self.json("detect", sysfs=parts.vgpu())
        for path in ("/var/lib/vgpu-guest-agent", "/var/log/vgpu-guest-agent", "/var/cache/vgpu-guest-agent", "/etc/nvidia"):
            self.assertFalse(os.path.exists(path), path)


if __name__ == "__main__":
    main(__file__)
