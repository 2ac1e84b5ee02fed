#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fails where a variable with a cleanup attribute is declared without the empty value: a return before it is set would clean up
# what stands in memory by chance.

set -eu
cd "$(dirname "$0")/../.."

exec python3 -B - agent tests <<'EOF2'
import pathlib
import re
import sys

NOISE = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^[ \t]*#(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE)
DECLARATION = re.compile(r"(?<=[;{}:)])\s*(?:static\s+)?(cleanup(?:\s*\(\s*\w+\s*\)|_\w+)\s+[^;]*);")


def without_noise(text):
    """Comments, texts and directives as blanks, so that lines keep their numbers."""
    return NOISE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def declarators(declaration):
    """What stands between the commas that are in no bracket."""
    depth, part = 0, ""
    for letter in declaration:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            yield part
            part = ""
        else:
            part += letter
    yield part


def bare(text):
    """The line numbers and declarations in which a variable has no value."""
    text = without_noise(text)
    for found in DECLARATION.finditer(text):
        if not all("=" in part for part in declarators(found.group(1))):
            yield text.count("\n", 0, found.start(1)) + 1, " ".join(found.group(1).split())


# The rule itself can fail, and is not fooled.
for text, count in (("{ cleanup_fd int fd; }", 1), ("{ cleanup_fd int fd = -1; }", 0),
                    ("{ cleanup_json struct json *one = NULL, *other; }", 1),
                    ("{ cleanup_json struct json *one = NULL, *other = NULL; }", 0),
                    ("{ cleanup(key_cleanup)\n\tEVP_PKEY *key\n\t= f(a, b); }", 0), ("{ cleanup(x_done) struct x x; }", 1),
                    ("{ int i; cleanup(x_done) struct x x = { f(1), 2 }, /* = */ y; }", 1), ("{ /* cleanup_fd int fd; */ }", 0),
                    ("#define cleanup_fd cleanup(cleanup_fd_)\nint fd;", 0)):
    if len(list(bare(text))) != count:
        sys.exit(f"this script errs about: {text}")

wrong = 0
for folder in sys.argv[1:]:
    for file in sorted(pathlib.Path(folder).rglob("*.[ch]")):
        for line, declaration in bare(file.read_text()):
            print(f"{file}:{line}: declared without the empty value: {declaration}")
            wrong = 1
sys.exit(wrong)
EOF2
