#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The jobs that change a system, as far as they come without a booted one: what they die of, what they leave then, and who may
call them. The kernels here are folders with a Makefile of the test's own."""

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
import signal
import subprocess

import parts
import server as fault
from parts import GUEST, RUN, Repository, pci, token, vgpu
from program import OWN, Case, living, main, read, remove, write
from server import Server

KERNEL = "6.1.0-95-test"
BUILD = f"/lib/modules/{KERNEL}/build"
LOCK = "/run/vgpu-guest-agent.lock"
FORMER = "/run/lock/vgpu-guest-agent.lock"  # of a version before, which may be at work while this one is installed
LOGS = "/var/log/vgpu-guest-agent"
STATE = "/var/lib/vgpu-guest-agent/state.json"
ALONE = {"driver.prerequisites": "never"}  # no package manager beside it, which would take seconds; one test is about that
CHANGING = (("run",), ("install",), ("configure",), ("token", "install"))


def kernel(makefile=None):
    """A kernel that is there, with headers where a Makefile is given."""
    write(f"/lib/modules/{KERNEL}/modules.builtin", "")
    if makefile is not None:
        compiler = subprocess.run(["gcc", "--version"], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()[0]
        write(f"{BUILD}/Makefile", makefile)
        write(f"{BUILD}/include/config/auto.conf", f'CONFIG_CC_VERSION_TEXT="{compiler}"\n')
        write(f"{BUILD}/include/generated/utsrelease.h", f'#define UTS_RELEASE "{KERNEL}"\n')


def program(path, script):
    """A program of the guest that answers as the test wants."""
    write(path, "#!/bin/sh\n" + script, 0o755)


class Jobs(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(remove, f"/lib/modules/{KERNEL}")
        self.modinfo = read("/usr/sbin/modinfo") if os.path.exists("/usr/sbin/modinfo") else None

    def driver(self):
        return {"driver.url": "file://" + os.path.join(parts.drivers(), RUN), **ALONE}

    def names(self, value):
        return [each["step"] for each in value["steps"]]

    def last_failed(self, value, *before):
        """The step that failed is the last; what was not reached is absent."""
        self.assertEqual(self.names(value)[-1], value["error"]["step"])
        self.assertEqual([each["outcome"] == "failed" for each in value["steps"]], [False] * (len(value["steps"]) - 1) + [True])
        self.assertEqual(value["steps"][-1]["detail"], value["error"]["message"])
        return value

    def untouched(self):
        """Nothing of the system was changed: no driver, no module, no gridd.conf."""
        for path in ("/usr/bin/nvidia-smi", "/usr/bin/nvidia-gridd", "/etc/nvidia", "/etc/modprobe.d/vgpu-guest-agent.conf",
                     f"/lib/modules/{KERNEL}/updates"):
            self.assertFalse(os.path.exists(path), path)


class Deaths(Jobs):
    def died(self, status, step, words, *command, sysfs=None, **more):
        value = self.error(status, step, words, *command, sysfs=sysfs or vgpu(), **more)
        self.last_failed(value)
        self.untouched()
        return value

    def test_no_gpu(self):
        self.died(3, "detect", "no NVIDIA GPU", "run", sysfs=pci())

    def test_a_repository_that_is_down(self):
        with Repository() as gone:
            pass
        self.died(5, "match", gone.url, "run", sets={"driver.repository": gone.url})

    def test_nothing_that_fits(self):
        repository = self.use(Repository()).name("NVIDIA-Linux-x86_64-550.90.07-grid.run")
        value = self.died(4, "match", parts.HOST, "run", sets=repository.sets, hint=parts.HOST)
        self.assertEqual(self.names(value), ["detect", "metadata", "match"])

    def test_bytes_that_are_not_the_manifests(self):
        repository = self.use(Repository()).add(RUN, b"x" * 5000)
        repository.put(RUN, b"y" * 5000)
        self.died(6, "fetch", RUN, "run", sets={**repository.sets, **ALONE})
        self.assertEqual([name for _, _, names in os.walk("/var/cache/vgpu-guest-agent") for name in names], [])

    def test_plain_http(self):
        self.died(6, "fetch", "nothing vouches", "run", sets={"driver.url": "http://h.example/a.run", **ALONE}, hint="driver.integrity")

    def test_a_driver_of_a_later_branch_than_the_host(self):
        for name, step in ((RUN, "match"), ("renamed.run", "unpack")):
            with self.subTest(name):
                os.symlink(os.path.join(parts.drivers(), RUN), self.path(name))
                self.died(4, step, "later branch", "run", sets={"driver.url": f"file://{self.folder}/{name}", **ALONE},
                          sysfs=vgpu("470.63", "r470_00"))

    def test_headers_that_are_missing(self):
        kernel()
        value = self.died(7, "build", f"headers of kernel {KERNEL}", "run", "--kernel", KERNEL,
                          sets=self.driver(), hint="prerequisites")
        self.assertEqual(self.names(value), ["detect", "metadata", "match", "fetch", "unpack", "build"])

    def test_headers_that_are_no_longer_to_be_had(self):
        kernel()
        shutil.move("/etc/apt", "/etc/apt.away")
        self.addCleanup(shutil.move, "/etc/apt.away", "/etc/apt")
        self.addCleanup(remove, "/etc/apt")
        os.makedirs("/etc/apt/apt.conf.d")
        value = self.died(7, "build", KERNEL, "run", "--kernel", KERNEL, sets={**self.driver(), "driver.prerequisites": "install"})
        self.assertTrue(value["error"]["hint"])

    def test_a_compiler_that_is_missing(self):
        kernel("")
        write(f"{BUILD}/include/config/auto.conf", 'CONFIG_CC_VERSION_TEXT="gcc-97 (Debian 97.1.0-1) 97.1.0"\n')
        self.died(7, "build", "gcc-97", "run", "--kernel", KERNEL, sets=self.driver())

    def test_a_disk_that_is_full(self):
        kernel("modules:\n\t@false\n")
        with full("/var/cache/vgpu-guest-agent"):
            value = self.died(7, "fetch", "MiB", "run", "--kernel", KERNEL, sets=self.driver(), hint="room")
        self.assertEqual(self.names(value), ["detect", "metadata", "match", "fetch"])

    def test_a_cache_where_nothing_can_be_executed(self):
        kernel("modules:\n\t@false\n")
        with mounted("/var/cache/vgpu-guest-agent", "noexec"):
            self.died(7, "unpack", "/var/cache/vgpu-guest-agent", "run", "--kernel", KERNEL, sets=self.driver())

    def test_a_tmp_where_nothing_can_be_executed_does_not_matter(self):
        kernel("modules:\n\t@false\n")
        shutil.copytree(self.program.folder, "/opt/elsewhere")
        shutil.copytree(parts.drivers(), "/opt/drivers")
        shutil.copytree(vgpu(), "/opt/sysfs")
        for path in ("/opt/elsewhere", "/opt/drivers", "/opt/sysfs"):
            self.addCleanup(remove, path)
        with mounted("/tmp", "noexec,size=4k"):
            self.json("run", "--kernel", KERNEL, status=8, sysfs="/opt/sysfs",
                      sets={"driver.url": f"file:///opt/drivers/{RUN}", **ALONE},
                      program="/opt/elsewhere/usr/bin/vgpu-guest-agent")

    def test_a_build_that_fails(self):
        kernel('modules:\n\t@echo "nv.c:7:1: error: boom goes the test"; exit 2\n')
        value = self.died(8, "build", "boom goes the test", "run", "--kernel", KERNEL, sets=self.driver())
        log = re.search(LOGS + r"/run-[^ ,;:)]*[^ ]*\.log", value["error"]["message"] + (value["error"]["hint"] or ""))
        self.assertIsNotNone(log, value)
        self.assertIn(b"boom goes the test", read(log[0]))

    def test_secure_boot_without_a_key(self):
        kernel("modules:\n\t@false\n")
        write("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\6\0\0\0\1")
        self.addCleanup(remove, "/sys/firmware")
        self.died(10, "match", "Secure Boot", "run", "--kernel", KERNEL, sets=self.driver(), hint="signing.key")

    def test_a_foreign_driver_that_does_not_fit(self):
        remove("/usr/sbin/modinfo")
        program("/usr/sbin/modinfo", 'case "$*" in *version*) echo 550.90.07;; *) echo /lib/modules/x/nvidia.ko;; esac\n')
        self.addCleanup(write, "/usr/sbin/modinfo", self.modinfo, 0o755)
        value = self.error(9, "match", "550.90.07", "run", sysfs=vgpu(), sets=self.driver(), hint="remove it")
        self.assertIn("others installed", value["error"]["message"])
        self.assertEqual(read("/usr/sbin/modinfo")[:9], b"#!/bin/sh")

    def test_vgpus_of_several_hosts(self):
        tree = pci("--gpu", "vgpu", "--gpu", "vgpu", "--host-version", "535.161.05")
        self.died(4, "match", "0000:07:00.0", "run", sysfs=tree, sets=self.driver())

    def test_the_logs_of_five_runs_are_kept(self):
        kernel("modules:\n\t@false\n")
        for number in range(8):
            write(f"{LOGS}/run-2020-01-0{number + 1}T00:00:00Z.log", "")
        self.json("run", "--kernel", KERNEL, status=8, sysfs=vgpu(), sets=self.driver())
        self.assertEqual(len(os.listdir(LOGS)), 5)
        self.assertNotIn("run-2020-01-04T00:00:00Z.log", os.listdir(LOGS))

    def test_the_state_tells_what_was_done_and_when(self):
        kernel("modules:\n\t@false\n")
        self.json("run", "--kernel", KERNEL, status=8, sysfs=vgpu(), sets=self.driver())
        steps = json.loads(read(STATE))["steps"]
        self.assertEqual(steps["build"]["outcome"], "failed")
        self.assertRegex(steps["build"]["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_a_state_of_garbage_is_no_reason_to_fail(self):
        for content in ("", "{", "[]", '{"driver": 7, "installing": [], "steps": "x"}', "\x00\xff", "x" * 100000):
            with self.subTest(content[:30]):
                write(STATE, content)
                self.died(3, "detect", "no NVIDIA GPU", "run", sysfs=pci())

    def test_for_people_one_line_per_step(self):
        kernel()
        outcome = self.text("run", "--kernel", KERNEL, status=7, sysfs=vgpu(), sets=self.driver())
        said = [line.split()[0] for line in outcome.err.splitlines()]
        self.assertEqual([step for step in said if step in ("detect", "match", "fetch", "unpack")],
                         ["detect", "match", "fetch", "unpack"])
        self.assertEqual(len(outcome.errors), 2)
        self.assertEqual(outcome.out, "")


@contextlib.contextmanager
def mounted(place, options):
    """Another file system at `place`."""
    os.makedirs(place, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "test", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def full(place):
    return mounted(place, "size=64k")


class Offline(Jobs):
    def test_install_below_a_root_without_a_toolchain_ends_cleanly(self):
        parts.small_system(self.folder, (KERNEL,))
        value = self.error(7, "unpack", "/var/cache/vgpu-guest-agent", "install", "--root", self.folder, "--driver", os.path.join(parts.drivers(), RUN),
                           sets=ALONE)
        self.last_failed(value)
        self.assertFalse(os.path.exists(self.path("usr/bin/nvidia-smi")))
        for path in OWN:
            self.assertFalse(os.path.exists(path), path)

    def test_install_below_a_root_without_a_kernel(self):
        parts.small_system(self.folder, ())
        driver = os.path.join(parts.drivers(), RUN)
        self.error(7, "match", "none to bring the driver to", "install", "--root", self.folder, "--driver", driver, sets=ALONE, hint="--kernel")
        parts.small_system(self.folder, (KERNEL,), headers=False)
        self.error(7, "match", "none to bring the driver to", "install", "--root", self.folder, "--driver", driver, sets=ALONE)
        plan = self.json("plan", "--root", self.folder, sets={"driver.url": "https://h.example/" + RUN})
        self.assertEqual(plan["would_fail"], 7)

    def test_install_below_a_root_without_a_named_driver(self):
        parts.small_system(self.folder, (KERNEL,))
        self.error(4, "match", "no driver is named", "install", "--root", self.folder, hint="--driver")

    def test_a_driver_that_is_not_there(self):
        for name in ("/nowhere.run", "nowhere.run"):
            self.error(2, "install", f"--driver {name}: there is no such file", "install", "--offline", "--driver", name, hint="GRID guest driver")
        self.error(2, "install", "--driver /etc/passwd: no .zip", "install", "--offline", "--driver", "/etc/passwd")

    def test_a_driver_is_the_callers_also_by_a_relative_name(self):
        parts.small_system(self.path("root"), (KERNEL,))
        value = self.json("install", "--root", self.path("root"), "--driver", RUN, status=7, cwd=parts.drivers(),
                          sets=ALONE)
        self.assertIn("unpack", self.names(value))

    def test_offline_steps_are_skipped(self):
        os.mkdir(self.path("root"))
        value = self.json("configure", "--root", self.path("root"))
        outcomes = {each["step"]: each["outcome"] for each in value["steps"]}
        self.assertEqual((outcomes["metadata"], outcomes["gridd"]), ("skipped", "skipped"))


class Instances(Jobs):
    """One at a time."""

    @contextlib.contextmanager
    def held(self, path=LOCK):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def free(self):
        with open(LOCK, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_a_second_one_is_status_15(self):
        path = self.write("t", token())
        with self.held():
            for words in CHANGING:
                with self.subTest(words):
                    self.error(15, " ".join(words), "another instance", *words, *([path] if words[0] == "token" else []),
                               sysfs=vgpu(), hint="wait")
        self.assertFalse(os.path.exists(STATE))

    def former(self, mode, owner):
        self.addCleanup(remove, FORMER)
        with self.held(FORMER):
            os.chown(FORMER, owner, -1)
            os.chmod(FORMER, mode)
            return self.program.call("run", sysfs=pci())

    def test_the_lock_of_a_version_before_counts_too(self):
        self.assertEqual(self.former(0o600, 0).status, 15)

    def test_a_lock_that_any_user_can_hold_stops_nobody(self):
        for mode, owner in ((0o600, 65534), (0o644, 0), (0o666, 0)):
            with self.subTest(mode=mode, owner=owner):
                self.assertEqual(self.former(mode, owner).status, 3)

    def test_who_only_looks_needs_no_lock(self):
        with self.held():
            self.json("detect", sysfs=vgpu())
            self.json("plan", sysfs=vgpu())
            self.json("token", "check", self.write("t", token()))

    def test_a_root_has_a_lock_of_its_own(self):
        os.mkdir(self.path("root"))
        with self.held():
            self.json("configure", "--root", self.path("root"))
        with self.held(self.path("root") + LOCK):
            self.error(15, "configure", "another instance", "configure", "--root", self.path("root"))

    def test_the_lock_is_free_afterwards(self):
        self.json("run", status=3, sysfs=pci())
        self.free()

    def test_who_waited_goes_by_what_the_other_has_done(self):
        driver = {"version": "535.161.08", "kind": "run", "sha256": "", "path": "", "open": False}
        with self.held():
            process = self.program.start("run", "--lock-wait", "30", sysfs=pci())
            files = f"/proc/{process.pid}/fd"
            self.until(lambda: any(os.path.realpath(os.path.join(files, name)) == LOCK for name in os.listdir(files)),
                       "the second one to wait")
            write(STATE, json.dumps({"schema": 1, "driver": driver}))
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 3, (out, err))
        state = json.loads(read(STATE))
        self.assertEqual(state["driver"], driver)
        self.assertEqual(state["steps"]["detect"]["outcome"], "failed")

    def test_a_lock_that_a_link_leads_elsewhere(self):
        remove(LOCK)
        os.symlink("/etc/hostname", LOCK)
        self.addCleanup(remove, LOCK)
        self.assertNotEqual(self.program.call("run", sysfs=pci()).status, 0)


class Signals(Jobs):
    def stopped(self, process, number):
        process.send_signal(number)
        outcome = self.ended(process, number)
        with open(LOCK, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return outcome

    def compiling(self):
        """A run whose make has a grandchild that sleeps."""
        kernel("modules:\n\t@sh -c 'sleep 1000; true' & sleep 1001\n")
        process = self.program.start("run", "--kernel", KERNEL, sysfs=vgpu(), sets=self.driver())
        self.until(lambda: sum("sleep 100" in line for line in living().values()) >= 2, "the compiler")
        return process

    def test_in_the_build_the_whole_group_ends(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                self.stopped(self.compiling(), number)
                self.untouched()

    def test_what_is_done_is_written_down_before_the_next_step(self):
        """A power cut lets nobody write it later."""
        process = self.compiling()
        steps = json.loads(read(STATE))["steps"]
        self.stopped(process, signal.SIGTERM)
        self.assertEqual(steps["unpack"]["outcome"], "changed")

    def test_while_the_metadata_service_says_nothing(self):
        service = self.use(Server())
        service.faults["/openstack/latest/vendor_data2.json"] = [fault.silence(60)]
        process = self.program.start("run", sysfs=vgpu(), sets={"metadata.enabled": "true", "metadata.url": service.base,
                                     "metadata.sources": "metadata-service"})
        self.until(lambda: service.requests, "the question")
        self.stopped(process, signal.SIGTERM)

    def test_while_it_downloads(self):
        repository = self.use(Repository()).add(RUN, parts.driver())
        repository.faults["/nvidia/" + RUN] = [fault.stall(after=1_000_000, seconds=60)]
        process = self.program.start("run", sysfs=vgpu(), sets={**repository.sets, **ALONE, "http.stall_timeout": "60"})
        self.until(lambda: repository.asked(RUN), "the download")
        outcome = self.stopped(process, signal.SIGINT)
        self.assertEqual(outcome.out, "")
        kernel("modules:\n\t@false\n")
        value = self.json("run", "--kernel", KERNEL, status=8, sysfs=vgpu(), sets={**repository.sets, **ALONE})
        self.assertEqual(self.names(value)[-1], "build")

    def test_with_json_the_object_is_still_whole(self):
        kernel("modules:\n\t@sleep 1001\n")
        process = self.program.start("run", "--json", "--kernel", KERNEL, sysfs=vgpu(), sets=self.driver())
        self.until(lambda: any("sleep 1001" in line for line in living().values()), "the compiler")
        value = json.loads(self.stopped(process, signal.SIGTERM).out)
        self.assertIn("interrupted", value["error"]["message"])


class Places(Jobs):
    """Agent and worker find each other, wherever they were installed together."""

    def copied(self):
        shutil.copytree(os.path.dirname(os.path.dirname(self.program.path)), self.path("opt/vgpu"))
        return self.path("opt/vgpu/bin/vgpu-guest-agent"), self.path("opt/vgpu/libexec/vgpu-guest-agent/fetch-worker")

    def test_from_any_prefix(self):
        agent, _ = self.copied()
        self.json("token", "check", self.write("t", token()), program=agent)

    def test_without_one_of_its_workers_it_is_status_1(self):
        agent, worker = self.copied()
        for name in ("net-worker", "fetch-worker"):
            os.unlink(os.path.join(os.path.dirname(worker), name))
            value = self.json("token", "check", self.write("t", token()), program=agent, status=1)
            self.assertIn(name, value["error"]["message"])
            self.assertIn("install", value["error"]["hint"])

    def test_a_worker_that_is_none_is_status_1(self):
        agent, worker = self.copied()
        for script in ("exit 0", "exit 3", "echo nonsense >&3", 'echo "{}" >&3', "kill -9 $$"):
            with self.subTest(script):
                write(worker, f"#!/bin/sh\n{script}\n", 0o755)
                self.json("token", "check", self.write("t", token()), program=agent, status=1)

    def test_no_environment_leads_to_another_worker(self):
        write(self.path("fetch-worker"), "#!/bin/sh\ntouch /tmp/called\n", 0o755)
        self.json("token", "check", self.write("t", token()), env={"PATH": self.folder + ":/usr/bin", "HOME": self.folder})
        self.assertFalse(os.path.exists("/tmp/called"))


class TakenUp(Jobs):
    """An update was cut off, and neither its driver nor the one before it can be built here."""

    def setUp(self):
        super().setUp()
        kernel('modules:\n\t@echo "error: boom"; exit 2\n')
        state = {"schema": 1}
        for key, version in (("driver", "525.60.13"), ("installing", GUEST)):
            path = f"/var/lib/vgpu-guest-agent/backup/driver-{version}.run"
            write(path, parts.driver())
            state[key] = {"version": version, "kind": "run", "path": path}
        write(STATE, json.dumps(state))

    def run_again(self, *words):
        value = self.error(8, "build", "boom", "install", "--kernel", KERNEL, *words, sysfs=vgpu(), sets=self.driver())
        return next(each["detail"] for each in value["steps"] if each["step"] == "match")

    def test_what_cannot_be_finished_is_put_back_and_then_decided_anew(self):
        self.assertIn("finishing the installation of " + GUEST, self.run_again())
        self.assertIn("putting 525.60.13 back", self.run_again())
        self.assertIn('by rule "url"', self.run_again())

    def test_a_driver_that_is_named_is_taken_at_once(self):
        self.assertIn('by rule "url"', self.run_again("--driver", os.path.join(parts.drivers(), RUN)))

    def test_what_is_only_missing_is_waited_for(self):
        remove(BUILD)
        for _ in range(2):
            value = self.error(7, "build", "headers", "install", "--kernel", KERNEL, sysfs=vgpu(), sets=self.driver())
            self.assertIn("finishing", next(each["detail"] for each in value["steps"] if each["step"] == "match"))


class CutOff(Jobs):
    def test_an_uninstall_that_is_repeated_leaves_what_came_back(self):
        write(STATE, json.dumps({"schema": 1, "steps": {"configure": {"outcome": "changed", "detail": "", "time": ""}}}))
        write("/etc/nvidia/gridd.conf", "FeatureType=1\n")
        write("/var/lib/vgpu-guest-agent/backup/gridd.conf", "FeatureType=0\n")
        root = self.path("root")
        parts.small_system(root, ())
        for path in ("/etc/nvidia", "/var/lib/vgpu-guest-agent"):
            shutil.copytree(path, root + path)
        subprocess.run(["mount", "--bind", STATE, root + STATE], check=True)  # so that its last step fails
        try:
            outcome = self.program.call("uninstall", "--root", root)
        finally:
            subprocess.run(["umount", root + STATE], check=True)
        self.assertEqual(outcome.status, 16, outcome)
        self.assertEqual(read(root + "/var/lib/vgpu-guest-agent/backup/gridd.conf"), b"FeatureType=0\n")
        self.text("uninstall", "--root", root)
        self.assertEqual(read(root + "/etc/nvidia/gridd.conf"), b"FeatureType=0\n")
        self.assertFalse(os.path.exists(root + "/var/lib/vgpu-guest-agent"))


class Rights(Jobs):
    def test_what_changes_the_system_needs_root(self):
        for words in CHANGING:
            with self.subTest(words):
                self.error(16, " ".join(words), "root", *words, nobody=True, sysfs=vgpu(), hint="sudo")

    def test_who_looks_does_not(self):
        self.json("detect", nobody=True, sysfs=vgpu())
        self.json("plan", nobody=True, sysfs=vgpu(), sets=self.driver())
        self.text("config", "check", nobody=True)

    def test_a_configuration_that_may_not_be_read_is_status_16(self):
        write("/etc/vgpu-guest-agent/agent.conf", "", 0o600)
        self.error(16, "detect", "/etc/vgpu-guest-agent/agent.conf", "detect", nobody=True, sysfs=vgpu())


def changes():
    """When the files that an installation may touch were last changed."""
    found = {}
    for top in ("/etc", "/usr/src", "/usr/lib/systemd", "/lib/modules", "/var/lib/vgpu-guest-agent", "/var/cache/vgpu-guest-agent",
                "/var/log/vgpu-guest-agent"):
        for where, folders, names in os.walk(top):
            for name in [*folders, *names]:
                found[os.path.join(where, name)] = os.lstat(os.path.join(where, name)).st_ctime_ns
    return found


class Installed(Jobs):
    """A driver that fits is there already: nobody needs the repository."""

    def setUp(self):
        super().setUp()
        remove("/usr/sbin/modinfo")
        program("/usr/sbin/modinfo", f'case "$*" in *version*) echo {GUEST};; *) echo /lib/modules/x/nvidia.ko;; esac\n')
        self.addCleanup(write, "/usr/sbin/modinfo", self.modinfo, 0o755)
        for name in ("nvidia-smi", "nvidia-gridd"):
            program(f"/usr/bin/{name}", f"cat {parts.TESTS}/data/smi/535-vgpu-unlicensed.txt\n")
            self.addCleanup(remove, f"/usr/bin/{name}")

    def load(self, version=GUEST, users=0):
        """The kernel's own words on loaded modules, in the /sys of this test."""
        for name in ("nvidia", "nvidia_uvm"):
            write(f"/sys/module/{name}/initstate", "live\n")
            write(f"/sys/module/{name}/refcnt", f"{users}\n")
        write("/sys/module/nvidia/version", version + "\n")
        self.addCleanup(remove, "/sys/module")

    def plan(self, **more):
        return self.json("plan", sysfs=vgpu(), **more)

    def test_it_stays(self):
        plan = self.plan()
        driver = plan["driver"]
        self.assertEqual((driver["rule"], driver["version"], driver["url"], driver["integrity"]), ("installed", GUEST, None, None))
        self.assertEqual(plan["kernels"], [{"release": platform.release(), "action": "none"}])

    def test_a_kernel_with_modules_of_before_our_update_gets_new_ones(self):
        newer = "525.147.05"
        write(STATE, json.dumps({"schema": 1, "driver": {"version": newer, "kind": "run"}}))
        self.assertEqual(self.plan()["driver"]["version"], GUEST, "the module of others is their driver")
        program("/usr/sbin/modinfo", f'case "$*" in *version*) echo {GUEST};; '
                "*) echo /lib/modules/x/updates/vgpu-guest-agent/nvidia.ko;; esac\n")
        plan = self.plan()
        self.assertEqual((plan["driver"], plan["would_fail"]), (None, 4), "neither its sources nor its package are here")
        write(f"/usr/src/vgpu-guest-agent/{newer}/kernel/Kbuild", "")
        self.addCleanup(remove, "/usr/src/vgpu-guest-agent")
        plan = self.plan()
        self.assertEqual((plan["driver"]["rule"], plan["driver"]["version"]), ("installed", newer))
        self.assertEqual(plan["kernels"], [{"release": platform.release(), "action": "build"}])

    def test_a_new_token_brings_no_driver(self):
        """What the rotation unit runs: driver.upgrade is no word of it, and no repository is asked."""
        value = self.json("run", "--token-only", sysfs=vgpu(), status=11,
                          sets={"driver.repository": "https://pulp.invalid/", "driver.upgrade": "true"})
        self.assertEqual([step["step"] for step in value["steps"]], ["detect", "metadata", "configure", "token"])
        self.assertNotIn("pulp.invalid", self.last.err)
        unit = read(os.path.join(parts.TESTS, "../agent/dist/systemd/vgpu-guest-agent-rotate.service")).decode()
        self.assertIn(" run --token-only ", unit)

    def test_a_repository_that_is_down_is_a_warning(self):
        self.assertEqual(self.plan(sets={"driver.repository": "https://pulp.invalid/"})["driver"]["rule"], "installed")
        self.assertRegex(self.last.err, "warning: .*pulp.invalid")

    def test_a_newer_one_is_reported_and_taken_only_with_upgrade(self):
        newer = "NVIDIA-Linux-x86_64-525.147.05-grid.run"
        repository = self.use(Repository()).name(RUN, newer)
        self.assertEqual(self.plan(sets=repository.sets)["driver"]["rule"], "installed")
        self.assertIn("525.147.05 is newer", self.last.err)
        driver = self.plan(sets={**repository.sets, "driver.upgrade": "true"})["driver"]
        self.assertEqual((driver["rule"], driver["version"]), ("branch", "525.147.05"))

    def test_run_fetches_and_builds_nothing(self):
        self.load()
        repository = self.use(Repository()).name(RUN)
        value = json.loads(self.program.call("run", "--json", sysfs=vgpu(), sets=repository.sets).out)
        outcomes = {each["step"]: each["outcome"] for each in value["steps"]}
        self.assertEqual((outcomes["match"], outcomes["fetch"], outcomes["unpack"], outcomes["build"]),
                         ("unchanged", "skipped", "skipped", "unchanged"))
        self.assertEqual(outcomes["token"], "failed")
        self.assertEqual(repository.asked(RUN), [])

    def test_a_second_install_changes_no_file(self):
        self.load()
        self.json("install", sysfs=vgpu())
        before = changes()
        value = self.json("install", sysfs=vgpu())
        self.assertLessEqual({each["outcome"] for each in value["steps"]}, {"unchanged", "skipped"})
        self.assertEqual(changes(), before)

    def test_where_no_systemd_runs_the_license_daemon_is_an_error(self):
        self.load()
        value = self.json("run", sysfs=vgpu(), sets={"license.token_file": self.write("t", token())}, status=1)
        self.last_failed(value)
        self.assertEqual(value["error"]["step"], "gridd")
        self.assertIn("systemd", value["error"]["hint"])

    def test_an_older_module_that_is_in_use_is_status_14(self):
        self.load("525.60.13", users=3)
        value = self.error(14, "install", "in use", "install", sysfs=vgpu(), hint="reboot")
        self.last_failed(value)

    def test_a_module_that_does_not_load(self):
        modprobe = read("/usr/sbin/modprobe")
        self.addCleanup(write, "/usr/sbin/modprobe", modprobe, 0o755)
        for words, status, hint in (("No such device", 9, "host"), ("Key was rejected by service", 10, "signing.key"),
                                    ("Invalid argument", 9, "log")):
            with self.subTest(words):
                remove("/usr/sbin/modprobe")
                program("/usr/sbin/modprobe", f"echo \"modprobe: ERROR: could not insert 'nvidia': {words}\" >&2; exit 1\n")
                value = self.error(status, "install", words, "install", sysfs=vgpu(), hint=hint)
                self.last_failed(value)

    def test_one_that_the_host_does_not_take_is_in_the_way(self):
        plan = self.json("plan", sysfs=vgpu("470.63", "r470_00"))
        self.assertEqual((plan["driver"], plan["would_fail"]), (None, 9))


if __name__ == "__main__":
    main(__file__)
