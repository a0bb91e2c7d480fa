#!/usr/bin/env python3
"""Check what ARCHITECTURE.md and CONTRIBUTING.md promise and a script can see: which crate uses which, and rules of the code.

    scripts/check_architecture.py [--root FOLDER] [--self-test]

Prints each violation as `file:line: rule: what is wrong`; exits 0 without any, 1 with some. Needs Python 3.8 and nothing else.

A rule of size or of seeded generators may be broken where the code is better for it: write the reason above the line, as
`// architecture: allow RULE: REASON` (anywhere in the file for file-length). The other rules have no exception.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import rust_source

# Crate folder -> zkloom crates that it may use. Dev-dependencies are free: tests need real proofs.
ARROWS = {
    "plonkish": set(),
    "kernels": set(),
    "model": set(),
    "verifier": {"plonkish"},
    "backends": {"kernels"},
    "backends/icicle-stub": {"kernels"},
    "capi": {"backends"},
    "prover": {"plonkish", "verifier", "backends"},
    "circuits": {"plonkish", "model"},
    "zkloom": {"plonkish", "verifier", "prover", "backends", "model", "circuits"},
    "cli": {"zkloom"},
    "benches": {"plonkish", "verifier", "prover", "kernels", "backends", "model", "circuits", "zkloom"},
}
# Crate folder -> packages outside the workspace that it must not use, as patterns of the whole name.
FORBIDDEN_PACKAGES = {
    "plonkish": ["rayon.*", "tract.*"],
    "verifier": ["rayon.*", "tract.*", "rand", "rand_chacha", "getrandom"],
    "model": ["ark-.*"],
    "circuits": ["tract.*", "ark-ec", "ark-poly"],
    "prover": ["tract.*"],
    "kernels": ["tract.*"],
    "backends": ["tract.*"],
    "cli": ["tract.*", "ark-.*"],
}
ANYHOW_CRATE = "cli"
UNSAFE_CRATES = {"kernels", "backends", "capi"}
# Files outside those crates: one maps files into memory, one sets a variable for drivers before there are threads.
UNSAFE_FILES = {"zkloom/src/content.rs", "cli/src/main.rs"}
FORBID_UNSAFE_CRATES = ("verifier", "plonkish")
NO_PANIC_CRATES = ("verifier", "plonkish")
# Folders and file names of code that only tests, benchmarks and examples run.
TEST_FOLDERS = {"tests", "benches", "examples", "fuzz"}
DRIVERS = {"prover/src/prove.rs", "verifier/src/verify.rs"}
FILE_LINES = 800
FUNCTION_LINES = 60
DRIVER_FUNCTION_LINES = 120
PARAMETERS = 6
SKIPPED_FOLDERS = {"target", "node_modules", "__pycache__"}

# Literals are blanked before the search, so `.expect("...")` looks like `.expect(   )`.
PANICS = re.compile(
    r"\.\s*unwrap\s*\(\s*\)|\.\s*expect\s*\((?=\s*\)|\s*&?\s*format!)|\b(?:panic|todo|unreachable|unimplemented)\s*!"
)
STUBS = re.compile(r"\b(?:todo|unimplemented)\s*!")
SEEDED = re.compile(r"\b(?:seed_from_u64|from_seed|test_rng)\b")
TRACT = re.compile(r"\btract(?:_\w+)?\b")
UNSAFE = re.compile(r"\bunsafe\b")
FORBID_UNSAFE = re.compile(r"#!\[\s*forbid\s*\([^)]*\bunsafe_code\b")
ALLOWANCE = re.compile(r"//\s*architecture: allow ([a-z-]+):\s*(\S.*)")
EXCUSABLE = {"file-length", "function-length", "parameters", "seeded-rng"}


class Violation:
    """One broken rule: file relative to the root, line from 1, the rule's name and a sentence."""

    def __init__(self, file, line, rule, message):
        self.file, self.line, self.rule, self.message = file, line, rule, message

    def __str__(self):
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


