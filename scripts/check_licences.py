#!/usr/bin/env python3
"""Check that every package in Cargo.lock has a licence on the list in deny.toml, and that no dependency's version is a wildcard.

    scripts/check_licences.py [--metadata FILE] [--self-test]

Asks `cargo metadata --locked` for the packages (offline if they are already downloaded), or reads FILE. Exits 0 if all is well,
1 with a line for each package that is not. Needs Python 3.8 and cargo.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOKEN = re.compile(r"\s*(\(|\)|/|[A-Za-z0-9.+-]+)")
OPERATORS = {"(", ")", "/", "AND", "OR", "WITH"}


class ExpressionError(Exception):
    """A licence expression that is not SPDX (or the older form with slashes)."""


def allowed_licences(text):
    """The strings of `allow = [...]` under [licenses]."""
    section = re.search(r"^\[licenses\]$(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.search(r"^allow\s*=\s*\[(.*?)\]", section.group(1), re.MULTILINE | re.DOTALL) if section else None
    found = set(re.findall(r'"([^"]+)"', entries.group(1))) if entries else set()
    if not found:
        raise SystemExit("deny.toml holds no list of allowed licences")
    return found


def tokenise(expression):
    """Identifiers, operators and brackets."""
    tokens, position = [], 0
    while position < len(expression.rstrip()):
        match = TOKEN.match(expression, position)
        if not match:
            raise ExpressionError(f"unexpected character at {position}")
        tokens.append(match.group(1))
        position = match.end()
    return tokens


class Evaluator:
    """Decides an expression: OR (or a slash) needs one side, AND both, WITH names an exception of the licence before it."""

    def __init__(self, expression, allowed):
        self.tokens, self.position, self.allowed = tokenise(expression), 0, allowed

    def peek(self):
        """The next token, or None."""
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self):
        """The next token, consumed."""
        token = self.peek()
        if token is None:
            raise ExpressionError("ends early")
        self.position += 1
        return token

    def whole(self):
        """Value of the expression; nothing may be left over."""
        value = self.alternatives()
        if self.peek() is not None:
            raise ExpressionError(f"`{self.peek()}` is left over")
        return value

    def alternatives(self):
        """Value of terms joined by OR."""
        value = self.conjunction()
        while self.peek() in ("OR", "/"):
            self.take()
            value = self.conjunction() or value
        return value

    def conjunction(self):
        """Value of terms joined by AND."""
        value = self.licence()
        while self.peek() == "AND":
            self.take()
            value = self.licence() and value
        return value

    def licence(self):
        """Value of one licence or of a bracket."""
        token = self.take()
        if token == "(":
            value = self.alternatives()
            if self.take() != ")":
                raise ExpressionError("a bracket stays open")
            return value
        if token in OPERATORS:
            raise ExpressionError(f"`{token}` where a licence should stand")
        if self.peek() == "WITH":
            self.take()
            token = f"{token} WITH {self.take()}"
        return token in self.allowed


def licence_fault(expression, allowed):
    """What is wrong with a package's licence; None if nothing."""
    if not expression:
        return "states no licence expression"
    try:
        accepted = Evaluator(expression, allowed).whole()
    except ExpressionError as error:
        return f"licence `{expression}` can't be read: {error}"
    return None if accepted else f"licence `{expression}` is not on deny.toml's list"


def wildcard_faults(package):
    """A sentence for each dependency that takes any version from a registry."""
    for dependency in package["dependencies"]:
        if dependency["req"] == "*" and dependency.get("source"):
            yield f"takes any version of {dependency['name']}"


def faults(metadata, allowed):
    """One line for each fault; only the workspace's own manifests are asked for wildcards."""
    members = set(metadata["workspace_members"])
    for package in sorted(metadata["packages"], key=lambda package: (package["name"], package["version"])):
        sentences = [licence_fault(package.get("license"), allowed)]
        if package["id"] in members:
            sentences += wildcard_faults(package)
        for sentence in sentences:
            if sentence:
                yield f"{package['name']} {package['version']}: {sentence}"


def read_metadata():
    """The output of `cargo metadata`, without the network where that works."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    result = subprocess.run(command + ["--offline"], cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"cargo metadata failed:\n{result.stderr}")
    return json.loads(result.stdout)


def self_test():
    """Expressions and manifests with known answers; 0 if all are as expected."""
    allowed = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-3-Clause"}
    good = ["MIT", "MIT/GPL-3.0", "GPL-3.0 OR MIT", "(GPL-3.0 OR MIT) AND BSD-3-Clause", "Apache-2.0 WITH LLVM-exception"]
    bad = ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR GPL-3.0) AND GPL-3.0", "MIT WITH LLVM-exception", "MIT OR", "(MIT", "MIT MIT"]
    failed = [text for text in good if licence_fault(text, allowed)]
    failed += [text for text in bad + ["", None] if not licence_fault(text, allowed)]
    wildcard = {"name": "rand", "req": "*", "source": "registry"}
    package = {"name": "a", "version": "1", "id": "a", "license": "GPL-3.0", "dependencies": [wildcard]}
    tree = {"workspace_members": ["a"], "packages": [package]}
    if len(list(faults(tree, allowed))) != 2:
        failed.append("a package with two faults")
    if "MIT" not in allowed_licences('[licenses]\nallow = [\n    "MIT",\n]\n[bans]\nallow = ["GPL-3.0"]\n'):
        failed.append("the list in deny.toml")
    cases = len(good) + len(bad) + 4
    for case in failed:
        print(f"self-test: wrong answer for {case}")
    print(f"licences self-test: {cases - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metadata", type=Path, help="output of cargo metadata, instead of calling cargo")
    parser.add_argument("--self-test", action="store_true", help="check the checker on cases with known answers")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    allowed = allowed_licences((ROOT / "deny.toml").read_text(encoding="utf-8"))
    metadata = json.loads(arguments.metadata.read_text()) if arguments.metadata else read_metadata()
    found = list(faults(metadata, allowed))
    for line in found:
        print(line)
    print(f"licences: {len(metadata['packages'])} packages, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
