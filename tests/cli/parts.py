# SPDX-License-Identifier: Apache-2.0
"""What a guest is made of for these tests: the stand-in's PCI trees, tokens and drivers, repositories and small systems."""

import functools
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import namespace
from program import read, write

TESTS = os.path.join(namespace.checkout(), "tests")
sys.path.insert(0, os.path.join(TESTS, "http"))
from authority import Authority  # noqa: E402
from server import Server  # noqa: E402

HOST = "525.105.14"
GUEST = "525.105.17"
RUN = f"NVIDIA-Linux-x86_64-{GUEST}-grid.run"
BUNDLE = f"NVIDIA-GRID-Linux-KVM-{HOST}-{GUEST}-528.89.zip"


def standin(name, *words):
    return subprocess.run([os.path.join(TESTS, "standin", name), *words], check=True, stdout=subprocess.PIPE).stdout


@functools.lru_cache(None)
def pci(*words):
    """A sysfs with these GPUs; the options are make-pci's."""
    folder = tempfile.mkdtemp(prefix="sysfs-")
    os.chmod(folder, 0o755)
    standin("make-pci", folder, *words)
    return folder


def vgpu(version=HOST, branch="r528_79"):
    return pci("--gpu", "vgpu", "--host-version", version, "--branch", branch)


@functools.lru_cache(None)
def token(*words):
    return standin("make-token", "--key", "/tmp/token-key.pem", *words)


@functools.lru_cache(None)
def drivers():
    """The folder with the stand-in's .run and its bundle."""
    folder = tempfile.mkdtemp(prefix="drivers-")
    os.chmod(folder, 0o755)
    standin("make-driver", "--version", GUEST, "--host-version", HOST, "--layout", "dirs", "--kinds", "run", "--pad", "4",
            "--output", folder)
    subprocess.run([sys.executable, "-B", "-c", PACK, os.path.join(folder, BUNDLE), os.path.join(folder, RUN)], check=True)
    return folder


# A bundle with no more in it than is looked at: the .deb and the .rpm take seconds to build.
PACK = """
import sys, zipfile, os
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
    archive.writestr("Guest_Drivers/", b"")
    archive.write(sys.argv[2], "Guest_Drivers/" + os.path.basename(sys.argv[2]))
    archive.writestr("Host_Drivers/NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run", b"no guest driver")
"""


def driver(name=RUN):
    return read(os.path.join(drivers(), name))


@functools.lru_cache(None)
def authority():
    made = Authority(tempfile.mkdtemp(prefix="ca-"))
    os.chmod(made.folder, 0o755)
    os.chmod(made.path("ca.pem"), 0o644)
    made.issue("server")
    return made


def ca_file():
    return authority().path("ca.pem")


class Repository(Server):
    """A Pulp distribution over https. A file's content may be only said: then the manifest names it and nothing serves it."""

    def __init__(self, tls=True):
        super().__init__(authority().server() if tls else None)
        self.url = self.base + "/nvidia/"
        self.lines = []
        self.put("PULP_MANIFEST", b"")

    def put(self, name, content):
        self.files["/nvidia/" + name] = content

    def say(self, line):
        self.lines.append(line)
        self.put("PULP_MANIFEST", "".join(f"{each}\n" for each in self.lines).encode())

    def name(self, *names, size=1000):
        """Drivers that nobody fetches."""
        for name in names:
            self.say(f"{name},{hashlib.sha256(name.encode()).hexdigest()},{size}")
        return self

    def add(self, name, content):
        self.put(name, content)
        self.say(f"{name},{hashlib.sha256(content).hexdigest()},{len(content)}")
        return self

    def index(self, content, listed=True):
        """This vgpu-index.json; with `listed` the manifest names what it names, too."""
        self.put("vgpu-index.json", content)
        value = json.loads(content)
        for entry in (*value["files"], *value["modules"]) if listed else ():
            line = f"{entry['name']},{entry['sha256']},{entry['size']}"
            if line not in self.lines:
                self.say(line)
        return self

    @property
    def sets(self):
        return {"driver.repository": self.url, "http.ca_file": ca_file()}

    def asked(self, name):
        return [request for request in self.requests if request.path == "/nvidia/" + name]


def run_entry(name, content, version=GUEST):
    """What vgpu-index.json says of a .run; `content` may be its size, where nobody fetches it."""
    size, sha256 = (content, hashlib.sha256(name.encode())) if isinstance(content, int) else (len(content), hashlib.sha256(content))
    return {"name": name, "kind": "run", "version": version, "arch": "x86_64", "size": size, "sha256": sha256.hexdigest()}


def bundle_entry(name, content):
    """And of a bundle; the facts of its guest drivers are the library's of Python."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [{**run_entry(each.filename, archive.read(each)), "offset": each.header_offset, "method": each.compress_type,
                    "compressed_size": each.compress_size} for each in archive.infolist() if each.filename.endswith("-grid.run")]
    return {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "host_version": HOST, "members": members}


def index(*files, modules=(), **more):
    return json.dumps({"schema": 1, "serial": 1, "created": "2026-11-22T21:00:00Z", "files": files, "modules": modules, **more}).encode()


def small_system(folder, kernels=("6.1.0-37-cloud-amd64",), headers=True):
    """As much of a Debian as is looked at, for --root."""
    write(os.path.join(folder, "etc/os-release"), 'ID=debian\nVERSION_ID="12"\n')
    for release in kernels:
        modules = os.path.join(folder, "lib/modules", release)
        write(os.path.join(modules, "modules.builtin"), "")
        if headers:
            write(os.path.join(modules, "build/Makefile"), "")
            write(os.path.join(modules, "build/include/config/auto.conf"), "")
            write(os.path.join(modules, "build/include/generated/utsrelease.h"), f'#define UTS_RELEASE "{release}"\n')
    return folder
