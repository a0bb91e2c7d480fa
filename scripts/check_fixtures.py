#!/usr/bin/env python3
"""Check that every file in fixtures/ has the digest that fixtures/README.md states: scripts/check_fixtures.py

Fixtures change only on purpose; this makes a change by accident visible. Needs Python 3.8 and nothing else.
"""

import hashlib
import re
import sys
from pathlib import Path

ROW = re.compile(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", re.MULTILINE)


def faults(folder):
    """A sentence for each file that is missing, changed, or not described."""
    described = dict(ROW.findall((folder / "README.md").read_text(encoding="utf-8")))
    for name, digest in sorted(described.items()):
        path = folder / name
        if not path.is_file():
            yield f"{name} is described and missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield f"{name} differs from its digest: restore it, or update the digest if the change is meant"
    present = {path.name for path in folder.iterdir() if path.is_file() and path.name != "README.md"}
    for name in sorted(present - set(described)):
        yield f"{name} has no row with source and digest in README.md"
    if not described:
        yield "README.md describes no file"


def main():
    folder = Path(__file__).resolve().parent.parent / "fixtures"
    found = list(faults(folder))
    for line in found:
        print(f"fixtures/{line}")
    print(f"fixtures: {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
