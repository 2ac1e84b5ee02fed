#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The element nvidia-vgpu without a whole build: what it refuses, what it writes, and that the token is seen nowhere."""
import contextlib
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading

import element
from element import Hooks, complaints
from lab import base, check, nspawn, scene
from lab.check import need

if not element.dib():
    print("skipped: no diskimage-builder here")
    sys.exit(77)

TOKEN = scene.tool("make-token").decode()


def claim_dib_lint_is_content():
    with tempfile.TemporaryDirectory() as folder:
        os.symlink("/usr/bin/python3", f"{folder}/python")
        done = subprocess.run(["dib-lint"], cwd=base.CLONE, capture_output=True, text=True, check=False, env={
            **base.ENVIRONMENT, "PATH": f"{folder}:{element.PATH}", "ELEMENTS_DIR": "dib-element", "LIB_DIR": folder})
    need(done.returncode == 0 and "PASS" in done.stdout, done.stdout + done.stderr)
    need("README.rst" in os.listdir(element.ELEMENT), "no README.rst")


# What the operator wrote -> the variable that the one line names, and words of the reason.
REFUSED = [
    ({"CLIENT_TOKNE": "x"}, "CLIENT_TOKNE", "no such variable"),
    ({"INSTALL": "first-boot"}, "INSTALL", "firstboot or image"),
    ({"FEATURE_TYPE": "vGPU"}, "FEATURE_TYPE", "0 to 4"),
    ({"CLIENT_TOKEN": "hello"}, "CLIENT_TOKEN", "no client configuration token"),
    ({"CLIENT_TOKEN": ""}, "CLIENT_TOKEN", "empty"),
    ({"CLIENT_TOKEN": TOKEN + TOKEN}, "CLIENT_TOKEN", "no client configuration token"),
    ({"CLIENT_TOKEN": TOKEN[:900] + "\n" + TOKEN[900:]}, "CLIENT_TOKEN", "no client configuration token"),
    ({"CLIENT_TOKEN_FILE": "/no/such.tok"}, "CLIENT_TOKEN_FILE", "no file"),
    ({"CLIENT_TOKEN_FILE": "/etc/passwd"}, "CLIENT_TOKEN_FILE", "no client configuration token"),
    ({"CLIENT_TOKEN": TOKEN, "CLIENT_TOKEN_FILE": "/etc/passwd"}, "CLIENT_TOKEN_FILE", "one of them"),
    ({"DRIVER_URL": "/x.run"}, "DRIVER_URL", "a URL is expected"),
    ({"DRIVER_URL": "file:///no/such.run"}, "DRIVER_URL", "no file"),
    ({"DRIVER_URL": "https://me:secret@pulp.example/x.run"}, "DRIVER_URL", "password"),
    ({"DRIVER_URL": "https://pulp.example/x.tar"}, "DRIVER_URL", ".zip, .run"),
    ({"REPOSITORY": 'https://pulp.example/"; };'}, "REPOSITORY", "quotation marks"),
    ({"REPOSITORY": "file:///srv/nvidia/"}, "REPOSITORY", "no repository for guests; one driver of this machine is DIB_NVIDIA_VGPU_DRIVER_URL"),
    ({"REPOSITORY": "http://pulp.example/nvidia/"}, "REPOSITORY", "status 6"),
    ({"CONF": "/no/such.conf"}, "CONF", "no file"),
    ({"VERSION": "latest"}, "VERSION", "no driver version"),
    ({"DRIVER_SHA256": "abc"}, "DRIVER_SHA256", "64 hexadecimal digits"),
    ({"INSTALL": "image"}, "INSTALL", "needs to know the driver: DIB_NVIDIA_VGPU_DRIVER_URL, or DIB_NVIDIA_VGPU_REPOSITORY and DIB_NVIDIA_VGPU_VERSION"),
    ({"INSTALL": "image", "REPOSITORY": "https://pulp.example/"}, "INSTALL", "needs to know the driver"),
    ({"INSTALL": "image", "DRIVER_URL": "http://127.0.0.1:9/x.run"}, "DRIVER_SHA256", "has to be set"),
    ({"AGENT_PACKAGE": "/no/such.deb"}, "AGENT_PACKAGE", "no file"),
    ({"AGENT_PACKAGE": "/etc/passwd"}, "AGENT_PACKAGE", ".deb or .rpm"),
]


