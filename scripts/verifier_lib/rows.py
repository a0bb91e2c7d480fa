"""The row side: which values a proof opens, and the quotient's value at z that they imply (docs/protocol.md, section 3)."""

from __future__ import annotations

from .bn254 import ORDER, inverse
from .encoding import Circuit, Lookup, TableSet

P = ORDER


def root_of_unity(log_rows: int) -> int:
    """Generator of the subgroup of order 2^log_rows."""
    return pow(5, (P - 1) >> log_rows, P)


def queries(expression: tuple) -> set:
    """(kind, column, rotation) of everything that an expression reads."""
    if expression[0] == "query":
        return {expression[1:]}
    if expression[0] == "constant":
        return set()
    return set().union(*(queries(part) for part in expression[1]))


def degree(expression: tuple) -> int:
    """Degree, columns counting one."""
    if expression[0] in ("constant", "query"):
        return int(expression[0] == "query")
    degrees = [degree(part) for part in expression[1]]
    return sum(degrees) if expression[0] == "product" else max(degrees, default=0)


def arity(circuit: Circuit) -> int:
    """Coordinates of a tuple without the table's number."""
    return max((len(table.values) for table in circuit.table_sets), default=0)


def helper_count(circuit: Circuit) -> int:
    """Helpers: all lookups, and all table sets but the first, in groups of max_degree - 1."""
    if not circuit.lookups:
        return 0
    fractions = len(circuit.lookups) + len(circuit.table_sets) - 1
    return -(-fractions // (circuit.max_degree - 1))


def opened(circuit: Circuit) -> dict:
    """Opened rotations, ascending, by kind and column: {"advice": [[...], ...], "fixed": [[...], ...]}."""
    read = set()
    for gate in circuit.gates:
        read |= queries(gate)
    for lookup in circuit.lookups:
        read.add(("fixed", lookup.selector, 0))
        for part in [*lookup.tuple, lookup.tag]:
            read |= queries(part)
    for table in circuit.table_sets if circuit.lookups else []:
        read |= {("fixed", column, 0) for column in [*table.values, table.tag, table.selector]}
    read |= {("advice", column, 0) for column, tensor in enumerate(circuit.tensor) if tensor}
    sizes = {"advice": len(circuit.tensor), "fixed": len(circuit.fixed)}
    return {
        kind: [sorted(r for k, c, r in read if (k, c) == (kind, column)) for column in range(size)]
        for kind, size in sizes.items()
    }


class RowValues:
    """Values at z, and what the identities make of them."""

    def __init__(self, circuit: Circuit, values: dict, challenges: dict) -> None:
        self.circuit, self.values = circuit, values
        self.x, self.gamma = challenges["x"], challenges["gamma_l"]
        self.alpha, self.z = challenges["alpha"], challenges["z"]
        self.size = 1 << circuit.log_rows
        self.root = root_of_unity(circuit.log_rows)
        self.columns = {}
        for kind, rotations in opened(circuit).items():
            for column, list_of_rotations in enumerate(rotations):
                for rotation, value in zip(list_of_rotations, values[kind][column]):
                    self.columns[kind, column, rotation] = value

    def evaluate(self, expression: tuple) -> int:
        """An expression at z."""
        if expression[0] == "constant":
            return expression[1]
        if expression[0] == "query":
            return self.columns[expression[1:]]
        result = 0 if expression[0] == "sum" else 1
        for part in expression[1]:
            value = self.evaluate(part)
            result = (result + value if expression[0] == "sum" else result * value) % P
        return result

    def fixed(self, column: int) -> int:
        """A fixed column at z."""
        return self.columns["fixed", column, 0]

    def compress(self, parts: list) -> int:
        """x + part_1 + gamma part_2 + ..."""
        return (self.x + sum(part * pow(self.gamma, i, P) for i, part in enumerate(parts))) % P

    def lookup_fraction(self, lookup: Lookup) -> tuple:
        """Numerator and denominator: selector / (x + f)."""
        parts = [self.evaluate(part) for part in lookup.tuple]
        parts += [0] * (arity(self.circuit) - len(parts)) + [self.evaluate(lookup.tag)]
        return self.fixed(lookup.selector), self.compress(parts)

    def table_fraction(self, index: int) -> tuple:
        """s_T mult / (x + t), without its sign."""
        table: TableSet = self.circuit.table_sets[index]
        parts = [self.fixed(column) for column in [*table.values, table.tag]]
        return self.fixed(table.selector) * self.values["multiplicities"][index] % P, self.compress(parts)

    def helper_identities(self) -> list:
        """phi prod (x + f_i) - sum_i s_i prod_(others) for each helper."""
        fractions = [self.lookup_fraction(lookup) for lookup in self.circuit.lookups]
        for index in range(1, len(self.circuit.table_sets)):
            numerator, denominator = self.table_fraction(index)
            fractions.append((-numerator, denominator))
        size, out = self.circuit.max_degree - 1, []
        for number, helper in enumerate(self.values["helpers"]):
            group = fractions[number * size:(number + 1) * size]
            value = helper
            for _, denominator in group:
                value = value * denominator % P
            for position, (numerator, _) in enumerate(group):
                term = numerator
                for other, (_, denominator) in enumerate(group):
                    term = term if other == position else term * denominator % P
                value -= term
            out.append(value % P)
        return out

    def lagrange(self, row: int) -> int:
        """L_row(z) = w^row (z^N - 1) / (N (z - w^row))."""
        point = pow(self.root, row, P)
        return point * (pow(self.z, self.size, P) - 1) * inverse(self.size * (self.z - point)) % P

    def running_sum_identities(self) -> list:
        """Transition, switched off on blinding rows; first value; value on the first blinding row."""
        here, after = self.values["running_sum"]
        numerator, denominator = self.table_fraction(0)
        usable = self.size - self.circuit.blinding_rows
        active = 1 - sum(self.lagrange(row) for row in range(usable, self.size))
        step = after - here - sum(self.values["helpers"])
        return [active * (step * denominator + numerator), self.lagrange(0) * here, self.lagrange(usable) * here]

    def quotient(self) -> int:
        """sum_k alpha^k identity_k / (z^N - 1)."""
        identities = [self.evaluate(gate) for gate in self.circuit.gates]
        if self.circuit.lookups:
            identities += self.helper_identities() + self.running_sum_identities()
        total = sum(value * pow(self.alpha, k, P) for k, value in enumerate(identities))
        return total * inverse(pow(self.z, self.size, P) - 1) % P
