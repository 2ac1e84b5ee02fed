#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: coverage.py SUMMARY LEAST [FLOOR...]

Prints the line coverage of each floor of agent/, or of the floors named, and of them all, from gcovr's JSON summary. Ends 1 below
LEAST percent."""

import collections
import json
import pathlib
import sys


def floor_of(filename):
    """agent/model/driver/match.c is of the floor model: agent/driver/ is another."""
    parts = pathlib.Path(filename).parts
    return parts[parts.index("agent") + 1]


def main(summary, least, *wanted):
    floors = collections.defaultdict(lambda: [0, 0])
    with open(summary, encoding="utf-8") as file:
        for entry in json.load(file)["files"]:
            floor = floor_of(entry["filename"])
            if not wanted or floor in wanted:
                for name in (floor, "lines"):
                    floors[name][0] += entry["line_covered"]
                    floors[name][1] += entry["line_total"]

    total = floors.pop("lines")
    for floor, (covered, lines) in sorted(floors.items()) + [("lines", total)]:
        print(f"{floor + ':':9} {100 * covered / lines:5.1f} % ({covered} of {lines})")
    return 0 if 100 * total[0] >= float(least) * total[1] else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
