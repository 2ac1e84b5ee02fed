#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What the packages are made of: the same bytes from two folders at two times, programs with all the hardening that is asked for, what
lintian and rpmlint say, the documents beside them, and a build for those who have no cmocka, another generator or another prefix."""
import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check  # noqa: E402
from lab.base import output  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("cpack", "dpkg-shlibdeps", "rpmbuild", "rpm2cpio", "cpio", "readelf", "objdump", "lintian", "rpmlint", "gcc", "cmake",
                    "ninja", "make")

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
EPOCH = 1700000000
PROGRAMS = ("usr/bin/vgpu-guest-agent", "usr/libexec/vgpu-guest-agent/fetch-worker",
            "usr/libexec/vgpu-guest-agent/net-worker")
X86 = os.uname().machine == "x86_64"


def copy(tree, folder, mode, time):
    """The tree as somebody else has it: another place, other rights, other times."""
    shutil.copytree(tree, folder, symlinks=True)
    output("chmod", "-R", mode, str(folder))
    output("find", str(folder), "-exec", "touch", "-h", "-d", f"@{time}", "{}", "+")
    output("sh", "-c", "umask 002; exec \"$1/scripts/make-packages\" --tools --sbom --output \"$1/out\" deb rpm", "sh", str(folder))
    return sorted((folder / "out").iterdir())


class Built:
    """Two builds, and what one of them packed."""

    def __init__(self, work):
        self.work = pathlib.Path(work)
        tarball = self.work / "tarball"  # as scripts/release makes one; whoever edits the tree meanwhile is no difference
        shutil.copytree(SOURCE, tarball, symlinks=True, ignore=lambda folder, names: {
            name for name in names if name in (".git", ".cache", "__pycache__") or (name == "build" and folder == str(SOURCE))})
        (tarball / "VERSION").write_text(f"7.8.9\n{EPOCH}\n")
        self.first = copy(tarball, self.work / "one", "go+w", 1500000000)
        self.second = copy(tarball, self.work / "deeper" / "in" / "another place", "go-w", 1600000000)
        self.tree = self.work / "one"
        self.roots = []
        for package in self.packages():
            if "tools" not in package.name:
                root = self.work / f"root-{package.suffix[1:]}"
                root.mkdir()
                unpack = (["dpkg-deb", "--extract", str(package), str(root)] if package.suffix == ".deb" else
                          ["sh", "-c", "cd \"$2\" && rpm2cpio \"$1\" | cpio --quiet -idm", "sh", str(package), str(root)])
                output(*unpack)
                self.roots.append(root)

    def packages(self):
        return [file for file in self.first if file.suffix in (".deb", ".rpm")]


def claim_two_folders_and_two_times_give_the_same_bytes(built):
    names = [file.name for file in built.first]
    need(names == [file.name for file in built.second], names)
    need(len(names) == 8, names)  # two packages of two families, and a document beside each
    for one, other in zip(built.first, built.second):
        need(one.read_bytes() == other.read_bytes(), f"{one.name} differs")
    need(all("7.8.9" in name for name in names), names)


def lacks(program):
    """What this program lacks of what scripts/cmake/flags.cmake asks for."""
    head, text = output("readelf", "-hldW", program), output("objdump", "-d", "--no-show-raw-insn", program)
    symbols = output("readelf", "-sW", "--dyn-syms", program)
    have = {
        "PIE": re.search(r"Type:\s+DYN", head) and re.search(r"FLAGS_1.*\bPIE\b", head),
        "RELRO": "GNU_RELRO" in head,
        "bound at the start": re.search(r"\(FLAGS\).*BIND_NOW|FLAGS_1.*\bNOW\b", head),
        "a stack that is not executable": re.search(r"GNU_STACK.*\bRW\s", head),
        "no segment to write and to execute": not re.search(r"LOAD.*RWE", head),
        "FORTIFY": re.search(r"__\w+_chk\b", symbols),
        "stack protector": "__stack_chk_fail" in symbols,
        "control flow": not X86 or text.count("endbr64") > 100,
    }
    return {what for what, is_there in have.items() if not is_there}


def claim_the_packed_programs_are_hardened(built):
    need(len(built.roots) == 2, built.roots)
    for root in built.roots:
        for program in PROGRAMS:
            need(not lacks(str(root / program)), f"{root.name} {program} lacks {lacks(str(root / program))}")
            found = output("strings", str(root / program))
            need(str(built.work) not in found, f"{program} names the folder that it was built in")


def claim_a_program_without_hardening_is_seen(built):
    source = built.work / "bare.c"
    source.write_text("#include <string.h>\nint main(int n, char **v) { char b[64]; strcpy(b, v[0]); return b[n]; }\n")
    output("gcc", "-O0", "-no-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-fcf-protection=none", "-Wl,-z,norelro,-z,lazy,-z,execstack",
           "-o", str(built.work / "bare"), str(source))
    missing = lacks(str(built.work / "bare"))
    need(missing >= {"PIE", "RELRO", "bound at the start", "a stack that is not executable", "FORTIFY", "stack protector"}, missing)
    need(not X86 or "control flow" in missing, missing)


def claim_every_file_is_compiled_with_what_no_program_shows(built):
    commands = json.loads((built.tree / "build" / "release" / "compile_commands.json").read_text())
    need(len(commands) > 100, len(commands))
    for command in commands:
        for flag in ("-D_FORTIFY_SOURCE=3", "-ftrivial-auto-var-init=zero", "-fstack-protector-strong", "-fstack-clash-protection"):
            need(flag in command["command"], f"{command['file']}: no {flag}")


def claim_lintian_and_rpmlint_see_no_error(built):
    for tool in ("lintian", "rpmlint"):
        # Who publishes signs.
        files = [str(file) for file in built.packages() if file.suffix == (".deb" if tool == "lintian" else ".rpm")]
        said = subprocess.run([tool, *files], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
        errors = [line for line in said.splitlines() if re.search(r"(^|: )E: ", line) and not line.endswith("E: no-signature")]
        need(not errors, "\n".join(errors))
        need(tool != "rpmlint" or f"{len(files)} packages" in said, said)


def claim_a_document_names_each_file_and_library(built):
    [path] = [file for file in built.first if file.name.endswith("_amd64.deb.spdx.json" if X86 else ".deb.spdx.json") and
              "tools" not in file.name]
    document = json.loads(path.read_text())
    need(document["spdxVersion"] == "SPDX-2.3", document["spdxVersion"])
    root = built.roots[0] if built.roots[0].name == "root-deb" else built.roots[1]
    here = {f"./{file.relative_to(root)}": hashlib.sha256(file.read_bytes()).hexdigest() for file in root.rglob("*") if file.is_file()}
    named = {file["fileName"]: file["checksums"][1]["checksumValue"] for file in document["files"]}
    need(named == here, set(named.items()) ^ set(here.items()))
    libraries = {package["name"] for package in document["packages"][1:]}
    need({"libcurl.so.4", "libcrypto.so.3", "libjansson.so.4"} <= libraries, libraries)
    package = hashlib.sha256(path.with_name(path.name.removesuffix(".spdx.json")).read_bytes()).hexdigest()
    need(document["packages"][0]["checksums"][0]["checksumValue"] == package, "another package")


def claim_the_packages_have_what_distributions_want(built):
    for root in built.roots:
        for name in ("changelog.gz", "copyright"):
            need((root / "usr/share/doc/vgpu-guest-agent" / name).is_file(), f"{root.name}: no {name}")
    [tools] = [file for file in built.packages() if file.name.startswith("vgpu-guest-agent-tools_")]
    listed = output("dpkg-deb", "--contents", str(tools))
    for name in ("scripts/make-vendor-data", "scripts/prebuild-modules", "cloud-init/setup.in", "dib-element/nvidia-vgpu/README.rst"):
        need(f"/vgpu-guest-agent-tools/{name}\n" in listed, f"no {name}\n{listed}")


def claim_it_builds_without_cmocka_and_with_any_generator(built):
    for generator in ("Unix Makefiles", "Ninja Multi-Config"):
        folder = built.work / generator.replace(" ", "-")
        said = output("cmake", "-S", str(built.tree), "-B", str(folder), "-G", generator, "-DCMOCKA=")
        need("No tests are built: they need cmocka" in said, said[-1000:])
        output("cmake", "--build", str(folder), "--target", "vgpu_base", "--parallel", "2")
        need(glob.glob(f"{folder}/agent/**/libvgpu_base.a", recursive=True), "nothing is built")


def claim_units_and_hooks_follow_the_prefix(built):
    root = built.work / "elsewhere"
    output("env", f"DESTDIR={root}", "cmake", "--install", str(built.tree / "build/release"), "--prefix", "/opt/agent")
    texts = {str(file): file.read_text(errors="replace") for top in ("opt/agent/lib", "etc/kernel", "opt/agent/libexec")
             for file in (root / top).rglob("*") if file.is_file() and not file.name.endswith("-worker")}
    need(sum("/opt/agent/bin/vgpu-guest-agent" in text for text in texts.values()) >= 5, list(texts))
    stale = [name for name, text in texts.items() if re.search(r"(?<!/opt/agent)/usr/(bin|libexec)/vgpu-guest-agent", text)]
    need(not stale, stale)
    for hook in glob.glob(f"{root}/etc/kernel/*/vgpu-guest-agent"):
        need(os.access(hook, os.X_OK), f"{hook} cannot be run")
    need(glob.glob(f"{root}/etc/kernel/*/vgpu-guest-agent"), "no hooks")


with tempfile.TemporaryDirectory() as folder:
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], Built(folder)))
