"""Bundled proofs are accepted; forgeries of them are rejected, and for the expected reason."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Callable

from .artifact import wrap
from .bn254 import ORDER
from .encoding import Key, Pin, Rejected, point_bytes, read_key, read_pin
from .hashes import blake3, keccak256
from .rules import check
from .verify import read_proof, verify

FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures" / "proofs"
EQUATION = "the pairing equation does not hold"
GENERATOR = (1, 2)


class Failure(Exception):
    """The self-test found something wrong."""


class Case:
    """The four files of a fixture, read."""

    def __init__(self, folder: Path, read_statement: Callable) -> None:
        self.name = folder.name
        self.pin_bytes, self.key_bytes = (folder / "pin").read_bytes(), (folder / "key").read_bytes()
        self.proof = (folder / "proof").read_bytes()
        self.text = (folder / "statement.json").read_bytes()
        self.statement = read_statement(self.text)
        self.pin: Pin = read_pin(self.pin_bytes)
        self.key: Key = read_key(self.key_bytes)
        check(self.key)


def _rejects(what: str, reason: str, attempt: Callable) -> None:
    """The attempt must be rejected with a reason that starts so."""
    try:
        attempt()
    except Rejected as found:
        if not str(found).startswith(reason):
            raise Failure(f"{what}: rejected because `{found}`, expected `{reason}...`") from found
        return
    raise Failure(f"{what}: accepted")


def _element_kinds(case: Case) -> list:
    """For each 32 bytes of a proof whether they are a point: points and field elements come in the order of the rounds."""
    proof = read_proof(case.key.circuit, case.proof)
    before = len(proof["round1"]) + len(proof["folds"]) + len(proof["helpers"]) + len(proof["running_sum"]) + 2
    scalars = 1 + (proof["fold_value"] is not None)
    pieces, values = len(proof["quotient"]), len(proof["round5"])
    return [True] * before + [False] * scalars + [True] * pieces + [False] * values + [True] * 3


def _changed_proofs(case: Case, stride: int) -> int:
    """Every `stride`-th element is changed by one bit that leaves it well formed: a point's sign, a scalar's last bit."""
    kinds, count = _element_kinds(case), 0
    if 32 * len(kinds) != len(case.proof):
        raise Failure(f"{case.name}: {len(case.proof)} bytes for {len(kinds)} elements")
    for index in range(0, len(kinds), stride):
        changed = bytearray(case.proof)
        position, bit = (32 * index, 0x40) if kinds[index] else (32 * index + 31, 1)
        changed[position] ^= bit
        what = f"{case.name}, proof with byte {position} changed"
        _rejects(what, EQUATION, lambda: verify(case.key, case.pin, bytes(changed), case.statement))
        count += 1
    return count


def _malformed_proofs(case: Case) -> int:
    """Lengths, flags, and numbers that are not canonical."""
    proof, scalar = case.proof, 32 * _element_kinds(case).index(False)
    value = int.from_bytes(proof[scalar:scalar + 32], "big")
    forgeries = [
        ("the data ends", proof[:-1]),
        ("1 bytes are left over", proof + b"\0"),
        ("byte 32: no compressed point", bytes([proof[0] & 0x3F]) + proof[1:]),
        ("byte 32: no compressed point", b"\xff" * 32 + proof[32:]),
        (f"byte {scalar + 32}: a field element", proof[:scalar] + (value + ORDER).to_bytes(32, "big") + proof[scalar + 32:]),
    ]
    for reason, forged in forgeries:
        _rejects(f"{case.name}, malformed proof", reason, lambda: verify(case.key, case.pin, forged, case.statement))
    return len(forgeries)


def _changed_statements(case: Case) -> int:
    """Another public value, one outside its interval, another external commitment, another number of tensors."""
    publics, externals = case.statement
    forgeries = [("the statement has", (publics + [[0]], externals))]
    for index, public in enumerate(case.key.circuit.publics):
        low, high = public.interval
        for value, reason in ((publics[index][0] + (1 if publics[index][0] < high else -1), EQUATION),
                              (high + 1, "public tensor"), (publics[index][0] + ORDER, "public tensor")):
            changed = [list(values) for values in publics]
            changed[index][0] = value
            forgeries.append((reason, (changed, externals)))
    if externals:
        forgeries.append((EQUATION, (publics, [GENERATOR, *externals[1:]])))
    for reason, statement in forgeries:
        _rejects(f"{case.name}, statement {statement}", reason, lambda: verify(case.key, case.pin, case.proof, statement))
    return len(forgeries)


def _other_keys(case: Case, others: list) -> int:
    """A key with another context or another name in it, and other circuits' proofs."""
    # Hash, SRS, context, three numbers, number of advice columns, length of the first name: the first letter of a name.
    for what, position in (("context", 1 + 32), ("renamed column", 1 + 32 + 32 + 12 + 4 + 4)):
        changed = bytearray(case.key_bytes)
        changed[position] ^= 1
        key = read_key(bytes(changed))
        _rejects(f"{case.name}, {what}", EQUATION, lambda: verify(key, case.pin, case.proof, case.statement))
    count = 2
    for other in others:
        if len(other.proof) == len(case.proof):
            _rejects(f"{case.name}, proof of {other.name}", EQUATION,
                     lambda: verify(case.key, case.pin, other.proof, other.statement))
            count += 1
    return count