def refused(variables, variable, words):
    with Hooks(**variables) as hooks:
        before = set(os.listdir(hooks.hooks))
        done = hooks.run("root")
        said = complaints(done)
        need(done.returncode != 0, f"{variables} was accepted")
        need(len(said) == 1 and said[0].startswith(f"nvidia-vgpu: DIB_NVIDIA_VGPU_{variable}: ") and words in said[0],
             f"{variables}: {done.stdout}")
        need("secret" not in said[0] and TOKEN[:40] not in done.stdout, "the reason shows a secret")
        need(set(os.listdir(hooks.hooks)) == before, "the check left something")


def claim_what_is_wrong_ends_the_build_before_anything_is_unpacked():
    for variables, variable, words in REFUSED:
        refused(variables, variable, words)


def claim_a_release_with_older_libraries_ends_the_build():
    for distribution, release, oldest in (("debian", "bullseye", "12"), ("ubuntu", "focal", "22.04"), ("centos", "8-stream", "9"),
                                          ("rocky", "8", "9"), ("almalinux", "8", "9"), ("rhel", "7.9", "9")):
        with Hooks() as hooks:
            done = hooks.run("root", DISTRO_NAME=distribution, DIB_RELEASE=release)
        need(done.returncode != 0 and len(complaints(done)) == 1, done.stdout)
        need(complaints(done)[0].startswith("nvidia-vgpu: DIB_RELEASE: ") and oldest in complaints(done)[0], done.stdout)
    for distribution, release in (("debian", "bookworm"), ("debian", "stable"), ("ubuntu", "noble"), ("rocky", "9"), ("fedora", "40")):
        with Hooks() as hooks:
            done = hooks.run("root", DISTRO_NAME=distribution, DIB_RELEASE=release)
        need(done.returncode == 0, done.stdout)


def claim_a_whole_configuration_is_checked_on_this_machine_by_the_agent_itself():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        for text, words in (('driver: { repositry = "https://pulp.example/"; };', "repositry"), ("monitor: { interval = 0; };", "interval")):
            with open(f"{folder}/agent.conf", "w") as file:
                file.write(text + "\n")
            os.chmod(f"{folder}/agent.conf", 0o666)  # what matters is who owns the guest's
            refused({"CONF": f"{folder}/agent.conf", "AGENT_PACKAGE": the_package(folder)}, "CONF", words)
        with open(f"{folder}/agent.conf", "w") as file:
            file.write('driver: { index_key = "/etc/vgpu-guest-agent/index-pub.pem"; };\n')
        with Hooks(CONF=f"{folder}/agent.conf", AGENT_PACKAGE=the_package(folder), REPOSITORY="http://pulp.example/nvidia/") as hooks:
            done = hooks.run("root")
            need(done.returncode == 0, done.stdout)  # the signed index vouches


def the_package(folder):
    path = f"{folder}/agent.deb"
    return path if os.path.exists(path) else package(folder)


def claim_a_driver_for_another_architecture_ends_the_build():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        for name, head in (("NVIDIA-Linux-aarch64-550.90.07-grid.run", ""), ("nvidia-linux-grid-550_550.90.07_arm64.deb", ""),
                           ("renamed.run", '#!/bin/sh\ntargetdir="NVIDIA-Linux-aarch64-550.90.07-grid"\n')):
            with open(f"{folder}/{name}", "w") as file:
                file.write(head)
            refused({"INSTALL": "image", "DRIVER_URL": f"file://{folder}/{name}"}, "DRIVER_URL",
                    "for aarch64, the image is for x86_64")


@contextlib.contextmanager
def server(status):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http_server.server_port}/NVIDIA-Linux-x86_64-550.90.07-grid.run"
    finally:
        http_server.shutdown()
        http_server.server_close()


