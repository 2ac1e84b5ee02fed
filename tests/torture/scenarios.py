# SPDX-License-Identifier: Apache-2.0
"""What is tortured: each scenario is data. `layers` are made once, by the commands of LAYERS, each on top of those before it;
`command` is disturbed; `again` runs until nothing is left to do; `then` undoes it, and must give the tree that an undisturbed one
gives, which is the tree of before where `clean` stands."""

import dataclasses
import os
import re
import shlex
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
AGENT = "/usr/bin/vgpu-guest-agent"
KERNEL = "6.1.0-95-torture"
OLD, NEW, FAILING = "525.105.17", "525.125.06", "525.147.05"
TOKENS = "/etc/nvidia/ClientConfigToken"
QUICK = [word for key, value in {"metadata.enabled": "false", "http.retries": "0", "http.connect_timeout": "5",
                                 "http.stall_timeout": "10", "license.wait": "0", "driver.prerequisites": "never",
                                 "license.feature_type": "2"}.items() for word in ("--set", f"{key}={value}")]
OURS = ["--set", "license.token_file=/torture/ours.tok"]
UPGRADE = ["--set", "driver.upgrade=true"]
OFFLINE = ["--offline", *QUICK]


def agent(*words):
    return [AGENT, *words]


def driver(version, name="NVIDIA-Linux-x86_64-{}-grid.run"):
    return ["--set", f"driver.url=file:///torture/{name.format(version)}"]


RUN = agent("run", "--kernel", KERNEL, *OFFLINE, *OURS, *driver(OLD))
DEB = "nvidia-linux-grid-525_{}_amd64.deb"
RUN_DEB = agent("run", "--kernel", KERNEL, *OFFLINE, *OURS, *driver(OLD, DEB))
UNINSTALL = agent("uninstall", *OFFLINE)
# apt keeps the configuration of a package that it removes.
PURGE = ["/bin/sh", "-c", f"{shlex.join(UNINSTALL)} && dpkg --purge nvidia-linux-grid-525"]
LITTER = (r"/tmp/tmp\.", r"/tmp/dpkg-deb\.", r"/var/lib/dpkg/tmp\.ci", r"/usr/lib/modules/[^/]*/modules\..*\.[0-9]+\.[0-9]+\.[0-9]+$")

# The stand-in for kbuild: the modules were compiled when the layers were made.
KERNEL_MAKEFILE = """modules:
\t@cp /torture/modules/$$(sed -n 's/.*NV_VERSION_STRING=[^0-9]*\\([0-9.]*\\).*/\\1/p' $(M)/Kbuild)/*.ko $(M)/
"""
MODULE = """
#define FIELD(name, text) static const char name[] __attribute__((section(".modinfo"), used, aligned(1))) = text
FIELD(license, "license=Dual MIT/GPL");
FIELD(version, "version=" VERSION);
FIELD(vermagic, "vermagic=" KERNEL " SMP mod_unload modversions ");
FIELD(depends, "depends=" DEPENDS);
FIELD(name, "name=" NAME);
#ifdef ALIAS
FIELD(alias, "alias=pci:v000010DEd*sv*sd*bc03sc00i00*");
#endif
"""


def write(path, content, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)


