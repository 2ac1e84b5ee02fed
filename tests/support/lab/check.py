# SPDX-License-Identifier: Apache-2.0
"""Claims and their outcome: functions named claim_..., run in the order they stand, one line each."""
import os
import shutil
import sys
import time
import traceback

from .base import LabError


class Skip(Exception):
    """This machine cannot show what the claim says."""


def need(condition, text):
    """A failed expectation, with what was seen."""
    if not condition:
        raise AssertionError(text)


def need_root_and(*tools):
    """End with 77 where guests cannot be made."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    missing = [tool for tool in tools if not shutil.which(tool, path=path)]
    if os.geteuid() != 0 or missing:
        print("skipped: " + (f"no {', '.join(missing)} here" if missing else "making guests needs root"))
        sys.exit(77)


def run(claims, *arguments):
    """Run the claims; the status for sys.exit."""
    failures = 0
    print(f"1..{len(claims)}", flush=True)
    for number, claim in enumerate(claims, 1):
        began = time.monotonic()
        outcome, note = "ok", ""
        try:
            claim(*arguments)
        except Skip as skip:
            note = f" # SKIP {skip}"
        except (AssertionError, LabError) as failure:
            outcome, note = "not ok", "\n" + "\n".join(f"#   {line}" for line in str(failure).splitlines())
        except Exception:  # a broken test must not hide the others
            outcome, note = "not ok", "\n" + "\n".join(f"#   {line}" for line in traceback.format_exc().splitlines())
        failures += outcome != "ok"
        name = claim.__name__.removeprefix("claim_").replace("_", " ")
        print(f"{outcome} {number} - {name} ({time.monotonic() - began:.1f} s){note}", flush=True)
    return 1 if failures else 0
