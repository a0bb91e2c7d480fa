"""BN254: the scalar field, the two groups, and the optimal ate pairing, written for clarity.

An element of Fp2 is a pair (a, b), a + b u with u^2 = -1. An element of Fp12 is six elements of Fp2, the coefficients of
1, w, ..., w^5 with w^6 = xi = 9 + u. Points are affine pairs, the identity is None.
"""

from __future__ import annotations

FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
# The curve family's parameter; p and r are polynomials in it.
_X = 4965661367192848881
assert FIELD == 36 * _X**4 + 36 * _X**3 + 24 * _X**2 + 6 * _X + 1
assert ORDER == 36 * _X**4 + 36 * _X**3 + 18 * _X**2 + 6 * _X + 1
_XI = (9, 1)


def inverse(value: int) -> int:
    """1 / value in the scalar field; ZeroDivisionError for zero."""
    if value % ORDER == 0:
        raise ZeroDivisionError("inverse of zero")
    return pow(value, -1, ORDER)


# --- Fp2 ---

def _add2(x: tuple, y: tuple) -> tuple:
    return (x[0] + y[0]) % FIELD, (x[1] + y[1]) % FIELD


def _sub2(x: tuple, y: tuple) -> tuple:
    return (x[0] - y[0]) % FIELD, (x[1] - y[1]) % FIELD


def _mul2(x: tuple, y: tuple) -> tuple:
    (a, b), (c, d) = x, y
    return (a * c - b * d) % FIELD, (a * d + b * c) % FIELD


def _scale2(x: tuple, factor: int) -> tuple:
    return x[0] * factor % FIELD, x[1] * factor % FIELD


def _inv2(x: tuple) -> tuple:
    norm = pow(x[0] * x[0] + x[1] * x[1], -1, FIELD)
    return x[0] * norm % FIELD, -x[1] * norm % FIELD


def _conjugate2(x: tuple) -> tuple:
    return x[0], -x[1] % FIELD


def _pow2(x: tuple, exponent: int) -> tuple:
    result = (1, 0)
    for bit in bin(exponent)[2:]:
        result = _mul2(result, result)
        if bit == "1":
            result = _mul2(result, x)
    return result


# --- affine curve arithmetic over Fp (G1) and Fp2 (G2) ---

_TWIST_B = _mul2((3, 0), _inv2(_XI))


def on_g1(point: tuple) -> bool:
    """Whether a pair of coordinates is on y^2 = x^3 + 3. The curve's order is prime, so that this is membership in G1."""
    x, y = point
    return (y * y - x * x * x - 3) % FIELD == 0


def on_g2(point: tuple) -> bool:
    """Whether a pair of Fp2 coordinates is in G2: on the twist, and of the right order."""
    x, y = point
    right = _add2(_mul2(_mul2(x, x), x), _TWIST_B)
    return _mul2(y, y) == right and _times_g2(point, ORDER) is None