class SourceFile:
    """A Rust file with what the rules ask about it."""

    def __init__(self, root, path):
        self.path = path
        self.name = path.relative_to(root).as_posix()
        self.crate = self.name.split("/")[0]
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.splitlines()
        self.code = rust_source.strip(self.text)
        self.items = rust_source.test_items(self.code)
        self.only_tests = bool(TEST_FOLDERS & set(self.name.split("/")[:-1])) or self.name.endswith("/tests.rs")

    def is_test(self, line):
        """Whether the line is compiled for tests, benchmarks or examples only."""
        return self.only_tests or any(first <= line <= last for first, last, _ in self.items)

    def test_modules(self):
        """Paths without suffix of the modules that this file declares as `#[cfg(test)] mod name;`."""
        folder = self.path.parent if self.path.name in ("lib.rs", "main.rs", "mod.rs") else self.path.with_suffix("")
        return [folder / module for _, _, module in self.items if module]

    def allows(self, rule, line):
        """Whether a reasoned comment on the line or in the comments and attributes above it allows to break the rule."""
        number = line
        while number >= 1:
            text = self.lines[number - 1].strip() if number <= len(self.lines) else ""
            allowance = ALLOWANCE.search(text)
            if allowance and allowance.group(1) == rule:
                return True
            if number < line and not text.startswith(("//", "#")):
                return False
            number -= 1
        return False

    def allows_anywhere(self, rule):
        """Whether a reasoned comment anywhere in the file allows to break the rule."""
        return any(match.group(1) == rule for match in map(ALLOWANCE.search, self.lines) if match)


def walk(root, suffix):
    """Files of the tree with the suffix, sorted, without build outputs and hidden folders."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith("."))
        found.extend(Path(folder) / file for file in files if file.endswith(suffix))
    return sorted(found)


def read_sources(root):
    """All Rust files; files that a #[cfg(test)] declaration pulls in are marked."""
    sources = [SourceFile(root, path) for path in walk(root, ".rs")]
    modules = [module for source in sources for module in source.test_modules()]
    for source in sources:
        stem = source.path.with_suffix("")
        if any(stem == module or module in stem.parents for module in modules):
            source.only_tests = True
    return sources


def manifest_dependencies(text):
    """(kind, package, line) of each dependency in a Cargo.toml; kind is normal, build or dev."""
    found, kind, single = [], None, None
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.split("#")[0].strip()
        section = re.match(r"\[([^\[\]]+)\]$", line)
        if section:
            kind, single = None, None
            name = re.match(r"(?:target\..*\.)?((?:dev-|build-)?dependencies)(?:\.(.+))?$", section.group(1))
            if name:
                kind = {"dependencies": "normal", "build-dependencies": "build"}.get(name.group(1), "dev")
                single = name.group(2)
            if single:
                found.append([kind, single.strip('"'), number])
            continue
        if kind is None:
            continue
        key = re.match(r'"?([\w-]+)"?\s*(?:\.\s*[\w-]+\s*)?=', line)
        package = re.search(r'\bpackage\s*=\s*"([^"]+)"', line)
        if single and package:
            found[-1][1] = package.group(1)
        elif not single and key:
            found.append([kind, package.group(1) if package else key.group(1), number])
    return [tuple(entry) for entry in found]


def workspace_members(text):
    """(folder, line) of the workspace's members."""
    match = re.search(r"^members\s*=\s*\[([^\]]*)\]", text, re.MULTILINE)
    if not match:
        return []
    line = text.count("\n", 0, match.start()) + 1
    return [(name, line) for name in re.findall(r'"([^"]+)"', match.group(1))]


def crate_folder(package):
    """Folder of a workspace crate by its package name; None for a package from elsewhere."""
    if package == "zkloom":
        return "zkloom"
    return package[len("zkloom-") :] if package.startswith("zkloom-") else None


def check_dependency(file, folder, package, line):
    """The violations of one normal or build dependency."""
    used = crate_folder(package)
    if used is not None:
        if used not in ARROWS[folder]:
            allowed = ", ".join(sorted(ARROWS[folder])) or "no zkloom crate"
            yield Violation(file, line, "arrow", f"{folder} must not use {used} (it may use {allowed})")
    elif package == "anyhow" and folder != ANYHOW_CRATE:
        yield Violation(file, line, "package", f"{folder} must not use anyhow: libraries have typed errors")
    elif any(re.fullmatch(pattern, package) for pattern in FORBIDDEN_PACKAGES.get(folder, [])):
        yield Violation(file, line, "package", f"{folder} must not use {package}")


def check_manifests(root):
    """Arrows and forbidden packages, from the Cargo.toml of each member."""
    for folder, line in workspace_members((root / "Cargo.toml").read_text(encoding="utf-8")):
        if folder not in ARROWS:
            message = f"crate {folder} has no arrows yet: add it to ARROWS and to ARCHITECTURE.md"
            yield Violation("Cargo.toml", line, "arrow", message)
            continue
        manifest = root / folder / "Cargo.toml"
        if not manifest.is_file():
            yield Violation("Cargo.toml", line, "arrow", f"member {folder} has no Cargo.toml")
            continue
        for kind, package, number in manifest_dependencies(manifest.read_text(encoding="utf-8")):
            if kind != "dev":
                yield from check_dependency(f"{folder}/Cargo.toml", folder, package, number)


