# SPDX-License-Identifier: Apache-2.0
"""A root like one of the RHEL family, of Debian's packages: dnf and rpm instead of apt, headers and make as packages of a repository."""
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess

from lab import base
from lab.base import CACHE, ENVIRONMENT, LabError, output

PACKAGES = base.PACKAGES + ["dnf", "rpm", "createrepo-c"]
# As far as the agent's and the stand-in's packages ask for it, this is what the tree has under Debian's names.
PROVIDES = "gcc binutils glibc-devel kmod systemd = 252 /bin/sh"
REPOSITORY = "[lab]\nname=lab\nbaseurl=file:///srv/repo\ngpgcheck=0\n"
OS_RELEASE = 'NAME="Like Enterprise Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPLATFORM_ID="platform:el9"\n'
APT = ("apt-get", "apt", "apt-cache", "apt-config", "dpkg", "dpkg-query", "dpkg-deb")


def prepare(say=lambda text: None):
    """The tree as a base for guests, made where it is not there yet: about two minutes, 500 MB."""
    codename, lines = base.sources()
    with open(__file__, "rb") as file:
        key = hashlib.sha256(file.read() + json.dumps([codename, lines, PACKAGES]).encode()).hexdigest()[:16]
    path = os.path.join(CACHE, f"rpm-{key}")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "rpm.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(f"{path}.json"):
            say("making the tree like Enterprise Linux (about two minutes)")
            base.update()
            make(path, codename, lines, base.kernels_to_be_had())
    with open(f"{path}.json") as file:
        return base.Base(path, json.load(file)["kernels"])


def make(path, codename, lines, kernels):
    packages = PACKAGES + [f"linux-{part}-{release}" for release in kernels for part in ("image", "headers")]
    base.bootstrap(path, codename, lines, packages, base.keyrings())
    base.finish(path, base.keyrings())
    settle(path)
    kernels = [rename(path, debian) for debian in kernels]
    for release in kernels:
        version, build_number = release.split("-", 1)
        move_out(path, "kernel-devel", version, build_number.removesuffix(".x86_64"), [f"Provides: kernel-devel-uname-r = {release}"],
                 [f"usr/src/kernels/{release}", f"usr/src/linux-headers-{version}-{build_number.split('.')[0]}-common"])
    move_out(path, "make", "4.3", "1", [], ["usr/bin/make"])
    build(path, "elfutils-libelf-devel", "0.188", "1", [], f"{path}/srv/repo")
    build(path, "system", "1", "1", [f"Provides: {PROVIDES}"], f"{path}/root")
    inside(path, "createrepo_c", "--quiet", "/srv/repo")
    inside(path, "rpm", "--install", *(name.removeprefix(path) for name in glob.glob(f"{path}/root/*.rpm")))
    with open(f"{path}.json.new", "w") as file:
        json.dump({"kernels": kernels}, file)
    os.rename(f"{path}.json.new", f"{path}.json")


def settle(path):
    """dnf and rpm are the system's own, and apt is not there."""
    for name in APT:
        for found in glob.glob(f"{path}/usr/bin/{name}"):
            os.unlink(found)
    for name in glob.glob(f"{path}/usr/lib/python3/dist-packages/dnf-plugins/debug.py"):
        os.unlink(name)
    for name, text in (("etc/os-release", OS_RELEASE), ("etc/rpm/macros", "%_dbpath /var/lib/rpm\n"), ("etc/yum.repos.d/lab.repo", REPOSITORY)):
        target = f"{path}/{name}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.lexists(target):
            os.unlink(target)
        with open(target, "w") as file:
            file.write(text)
    os.makedirs(f"{path}/srv/repo")
    inside(path, "rpm", "--initdb")


def rename(path, debian):
    """A kernel of Debian's by a name of the family's: rpm takes no version with two dashes. Returns the name."""
    release = debian.replace("-cloud-amd64", ".el9.x86_64")
    headers = f"{path}/usr/src/kernels/{release}"
    os.makedirs(os.path.dirname(headers), exist_ok=True)
    os.rename(f"{path}/usr/src/linux-headers-{debian}", headers)
    for name in ("scripts", "tools"):  # one folder deeper than Debian has them
        target = os.readlink(f"{headers}/{name}")
        os.unlink(f"{headers}/{name}")
        os.symlink(target.replace("../../lib/", "/usr/lib/"), f"{headers}/{name}")
    found = output("grep", "-rlF", debian, headers).split()
    output("sed", "-i", f"s/{debian}/{release}/g", *found)
    os.rename(f"{path}/usr/lib/modules/{debian}", f"{path}/usr/lib/modules/{release}")
    os.unlink(f"{path}/usr/lib/modules/{release}/build")
    os.symlink(f"/usr/src/kernels/{release}", f"{path}/usr/lib/modules/{release}/build")
    for name in glob.glob(f"{path}/boot/*-{debian}"):
        os.rename(name, name.replace(debian, release))
    return release


def inside(path, *command):
    done = subprocess.run(["chroot", path, *command], env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{command}: {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def move_out(path, name, version, release, more, files):
    """Files of the tree become a package of its repository."""
    root = f"{path}/root/{name}"
    for file in files:
        os.makedirs(os.path.dirname(f"{root}/{file}"), exist_ok=True)
        shutil.move(f"{path}/{file}", f"{root}/{file}")
    build(path, name, version, release, more, f"{path}/srv/repo", root, files)
    shutil.rmtree(root)


def build(path, name, version, release, more, into, root=None, files=()):
    """An .rpm of the files below root, into a folder; its path. `path`: whose /tmp may be written."""
    top = f"{path}/tmp/rpmbuild"
    shutil.rmtree(top, ignore_errors=True)
    os.makedirs(top)
    spec = [f"Name: {name}", f"Version: {version}", f"Release: {release}", f"Summary: {name}", "License: none", "AutoReqProv: no", *more, "%description", name]
    if root:
        spec += ["%install", "mkdir -p %{buildroot}", f"cp -a {root}/. %{{buildroot}}"]
    spec += ["%files", *(f"/{file}" for file in files)]
    with open(f"{top}/x.spec", "w") as file:
        file.write("\n".join(spec) + "\n")
    defines = {"_topdir": top, "_dbpath": f"{top}/db", "__os_install_post": "%{nil}", "_binary_payload": "w1.gzdio", "debug_package": "%{nil}",
               "_build_id_links": "none"}
    output("rpmbuild", *(word for pair in defines.items() for word in ("--define", " ".join(pair))), "--quiet", "-bb", f"{top}/x.spec")
    [made] = glob.glob(f"{top}/RPMS/*/*.rpm")
    os.makedirs(into, exist_ok=True)
    target = f"{into}/{os.path.basename(made)}"
    shutil.move(made, target)
    shutil.rmtree(top)
    return target