def make_kernel(top):
    modules = f"{top}/usr/lib/modules/{KERNEL}"
    os.makedirs(modules)
    os.setxattr(os.path.dirname(modules), "trusted.overlay.opaque", b"y")  # no kernels of the machine's own
    compiler = subprocess.run(["gcc", "--version"], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()[0]
    write(f"{modules}/modules.builtin", "")
    write(f"{modules}/modules.order", "")
    write(f"{modules}/build/Makefile", KERNEL_MAKEFILE)
    write(f"{modules}/build/include/config/auto.conf", f'CONFIG_CC_VERSION_TEXT="{compiler}"\n')
    write(f"{modules}/build/include/generated/utsrelease.h", f'#define UTS_RELEASE "{KERNEL}"\n')
    subprocess.run(["depmod", "-b", f"{top}/usr", KERNEL], check=True, stderr=subprocess.DEVNULL)
    write(f"{top}/torture/module.c", MODULE)
    for version in (OLD, NEW, FAILING):
        for name, more in (("nvidia", ['-DDEPENDS=""', "-DALIAS"]), ("nvidia-uvm", ['-DDEPENDS="nvidia"'])):
            target = f"{top}/torture/modules/{version}/{name}.ko"
            os.makedirs(os.path.dirname(target), exist_ok=True)
            subprocess.run(["gcc", "-c", "-o", target, f"{top}/torture/module.c", f'-DVERSION="{version}"', f'-DKERNEL="{KERNEL}"',
                            f'-DNAME="{name.replace("-", "_")}"', *more], check=True)


def hide(top, *paths):
    """What the machine below has there is not in the world: to overlayfs, device 0/0 is a name that was deleted."""
    for path in paths:
        os.makedirs(os.path.dirname(top + path), exist_ok=True)
        os.mknod(top + path, stat.S_IFCHR, 0)


def make_packages(top):
    """What the driver's package depends on is installed, and nothing else: apt and dpkg write all that they know anew at each step."""
    with open("/var/lib/dpkg/status") as file:
        known = file.read().split("\n\n")
    kept = [re.sub(r"^(?:Pre-)?Depends: .*\n", "", each + "\n", flags=re.M) for each in known
            if re.search(r"^Package: (?:gcc|make|kmod)$", each, re.M)]
    write(f"{top}/var/lib/dpkg/status", "\n".join(kept))
    hide(top, "/var/lib/apt/extended_states", "/var/lib/apt/lists")


def make_base(top, build):
    """The agent, installed; drivers, tokens, a kernel; the tracer."""
    hide(top, "/etc/nvidia", "/var/cache/vgpu-guest-agent", "/var/lib/nvidia", "/var/lib/vgpu-guest-agent", "/var/log/vgpu-guest-agent")
    subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "DESTDIR": top})
    for name, path in (("tracer", "torture_tracer"), ("alloc.so", "libtorture_alloc.so")):
        with open(os.path.join(build, "tests", path), "rb") as file:
            write(f"{top}/torture/{name}", file.read(), 0o755)
    make_kernel(top)
    make_packages(top)
    drivers = f"{top}/torture"
    for version, *fault in ((OLD,), (NEW,), (FAILING, "--fault", "installer-fails")):
        subprocess.run([os.path.join(TESTS, "standin/make-driver"), "--version", version, "--host-version", OLD, "--kinds", "run,deb",
                        "--output", drivers, *fault], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-B", "-c", PACK, drivers, OLD], check=True)
    for name in ("operator", "ours", "next"):
        token = subprocess.run([os.path.join(TESTS, "standin/make-token"), "--host", f"{name}.example"], check=True,
                               stdout=subprocess.PIPE).stdout
        write(f"{top}/torture/{name}.tok", token, 0o600)
    subprocess.run([os.path.join(TESTS, "standin/make-pci"), f"{top}/torture/sysfs", "--gpu", "vgpu", "--host-version", "525.105.14",
                    "--branch", "r528_79"], check=True)


PACK = """
import sys, zipfile, hashlib
folder, version = sys.argv[1:]
name = f"NVIDIA-Linux-x86_64-{version}-grid.run"
bundle = f"{folder}/NVIDIA-GRID-Linux-KVM-525.105.14-{version}-528.89.zip"
with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
    archive.writestr("Host_Drivers/NVIDIA-Linux-x86_64-525.105.14-vgpu-kvm.run", bytes(70000))
    archive.write(f"{folder}/{name}", "Guest_Drivers/" + name)
with open(bundle, "rb") as file:
    data = file.read()
with open(f"{folder}/PULP_MANIFEST", "w") as file:
    file.write(f"{bundle.rpartition('/')[2]},{hashlib.sha256(data).hexdigest()},{len(data)}\\n")
"""


def make_operator(top, _build):
    """What an operator had put there before us: under our names, and under names of his own."""
    with open(f"{LAYER_ROOT[0]}/base/torture/operator.tok", "rb") as file:
        token = file.read()
    write(f"{top}/etc/nvidia/gridd.conf", "# the operator's own\nServerAddress=\nFeatureType=0\n")
    write(f"{top}{TOKENS}/client_configuration_token.tok", token, 0o744)
    write(f"{top}{TOKENS}/site.tok", token + b"\n", 0o744)


LAYER_ROOT = [""]  # where the layers lie; set by the harness

# Name: what lies below it, and a function of its folder, or commands that run in a world of their own.
LAYERS = {
    "base": ((), make_base),
    "operator": (("base",), make_operator),
    "installed": (("base", "operator"), [RUN]),
    "updated": (("base", "operator", "installed"), [agent("install", "--kernel", KERNEL, *OFFLINE, *UPGRADE, *driver(NEW))]),
    "package": (("base",), [RUN_DEB]),
    "token": (("base", "operator"), [agent("token", "install", "/torture/ours.tok", *OFFLINE)]),
    "metadata": (("base", "operator"), [agent("configure", *OFFLINE, *OURS)]),
}


@dataclasses.dataclass
class Scenario:
    name: str
    layers: tuple
    command: list
    then: list = dataclasses.field(default_factory=lambda: UNINSTALL)
    again: list = None
    clean: bool = False  # after `then` nothing of it all is left
    serve: dict = None
    root: str = None
    term_s: float = 0
    status: int = 0  # of an undisturbed one
    report: bool = False  # one that does not fail says what an undisturbed one says
    litter: tuple = ()  # patterns of what other people's programs leave where they are killed
    ways: tuple = ("again", "then")  # "again" alone where the next run, not what undoes it, cleans up
    kinds: tuple = ("group", "one", "chain", "fault", "full", "memory")


REPORTS = ("fault", "memory")
NOTHING = ["/bin/true"]
SYSFS = ["--sysfs", "/torture/sysfs"]
MANIFEST = {"/nvidia/PULP_MANIFEST": "/torture/PULP_MANIFEST",
            f"/nvidia/NVIDIA-GRID-Linux-KVM-525.105.14-{OLD}-528.89.zip": f"/torture/NVIDIA-GRID-Linux-KVM-525.105.14-{OLD}-528.89.zip"}
FETCH = ["fetch", "--output", "/srv", "--sysfs", "/torture/sysfs", *QUICK, "--set", "driver.integrity=warn", "--set",
         "driver.repository=http://127.0.0.1:8080/nvidia/"]
BASE, OPERATOR, INSTALLED = ("base",), ("base", "operator"), ("base", "operator", "installed")

SCENARIOS = [
    Scenario("token", BASE, agent("token", "install", "/torture/ours.tok", *OFFLINE), clean=True),
    Scenario("token-over-others", OPERATOR, agent("token", "install", "/torture/ours.tok", *OFFLINE), clean=True),
    Scenario("token-again", (*OPERATOR, "token"), agent("token", "install", "/torture/next.tok", *OFFLINE)),
    Scenario("configure", BASE, agent("configure", *OFFLINE, *OURS), clean=True),
    Scenario("configure-over-others", OPERATOR, agent("configure", *OFFLINE, *OURS), clean=True),
    Scenario("configure-back", (*OPERATOR, "metadata"), UNINSTALL),
    Scenario("run", BASE, RUN, clean=True),
    Scenario("run-over-others", OPERATOR, RUN, clean=True),
    Scenario("update", INSTALLED, agent("install", "--kernel", KERNEL, *OFFLINE, *UPGRADE, *driver(NEW))),
    Scenario("update-fails", INSTALLED, agent("install", "--kernel", KERNEL, *OFFLINE, *UPGRADE, *driver(FAILING)), status=9),
    Scenario("package", BASE, RUN_DEB, PURGE, clean=True, litter=LITTER),
    Scenario("package-update", (*BASE, "package"), agent("install", "--kernel", KERNEL, *OFFLINE, *UPGRADE, *driver(NEW, DEB)), PURGE,
             litter=LITTER),
    Scenario("package-uninstall", (*BASE, "package"), UNINSTALL, litter=LITTER),
    Scenario("uninstall", INSTALLED, UNINSTALL),
    Scenario("uninstall-updated", (*INSTALLED, "updated"), UNINSTALL),
    Scenario("install-root", BASE, agent("install", "--root", "/srv/guest", "--kernel", KERNEL, *QUICK, *driver(OLD)),
             then=agent("uninstall", "--root", "/srv/guest", *QUICK), root="/srv/guest", clean=True),
    Scenario("build-modules", BASE, agent("build-modules", "--kernel", KERNEL, "--output", "/srv/modules.tar.gz", *QUICK, *driver(OLD)),
             then=["/bin/rm", "-f", "/srv/modules.tar.gz"], clean=True, ways=("again",)),
    Scenario("seal", INSTALLED, agent("seal", *OFFLINE), then=agent("seal", *OFFLINE)),
    Scenario("fetch-member", BASE, agent(*FETCH), serve=MANIFEST, then=["/bin/sh", "-c", "rm -rf /srv/*"], ways=("again",)),
    Scenario("detect", BASE, agent("detect", "--json", *SYSFS), NOTHING, report=True, kinds=REPORTS, ways=("again",)),
    Scenario("status", INSTALLED, agent("status", "--json", *SYSFS, *QUICK), NOTHING, report=True, status=13, kinds=REPORTS, ways=("again",)),
    Scenario("token-check", BASE, agent("token", "check", "/torture/ours.tok", "--json", *OFFLINE), NOTHING, report=True, kinds=("fault",),
             ways=("again",)),  # no memory: OpenSSL 3.0, once it could not load a part of its own, knows no key any more
    Scenario("plan", BASE, agent("plan", "--kernel", KERNEL, "--json", *SYSFS, *OFFLINE, *OURS, *driver(OLD)), NOTHING, kinds=REPORTS,
             ways=("again",)),
    Scenario("monitor", INSTALLED, agent("monitor", "--sysfs", "/torture/sysfs", *QUICK, "--set", "monitor.interval=1"),
             then=["/bin/rm", "-rf", "/run/vgpu-guest-agent"], term_s=0.5, status=143, kinds=("group", "fault", "full", "memory"), ways=("again",)),
]
