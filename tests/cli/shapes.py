# SPDX-License-Identifier: Apache-2.0
"""The JSON objects of the contract, key by key. A shape is a type, a tuple of shapes of which one holds, a list with the
shape of its elements, a dict of keys, a set of allowed words, or a function that says whether a value is right."""

import datetime
import re


def time(value):
    """RFC 3339 in UTC."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value):
        return False
    datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
    return True


def sha256(value):
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def hexadecimal(digits):
    return lambda value: isinstance(value, str) and re.fullmatch(rf"0x[0-9a-f]{{{digits}}}", value) is not None


def one(value):
    return value == 1 and isinstance(value, int)


def seconds(value):
    return isinstance(value, float) and value >= 0


NAMES = ("internal", "usage", "no_gpu", "no_match", "network", "integrity", "prerequisites", "build", "install", "secure_boot",
         "token", "unlicensed", "driver", "reboot", "busy", "permission")
STATUS = {name: status for status, name in enumerate(NAMES, 1)}
STEPS = ("detect", "metadata", "match", "fetch", "unpack", "build", "install", "configure", "token", "gridd", "license")
CHECKS = ("gpu", "match", "state", "read_only", "packages", "modprobe", "vfio", "space", "headers", "compiler", "secure_boot", "nouveau", "package_lock", "clock", "token",
          "license_server")

CAUSES = ("no_gpu driver_missing driver_other_kernel module_not_loaded nouveau_bound nova_bound secure_boot version_mismatch "
          "branch_too_new gridd_missing gridd_disabled gridd_stopped gridd_crashed gridd_conf feature_type token_missing "
          "token_unreadable token_malformed token_expired token_not_yet_valid token_several clock dns port_refused port_filtered tls "
          "pool_empty server_too_old clock_windback trusted_store license_expired vfio_bound module_masked signature_enforced "
          "other_packages read_only mac_denied gpu_reset gridd_masked build_failed kernel_unversioned unknown").split()

HOST = {"version": str, "branch": (str, None)}
ERROR = {"name": set(NAMES), "status": int, "step": str, "message": str, "hint": (str, None), "passing": bool}

SHAPES = {
    "detect": {
        "schema": one,
        "gpus": [{"address": str, "device_id": hexadecimal(4), "subsystem_device_id": hexadecimal(4),
                  "class": hexadecimal(6), "kind": {"vgpu", "passthrough", "unknown"}, "host_driver": (HOST, None),
                  "note?": str}],
        "os": {"id": str, "version_id": (str, None), "arch": str},
        "kernels": [{"release": str, "running": bool, "headers": bool}],
    },
    "plan": {
        "schema": one,
        "host_driver": (HOST, None),
        "driver": ({"version": (str, None), "kind": ({"run", "deb", "rpm"}, None),
                    "rule": {"installed", "url", "version", "bundle", "catalog", "branch", "previous-branch", "only"},
                    "url": (str, None), "member": (str, None), "size": (int, None), "sha256": (sha256, None),
                    "integrity": ({"sha256-pin", "signature", "index-tls", "manifest-tls", "tls", "local-file", "none"}, None),
                    "transfer": ({"member", "whole", "local"}, None), "bytes": (int, None)}, None),
        "candidates": [{"name": str, "version": (str, None), "accepted": bool, "why": str}],
        "previous": ({"version": str}, None),
        "kernels": [{"release": str, "action": {"build", "prebuilt", "none"}}],
        "checks": [{"name": set(CHECKS), "ok": (bool, None), "detail": str}],
        "changes": [{"path": str, "detail": str}],
        "unasked": [{"what": {"metadata", "repository", "catalog"}, "why": str}],
        "would_fail": (int, None), "hint": (str, None),
    },
    "fetch": {"schema": one, "path": str, "version": str, "kind": {"run", "deb", "rpm"}, "size": int, "sha256": sha256,
              "integrity": {"sha256-pin", "signature", "index-tls", "manifest-tls", "tls", "local-file", "none"},
              "bytes_transferred": int, "seconds": seconds},
    "index": {"schema": one, "serial": int, "created": time,
              "files": [({"name": str, "size": int, "sha256": sha256, "host_version": (str, None),
                          "members": [{"name": str, "kind": {"run", "deb", "rpm"}, "version": str, "arch": str, "offset": int,
                                       "method": {0, 8}, "compressed_size": int, "size": int, "sha256": sha256}]},
                         {"name": str, "kind": {"run", "deb", "rpm"}, "version": str, "arch": str, "size": int, "sha256": sha256})],
              "modules": [{"name": str, "version": str, "kernel": str, "vermagic": str, "compiler": str,
                           "flavour": {"open", "proprietary"}, "arch": str, "symbols": (sha256, None), "signed_by": (str, None),
                           "size": int, "sha256": sha256}]},
    "steps": {"schema": one, "steps": [{"step": set(STEPS), "outcome": {"changed", "unchanged", "skipped", "failed"},
                                        "detail": str, "began": seconds, "seconds": seconds}],
              "critical": [set(STEPS) | {"toolchain"}],
              "beside": [{"work": {"toolchain"}, "step": set(STEPS), "began": seconds, "seconds": seconds, "waited": seconds}]},
    "seal": {"schema": one, "steps": [{"step": {"search", "swap", "stop", "gridd", "token", "trusted_store", "state", "cache", "logs"},
                                       "outcome": {"changed", "unchanged", "skipped", "failed"}, "detail": str, "began": seconds,
                                       "seconds": seconds}],
             "critical": [str], "beside": [], "places": [str]},
    "token check": {
        "schema": one, "valid": bool,
        "problems": [{"code": {"missing", "empty", "not_a_token", "glued", "inner_whitespace", "invisible", "too_large", "bom",
                               "whitespace", "expired", "not_yet_valid", "bad_signature", "several"},
                      "severity": {"error", "warning"}, "message": str}],
        "issued": (time, None), "not_before": (time, None), "expires": (time, None),
        "servers": [{"host": str, "ports": [int]}], "signature": {"ok", "bad", "absent"}, "size": int,
    },
    "status": {
        "schema": one, "timestamp": time, "driver_version": (str, None), "licensed": bool,
        "gpus": [{"id": str, "uuid": (str, None), "name": (str, None), "virtualization": (str, None),
                  "features": [{"product": (str, None), "status": str,
                                "state": {"licensed", "unlicensed", "unlicensed_unrestricted", "unlicensed_restricted",
                                          "not_applicable", "unknown"},
                                "expiry": (time, None),
                                "expiry_kind": ({"date", "permanent", "not_applicable", "unavailable", "error"}, None)}],
                  "needs_license": bool, "licensed": bool}],
        "reason": ({"code": str, "message": str, "hint": (str, None)}, None),
        "builds": [{"file": str, "sha256": str, "version": str, "kernel": str, "compiler": str, "flavour": {"open", "proprietary"}, "wanted": str,
                    "ok": {False}, "why": str}],
        "run": ({"step": (str, None), "name": {"ok", *NAMES}, "status": int, "message": (str, None), "hint": (str, None)}, None),
    },
    "doctor": {"schema": one, "causes": [{"code": set(CAUSES), "certain": bool, "message": str, "hint": str}],
               "checks": [{"name": str, "ok": (bool, None), "detail": str}]},
    "error": {"schema": one, "error": ERROR},
}
COMMANDS = {"run": "steps", "install": "steps", "build-modules": "steps", "configure": "steps", "token install": "steps"}


def faults(shape, value, place="the object"):
    """What is wrong with `value`: a list of sentences, empty when all is right."""
    if isinstance(shape, tuple):
        found = [faults(each, value, place) for each in shape]
        return [] if [] in found else min(found, key=len)
    if isinstance(shape, dict):
        return object_faults(shape, value, place)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{place} is no list: {value!r}"]
        return [fault for i, each in enumerate(value) for fault in faults(shape[0], each, f"{place}[{i}]")]
    if isinstance(shape, set):
        right = isinstance(value, str) and value in shape
    elif isinstance(shape, type):
        right = type(value) is shape  # a bool is no number here
    elif shape is None:
        right = value is None
    else:
        right = shape(value)
    return [] if right else [f"{place} is {value!r}"]


def object_faults(shape, value, place):
    if not isinstance(value, dict):
        return [f"{place} is no object: {value!r}"]
    needed = {key for key in shape if not key.endswith("?")}
    known = {key.rstrip("?"): each for key, each in shape.items()}
    found = [f"{place} has no {key}" for key in sorted(needed - value.keys())]
    found += [f"{place} has a {key} of which the contract does not know" for key in sorted(value.keys() - known.keys())]
    for key in known.keys() & value.keys():
        found += faults(known[key], value[key], f"{place}.{key}")
    return found


def check(command, value):
    """The sentences about what `command` printed, which may have an `error` beside or instead of its report."""
    if not isinstance(value, dict):
        return [f"no object: {value!r}"]
    if "error" not in value:
        return faults(SHAPES[COMMANDS.get(command, command)], value)
    error = faults(ERROR, value["error"], "error")
    if not error and STATUS[value["error"]["name"]] != value["error"]["status"]:
        error = [f"error.status is not that of its name: {value['error']}"]
    report = {key: each for key, each in value.items() if key != "error"}
    if report.keys() == {"schema"}:
        return error + faults({"schema": one}, report)
    return error + faults(SHAPES[COMMANDS.get(command, command)], report)
