# SPDX-License-Identifier: Apache-2.0
"""Pulp's REST API, as far as files are published. Each step looks first and makes only what is absent; what another made in between
("already exists", "must be unique") is looked up again."""

import base64
import hashlib
import json
import os
import time
import urllib.parse
import uuid

from .http import Http, flatten, refuse
from .say import BUSY, INTEGRITY, NETWORK, PREREQUISITES, USAGE, Failure, Progress, line, warn

CHUNK = 10_000_000  # bytes: what pulp-cli sends, below the limit of a stock proxy
PAGE = 500
TASK_S = 900


def quoted(**parts):
    return urllib.parse.urlencode(parts)


class Notes:
    """Which upload at the server is which file's, so that the next call goes on with it."""

    def __init__(self):
        folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.path = os.path.join(folder, "vgpu-guest-agent", "uploads.json")

    def read(self):
        try:
            with open(self.path, encoding="utf-8") as file:
                value = json.load(file)
            return value if isinstance(value, dict) else {}
        except (OSError, ValueError):
            return {}

    def write(self, key, href):
        notes = self.read()
        notes.pop(key, None)
        if href:
            notes[key] = href
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            with open(f"{self.path}.{os.getpid()}", "w", encoding="utf-8") as file:
                json.dump(notes, file)
            os.replace(f"{self.path}.{os.getpid()}", self.path)
        except OSError as error:
            warn(f"{self.path}: {error.strerror}: an upload that is cut off will begin anew")


