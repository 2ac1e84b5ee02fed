#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What tests/lint/check-documents.sh asks of the documents: see there."""
import glob
import os
import re
import sys

import documents

README_LINES_MAX = 120


def known_names():
    """What tests call by name: a recipe run_NAME of test_documents.py, or text_of("NAME") of another."""
    text = ""
    for path in glob.glob(f"{documents.CLONE}/tests/**/test_*.py", recursive=True):
        with open(path, encoding="utf-8") as file:
            text += file.read()
    return {name.replace("_", "-") for name in re.findall(r'def run_(\w+)\(self, text\)|(?:text_of|build)\("([a-z0-9-]+)"', text) for name in name if name}


def faults(block, names):
    place = f"{block.document}:{block.line}"
    if block.mark is None and block.language != "text":
        yield f"{place}: a fenced block that is no ```text needs a mark in the line before it: run, not run or transcript"
    if block.mark == "run" and block.value not in names:
        yield f"{place}: no test runs \"{block.value}\""
    if block.mark == "not run" and not block.value.startswith(documents.REASONS):
        yield f"{place}: \"{block.value}\" is no reason: {', '.join(documents.REASONS)}"


def anchors(path):
    with open(path, encoding="utf-8") as file:
        heads = re.findall(r"^#+ (.*)$", file.read(), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_links(document):
    folder = os.path.dirname(os.path.join(documents.CLONE, document))
    with open(os.path.join(documents.CLONE, document), encoding="utf-8") as file:
        text = re.sub(r"```.*?```", "", file.read(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or path in ELSEWHERE:
            continue
        full = os.path.normpath(os.path.join(folder, path)) if path else os.path.join(documents.CLONE, document)
        if not os.path.exists(full):
            yield f"{document}: {target} leads nowhere"
        elif anchor and full.endswith(".md") and anchor not in anchors(full):
            yield f"{document}: {target}: no such heading"


# Pages that come with another change: once they are there, their links are looked at.
ELSEWHERE = {path for path in ("docs/reliability.md", "SECURITY.md", "../SECURITY.md", "reliability.md")
             if not os.path.exists(os.path.join(documents.CLONE, "docs", path)) and not os.path.exists(os.path.join(documents.CLONE, path))}


def main():
    names, found = known_names(), []
    blocks = documents.every_block()
    for block in blocks:
        found += faults(block, names)
    for document in documents.documents():
        if document.endswith(".md"):
            found += broken_links(document)
    with open(f"{documents.CLONE}/README.md", encoding="utf-8") as file:
        lines = len(file.readlines())
    if lines > README_LINES_MAX:
        found.append(f"README.md has {lines} lines, {README_LINES_MAX} are the most")
    print(f"{sum(block.mark == 'run' for block in blocks)} fenced blocks are run; not run:")
    for block in blocks:
        if block.mark in ("not run", "transcript"):
            print(f"  {block.document}:{block.line}: {block.mark}: {block.value}")
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
