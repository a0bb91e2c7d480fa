#!/usr/bin/env python3
"""Check a snarkjs powers-of-tau file against the format that fixtures/README.md describes.

    scripts/check_ptau.py FILE.ptau [--pairings]

It shares no code with the Rust reader: the point is that two readers agree on the bytes. Without an option it needs Python
only and checks sizes, the generators and that every point lies on its curve; `--pairings` needs the package py_ecc and also
checks e(tau^i G1, G2) = e(tau^(i-1) G1, tau G2) for a few i, and the pair that belongs to beta.
"""

import argparse
import struct
import sys
from pathlib import Path

# Base field and group order of BN254, and the coefficients of y^2 = x^3 + b on both groups.
FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
MONTGOMERY_INVERSE = pow(2**256, -1, FIELD)
G1_COEFFICIENT = 3
G2_GENERATOR = (
    (
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
    ),
    (
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
    ),
)
SECTION_NAMES = {
    1: "header",
    2: "tauG1",
    3: "tauG2",
    4: "alphaTauG1",
    5: "betaTauG1",
    6: "betaG2",
    7: "contributions",
    12: "Lagrange tauG1",
    13: "Lagrange tauG2",
    14: "Lagrange alphaTauG1",
    15: "Lagrange betaTauG1",
}


class FormatError(Exception):
    """The file differs from the described format; the message says where."""


def require(condition, message):
    """Raise FormatError with `message` unless the condition holds."""
    if not condition:
        raise FormatError(message)


def read_sections(data):
    """Section number -> bytes; every byte of the file belongs to the preamble or to one section."""
    require(data[:4] == b"ptau", f"magic is {data[:4]!r}, expected b'ptau'")
    version, count = struct.unpack_from("<II", data, 4)
    require(version == 1, f"version {version}, expected 1")
    sections, position = {}, 12
    for _ in range(count):
        number, length = struct.unpack_from("<IQ", data, position)
        position += 12
        require(number not in sections, f"section {number} twice")
        require(position + length <= len(data), f"section {number} ends beyond the file")
        sections[number] = data[position : position + length]
        position += length
    require(position == len(data), f"{len(data) - position} bytes after the last section")
    return sections


def read_header(header):
    """Powers (this file's, the ceremony's) after checking the prime."""
    (width,) = struct.unpack_from("<I", header, 0)
    require(width == 32, f"coordinates of {width} bytes, expected 32")
    require(int.from_bytes(header[4:36], "little") == FIELD, "the prime is not BN254's base field")
    require(len(header) == 44, f"header of {len(header)} bytes, expected 44")
    return struct.unpack_from("<II", header, 36)


def coordinate(data, position):
    """One base field element: 32 bytes, little-endian, in Montgomery form."""
    raw = int.from_bytes(data[position : position + 32], "little")
    require(raw < FIELD, f"coordinate at byte {position} is not reduced")
    return raw * MONTGOMERY_INVERSE % FIELD


def points_g1(data):
    """All points of a G1 section as (x, y)."""
    return [(coordinate(data, at), coordinate(data, at + 32)) for at in range(0, len(data), 64)]


def points_g2(data):
    """All points of a G2 section as ((x0, x1), (y0, y1)), x = x0 + x1 u with u^2 = -1."""
    return [
        (
            (coordinate(data, at), coordinate(data, at + 32)),
            (coordinate(data, at + 64), coordinate(data, at + 96)),
        )
        for at in range(0, len(data), 128)
    ]


def multiply(a, b):
    """Product in the quadratic extension."""
    return ((a[0] * b[0] - a[1] * b[1]) % FIELD, (a[0] * b[1] + a[1] * b[0]) % FIELD)


def twist_coefficient():
    """3 / (9 + u), the coefficient of the curve that carries G2."""
    inverse_norm = pow(82, -1, FIELD)
    return (27 * inverse_norm % FIELD, -3 * inverse_norm % FIELD)


def on_curve_g1(point):
    """Whether y^2 = x^3 + 3."""
    x, y = point
    return (y * y - x * x * x - G1_COEFFICIENT) % FIELD == 0


