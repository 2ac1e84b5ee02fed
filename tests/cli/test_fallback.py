#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Drivers that do not compile for this kernel, with real headers and the real kbuild: the next one that fits the host is taken, and what
was learned is not learned again. The installer of each driver fails, so that nothing here gets one."""

import functools
import json
import os
import tempfile
import unittest

import parts
from parts import Repository, index, vgpu
from program import Case, main, read
from test_build_modules import kernel

KERNEL = kernel()
NEWEST, NEWER, OLD, BEFORE = "525.147.05", "525.125.06", "525.105.17", "510.108.03"
STATE = "/var/lib/vgpu-guest-agent/state.json"


def name(version):
    return f"NVIDIA-Linux-x86_64-{version}-grid.run"


@functools.lru_cache(None)
def driver(version, compiles):
    folder = tempfile.mkdtemp(prefix="fallback-")
    parts.standin("make-driver", "--version", version, "--kinds", "run", "--output", folder, "--fault", "installer-fails",
                  *(() if compiles else ("--fault", "build-error")))
    return read(os.path.join(folder, name(version)))


@unittest.skipUnless(KERNEL, "no kernel headers on this machine")
class Fallback(Case):
    def offer(self, fails=(), compiles=()):
        self.repository = self.use(Repository())
        for version in (*fails, *compiles):
            self.repository.add(name(version), driver(version, version in compiles))

    def sets(self, **other):
        return {**self.repository.sets, "driver.prerequisites": "never", **{f"driver.{key}": value for key, value in other.items()}}

    def install(self, status, step, words, *options, hint=None, **sets):
        return self.error(status, step, words, "install", "--kernel", KERNEL, *options, hint=hint, sysfs=vgpu(), sets=self.sets(**sets))

    def plan(self, **sets):
        return self.json("plan", "--kernel", KERNEL, sysfs=vgpu(), sets=self.sets(**sets))

    def fetched(self):
        return [version for version in (NEWEST, NEWER, OLD, BEFORE) for _ in self.repository.asked(name(version))]

    def whys(self, plan):
        return {each["version"]: each["why"] for each in plan["candidates"]}

    def test_the_next_that_fits_is_taken_and_the_failures_are_not_repeated(self):
        self.offer(fails=(NEWEST, NEWER), compiles=(OLD, BEFORE))
        value = self.install(9, "install", "")
        once = ["match", "fetch", "unpack", "build"]
        self.assertEqual([each["step"] for each in value["steps"]], ["detect", "metadata", *once, *once, *once, "install"])
        self.assertEqual([each["outcome"] for each in value["steps"] if each["step"] == "build"], ["failed", "failed", "changed"])
        self.assertEqual(self.fetched(), [NEWEST, NEWER, OLD])
        builds = json.loads(read(STATE))["builds"]
        self.assertEqual([(each["version"], each["kernel"], each["flavour"], each["ok"]) for each in builds],
                         [(NEWEST, KERNEL, "proprietary", False), (NEWER, KERNEL, "proprietary", False), (OLD, KERNEL, "proprietary", True)])
        self.assertIn("error:", builds[0]["why"])
        self.assertIn("gcc", builds[0]["compiler"])

        plan = self.plan()
        self.assertEqual(plan["driver"]["version"], OLD)
        for version in (NEWEST, NEWER):
            self.assertIn(f"tried here, it does not compile for kernel {KERNEL}: ", self.whys(plan)[version])
        self.assertNotEqual(plan["would_fail"], 8)
        self.install(9, "install", "")
        self.assertEqual(self.fetched()[:2], [NEWEST, NEWER])

    def test_what_somebody_named_stays_and_so_does_who_does_not_want_it(self):
        self.offer(fails=(NEWEST,), compiles=(OLD,))
        path = self.write("driver.run", driver(NEWEST, False))
        for options, sets, hint in (((), {"fallback": False}, f"{OLD} fits this host, too: driver.fallback = true"),
                                    ((), {"version": NEWEST}, "or name another guest driver of branch 525 or 510"),
                                    (("--driver", path), {}, "or name another guest driver")):
            with self.subTest(options=options, sets=sets):
                value = self.install(8, "build", "error:", *options, hint=hint, **sets)
                self.assertEqual([each["step"] for each in value["steps"]].count("build"), 1)
                self.assertEqual(self.repository.asked(name(OLD)), [])

    def test_where_nothing_is_left_plan_says_what_install_would_end_with(self):
        self.offer(fails=(NEWEST, BEFORE))
        self.install(8, "build", "error:", hint="put into the repository another guest driver of branch 525 or 510, which this host takes")
        self.assertEqual(self.fetched(), [NEWEST, BEFORE])
        plan = self.plan()
        self.assertEqual((plan["would_fail"], plan["driver"]["version"]), (8, NEWEST))
        self.assertIn("nothing else fits", {each["name"]: each["detail"] for each in plan["checks"]}["compiler"])

    def test_what_the_index_tells_spares_the_compile(self):
        told = {"kernel": KERNEL, "flavour": "proprietary", "ok": False, "why": "nv-pci.c: pci_resize_resource has another form"}
        self.offer(fails=(NEWEST,), compiles=(OLD,))
        self.repository.index(index(builds=[{"version": NEWEST, **told}]))
        plan = self.plan()
        self.assertEqual(plan["driver"]["version"], OLD)
        self.assertEqual(self.whys(plan)[NEWEST], f"by the repository's index it does not compile for kernel {KERNEL}: {told['why']}")
        value = self.install(9, "install", "")
        self.assertEqual([each["step"] for each in value["steps"]].count("build"), 1)
        self.assertEqual(self.fetched(), [OLD])


if __name__ == "__main__":
    main(__file__)
