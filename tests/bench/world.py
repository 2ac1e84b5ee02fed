# SPDX-License-Identifier: Apache-2.0
"""Where the benchmark takes place: a network namespace with an https repository, a bundle of the real size class, the agent beside it.

The repository has one folder for each way: bundle/ (the bundle and Pulp's manifest), index/ (the same and vgpu-index.json), run/
(the bare .run)."""
import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile

from lab import base, network, scene, servers

from . import measure

SERVER = f"https://{network.REPOSITORY}/pulp/content/nvidia"
SIZES = {"real": (332, 1250), "small": (3, 9)}  # MiB of the .run, and of the bundle's other members
RATE = ("tbf", "rate", "1gbit", "burst", "1mb", "latency", "50ms")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Link:
    """The loopback of a namespace, which may be as slow as a network of 1 Gbit/s."""

    def __init__(self, name):
        self.name = name

    def shape(self, on):
        if on:
            base.output("tc", "-n", self.name, "qdisc", "replace", "dev", "lo", "root", *RATE)
        else:
            subprocess.run(["tc", "-n", self.name, "qdisc", "delete", "dev", "lo", "root"], env=base.ENVIRONMENT,
                           stdin=subprocess.DEVNULL, capture_output=True, check=False)


class Log:
    """nginx's access log: how many bytes of bodies it sent since begin()."""

    def __init__(self, home):
        self.path = f"{home}/repository.log"

    def begin(self):
        self.offset = os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def sent(self):
        with open(self.path) as file:
            file.seek(self.offset)
            return sum(int(line.split('"')[2].split()[1]) for line in file)


class World:
    def __init__(self, build, size, sources=0):
        self.build, self.size, self.sources = os.path.abspath(build), size, sources

    def __enter__(self):
        run, fill = SIZES[self.size]
        more = ("--sources", str(self.sources)) if self.sources else ()
        self.bundle = scene.package("bundle", scene.DRIVER, scene.HOST, "--pad", str(run), "--fill", str(fill), *more)
        os.makedirs(f"{base.CLONE}/build/bench", exist_ok=True)
        self.home = tempfile.mkdtemp(prefix="world-", dir=f"{base.CLONE}/build/bench")
        self.servers, self.out = f"{self.home}/servers", f"{self.home}/out"
        self.netns = "bench-" + os.path.basename(self.home)[-8:].replace("_", "-")
        os.makedirs(self.out)
        try:
            network.create(self.netns)
            self.publish()
            servers.start(self.servers, self.netns)
            scene.tool("make-pci", f"{self.home}/sys", "--gpu", "vgpu", "--host-version", scene.HOST, "--branch", "r550_00")
            with open(f"{self.home}/agent.conf", "w") as file:
                file.write(f'http: {{ ca_file = "{self.ca}"; }};\nmetadata: {{ enabled = false; }};\n')
        except BaseException:
            self.__exit__()
            raise
        self.link, self.log = Link(self.netns), Log(self.servers)
        return self

    def __exit__(self, *_):
        servers.stop(self.servers)
        network.remove(self.netns)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def ca(self):
        return f"{self.servers}/ca.pem"

    def publish(self):
        for name in ("bundle", "index", "run"):
            os.makedirs(f"{self.servers}/repository/{name}")
        self.zip = os.path.basename(self.bundle)
        with zipfile.ZipFile(self.bundle) as archive:
            self.member = next(member for member in archive.infolist() if member.filename.endswith("-grid.run"))
            self.run = os.path.basename(self.member.filename)
            with archive.open(self.member) as source, open(f"{self.servers}/repository/run/{self.run}", "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        with open(self.bundle, "rb") as file:  # behind the local header, whose name and extra field have their own lengths
            file.seek(self.member.header_offset)
            header = file.read(30)
        self.offset = self.member.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(
            header[28:30], "little")
        for folder in ("bundle", "index"):
            target = f"{self.servers}/repository/{folder}/{self.zip}"
            try:
                os.link(self.bundle, target)
            except OSError:  # another file system
                shutil.copy(self.bundle, target)
        self.digests = {self.zip: sha256(self.bundle), self.run: sha256(f"{self.servers}/repository/run/{self.run}")}
        for folder, name in (("bundle", self.zip), ("index", self.zip), ("run", self.run)):
            path = f"{self.servers}/repository/{folder}"
            with open(f"{path}/PULP_MANIFEST", "w") as file:
                file.write(f"{name},{self.digests[name]},{os.path.getsize(f'{path}/{name}')}\n")
            with open(f"{path}/{name}", "rb") as file:  # into the page cache
                while file.read(1 << 20):
                    pass
        self.has_index = self.write_index()

    def write_index(self):
        """vgpu-index.json by the agent; False where it cannot write one yet."""
        folder = f"{self.servers}/repository/index"
        done = subprocess.run([self.agent, "index", f"{folder}/{self.zip}"], env=base.ENVIRONMENT, stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)
        if done.returncode == 0:
            with open(f"{folder}/vgpu-index.json", "wb") as file:
                file.write(done.stdout)
        return done.returncode == 0

    @property
    def agent(self):
        return f"{self.build}/agent/vgpu-guest-agent"

    def inside(self, *argv):
        return ["nsenter", f"--net={network.path(self.netns)}", *argv]

    def fetch(self, folder):
        """The agent's command that brings the driver of one folder of the repository; bundle/ with a pin, so that the whole must pass."""
        pin = ("--set", f"driver.sha256={self.digests[self.zip]}") if folder == "bundle" else ()
        return self.inside(self.agent, "--config", f"{self.home}/agent.conf", "--sysfs", f"{self.home}/sys", "--json",
                           "--set", f"driver.repository={SERVER}/{folder}/", *pin, "fetch", "--output", self.out)

    def clean(self):
        """Empty folders, and nothing left to be written that another command made dirty."""
        for name in os.listdir(self.out):
            path = f"{self.out}/{name}"
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        os.sync()

    def sample(self, *commands):
        """What these commands take one after the other, with nothing there before."""
        self.clean()
        self.log.begin()
        total = measure.Sample()
        for argv in commands:
            total += measure.run(argv, cwd=self.out, environment=base.ENVIRONMENT)[0]
        total["bytes"] = self.log.sent()
        self.check()
        return total

    def check(self):
        """What is measured must also be right: the driver lies there, whole."""
        path = f"{self.out}/{self.run}"
        if not os.path.exists(path):
            path = f"{self.out}/{self.member.filename}"
        if sha256(path) != self.digests[self.run]:
            raise measure.Failed(f"{path} is not the driver")