def claim_a_driver_url_that_the_server_does_not_have_ends_the_build():
    with server(404) as url:
        refused({"DRIVER_URL": url}, "DRIVER_URL", "HTTP 404")
    with server(405) as url, Hooks(DRIVER_URL=url) as hooks:  # a server that does not like to be asked
        need(hooks.run("root").returncode == 0, "405 was taken for a missing file")
    refused({"INSTALL": "image", "DRIVER_URL": "http://127.0.0.1:9/x.run", "DRIVER_SHA256": "0" * 64}, "DRIVER_URL", "connect")


def claim_nothing_at_all_is_enough():
    with Hooks() as hooks:
        done = hooks.run("root")
        need(done.returncode == 0 and complaints(done) == [], done.stdout)


# White space and a byte order mark are data at the ends of a token: they must arrive as they are.
TOKENS = [TOKEN, TOKEN + "\n", "\n" + TOKEN + "\n\n", "\ufeff" + TOKEN + "\r\n"]


def claim_the_token_arrives_byte_for_byte():
    for token in TOKENS:
        with Hooks(CLIENT_TOKEN=token) as hooks:
            for phase in ("root", "extra-data"):
                done = hooks.run(phase)
                need(done.returncode == 0, done.stdout)
            path = f"{hooks.hooks}/nvidia-vgpu/token"
            with open(path, "rb") as file:
                need(file.read() == token.encode(), f"not what was given: {token[:3]!r}")
            need(os.stat(path).st_mode & 0o777 == 0o600, "others can read it")


def claim_the_token_is_in_no_trace_and_in_no_manifest():
    for token in TOKENS:
        with Hooks(trace=2, CLIENT_TOKEN=token) as hooks:
            # A hook of another element that writes what it sees, as dib-manifests' does.
            for phase in ("cleanup", "install"):
                os.makedirs(f"{hooks.hooks}/{phase}.d", exist_ok=True)
                with open(f"{hooks.hooks}/{phase}.d/01-tell", "w") as file:
                    file.write('#!/bin/bash\nset -x\necho "$DIB_ENV"\n')
                os.chmod(f"{hooks.hooks}/{phase}.d/01-tell", 0o755)
            hooks.tool("install-packages", "#!/bin/sh\nexit 1\n")
            said = "".join(hooks.run(phase).stdout for phase in ("root", "extra-data", "cleanup"))
            chroot = hooks.run("install", TMP_HOOKS_PATH="/no/such/folder")  # the chroot has no such folder
        need("DIB_X=" in said, "dib-manifests lost the other variables")
        core = token.strip("\ufeff\r\n")
        for part in (core, core[:40], core[-40:], core[1000:1040]):
            need(part not in said and part not in chroot.stdout, "the token was shown")


# The elements of the documentation's recipe, and those that the distribution's diskimage-builder lacks.
RECIPE = ["cloud-init", "disable-nouveau", "dkms", "epel", "grub2", "selinux-permissive", "block-device-mbr", "vm"]
NEWER = ["cloud-init-growpart", "extra-repos", "rpm"]
MERGE = """
set -eu
source $LIB/common-functions
expanded=$(python $LIB/element-info.py --env rootfs-tar nvidia-vgpu %s)
eval "$expanded"
generate_hooks >&2
echo $IMAGE_ELEMENT
"""