def _other_pins(case: Case) -> int:
    """Pins with other secrets, or with secrets that differ between the groups."""
    head, g1, g2 = case.pin_bytes[:1], case.pin_bytes[1:193], case.pin_bytes[193:]
    one, tau, gamma = (g1[at:at + 64] for at in (0, 64, 128))
    one_2, tau_2, gamma_2 = (g2[at:at + 128] for at in (0, 128, 256))
    swapped = read_pin(head + one + gamma + tau + one_2 + gamma_2 + tau_2)
    other = "the key belongs to another"
    ceremony = read_pin(bytes([head[0] ^ 1]) + g1 + g2)
    posing = swapped._replace(identity=case.pin.identity)
    for pin, reason in ((swapped, other), (ceremony, other), (posing, EQUATION)):
        _rejects(f"{case.name}, another pin", reason, lambda: verify(case.key, pin, case.proof, case.statement))
    _rejects(f"{case.name}, inconsistent pin", "the two groups", lambda: read_pin(head + g1 + one_2 + gamma_2 + tau_2))
    return 4


def _files(case: Case, check_proof: Callable) -> int:
    """The same as zkLoom's own files: accepted; rejected with a wrong digest, kind or parent."""
    def number(value: int, size: int = 4) -> bytes:
        return value.to_bytes(size, "big", signed=value < 0)

    label = number(1) + number(3) + b"out" + number(1) + number(10) + struct.pack(">d", 1.0)
    labels = b"\1" + number(3) + b"net" + number(1) + label
    key = wrap("key", [bytes(32)], labels + case.key_bytes)
    other = wrap("key", [bytes(32)], labels.replace(b"net", b"ten") + case.key_bytes)
    publics, externals = case.statement
    lists = [number(len(values)) + b"".join(number(value, 8) for value in values) for values in publics]
    content = b"\1" + number(len(lists)) + b"".join(lists) + number(len(externals))
    content += b"".join(map(point_bytes, externals)) + number(len(case.proof)) + case.proof
    proof, pin = wrap("proof", [case.key.digest], content), wrap("pin", [], case.pin_bytes)
    check_proof(pin, key, proof, None)
    forgeries = [
        ("the file's digest", (pin, key, proof[:-40] + bytes([proof[-40] ^ 1]) + proof[-39:])),
        ("the file is no key", (pin, pin, proof)),
        ("names and scales", (pin, other, proof)),
        ("the proof file belongs to another", (pin, key, wrap("proof", [bytes(32)], content))),
    ]
    for reason, files in forgeries:
        _rejects(f"{case.name}, files", reason, lambda: check_proof(*files, None))
    return len(forgeries)


def _hashes() -> None:
    """Known answers; the Blake3 fixtures check longer inputs."""
    answers = (
        (keccak256(b""), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (keccak256(b"abc"), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (blake3(b""), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (blake3(b"abc"), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
    )
    for found, expected in answers:
        if found.hex() != expected:
            raise Failure(f"a hash gives {found.hex()} instead of {expected}")


def run(check_proof: Callable, read_statement: Callable) -> int:
    """Runs everything and prints what was done; 0 if all is as it must be."""
    folders = sorted(folder for folder in FIXTURES.iterdir() if folder.is_dir())
    try:
        _hashes()
        cases = [Case(folder, read_statement) for folder in folders]
        if not cases:
            raise Failure(f"no fixtures in {FIXTURES}")
        for position, case in enumerate(cases):
            check_proof(case.pin_bytes, case.key_bytes, case.proof, case.text)
            # All elements once; a sample of them in the others, which keeps the test short.
            count = _changed_proofs(case, 1 if position == 0 else 6) + _malformed_proofs(case)
            count += _changed_statements(case) + _other_pins(case) + _files(case, check_proof)
            count += _other_keys(case, [other for other in cases if other is not case])
            print(f"{case.name}: accepted; {count} forgeries rejected", flush=True)
    except (Failure, Rejected, OSError) as error:
        print(f"verifier self-test failed: {error}")
        return 1
    return 0
