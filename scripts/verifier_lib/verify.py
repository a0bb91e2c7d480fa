"""Reading a proof, drawing its challenges, and the final pairing equation (docs/protocol.md, section 5)."""

from __future__ import annotations

from .bn254 import ORDER, combination, inverse, negate, pairing_product_is_one
from .encoding import Circuit, Key, Pin, Reader, Rejected, point_bytes
from .linear import Identity, fold_kinds, segment_offsets
from .rows import RowValues, helper_count, opened, root_of_unity

P = ORDER
PROTOCOL_VERSION = 1


class Transcript:
    """Fiat-Shamir over a hash."""

    def __init__(self, key: Key) -> None:
        self.hash = key.hash
        self.state = key.hash(key.protocol)

    def absorb(self, label: bytes, items: list) -> None:
        """state := H(state, length of the label, label, number of items, items)."""
        head = bytes([len(label)]) + label + len(items).to_bytes(4, "big")
        self.state = self.hash(self.state + head + b"".join(items))

    def challenge(self, name: bytes) -> int:
        """64 bytes modulo the field's order; the state moves on."""
        high, low, self.state = (self.hash(self.state + name + bytes([index])) for index in range(3))
        return int.from_bytes(high + low, "big") % P


def scalar_bytes(value: int) -> bytes:
    """A field element in the transcript."""
    return (value % P).to_bytes(32, "big")


def read_proof(circuit: Circuit, data: bytes) -> dict:
    """The prover's messages; their number is a function of the circuit alone."""
    reader = Reader(data)
    scalar, point = reader.scalar, reader.compressed

    def points(count: int) -> list:
        return [point() for _ in range(count)]

    lookups, folds = bool(circuit.lookups), fold_kinds(circuit)
    sets = len(circuit.table_sets) if lookups else 0
    plan = opened(circuit)
    proof = {"rows": [], "forms": [], "round1": []}
    for tensor in circuit.tensor:
        proof["rows"].append(point())
        proof["round1"].append(proof["rows"][-1])
        if tensor:
            proof["forms"].append(point())
            proof["round1"].append(proof["forms"][-1])
    proof["multiplicities"] = points(sets)
    proof["round1"] += proof["multiplicities"]
    proof["folds"] = dict(zip(folds, points(len(folds))))
    proof["helpers"] = points(helper_count(circuit))
    proof["running_sum"] = points(int(lookups))
    proof["link"], proof["symmetric"] = points(2)
    proof["fold_value"] = scalar() if folds else None
    proof["column_value"] = scalar()
    proof["quotient"] = points(circuit.max_degree - 1)
    start = reader.at
    proof["values"] = {
        "advice": [[scalar() for _ in rotations] for rotations in plan["advice"]],
        "multiplicities": [scalar() for _ in range(sets)],
        "helpers": [scalar() for _ in range(helper_count(circuit))],
        "running_sum": [scalar() for _ in range(2 * lookups)],
        "fixed": [[scalar() for _ in rotations] for rotations in plan["fixed"]],
        "link": scalar(),
        "input": [scalar() for _ in range(2 * ("input" in folds))],
        "left": [scalar() for _ in range(2 * ("left" in folds))],
        "y": scalar(),
    }
    # Field elements stand in the proof as in the transcript, so round 5's items are these bytes.
    proof["round5"] = [data[at:at + 32] for at in range(start, reader.at, 32)]
    proof["pi_1"], proof["pi_2"], proof["delta"] = points(3)
    reader.end()
    return proof


def statement_items(key: Key, publics: list, externals: list) -> list:
    """Round 0, after checking the statement's shape and the intervals."""
    circuit = key.circuit
    if len(publics) != len(circuit.publics) or len(externals) != len(circuit.externals):
        raise Rejected("the statement has another number of tensors than the key")
    items = [PROTOCOL_VERSION.to_bytes(4, "big"), key.srs, key.digest]
    for public, values in zip(circuit.publics, publics):
        low, high = public.interval
        if len(values) != public.length or not all(low <= value <= high for value in values):
            raise Rejected(f"public tensor `{public.name}` has a wrong length, or a value outside {low}..={high}")
        head = public.identifier.to_bytes(4, "big") + len(values).to_bytes(8, "big")
        items.append(head + b"".join(scalar_bytes(value) for value in values))
    for external, point in zip(circuit.externals, externals):
        head = external.identifier.to_bytes(4, "big") + external.length.to_bytes(8, "big")
        items.append(head + point_bytes(point))
    return items


