# SPDX-License-Identifier: Apache-2.0
"""vgpu-index.json of what the repository will hold: entries whose name and checksum stay are kept, the others are read. And its
detached signature, made and checked by openssl."""

import base64
import calendar
import json
import os
import subprocess
import tempfile
import time

from .files import INDEX, SIGNATURE
from .say import INTEGRITY, PERMISSION, PREREQUISITES, USAGE, Failure, line

DAY_S = 86400


def openssl(*words, status=INTEGRITY, what="openssl"):
    try:
        done = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    except OSError as error:
        raise Failure(PREREQUISITES, f"openssl: {error.strerror}", "install openssl: it makes the signature") from None
    if done.returncode != 0:
        raise Failure(status, f"{what}: {done.stderr.decode('utf-8', 'replace').strip().splitlines()[-1:] or ['failed']}")
    return done.stdout


class Key:
    """The private key of --key. Ed25519, or RSA with PSS and SHA-256: what guests check."""

    def __init__(self, path):
        self.path = path
        if not os.access(path, os.R_OK):
            raise Failure(PERMISSION, f"--key {path}: cannot be read")
        self.public = openssl("pkey", "-in", path, "-pubout", status=USAGE, what=f"--key {path} is no private key")
        text = openssl("pkey", "-in", path, "-noout", "-text_pub", status=USAGE, what=f"--key {path}").decode("utf-8", "replace")
        self.is_rsa = "RSA" in text.splitlines()[0] or "Modulus" in text
        if not self.is_rsa and "ED25519" not in text.upper():
            raise Failure(USAGE, f"--key {path}: Ed25519 or RSA of 2048 bits and more is expected",
                          "openssl genpkey -algorithm ED25519 -out index-key.pem")

    def sign(self, content):
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data")
            with open(data, "wb") as file:
                file.write(content)
            if self.is_rsa:
                made = openssl("dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-sign", self.path, data,
                               what="signing")
            else:
                made = openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", data, what="signing")
        signature = base64.encodebytes(made)
        if not self.verifies(content, signature):
            raise Failure(INTEGRITY, f"--key {self.path}: the signature that openssl made does not verify")
        return signature

    def verifies(self, content, signature):
        try:
            raw = base64.b64decode(signature)
        except ValueError:
            return False
        with tempfile.TemporaryDirectory() as folder:
            paths = {}
            for name, data in (("data", content), ("sig", raw), ("pub", self.public)):
                paths[name] = os.path.join(folder, name)
                with open(paths[name], "wb") as file:
                    file.write(data)
            words = (["dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-verify", paths["pub"], "-signature", paths["sig"], paths["data"]]
                     if self.is_rsa else
                     ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", paths["pub"], "-sigfile", paths["sig"], "-in", paths["data"]])
            try:
                openssl(*words)
            except Failure as error:
                if error.status == PREREQUISITES:
                    raise
                return False
        return True


def parse(content, where):
    try:
        value = json.loads(content)
        if value["schema"] != 1 or not isinstance(value["serial"], int):
            raise KeyError
        for entry in (*value.get("files", []), *value.get("modules", [])):
            entry["name"], entry["sha256"]
        for entry in value.get("builds", []):
            entry["version"], entry["kernel"], entry["flavour"], entry["ok"]
        return value
    except (ValueError, KeyError, TypeError):
        raise Failure(INTEGRITY, f"{where} is no index of schema 1", "--renew makes it anew, out of what is published") from None


class Published:
    """Index and signature that guests see now; all empty where there is none."""

    def __init__(self, content=None, signature=None):
        self.content, self.signature = content, signature
        self.value = parse(content, f"the published {INDEX}") if content is not None else None

    @property
    def serial(self):
        return self.value["serial"] if self.value else 0

    def entries(self):
        """(name, sha256) -> (entry, whether of modules)."""
        if not self.value:
            return {}
        return {(entry["name"], entry["sha256"]): (entry, key == "modules")
                for key in ("files", "modules") for entry in self.value.get(key, [])}

    def check(self, key, renew):
        """What is to be trusted and signed on must be ours. A repository that was signed stays so."""
        if self.signature is not None and not key:
            raise Failure(USAGE, f"the published {INDEX} is signed: guests with an index_key would refuse one that is not",
                          "give --key, with the private key")
        if self.signature is not None and not key.verifies(self.content, self.signature) and not renew:
            raise Failure(INTEGRITY, f"the published {SIGNATURE} is none of --key {key.path}",
                          "with the right key, or after a change of keys: --renew, which believes nothing of what is published")


def read_time(text):
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except (TypeError, ValueError):
        return None


def is_due(value, days):
    """Whether the expiry has come within a third of its term."""
    if days is None:
        return False
    end = read_time(value.get("expires"))
    return days > 0 if end is None else days == 0 or end - time.time() < days * DAY_S / 3


def time_text(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def same_build(one, other):
    return all(one[key] == other[key] for key in ("version", "kernel", "flavour"))


def merge_builds(before, notes, modules):
    """As the agent's `index` does: a note replaces what was known of the same build, and goes where its modules have come."""
    found = [next((new for new in notes if same_build(new, old)), old) for old in before]
    found += [new for new in notes if not any(same_build(new, old) for old in before)]
    return [build for build in found if build["ok"] or not any(same_build(build, entry) for entry in modules)]


def make(published, listed, days, renewed, notes=()):
    """(document, whether anything but serial and time is new). `listed`: (entry, whether of modules) of all that is to be in it; `notes`:
    of builds."""
    lists = {"files": [], "modules": []}
    for entry, is_modules in listed:
        lists["modules" if is_modules else "files"].append(entry)
    for entries in lists.values():
        entries.sort(key=lambda entry: entry["name"])
    before = published.value or {}
    same = all(lists[key] == sorted(before.get(key, []), key=lambda entry: entry["name"]) for key in lists) and published.value is not None
    builds = merge_builds([] if renewed else before.get("builds", []), notes, lists["modules"])
    same = same and builds == before.get("builds", [])
    due = renewed or is_due(before, days)
    if same and not due:
        return published.content, False
    now = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    value = {"schema": 1, "serial": published.serial + 1, "created": time_text(now)}
    if days:
        value["expires"] = time_text(now + days * DAY_S)
    elif days is None and before.get("expires"):
        value["expires"] = before["expires"]
    value.update(lists)
    if builds:
        value["builds"] = builds
    entries = sum(map(len, lists.values()))
    line(f"{INDEX}: serial {value['serial']}, {entries} entr{'y' if entries == 1 else 'ies'}")
    return (json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n").encode(), True