def g1_from_x(x: int) -> tuple | None:
    """The point with this x and the smaller y; None if there is none."""
    square = (x * x * x + 3) % FIELD
    y = pow(square, (FIELD + 1) // 4, FIELD)
    if y * y % FIELD != square:
        return None
    return x, min(y, FIELD - y)


def negate(point: tuple | None) -> tuple | None:
    """The inverse in G1."""
    return None if point is None else (point[0], -point[1] % FIELD)


def _double_jacobian(point: tuple) -> tuple:
    x, y, z = point
    if z == 0:
        return point
    square_y = y * y % FIELD
    s = 4 * x * square_y % FIELD
    slope = 3 * x * x % FIELD
    new_x = (slope * slope - 2 * s) % FIELD
    return new_x, (slope * (s - new_x) - 8 * square_y * square_y) % FIELD, 2 * y * z % FIELD


def _add_jacobian(point: tuple, other: tuple) -> tuple:
    """Jacobian plus Jacobian."""
    (x1, y1, z1), (x2, y2, z2) = point, other
    if z1 == 0:
        return other
    if z2 == 0:
        return point
    square1, square2 = z1 * z1 % FIELD, z2 * z2 % FIELD
    u1, u2 = x1 * square2 % FIELD, x2 * square1 % FIELD
    s1, s2 = y1 * square2 * z2 % FIELD, y2 * square1 * z1 % FIELD
    if u1 == u2:
        return _double_jacobian(point) if s1 == s2 else (1, 1, 0)
    h, r = u2 - u1, s2 - s1
    h2 = h * h % FIELD
    h3, v = h2 * h % FIELD, u1 * h2 % FIELD
    x = (r * r - h3 - 2 * v) % FIELD
    return x, (r * (v - x) - s1 * h3) % FIELD, z1 * z2 * h % FIELD


def combination(terms: list) -> tuple | None:
    """sum of scalar * point over (scalar, point), in G1; bit by bit, all terms at once."""
    jacobian = [(scalar % ORDER, (*point, 1)) for scalar, point in terms if point is not None]
    total = (1, 1, 0)
    for bit in range(ORDER.bit_length() - 1, -1, -1):
        total = _double_jacobian(total)
        for scalar, point in jacobian:
            if scalar >> bit & 1:
                total = _add_jacobian(total, point)
    x, y, z = total
    if z == 0:
        return None
    inverted = pow(z, -1, FIELD)
    return x * inverted**2 % FIELD, y * inverted**3 % FIELD


def _slope_g2(first: tuple, second: tuple) -> tuple:
    """Slope of the line through two points of the twist, the tangent if they are equal; not for opposite points."""
    (x1, y1), (x2, y2) = first, second
    if first == second:
        return _mul2(_scale2(_mul2(x1, x1), 3), _inv2(_scale2(y1, 2)))
    return _mul2(_sub2(y2, y1), _inv2(_sub2(x2, x1)))


def _add_g2(first: tuple | None, second: tuple | None) -> tuple | None:
    if first is None or second is None:
        return second if first is None else first
    if first[0] == second[0] and (first[1] != second[1] or first[1] == (0, 0)):
        return None
    slope = _slope_g2(first, second)
    x = _sub2(_sub2(_mul2(slope, slope), first[0]), second[0])
    return x, _sub2(_mul2(slope, _sub2(first[0], x)), first[1])


def _times_g2(point: tuple, scalar: int) -> tuple | None:
    result = None
    for bit in bin(scalar)[2:]:
        result = _add_g2(result, result)
        if bit == "1":
            result = _add_g2(result, point)
    return result


# --- Fp12 and the pairing ---

_ONE12 = ((1, 0),) + ((0, 0),) * 5
_FROBENIUS = [_pow2(_XI, power * (FIELD - 1) // 6) for power in range(6)]


def _mul12(x: tuple, y: tuple) -> tuple:
    real, imaginary = [0] * 11, [0] * 11
    for i, (a, b) in enumerate(x):
        if a or b:
            for j, (c, d) in enumerate(y):
                real[i + j] += a * c - b * d
                imaginary[i + j] += a * d + b * c
    out = []
    for k in range(6):
        a, b = real[k], imaginary[k]
        if k < 5:
            # w^(k + 6) = (9 + u) w^k
            c, d = real[k + 6], imaginary[k + 6]
            a, b = a + 9 * c - d, b + c + 9 * d
        out.append((a % FIELD, b % FIELD))
    return tuple(out)


def _pow12(x: tuple, exponent: int) -> tuple:
    result = _ONE12
    for bit in bin(exponent)[2:]:
        result = _mul12(result, result)
        if bit == "1":
            result = _mul12(result, x)
    return result


def _line(first: tuple, second: tuple, point: tuple) -> tuple:
    """The line through two points of the twist, carried to the curve by (x w^2, y w^3), at a point of G1."""
    slope = _slope_g2(first, second)
    x, y = point
    constant = _sub2(_mul2(slope, first[0]), first[1])
    return ((y, 0), _scale2(slope, -x), (0, 0), constant, (0, 0), (0, 0))


def _frobenius_g2(point: tuple) -> tuple:
    """The p-power map of the curve in the twist's coordinates."""
    x, y = point
    return _mul2(_conjugate2(x), _FROBENIUS[2]), _mul2(_conjugate2(y), _FROBENIUS[3])


def _miller(point: tuple, twisted: tuple) -> tuple:
    """The optimal ate pairing before the final exponentiation."""
    value, current = _ONE12, twisted
    for bit in bin(6 * _X + 2)[3:]:
        value = _mul12(_line(current, current, point), _mul12(value, value))
        current = _add_g2(current, current)
        if bit == "1":
            value = _mul12(_line(current, twisted, point), value)
            current = _add_g2(current, twisted)
    first = _frobenius_g2(twisted)
    x, y = _frobenius_g2(first)
    second = (x, _scale2(y, -1))
    value = _mul12(_line(current, first, point), value)
    current = _add_g2(current, first)
    return _mul12(_line(current, second, point), value)


def pairing_product_is_one(pairs: list) -> bool:
    """Whether the product of e(point, twisted) over pairs of a G1 point and a G2 point other than the identity is one."""
    product = _ONE12
    for point, twisted in pairs:
        if point is not None:
            product = _mul12(product, _miller(point, twisted))
    return _pow12(product, (FIELD**12 - 1) // ORDER) == _ONE12
