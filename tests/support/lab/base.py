# SPDX-License-Identifier: Apache-2.0
"""The base: a Debian tree with systemd, a compiler and two installed kernels with their exact headers.

The packages come from the mirror this machine's own apt uses. The tree is kept under its recipe's digest; guests are overlays of it.
"""
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
CLONE = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
CACHE = os.environ.get("VGPU_LAB_CACHE", os.path.join(CLONE, ".cache", "lab"))

PACKAGES = """
    apt systemd systemd-sysv dbus udev kmod iproute2 procps ca-certificates
    libcurl4 libssl3 libconfig9 libjansson4 libyaml-0-2 zlib1g libsystemd0
    gcc make libc6-dev xz-utils busybox-static
""".split()

# What a guest never reads costs a third of the time to unpack.
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"]

KERNEL = re.compile(r"^linux-image-(\d+\.\d+\.\d+-\d+-cloud-amd64)$")
ENVIRONMENT = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class LabError(Exception):
    """Something the laboratory needs is not there; the text says what."""


def output(*argv):
    """Standard output of a command that must succeed."""
    done = subprocess.run(argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"{argv[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:].strip()}")
    return done.stdout


def update():
    output("apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300", "update")


def sources():
    """The Debian sources of this machine's apt as one-line entries. apt itself reads them, whatever form they have."""
    found = read_sources()
    if not found[1] and os.geteuid() == 0:  # it names the origin only of what it has an index of
        update()
        found = read_sources()
    if not found[1]:
        raise LabError("apt knows no Debian sources of this release")
    return found


def read_sources():
    form = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    codename = re.search(r"^VERSION_CODENAME=(\w+)", open("/etc/os-release").read(), re.M).group(1)
    suites = {}
    for line in output("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines():
        origin, uri, release, component = line.split("|")
        if origin == "Debian" and release.startswith(codename):
            suites.setdefault((uri, release), []).append(component)
    lines = [f"deb {uri} {release} {' '.join(sorted(set(parts)))}" for (uri, release), parts in suites.items()]
    return codename, lines


def keyrings():
    """Keyrings that the sources name themselves."""
    found = set()
    for name in glob.glob("/etc/apt/sources.list") + glob.glob("/etc/apt/sources.list.d/*"):
        with open(name, errors="replace") as file:
            found.update(re.findall(r"[Ss]igned-[Bb]y[:=]\s*(/[^\s\]]+)", file.read()))
    return sorted(path for path in found if os.path.isfile(path))


def acquire_options():
    """What this machine's apt needs to reach and to accept its mirror: proxies and leniency about dates."""
    wanted = re.compile(r"^Acquire::(https?::.*[Pp]roxy|Check-Valid-Until|Check-Date)\b")
    return [line.rstrip(";").rstrip() for line in output("apt-config", "dump").splitlines()
            if wanted.match(line) and not line.endswith('"";')]


def kernels_to_be_had(count=2):
    """The newest releases of the distribution's kernel whose image and exact headers the mirror still has, newest first."""
    releases = []
    for name in output("apt-cache", "pkgnames", "linux-image-").split():
        match = KERNEL.match(name)
        if match:
            releases.append(match.group(1))
    releases.sort(key=lambda release: [int(part) for part in re.findall(r"\d+", release)[:4]], reverse=True)
    complete = []
    for release in releases:
        if all(output("apt-cache", "madison", f"linux-{part}-{release}") for part in ("image", "headers")):
            complete.append(release)
        if len(complete) == count:
            return complete
    raise LabError(f"the mirror has {len(complete)} kernels with headers, {count} are needed")


def recipe(more, options):
    """All that decides what the base becomes, but for the versions on the mirror: a newer kernel is no reason to start anew."""
    codename, lines = sources()
    text = json.dumps([codename, lines, PACKAGES, LEFT_OUT, "2", *more, *options])
    return codename, lines, hashlib.sha256(text.encode()).hexdigest()[:16]


class Base:
    def __init__(self, path, kernels):
        self.path = path
        self.kernels = kernels


def prepare(say=lambda text: None, more=(), options=()):
    """The base, made where it is not there yet: 40 to 120 s, 750 MB. With more packages, and options of mmdebstrap's, another one."""
    if os.geteuid() != 0:
        raise LabError("making and booting guests needs root")
    os.makedirs(CACHE, exist_ok=True)
    codename, lines, key = recipe(more, options)
    path = os.path.join(CACHE, f"base-{key}")
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(f"{path}.json"):
            say("making the base system (about a minute)")
            update()  # an old index names kernels that the mirror no longer has
            build(path, codename, lines, kernels_to_be_had(), more, options)
    with open(f"{path}.json") as file:
        return Base(path, json.load(file)["kernels"])


def build(path, codename, lines, kernels, more, options):
    packages = PACKAGES + [f"linux-{part}-{release}" for release in kernels for part in ("image", "headers")]
    bootstrap(path, codename, lines, [*packages, *more], keyrings(), options)
    finish(path, keyrings())
    with open(f"{path}.json.new", "w") as file:
        json.dump({"kernels": kernels}, file)
    os.rename(f"{path}.json.new", f"{path}.json")


def bootstrap(path, codename, lines, packages, keys, options=()):
    """A tree of these packages from these sources, and what they depend on."""
    shutil.rmtree(path, ignore_errors=True)
    argv = ["mmdebstrap", "--mode=root", "--variant=apt", "--format=directory", "--quiet",
            "--dpkgopt=force-unsafe-io", f"--include={','.join(packages)}",
            "--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\"",
            "--aptopt=APT::Sandbox::User \"root\""]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    argv += [f"--aptopt={option}" for option in acquire_options()]
    argv += [f"--keyring={keyring}" for keyring in keys]
    argv += ["--customize-hook=rm -f \"$1\"/etc/resolv.conf \"$1\"/etc/hostname"]
    argv += [*options, codename, path] + lines
    # INITRD=No: Debian's kernel hook then makes no initial ramdisk, which takes longer than all else together.
    # TMPDIR: mmdebstrap checks a folder of this machine's that the tree does not have.
    environment = {**ENVIRONMENT, "INITRD": "No", "DEBIAN_FRONTEND": "noninteractive"}
    environment.pop("TMPDIR", None)
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(path, ignore_errors=True)
        raise LabError(f"mmdebstrap ended with {done.returncode}:\n{done.stderr[-3000:]}")


def finish(path, keys):
    """Make the tree one that boots the same each time: an empty machine-id, no timers that would work in the background."""
    open(os.path.join(path, "etc/machine-id"), "w").close()
    with open(os.path.join(path, "etc/hostname"), "w") as file:
        file.write("guest\n")
    shutil.rmtree(os.path.join(path, "var/log/journal"), ignore_errors=True)  # the journal then lies in /run
    for keyring in keys:
        target = os.path.join(path, keyring.lstrip("/"))
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(keyring, os.path.join(path, "etc/apt/trusted.gpg.d"))
    units = os.path.join(path, "etc/systemd/system")
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
                 "fstrim.timer", "systemd-networkd-wait-online.service"):
        link = os.path.join(units, unit)
        if not os.path.lexists(link):
            os.symlink("/dev/null", link)
