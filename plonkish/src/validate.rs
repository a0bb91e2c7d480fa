//! Checks that a circuit is well formed. A circuit that passes can be evaluated without any further range check.

use crate::Circuit;
use std::collections::{BTreeMap, BTreeSet};

use crate::claim::{Claim, Relation};
use crate::expression::{Column, Expression, Query};
use crate::view::{Monomial, Segment, Variable, View};

/// Largest supported log2 of the number of rows: the field's two-adicity.
pub const MAX_LOG_ROWS: u32 = 28;
/// Bound on any length or exponent, so that sums of them stay far from overflow.
const MAX_EXTENT: u64 = 1 << 31;

/// Bounds that keep a verifier's work near the size of its key, whatever the key. Real circuits stay far below them.
const MAX_BLINDING_ROWS: u64 = 256;
const MAX_ARITY: u64 = 16;
const MAX_ROTATIONS: u64 = 32;
const MAX_NAME: u64 = 256;
const MAX_OUTPUT_VIEWS: u64 = 256;
const MAX_COLUMNS: u64 = 4096;

/// What is wrong with a circuit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CircuitError {
    /// A size is out of its range.
    #[error("{what} is {found}, allowed is {allowed}")]
    Size {
        /// Which size.
        what: String,
        /// What it is.
        found: u64,
        /// What it may be.
        allowed: String,
    },
    /// Something refers to a part that does not exist.
    #[error("{place} refers to {what} {index}, which does not exist")]
    Missing {
        /// Who refers.
        place: String,
        /// The kind of part.
        what: &'static str,
        /// Its index.
        index: u64,
    },
    /// A polynomial has too high a degree.
    #[error("{place} has degree {found}, allowed is {allowed}")]
    Degree {
        /// Which polynomial.
        place: String,
        /// Its degree.
        found: u32,
        /// The bound.
        allowed: u32,
    },
    /// A view reaches beyond what it may read.
    #[error("{place}: a view reaches row {reach} of tensor column {column}, allowed are rows below {limit}")]
    Reach {
        /// Whose view.
        place: String,
        /// The column.
        column: u32,
        /// The row.
        reach: u64,
        /// The first row that is out of bounds.
        limit: u64,
    },
    /// Cells of a claim's output are not told apart by monomials.
    #[error("claim `{claim}`: {reason}")]
    Monomials {
        /// The claim.
        claim: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A tensor's cells are not bounded.
    #[error("tensor `{tensor}`: {reason}")]
    Origin {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// Something that this version does not prove.
    #[error("{what} are not supported yet")]
    Unsupported {
        /// What it is.
        what: &'static str,
    },
}

type Check = Result<(), CircuitError>;

fn size(what: impl FnOnce() -> String, found: u64, range: core::ops::RangeInclusive<u64>) -> Check {
    if range.contains(&found) {
        return Ok(());
    }
    Err(CircuitError::Size { what: what(), found, allowed: format!("{} to {}", range.start(), range.end()) })
}

fn exists(place: &str, what: &'static str, index: u32, count: usize) -> Check {
    if (index as usize) < count {
        return Ok(());
    }
    Err(CircuitError::Missing { place: place.to_owned(), what, index: u64::from(index) })
}

impl Circuit {
    /// Checks every rule that does not depend on values.
    pub fn validate(&self) -> Check {
        size(
            || "log2 of the number of rows".to_owned(),
            u64::from(self.log_rows),
            2..=u64::from(MAX_LOG_ROWS),
        )?;
        size(
            || "the number of blinding rows".to_owned(),
            u64::from(self.blinding_rows),
            4..=MAX_BLINDING_ROWS.min(self.rows() as u64 - 1),
        )?;
        size(|| "the maximal degree".to_owned(), u64::from(self.max_degree), 3..=9)?;
        self.check_names()?;
        if !self.copies.is_empty() {
            return Err(CircuitError::Unsupported { what: "copy constraints" });
        }
        size(
            || "the number of tensor columns".to_owned(),
            self.tensor_columns().count() as u64,
            1..=1 << 16,
        )?;
        self.check_gates()?;
        self.check_lookups()?;
        self.check_blinding()?;
        self.check_matrices()?;
        for claim in &self.claims {
            self.check_claim(claim)?;
        }
        self.check_folds()?;
        self.check_statement()?;
        self.check_tensors()?;
        self.check_readable()
    }

    fn check_names(&self) -> Check {
        let names = self.advice.iter().map(|part| &part.name).chain(self.fixed.iter().map(|part| &part.name));
        let names = names.chain(self.gates.iter().map(|part| &part.name)).chain(&self.roles);
        let names = names.chain(self.lookups.iter().map(|part| &part.name));
        let names = names.chain(self.matrices.iter().map(|part| &part.name));
        let names = names.chain(self.claims.iter().map(|part| &part.name));
        let names = names.chain(self.publics.iter().map(|part| &part.name));
        let mut names = names.chain(self.externals.iter().map(|part| &part.name));
        names.try_for_each(|name| {
            size(|| "the length of a name".to_owned(), name.len() as u64, 0..=MAX_NAME)
        })?;
        for (what, count) in
            [("advice", self.advice.len()), ("fixed", self.fixed.len()), ("table set", self.table_sets.len())]
        {
            size(|| format!("the number of {what} columns"), count as u64, 0..=MAX_COLUMNS)?;
        }
        Ok(())
    }

    fn check_query(&self, place: &str, query: &Query) -> Check {
        match query.column {
            Column::Advice { index } => exists(place, "advice column", index, self.advice.len())?,
            Column::Fixed { index } => exists(place, "fixed column", index, self.fixed.len())?,
        }
        size(
            || format!("a rotation in {place}"),
            u64::from(query.rotation.unsigned_abs()),
            0..=u64::from(self.blinding_rows),
        )
    }

    fn check_expression(&self, place: &str, expression: &Expression<Query>, degree: u32) -> Check {
        let mut result = Ok(());
        expression.leaves(&mut |query| {
            if result.is_ok() {
                result = self.check_query(place, query);
            }
        });
        result?;
        let found = expression.degree();
        if found > degree {
            return Err(CircuitError::Degree { place: place.to_owned(), found, allowed: degree });
        }
        Ok(())
    }

    fn check_gates(&self) -> Check {
        for gate in &self.gates {
            self.check_expression(&format!("gate `{}`", gate.name), &gate.polynomial, self.max_degree)?;
        }
        Ok(())
    }

    fn check_lookups(&self) -> Check {
        let arity = self.arity();
        size(|| "the number of coordinates of tables".to_owned(), arity as u64, 0..=MAX_ARITY)?;
        if !self.lookups.is_empty() && self.table_sets.is_empty() {
            let place = format!("lookup `{}`", self.lookups.first().map_or("", |lookup| &lookup.name));
            return Err(CircuitError::Missing { place, what: "table set", index: 0 });
        }
        for lookup in &self.lookups {
            let place = format!("lookup `{}`", lookup.name);
            size(
                || format!("the number of coordinates of {place}"),
                lookup.tuple.len() as u64,
                1..=arity as u64,
            )?;
            exists(&place, "fixed column", lookup.selector, self.fixed.len())?;
            for expression in lookup.tuple.iter().chain([&lookup.tag]) {
                self.check_expression(&place, expression, 1)?;
            }
        }
        for (index, set) in self.table_sets.iter().enumerate() {
            let place = format!("table set {index}");
            size(
                || format!("the number of coordinates of {place}"),
                set.values.len() as u64,
                arity as u64..=arity as u64,
            )?;
            for column in set.values.iter().chain([&set.tag, &set.selector]) {
                exists(&place, "fixed column", *column, self.fixed.len())?;
            }
        }
        Ok(())
    }

    /// Rotations at which each column is opened, ascending. Tensor columns are always opened at rotation 0.
    pub fn opened_rotations(&self) -> BTreeMap<Column, BTreeSet<i32>> {
        let mut opened: BTreeMap<Column, BTreeSet<i32>> = BTreeMap::new();
        let mut note = |query: &Query| {
            opened.entry(query.column).or_default().insert(query.rotation);
        };
        for gate in &self.gates {
            gate.polynomial.leaves(&mut note);
        }
        for lookup in &self.lookups {
            note(&Query::fixed(lookup.selector));
            lookup.tuple.iter().chain([&lookup.tag]).for_each(|expression| expression.leaves(&mut note));
        }
        if !self.lookups.is_empty() {
            for set in &self.table_sets {
                set.values
                    .iter()
                    .chain([&set.tag, &set.selector])
                    .for_each(|index| note(&Query::fixed(*index)));
            }
        }
        for index in self.tensor_columns() {
            note(&Query::advice(index as u32));
        }
        opened
    }

    /// Enough random rows for every value that a proof shows (protocol, section 6).
    fn check_blinding(&self) -> Check {
        let opened = self.opened_rotations();
        let mut needed = 3;
        for (index, advice) in self.advice.iter().enumerate() {
            let shown = opened
                .get(&Column::Advice { index: index as u32 })
                .map_or(0, |rotations| rotations.len() as u64);
            if shown == 0 {
                let place = format!("advice column `{}`", advice.name);
                return Err(CircuitError::Missing { place, what: "use", index: 0 });
            }
            needed = needed.max(if advice.tensor { shown + 3 } else { shown });
        }
        if let Some((column, rotations)) =
            opened.iter().find(|(_, rotations)| rotations.len() as u64 > MAX_ROTATIONS)
        {
            return size(
                || format!("the number of rotations of {column:?}"),
                rotations.len() as u64,
                0..=MAX_ROTATIONS,
            );
        }
        let rows = self.rows() as u64 - 1;
        size(|| "the number of blinding rows".to_owned(), u64::from(self.blinding_rows), needed..=rows)
    }

    fn check_matrices(&self) -> Check {
        let mut uses = vec![0_u64; self.matrices.len()];
        for claim in &self.claims {
            if let Relation::Matrix { matrix, .. } = &claim.relation
                && let Some(count) = uses.get_mut(*matrix as usize)
            {
                *count += 1;
            }
        }
        for (matrix, uses) in self.matrices.iter().zip(uses) {
            let place = format!("matrix `{}`", matrix.name);
            size(|| format!("the number of rows of {place}"), u64::from(matrix.rows), 1..=MAX_EXTENT)?;
            size(|| format!("the number of columns of {place}"), u64::from(matrix.columns), 1..=MAX_EXTENT)?;
            exists(&place, "axis role", matrix.row_role, self.roles.len())?;
            size(|| format!("the number of claims about {place}"), uses, 1..=1)?;
        }
        Ok(())
    }

    fn check_claim(&self, claim: &Claim) -> Check {
        let place = format!("claim `{}`", claim.name);
        self.check_views(&place, &claim.output, false)?;
        self.check_output(claim)?;
        match &claim.relation {
            Relation::Matrix { matrix, input, ones } => {
                exists(&place, "matrix", *matrix, self.matrices.len())?;
                let columns = self.matrices.get(*matrix as usize).map_or(0, |m| m.columns);
                self.check_fold_views(&place, input, u64::from(columns))?;
                for one in ones {
                    self.check_monomial(&place, &one.scale, false)?;
                    for axis in &one.axes {
                        size(
                            || format!("a position axis of {place}"),
                            u64::from(axis.count),
                            1..=MAX_EXTENT,
                        )?;
                        self.check_monomial(&place, &axis.ratio, true)?;
                    }
                    let last = one.last_column();
                    size(
                        || format!("the last column of constant ones of {place}"),
                        last,
                        0..=u64::from(columns).saturating_sub(1),
                    )?;
                }
                Ok(())
            }
            Relation::Product { left, right, length } => {
                size(|| format!("the contraction length of {place}"), u64::from(*length), 1..=MAX_EXTENT)?;
                self.check_fold_views(&place, left, u64::from(*length))?;
                self.check_fold_views(&place, right, u64::from(*length))
            }
            Relation::Linear { inputs } => self.check_views(&place, inputs, false),
            Relation::Public { tensor } => {
                exists(&place, "public tensor", *tensor, self.publics.len())?;
                let length = self.publics.get(*tensor as usize).map_or(0, |public| public.length);
                self.check_vector(&place, claim, length)
            }
            Relation::External { vector } => {
                exists(&place, "external vector", *vector, self.externals.len())?;
                let length = self.externals.get(*vector as usize).map_or(0, |external| external.length);
                self.check_vector(&place, claim, length)
            }
        }
    }

    fn check_monomial(&self, place: &str, monomial: &Monomial, fold: bool) -> Check {
        let reason = "a monomial is not in canonical form, or uses the fold's variable outside a fold";
        let claim = place.to_owned();
        if !monomial.is_canonical() || (!fold && monomial.exponent(Variable::Fold {}) > 0) {
            return Err(CircuitError::Monomials { claim, reason });
        }
        for power in &monomial.powers {
            size(|| format!("an exponent in {place}"), u64::from(power.exponent), 1..=MAX_EXTENT)?;
            if let Variable::Role { index } = power.variable {
                exists(place, "axis role", index, self.roles.len())?;
            }
        }
        Ok(())
    }

    fn check_views(&self, place: &str, views: &[View], fold: bool) -> Check {
        let columns = self.tensor_columns().count();
        for view in views {
            exists(place, "tensor column", view.column, columns)?;
            self.check_monomial(place, &view.scale, fold)?;
            for segment in view.axes.iter().flat_map(|axis| &axis.segments) {
                size(|| format!("a segment of {place}"), u64::from(segment.count), 0..=MAX_EXTENT)?;
                self.check_monomial(place, &segment.ratio, fold)?;
                self.check_monomial(place, &segment.scale, fold)?;
            }
            size(|| format!("the number of cells of a view of {place}"), view.size(), 0..=MAX_EXTENT)?;
            let limit = self.usable() as u64;
            if let Some(reach) = view.reach().filter(|reach| *reach >= limit) {
                return Err(CircuitError::Reach {
                    place: place.to_owned(),
                    column: view.column,
                    reach,
                    limit,
                });
            }
        }
        Ok(())
    }

    /// Views of a fold stay inside their segment of it.
    fn check_fold_views(&self, place: &str, views: &[View], length: u64) -> Check {
        self.check_views(place, views, true)?;
        let fold = |monomial: &Monomial| u64::from(monomial.exponent(Variable::Fold {}));
        for view in views {
            let far = |s: &Segment| fold(&s.scale) + fold(&s.ratio) * u64::from(s.count.saturating_sub(1));
            let axes = view.axes.iter().map(|axis| axis.segments.iter().map(far).max().unwrap_or(0));
            let last = axes.fold(fold(&view.scale), u64::saturating_add);
            size(|| format!("the last fold entry of {place}"), last, 0..=length.saturating_sub(1))?;
        }
        Ok(())
    }

    /// Every output cell has a monomial of its own: each view's axes have one segment and one role of their own with
    /// exponent one, so its cells form a box of exponents; the boxes of a claim are disjoint.
    fn check_output(&self, claim: &Claim) -> Check {
        let fail = |reason| Err(CircuitError::Monomials { claim: claim.name.clone(), reason });
        let mut boxes: Vec<Vec<(Variable, u64, u64)>> = Vec::new();
        let views = claim.output.len() as u64;
        size(
            || format!("the number of output views of claim `{}`", claim.name),
            views,
            0..=MAX_OUTPUT_VIEWS,
        )?;
        for view in &claim.output {
            if view.coefficient == 0 {
                return fail("an output view has coefficient zero");
            }
            let mut extents: Vec<(Variable, u64, u64)> =
                view.scale.powers.iter().map(|p| (p.variable, u64::from(p.exponent), 1)).collect();
            let mut axis_variables = Vec::new();
            for axis in &view.axes {
                let [segment] = axis.segments.as_slice() else {
                    return fail("an output axis has not one segment");
                };
                let [power] = segment.ratio.powers.as_slice() else {
                    return fail("an output axis has not one role");
                };
                if power.exponent != 1
                    || !segment.scale.powers.is_empty()
                    || axis_variables.contains(&power.variable)
                {
                    return fail(
                        "an output axis shares its role, or its ratio is not the role's challenge itself",
                    );
                }
                if segment.step == 0 {
                    return fail("an output axis visits one cell several times");
                }
                axis_variables.push(power.variable);
                match extents.iter_mut().find(|(variable, ..)| *variable == power.variable) {
                    Some((_, _, count)) => *count = u64::from(segment.count),
                    None => extents.push((power.variable, 0, u64::from(segment.count))),
                }
            }
            boxes.push(extents);
        }
        for (index, first) in boxes.iter().enumerate() {
            if boxes.iter().skip(index + 1).any(|second| !disjoint(first, second)) {
                return fail("two output views share a monomial");
            }
        }
        Ok(())
    }

    /// Outputs that are compared with a vector cover its positions exactly.
    fn check_vector(&self, place: &str, claim: &Claim, length: u32) -> Check {
        let mut covered = 0;
        for view in &claim.output {
            let [axis] = view.axes.as_slice() else {
                return Err(CircuitError::Monomials {
                    claim: claim.name.clone(),
                    reason: "a vector has one axis",
                });
            };
            let [Segment { ratio, count, .. }] = axis.segments.as_slice() else {
                return Err(CircuitError::Monomials {
                    claim: claim.name.clone(),
                    reason: "a vector has one segment",
                });
            };
            let start = view.scale.exponent(Variable::Public {});
            let only = view.scale == Monomial::power(Variable::Public {}, start);
            if *ratio != Monomial::power(Variable::Public {}, 1)
                || !only
                || view.coefficient != 1
                || start != covered
            {
                let reason = "a vector's cells are not numbered by powers of the public challenge, in order";
                return Err(CircuitError::Monomials { claim: claim.name.clone(), reason });
            }
            covered = covered.saturating_add(*count);
        }
        size(
            || format!("the number of cells of {place}"),
            u64::from(covered),
            u64::from(length)..=u64::from(length),
        )
    }

    fn check_folds(&self) -> Check {
        let folds = self.folds();
        size(
            || "the number of random runs of folds".to_owned(),
            self.fold_blinds.runs.len() as u64,
            folds.len() as u64..=folds.len() as u64,
        )?;
        size(
            || "the number of random entries of a fold".to_owned(),
            u64::from(self.fold_blinds.count),
            3..=64,
        )?;
        let columns = self.tensor_columns().count();
        for run in &self.fold_blinds.runs {
            exists("a fold's random run", "tensor column", run.column, columns)?;
            let reach = u64::from(run.row) + u64::from(self.fold_blinds.count) - 1;
            if reach >= self.usable() as u64 {
                let place = "a fold's random run".to_owned();
                return Err(CircuitError::Reach {
                    place,
                    column: run.column,
                    reach,
                    limit: self.usable() as u64,
                });
            }
        }
        let (_, input, left) = self.fold_segments();
        size(|| "the length of the folds".to_owned(), input.max(left), 0..=MAX_EXTENT)
    }

    fn check_statement(&self) -> Check {
        let (mut publics, mut externals) =
            (vec![0_u64; self.publics.len()], vec![0_u64; self.externals.len()]);
        for claim in &self.claims {
            let count = match claim.relation {
                Relation::Public { tensor } => publics.get_mut(tensor as usize),
                Relation::External { vector } => externals.get_mut(vector as usize),
                _ => None,
            };
            if let Some(count) = count {
                *count += 1;
            }
        }
        for (public, uses) in self.publics.iter().zip(publics) {
            let place = format!("public tensor `{}`", public.name);
            size(|| format!("the length of {place}"), u64::from(public.length), 1..=MAX_EXTENT)?;
            size(|| format!("the number of claims about {place}"), uses, 1..=u64::MAX)?;
        }
        for (external, uses) in self.externals.iter().zip(externals) {
            let place = format!("external vector `{}`", external.name);
            let extent = u64::from(external.offset) + u64::from(external.length);
            size(|| format!("the extent of {place}"), extent, 1..=MAX_EXTENT)?;
            size(|| format!("the number of claims about {place}"), uses, 1..=u64::MAX)?;
        }
        let publics = self.publics.iter().map(|public| public.identifier);
        let mut identifiers: Vec<u32> = publics.chain(self.externals.iter().map(|e| e.identifier)).collect();
        identifiers.sort_unstable();
        let twice = identifiers.iter().zip(identifiers.iter().skip(1)).find(|(a, b)| a == b);
        size(
            || "the number of tensors of one identifier".to_owned(),
            if twice.is_some() { 2 } else { 1 },
            1..=1,
        )
    }

    /// Every view of every claim stays inside one declared piece of a tensor, so that each cell that a claim speaks of has a
    /// recorded origin. Cells of nothing in particular, and the random cells of folds, cannot be read.
    fn check_readable(&self) -> Check {
        let pieces = self.tensors.iter().flat_map(|tensor| &tensor.pieces);
        let mut ranges: Vec<(u32, u64, u64)> = pieces
            .filter(|piece| piece.length > 0)
            .map(|piece| {
                (piece.column, u64::from(piece.offset), u64::from(piece.offset) + u64::from(piece.length))
            })
            .collect();
        ranges.sort_unstable();
        let inside = |view: &View| {
            let Some(reach) = view.reach() else { return true };
            let key = (view.column, u64::from(view.offset), u64::MAX);
            let before =
                ranges.partition_point(|range| *range <= key).checked_sub(1).and_then(|at| ranges.get(at));
            before.is_some_and(|(column, _, end)| *column == view.column && reach < *end)
        };
        for claim in &self.claims {
            let inputs: [&[View]; 2] = match &claim.relation {
                Relation::Matrix { input, .. } => [input, &[]],
                Relation::Linear { inputs } => [inputs, &[]],
                Relation::Product { left, right, .. } => [left, right],
                Relation::Public { .. } | Relation::External { .. } => [&[], &[]],
            };
            if let Some(view) =
                claim.output.iter().chain(inputs.into_iter().flatten()).find(|view| !inside(view))
            {
                let tensor = format!("at row {} of tensor column {}", view.offset, view.column);
                let reason = format!("claim `{}` speaks of cells that no tensor declares", claim.name);
                return Err(CircuitError::Origin { tensor, reason });
            }
        }
        Ok(())
    }

    /// Tensors lie inside the usable rows, apart from each other and from the folds' random runs.
    fn check_tensors(&self) -> Check {
        let columns = self.tensor_columns().count();
        let count = u64::from(self.fold_blinds.count);
        let mut taken: Vec<(u32, u64, u64)> = self
            .fold_blinds
            .runs
            .iter()
            .map(|run| (run.column, u64::from(run.row), u64::from(run.row) + count))
            .collect();
        for tensor in &self.tensors {
            let place = format!("tensor `{}`", tensor.name);
            for piece in &tensor.pieces {
                exists(&place, "tensor column", piece.column, columns)?;
                let end = u64::from(piece.offset) + u64::from(piece.length);
                if end > self.usable() as u64 {
                    let limit = self.usable() as u64;
                    return Err(CircuitError::Reach { place, column: piece.column, reach: end - 1, limit });
                }
                taken.push((piece.column, u64::from(piece.offset), end));
            }
        }
        taken.sort_unstable();
        let clash = taken.iter().zip(taken.iter().skip(1)).find(|(a, b)| a.0 == b.0 && a.2 > b.1);
        if let Some(((column, ..), (_, row, _))) = clash {
            let tensor = format!("at row {row} of tensor column {column}");
            return Err(CircuitError::Origin {
                tensor,
                reason: "two tensors or random runs overlap".to_owned(),
            });
        }
        Ok(())
    }
}

/// Whether two boxes of exponents share no point: some variable's ranges are apart.
pub(crate) fn disjoint(first: &[(Variable, u64, u64)], second: &[(Variable, u64, u64)]) -> bool {
    let range = |extents: &[(Variable, u64, u64)], variable| {
        extents
            .iter()
            .find(|(v, ..)| *v == variable)
            .map_or((0, 1), |(_, start, count)| (*start, start.saturating_add(*count)))
    };
    first.iter().chain(second).any(|(variable, ..)| {
        let (a, b) = (range(first, *variable), range(second, *variable));
        a.1 <= b.0 || b.1 <= a.0
    })
}
