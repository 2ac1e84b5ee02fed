# SPDX-License-Identifier: Apache-2.0
"""A copy of this machine that is thrown away: the test program starts itself again below an overlay of / whose changes stay in
memory, with a /dev, /sys, /run and /tmp of its own, a network that is only a loopback, and no right to load a module. What the
program under test does as root there, it does to nobody. Process 1 is the shell that waits for the test program: it buries what a
command leaves behind, as any init does."""

import os
import subprocess
import sys
import tempfile

INSIDE = "VGPU_TEST_INSIDE"
CANNOT = 77
METADATA_ADDRESS = "169.254.169.254"

# $1: the checkout, $2: the build folder (written to by coverage), $3: a folder for the overlay; then the command.
ENTER = f"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 overlay "$3"
mkdir "$3/upper" "$3/work" "$3/root"
mount -t overlay -o "lowerdir=/,upperdir=$3/upper,workdir=$3/work" overlay "$3/root"
root=$3/root
for folder in dev sys run; do mount -t tmpfs -o mode=0755 "$folder" "$root/$folder"; done
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mkdir -p "$root/run/lock" "$root/sys/bus/pci/devices"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/urandom" c 1 9
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for folder in "$1" "$2"; do mkdir -p "$root/$folder"; mount --bind "$folder" "$root/$folder"; done
mount -t proc proc "$root/proc"
ip link set lo up
ip address add {METADATA_ADDRESS}/32 dev lo
mkdir "$root/old"
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
cd /
shift 3
status=0
setpriv --bounding-set -sys_module,-sys_boot,-sys_time,-sys_rawio --inh-caps -all "$@" || status=$?
exit $status
"""
UNSHARE = ["unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child"]


def checkout():
    return os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def build():
    return os.path.realpath(os.environ["VGPU_BUILD"])


def enter(program):
    """Runs `program` inside and returns its exit status; 77 where this machine does not allow that."""
    if os.geteuid() != 0:
        print("needs root, for namespaces of its own", file=sys.stderr)
        return CANNOT
    if subprocess.run([*UNSHARE, "true"], check=False).returncode:
        return CANNOT
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", INSIDE: "1",
                   "VGPU_BUILD": build()}
    for name, value in os.environ.items():
        if "SAN_OPTIONS" in name:
            environment[name] = value
    with tempfile.TemporaryDirectory() as overlay:  # only a place to mount at
        command = [*UNSHARE, "sh", "-c", ENTER, "sh", checkout(), build(), overlay,
                   sys.executable, "-B", os.path.abspath(program), *sys.argv[1:]]
        return subprocess.run(command, env=environment, check=False).returncode


def is_inside():
    return os.environ.get(INSIDE) == "1"
