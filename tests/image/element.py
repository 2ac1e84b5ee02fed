# SPDX-License-Identifier: Apache-2.0
"""The element's hooks, run by diskimage-builder's own dib-run-parts from a folder that is made as disk-image-create makes it."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from lab import base  # noqa: E402

ELEMENTS = os.path.join(base.CLONE, "dib-element")
ELEMENT = os.path.join(ELEMENTS, "nvidia-vgpu")
PATH = base.ENVIRONMENT["PATH"]


def dib():
    """Where diskimage-builder's package lies; None where it is not installed."""
    found = glob.glob("/usr/lib/python3*/*-packages/diskimage_builder")
    return found[0] if found else None


class Hooks:
    """A build's folder of hooks, the environment that goes with it, and its end."""

    def __init__(self, trace=0, **variables):
        self.home = tempfile.mkdtemp(prefix="vgpu-element-", dir="/var/tmp")
        self.hooks = f"{self.home}/hooks"
        shutil.copytree(ELEMENT, self.hooks)
        os.makedirs(f"{self.home}/bin")
        os.symlink("/usr/bin/python3", f"{self.home}/bin/python")
        self.variables = {f"DIB_NVIDIA_VGPU_{name}": value for name, value in variables.items()}
        # As disk-image-create does it; an exported function is a variable of this name.
        said = subprocess.run(["bash", "-c", "export | grep ' DIB_.*='"], env={"PATH": PATH, **self.variables, "DIB_X": "1"},
                              capture_output=True, text=True, check=True)
        self.environment = {"PATH": f"{self.home}/bin:{PATH}", "HOME": self.home, "ARCH": "amd64", **self.variables,
                            "TMP_HOOKS_PATH": self.hooks, "DIB_DEBUG_TRACE": str(trace), "LC_ALL": "C",
                            "DIB_ENV": said.stdout, "DIB_ARGS": "debian-minimal nvidia-vgpu vm",
                            "BASH_FUNC_get_image_element_array%%": f'() {{ echo "[nvidia-vgpu]={ELEMENT} [base]=/x"; }}'}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.home)

    def tool(self, name, text):
        """A command that the hooks find before any other of its name."""
        path = f"{self.home}/bin/{name}"
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def run(self, phase, prefix=(), **more):
        """One phase; its status and all it said, traces included."""
        parts = more.pop("parts", f"{dib()}/lib/dib-run-parts")
        folder = more.pop("folder", self.hooks)
        return subprocess.run([*prefix, parts, f"{folder}/{phase}.d"], env={**self.environment, **more},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False)


def complaints(done):
    """The element's own lines."""
    return [line for line in done.stdout.splitlines() if line.startswith("nvidia-vgpu: ")]
