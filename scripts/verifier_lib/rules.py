"""Rules that a key must keep (docs/protocol.md, section 11), as far as they don't depend on values that only key generation
sees."""

from __future__ import annotations

from .encoding import FOLD, PUBLIC, Circuit, Claim, Key, Rejected
from .linear import fold_kinds, segment_offsets
from .rows import arity, degree, opened, queries

# Bound on lengths and exponents.
MAX_EXTENT = 1 << 31
# Bounds that keep a verifier's work near the size of its key.
MAX_BLINDING_ROWS, MAX_ARITY, MAX_ROTATIONS, MAX_OUTPUT_VIEWS, MAX_COLUMNS = 256, 16, 32, 256, 4096


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise Rejected(f"the key breaks a rule: {rule}")


def check(key: Key) -> None:
    """Raises Rejected for a key that no honest key generation makes."""
    circuit = key.circuit
    size = 1 << circuit.log_rows if circuit.log_rows <= 28 else 0
    _require(2 <= circuit.log_rows <= 28, "from 2^2 to 2^28 rows")
    _require(4 <= circuit.blinding_rows < size, "from 4 to N - 1 blinding rows")
    _require(circuit.blinding_rows <= MAX_BLINDING_ROWS, "at most 256 blinding rows")
    _require(3 <= circuit.max_degree <= 9, "a degree from 3 to 9")
    for columns in (circuit.tensor, circuit.fixed, circuit.table_sets):
        _require(len(columns) <= MAX_COLUMNS, "at most 4,096 columns of a kind")
    _require(not circuit.copies, "copy constraints are not implemented")
    _require(1 <= sum(circuit.tensor) <= 1 << 16, "from 1 to 2^16 tensor columns")
    _gates_and_lookups(circuit)
    _blinding(circuit)
    _matrices(circuit)
    for claim in circuit.claims:
        _output(claim)
        _claim(circuit, claim)
    _folds(circuit)
    _statement(circuit)
    _tensors(circuit)
    _require(len(key.fixed) == len(circuit.fixed), "a commitment for each fixed column")
    _require(len(key.matrices) == len(circuit.matrices), "commitments for each matrix")
    for matrix, rows in zip(circuit.matrices, key.matrices):
        _require(len(rows) == matrix.rows, "a commitment for each row of each matrix")


def _usable(circuit: Circuit) -> int:
    return (1 << circuit.log_rows) - circuit.blinding_rows


def _expression(circuit: Circuit, expression: tuple, most: int) -> None:
    _require(degree(expression) <= most, f"an expression of degree {most} at most")
    sizes = {"advice": len(circuit.tensor), "fixed": len(circuit.fixed)}
    for kind, column, rotation in queries(expression):
        _require(column < sizes[kind], "columns that exist")
        _require(abs(rotation) <= circuit.blinding_rows, "rotations up to the number of blinding rows")


def _gates_and_lookups(circuit: Circuit) -> None:
    for gate in circuit.gates:
        _expression(circuit, gate, circuit.max_degree)
    coordinates, columns = arity(circuit), range(len(circuit.fixed))
    _require(coordinates <= MAX_ARITY, "at most 16 coordinates of a table")
    _require(not circuit.lookups or bool(circuit.table_sets), "a table set where there are lookups")
    for lookup in circuit.lookups:
        _require(1 <= len(lookup.tuple) <= coordinates, "tuples no longer than the tables' rows")
        _require(lookup.selector in columns, "columns that exist")
        for part in [*lookup.tuple, lookup.tag]:
            _expression(circuit, part, 1)
    for table in circuit.table_sets:
        _require(len(table.values) == coordinates, "table sets of one width")
        _require(all(c in columns for c in [*table.values, table.tag, table.selector]), "columns that exist")


def _blinding(circuit: Circuit) -> None:
    plan = opened(circuit)
    for rotations in [*plan["advice"], *plan["fixed"]]:
        _require(len(rotations) <= MAX_ROTATIONS, "at most 32 rotations of a column")
    for rotations, tensor in zip(plan["advice"], circuit.tensor):
        _require(bool(rotations), "advice columns that something reads")
        needed = len(rotations) + (3 if tensor else 0)
        _require(circuit.blinding_rows >= needed, "a random row for each value that a proof shows")


def _matrices(circuit: Circuit) -> None:
    uses = [claim.parts[0] for claim in circuit.claims if claim.kind == "matrix"]
    _require(sorted(uses) == list(range(len(circuit.matrices))), "one claim for each matrix")
    for matrix in circuit.matrices:
        _require(1 <= matrix.rows <= MAX_EXTENT and 1 <= matrix.columns <= MAX_EXTENT, "matrices with entries")
        _require(matrix.row_role < len(circuit.roles), "roles that exist")


def _monomial(circuit: Circuit, monomial: dict, fold: bool) -> None:
    _require(fold or FOLD not in monomial, "the fold's variable in folds only")
    for variable, exponent in monomial.items():
        _require(exponent <= MAX_EXTENT, "exponents up to 2^31")
        _require(variable[0] != "role" or variable[1] < len(circuit.roles), "roles that exist")


def _views(circuit: Circuit, views: list, fold: bool = False) -> None:
    for view in views:
        _require(view.column < sum(circuit.tensor), "tensor columns that exist")
        _monomial(circuit, view.scale, fold)
        cells, reach = 1, view.offset
        for axis in view.axes:
            for part in axis:
                _require(part.count <= MAX_EXTENT, "segments up to 2^31 cells")
                _monomial(circuit, part.ratio, fold)
                _monomial(circuit, part.scale, fold)
            cells *= sum(part.count for part in axis)
            reach += max((part.start + (part.count - 1) * part.step for part in axis if part.count), default=0)
        _require(cells <= MAX_EXTENT, "views up to 2^31 cells")
        _require(cells == 0 or reach < _usable(circuit), "views inside the usable rows")
        pieces = [piece for _, pieces in circuit.tensors for piece in pieces]
        inside = any(c == view.column and o <= view.offset and reach < o + length for c, o, length in pieces)
        _require(cells == 0 or inside, "views inside a piece of a tensor")


