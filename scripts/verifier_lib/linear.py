"""The linear side: views, folds, and the one identity (docs/protocol.md, section 4)."""

from __future__ import annotations

from typing import NamedTuple

from .bn254 import ORDER, inverse
from .encoding import FOLD, PUBLIC, Circuit, Segment, View

P = ORDER


def geometric(ratio: int, count: int) -> int:
    """1 + ratio + ... + ratio^(count - 1)."""
    if ratio % P == 1:
        return count % P
    return (pow(ratio, count, P) - 1) * inverse(ratio - 1) % P


def monomial_value(monomial: dict, values: dict) -> int:
    """Product of powers of challenges."""
    result = 1
    for variable, exponent in monomial.items():
        result = result * pow(values[variable], exponent, P) % P
    return result


def view_at(view: View, point: int, values: dict) -> int:
    """The view's polynomial: coefficient scale point^offset times, for each axis, the sum of its segments."""
    result = view.coefficient * monomial_value(view.scale, values) * pow(point, view.offset, P) % P
    for axis in view.axes:
        total = 0
        for part in axis:
            ratio = monomial_value(part.ratio, values) * pow(point, part.step, P) % P
            first = monomial_value(part.scale, values) * pow(point, part.start, P)
            total += first * geometric(ratio, part.count)
        result = result * total % P
    return result


def fold_kinds(circuit: Circuit) -> list:
    """Folds that exist, in order: input (x~), left (a~), right (b~)."""
    kinds = {claim.kind for claim in circuit.claims}
    return ["input"] * ("matrix" in kinds) + ["left", "right"] * ("product" in kinds)


def segment_offsets(circuit: Circuit) -> tuple[list, int, int]:
    """o_l of each claim (0 for claims without a product), and the lengths of x~ and a~ without their random entries."""
    offsets, lengths = [], {"matrix": 0, "product": 0}
    for claim in circuit.claims:
        offsets.append(lengths.get(claim.kind, 0))
        if claim.kind == "matrix":
            lengths["matrix"] += circuit.matrices[claim.parts[0]].columns
        elif claim.kind == "product":
            lengths["product"] += claim.parts[2]
    return offsets, lengths["matrix"], lengths["product"]


class Term(NamedTuple):
    """A scalar times a view on one coefficient-form column."""

    scalar: int
    column: int
    view: View


def _run(start: int, count: int, variable: tuple, coefficient: int) -> View:
    """`count` neighbouring entries from `start`, numbered by powers of a variable."""
    return View(0, start, coefficient, {}, [[Segment(0, count, 1, {variable: 1}, {})]])


class Identity:
    """All coefficients of the one identity at the challenges."""

    def __init__(self, circuit: Circuit, challenges: dict, publics: list) -> None:
        self.circuit, self.challenges, self.publics = circuit, challenges, publics
        self.values = {("role", i): theta for i, theta in enumerate(challenges["theta"])}
        self.values[FOLD], self.values[PUBLIC] = challenges["beta"], challenges["theta_P"]
        self.tensor_columns = sum(circuit.tensor)
        self.terms, self.public = [], 0
        for number, _ in enumerate(circuit.claims):
            self._claim(number)
        kinds, mu = fold_kinds(circuit), challenges["mu"]
        for number, kind in enumerate(kinds):
            self._fold(kind, pow(mu, number + 1, P), circuit.blind_runs[number])
        self.mask = pow(mu, len(kinds) + 1, P)

    def _weight(self, number: int) -> int:
        """lambda^l of the claim with this position, l counted from 1."""
        return pow(self.challenges["lambda"], number + 1, P)

    def _claim(self, number: int) -> None:
        """lambda^l (views_l + const_l); products stand on the other side."""
        claim, weight = self.circuit.claims[number], self._weight(number)
        views = claim.output + (claim.parts[0] if claim.kind == "linear" else [])
        self.terms += [Term(weight, view.column, view) for view in views]
        if claim.kind == "public":
            theta = self.challenges["theta_P"]
            values = self.publics[claim.parts[0]]
            constant = -sum(value * pow(theta, i, P) for i, value in enumerate(values))
            self.public -= weight * constant
        if claim.kind == "external":
            external = self.circuit.externals[claim.parts[0]]
            view = _run(external.offset, external.length, PUBLIC, -1)
            self.terms.append(Term(weight, self.tensor_columns + claim.parts[0], view))

    def _fold(self, kind: str, weight: int, blind_run: tuple) -> None:
        """mu^f (view_f(beta) + pub_f(beta))."""
        circuit, beta = self.circuit, self.challenges["beta"]
        offsets, input_length, left_length = segment_offsets(circuit)
        for number, claim in enumerate(circuit.claims):
            start = pow(beta, offsets[number], P)
            factor, views = weight * start, []
            if claim.kind == "matrix" and kind == "input":
                factor *= self._weight(number)
                views = claim.parts[1]
                self.public -= factor * self._ones(claim.parts[2])
            elif claim.kind == "product" and kind == "left":
                factor *= self._weight(number)
                views = claim.parts[0]
            elif claim.kind == "product" and kind == "right":
                views = claim.parts[1]
            self.terms += [Term(factor % P, view.column, view) for view in views]
        start = {"input": input_length, "left": left_length, "right": left_length + circuit.blind_count}[kind]
        column, row = blind_run
        self.terms.append(Term(weight * pow(beta, start, P) % P, column, _run(row, circuit.blind_count, FOLD, 1)))

    def _ones(self, ones: list) -> int:
        """Public part of one matrix input, without lambda^l beta^(o_l)."""
        total = 0
        for one in ones:
            part = pow(self.values[FOLD], one.column, P) * monomial_value(one.scale, self.values)
            for count, ratio in one.axes:
                part = part * geometric(monomial_value(ratio, self.values), count) % P
            total += part
        return total

    def functionals(self, point: int) -> list:
        """E_j(point) for each tensor column, then each external vector."""
        sums = [0] * (self.tensor_columns + len(self.circuit.externals))
        for scalar, column, view in self.terms:
            sums[column] = (sums[column] + scalar * view_at(view, point, self.values)) % P
        sums[0] = (sums[0] + self.mask * pow(point, 1 << self.circuit.log_rows, P)) % P
        return sums
