# SPDX-License-Identifier: Apache-2.0
"""What is run: for each case its sides, which alternate within a round. A side is a function that returns one sample."""
import contextlib
import json
import os
import random
import statistics
import subprocess

from lab import base, scene, servers

from . import measure, world

MANUAL_BOOT = """set -eu
cd /root
rm -rf NVIDIA* sums
wget --quiet --ca-certificate=/etc/vgpu-guest-agent/lab-ca.pem {url}/{zip}
echo '{digest}  {zip}' >sums
sha256sum --quiet --check sums
unzip -q -o -j {zip} '*-grid.run'
sh ./{run} -s
cp /etc/nvidia/gridd.conf.template /etc/nvidia/gridd.conf
sed -i 's/^#* *FeatureType=.*/FeatureType=1/' /etc/nvidia/gridd.conf
sync --data /lib/modules/{kernel}/kernel/drivers/video/nvidia.ko
"""


def say(text):
    print(f"# {text}", flush=True)


class Bench:
    """Keeps each result as it comes: one JSON line in the file, so that nothing is lost where the rest is not reached."""

    def __init__(self, path, rounds):
        self.path, self.rounds, self.results = path, rounds, {}

    def alternate(self, case, sides):
        """Each round in another order, the same in each run: what a side leaves behind, free memory above all, meets each other side."""
        for number in range(1, self.rounds + 1):
            for side in random.Random(number).sample(list(sides), len(sides)):
                sample = sides[side]()
                self.results.setdefault((case, side), []).append(sample)
                with open(self.path, "a") as file:
                    json.dump({"case": case, "side": side, "round": number, **sample}, file)
                    file.write("\n")
                say(f"{case}, {side}, round {number}: " + ", ".join(f"{key} {value:.4g}" for key, value in sorted(sample.items())))

    def values(self, case, side, key):
        return [sample[key] for sample in self.results.get((case, side), []) if key in sample]

    def median(self, case, side, key):
        return statistics.median(self.values(case, side, key))

    def least(self, case, side, key):
        return min(self.values(case, side, key))


def get(place, folder, name, *more):
    return place.inside("curl", "--silent", "--show-error", "--fail", "--cacert", place.ca, "--output", name,
                        f"{world.SERVER}/{folder}/{name}", *more)


def floor(place, file, *more, piped=False):
    """What the libraries alone need; piped: in two processes, as the agent's workers are."""
    return place.inside(f"{place.build}/tests/bench_fetch", *(["--pipe"] if piped else []), f"{world.SERVER}/{file}", place.ca, place.run, *more)


def bundle_sides(place):
    """Of the whole bundle nothing but the driver is wanted: that is all a careful administrator unpacks."""
    with open(f"{place.home}/sums", "w") as file:
        file.write(f"{place.digests[place.zip]}  {place.zip}\n")
    download = get(place, "bundle", place.zip)
    unpack = [["unzip", "-q", "-o", "-j", place.zip, "*-grid.run"], ["sync", "--data", place.run]]
    member = (f"bundle/{place.zip}", str(place.offset), str(place.member.compress_size))
    sides = {
        "manual": lambda: place.sample(download, ["sha256sum", "--quiet", "--check", f"{place.home}/sums"], *unpack),
        "openssl": lambda: place.sample(download, ["openssl", "dgst", "-sha256", place.zip], *unpack),
        "pass": lambda: place.sample(place.fetch("bundle")),
        "pass-floor": lambda: place.sample(floor(place, *member, "pass")),
        "pass-pipe": lambda: place.sample(floor(place, *member, "pass", piped=True)),
        "member-floor": lambda: place.sample(floor(place, *member)),
        "member-pipe": lambda: place.sample(floor(place, *member, piped=True)),
    }
    if place.has_index:
        sides["member"] = lambda: place.sample(place.fetch("index"))
    return sides


def bundle(bench, place):
    for link in ("unshaped", "1 Gbit/s"):
        place.link.shape(link != "unshaped")
        sides = bundle_sides(place)
        if link != "unshaped":  # CPU is measured without the link
            sides = {name: take for name, take in sides.items() if not name.endswith(("-floor", "-pipe"))}
        bench.alternate(f"bundle, {link}", sides)
    place.link.shape(False)


