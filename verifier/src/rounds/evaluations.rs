//! Round 5: the values in the clear.

use ark_bn254::Fr;
use zkloom_plonkish::{Circuit, Column, FoldKind};

use crate::polynomial::Opened;
use crate::transcript::{Message, Transcript};

/// Values at z, at rotations of z and at 1/z.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluations {
    /// For each advice column, its value at each opened rotation, ascending.
    pub advice: Vec<Vec<Fr>>,
    /// Multiplicities at z.
    pub multiplicities: Vec<Fr>,
    /// Helpers at z.
    pub helpers: Vec<Fr>,
    /// Running sum at z and at the next row's point.
    pub running_sum: Option<[Fr; 2]>,
    /// For each fixed column, its value at each opened rotation, ascending.
    pub fixed: Vec<Vec<Fr>>,
    /// The link polynomial at z.
    pub link: Fr,
    /// The input fold at z and 1/z.
    pub input_fold: Option<[Fr; 2]>,
    /// The left fold at z and 1/z.
    pub left_fold: Option<[Fr; 2]>,
    /// y: the one identity's first half at z.
    pub symmetric: Fr,
}

/// nu, which combines the openings.
#[derive(Clone, Copy, Debug)]
pub struct OpeningChallenge(pub Fr);

/// Which values a proof shows: a function of the circuit alone.
#[derive(Clone, Debug)]
pub struct EvaluationPlan {
    /// Rotations of each advice column.
    pub advice: Vec<Vec<i32>>,
    /// Rotations of each fixed column; empty for a column that no identity reads.
    pub fixed: Vec<Vec<i32>>,
    /// Number of multiplicity columns.
    pub multiplicities: usize,
    /// Number of helpers.
    pub helpers: usize,
    /// Whether there is a running sum.
    pub running_sum: bool,
    /// Whether the input fold exists.
    pub input_fold: bool,
    /// Whether the left and right folds exist.
    pub product_folds: bool,
}

impl EvaluationPlan {
    /// The plan of a circuit.
    pub fn new(circuit: &Circuit) -> Self {
        let opened = circuit.opened_rotations();
        let rotations = |column| {
            opened.get(&column).map_or_else(Vec::new, |rotations| rotations.iter().copied().collect())
        };
        let lookups = !circuit.lookups.is_empty();
        let folds = circuit.folds();
        Self {
            advice: (0..circuit.advice.len() as u32)
                .map(|index| rotations(Column::Advice { index }))
                .collect(),
            fixed: (0..circuit.fixed.len() as u32).map(|index| rotations(Column::Fixed { index })).collect(),
            multiplicities: if lookups { circuit.table_sets.len() } else { 0 },
            helpers: if lookups { circuit.helpers() } else { 0 },
            running_sum: lookups,
            input_fold: folds.contains(&FoldKind::Input),
            product_folds: folds.contains(&FoldKind::Left),
        }
    }

    /// Reads values in the protocol's order from `next`.
    pub fn read<E>(&self, mut next: impl FnMut() -> Result<Fr, E>) -> Result<Evaluations, E> {
        let pair = |next: &mut dyn FnMut() -> Result<Fr, E>, exists: bool| {
            if exists { Ok(Some([next()?, next()?])) } else { Ok(None) }
        };
        let columns = |next: &mut dyn FnMut() -> Result<Fr, E>, plan: &[Vec<i32>]| {
            plan.iter()
                .map(|rotations| rotations.iter().map(|_| next()).collect())
                .collect::<Result<Vec<Vec<Fr>>, E>>()
        };
        Ok(Evaluations {
            advice: columns(&mut next, &self.advice)?,
            multiplicities: (0..self.multiplicities).map(|_| next()).collect::<Result<_, E>>()?,
            helpers: (0..self.helpers).map(|_| next()).collect::<Result<_, E>>()?,
            running_sum: pair(&mut next, self.running_sum)?,
            fixed: columns(&mut next, &self.fixed)?,
            link: next()?,
            input_fold: pair(&mut next, self.input_fold)?,
            left_fold: pair(&mut next, self.product_folds)?,
            symmetric: next()?,
        })
    }
}

impl Evaluations {
    /// All values in the protocol's order.
    pub fn values(&self) -> Vec<Fr> {
        let mut values: Vec<Fr> = self.advice.iter().flatten().copied().collect();
        values.extend(&self.multiplicities);
        values.extend(&self.helpers);
        values.extend(self.running_sum.iter().flatten());
        values.extend(self.fixed.iter().flatten());
        values.push(self.link);
        values.extend(self.input_fold.iter().chain(&self.left_fold).flatten());
        values.push(self.symmetric);
        values
    }

    /// Absorbs all values and draws nu.
    ///
    /// Soundness: nu combines the opening claims into one; known before the values, a false one could be balanced by
    /// another.
    pub fn absorb(&self, transcript: &mut impl Transcript) -> OpeningChallenge {
        let mut message = Message::new();
        self.values().into_iter().for_each(|value| {
            message.scalar(value);
        });
        transcript.absorb("round5", &message);
        OpeningChallenge(transcript.challenge("nu"))
    }

    /// The value of a polynomial that the row identities read, if it is among these.
    pub fn get(&self, plan: &EvaluationPlan, opened: &Opened) -> Option<Fr> {
        let column = |values: &[Vec<Fr>], plan: &[Vec<i32>], index: usize, rotation: i32| {
            let position = plan.get(index)?.iter().position(|known| *known == rotation)?;
            values.get(index)?.get(position).copied()
        };
        match *opened {
            Opened::Advice { column: index, rotation } => column(&self.advice, &plan.advice, index, rotation),
            Opened::Fixed { column: index, rotation } => column(&self.fixed, &plan.fixed, index, rotation),
            Opened::Multiplicity(set) => self.multiplicities.get(set).copied(),
            Opened::Helper(index) => self.helpers.get(index).copied(),
            Opened::RunningSum => self.running_sum.map(|[here, _]| here),
            Opened::NextRunningSum => self.running_sum.map(|[_, next]| next),
            Opened::FirstRow | Opened::FirstBlindingRow | Opened::ActiveRows => None,
        }
    }
}
