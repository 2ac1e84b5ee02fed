#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""agent/dist/rpm/vgpu-guest-agent.spec, by rpm's own parser: read, of the files that are installed, and with VGPU_ALL=1 built by rpmbuild."""
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import base, check  # noqa: E402
from lab.check import need  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
SPEC = SOURCE / "agent/dist/rpm/vgpu-guest-agent.spec"


def listed(spec):
    """The paths of %files, each a pattern or a folder."""
    for line in spec.split("%files\n", 1)[1].splitlines():
        if line and not line.startswith("%dir"):
            yield line.split()[-1]


def claim_rpm_reads_it_and_knows_its_version(parsed):
    said = base.output("rpmspec", "--define", "vgpu_version 7.8.9", "--define", "dist .el9", "-q", str(SPEC))
    need(re.search(r"^vgpu-guest-agent-7\.8\.9-1\.el9\.", said, re.M), said)
    for script in ("post", "preun", "postun"):
        need(f"%{script} -f agent/dist/rpm/{script}" in parsed and (SPEC.parent / script).is_file(), script)


def claim_it_names_what_is_installed_and_nothing_else(parsed):
    with tempfile.TemporaryDirectory() as root:
        done = subprocess.run(["cmake", "--install", os.environ["VGPU_BUILD"], "--prefix", "/usr", "--component", "agent"],
                              env={**base.ENVIRONMENT, "DESTDIR": root}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        need(done.returncode == 0, done.stderr)
        files = {f"/{path.relative_to(root)}" for path in pathlib.Path(root).rglob("*") if not path.is_dir()}
    named = list(listed(parsed))
    fits = {file: [name for name in named if fnmatch.fnmatch(file, name) or file.startswith(f"{name}/")] for file in files}
    need(all(fits.values()), [file for file, names in fits.items() if not names])
    idle = set(named) - {name for names in fits.values() for name in names}
    need(not idle, idle)


def claim_the_build_wants_what_the_program_is_linked_with(parsed):
    cmake = (SOURCE / "agent/CMakeLists.txt").read_text()
    for library, least in re.findall(r"pkg_check_modules\(\w+ REQUIRED (?:IMPORTED_TARGET )?([\w.-]+?)(?:>=([\d.]+))?\)", cmake):
        line = f"pkgconfig({library})" + (f" >= {least}" if least else "")
        need(f"BuildRequires: {line}\n" in parsed, line)


def claim_a_package_of_another_family_says_whose_libraries_it_names(parsed):
    with open("/etc/os-release") as file:
        system = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    own = base.output("rpm", "--eval", "%{?dist}").strip() or "." + system["ID"] + system["VERSION_ID"].strip('"')
    with tempfile.TemporaryDirectory() as folder:
        base.output("cpack", "--config", f"{os.environ['VGPU_BUILD']}/CPackConfig.cmake", "-G", "RPM", "-B", folder, "-R", "7.8.9")
        [made] = pathlib.Path(folder).glob("*.rpm")
    need(f"-7.8.9-1{own}." in made.name, made.name)


def tarball(folder):
    """As scripts/release makes it, of the tree as it is."""
    name = "vgpu-guest-agent-7.8.9"
    shutil.copytree(SOURCE, f"{folder}/{name}", symlinks=True, ignore=lambda at, names: {
        each for each in names if each in (".git", ".cache", "__pycache__") or (each == "build" and at == str(SOURCE))})
    pathlib.Path(f"{folder}/{name}/VERSION").write_text("7.8.9\n1700000000\n")
    base.output("tar", "-C", folder, "-czf", f"{folder}/{name}.tar.gz", name)


def claim_rpmbuild_makes_a_package_with_its_files_scripts_and_configuration(parsed):
    if not os.environ.get("VGPU_ALL"):
        return
    with tempfile.TemporaryDirectory() as top:
        tarball(top)
        # This machine's libraries are no packages of rpm's: so their names are not asked for.
        defines = {"_topdir": top, "_sourcedir": top, "_dbpath": f"{top}/db", "vgpu_version": "7.8.9", "dist": ".el9"}
        base.output("rpmbuild", *(word for pair in defines.items() for word in ("--define", " ".join(pair))), "--nodeps", "--quiet", "-bb", str(SPEC))
        [made] = [str(path) for path in pathlib.Path(top).glob("RPMS/*/*.rpm") if "debug" not in path.name]
        need(made.endswith("/vgpu-guest-agent-7.8.9-1.el9.x86_64.rpm"), made)

        def ask(*words):
            return base.output("rpm", "--dbpath", f"{top}/db", "-qp", *words, made)
        files = ask("-l").splitlines()
        for name in listed(parsed):
            need(any(fnmatch.fnmatch(file, name) for file in files), name)
        need(ask("-c").split() == ["/etc/vgpu-guest-agent/agent.conf"], ask("-c"))
        scripts = ask("--scripts")
        for script in ("post", "preun", "postun"):
            need((SPEC.parent / script).read_text().strip().splitlines()[-1] in scripts, f"%{script}: {scripts}")


if subprocess.run(["sh", "-c", "command -v rpmspec"], env=base.ENVIRONMENT, stdout=subprocess.DEVNULL, check=False).returncode != 0:
    print("skipped: no rpmspec here")
    sys.exit(77)
claims = [value for name, value in list(globals().items()) if name.startswith("claim_")]
sys.exit(check.run(claims, base.output("rpmspec", "-P", str(SPEC))))
