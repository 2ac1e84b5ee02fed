# SPDX-License-Identifier: Apache-2.0
"""A guest with a GPU, a driver in the repository, metadata and the agent of the build under test: where a test begins."""
import contextlib
import os
import subprocess
import sys
import tempfile

from . import base, nspawn, servers
from .base import CACHE, CLONE, ENVIRONMENT, LabError

STANDIN = f"{CLONE}/tests/standin"
SCENES = os.path.join(CACHE, "scenes")
HOST = "550.90.05"
DRIVER = "550.90.07"


def tool(name, *arguments):
    """A program of tests/standin; its standard output."""
    done = subprocess.run([f"{STANDIN}/{name}", *arguments], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{name} ended with {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}")
    return done.stdout


@contextlib.contextmanager
def bare(release=None):
    """A guest with its servers, not booted; gone at the end."""
    prepared = base.prepare(lambda text: print(f"# {text}", flush=True))
    os.makedirs(SCENES, exist_ok=True)
    nspawn.sweep(SCENES)
    guest = nspawn.Guest(tempfile.mkdtemp(prefix="scene-", dir=SCENES))
    guest.kernels = prepared.kernels
    guest.base = prepared
    try:
        guest.create(prepared, release)
        yield guest
    except Exception:
        tell(guest)
        raise
    finally:
        guest.remove()


def tell(guest):
    """What a reader of a failed test wants to see."""
    for name in ("console.log", "servers/servers.log", "servers/nginx-error.log"):
        with contextlib.suppress(FileNotFoundError), open(f"{guest.home}/{name}", errors="replace") as file:
            for line in file.read().splitlines()[-20:]:
                print(f"# {name}: {line}", file=sys.stderr)
