#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""README's first command, as it stands there: a throw-away guest is made and taken to Licensed. VGPU_ALL=1: about a minute."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs"))
import documents  # noqa: E402
from lab import base, check  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip", "sudo")
if os.environ.get("VGPU_ALL") != "1":
    print("skipped: scripts/demo builds the agent and boots a guest; VGPU_ALL=1 does it")
    sys.exit(77)


def claim_readme_shows_what_the_demo_does():
    done = subprocess.run(["bash", "-e", "-c", documents.text_of("demo")], cwd=documents.CLONE, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    need(done.returncode == 0, done.stdout[-4000:])
    for words in ("driver 550.90.07 is loaded and answers", "Nothing to do.", "Licensed"):
        need(words in done.stdout, done.stdout)


def claim_the_laboratorys_page_says_how_a_guest_is_made_entered_and_removed():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        text = documents.text_of("lab-guest").replace("/var/tmp/g", f"{folder}/g").replace("FILE...", f"{documents.CLONE}/README.md")
        done = subprocess.run(["bash", "-e", "-c", text.replace("RELEASE", base.prepare().kernels[1])], cwd=documents.CLONE,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              check=False)
        need(done.returncode == 0, done.stdout[-4000:])
        need(not os.path.exists(f"{folder}/g"), "the guest is still there")


sys.exit(check.run([claim_the_laboratorys_page_says_how_a_guest_is_made_entered_and_removed, claim_readme_shows_what_the_demo_does]))
