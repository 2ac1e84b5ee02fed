#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The kernel hook, called by the real kernel-install and run-parts as the packages of the families call them: once for each kernel."""

import os
import shutil
import subprocess

import namespace
from program import Case, main, remove, write

AGENT = "/usr/bin/vgpu-guest-agent"
DIST = os.path.join(namespace.checkout(), "agent/dist/kernel")
KERNEL = "6.1.0-37-cloud-amd64"
IMAGE = f"/boot/vmlinuz-{KERNEL}"
HOOKS = (("postinst", "/usr/libexec/vgpu-guest-agent/kernel-postinst"), ("postrm", "/usr/libexec/vgpu-guest-agent/kernel-postrm"),
         ("postinst", "/etc/kernel/postinst.d/vgpu-guest-agent"), ("postrm", "/etc/kernel/postrm.d/vgpu-guest-agent"),
         ("vgpu-guest-agent.install", "/usr/lib/kernel/install.d/60-vgpu-guest-agent.install"))
# As grubby's has it: kernel-install runs Debian's folder as well.
GRUBBY = "/usr/lib/kernel/install.d/95-kernel-hooks.install"
GRUBBY_TEXT = '#!/bin/sh\n[ "$1" != add ] || for hook in /etc/kernel/postinst.d/*; do "$hook" "$2" "$4" || exit; done\n'
# As systemd-boot's has it on Debian: Debian's folder runs kernel-install as well.
BOOT = "/etc/kernel/postinst.d/zz-systemd-boot"
BOOT_TEXT = '#!/bin/sh\nexec kernel-install add "$1" "$2"\n'
KERNEL_INSTALL = ("kernel-install", "add", KERNEL, IMAGE)
RUN_PARTS = ("run-parts", f"--arg={KERNEL}", f"--arg={IMAGE}", "/etc/kernel/postinst.d")


class KernelHook(Case):
    def setUp(self):
        super().setUp()
        shutil.rmtree("/etc/kernel", ignore_errors=True)  # none of this machine's: neither its initramfs nor its boot loader
        shutil.rmtree("/usr/lib/kernel/install.d", ignore_errors=True)
        for name, path in HOOKS:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy(f"{DIST}/{name}", path)
        remove(AGENT)
        os.symlink(self.program.path, AGENT)
        write("/usr/src/vgpu-guest-agent/550.90.07/Makefile", "")
        write(f"/lib/modules/{KERNEL}/build/Makefile", "")
        write(IMAGE, "")
        write("/etc/kernel/install.conf", "layout=other\n")
        for path in (AGENT, "/usr/src/vgpu-guest-agent", f"/lib/modules/{KERNEL}", IMAGE, GRUBBY, BOOT):
            self.addCleanup(remove, path)

    def test_it_runs_once_whoever_calls_whom(self):
        debian = {"DEB_MAINT_PARAMS": "'configure' ''"}
        for command, environment, other, text in (
                (KERNEL_INSTALL, {}, None, None),
                (KERNEL_INSTALL, {}, GRUBBY, GRUBBY_TEXT),
                (RUN_PARTS, debian, None, None),
                (RUN_PARTS, debian, BOOT, BOOT_TEXT),
                (KERNEL_INSTALL, {}, BOOT, BOOT_TEXT)):  # by hand
            with self.subTest(f"{command[0]}, with {other}"):
                remove(GRUBBY)
                remove(BOOT)
                if other:
                    write(other, text, 0o755)
                done = subprocess.run(command, env={"PATH": os.environ["PATH"], "MACHINE_ID": 32 * "1", "BOOT_ROOT": "/boot", **environment},
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                                      check=False)
                self.assertEqual(done.returncode, 0, done.stdout)
                # No driver is to be had here: each call of the agent ends in one such line.
                self.assertEqual(done.stdout.count(f"no NVIDIA driver for kernel {KERNEL} yet"), 1, done.stdout)


if __name__ == "__main__":
    main(__file__)