def claim_it_combines_with_the_elements_of_the_documentations_recipe():
    there = [name for name in NEWER if os.path.isdir(f"{element.dib()}/elements/{name}")]
    print(f"# not in this diskimage-builder: {', '.join(sorted(set(NEWER) - set(there)))}")
    with Hooks() as hooks:
        merged = f"{hooks.home}/merged"
        done = subprocess.run(["bash", "-c", MERGE % " ".join(RECIPE + there)], capture_output=True, text=True, check=False, env={
            **hooks.environment, "TMP_HOOKS_PATH": merged, "LIB": f"{element.dib()}/lib", "_LIB": f"{element.dib()}/lib",
            "ELEMENTS_PATH": f"{element.HERE}/elements:{element.ELEMENTS}:{element.dib()}/elements"})
        need(done.returncode == 0, done.stdout + done.stderr)
        for name in ("package-installs", "pkg-map", *RECIPE):
            need(name in done.stdout.split(), f"no {name} in {done.stdout}")
        for top, _, names in os.walk(element.ELEMENT):
            folder = os.path.relpath(top, element.ELEMENT)
            if folder.endswith(".d"):
                for name in names:
                    base.output("cmp", f"{top}/{name}", f"{merged}/{folder}/{name}")
        # All that can be wrong is said first; the packages are there before the agent; the driver comes after every kernel.
        for phase, name, others in (("root", "00-nvidia-vgpu", ["08-rootfs-tar"]), ("post-install", "60-nvidia-vgpu", ["97-dkms"])):
            order = sorted(os.listdir(f"{merged}/{phase}.d"))
            for other in others:
                need(order.index(name) < order.index(other), order)
        order = sorted(os.listdir(f"{merged}/install.d"))
        need(order.index("01-package-installs") < order.index("60-nvidia-vgpu"), order)


# Family -> a distribution of it, and packages that it calls otherwise.
FAMILIES = [("debian", "libc6-dev", "libssl-dev"), ("ubuntu", "libc6-dev", "libssl-dev"), ("rocky", "glibc-devel", "openssl-devel"),
            ("almalinux", "glibc-devel", "openssl-devel"), ("centos", "glibc-devel", "openssl-devel"), ("rhel", "glibc-devel", "openssl-devel")]


def claim_every_family_is_asked_for_packages_by_its_own_names():
    for distribution, toolchain, build in FAMILIES:
        for name, package_name in (("nvidia-vgpu-toolchain", toolchain), ("nvidia-vgpu-build", build)):
            said = base.output("python3", f"{element.dib()}/elements/pkg-map/bin/pkg-map", "--pkg-map", f"{element.ELEMENT}/pkg-map",
                               "--distro", distribution, name).split()
            need(package_name in said and name not in said, f"{distribution}: {said}")


def claim_the_chroot_does_not_have_the_token_in_its_environment():
    with Hooks(CLIENT_TOKEN=TOKEN) as hooks:
        for name in os.listdir(f"{hooks.hooks}/install.d"):
            os.unlink(f"{hooks.hooks}/install.d/{name}")
        with open(f"{hooks.hooks}/install.d/01-tell", "w") as file:
            file.write("#!/bin/sh\nenv\n")
        os.chmod(f"{hooks.hooks}/install.d/01-tell", 0o755)
        done = hooks.run("install", TMP_HOOKS_PATH="/no/such/folder")
        need(done.returncode == 0 and TOKEN[:40] not in done.stdout, "the token is in the environment of the chroot")


def claim_the_sources_that_are_brought_in_are_the_agents():
    with Hooks() as hooks:
        need(hooks.run("extra-data").returncode == 0, "extra-data.d failed")
        names = base.output("tar", "-tf", f"{hooks.hooks}/nvidia-vgpu/source.tar").splitlines()
    need("./agent/CMakeLists.txt" in names and "./CMakeLists.txt" in names, names[:20])
    need(not any(name.startswith(("./.git/", "./build/", "./tests/", "./.cache/")) for name in names), "too much")


def package(folder):
    """The agent of the build under test as a package, so that no compiler is asked for twice."""
    tree = f"{folder}/tree"
    os.makedirs(f"{tree}/DEBIAN")
    subprocess.run(["cmake", "--install", os.environ["VGPU_BUILD"], "--prefix", "/usr"], check=True, capture_output=True,
                   env={**base.ENVIRONMENT, "DESTDIR": tree})
    with open(f"{tree}/DEBIAN/control", "w") as file:
        file.write("Package: vgpu-guest-agent\nVersion: 0\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\n"
                   "Description: under test\n")
    base.output("dpkg-deb", "--root-owner-group", "--build", tree, f"{folder}/agent.deb")
    return f"{folder}/agent.deb"


