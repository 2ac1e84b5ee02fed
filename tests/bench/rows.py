# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what is compared, the target, and what was measured. And the table as text, in docs/measurements.md, and as a picture."""
import collections
import re

BEGIN, END = "<!-- bench:begin -->\n", "<!-- bench:end -->\n"

Row = collections.namedtuple("Row", "what target unit value least ours theirs")
FAST, SLOW = "bundle, unshaped", "bundle, 1 Gbit/s"

# what, target, key, case, ours, theirs
RATIOS = (
    ("bundle with index: fetch, verify, unpack; CPU, of curl, sha256sum, unzip", 0.10, "cpu", FAST, "member", "manual"),
    ("the same, of curl, openssl dgst, unzip", None, "cpu", FAST, "member", "openssl"),
    ("the same, wall time, 1 Gbit/s", 0.25, "wall", SLOW, "member", "manual"),
    ("the same, wall time, unshaped", 0.15, "wall", FAST, "member", "manual"),
    ("bundle, only its own SHA-256 known; CPU", 0.25, "cpu", FAST, "pass", "manual"),
    ("the same, of curl, openssl dgst, unzip", None, "cpu", FAST, "pass", "openssl"),
    ("the same, wall time, 1 Gbit/s", None, "wall", SLOW, "pass", "manual"),
    ("bare .run; CPU, of curl, sha256sum", 0.20, "cpu", "run", "agent", "manual"),
    ("bare .run; CPU, of curl, openssl dgst", 0.50, "cpu", "run", "agent", "openssl"),
    ("boot to driver installed, modules compiled; wall time, 1 Gbit/s", 0.90, "wall", "boot", "build", "manual"),
    ("boot to driver installed, modules prebuilt; wall time, 1 Gbit/s", 0.08, "wall", "boot", "prebuilt", "manual"),
    ("CPU of fetch, of the libraries and a bare pipe: one member", 1.05, "cpu", FAST, "member", "member-pipe"),
    ("CPU of fetch, of the libraries and a bare pipe: one pass of the bundle", 1.05, "cpu", FAST, "pass", "pass-pipe"),
    ("CPU of fetch, of the libraries and a bare pipe: bare .run", 1.05, "cpu", "run", "agent", "pipe"),
    ("CPU of fetch, of the libraries alone: one member", None, "cpu", FAST, "member", "member-floor"),
    ("CPU of fetch, of the libraries alone: one pass of the bundle", None, "cpu", FAST, "pass", "pass-floor"),
    ("CPU of fetch, of the libraries alone: bare .run", None, "cpu", "run", "agent", "floor"),
)


def ratio(bench, what, target, key, case, ours, theirs):
    if not bench.values(case, ours, key) or not bench.values(case, theirs, key):
        return None
    mine, other = bench.median(case, ours, key), bench.median(case, theirs, key)
    least = bench.least(case, ours, key) / bench.least(case, theirs, key)
    return Row(what, target, "", mine / other, least, f"{mine:.3g} s", f"{other:.3g} s")


def of_member(bench, place):
    sent = bench.values(FAST, "member", "bytes")
    if not sent:
        return None
    size = place.member.compress_size
    return Row("bundle with index: bytes from the network, of the member's compressed size", 1.01, "", max(sent) / size,
               min(sent) / size, f"{max(sent) / 1e6:.1f} MB", f"{size / 1e6:.1f} MB")


def of_memory(bench, side, what):
    if not bench.values("memory", side, "memory"):
        return None
    value = bench.median("memory", side, "memory")
    return Row(f"peak memory of fetch, agent and its two workers together: {what}", 26, "MB", value, bench.least("memory", side, "memory"), "", "")


def of_licensed(bench, side, base, what, target):
    if not bench.values("licensed", side, "cpu"):
        return None
    value, least = ((take("licensed", side, "cpu") - take("licensed", base, "cpu")) * 1000 for take in (bench.median, bench.least))
    return Row(what, target, "ms", value, least, "", "")


def rows(bench, place):
    found = [of_member(bench, place)]
    found += [ratio(bench, *line) for line in RATIOS]
    found += [of_memory(bench, "member", "one member"), of_memory(bench, "pass", "one pass"), of_memory(bench, "run", "bare .run"),
              of_licensed(bench, "status", "smi", "CPU of `status` beside the `nvidia-smi -q` that it calls", 5),
              of_licensed(bench, "run", "nothing", "CPU of a second `run`, all its children included", 50)]
    return [row for row in found if row]


def figure(row, value):
    return f"{value:.1f} {row.unit}" if row.unit else f"{value:.3f}"


def verdict(row):
    return "" if row.target is None else "met" if row.value <= row.target else "**missed**"


def table(found, head, notes):
    lines = [head, "", "| what | median | least | target | | agent | the other |", "|---|---|---|---|---|---|---|"]
    for row in found:
        target = "" if row.target is None else f"≤ {row.target:g}{' ' + row.unit if row.unit else ''}"
        lines.append(f"| {row.what} | {figure(row, row.value)} | {figure(row, row.least)} | {target} | {verdict(row)} | "
                     f"{row.ours} | {row.theirs} |")
    return "\n".join(lines + ([""] + notes if notes else [])) + "\n"


def picture(found, head):
    """Bars: 1 is the target of each row, so that one look tells what is missed."""
    shown = [row for row in found if row.target is not None]
    width, left, step, scale = 1080, 560, 26, 320
    high = 70 + step * len(shown)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{high}" font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{high}" fill="white"/>', f'<text x="10" y="20">{escape(head)}</text>',
             f'<text x="{left}" y="44" fill="#555">0</text>', f'<text x="{left + scale - 20}" y="44" fill="#555">target</text>']
    for number, row in enumerate(shown):
        y = 52 + step * number
        length = min(1.45, row.value / row.target) * scale
        colour = "#3a7d44" if row.value <= row.target else "#b23a48"
        parts.append(f'<text x="10" y="{y + 14}">{escape(row.what)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.0f}" height="18" fill="{colour}"/>')
        parts.append(f'<text x="{left + length + 6:.0f}" y="{y + 14}">{escape(figure(row, row.value))}</text>')
    parts.append(f'<line x1="{left + scale}" y1="48" x2="{left + scale}" y2="{high - 14}" stroke="#333" stroke-dasharray="4"/>')
    return "\n".join(parts + ["</svg>"]) + "\n"


def escape(text):
    return text.replace("`", "").replace("&", "&amp;").replace("<", "&lt;")


def write_block(path, block):
    """The block between the markers becomes what was printed."""
    with open(path) as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{path} has no line {BEGIN.strip()} and {END.strip()}")
    text = re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: BEGIN + block + END, text, flags=re.S)
    with open(path, "w") as file:
        file.write(text)