def draw(key: Key, proof: dict, statement: list) -> dict:
    """All challenges."""
    transcript = Transcript(key)
    challenges = {}

    def round_of(label: str, items: list, names: list) -> None:
        transcript.absorb(label.encode(), items)
        challenges.update({name: transcript.challenge(name.encode()) for name in names})

    def point_items(points: list) -> list:
        return [point_bytes(point) for point in points]

    round_of("statement", statement, [])
    round_of("round1", point_items(proof["round1"]), [])
    challenges["theta"] = [transcript.challenge(b"theta") for _ in key.circuit.roles]
    challenges.update({n: transcript.challenge(n.encode()) for n in ("theta_P", "lambda", "x", "gamma_l")})
    second = [*proof["folds"].values(), *proof["helpers"], *proof["running_sum"]]
    round_of("round2", point_items(second), ["beta", "mu", "g"])
    scalars = [value for value in (proof["fold_value"], proof["column_value"]) if value is not None]
    third = point_items([proof["link"], proof["symmetric"]]) + [scalar_bytes(value) for value in scalars]
    round_of("round3", third, ["alpha"])
    round_of("round4", point_items(proof["quotient"]), ["z"])
    round_of("round5", proof["round5"], ["nu"])
    round_of("pi1", point_items([proof["pi_1"]]), ["u"])
    round_of("pi2", point_items([proof["pi_2"]]), [])
    round_of("delta", point_items([proof["delta"]]), [])
    return challenges


class Openings:
    """The opened items: lists of (scalar, commitment) with {point: value}."""

    def __init__(self, key: Key, proof: dict, challenges: dict, statement: tuple) -> None:
        self.key, self.circuit, self.proof, self.challenges = key, key.circuit, proof, challenges
        publics, externals = statement
        self.identity = Identity(self.circuit, challenges, publics)
        self.forms = proof["forms"] + externals
        self.z, self.beta = challenges["z"], challenges["beta"]
        self.size = 1 << self.circuit.log_rows
        self.root = root_of_unity(self.circuit.log_rows)
        self._check_points()
        self.items = []
        self._linear_items()
        self._link_items()
        self._row_items()

    def _check_points(self) -> None:
        z, beta, size = self.z, self.beta, self.size
        if z == 0 or z * z % P == 1 or pow(z, size, P) == 1 or beta == 0 or pow(beta, size, P) == 1:
            raise Rejected("z or beta is degenerate")
        if len({z, inverse(z), z * self.root % P, beta, 1}) < 5:
            raise Rejected("two opening points coincide")

    def _add(self, terms: list, openings: list) -> None:
        values = dict(openings)
        if len(values) != len(openings):
            raise Rejected("two points of one item coincide")
        self.items.append((terms, values))

    def _half(self, point: int, input_value: int, left_value: int) -> list:
        """sum_j E_j(1/p) [a^_j] - x~(1/p) sum_l p^(o_l) [c_l] - a~(1/p) [b~] - p [S]."""
        terms = list(zip(self.identity.functionals(inverse(point)), self.forms))
        offsets, _, _ = segment_offsets(self.circuit)
        for claim, offset in zip(self.circuit.claims, offsets):
            if claim.kind == "matrix":
                theta = self.challenges["theta"][self.circuit.matrices[claim.parts[0]].row_role]
                weight = -input_value * pow(point, offset, P)
                for row, commitment in enumerate(self.key.matrices[claim.parts[0]]):
                    terms.append((weight * pow(theta, row, P), commitment))
        if "right" in self.proof["folds"]:
            terms.append((-left_value, self.proof["folds"]["right"]))
        return terms + [(-point, self.proof["symmetric"])]

    def _linear_items(self) -> None:
        """The one identity at z and 1/z, the folds at both, all folds at beta."""
        values, folds = self.proof["values"], self.proof["folds"]
        z, inverse_z = self.z, inverse(self.z)
        total = self.identity.public + (self.proof["fold_value"] or 0)
        input_values, left_values = values["input"] or [0, 0], values["left"] or [0, 0]
        self._add(self._half(z, input_values[1], left_values[1]), [(z, values["y"])])
        self._add(self._half(inverse_z, input_values[0], left_values[0]), [(inverse_z, (2 * total - values["y"]) % P)])
        for kind in ("input", "left"):
            if kind in folds:
                self._add([(1, folds[kind])], list(zip((z, inverse_z), values[kind])))
        if folds:
            mu = self.challenges["mu"]
            terms = [(pow(mu, number + 1, P), point) for number, point in enumerate(folds.values())]
            self._add(terms, [(self.beta, self.proof["fold_value"])])

    def _link_items(self) -> None:
        """The coefficient forms at beta; h at z, wz and 1."""
        g, b, value = self.challenges["g"], inverse(self.beta), self.proof["column_value"]
        terms = [(pow(g, j, P), point) for j, point in enumerate(self.proof["forms"])]
        self._add(terms, [(self.beta, value)])
        plan, combined, number = opened(self.circuit)["advice"], 0, 0
        for column, tensor in enumerate(self.circuit.tensor):
            if tensor:
                here = self.proof["values"]["advice"][column][plan[column].index(0)]
                combined += pow(g, number, P) * here
                number += 1
        link = self.proof["values"]["link"]
        start = pow(b, self.size - 1, P) * value * inverse(1 - pow(b, self.size, P)) % P
        openings = [(self.z, link), (self.z * self.root % P, (b * link + combined) % P), (1, start)]
        self._add([(1, self.proof["link"])], openings)

    def _row_items(self) -> None:
        """Running sum, advice, multiplicities, helpers, fixed columns, the quotient."""
        proof, values, z = self.proof, self.proof["values"], self.z
        plan = opened(self.circuit)

        def columns(kind: str, commitments: list) -> None:
            for commitment, rotations, found in zip(commitments, plan[kind], values[kind]):
                if rotations:
                    points = [z * pow(self.root, rotation, P) % P for rotation in rotations]
                    self._add([(1, commitment)], list(zip(points, found)))

        if proof["running_sum"]:
            points = (z, z * self.root % P)
            self._add([(1, proof["running_sum"][0])], list(zip(points, values["running_sum"])))
        columns("advice", proof["rows"])
        for kind in ("multiplicities", "helpers"):
            for commitment, value in zip(proof[kind], values[kind]):
                self._add([(1, commitment)], [(z, value)])
        columns("fixed", self.key.fixed)
        pieces = [(pow(z, self.size * i, P), point) for i, point in enumerate(proof["quotient"])]
        self._add(pieces, [(z, RowValues(self.circuit, values, self.challenges).quotient())])