def bare_run(bench, place):
    with open(f"{place.home}/sums", "w") as file:
        file.write(f"{place.digests[place.run]}  {place.run}\n")
    download, keep = get(place, "run", place.run), ["sync", "--data", place.run]
    bench.alternate("run", {
        "manual": lambda: place.sample(download, ["sha256sum", "--quiet", "--check", f"{place.home}/sums"], keep),
        "openssl": lambda: place.sample(download, ["openssl", "dgst", "-sha256", place.run], keep),
        "agent": lambda: place.sample(place.fetch("run")),
        "floor": lambda: place.sample(floor(place, f"run/{place.run}")),
        "pipe": lambda: place.sample(floor(place, f"run/{place.run}", piped=True)),
    })


def peak(bench, place):
    def take(folder):
        place.clean()
        return measure.Sample(memory=measure.memory(place.fetch(folder), cwd=place.out, environment=base.ENVIRONMENT))

    sides = {"run": lambda: take("run"), "pass": lambda: take("bundle")}
    if place.has_index:
        sides["member"] = lambda: take("index")
    bench.alternate("memory", sides)


@contextlib.contextmanager
def guest_with(place):
    """A booted guest with a vGPU and the same bundle in its repository."""
    with scene.bare() as guest:
        os.environ["VGPU_BUILD"] = place.build
        scene.furnish(guest)
        servers.publish(guest.servers, place.bundle)
        guest.boot(tied=True)
        yield guest


def in_guest(guest, *command):
    sample, text = measure.run(guest.argv(command), environment=base.ENVIRONMENT)
    return sample, text


def licensed(bench, place):
    """What is done on a guest that has all it needs already. The time to enter the guest, `true`, is no part of it."""
    with guest_with(place) as guest:
        in_guest(guest, "vgpu-guest-agent", "run")
        bench.alternate("licensed", {side: lambda argv=argv: in_guest(guest, *argv)[0] for side, argv in {
            "nothing": ["true"], "smi": ["nvidia-smi", "-q"], "status": ["vgpu-guest-agent", "status"],
            "run": ["vgpu-guest-agent", "run"]}.items()})


def prebuilt_for(guest, place):
    """Puts an archive of the modules beside the bundle, where the agent can build one."""
    release = guest.kernels[0]
    archive = f"nvidia-modules-{scene.DRIVER}-{release}-proprietary.tar.gz"
    try:
        in_guest(guest, "vgpu-guest-agent", "build-modules", "--kernel", release, "--output", f"/root/{archive}",
                 *scene.asking_for(scene.DRIVER))
        servers.publish(guest.servers, f"{guest.root}/root/{archive}")
    except measure.Failed as failure:
        say(f"no prebuilt modules: {' '.join(str(failure).splitlines()[-2:])}")
        return False
    with open(f"{guest.servers}/repository/vgpu-index.json", "wb") as file:
        subprocess.run([place.agent, "index", *(f"{guest.servers}/repository/{name}" for name in (place.zip, archive))],
                       env=base.ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=file, check=True)
    servers.publish(guest.servers)
    return True


def boot(bench, place):
    """From the first command in a booted guest to a driver that is installed, over a link of 1 Gbit/s."""
    with guest_with(place) as guest:
        manual = MANUAL_BOOT.format(url=servers.REPOSITORY_URL.rstrip("/"), zip=place.zip, run=place.run,
                                    digest=place.digests[place.zip], kernel=guest.kernels[0])
        link = world.Link(guest.netns)

        def fresh():
            link.shape(False)
            guest.reset()
            guest.install_agent(place.build)
            scene.write(guest, "/etc/vgpu-guest-agent/agent.conf",
                        'http: { ca_file = "/etc/vgpu-guest-agent/lab-ca.pem"; };\n')
            scene.plant(guest)
            guest.boot(tied=True)
            in_guest(guest, "apt-get", "--quiet", "update")
            in_guest(guest, "apt-get", "--quiet", "--yes", "--no-install-recommends", "install", "wget", "unzip")
            os.sync()
            link.shape(True)

        def by_hand():
            fresh()
            return in_guest(guest, "sh", "-c", manual)[0]

        def by_agent(prebuilt):
            fresh()
            return in_guest(guest, "vgpu-guest-agent", "--set", f"driver.prebuilt={prebuilt}", "install")[0]

        sides = {"manual": by_hand, "build": lambda: by_agent("never")}
        if prebuilt_for(guest, place):
            sides["prebuilt"] = lambda: by_agent("only")
        bench.alternate("boot", sides)
        link.shape(False)


CASES = {"bundle": bundle, "run": bare_run, "memory": peak, "licensed": licensed, "boot": boot}
