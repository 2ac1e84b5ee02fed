# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, in one line with an exit status as the agent's (contract, section 2), and progress on standard error."""

import sys
import time

NAMES = {1: "internal", 2: "usage", 5: "network", 6: "integrity", 7: "prerequisites", 15: "busy", 16: "permission"}
USAGE, NETWORK, INTEGRITY, PREREQUISITES, BUSY, PERMISSION = 2, 5, 6, 7, 15, 16
QUIET = False
SMALL = 1_000_000  # bytes


class Failure(Exception):
    """The text says what happened; `status` is what the caller does next."""

    def __init__(self, status, text, hint=None):
        super().__init__(clean(text))
        self.status, self.hint = status, hint

    def report(self):
        return {"name": NAMES.get(self.status, "internal"), "status": self.status, "step": "publish", "message": str(self),
                "hint": self.hint, "passing": self.status in (5, 15)}


def clean(text, most=400):
    """One line of what a server said: no control characters, no end."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= most else line[:most] + "..."


def line(text):
    if not QUIET:
        print(text, file=sys.stderr, flush=True)


def warn(text):
    print(f"warning: {clean(text)}", file=sys.stderr, flush=True)


class Progress:
    """A bar on a terminal, else a line per 10 %; with the rate and the time left. What is small is there before it could be read."""

    def __init__(self, what, total):
        self.what, self.total, self.began, self.done, self.first, self.told = what, max(total, 1), time.monotonic(), 0, 0, -1
        self.terminal = sys.stderr.isatty() and not QUIET

    def start_at(self, done):
        """So much was there before: it says nothing of the rate."""
        self.first = self.done = done

    def add(self, size):
        self.done += size
        percent = 100 * self.done // self.total
        if percent // (1 if self.terminal else 10) == self.told or QUIET or self.total < SMALL:
            return
        self.told = percent // (1 if self.terminal else 10)
        rate = (self.done - self.first) / max(time.monotonic() - self.began, 0.001)
        left = int((self.total - self.done) / rate) if rate else 0
        text = f"{self.what}: {percent} % of {self.total / 1e6:.1f} MB, {rate / 1e6:.1f} MB/s" + (f", {left} s left" if left else "")
        print(("\r\033[K" if self.terminal else "") + text, end="" if self.terminal and percent < 100 else "\n", file=sys.stderr, flush=True)
