#!/usr/bin/env python3
"""Verify a zkLoom proof by docs/protocol.md alone, sharing no code with the Rust verifier. Python 3.8, no packages.

    scripts/verify_proof.py --pin FILE --key FILE --proof FILE [--statement FILE]
    scripts/verify_proof.py --self-test

Files are raw encodings, or zkLoom's own files (a pin, DIR/verification.key, a proof). A raw proof needs the statement as JSON:
{"publics": [[1, -2], ...], "externals": ["64 bytes in hexadecimal", ...]}; a proof file holds its statement. Prints one line and exits
0 for a valid proof, 1 for any other, 2 for files that cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from verifier_lib import artifact
from verifier_lib.encoding import Reader, Rejected, read_key, read_pin
from verifier_lib.rules import check
from verifier_lib.verify import verify


def read_statement(text: bytes) -> tuple:
    """(publics, externals) from JSON."""
    try:
        value = json.loads(text)
        publics, names = value["publics"], value["externals"]
        integers = all(type(number) is int for values in publics for number in values)
        externals = [bytes.fromhex(name) for name in names]
    except (ValueError, KeyError, TypeError) as error:
        raise Rejected(f"the statement is not the expected JSON: {error!r}") from error
    if not integers or any(len(point) != 64 for point in externals):
        raise Rejected("the statement holds something else than integers and points of 64 bytes")
    return [list(values) for values in publics], [Reader(point).point() for point in externals]


def check_proof(pin_bytes: bytes, key_bytes: bytes, proof_bytes: bytes, statement_text: bytes | None) -> str:
    """Accepts by returning a line about what was verified; raises Rejected otherwise."""
    pin = read_pin(artifact.unwrap(pin_bytes, "pin").content)
    key = read_key(artifact.key_content(key_bytes))
    check(key)
    if artifact.is_artifact(proof_bytes):
        proof, statement = artifact.proof_content(proof_bytes, key.digest)
    elif statement_text is None:
        raise Rejected("a raw proof needs --statement")
    else:
        proof, statement = proof_bytes, read_statement(statement_text)
    verify(key, pin, proof, statement)
    line = f"valid: key {key.digest.hex()}, public values {json.dumps(statement[0])}"
    return line + ("; WARNING: made with a development SRS, anyone can forge such proofs" if pin.development else "")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("pin", "key", "proof", "statement"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--self-test", action="store_true", help="check bundled proofs, and forgeries of them")
    arguments = parser.parse_args()
    if arguments.self_test:
        from verifier_lib import selftest

        return selftest.run(check_proof, read_statement)
    if None in (arguments.pin, arguments.key, arguments.proof):
        parser.error("--pin, --key and --proof are needed, or --self-test")
    try:
        files = [path.read_bytes() for path in (arguments.pin, arguments.key, arguments.proof)]
        text = arguments.statement.read_bytes() if arguments.statement else None
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        print(check_proof(*files, text))
    except Rejected as reason:
        print(f"not valid: {reason}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