def vanishing(points: set, at: int) -> int:
    """prod (at - point)."""
    result = 1
    for point in points:
        result = result * (at - point) % P
    return result


def interpolate(openings: dict, at: int) -> int:
    """The polynomial of lowest degree through the openings, at a point."""
    total = 0
    for point, value in openings.items():
        others = set(openings) - {point}
        total += value * vanishing(others, at) * inverse(vanishing(others, point))
    return total % P


def verify(key: Key, pin: Pin, proof_bytes: bytes, statement: tuple) -> None:
    """Accepts by returning; raises Rejected with a reason otherwise. The statement is (publics, externals)."""
    if key.srs != pin.identity:
        raise Rejected("the key belongs to another structured reference string")
    items = statement_items(key, *statement)
    proof = read_proof(key.circuit, proof_bytes)
    challenges = draw(key, proof, items)
    openings = Openings(key, proof, challenges, statement).items
    nu, u = challenges["nu"], challenges["u"]
    everything = set().union(*(values for _, values in openings))
    if u in everything:
        raise Rejected("u' is an opening point")
    # F_nu + u' pi_2
    terms, constant = [], 0
    for number, (parts, values) in enumerate(openings):
        weight = pow(nu, number, P) * vanishing(everything - set(values), u) % P
        terms += [(weight * scalar, point) for scalar, point in parts]
        constant -= weight * interpolate(values, u)
    terms += [(constant, pin.one_g1), (-vanishing(everything, u), proof["pi_1"]), (u, proof["pi_2"])]
    pairs = [
        (combination(terms), pin.one_g2),
        (negate(proof["pi_2"]), pin.tau_g2),
        (negate(proof["delta"]), pin.gamma_g2),
    ]
    if not pairing_product_is_one(pairs):
        raise Rejected("the pairing equation does not hold")
