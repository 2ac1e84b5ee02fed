# SPDX-License-Identifier: Apache-2.0
"""Publishing as a whole. Guests see the distribution's publication: it is the last thing that changes, and all before it can be cut
off at any point; the next call finds what is there and goes on."""

import base64
import hashlib
import os
import tempfile
import time
import urllib.parse

from . import document, files, lines
from .files import INDEX, OWN, SIGNATURE
from .guests import Guests
from .http import Http
from .pulp import Pulp
from .say import BUSY, INTEGRITY, NETWORK, USAGE, Failure, line, warn

TRIES = 3     # against another publisher
PROOF_S = 30  # caches between the content app and the guests


class Overtaken(Exception):
    """Another publisher changed the repository meanwhile."""


def number(version):
    return int(version.rstrip("/").rsplit("/", 1)[1]) if version else -1


def version_before(version):
    return f"{version.rstrip('/').rsplit('/', 1)[0]}/{number(version) - 1}/"


def names(content):
    return {name: sha256 for name, (sha256, _) in content.items()}


class Seen:
    """What is there, before one try: repository, its newest content, what guests see."""

    repository = distribution = guests = version = None
    content, manifest, published = {}, None, document.Published()


class Publisher:
    def __init__(self, settings, options):
        self.options, self.pulp = options, Pulp(settings)
        self.agent = files.Agent(options.agent)
        self.key = document.Key(options.key) if options.key else None
        self.guest_http = Http(options.guest_url or settings.base_url, options.guest_ca or settings.ca_file, settings.cert, settings.key, settings.verify_ssl)
        self.items, self.notes, self.folder, self.guard, self.former_publication = [], [], None, None, None
        self.rollback_note = f"{self.pulp.origin} rollback of {options.domain or settings.domain} {options.repository}"

    # Looking

    def guest_headers(self, guard):
        """What the distribution's guard wants to see."""
        if not guard:
            return {}
        if "/core/header/" in guard["pulp_href"]:
            return {guard["header_name"]: base64.b64encode((guard.get("header_value") or "").encode()).decode()}
        own = self.pulp.headers.get("Authorization")
        return {"Authorization": own} if own and "/core/rbac/" in guard["pulp_href"] else {}

    def url_of(self, distribution):
        """Where guests find it: --guest-url, else what Pulp says of itself."""
        own = self.options.guest_url
        if own:
            own = own if own.endswith("/") else own + "/"
            if distribution["base_path"] != self.options.base_path:
                own = own[: -len(self.options.base_path) - 1] + distribution["base_path"] + "/" if own.endswith(self.options.base_path + "/") else None
        return own or urllib.parse.urljoin(self.pulp.origin + "/", distribution["base_url"])

    def guests_of(self, distribution):
        href = distribution.get("content_guard")
        guard = self.pulp.ask("GET", href, "looking at the guard") if href else None
        return Guests(self.guest_http, self.url_of(distribution), self.guest_headers(guard))

    def read_published(self, guests):
        """(manifest, Published) of one publication: read again where it was switched in between."""
        for _ in range(TRIES):
            manifest = guests.manifest()
            if manifest is None:
                return None, document.Published()
            index, signature = (guests.get(name, optional=True) if name in manifest else None for name in (INDEX, SIGNATURE))
            pairs = ((INDEX, index), (SIGNATURE, signature))
            if all(name not in manifest or (data is not None and hashlib.sha256(data).hexdigest() == manifest[name][0]) for name, data in pairs):
                make = self.believe_nothing if self.options.renew else document.Published
                return manifest, make(index, signature)
            time.sleep(1)
        raise Failure(INTEGRITY, f"{guests.url}: manifest and {INDEX} contradict each other")

    @staticmethod
    def believe_nothing(index, signature):
        """For --renew: of what is published only the serial counts."""
        found = document.Published(None, signature)
        found.content = index
        try:
            found.value = {"serial": document.parse(index, INDEX)["serial"]} if index is not None else None
        except Failure:
            raise Failure(INTEGRITY, f"the published {INDEX} does not tell its serial", "withdraw it by hand, then publish anew") from None
        return found

    def look(self):
        options, seen = self.options, Seen()
        seen.repository = self.pulp.repository(options.repository)
        seen.distribution = self.pulp.distribution(options.distribution, options.base_path, seen.repository)
        if seen.repository:
            seen.version = seen.repository["latest_version_href"]
            seen.content = self.pulp.content(seen.version)
        if seen.distribution and (seen.distribution.get("publication") or seen.distribution.get("repository")):
            seen.guests = self.guests_of(seen.distribution)
            try:
                seen.manifest, seen.published = self.read_published(seen.guests)
            except Failure as error:
                if error.status == NETWORK and not options.guest_url:
                    error.hint = error.hint or "--guest-url names the repository as guests reach it"
                raise
        seen.published.check(self.key, options.renew)
        return seen

    # Deciding

    def wanted(self, seen):
        """path -> sha256 of all but the index, and where the old content comes from (a rollback)."""
        if self.options.rollback:
            return self.former(seen)
        target = {name: sha256 for name, sha256 in names(seen.content).items() if name not in OWN}
        for item in self.items:
            if target.get(item.name, item.sha256) != item.sha256 and not self.options.replace:
                raise Failure(USAGE, f"{item.name} is published with other content (SHA-256 {target[item.name]})",
                              "guests may have that one: give the new file another name, or --replace")
            target[item.name] = item.sha256
        gone = [name for name in self.options.withdraw if target.pop(name, None) is None and name not in (seen.manifest or {})]
        # What an earlier call has taken out, before it was cut off, is no mistake.
        former = self.pulp.content(version_before(seen.version)) if gone and number(seen.version) > 0 else {}
        for name in gone:
            if name not in former:
                raise Failure(USAGE, f"--withdraw {name}: the repository {self.options.repository} has no such file")
        return target, {}

    def former(self, seen):
        """The content of the publication before the one that guests see."""
        if not seen.repository or not seen.guests:
            raise Failure(USAGE, "--rollback: nothing is published")
        publications = self.pulp.publications(seen.repository)
        begun = self.pulp.notes.read().get(self.rollback_note)
        now = seen.distribution.get("publication") or (publications[0]["pulp_href"] if publications else None)
        at = next((i for i, each in enumerate(publications) if each["pulp_href"] == now), len(publications))
        served = {name: sha256 for name, (sha256, _) in (seen.manifest or {}).items() if name not in OWN}
        for publication in publications if begun else publications[at + 1:]:
            if begun not in (None, publication["pulp_href"]):
                continue  # one that was cut off goes where it was going: another step back would be one too many
            content = self.pulp.content(publication["repository_version"])
            target = {name: sha256 for name, sha256 in names(content).items() if name not in OWN}
            if target != served or begun:
                line(f"going back to version {number(publication['repository_version'])} of {self.options.repository}")
                self.former_publication = publication
                if not self.options.dry_run:
                    self.pulp.notes.write(self.rollback_note, publication["pulp_href"])
                return target, content
        raise Failure(USAGE, "--rollback: there is no publication before this one", "Pulp keeps what retain_repo_versions says; --keep sets it")

    def entries(self, seen, target):
        """What the index says of each: from the files here, else from the published index, else read where guests can."""
        known = {(item.name, item.sha256): (item.entry, item.is_modules) for item in self.items if item.is_indexed}
        if not self.options.renew:
            known = {**seen.published.entries(), **known}
            if self.key and seen.published.value and seen.published.signature is None:
                warn(f"the published {INDEX} was not signed until now: its entries are believed")
        missing = [(name, sha256) for name, sha256 in target.items()
                   if (name, sha256) not in known and files.DRIVERS.search(name) and not files.OTHERS.fullmatch(os.path.basename(name))]
        if missing and self.options.rollback:
            self.before(seen, missing, known)
        else:
            self.read_missing(seen.guests, seen.manifest or {}, missing, known)
        return [known[each] for each in target.items() if each in known]

    def read_missing(self, guests, manifest, missing, known):
        for name, sha256 in missing:
            if not guests or manifest.get(name, ("", 0))[0] != sha256:
                raise Failure(BUSY, f"{name} is in the repository, and neither published nor here",
                              f"another publisher may be at work; else give the file, too, or --withdraw {name}")
            path = os.path.join(self.folder, os.path.basename(name))
            line(f"reading {name} from {guests.url}")
            try:
                guests.fetch(name, manifest[name][1], path)
                entry, is_modules = self.agent.entry(path, name)
                known[name, sha256] = {**entry, "sha256": sha256}, is_modules
            except Failure as error:
                if error.status != USAGE:
                    raise
                warn(f"{name} is not in the index: {error}")
            finally:
                if os.path.exists(path):
                    os.unlink(path)

    def before(self, seen, missing, known):
        """Of a former publication the index is read over a distribution of its own, which lives no longer than that."""
        name, path = f"{self.options.distribution}-before", f"{self.options.base_path}-before"
        found = self.pulp.first(f"distributions/file/file/?{urllib.parse.urlencode({'name': name})}", f"looking for the distribution {name}")
        made = self.pulp.distribute(found, {"name": name, "base_path": path, "publication": self.former_publication["pulp_href"],
                                            "content_guard": seen.distribution.get("content_guard")})
        try:
            guests = self.guests_of(made)
            manifest, published = self.read_published(guests)
            try:
                published.check(self.key, False)
            except Failure as error:
                warn(f"of the former publication: {error}")
                published = document.Published()
            known.update({each: entry for each, entry in published.entries().items() if each not in known})
            self.read_missing(guests, manifest or {}, [each for each in missing if each not in known], known)
        finally:
            self.pulp.remove(made["pulp_href"], f"removing the distribution {name}")

    def documents(self, seen, target):
        """name -> bytes of index and signature."""
        listed = self.entries(seen, target)
        if not listed and not seen.published.content:
            return {}, listed
        content, is_new = document.make(seen.published, listed, self.options.expires, self.options.renew, self.notes)
        if is_new:
            path = os.path.join(self.folder, "new.json")
            with open(path, "wb") as file:
                file.write(content)
            self.agent.call("index", "--previous", path)  # whether guests would understand it
        if not self.key:
            return {INDEX: content}, listed
        signature = seen.published.signature
        if is_new or signature is None or not self.key.verifies(content, signature):
            signature = self.key.sign(content)
        return {INDEX: content, SIGNATURE: signature}, listed

    def is_published(self, seen, target):
        served = {name: sha256 for name, (sha256, _) in (seen.manifest or {}).items()}
        guard = seen.distribution and (not self.guard or seen.distribution.get("content_guard") == self.guard["pulp_href"])
        return bool(guard) and served == target and names(seen.content) == target

    # Acting

    def upload(self, target, documents, seen, former):
        """href of all content that the repository does not have yet."""
        sources = {item.name: (item.path, item.size) for item in self.items}
        for name, data in documents.items():
            path = os.path.join(self.folder, name)
            with open(path, "wb") as file:
                file.write(data)
            sources[name] = path, len(data)
        hrefs = {}
        for name, sha256 in target.items():
            if seen.content.get(name, ("",))[0] == sha256:
                continue
            if former.get(name, ("",))[0] == sha256:
                hrefs[name] = former[name][1]
                continue
            path, size = sources[name]
            artifact, is_new = self.pulp.put_artifact(path, size, sha256, name)
            self.uploaded += size if is_new else 0
            hrefs[name] = self.pulp.put_content(name, sha256, artifact)
        return hrefs

    def pin(self, seen):
        """A distribution that follows its repository would show a new version before it is looked at: it stays at what it shows."""
        distribution = seen.distribution
        if not distribution or not distribution.get("repository"):
            return distribution
        publications = self.pulp.publications(seen.repository)
        current = publications[0]["pulp_href"] if publications else None
        line(f"the distribution {distribution['name']} followed its repository: from now on it serves what was published by name")
        return self.pulp.distribute(distribution, {"name": distribution["name"], "repository": None, "publication": current})

    def make_guard(self):
        options = self.options
        if not options.guard:
            return None
        wanted = {}
        if options.guard == "header":
            name, separator, value = (options.guard_text or "").strip().partition(":")
            if not separator or not name.strip() or not value.strip():
                raise Failure(USAGE, "--guard header: --guard-file holds one \"Name: value\"")
            wanted = {"header_name": name.strip(), "header_value": value.strip()}
        elif options.guard == "x509":
            if "-----BEGIN CERTIFICATE-----" not in (options.guard_text or ""):
                raise Failure(USAGE, "--guard x509: --guard-file holds the CA's certificate in PEM form")
            wanted = {"ca_certificate": options.guard_text}
        found = self.pulp.guard(options.guard, f"{options.distribution}-{options.guard}", wanted)
        return {**found, **wanted}

    def act(self, seen, target, documents, former):
        """One try. The distribution is the last thing that changes."""
        hrefs = self.upload(target, documents, seen, former)
        repository = seen.repository or self.pulp.make_repository(self.options.repository)
        before = seen.version or repository["latest_version_href"]
        distribution = self.pin(seen)
        gone = [href for name, (sha256, href) in seen.content.items() if target.get(name) != sha256]
        version, publication = before, None
        if hrefs or gone:
            version, publication = self.pulp.modify(repository, list(hrefs.values()), gone)
        if not version:
            raise Overtaken(f"the repository {repository['name']} has this content already")
        if (hrefs or gone) and number(version) != number(before) + 1:
            raise Overtaken(f"version {number(version)} follows {number(before)}")
        if names(self.pulp.content(version)) != target:
            raise Overtaken(f"version {number(version)} holds other files than planned")
        publication = publication or self.pulp.publish(version)
        if self.pulp.ask("GET", publication, "looking at the publication")["repository_version"] != version:
            raise Overtaken("the publication is of another version")
        latest = self.pulp.repository(repository["name"])
        if not latest or latest["latest_version_href"] != version:
            raise Overtaken(f"version {number(version)} is not the newest any more")
        wanted = {"name": self.options.distribution, "base_path": self.options.base_path, "publication": publication}
        if self.guard:
            wanted["content_guard"] = self.guard["pulp_href"]
        distribution = self.pulp.distribute(distribution, wanted)
        if distribution.get("publication") != publication:
            raise Overtaken("the distribution was changed by another")
        if self.options.keep is not None:
            answer = self.pulp.ask("PATCH", repository["pulp_href"], "setting what is kept", {"retain_repo_versions": self.options.keep + 1})
            if answer.get("task"):
                self.pulp.task(answer, "setting what is kept")
        return distribution, version

    # Proving

    def prove(self, distribution, target, documents, fresh):
        """Whether guests see it, at their own URL."""
        guests, end = self.guests_of(distribution), time.monotonic() + PROOF_S
        while True:
            manifest = guests.manifest()
            served = {name: sha256 for name, (sha256, _) in (manifest or {}).items()}
            if served == target:
                break
            if time.monotonic() > end:
                odd = sorted(set(served.items()) ^ set(target.items()))
                raise Failure(INTEGRITY, f"{guests.url} does not show what was published: {', '.join(name for name, _ in odd[:5])}",
                              "is a cache in between? is this the guests' URL?")
            time.sleep(1)
        for name, data in documents.items():
            if guests.get(name) != data:
                raise Failure(INTEGRITY, f"{guests.url}{name} has other content than was published", "is a cache in between?")
        for name in fresh:
            if guests.size(name) not in (manifest[name][1], -1):
                raise Failure(INTEGRITY, f"{guests.url}{name} has another size than was published", "is a cache in between?")
        return guests

    def hosts(self, guests, entries):
        """host version -> the driver that a guest there gets; None where this agent cannot tell."""
        found, words = {}, ["--set", "metadata.enabled=false", "--set", f"driver.repository={guests.url}"]
        if self.options.guest_ca or self.pulp.settings.ca_file:
            words += ["--set", f"http.ca_file={os.path.abspath(self.options.guest_ca or self.pulp.settings.ca_file)}"]
        if self.key:
            path = os.path.join(self.folder, "public.pem")
            with open(path, "wb") as file:
                file.write(self.key.public)
            words += ["--set", f"driver.index_key={path}"]
        if guests.headers:
            path = os.path.join(self.folder, "header")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write("".join(f"{name}: {value}\n" for name, value in guests.headers.items()))
            words += ["--set", f"http.header_file={path}"]
        for host in sorted({entry["host_version"] for entry, _ in entries if entry.get("host_version")}):
            try:
                plan = self.agent.call("plan", "--host-version", host, *words)
                found[host] = (plan.get("driver") or {}).get("version")
            except Failure as error:
                if error.status == USAGE:
                    return None  # an agent that does not know --host-version
                found[host] = None
                warn(f"a guest on host {host}: {error}")
        return found

    def run(self):
        """The report."""
        options = self.options
        self.items, self.notes = files.part(files.collect(options.files), self.agent)
        if not self.items and not self.notes and not (options.withdraw or options.rollback or options.renew or options.guard):
            raise Failure(USAGE, "which files?", "--help shows how it is called")
        self.pulp.check()
        self.uploaded = 0
        with tempfile.TemporaryDirectory(prefix="vgpu-publish-") as folder:
            self.folder = folder
            seen = self.look()  # what cannot be is told before gigabytes are read
            files.read(self.items, self.agent)
            for left in reversed(range(TRIES)):
                try:
                    return self.once(seen)
                except (Overtaken, Failure) as error:
                    if isinstance(error, Failure) and error.status != BUSY:
                        raise
                    if not left or options.dry_run:
                        raise Failure(BUSY, f"another publisher is at work on {options.repository}: {error}",
                                      getattr(error, "hint", None) or "run it again when the other one is done") from None
                    warn(f"another publisher is at work on {options.repository}: {error}: looking again")
                    time.sleep(1)
                    seen = self.look()
            raise AssertionError

    def once(self, seen):
        options = self.options
        target, former = self.wanted(seen)
        documents, entries = self.documents(seen, target)
        target.update({name: hashlib.sha256(data).hexdigest() for name, data in documents.items()})
        report = {"schema": 1, "changed": False, "repository": options.repository, "url": None, "version": number(seen.version),
                  "serial": document.parse(documents[INDEX], INDEX)["serial"] if documents else None, "signed": bool(self.key),
                  "files": sorted(target), "added": sorted(name for name in target if (seen.manifest or {}).get(name, ("",))[0] != target[name]),
                  "removed": sorted(name for name in seen.manifest or {} if name not in target), "bytes_uploaded": 0}
        if options.dry_run:
            return {**report, "commands": self.dry(seen, target, documents)}
        if self.pulp.leftover and not options.rollback:
            self.pulp.remove(self.pulp.leftover, "removing what a rollback has left")
        self.guard = self.make_guard()
        distribution = seen.distribution
        if not self.is_published(seen, target):
            distribution, version = self.act(seen, target, documents, former)
            report.update(changed=True, version=number(version), bytes_uploaded=self.uploaded)
        guests = self.prove(distribution, target, documents, report["added"] if report["changed"] else [])
        if self.rollback_note in self.pulp.notes.read():
            self.pulp.notes.write(self.rollback_note, None)  # it has ended, or something else was published since
        if guests.url.startswith("http:") and not self.key:
            warn(f"{guests.url} is plain http, and the index is not signed: guests will refuse, status 6, without a pin (--key signs)")
        ours = [entry for entry, _ in entries if entry["name"] in {item.name for item in self.items}]
        guard = lines.guest_side(options.guard, self.guard, urllib.parse.urlsplit(guests.url).hostname) if self.guard else {}
        report.update(url=guests.url, drivers=ours, hosts=self.hosts(guests, entries),
                      lines=lines.paste(guests.url, ours or [entry for entry, _ in entries], self.key and self.key.public.decode(), guard))
        return report

    def dry(self, seen, target, documents):
        paths = {item.name: item.path for item in self.items}
        fresh = [{"name": name, "path": paths.get(name, name), "sha256": sha256} for name, sha256 in sorted(target.items())
                 if seen.content.get(name, ("",))[0] != sha256]
        gone = [(name, sha256) for name, sha256 in names(seen.content).items() if name not in target]
        plan = {"new": fresh, "gone": gone, "repository": seen.repository, "distribution": seen.distribution,
                "indexed": seen.published.value is not None, "rsa": bool(self.key and self.key.is_rsa)}
        return lines.commands(plan, self.options) if fresh or gone or documents and not seen.distribution else []