def _fold_views(circuit: Circuit, views: list, length: int) -> None:
    _views(circuit, views, fold=True)
    for view in views:
        last = view.scale.get(FOLD, 0)
        for axis in view.axes:
            entries = [p.scale.get(FOLD, 0) + p.ratio.get(FOLD, 0) * max(p.count - 1, 0) for p in axis]
            last += max(entries, default=0)
        _require(last < length, "views inside their fold's segment")


def _claim(circuit: Circuit, claim: Claim) -> None:
    _views(circuit, claim.output)
    if claim.kind == "matrix":
        matrix, views, ones = claim.parts
        columns = circuit.matrices[matrix].columns
        _fold_views(circuit, views, columns)
        for one in ones:
            _monomial(circuit, one.scale, False)
            last = one.column
            for count, ratio in one.axes:
                _require(1 <= count <= MAX_EXTENT, "position axes with positions")
                _monomial(circuit, ratio, True)
                last += ratio.get(FOLD, 0) * (count - 1)
            _require(last < columns, "constant ones at columns that exist")
    elif claim.kind == "product":
        left, right, length = claim.parts
        _require(1 <= length <= MAX_EXTENT, "contractions with entries")
        _fold_views(circuit, left, length)
        _fold_views(circuit, right, length)
    elif claim.kind == "linear":
        _views(circuit, claim.parts[0])
    else:
        vectors = circuit.publics if claim.kind == "public" else circuit.externals
        _require(claim.parts[0] < len(vectors), "vectors that exist")
        _vector(claim, vectors[claim.parts[0]].length)


def _output(claim: Claim) -> None:
    """Distinct monomials: each view's cells fill a box of exponents, the boxes are disjoint."""
    _require(len(claim.output) <= MAX_OUTPUT_VIEWS, "at most 256 output views of a claim")
    boxes = []
    for view in claim.output:
        _require(view.coefficient != 0, "outputs that count")
        box = {variable: (exponent, exponent + 1) for variable, exponent in view.scale.items()}
        own = set()
        for axis in view.axes:
            _require(len(axis) == 1, "output axes of one segment")
            part = axis[0]
            _require(list(part.ratio.values()) == [1] and not part.scale and part.step > 0, "output axes of one role")
            variable = next(iter(part.ratio))
            _require(variable not in own, "one output axis for each role")
            own.add(variable)
            first = view.scale.get(variable, 0)
            box[variable] = (first, first + part.count)
        boxes.append(box)
    for index, first_box in enumerate(boxes):
        for second_box in boxes[index + 1:]:
            _require(_disjoint(first_box, second_box), "outputs with monomials of their own")


def _disjoint(first: dict, second: dict) -> bool:
    for variable in {*first, *second}:
        (a, b), (c, d) = first.get(variable, (0, 1)), second.get(variable, (0, 1))
        if b <= c or d <= a:
            return True
    return False


def _vector(claim: Claim, length: int) -> None:
    """A vector's cells are numbered by powers of the public challenge, in order and completely."""
    covered = 0
    for view in claim.output:
        _require(len(view.axes) == 1 and view.coefficient == 1, "a vector's views of one axis")
        _require(view.axes[0][0].ratio == {PUBLIC: 1}, "a vector's axis of the public challenge")
        _require(view.scale == ({PUBLIC: covered} if covered else {}), "a vector's cells in order")
        covered += view.axes[0][0].count
    _require(covered == length, "a vector compared in full")


def _folds(circuit: Circuit) -> None:
    _require(len(circuit.blind_runs) == len(fold_kinds(circuit)), "random cells for each fold")
    _require(3 <= circuit.blind_count <= 64, "from 3 to 64 random entries of a fold")
    for column, row in circuit.blind_runs:
        _require(column < sum(circuit.tensor), "tensor columns that exist")
        _require(row + circuit.blind_count <= _usable(circuit), "random cells inside the usable rows")
    _, input_length, left_length = segment_offsets(circuit)
    _require(max(input_length, left_length) <= MAX_EXTENT, "folds up to 2^31 entries")


def _statement(circuit: Circuit) -> None:
    for kind, vectors in (("public", circuit.publics), ("external", circuit.externals)):
        used = {claim.parts[0] for claim in circuit.claims if claim.kind == kind}
        _require(used == set(range(len(vectors))), "a claim about each vector of the statement")
    _require(all(1 <= public.length <= MAX_EXTENT for public in circuit.publics), "public tensors with values")
    identifiers = [vector.identifier for vector in [*circuit.publics, *circuit.externals]]
    _require(len(set(identifiers)) == len(identifiers), "an identifier for each vector of the statement")
    for external in circuit.externals:
        _require(1 <= external.offset + external.length <= MAX_EXTENT, "external vectors with entries")


def _tensors(circuit: Circuit) -> None:
    """Tensors and random cells lie apart, inside the usable rows."""
    taken = [(column, row, row + circuit.blind_count) for column, row in circuit.blind_runs]
    for _, pieces in circuit.tensors:
        for column, offset, length in pieces:
            _require(column < sum(circuit.tensor), "tensor columns that exist")
            _require(offset + length <= _usable(circuit), "tensors inside the usable rows")
            taken.append((column, offset, offset + length))
    taken.sort()
    for first, second in zip(taken, taken[1:]):
        _require(first[0] != second[0] or first[2] <= second[1], "tensors apart from each other and from random cells")
