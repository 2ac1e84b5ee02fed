#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks still run, with a small bundle and few agents: what they print of it means nothing here, that they print it does."""
import json
import os
import subprocess
import sys
import tempfile
import xml.dom.minidom

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [f"{HOME}/tests/support", f"{HOME}/tests"]
from bench import herd, rows  # noqa: E402
from lab import check  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("nginx", "ip", "tc", "curl", "unzip", "openssl", "nsenter")

RESULTS = f"{HOME}/build/bench/results.jsonl"


def bench(script, *arguments, **environment):
    done = subprocess.run([f"{HOME}/scripts/{script}", "--build", os.environ["VGPU_BUILD"], *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
                          env={**os.environ, **environment})
    need(done.returncode == 0, done.stdout[-3000:])
    return done.stdout


def claim_each_script_says_what_it_does_and_refuses_the_rest():
    for script in ("bench", "bench-herd", "bench-license", "bench-validate"):
        done = subprocess.run([f"{HOME}/scripts/{script}", "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
        need(done.returncode == 0 and f"usage: scripts/{script}" in done.stdout, f"{script} --help: {done}")
        done = subprocess.run([f"{HOME}/scripts/{script}", "--nonsense"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              check=False)
        need(done.returncode == 2 and "--nonsense" in done.stderr, f"{script} --nonsense: {done}")


def claim_bench_prints_a_table_and_keeps_each_result():
    before = os.path.getsize(RESULTS) if os.path.exists(RESULTS) else 0
    with tempfile.TemporaryDirectory() as fresh:  # as on a clone where nothing was made yet
        said = bench("bench", "--size", "small", "--rounds", "1", "--only", "run", "--only", "memory", VGPU_LAB_CACHE=f"{fresh}/not/there")
    for words in ("| bare .run; CPU, of curl, sha256sum | ", "| ≤ 0.2 | ", "peak memory of fetch", "SHA instructions", "the ratios mean nothing"):
        need(words in said, f"no {words!r} in\n{said}")
    with open(RESULTS) as file:
        file.seek(before)
        kept = [json.loads(line) for line in file]
    sides = {(line["case"], line["side"]) for line in kept}
    need({("run", side) for side in ("manual", "openssl", "agent", "floor", "pipe")} <= sides, sides)
    need(all(line["cpu"] > 0 and line["wall"] > 0 and line["bytes"] > 3 << 20 for line in kept if line["case"] == "run"), kept)
    xml.dom.minidom.parse(f"{HOME}/build/bench/bench.svg")


def claim_a_small_herd_is_served():
    said = bench("bench-herd", "--agents", "8", "--simulated", "100", "--size", "2", "--connections", "4")
    for words in ("8 agents, ", "0 failed", "100 guests simulated", "retries: ", "\nwell\n"):
        need(words in said, f"no {words!r} in\n{said}")


def claim_retries_at_the_same_moment_are_seen():
    need(herd.burst([5.0 + number / 1000 for number in range(100)]) == 7, "all at once")
    need(herd.burst([number / 20 for number in range(1000)]) < 2.5, "twenty in each second")


def claim_a_missed_target_is_said_to_be_missed():
    found = [rows.Row("well", 0.5, "", 0.5, 0.4, "1 s", "2 s"), rows.Row("badly", 0.5, "", 0.51, 0.4, "1 s", "2 s"),
             rows.Row("without a target", None, "ms", 7, 6, "", "")]
    lines = {line.split(" | ")[0]: line for line in rows.table(found, "head", []).splitlines()}
    need("| met |" in lines["| well"] and "**missed**" in lines["| badly"], lines)
    need("met" not in lines["| without a target"] and "7.0 ms" in lines["| without a target"], lines)
    picture = xml.dom.minidom.parseString(rows.picture(found, "a < b"))
    need(len(picture.getElementsByTagName("rect")) == 3, "one bar for each row with a target, on white")


sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")]))
