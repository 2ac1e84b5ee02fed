# SPDX-License-Identifier: Apache-2.0
"""The repository as guests see it: over the content app, with the guests' credentials."""

import io
import os
import re
import urllib.parse
import zipfile

from .http import refuse
from .say import INTEGRITY, NETWORK, Failure, Progress

BLOCK = 1 << 20
REDIRECTS = 5
MEMBER = re.compile(r"(-grid\.run|^nvidia-linux-grid-[^/]*\.(deb|rpm))$")


def manifest(text):
    """path -> (sha256, size); a path may hold commas."""
    found = {}
    for line in text.decode("utf-8", "replace").splitlines():
        if line.strip() and not line.startswith("#"):
            name, sha256, size = line.strip().rsplit(",", 2)
            found[name] = sha256.lower(), int(size)
    return found


class Guests:
    def __init__(self, http, url, headers):
        self.http, self.url, self.headers = http, url if url.endswith("/") else url + "/", headers

    def send(self, method, name, headers=None, limit=64 << 20):
        """Redirects (object storage) are followed without what only the repository's own host may see."""
        url, own = self.url + urllib.parse.quote(name), {**self.headers, **(headers or {})}
        for _ in range(REDIRECTS):
            answer = self.http.send(method, url, None, own, limit=limit)
            if answer.status not in (301, 302, 303, 307, 308) or not answer.headers.get("Location"):
                return answer
            url, own = urllib.parse.urljoin(url, answer.headers["Location"]), dict(headers or {})
            if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
                break
        raise Failure(NETWORK, f"{name}: redirected in a way that leads nowhere")

    def get(self, name, optional=False, limit=64 << 20):
        """Its bytes; None where there is none and it is `optional`."""
        answer = self.send("GET", name, limit=limit)
        if answer.status == 404 and optional:
            return None
        if answer.status != 200:
            refuse(answer, f"reading {self.url}{name}")
        return answer.body

    def size(self, name):
        answer = self.send("HEAD", name)
        if answer.status != 200:
            refuse(answer, f"looking at {self.url}{name}")
        return int(answer.headers.get("Content-Length") or -1)

    def manifest(self):
        """None where nothing is published."""
        text = self.get("PULP_MANIFEST", optional=True)
        try:
            return None if text is None else manifest(text)
        except ValueError:
            raise Failure(NETWORK, f"{self.url}PULP_MANIFEST is no manifest", "is this the repository's URL?") from None

    def part(self, name, start, size):
        answer = self.send("GET", name, {"Range": f"bytes={start}-{start + size - 1}"}, limit=size)
        if answer.status != 206 or len(answer.body) != size:
            raise Failure(NETWORK, f"reading {self.url}{name} by ranges: HTTP {answer.status}, {len(answer.body)} bytes")
        return answer.body

    def fetch(self, name, size, path):
        """As much of a published file as `index` reads, at its place in a file of the same size: of a bundle the directory and the
        guest drivers, of anything else all."""
        with open(path, "w+b") as file:
            file.truncate(size)
            remote = Remote(self, name, size, file)
            if name.endswith(".zip"):
                try:
                    with zipfile.ZipFile(io.BufferedReader(remote, BLOCK)) as archive:
                        wanted = [(each.header_offset, 30 + 2 * 65536 + each.compress_size) for each in archive.infolist()
                                  if MEMBER.search(os.path.basename(each.filename))]
                except (zipfile.BadZipFile, ValueError) as error:
                    raise Failure(INTEGRITY, f"{name}: {error}") from None
            else:
                wanted = [(0, size)]
            progress = Progress(f"reading {name}", sum(length for _, length in wanted))
            for start, length in wanted:
                for at in range(start, min(start + length, size), BLOCK):
                    remote.need(at, min(BLOCK, start + length - at))
                    progress.add(BLOCK)


class Remote(io.RawIOBase):
    """A published file, read by ranges into the blocks of a local one."""

    def __init__(self, guests, name, length, file):
        super().__init__()
        self.guests, self.name, self.length, self.file, self.at, self.blocks = guests, name, length, file, 0, set()

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.length}[whence]
        return self.at

    def tell(self):
        return self.at

    def need(self, start, size):
        for block in range(start // BLOCK, (min(start + size, self.length) + BLOCK - 1) // BLOCK):
            if block not in self.blocks:
                begin = block * BLOCK
                data = self.guests.part(self.name, begin, min(BLOCK, self.length - begin))
                self.file.seek(begin)
                self.file.write(data)
                self.blocks.add(block)

    def readinto(self, buffer):
        size = max(0, min(len(buffer), self.length - self.at))
        if size:
            self.need(self.at, size)
            self.file.seek(self.at)
            buffer[:size] = self.file.read(size)
            self.at += size
        return size