def on_curve_g2(point):
    """Whether y^2 = x^3 + 3 / (9 + u)."""
    x, y = point
    cube = multiply(multiply(x, x), x)
    coefficient = twist_coefficient()
    return multiply(y, y) == tuple((c + d) % FIELD for c, d in zip(cube, coefficient))


def check_lengths(sections, power):
    """Every section that a setup reads has the length that the power implies."""
    size = 1 << power
    expected = {2: (2 * size - 1) * 64, 3: size * 128, 4: size * 64, 5: size * 64, 6: 128}
    for number, length in expected.items():
        require(number in sections, f"section {number} ({SECTION_NAMES[number]}) is missing")
        found = len(sections[number])
        require(found == length, f"section {number}: {found} bytes, expected {length}")


def check_pairings(groups):
    """Pairing ratios at a few exponents, by py_ecc."""
    from py_ecc import bn128

    def lift_g1(point):
        return tuple(bn128.FQ(value) for value in point)

    def lift_g2(point):
        return tuple(bn128.FQ2(list(value)) for value in point)

    tau_g1, tau_g2 = groups["tauG1"], groups["tauG2"]
    one, tau = lift_g2(tau_g2[0]), lift_g2(tau_g2[1])
    beta_g1, beta_g2 = lift_g1(groups["betaTauG1"][0]), lift_g2(groups["betaG2"][0])
    for index in (1, 2, len(tau_g1) - 1):
        left = bn128.pairing(one, lift_g1(tau_g1[index]))
        right = bn128.pairing(tau, lift_g1(tau_g1[index - 1]))
        require(left == right, f"tauG1[{index}] is not tau times tauG1[{index - 1}]")
    generator = lift_g1(tau_g1[0])
    left, right = bn128.pairing(one, beta_g1), bn128.pairing(beta_g2, generator)
    require(left == right, "betaTauG1[0] and betaG2 hold different scalars")
    for name, point in (("tauG2[1]", tau), ("betaG2", beta_g2)):
        require(bn128.multiply(point, ORDER) is None, f"{name} lies outside the subgroup")


def check(path, pairings):
    """Check one file and print what it holds."""
    sections = read_sections(path.read_bytes())
    require(1 in sections, "section 1 (header) is missing")
    power, ceremony_power = read_header(sections[1])
    print(f"{path.name}: power {power}, ceremony power {ceremony_power}")
    for number, data in sections.items():
        print(f"  section {number:2} {SECTION_NAMES.get(number, 'unknown'):20} {len(data):8} bytes")
    check_lengths(sections, power)
    groups = {SECTION_NAMES[number]: points_g1(sections[number]) for number in (2, 4, 5)}
    groups |= {SECTION_NAMES[number]: points_g2(sections[number]) for number in (3, 6)}
    require(groups["tauG1"][0] == (1, 2), "tauG1[0] is not the generator (1, 2)")
    require(groups["tauG2"][0] == G2_GENERATOR, "tauG2[0] is not the generator of G2")
    for name, points in groups.items():
        test = on_curve_g2 if name in ("tauG2", "betaG2") else on_curve_g1
        for index, point in enumerate(points):
            require(test(point), f"{name}[{index}] is not on the curve")
    print(f"  tauG1[1].x = {groups['tauG1'][1][0]:#066x}")
    print(f"  tauG1[1].y = {groups['tauG1'][1][1]:#066x}")
    print(f"  tauG2[1].x = {groups['tauG2'][1][0][0]:#066x} + u *")
    print(f"               {groups['tauG2'][1][0][1]:#066x}")
    print(f"  betaTauG1[0].x = {groups['betaTauG1'][0][0]:#066x}")
    if pairings:
        check_pairings(groups)
    print("  format" + (" and pairings" if pairings else "") + " as described")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="+")
    parser.add_argument("--pairings", action="store_true", help="check pairing ratios too (needs py_ecc)")
    arguments = parser.parse_args()
    for path in arguments.file:
        try:
            check(path, arguments.pairings)
        except (FormatError, struct.error) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
