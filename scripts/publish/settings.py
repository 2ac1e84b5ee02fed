# SPDX-License-Identifier: Apache-2.0
"""Which Pulp, and as whom: the command line, then PULP_ variables, then pulp-cli's configuration file. Secrets come from files and
from the environment, never from the command line."""

import netrc
import os
import re
import stat
import urllib.parse

from .say import PERMISSION, USAGE, Failure, warn

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

KEYS = ("base_url", "api_root", "domain", "username", "password", "cert", "key", "verify_ssl", "headers")


class Settings:
    base_url, api_root, domain = "", "/pulp/", "default"
    username = password = cert = key = ca_file = None
    verify_ssl, headers = True, ()

    @property
    def host(self):
        return urllib.parse.urlsplit(self.base_url).hostname or ""


def flat_value(text):
    """A string, a number, a truth value or a list of strings of TOML: all that pulp-cli's file holds."""
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if re.fullmatch(r"'[^']*'", text):
        return text[1:-1]
    if text.startswith("[") and text.endswith("]"):
        return [flat_value(each) for each in re.findall(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'', text[1:-1])]
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', text)
    if not match:
        raise ValueError(f"{text[:20]!r} is no value")
    return re.sub(r"\\(.)", lambda each: {"n": "\n", "t": "\t"}.get(each.group(1), each.group(1)), match.group(1))


def flat_toml(text):
    """What pulp-cli writes: sections of `key = value`, one a line."""
    tables, table = {}, {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        section = re.fullmatch(r"\[\s*([A-Za-z0-9_-]+|\"[^\"]+\")\s*\]\s*(#.*)?", line)
        pair = re.match(r"([A-Za-z0-9_-]+)\s*=\s*(.*)", line)
        if section:
            table = tables.setdefault(section.group(1).strip('"'), {})
        elif pair:
            value = re.sub(r"\s+#[^\"']*$", "", pair.group(2))
            try:
                table[pair.group(1)] = flat_value(value)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
        else:
            raise ValueError(f"line {number} is no key and no section")
    return tables


def read_text(path, what, secret=False):
    try:
        with open(path, encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(1 << 20)
    except (OSError, UnicodeError) as error:
        raise Failure(PERMISSION, f"{what} {path}: {getattr(error, 'strerror', None) or 'is no text'}") from None
    if secret and mode & 0o077:
        raise Failure(PERMISSION, f"{what} {path}: others may read this secret", f"chmod 600 {path}")
    return text


def read_cli(path, profile):
    """The profile of pulp-cli's file: [cli] is the default one, [cli-NAME] the others."""
    text = read_text(path, "pulp-cli's configuration")
    try:
        tables = tomllib.loads(text) if tomllib else flat_toml(text)
    except ValueError as error:
        raise Failure(USAGE, f"{path}: {error}") from None
    section = f"cli-{profile}" if profile else "cli"
    if profile and section not in tables:
        raise Failure(USAGE, f"{path} has no profile {profile}")
    values = {key: value for key, value in tables.get(section, {}).items() if key in KEYS}
    if values.get("password") and os.stat(path).st_mode & 0o077:
        warn(f"{path} holds a password, and others may read it: chmod 600")
    return values


def from_environment():
    values = {key: os.environ[f"PULP_{key.upper()}"] for key in KEYS if os.environ.get(f"PULP_{key.upper()}")}
    if "base_url" not in values and os.environ.get("PULP_URL"):
        values["base_url"] = os.environ["PULP_URL"]
    if "verify_ssl" in values:
        values["verify_ssl"] = values["verify_ssl"].lower() not in ("0", "false", "no")
    if "headers" in values:
        values["headers"] = [values["headers"]]
    return values


def credentials(settings, options):
    """The password's file, then netrc, where nothing has said one."""
    if options.password_file:
        settings.password = read_text(options.password_file, "--password-file", secret=True).rstrip("\r\n")
    path = options.netrc or os.path.expanduser("~/.netrc")
    if settings.password or settings.cert or not (options.netrc or os.path.exists(path)):
        return
    read_text(path, "netrc", secret=True)
    try:
        found = netrc.netrc(path).authenticators(settings.host)
    except netrc.NetrcParseError as error:
        raise Failure(USAGE, f"{path}: line {error.lineno} cannot be read") from None
    if found and settings.username in (None, found[0]):
        settings.username, settings.password = found[0], found[2]


def read(options):
    settings, values = Settings(), {}
    config = options.pulp_config or os.environ.get("PULP_CONFIG") or os.path.join(
        os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "pulp", "cli.toml")
    if options.pulp_config or os.path.exists(config):
        values.update(read_cli(config, options.profile or os.environ.get("PULP_PROFILE")))
    values.update(from_environment())
    values.update({key: getattr(options, key) for key in ("base_url", "api_root", "domain", "username") if getattr(options, key)})
    for key, value in values.items():
        setattr(settings, key, value)
    settings.ca_file = options.ca_file or os.environ.get("PULP_CA_BUNDLE")
    if options.client_cert:
        settings.cert, settings.key = options.client_cert, options.client_key

    parts = urllib.parse.urlsplit(settings.base_url)
    if not settings.base_url:
        raise Failure(USAGE, "which Pulp?", "give --base-url, PULP_BASE_URL, or pulp-cli's ~/.config/pulp/cli.toml")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise Failure(USAGE, "the base URL is https://HOST[:PORT], without a password in it")
    settings.base_url = settings.base_url.rstrip("/")
    settings.api_root = "/" + settings.api_root.strip("/") + "/"
    credentials(settings, options)
    return settings