@contextlib.contextmanager
def chroot(folder):
    """The base system as diskimage-builder's chroot: its tools are there, /proc is the machine's."""
    prepared = base.prepare()
    for name in ("root", "upper", "work"):
        os.makedirs(f"{folder}/{name}")
    root = f"{folder}/root"
    base.output("mount", "-t", "overlay", "overlay", "-o",
                f"lowerdir={prepared.path},upperdir={folder}/upper,workdir={folder}/work", root)
    try:
        base.output("mount", "-t", "proc", "proc", f"{root}/proc")
        shutil.copy(f"{element.dib()}/elements/dpkg/bin/install-packages", f"{root}/usr/local/bin")
        shutil.copy(f"{element.dib()}/lib/dib-run-parts", f"{root}/usr/local/bin")
        yield prepared, root
    finally:
        nspawn.unmount(f"{root}/proc")
        nspawn.unmount(root)


def in_chroot(hooks, root, phase):
    shutil.rmtree(f"{root}/tmp/in_target.d", ignore_errors=True)
    shutil.copytree(hooks.hooks, f"{root}/tmp/in_target.d")
    return hooks.run(phase, prefix=["chroot", root], parts="/usr/local/bin/dib-run-parts", folder="/tmp/in_target.d",
                     PATH=base.ENVIRONMENT["PATH"] + ":/usr/local/bin")


def claim_the_driver_is_built_in_the_chroot_for_the_kernels_of_the_image():
    if os.geteuid() != 0:
        raise check.Skip("a chroot needs root")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, chroot(folder) as (prepared, root):
        shutil.rmtree(f"{root}/usr/lib/modules/{prepared.kernels[1]}")  # one kernel is enough for a quick test
        os.makedirs(f"{root}/usr/lib/modules/{os.uname().release}")  # what a careless tool would build for
        with open(f"{folder}/agent.conf", "w") as file:
            file.write("license: { wait = 77; feature_type = 4; };\n")
        variables = {"CONF": f"{folder}/agent.conf", "INSTALL": "image", "DRIVER_URL": "file://" + scene.package("run"), "CLIENT_TOKEN": TOKEN + "\n",
                     "FEATURE_TYPE": "2", "AGENT_PACKAGE": package(folder), "REPOSITORY": "https://pulp.example/nvidia/"}
        modules_before = open("/proc/modules").read() if os.path.exists("/proc/modules") else None
        with Hooks(trace=1, **variables) as hooks:
            for phase in ("root", "extra-data"):
                done = hooks.run(phase)
                need(done.returncode == 0, done.stdout)
            for phase in ("install", "post-install"):
                done = in_chroot(hooks, root, phase)
                need(done.returncode == 0, done.stdout[-3000:])
                need(TOKEN[:40] not in done.stdout, "the token was shown")
        need_driver(root, prepared.kernels[0])
        need(not os.listdir(f"{root}/usr/lib/modules/{os.uname().release}"), "built for the build host's kernel")
        if modules_before is not None:
            need(open("/proc/modules").read() == modules_before, "the build host's modules were touched")
        with open(f"{root}/etc/nvidia/ClientConfigToken/client_configuration_token.tok") as file:
            need(file.read() == TOKEN + "\n", "not the token")
        need_settings(root)
        held = subprocess.run(["grep", "-rlF", TOKEN[100:160], f"{folder}/upper"], capture_output=True, text=True, check=False)
        shutil.rmtree(f"{root}/tmp/in_target.d")
        held = [name for name in held.stdout.splitlines() if "/tmp/in_target.d/" not in name]
        need([os.path.basename(name) for name in held] == ["client_configuration_token.tok"], held)


def need_settings(root):
    """The driver that is in the image needs no URL; for another one the repository is known."""
    said = " ".join(base.output("chroot", root, "vgpu-guest-agent", "config", "show").split())
    for line in ('license.feature_type = 2', 'license.wait = 77', 'driver.repository = "https://pulp.example/nvidia/"', 'driver.url = ""'):
        need(line in said, f"no {line} in\n{said}")


def need_driver(root, release):
    found = base.output("find", f"{root}/usr/lib/modules/{release}/updates", "-name", "nvidia.ko*").split()
    need(len(found) == 1, f"{found}")
    magic = base.output("modinfo", "-F", "vermagic", found[0]).split()[0]
    need(magic == release, f"built for {magic}, not for {release}")


