#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The torture's part of the ordinary tests: half a minute, or 45 with VGPU_ALL, of all scenarios. There is no list of known failures."""

import os
import platform
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MINUTES = "45" if os.environ.get("VGPU_ALL") else "0.5"

if platform.machine() != "x86_64":
    sys.exit(77)
torture = os.path.join(HERE, "torture")
os.execv(torture, [torture, "--minutes", MINUTES, "--seed", os.environ.get("VGPU_SEED", "1")])
