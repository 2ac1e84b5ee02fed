#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The .deb and the .rpm, by the real package managers: installed, upgraded, removed and purged in throw-away roots.

An .rpm of this machine names this machine's libraries; what the root lacks of them a stub package provides, so that rpm's own
transaction is run. Whether it fits an Enterprise Linux is not shown here.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, scene  # noqa: E402
from lab.base import ENVIRONMENT, output  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip", "cpack", "dpkg-shlibdeps", "rpmbuild")

CONF = "etc/vgpu-guest-agent/agent.conf"
LINK = "etc/systemd/system/timers.target.wants/vgpu-guest-agent.timer"
EDITED = 'license: { token_mode = "0600"; };\n'


def pack(work, kind, version):
    """A package of the build under test."""
    folder = f"{work}/{kind}-{version}"
    output("cpack", "--config", f"{os.environ['VGPU_BUILD']}/CPackConfig.cmake", "-G", kind, "-B", folder, "-R", version)
    [file] = glob.glob(f"{folder}/*.{kind.lower()}")
    return file


def in_root(root, *command):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    done = subprocess.run(["chroot", root, *command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done


def must(root, *command):
    done = in_root(root, *command)
    need(done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def edit(root):
    with open(f"{root}/{CONF}", "w") as file:
        file.write(EDITED)


def read(path):
    with open(path) as file:
        return file.read()


def ours(root):
    """Files of the tree that bear our name."""
    found = output("find", root, "-xdev", "(", "-name", "*vgpu-guest-agent*", "-o", "-name", "vgpu-licensed*", ")", "-not", "-path",
                   "*/var/lib/dpkg/*", "-not", "-path", "*/etc/vgpu-lab/*").split()
    return [path.removeprefix(root) for path in found]


def claim_the_deb_names_the_libraries_it_is_linked_with(guest, work):
    fields = output("dpkg-deb", "--field", pack(work, "DEB", "1.0"), "Depends", "Architecture")
    for name in ("libc6 (>= ", "libconfig9", "libcurl4", "libjansson4", "libssl3", "libsystemd0", "libyaml-0-2", "zlib1g", "systemd",
                 "kmod"):
        need(name in fields, fields)


def claim_the_deb_installs_and_is_enabled_by_the_preset(guest, work):
    shutil.rmtree(f"{guest.root}/etc/vgpu-guest-agent")  # what the laboratory has put there
    shutil.copy(pack(work, "DEB", "1.1"), f"{guest.root}/old.deb")
    must(guest.root, "dpkg", "--install", "/old.deb")
    need(os.path.islink(f"{guest.root}/{LINK}"), "the timer is not enabled")
    need(os.path.exists(f"{guest.root}/{CONF}"), "no agent.conf")
    need("1.1" in must(guest.root, "dpkg-query", "--showformat=${Version}", "--show", "vgpu-guest-agent"), "not installed")
    must(guest.root, "vgpu-guest-agent", "--version")
    users = read(f"{guest.root}/etc/passwd")
    need("\nvgpu-fetch-worker:" in users, users)  # nobody who owns or may do anything
    for file in ("bin/vgpu-guest-agent", "libexec/vgpu-guest-agent/fetch-worker", "libexec/vgpu-guest-agent/net-worker"):
        with open(f"{guest.root}/usr/{file}", "rb") as program:
            need(b"built without the worker's layers" not in program.read(), f"{file} is a build for tests")
    listed = must(guest.root, "dpkg-query", "--showformat=${Conffiles}", "--show", "vgpu-guest-agent")
    need(f"/{CONF}" in listed and "/etc/kernel/postinst.d/vgpu-guest-agent" in listed, listed)


def claim_an_upgrade_keeps_what_the_operator_changed(guest, work):
    edit(guest.root)
    must(guest.root, "systemctl", "disable", "vgpu-guest-agent.timer")
    shutil.copy(pack(work, "DEB", "1.2"), f"{guest.root}/new.deb")
    must(guest.root, "dpkg", "--install", "/new.deb")
    need(read(f"{guest.root}/{CONF}") == EDITED, "agent.conf was replaced")
    need(not os.path.lexists(f"{guest.root}/{LINK}"), "the upgrade enabled it again")
    need("1.2" in must(guest.root, "dpkg-query", "--showformat=${Version}", "--show", "vgpu-guest-agent"), "not upgraded")


def claim_the_hook_keeps_the_modules_of_a_kernel_that_is_upgraded(guest, work):
    folder = f"{guest.root}/lib/modules/9.9.9-gone/updates/vgpu-guest-agent"
    hook = "/etc/kernel/postrm.d/vgpu-guest-agent"
    os.makedirs(folder)
    for words in ("upgrade 6.1.2-1", "'upgrade' '6.1.2-1'", "purge"):
        must(guest.root, "env", f"DEB_MAINT_PARAMS={words}", hook, "9.9.9-gone")
        need(os.path.exists(folder), f"{words}: the modules are gone")
    must(guest.root, "env", "DEB_MAINT_PARAMS=remove", hook, "9.9.9-gone")
    need(not os.path.exists(folder), "the modules are still there")
    shutil.rmtree(f"{guest.root}/lib/modules/9.9.9-gone")


def claim_removal_leaves_configuration_and_driver_and_nothing_that_starts(guest, work):
    os.makedirs(f"{guest.root}/var/lib/vgpu-guest-agent/backup", exist_ok=True)
    must(guest.root, "systemctl", "enable", "vgpu-guest-agent.service")  # whoever names the service means the timer, too
    need(os.path.islink(f"{guest.root}/{LINK}"), "the timer is not enabled")
    must(guest.root, "dpkg", "--remove", "vgpu-guest-agent")
    need(read(f"{guest.root}/{CONF}") == EDITED, "agent.conf is gone")
    left = [path for path in ours(guest.root) if not path.startswith(("/etc/vgpu-guest-agent", "/etc/kernel", "/var/"))]
    need(not left, left)
    need(os.path.exists(f"{guest.root}/var/lib/vgpu-guest-agent/backup"), "the state is gone")


def claim_what_was_removed_and_comes_back_is_enabled_again(guest, work):
    must(guest.root, "dpkg", "--install", "/new.deb")
    need(os.path.islink(f"{guest.root}/{LINK}"), "the timer is not enabled")
    must(guest.root, "systemctl", "disable", "vgpu-guest-agent.timer")
    must(guest.root, "dpkg", "--remove", "vgpu-guest-agent")
    must(guest.root, "dpkg", "--install", "/new.deb")
    need(not os.path.lexists(f"{guest.root}/{LINK}"), "what the operator disabled is enabled")
    must(guest.root, "dpkg", "--remove", "vgpu-guest-agent")


def claim_a_hook_that_stayed_behind_harms_no_kernel(guest, work):
    must(guest.root, "/etc/kernel/postinst.d/vgpu-guest-agent", guest.kernels[0])


def claim_a_purge_leaves_nothing(guest, work):
    must(guest.root, "dpkg", "--purge", "vgpu-guest-agent")
    need(not ours(guest.root), ours(guest.root))


def stub(work, requires):
    """A package that provides what a Debian tree has under other names."""
    top = f"{work}/rpmbuild"
    os.makedirs(top, exist_ok=True)
    provides = [line for line in requires if not line.startswith(("rpmlib(", "config("))]
    spec = ["Name: stub", "Version: 999", "Release: 1", "Summary: what the root has", "License: none", "AutoReqProv: no"]
    spec += [f"Provides: {line.replace('>=', '=')}" for line in sorted(set(provides))]
    with open(f"{top}/stub.spec", "w") as file:
        file.write("\n".join(spec + ["%description", "stub", "%files", ""]))
    output("rpmbuild", "--define", f"_topdir {top}", "--quiet", "-bb", f"{top}/stub.spec")
    [file] = glob.glob(f"{top}/RPMS/*/stub-*.rpm")
    return file


def rpm(root, *arguments):
    return subprocess.run(["rpm", "--root", root, "--nosignature", *arguments], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def claim_the_rpm_says_what_it_needs_and_installs_where_it_is(guest, work):
    package = pack(work, "RPM", "1.1")
    refused = rpm(guest.root, "--install", package)
    for name in ("libcurl.so.4", "libcrypto.so.3", "libconfig.so", "libsystemd.so.0", "systemd >= 249", "kmod"):
        need(refused.returncode != 0 and name in refused.stdout, refused.stdout)
    requires = output("rpm", "-qp", "--requires", package).splitlines()
    done = rpm(guest.root, "--install", stub(work, requires), package)
    need(done.returncode == 0, done.stdout)
    need(os.path.islink(f"{guest.root}/{LINK}"), "the timer is not enabled")
    files = output("rpm", "--root", guest.root, "--query", "--configfiles", "vgpu-guest-agent")
    need(f"/{CONF}" in files, files)
    must(guest.root, "vgpu-guest-agent", "--version")


def claim_an_upgrade_of_the_rpm_keeps_what_the_operator_changed(guest, work):
    edit(guest.root)
    must(guest.root, "systemctl", "disable", "vgpu-guest-agent.timer")
    done = rpm(guest.root, "--upgrade", pack(work, "RPM", "1.2"))
    need(done.returncode == 0, done.stdout)
    need(read(f"{guest.root}/{CONF}") == EDITED, "agent.conf was replaced")
    need(not os.path.lexists(f"{guest.root}/{LINK}"), "the upgrade enabled it again")
    need(os.path.exists(f"{guest.root}/usr/bin/vgpu-guest-agent"), "the upgrade removed it")


def claim_an_erased_rpm_leaves_only_the_changed_configuration(guest, work):
    must(guest.root, "systemctl", "enable", "vgpu-guest-agent.timer")
    done = rpm(guest.root, "--erase", "vgpu-guest-agent")
    need(done.returncode == 0, done.stdout)
    left = [path for path in ours(guest.root) if not path.startswith("/etc/vgpu-guest-agent")]
    need(not left, left)
    need(read(f"{guest.root}/{CONF}.rpmsave") == EDITED, "what the operator wrote is lost")


with scene.bare() as guest, tempfile.TemporaryDirectory() as work:
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest, work))
