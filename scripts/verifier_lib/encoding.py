"""Reading the encodings of docs/protocol.md: integers, points, circuits, keys, pins. Every reader is total: it returns a value
or raises Rejected."""

from __future__ import annotations

from typing import Callable, NamedTuple

from .bn254 import FIELD, ORDER, g1_from_x, on_g1, on_g2, pairing_product_is_one, negate
from .hashes import blake3, keccak256

# Nested expressions deeper than this are no encodings.
MAX_DEPTH = 64
# Longest name of a part of a circuit, in bytes.
MAX_NAME = 256


class Rejected(Exception):
    """The bytes are no encoding, the key breaks a rule, or the proof is not valid."""


class Reader:
    """Walks over bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def raw(self, count: int) -> bytes:
        """The next bytes."""
        if self.at + count > len(self.data):
            raise Rejected(f"the data ends at byte {len(self.data)}, {count} bytes are needed at {self.at}")
        self.at += count
        return self.data[self.at - count:self.at]

    def end(self) -> None:
        """Nothing may be left."""
        if self.at != len(self.data):
            raise Rejected(f"{len(self.data) - self.at} bytes are left over")

    def unsigned(self, size: int) -> int:
        """A big-endian integer."""
        return int.from_bytes(self.raw(size), "big")

    def u8(self) -> int:
        """One byte."""
        return self.unsigned(1)

    def u32(self) -> int:
        """Four bytes."""
        return self.unsigned(4)

    def u64(self) -> int:
        """Eight bytes."""
        return self.unsigned(8)

    def i32(self) -> int:
        """Four bytes, two's complement."""
        return int.from_bytes(self.raw(4), "big", signed=True)

    def i64(self) -> int:
        """Eight bytes, two's complement."""
        return int.from_bytes(self.raw(8), "big", signed=True)

    def boolean(self) -> bool:
        """One byte, 0 or 1."""
        value = self.u8()
        if value > 1:
            raise Rejected(f"byte {self.at}: a truth value must be 0 or 1")
        return value == 1

    def scalar(self) -> int:
        """A canonical element of the scalar field."""
        value = self.unsigned(32)
        if value >= ORDER:
            raise Rejected(f"byte {self.at}: a field element is not below the field's order")
        return value

    def string(self) -> str:
        """u32 length, UTF-8."""
        try:
            return self.raw(self.u32()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Rejected(f"byte {self.at}: a name is not UTF-8") from error

    def name(self) -> str:
        """A string of at most 256 bytes."""
        value = self.string()
        if len(value.encode()) > MAX_NAME:
            raise Rejected(f"byte {self.at}: a name is longer than {MAX_NAME} bytes")
        return value

    def many(self, read: Callable) -> list:
        """u32 count, then so many values; each takes at least one byte."""
        count = self.u32()
        if count > len(self.data) - self.at:
            raise Rejected(f"byte {self.at}: a list is longer than the data")
        return [read() for _ in range(count)]

    def coordinate(self) -> int:
        """A canonical element of the base field."""
        value = self.unsigned(32)
        if value >= FIELD:
            raise Rejected(f"byte {self.at}: a coordinate is not below the field's order")
        return value

    def point(self) -> tuple | None:
        """64 bytes: x, y; zeros are the identity."""
        point = self.coordinate(), self.coordinate()
        if point == (0, 0):
            return None
        if not on_g1(point):
            raise Rejected(f"byte {self.at}: a point is not on the curve")
        return point

    def compressed(self) -> tuple | None:
        """32 bytes: two flag bits and x."""
        value = self.unsigned(32)
        flag, x = value >> 254, value & ((1 << 254) - 1)
        if flag == 1 and x == 0:
            return None
        point = g1_from_x(x) if flag >= 2 and x < FIELD else None
        if point is None:
            raise Rejected(f"byte {self.at}: no compressed point")
        return point if flag == 2 else negate(point)

    def point_g2(self) -> tuple:
        """128 bytes: x.c0, x.c1, y.c0, y.c1; in the group, not the identity."""
        parts = [self.coordinate() for _ in range(4)]
        point = (parts[0], parts[1]), (parts[2], parts[3])
        if not on_g2(point):
            raise Rejected(f"byte {self.at}: a point of the second group is not in the group")
        return point


def point_bytes(point: tuple | None) -> bytes:
    """The 64 bytes of a point of G1."""
    x, y = point or (0, 0)
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


# --- the circuit ---

# Variables of monomials: ("role", index), ("fold",), ("public",).
FOLD, PUBLIC = ("fold",), ("public",)


class Segment(NamedTuple):
    """A run along an axis."""

    start: int
    count: int
    step: int
    ratio: dict
    scale: dict


class View(NamedTuple):
    """A linear functional on one tensor column; axes are lists of segments."""

    column: int
    offset: int
    coefficient: int
    scale: dict
    axes: list


class Lookup(NamedTuple):
    """A tuple that stands in a table."""

    selector: int
    tuple: list
    tag: tuple


class TableSet(NamedTuple):
    """Fixed columns of a set of tables."""

    values: list
    tag: int
    selector: int


class Matrix(NamedTuple):
    """A matrix whose rows the key commits to."""

    name: str
    rows: int
    columns: int
    row_role: int


class Ones(NamedTuple):
    """A constant-one input; axes are (count, ratio)."""

    column: int
    scale: dict
    axes: list


class Claim(NamedTuple):
    """A linear claim; parts depend on the kind."""

    name: str
    output: list
    kind: str
    parts: tuple


class Public(NamedTuple):
    """A public tensor."""

    identifier: int
    name: str
    length: int
    interval: tuple


class External(NamedTuple):
    """A committed vector of the statement."""

    identifier: int
    name: str
    length: int
    offset: int


class Circuit(NamedTuple):
    """The shape of a circuit; tensor[i] tells whether advice column i carries tensors."""

    log_rows: int
    blinding_rows: int
    max_degree: int
    tensor: list
    fixed: list
    gates: list
    table_sets: list
    lookups: list
    copies: list
    roles: list
    matrices: list
    claims: list
    publics: list
    externals: list
    blind_count: int
    blind_runs: list
    tensors: list


def _expression(reader: Reader, depth: int = MAX_DEPTH) -> tuple:
    """("constant", v), ("query", kind, index, rotation), ("sum", parts), ("product", parts)."""
    if depth == 0:
        raise Rejected("an expression is nested too deeply")
    code = reader.u8()
    if code == 0:
        return "constant", reader.scalar()
    if code == 1:
        kind = reader.u8()
        if kind > 1:
            raise Rejected("unknown kind of column")
        return "query", ("advice", "fixed")[kind], reader.u32(), reader.i32()
    if code > 3:
        raise Rejected("unknown kind of expression")
    return ("sum", "product")[code - 2], reader.many(lambda: _expression(reader, depth - 1))


def _monomial(reader: Reader) -> dict:
    """Variables to exponents: sorted (roles, fold, public), each once, exponents positive."""
    powers = []
    for code, index, exponent in reader.many(lambda: _power(reader)):
        powers.append(((code, index), exponent))
    keys = [key for key, _ in powers]
    if keys != sorted(set(keys)) or any(exponent == 0 for _, exponent in powers):
        raise Rejected("a monomial is not in canonical form")
    names = {1: FOLD, 2: PUBLIC}
    return {names.get(code, ("role", index)): exponent for (code, index), exponent in powers}


def _power(reader: Reader) -> tuple:
    code = reader.u8()
    if code > 2:
        raise Rejected("unknown variable")
    index = reader.u32() if code == 0 else 0
    return code, index, reader.u32()


def _segment(reader: Reader) -> Segment:
    return Segment(reader.u32(), reader.u32(), reader.u32(), _monomial(reader), _monomial(reader))


def _views(reader: Reader) -> list:
    def axis() -> list:
        return reader.many(lambda: _segment(reader))

    def view() -> View:
        head = reader.u32(), reader.u32(), reader.i64()
        return View(*head, _monomial(reader), reader.many(axis))

    return reader.many(view)


def _ones(reader: Reader) -> Ones:
    def axis() -> tuple:
        return reader.u32(), _monomial(reader)

    return Ones(reader.u32(), _monomial(reader), reader.many(axis))


def _claim(reader: Reader) -> Claim:
    name, output, code = reader.name(), _views(reader), reader.u8()
    if code == 0:
        return Claim(name, output, "matrix", (reader.u32(), _views(reader), reader.many(lambda: _ones(reader))))
    if code == 1:
        return Claim(name, output, "product", (_views(reader), _views(reader), reader.u32()))
    if code == 2:
        return Claim(name, output, "linear", (_views(reader),))
    if code in (3, 4):
        return Claim(name, output, ("public", "external")[code - 3], (reader.u32(),))
    raise Rejected("unknown kind of claim")


def _lookup(reader: Reader) -> Lookup:
    reader.name()
    selector = reader.u32()
    return Lookup(selector, reader.many(lambda: _expression(reader)), _expression(reader))


def _matrix(reader: Reader) -> Matrix:
    head = reader.name(), reader.u32(), reader.u32()
    reader.boolean()
    return Matrix(*head, reader.u32())


def _tensor(reader: Reader) -> tuple:
    """(name, pieces as (column, offset, length)); intervals and origins are key generation's concern."""
    def piece() -> tuple:
        place = reader.u32(), reader.u32(), reader.u32()
        code = reader.u8()
        if code > 1:
            raise Rejected("unknown origin")
        reader.raw(8 if code == 0 else 4)
        return place

    name = reader.string()
    reader.raw(16)
    return name, reader.many(piece)


def _advice(reader: Reader) -> bool:
    reader.name()
    return reader.boolean()


def _gate(reader: Reader) -> tuple:
    reader.name()
    return _expression(reader)


def read_circuit(reader: Reader) -> Circuit:
    """A circuit, field by field. Its rules are checked by rules.check."""
    u32 = reader.u32
    return Circuit(
        log_rows=u32(),
        blinding_rows=u32(),
        max_degree=u32(),
        tensor=reader.many(lambda: _advice(reader)),
        fixed=reader.many(reader.name),
        gates=reader.many(lambda: _gate(reader)),
        table_sets=reader.many(lambda: TableSet(reader.many(u32), u32(), u32())),
        lookups=reader.many(lambda: _lookup(reader)),
        copies=reader.many(lambda: reader.raw(16)),
        roles=reader.many(reader.name),
        matrices=reader.many(lambda: _matrix(reader)),
        claims=reader.many(lambda: _claim(reader)),
        publics=reader.many(lambda: Public(u32(), reader.name(), u32(), (reader.i64(), reader.i64()))),
        externals=reader.many(lambda: External(u32(), reader.name(), u32(), u32())),
        blind_count=u32(),
        blind_runs=reader.many(lambda: (u32(), u32())),
        tensors=reader.many(lambda: _tensor(reader)),
    )


class Key(NamedTuple):
    """A verification key."""

    hash: Callable
    protocol: bytes
    srs: bytes
    circuit: Circuit
    fixed: list
    matrices: list
    digest: bytes


HASHES = (
    (keccak256, b"zkLoom v1 row-mode KZG BN254 Keccak-256"),
    (blake3, b"zkLoom v1 row-mode KZG BN254 Blake3"),
)


def read_key(data: bytes) -> Key:
    """A verification key that fills the data."""
    reader = Reader(data)
    code = reader.u8()
    if code >= len(HASHES):
        raise Rejected("unknown transcript hash")
    digest, protocol = HASHES[code]
    srs = reader.raw(32)
    reader.raw(32)  # the application's context, bound by the digest alone
    circuit = read_circuit(reader)
    fixed = reader.many(reader.point)
    matrices = reader.many(lambda: reader.many(reader.point))
    reader.end()
    return Key(digest, protocol, srs, circuit, fixed, matrices, digest(data))


class Pin(NamedTuple):
    """The points of the structured reference string that the verifier trusts."""

    development: bool
    one_g1: tuple
    one_g2: tuple
    tau_g2: tuple
    gamma_g2: tuple
    identity: bytes


def read_pin(data: bytes) -> Pin:
    """A pin that fills the data, with the same secrets in both groups."""
    reader = Reader(data)
    development = reader.boolean()
    one, tau, gamma = (reader.point() for _ in range(3))
    one_2, tau_2, gamma_2 = (reader.point_g2() for _ in range(3))
    reader.end()
    if None in (one, tau, gamma):
        raise Rejected("a point of the pin is the identity")
    if tau[0] == one[0] or gamma[0] == one[0] or tau[0] == gamma[0]:
        raise Rejected("the secrets of the pin are known to everyone: equal up to sign to 1 or to each other")
    for first, second in ((tau, tau_2), (gamma, gamma_2)):
        if not pairing_product_is_one([(first, one_2), (negate(one), second)]):
            raise Rejected("the two groups of the pin speak of different secrets")
    return Pin(development, one, one_2, tau_2, gamma_2, blake3(data))
