# SPDX-License-Identifier: Apache-2.0
"""The files to publish, and what the agent's `index` says of each: the same code judges here that guests are served by."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

from .say import INTEGRITY, PERMISSION, PREREQUISITES, USAGE, Failure, line

INDEX, SIGNATURE, MANIFEST = "vgpu-index.json", "vgpu-index.json.sig", "PULP_MANIFEST"
OWN = (INDEX, SIGNATURE, MANIFEST)
# What is published and is no driver: the agent itself, and NVIDIA's list of what fits what.
OTHERS = re.compile(r"vgpu-guest-agent[_-][^/]*\.(deb|rpm)|vgpuDriverCatalog\.yaml")

# By its name a guest may take it; whether one does, the agent says.
DRIVERS = re.compile(r"\.(zip|run|deb|rpm)$|(^|/)nvidia-modules-[^/]*\.tar\.gz$")
# What prebuild-modules notes of a build that failed: read into the index, and not published itself.
NOTES = re.compile(r"(^|/)nvidia-build-[^/]*\.json$")


class Item:
    """A file of the caller's, with its path in the repository."""

    def __init__(self, path, name):
        self.path, self.name, self.entry, self.is_modules = path, name, None, False
        self.size = self.sha256 = None

    @property
    def is_indexed(self):
        return not OTHERS.fullmatch(os.path.basename(self.name))


def collect(words):
    """Files by their own name, folders by the paths below them; what the repository makes itself is passed over."""
    items = {}
    for word in words:
        if os.path.isdir(word):
            found = [(os.path.join(at, name), os.path.relpath(os.path.join(at, name), word))
                     for at, _, names in os.walk(word) for name in names if not name.startswith(".")]
        else:
            found = [(word, os.path.basename(word))]
        for path, name in sorted(found):
            if os.path.basename(name) in OWN:
                continue
            if name in items and not os.path.samefile(items[name].path, path):
                raise Failure(USAGE, f"{name} is given twice: {items[name].path} and {path}")
            if re.search(r"[\x00-\x1f\x7f\\]", name) or not os.path.isfile(path):
                raise Failure(USAGE, f"{path} is no file" if not os.path.isfile(path) else f"{path!r}: no such name can be published")
            items[name] = Item(path, name)
    return list(items.values())


class Agent:
    """The program that knows drivers."""

    def __init__(self, program=None):
        self.program = program or shutil.which("vgpu-guest-agent") or shutil.which("vgpu-guest-agent", path="/usr/local/bin:/usr/bin")
        if not self.program or not shutil.which(self.program):
            raise Failure(PREREQUISITES, f"the program {program or 'vgpu-guest-agent'} is not here: it reads the drivers",
                          "install the agent's package, or name its program with --agent")
        self.empty = tempfile.NamedTemporaryFile(prefix="vgpu-publish-")  # what this machine is configured for is not asked

    def call(self, *words, cwd=None):
        """The JSON that it answers; its own failure becomes ours."""
        try:
            done = subprocess.run([self.program, "--config", self.empty.name, "--json", "--quiet", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, cwd=cwd, check=False)
            value = json.loads(done.stdout)
        except OSError as error:
            raise Failure(PREREQUISITES, f"{self.program}: {error.strerror}") from None
        except ValueError:
            raise Failure(1, f"{self.program} {words[0]}: status {done.returncode}: {done.stderr.decode('utf-8', 'replace')}") from None
        if "error" in value:
            raise Failure(value["error"]["status"], value["error"]["message"], value["error"]["hint"])
        return value

    def entry(self, path, name):
        """(entry, whether it is an archive of modules) for vgpu-index.json. `index` names the file by what it is called."""
        made = self.call("index", os.path.abspath(path))
        for key in ("files", "modules"):
            for entry in made[key]:
                return {**entry, "name": name}, key == "modules"
        raise Failure(USAGE, f"{name}: nothing was said of it")

    def build(self, path):
        """The entry of a note."""
        return self.call("index", os.path.abspath(path))["builds"][0]


def part(items, agent):
    """The files to publish, and what the notes among them say."""
    return ([item for item in items if not NOTES.search(item.name)],
            [agent.build(item.path) for item in sorted(items, key=lambda item: item.name) if NOTES.search(item.name)])


def measure(path):
    digest, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while True:
                piece = file.read(1 << 20)
                if not piece:
                    return size, digest.hexdigest()
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        raise Failure(PERMISSION, f"{path}: {error.strerror}") from None


def read(items, agent):
    """One reading of each: its size, SHA-256, whether it is whole, and what is in it."""
    for item in items:
        line(f"reading {item.name}")
        if not item.is_indexed:
            item.size, item.sha256 = measure(item.path)
            continue
        item.entry, item.is_modules = agent.entry(item.path, item.name)
        item.size, item.sha256 = item.entry["size"], item.entry["sha256"]
        if item.size != os.path.getsize(item.path):
            raise Failure(INTEGRITY, f"{item.name} changed while it was read", "publish it when nobody writes it any more")