class Pulp:
    def __init__(self, settings):
        self.settings, self.notes = settings, Notes()
        self.http = Http(settings.base_url, settings.ca_file, settings.cert, settings.key, settings.verify_ssl)
        parts = urllib.parse.urlsplit(settings.base_url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.headers = dict(each.split(":", 1) for each in settings.headers if ":" in each)
        self.headers = {name.strip(): value.strip() for name, value in self.headers.items()}
        if settings.password is not None and settings.username:
            pair = f"{settings.username}:{settings.password}".encode()
            self.headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        self.root = ""

    # Talking

    def url(self, path):
        """Of an href, or of a path below the API."""
        if path.startswith("/"):
            return self.origin + path
        return self.settings.base_url + self.root + path

    def ask(self, method, path, what, body=None, expected=(200, 201, 202), **more):
        """The object that Pulp answers; with a tuple of `also` statuses, (status, object)."""
        headers, data = dict(self.headers), None
        if isinstance(body, (dict, list)):
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        elif body is not None:
            data, headers["Content-Type"] = body
        headers.update(more.pop("headers", {}))
        also = more.pop("also", ())
        answer = self.http.send(method, self.url(path), data, headers, **more)
        value = answer.json()
        if answer.status in also:
            return answer.status, value
        if answer.status not in expected:
            refuse(answer, what)
        if value is None and answer.status != 204:
            raise Failure(NETWORK, f"{what}: {urllib.parse.urlsplit(self.origin).netloc} answers with something that is no Pulp's")
        return (answer.status, value) if also else value

    def pages(self, path, what):
        """All results of a list. `next` may name another host than ours: only its query counts."""
        separator = "&" if "?" in path else "?"
        offset = 0
        while True:
            value = self.ask("GET", f"{path}{separator}{quoted(limit=PAGE, offset=offset)}", what)
            found = value.get("results", [])
            yield from found
            offset += len(found)
            if not found or not value.get("next"):
                return

    def first(self, path, what):
        return next(iter(self.pages(path, what)), None)

    def task(self, answer, what):
        """Waits for the task that the answer names, and returns it."""
        href, end, pause = (answer or {}).get("task"), time.monotonic() + TASK_S, 0.05
        if not href:
            raise Failure(NETWORK, f"{what}: no task was begun")
        while True:
            task = self.ask("GET", href, what)
            if task.get("state") == "completed":
                return task
            if task.get("state") in ("failed", "canceled", "skipped"):
                why = (task.get("error") or {}).get("description") or task["state"]
                raise TaskFailed(NETWORK, f"{what}: {why}")
            if time.monotonic() > end:
                raise Failure(NETWORK, f"{what}: the task is {task.get('state')} for {TASK_S} s", "is a worker of Pulp's at work?")
            time.sleep(pause)
            pause = min(pause * 1.5, 2)

    # Looking

    def check(self):
        """Whether this is a Pulp that can do it; before anything else."""
        path = f"{self.settings.api_root}api/v3/status/"
        where = self.settings.base_url + path
        answer = self.http.send("GET", where, None, {})
        status = answer.json()
        if answer.status != 200 or not isinstance(status, dict) or not isinstance(status.get("versions"), list):
            raise Failure(NETWORK, f"no Pulp answers at {where}: HTTP {answer.status}", "is it the API's address, and is --api-root right?")
        if "file" not in [each.get("component") for each in status["versions"]]:
            raise Failure(PREREQUISITES, f"the Pulp at {self.settings.base_url} has no file plugin", "install pulp_file there")
        if not status.get("online_workers"):
            raise Failure(NETWORK, f"the Pulp at {self.settings.base_url} has no worker online: its tasks would wait for ever",
                          "start pulpcore-worker there")
        domain = self.settings.domain or "default"
        if not status.get("domain_enabled") and domain != "default":
            raise Failure(USAGE, f"the Pulp at {self.settings.base_url} knows no domains, and domain = {domain} is set")
        self.root = self.settings.api_root + (f"{domain}/" if status.get("domain_enabled") else "") + "api/v3/"

    def repository(self, name):
        found = self.first(f"repositories/file/file/?{quoted(name=name)}", f"looking for the repository {name}")
        if found:
            return found
        other = self.first(f"repositories/?{quoted(name=name)}", f"looking for the repository {name}")
        if other:
            kind = "/".join(other["pulp_href"].strip("/").split("/")[-3:-1])
            raise Failure(USAGE, f"the repository {name} is there, and of another type ({kind})", "name another with --repository")
        return None

    def distribution(self, name, base_path, repository):
        """The one of this name and path, or None. One of others' that is in the way stops all before any change."""
        ours = None
        for each in self.pages("distributions/", "looking at the distributions"):
            path = each.get("base_path") or ""
            if each.get("name") == name or path == base_path:
                if (each.get("name"), path) != (name, base_path):
                    raise Failure(USAGE, f"the distribution {each.get('name')} serves {path}: {name} cannot serve {base_path}",
                                  "--distribution and --base-path name the one that is meant")
                if "/distributions/file/file/" not in each["pulp_href"]:
                    raise Failure(USAGE, f"the distribution {name} is there, and of another type")
                ours = each
            elif path.startswith(base_path + "/") or base_path.startswith(path + "/"):
                raise Failure(USAGE, f"the distribution {each.get('name')} serves {path}, which overlaps with {base_path}",
                              "choose another --base-path")
        if ours is None:
            return None
        ours = self.ask("GET", ours["pulp_href"], f"looking at the distribution {name}")
        of = ours.get("repository")
        if not of and ours.get("publication"):
            status, publication = self.ask("GET", ours["publication"], "looking at what is published", also=(404,), expected=(200,)) \
                if ours["publication"] else (404, None)
            of = publication.get("repository") if status == 200 else None
            if not of and status == 200:
                of = publication["repository_version"].rsplit("versions/", 1)[0]
        if ours.get("remote") or (of and (repository is None or of != repository["pulp_href"])):
            raise Failure(USAGE, f"the distribution {name} serves another repository", "--repository names the one that is meant")
        return ours

    def content(self, version):
        """path -> (sha256, href) of a repository's version."""
        return {each["relative_path"]: (each["sha256"], each["pulp_href"])
                for each in self.pages(f"content/file/files/?{quoted(repository_version=version)}", "reading the repository's content")}

    def publications(self, repository):
        """Of this repository, the newest first."""
        return list(self.pages(f"publications/file/file/?{quoted(repository=repository['pulp_href'], ordering='-pulp_created')}",
                               "looking at what was published"))

    # Making

    def make_repository(self, name):
        status, value = self.ask("POST", "repositories/file/file/", f"making the repository {name}",
                                 {"name": name, "autopublish": False}, also=(400,))
        return value if status == 201 else self.repository(name) or refuse_body(status, value, f"making the repository {name}")

    def artifact(self, sha256):
        found = self.first(f"artifacts/?{quoted(sha256=sha256)}", "looking for the file")
        return found["pulp_href"] if found else None

    def put_artifact(self, path, size, sha256, name):
        """The href of the file's artifact, uploaded unless the server has it."""
        href = self.artifact(sha256)
        if href:
            return href, False
        try:
            href = self.upload(path, size, sha256, name)
        except TaskFailed as error:
            href = self.artifact(sha256)  # another was faster
            if not href:
                raise error from None
        return href, True

    def upload(self, path, size, sha256, name):
        key = f"{self.origin} {sha256}"
        href, had = self.resume(self.notes.read().get(key), size)
        progress = Progress(f"uploading {name}", size)
        progress.start_at(sum(had.values()))
        if had:
            line(f"uploading {name}: going on, {sum(had.values())} bytes are there")
        if not href:
            href = self.ask("POST", "uploads/", f"uploading {name}", {"size": size})["pulp_href"]
            self.notes.write(key, href)
        whole = hashlib.sha256()
        with open(path, "rb") as file:
            for offset in range(0, size, CHUNK):
                chunk = file.read(CHUNK)
                whole.update(chunk)
                if had.get(offset) != len(chunk):
                    self.put_chunk(href, offset, chunk, size, name)
                    progress.add(len(chunk))
        if whole.hexdigest() != sha256:
            self.forget(key, href)
            raise Failure(INTEGRITY, f"{name} changed while it was read", "publish it when nobody writes it any more")
        try:
            task = self.task(self.ask("POST", href + "commit/", f"uploading {name}", {"sha256": sha256}), f"uploading {name}")
        except TaskFailed:
            self.forget(key, href)
            raise
        self.notes.write(key, None)
        return task["created_resources"][0]

    def resume(self, href, size):
        """(href, offset -> size) of what an earlier call has sent."""
        if not href:
            return None, {}
        status, value = self.ask("GET", href, "looking at the upload", also=(404,), expected=(200,))
        if status != 200 or value.get("size") != size:
            return None, {}
        return href, {chunk["offset"]: chunk["size"] for chunk in value.get("chunks") or []}

    def forget(self, key, href):
        self.notes.write(key, None)
        self.ask("DELETE", href, "forgetting the upload", expected=(204, 404), also=(404,))

    def put_chunk(self, href, offset, chunk, size, name):
        mark = uuid.uuid4().hex
        head = (f'--{mark}\r\nContent-Disposition: form-data; name="sha256"\r\n\r\n{hashlib.sha256(chunk).hexdigest()}\r\n'
                f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="chunk"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n")
        body = head.encode() + chunk + f"\r\n--{mark}--\r\n".encode()
        self.ask("PUT", href, f"uploading {name}", (body, f"multipart/form-data; boundary={mark}"),
                 headers={"Content-Range": f"bytes {offset}-{offset + len(chunk) - 1}/{size}"}, timeout=300)

    def put_content(self, name, sha256, artifact):
        """The href of this file under this path."""
        path = f"content/file/files/?{quoted(relative_path=name, sha256=sha256)}"
        found = self.first(path, f"looking for {name}")
        if found:
            return found["pulp_href"]
        what = f"making the content {name}"
        try:
            task = self.task(self.ask("POST", "content/file/files/", what, {"artifact": artifact, "relative_path": name}), what)
        except TaskFailed as error:
            found = self.first(path, what)  # before pulp_file 1.12: "There is already a file content with ..."
            if not found:
                raise error from None
            return found["pulp_href"]
        return task["created_resources"][0]

    def modify(self, repository, add, remove):
        """One new version: its href, and that of the publication that an `autopublish` repository makes with it."""
        what = f"changing the repository {repository['name']}"
        task = self.task(self.ask("POST", repository["pulp_href"] + "modify/", what,
                                  {"add_content_units": add, "remove_content_units": remove}), what)
        made = task.get("created_resources") or []
        return (next((href for href in made if "/versions/" in href), None),
                next((href for href in made if "/publications/" in href), None))

    def publish(self, version):
        found = self.first(f"publications/file/file/?{quoted(repository_version=version)}", "looking for the publication")
        if found and found.get("manifest") == "PULP_MANIFEST":
            return found["pulp_href"]
        task = self.task(self.ask("POST", "publications/file/file/", "publishing",
                                  {"repository_version": version, "manifest": "PULP_MANIFEST"}), "publishing")
        return task["created_resources"][0]

    def distribute(self, distribution, wanted):
        """Makes the distribution, or changes what differs; returns it as it is then."""
        what = f"changing the distribution {wanted['name']}"
        if distribution is None:
            status, value = self.ask("POST", "distributions/file/file/", what, wanted, also=(400,))
            if status == 400:
                refuse_body(status, value, what)
            href = value.get("pulp_href") or self.task(value, what)["created_resources"][0]
        else:
            href = distribution["pulp_href"]
            changed = {key: value for key, value in wanted.items() if distribution.get(key) != value}
            if changed:
                answer = self.ask("PATCH", href, what, changed)
                if "task" in answer:
                    self.task(answer, what)
        return self.ask("GET", href, what)

    def remove(self, href, what):
        status, value = self.ask("DELETE", href, what, also=(404,), expected=(202, 204))
        if status == 202:
            self.task(value, what)

    def guard(self, kind, name, wanted):
        """A content guard of this name, made where it is absent. Another's values are never changed."""
        path = {"header": "contentguards/core/header/", "rbac": "contentguards/core/rbac/", "x509": "contentguards/certguard/x509/"}[kind]
        what = f"making the guard {name}"
        status, value = self.ask("GET", f"{path}?{quoted(name=name)}", what, also=(404,), expected=(200,))
        if status == 404:
            raise Failure(PREREQUISITES, f"this Pulp has no {kind} guard", "install pulp-certguard there" if kind == "x509" else None)
        found = next(iter(value.get("results", [])), None)
        if not found:
            found = self.ask("POST", path, what, {"name": name, **wanted})
        for key, value in wanted.items():
            if found.get(key) not in (value, None):
                raise Failure(USAGE, f"the guard {name} is there, with another {key}", "change it in Pulp, or name another repository")
        return found


class TaskFailed(Failure):
    """Pulp took the request, and its task ended in a failure."""


def refuse_body(status, value, what):
    """A 400 that no second look has explained."""
    if "unique" in str(value).lower() or "overlaps" in str(value).lower():
        raise Failure(BUSY, f"{what}: {flatten(value)}", "another publisher was faster: run it again")
    raise Failure(NETWORK, f"{what}: HTTP {status}: {flatten(value)}")
