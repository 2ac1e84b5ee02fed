#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Pulp: as much of the API and of the content app of pulpcore 3.85 with pulp_file as publishing needs, on loopback, in
memory. It behaves; between.py misbehaves.

    with Pulp() as pulp:
        pulp.url, pulp.requests, pulp.workers = 0

By itself: pulp.py [PORT] prints its URL and serves until a signal ends it.
"""

import base64
import collections
import hashlib
import http.server
import json
import re
import sys
import threading
import urllib.parse
import uuid

USER, PASSWORD = "admin", "password"
UNIQUE = "This field must be unique."


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body


def canonical(path):
    return bool(path) and all(part not in ("", ".", "..") for part in path.split("/"))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass

    def reply(self, status, body, headers=(), kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))), *headers):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def form(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type") or ""
        if kind.startswith("application/json"):
            return json.loads(raw)
        if not kind.startswith("multipart/form-data"):
            return {}
        mark, fields = b"\r\n--" + kind.split("boundary=")[1].encode(), {}
        for part in (b"\r\n" + raw).split(mark)[1:-1]:
            head, _, data = part[2:].partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]*)"', head).group(1).decode()
            fields[name] = data if b"filename=" in head else data.decode()
        return fields

    def authorized(self):
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {pair}"

    def serve(self):
        pulp, parts = self.server.owner, urllib.parse.urlsplit(self.path)
        body = self.form()
        with pulp.lock:
            pulp.requests.append((self.command, self.path))
            if parts.path.startswith("/pulp/content/"):
                return self.content(urllib.parse.unquote(parts.path[len("/pulp/content/"):]))
            try:
                if not parts.path.startswith(pulp.root) and not parts.path.endswith("/status/"):
                    return self.reply(404, b"<html><title>Page not found</title></html>", kind="text/html")
                if not parts.path.endswith("/status/") and not self.authorized():
                    raise Refused(401, {"detail": "Invalid username/password."})
                query = dict(urllib.parse.parse_qsl(parts.query))
                status, value = pulp.answer(self.command, parts.path, query, body, self.headers)
            except Refused as error:
                status, value = error.status, error.body
            return self.reply(status, b"" if status == 204 else value)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def content(self, path):
        pulp = self.server.owner
        found = next((each for each in pulp.made["distributions"].values() if path.startswith(each["base_path"] + "/")), None)
        if not found:
            return self.reply(404, b"404: Not Found", kind="text/plain")
        guard = pulp.made["contentguards"].get(found["content_guard"])
        if guard and not self.passes(guard):
            return self.reply(403, b"403: Access denied.", kind="text/plain")
        data = pulp.served(found).get(path[len(found["base_path"]) + 1:])
        if data is None:
            return self.reply(404, b"404: Not Found", kind="text/plain")
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not match:
            return self.reply(200, data, kind="application/octet-stream")
        start, end = int(match[1]), min(int(match[2] or len(data)), len(data) - 1)
        return self.reply(206, data[start:end + 1], [("Content-Range", f"bytes {start}-{end}/{len(data)}")], "application/octet-stream")

    def passes(self, guard):
        if guard["_kind"] == "header":
            value = base64.b64encode(guard["header_value"].encode()).decode()
            return self.headers.get(guard["header_name"]) == value
        if guard["_kind"] == "rbac":
            return self.authorized()
        return bool(self.headers.get("X-CLIENT-CERT"))


class Pulp:
    def __init__(self, port=0, domain=None):
        self.root = f"/pulp/{domain + '/' if domain else ''}api/v3/"
        self.domain, self.workers, self.plugins, self.lock = domain, 1, ["core", "file", "certguard"], threading.RLock()
        self.made = collections.defaultdict(dict)  # kind -> href -> object; keys with "_" are the stand-in's own
        self.requests, self.clock, self.origin = [], 0, None
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.httpd.daemon_threads, self.httpd.block_on_close, self.httpd.owner = True, False, self
        self.url = self.origin = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.httpd.shutdown()
        self.httpd.server_close()

    # Objects

    def make(self, kind, path, **values):
        self.clock += 1
        href = f"{self.root}{path}/{uuid.uuid4()}/"
        value = {"pulp_href": href, "pulp_created": f"2026-11-30T00:00:00.{self.clock:06d}Z", **values}
        self.made[kind][href] = value
        return value

    @staticmethod
    def shown(value):
        return {key: each for key, each in value.items() if not key.startswith("_")}

    def page(self, values, query):
        values = [self.shown(each) for each in values]
        start, size = int(query.get("offset", 0)), int(query.get("limit", 100))
        more = f"http://elsewhere.example/?offset={start + size}" if start + size < len(values) else None
        return 200, {"count": len(values), "next": more, "previous": None, "results": values[start:start + size]}

    def task(self, work):
        """Runs at once; one that raises ValueError has failed."""
        task = self.make("tasks", "tasks", state="completed", error=None, created_resources=[])
        try:
            task["created_resources"] = work() or []
        except ValueError as error:
            task.update(state="failed", error={"traceback": "", "description": str(error)})
        return 202, {"task": task["pulp_href"]}

    def version(self, repository, content):
        count = len(repository["_versions"])
        href = f"{repository['pulp_href']}versions/{count}/"
        repository["_versions"].append(href)
        repository["latest_version_href"] = href
        self.made["versions"][href] = {"pulp_href": href, "_content": list(content), "_repository": repository}
        return href

    def publication(self, version):
        repository = self.made["versions"][version]["_repository"]
        files = [self.made["content"][href] for href in self.made["versions"][version]["_content"]]
        found = {each["relative_path"]: self.made["artifacts"][each["artifact"]]["_data"] for each in files}
        found["PULP_MANIFEST"] = "".join(f"{each['relative_path']},{each['sha256']},{len(found[each['relative_path']])}\n"
                                         for each in reversed(files)).encode()
        return self.make("publications", "publications/file/file", repository_version=version, repository=repository["pulp_href"],
                         manifest="PULP_MANIFEST", _files=found)["pulp_href"]

    def served(self, distribution):
        """path -> bytes. A removed path is gone at once."""
        href = distribution["publication"]
        if not href and distribution["repository"]:
            of = [each for each in self.made["publications"].values() if each["repository"] == distribution["repository"]]
            href = of[-1]["pulp_href"] if of else None
        return self.made["publications"][href]["_files"] if href else {}

    def modify(self, repository, add, remove, base=None):
        """`base`: a stale one is accepted, and drops what came after it."""
        now = self.made["versions"][base or repository["latest_version_href"]]["_content"]
        paths = [self.made["content"][href]["relative_path"] for href in add]
        if len(set(paths)) != len(paths):
            raise ValueError("Cannot create repository version. More than one file.file content with the duplicate values for relative_path.")
        content = [href for href in now if href not in remove and "*" not in remove and self.made["content"][href]["relative_path"] not in paths]
        content += add
        if set(content) == set(self.made["versions"][repository["latest_version_href"]]["_content"]):
            return []
        made = [self.version(repository, content)]
        if repository["autopublish"]:
            made.append(self.publication(made[0]))
        return made

    def put(self, repository, name, data):
        """What another publisher does, in one step."""
        with self.lock:
            found = next(each for each in self.made["repositories"].values() if each["name"] == repository)
            artifact = self.new_artifact(data)["pulp_href"]
            self.modify(found, [self.new_content(artifact, name)["pulp_href"]], [])

    def new_artifact(self, data):
        sha256 = hashlib.sha256(data).hexdigest()
        if any(each["sha256"] == sha256 for each in self.made["artifacts"].values()):
            raise ValueError(f"Artifact with sha256 checksum of '{sha256}' already exists.")
        return self.make("artifacts", "artifacts", sha256=sha256, size=len(data), _data=data)

    def new_content(self, artifact, path):
        sha256 = self.made["artifacts"][artifact]["sha256"]
        for each in self.made["content"].values():
            if (each["sha256"], each["relative_path"]) == (sha256, path):
                return each
        return self.make("content", "content/file/files", sha256=sha256, relative_path=path, artifact=artifact)

    # Requests

    def answer(self, method, path, query, body, headers):
        if path.endswith("api/v3/status/"):
            return 200, {"versions": [{"component": name, "version": "3.85.29"} for name in self.plugins], "domain_enabled": bool(self.domain),
                         "online_workers": [{"name": f"worker-{number}"} for number in range(self.workers)]}
        words = path[len(self.root):].strip("/").split("/")
        work = getattr(self, f"on_{words[0]}", None)
        if not work:
            raise Refused(404, {"detail": "Not found."})
        return work(method, path, words, query, body, headers)

    def one(self, kind, path):
        if path not in self.made[kind]:
            raise Refused(404, {"detail": f"No {kind} matches the given query."})
        return self.made[kind][path]

    def matching(self, kind, query, *keys, under=""):
        return [each for each in self.made[kind].values() if under in each["pulp_href"] and
                all(str(each.get(key)) == query[key] for key in keys if key in query)]

    def on_tasks(self, method, path, words, query, body, headers):
        return 200, self.shown(self.one("tasks", path))

    def on_artifacts(self, method, path, words, query, body, headers):
        if len(words) > 1:
            return 200, self.shown(self.one("artifacts", path))
        return self.page(self.matching("artifacts", query, "sha256"), query)

    def on_uploads(self, method, path, words, query, body, headers):
        if len(words) == 1:
            return 201, self.shown(self.make("uploads", "uploads", size=body["size"], completed=None, _data=bytearray(body["size"]), chunks=[]))
        upload = self.one("uploads", self.root + f"uploads/{words[1]}/")
        if words[2:] == ["commit"]:
            return self.task(lambda: self.commit(upload, body["sha256"]))
        if method == "DELETE":
            del self.made["uploads"][upload["pulp_href"]]
            return 204, {}
        if method == "PUT":
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range") or "")
            if not match:
                raise Refused(400, {"non_field_errors": ["Invalid or missing content range header."]})
            if hashlib.sha256(body["file"]).hexdigest() != body.get("sha256"):
                raise Refused(400, ["Checksum does not match chunk upload."])
            start = int(match[1])
            upload["_data"][start:start + len(body["file"])] = body["file"]
            upload["chunks"] = [each for each in upload["chunks"] if each["offset"] != start] + [{"offset": start, "size": len(body["file"])}]
        return 200, self.shown(upload)

    def commit(self, upload, sha256):
        if hashlib.sha256(upload["_data"]).hexdigest() != sha256:
            raise ValueError("The sha256 checksum did not match.")  # and the upload stays
        artifact = self.new_artifact(bytes(upload["_data"]))
        del self.made["uploads"][upload["pulp_href"]]
        return [artifact["pulp_href"]]

    def on_content(self, method, path, words, query, body, headers):
        if words[3:] == ["upload"]:
            raise Refused(405, {"detail": f'Method "{method}" not allowed.'})
        if method == "GET":
            values = self.matching("content", query, "sha256", "relative_path")
            if "repository_version" in query:
                held = self.one("versions", query["repository_version"])["_content"]
                values = [each for each in values if each["pulp_href"] in held]
            return self.page(values, query)
        if body["relative_path"].startswith("/"):
            raise Refused(400, {"relative_path": ["Relative path can't start with '/'."]})
        if not canonical(body["relative_path"]):
            raise Refused(400, {"relative_path": [f"Relative path is not in canonical form. {body['relative_path']}"]})
        self.one("artifacts", body["artifact"])
        return self.task(lambda: [self.new_content(body["artifact"], body["relative_path"])["pulp_href"]])

    def on_repositories(self, method, path, words, query, body, headers):
        typed = "/".join(words[1:3])
        if len(words) <= 3 and method == "GET":
            return self.page(self.matching("repositories", query, "name", under=f"/{typed}/" if typed else ""), query)
        if len(words) == 3:
            if self.matching("repositories", {"name": body["name"]}, "name"):
                raise Refused(400, {"name": [UNIQUE]})
            made = self.make("repositories", f"repositories/{typed}", name=body["name"], autopublish=bool(body.get("autopublish")),
                             retain_repo_versions=None, _versions=[])
            self.version(made, [])
            return 201, self.shown(made)
        found = self.one("repositories", self.root + "/".join(words[:4]) + "/")
        if words[4:] == ["modify"]:
            add, remove = body.get("add_content_units") or [], body.get("remove_content_units") or []
            return self.task(lambda: self.modify(found, add, remove, body.get("base_version")))
        if method == "PATCH":
            return self.task(lambda: found.update(body))
        return 200, self.shown(found)

    def on_publications(self, method, path, words, query, body, headers):
        if len(words) > 3:
            return 200, self.shown(self.one("publications", path))
        if method == "GET":
            return self.page(reversed(self.matching("publications", query, "repository", "repository_version")), query)
        return self.task(lambda: [self.publication(body["repository_version"])])

    def check_distribution(self, value, own=None):
        if value.get("repository") and value.get("publication"):
            raise Refused(400, {"non_field_errors": ["Only one of the attributes 'repository' and 'publication' may be used simultaneously."]})
        others = [each for each in self.made["distributions"].values() if each is not own]
        errors = {key: [UNIQUE] for key in ("name", "base_path") if any(each[key] == value[key] for each in others)}
        for each in others:
            if each["base_path"].startswith(value["base_path"] + "/") or value["base_path"].startswith(each["base_path"] + "/"):
                errors["base_path"] = {"base_path": f"Overlaps with existing distribution '{each['name']}'"}
        if errors:
            raise Refused(400, errors)

    def on_distributions(self, method, path, words, query, body, headers):
        typed = "/".join(words[1:3])
        if len(words) <= 3 and method == "GET":
            return self.page(self.matching("distributions", query, "name", "base_path", under=f"/{typed}/" if typed else ""), query)
        if len(words) == 3:
            value = {"repository": None, "publication": None, "content_guard": None, **body}
            self.check_distribution(value)
            url = f"{self.origin}/pulp/content/{value['base_path']}/"
            return self.task(lambda: [self.make("distributions", f"distributions/{typed}", base_url=url, **value)["pulp_href"]])
        found = self.one("distributions", path)
        if method == "GET":
            return 200, self.shown(found)
        if method == "DELETE":
            return self.task(lambda: self.made["distributions"].pop(path) and None)
        self.check_distribution({**found, **body}, found)
        return self.task(lambda: found.update(body))

    def on_contentguards(self, method, path, words, query, body, headers):
        if len(words) > 3:
            return 200, self.shown(self.one("contentguards", path))
        if words[1] == "certguard" and "certguard" not in self.plugins:
            raise Refused(404, {"detail": "Not found."})
        under = "/" + "/".join(words[1:3]) + "/"
        if method == "GET":
            return self.page(self.matching("contentguards", query, "name", under=under), query)
        return 201, self.shown(self.make("contentguards", "/".join(words[:3]), _kind=words[2], **body))


if __name__ == "__main__":
    with Pulp(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as alone:
        print(alone.url, flush=True)
        alone.thread.join()
