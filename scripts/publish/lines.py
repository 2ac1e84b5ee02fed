# SPDX-License-Identifier: Apache-2.0
"""What is printed: the lines to paste where guests learn of the repository, and, for --dry-run, the documentation's commands."""

import base64
import json
import os
import shlex
import urllib.parse

from .files import INDEX, SIGNATURE

OURS = (INDEX, SIGNATURE)
INDEX_PUB = "/etc/vgpu-guest-agent/index-pub.pem"
TITLES = {"agent_conf": "agent.conf of the guests", "index_pub": f"the public key, in the guests' {INDEX_PUB}", "vendor_data": "vendor-data",
          "dib": "diskimage-builder, drivers at first boot", "dib_file": "diskimage-builder, this driver in the image", "kayobe": "kayobe",
          "guard_file": "the file that the next line names", "guard_conf": "agent.conf of the guests, for the content guard"}

def main_driver(entries):
    """The bundle or driver that the lines are about: the first with a guest .run."""
    for entry in entries:
        if entry.get("members") or entry.get("kind") == "run":
            return entry
    return entries[0] if entries else None


def member_of(entry):
    members = (entry or {}).get("members") or []
    return next((each for each in members if each["kind"] == "run"), members[0] if members else None)


def paste(url, entries, public, guard):
    """name -> what goes where, in the order of printing. `public` is the PEM text of the key that guests verify the index with."""
    driver = main_driver(entries)
    conf = f'driver: {{ repository = "{url}"; ' + (f'index_key = "{INDEX_PUB}"; ' if public else "") + "};"
    found = {"agent_conf": conf, **({"index_pub": public.strip()} if public else {}), "vendor_data": json.dumps({"vgpu_guest_agent": {"driver": {"repository": url}}})}
    if driver:
        found["dib"] = f"export DIB_NVIDIA_VGPU_REPOSITORY={shlex.quote(url)}"
        found["dib_file"] = (f"export DIB_NVIDIA_VGPU_DRIVER_URL={shlex.quote(url + urllib.parse.quote(driver['name']))} "
                             f"DIB_NVIDIA_VGPU_DRIVER_SHA256={driver['sha256']}")
        found["kayobe"] = f"vgpu_driver_url: \"{url + urllib.parse.quote(driver['name'])}\""
    found.update(guard or {})
    return found


def guest_side(kind, guard, host):
    """What a guest needs for this guard of Pulp's."""
    if kind == "header" and guard.get("header_value") is not None:
        value = base64.b64encode(guard["header_value"].encode()).decode()
        return {"guard_file": f"{guard['header_name']}: {value}", "guard_conf": 'http: { header_file = "/etc/vgpu-guest-agent/header"; };'}
    if kind == "rbac":
        return {"guard_file": f"machine {host} login USER password PASSWORD", "guard_conf": 'http: { netrc_file = "/etc/vgpu-guest-agent/netrc"; };'}
    if kind == "x509":
        return {"guard_conf": 'http: { client_cert = "/etc/vgpu-guest-agent/client.pem"; client_key = "/etc/vgpu-guest-agent/client.key"; };'}
    return {}


def commands(plan, options):
    """The documentation's way to the same end, with pulp-cli."""
    name, quote = options.repository, shlex.quote
    lines = []
    new = [item["name"] for item in plan["new"]]
    if INDEX in new:
        before = "--previous PUBLISHED.json " if plan["indexed"] else ""
        lines.append(f"vgpu-guest-agent index {before}--output {INDEX} " + " ".join(quote(item["path"]) for item in plan["new"]
                                                                                   if item["name"] not in OURS))
    if SIGNATURE in new:
        how = "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -sign KEY" if plan["rsa"] else "pkeyutl -sign -rawin -inkey KEY -in"
        lines.append(f"openssl {how.replace('KEY', quote(options.key))} {INDEX} | base64 > {SIGNATURE}")
    for item in plan["new"]:
        lines.append(f"pulp artifact upload --file {quote(item['path'])}")
        lines.append(f"pulp file content create --relative-path {quote(item['name'])} --sha256 {item['sha256']}")
    if not plan["repository"]:
        lines.append(f"pulp file repository create --name {quote(name)}")
    for item in plan["new"]:
        lines.append(f"pulp file repository content add --repository {quote(name)} --sha256 {item['sha256']} --relative-path {quote(item['name'])}")
    for gone, sha256 in plan["gone"]:
        lines.append(f"pulp file repository content remove --repository {quote(name)} --sha256 {sha256} --relative-path {quote(gone)}")
    lines.append(f"pulp file publication create --repository {quote(name)}")
    how = "update" if plan["distribution"] else "create"
    path = "" if plan["distribution"] else f" --base-path {quote(options.base_path)}"
    lines.append(f"pulp file distribution {how} --name {quote(options.distribution)}{path} --repository {quote(name)}")
    return lines


def describe(entries):
    """SHA-256 of each new bundle and of its member, a line each."""
    lines = []
    for entry in entries:
        lines.append(f"{entry['sha256']}  {entry['name']}")
        for member in entry.get("members", []):
            lines.append(f"{member['sha256']}  {os.path.basename(entry['name'])}:{member['name']}")
    return lines
