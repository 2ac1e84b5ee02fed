# SPDX-License-Identifier: Apache-2.0
"""The documents and the fenced blocks in them, each with the mark in the line before it:

  <!-- run: NAME -->          a test runs it under this name (RST: ".. run: NAME")
  <!-- not run: REASON -->    why none does: it needs a cloud, a license server, a GPU or another family
  <!-- transcript: COMMAND -->  output that this command printed; so does all between two marks of a script that writes it"""
import collections
import os
import re

CLONE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
Block = collections.namedtuple("Block", "document line language mark value text")
MARK = re.compile(r"^(?:<!--|\.\.) (run|not run|transcript|picture): (.*?)(?: -->)?$")
GENERATED = re.compile(r"^<!-- (\w+):(begin|end) -->$")
REASONS = ("cloud", "license server", "GPU", "another family", "it is the run that runs this")


def documents():
    """Every document of the tree that is not test data."""
    found = []
    for folder, folders, names in os.walk(CLONE):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "build"]
        found += [os.path.relpath(os.path.join(folder, name), CLONE) for name in names if name.endswith((".md", ".rst"))]
    return sorted(name for name in found if not name.startswith(("tests/data/", "tests/fuzz/")))


def blocks(document):
    """The fenced blocks of one document, those of generated parts left out."""
    with open(os.path.join(CLONE, document), encoding="utf-8") as file:
        lines = file.read().split("\n")
    return list(rst(document, lines) if document.endswith(".rst") else markdown(document, lines))


def marked(lines, number):
    """The mark in the last line with words before this one."""
    while number > 0 and not lines[number - 1].strip():
        number -= 1
    found = MARK.match(lines[number - 1]) if number else None
    return (found.group(1), found.group(2)) if found else (None, None)


def markdown(document, lines):
    begin, generated = None, False
    for number, line in enumerate(lines):
        found = GENERATED.match(line)
        if found and begin is None:
            generated = found.group(2) == "begin"
        if not line.startswith("```"):
            continue
        if begin is None:
            begin = number
            continue
        if not generated:
            yield Block(document, begin + 1, lines[begin][3:].strip(), *marked(lines, begin), "\n".join(lines[begin + 1:number]) + "\n")
        begin = None


def rst(document, lines):
    for number, line in enumerate(lines):
        found = re.match(r"^\.\. code-block:: (\w+)$", line)
        if not found:
            continue
        text = []
        for each in lines[number + 1:]:
            if each and not each.startswith("    "):
                break
            text.append(each[4:])
        yield Block(document, number + 1, found.group(1), *marked(lines, number), "\n".join(text).strip("\n") + "\n")


def every_block():
    return [block for document in documents() for block in blocks(document)]


def text_of(name):
    """The block that is called so; it is there once."""
    found = [block for block in every_block() if block.mark == "run" and block.value == name]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} blocks are called {name}")
    return found[0].text