def occurrences(source, pattern):
    """(line, matched text) of a pattern in the code."""
    for match in pattern.finditer(source.code):
        yield rust_source.line_of(source.code, match.start()), match.group(0)


def check_unsafe(sources):
    """`unsafe` stands only where hardware and foreign functions need it, and two crates forbid it outright."""
    for source in sources:
        if source.crate not in UNSAFE_CRATES and source.name not in UNSAFE_FILES:
            for line, _ in occurrences(source, UNSAFE):
                allowed = " and ".join(f"{name}/" for name in sorted(UNSAFE_CRATES))
                yield Violation(source.name, line, "unsafe", f"unsafe code belongs in {allowed}")
        if source.name in [f"{crate}/src/lib.rs" for crate in FORBID_UNSAFE_CRATES]:
            if not FORBID_UNSAFE.search(source.code):
                yield Violation(source.name, 1, "forbid-unsafe", "the crate must begin with #![forbid(unsafe_code)]")


def check_sizes(source):
    """Lengths of files and functions, and numbers of parameters."""
    if len(source.lines) > FILE_LINES and not source.allows_anywhere("file-length"):
        message = f"{len(source.lines)} lines, at most {FILE_LINES}"
        yield Violation(source.name, FILE_LINES + 1, "file-length", message)
    limit = DRIVER_FUNCTION_LINES if source.name in DRIVERS else FUNCTION_LINES
    for name, line, length, parameters in rust_source.functions(source.code):
        if length > limit and not source.allows("function-length", line):
            yield Violation(source.name, line, "function-length", f"{name} has {length} lines, at most {limit}")
        if len(parameters) > PARAMETERS and not source.allows("parameters", line):
            message = f"{name} has {len(parameters)} parameters, at most {PARAMETERS} besides self"
            yield Violation(source.name, line, "parameters", message)


def check_panics(source):
    """Nothing that can panic on purpose in the crates that read untrusted bytes; no stubs anywhere."""
    strict = any(source.name.startswith(f"{crate}/src/") for crate in NO_PANIC_CRATES)
    for line, text in occurrences(source, PANICS if strict else STUBS):
        if strict and not source.is_test(line):
            message = f"`{text}` can panic: return a typed error"
            yield Violation(source.name, line, "panic", message)
        elif STUBS.search(text):
            yield Violation(source.name, line, "stub", f"`{text}` is a stub")


def check_randomness(source):
    """Generators with a chosen seed belong in tests: a proof made with one can be opened."""
    for line, text in occurrences(source, SEEDED):
        if not source.is_test(line) and not source.allows("seeded-rng", line):
            yield Violation(source.name, line, "seeded-rng", f"`{text}` outside tests")


def check_tract(sources):
    """The ONNX library is named in one file."""
    naming = []
    for source in sources:
        first = next(occurrences(source, TRACT), None)
        if first:
            naming.append((source, first[0]))
    if len(naming) > 1:
        names = ", ".join(source.name for source, _ in naming)
        for source, line in naming:
            yield Violation(source.name, line, "tract", f"tract must be named in one file, is named in {names}")
    elif naming and naming[0][0].crate != "model":
        yield Violation(naming[0][0].name, naming[0][1], "tract", "tract belongs in model/")


def check_allowances(source):
    """An allowance names a rule that may be broken."""
    for number, line in enumerate(source.lines, start=1):
        allowance = ALLOWANCE.search(line)
        if allowance and allowance.group(1) not in EXCUSABLE:
            rules = ", ".join(sorted(EXCUSABLE))
            message = f"`{allowance.group(1)}` can't be allowed; only {rules}"
            yield Violation(source.name, number, "allowance", message)


def check_scripts(root):
    """Lengths of Python files."""
    for path in walk(root, ".py"):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > FILE_LINES:
            message = f"{count} lines, at most {FILE_LINES}"
            yield Violation(path.relative_to(root).as_posix(), FILE_LINES + 1, "file-length", message)


def check(root):
    """All violations in the tree, in the order of files and lines."""
    sources = read_sources(root)
    found = list(check_manifests(root)) + list(check_unsafe(sources)) + list(check_tract(sources))
    found += list(check_scripts(root))
    for source in sources:
        for rule in (check_sizes, check_panics, check_randomness, check_allowances):
            found.extend(rule(source))
    return sorted(found, key=lambda violation: (violation.file, violation.line)), len(sources)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true", help="check the checker on trees made to fail")
    arguments = parser.parse_args()
    if arguments.self_test:
        import check_architecture_selftest

        return check_architecture_selftest.run()
    found, count = check(arguments.root)
    for violation in found:
        print(violation)
    print(f"architecture: {count} Rust files, {len(found)} violation{'' if len(found) == 1 else 's'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