def claim_an_image_without_headers_ends_the_build():
    with Hooks(INSTALL="image", DRIVER_URL="file:///x.run") as hooks:
        root = f"{hooks.home}/root"
        os.makedirs(f"{root}/lib/modules/6.1.0-1-amd64/kernel")
        hooks.tool("install-packages", "#!/bin/sh\necho asked for $* >&2\nexit 100\n")
        hooks.tool("vgpu-guest-agent", "#!/bin/sh\nexit 0\n")
        done = hooks.run("post-install", NVIDIA_VGPU_ROOT=root, NVIDIA_VGPU_PAYLOAD="/no/such")
    need(done.returncode != 0 and "asked for linux-headers-6.1.0-1-amd64" in done.stdout, done.stdout)
    need(complaints(done)[-1].startswith("nvidia-vgpu: DIB_NVIDIA_VGPU_INSTALL: \"image\" needs the headers"), done.stdout)


def claim_an_image_of_the_rhel_family_is_asked_in_its_own_words():
    """With stubs: no image of this family can be had here."""
    with Hooks(INSTALL="image", DRIVER_URL="file:///x.run", AGENT_PACKAGE="/x.rpm") as hooks:
        for name in ("bash", "find", "env", "mktemp", "rm", "sed", "tail", "tee", "mkdir", "chmod", "basename", "dirname"):
            os.symlink(shutil.which(name, path=element.PATH), f"{hooks.home}/bin/{name}")
        for name in ("rpm", "dnf", "install-packages"):
            hooks.tool(name, f"#!/bin/bash\necho {name} $*\n")
        hooks.tool("vgpu-guest-agent", "#!/bin/bash\nexit 0\n")
        os.makedirs(f"{hooks.hooks}/nvidia-vgpu")
        open(f"{hooks.hooks}/nvidia-vgpu/agent.rpm", "w").close()
        os.makedirs(f"{hooks.home}/root/lib/modules/5.14.0-427.el9.x86_64/kernel")
        said = ""
        for phase in ("install", "post-install"):
            script = 'source "$1"; exec "$2"'
            done = subprocess.run(["/bin/bash", "-c", script, "-", f"{hooks.hooks}/environment.d/10-nvidia-vgpu",
                                   f"{hooks.hooks}/{phase}.d/60-nvidia-vgpu"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False, env={
                                      **hooks.environment, "PATH": f"{hooks.home}/bin", "DIB_ENV": "",
                                      "NVIDIA_VGPU_ROOT": f"{hooks.home}/root", "NVIDIA_VGPU_PAYLOAD": f"{hooks.hooks}/nvidia-vgpu"})
            said += done.stdout
    need("dnf -y install " in said and "/agent.rpm" in said, said)
    need("install-packages kernel-devel-5.14.0-427.el9.x86_64" in said, said)


def claim_what_the_agent_says_of_a_bad_driver_is_handed_on():
    with Hooks(INSTALL="image", DRIVER_URL="file:///x.run") as hooks:
        root = f"{hooks.home}/root"
        os.makedirs(f"{root}/lib/modules/6.1.0-1-amd64/kernel")
        os.makedirs(f"{root}/lib/modules/6.1.0-1-amd64/build")
        open(f"{root}/lib/modules/6.1.0-1-amd64/build/Makefile", "w").close()
        hooks.tool("vgpu-guest-agent", '#!/bin/sh\n[ "$2" = install ] || exit 0\n'
                   "echo 'vgpu-guest-agent: unpack: the driver is for aarch64' >&2\necho 'hint: x' >&2\nexit 4\n")
        done = hooks.run("post-install", NVIDIA_VGPU_ROOT=root, NVIDIA_VGPU_PAYLOAD="/no/such")
    need(complaints(done) == ["nvidia-vgpu: DIB_NVIDIA_VGPU_DRIVER_URL: unpack: the driver is for aarch64 (status 4)"],
         done.stdout)
    need(done.returncode != 0, "it went on")


only = os.environ.get("VGPU_ONLY", "")
sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_") and only in name]))
