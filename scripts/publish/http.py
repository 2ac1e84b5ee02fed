# SPDX-License-Identifier: Apache-2.0
"""One request: TLS, time limits, a few more tries where repeating is harmless. Redirects are the caller's, so that no credential
reaches another host."""

import http.client
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from .say import NETWORK, PERMISSION, Failure, clean

BODY_MAX = 64 << 20
TRIES, PAUSE_S = 4, float(os.environ.get("VGPU_PUBLISH_PAUSE_S", 0.5))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        """The object in it; None where the body is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, (dict, list)) else None


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def flatten(value, key=""):
    if isinstance(value, dict):
        return "; ".join(filter(None, (flatten(each, name) for name, each in value.items())))
    if isinstance(value, list):
        text = " ".join(flatten(each) for each in value)
    else:
        text = str(value)
    return f"{key}: {text}" if key not in ("", "detail", "non_field_errors") else text


def words(answer):
    """What the server itself says went wrong."""
    value = answer.json()
    if value is not None:
        return clean(flatten(value))
    text = answer.body[:4096].decode("utf-8", "replace")
    title = re.search(r"<title>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
    if title:
        return f"a web page \"{clean(title.group(1), 80)}\", as a proxy's"
    return clean(text, 200) or "nothing"


def refuse(answer, what):
    """Every answer that is not the one hoped for ends here, in one line."""
    hints = {401: "check user and password: pulp-cli's configuration, PULP_USERNAME and PULP_PASSWORD, netrc or --password-file",
             403: "this user may not do that: ask Pulp's administrator for the role file.filerepository_owner and the like",
             413: "a proxy in front of Pulp limits the body (nginx: client_max_body_size): let it take 11 MB below the API's path",
             507: "Pulp's storage is full"}
    raise Failure(NETWORK, f"{what}: HTTP {answer.status}: {words(answer)}", hints.get(answer.status))


class Http:
    def __init__(self, url, ca_file=None, cert=None, key=None, verify=True):
        handlers = [NoRedirect]
        if url.startswith("https:") or ca_file or cert:
            handlers.append(urllib.request.HTTPSHandler(context=self.trust(ca_file, cert, key, verify)))
        self.opener = urllib.request.build_opener(*handlers)

    @staticmethod
    def trust(ca_file, cert, key, verify):
        try:
            context = ssl.create_default_context(cafile=ca_file)
            if cert:
                context.load_cert_chain(cert, key)
        except (OSError, ssl.SSLError) as error:
            raise Failure(PERMISSION, f"certificate {ca_file or ''} {cert or ''}: {clean(error)}") from None
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def once(self, method, url, body, headers, limit, timeout):
        request = urllib.request.Request(url, data=body, method=method, headers={"User-Agent": "vgpu-guest-agent-publish", **headers})
        try:
            with self.opener.open(request, timeout=timeout) as reply:
                return Answer(reply.status, reply.headers, reply.read(limit + 1))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read(65536))

    def send(self, method, url, body=None, headers=None, again=None, limit=BODY_MAX, timeout=120):
        """`again`: it may be repeated; by default what reads or puts."""
        again = method in ("GET", "HEAD", "PUT") if again is None else again
        where = urllib.parse.urlsplit(url).netloc
        for left in reversed(range(TRIES if again else 1)):
            try:
                answer = self.once(method, url, body, headers or {}, limit, timeout)
                if answer.status not in (429, 502, 503, 504) or not left:
                    break
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ssl.SSLCertVerificationError):
                    raise Failure(NETWORK, f"{where}: its certificate: {reason.verify_message}", "--ca-file names a private CA") from None
                if not left:
                    text = clean(getattr(reason, "strerror", None) or reason)
                    raise Failure(NETWORK, f"{where} does not answer: {text or type(error).__name__}") from None
            except ValueError as error:
                raise Failure(NETWORK, f"{where}: {clean(error)}") from None
            time.sleep(PAUSE_S * (TRIES - left))
        if len(answer.body) > limit:
            raise Failure(NETWORK, f"{where}: an answer of more than {limit >> 20} MiB")
        return answer
