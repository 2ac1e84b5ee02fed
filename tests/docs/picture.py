# SPDX-License-Identifier: Apache-2.0
"""Draws what the queries of the dashboard returned: one page with a panel for each, where the dashboard has it, and its picture as the
browser shows it. It stands in for Grafana, which Debian does not have."""
import html
import os
import shutil
import subprocess
import tempfile

STYLE = """body{background:#111217;color:#ccccdc;font:13px sans-serif;margin:12px;width:1416px}
h1{font-size:18px;margin:0 0 2px} p{margin:0 0 10px;color:#8e8e9e}
.grid{display:grid;grid-template-columns:repeat(24,1fr);grid-auto-rows:26px;gap:8px}
.panel{background:#181b1f;border:1px solid #2c3235;padding:6px 10px;overflow:hidden}
.panel h2{font-size:13px;margin:0 0 6px;font-weight:500}
.big{font-size:40px;color:#73bf69;text-align:center;line-height:1.4}
.row{display:flex;align-items:center;height:19px;margin-bottom:3px}
.row span{width:46%;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
.row i{display:block;height:12px;background:#5794f2;margin-right:6px} .row b{font-weight:400}
table{border-collapse:collapse;width:100%} td{border-bottom:1px solid #2c3235;padding:2px 6px}"""
ROWS = 10


def number(text, unit):
    value = float(text)
    shown = f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"
    return shown + {"s": " s", "d": " d", "h": " h"}.get(unit, "")


def name(metric, legend):
    for key, value in metric.items():
        legend = legend.replace("{{%s}}" % key, value)
    return html.escape(legend.replace("{{step}}", "").strip() or "all")


def bars(panel, result):
    unit, legend = panel["fieldConfig"]["defaults"]["unit"], panel["targets"][0]["legendFormat"]
    result = sorted(result, key=lambda each: float(each["value"][1]), reverse=unit != "d")[:ROWS]
    most = max((abs(float(each["value"][1])) for each in result), default=1) or 1
    return "".join(f'<div class=row><span>{name(each["metric"], legend)}</span>'
                   f'<i style="width:{max(1, abs(float(each["value"][1])) / most * 40):.0f}%"></i><b>{number(each["value"][1], unit)}</b></div>'
                   for each in result)


def table(result):
    cells = [(each["metric"]["instance"], each["metric"].get("name") or each["metric"].get("code"), each["metric"].get("step", "license"))
             for each in result]
    return "<table>" + "".join("<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in row) for row in sorted(cells)) + "</table>"


def page(found, count):
    panels = {}
    for panel, result in found:
        panels.setdefault(panel["id"], (panel, []))[1].extend(result)
    parts = [f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><h1>vGPU guests</h1><p>The queries of grafana-dashboard.json, answered by "
             f"Prometheus with the agent's own metrics of {count} stand-in guests; drawn by tests/docs/picture.py.</p><div class=grid>"]
    for panel, result in panels.values():
        at = panel["gridPos"]
        place = f'grid-column:{at["x"] + 1}/span {at["w"]};grid-row:{at["y"] + 1}/span {at["h"]}'
        body = (f'<div class=big>{number(result[0]["value"][1], "none")}</div>' if panel["type"] == "stat"
                else table(result) if panel["type"] == "table" else bars(panel, result))
        parts.append(f'<div class=panel style="{place}"><h2>{html.escape(panel["title"])}</h2>{body}</div>')
    return "".join(parts) + "</div>"


def draw(found, count, path):
    """The picture at `path`; the browser runs without its own sandbox, which needs a user, on a page of ours alone."""
    chromium = shutil.which("chromium")
    if not chromium:
        raise SystemExit("no chromium here")
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/page.html", "w", encoding="utf-8") as file:
            file.write(page(found, count))
        subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
                        "--window-size=1440,1600", f"--screenshot={folder}/page.png", f"file://{folder}/page.html"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        shutil.copyfile(f"{folder}/page.png", path)
        print(f"{path}: {os.path.getsize(path)} bytes")
