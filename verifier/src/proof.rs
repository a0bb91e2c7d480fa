//! Proofs and their encoding. A proof's shape is a function of the key; decoding is total.

use ark_bn254::{Fr, G1Affine};
use zkloom_plonkish::{Circuit, Decode, DecodeError, Encode, Reader, Writer};

use crate::error::VerifyError;
use crate::group::{compressed, read_compressed};
use crate::key::VerifyingKey;
use crate::rounds::evaluations::{EvaluationPlan, Evaluations};
use crate::rounds::folds::FoldMessage;
use crate::rounds::link::LinkMessage;
use crate::rounds::opening::OpeningMessage;
use crate::rounds::quotient::QuotientMessage;
use crate::rounds::trace::{AdviceCommitment, TraceMessage};

/// Everything that the prover sends, round by round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Round 1.
    pub trace: TraceMessage,
    /// Round 2.
    pub folds: FoldMessage,
    /// Round 3.
    pub link: LinkMessage,
    /// Round 4.
    pub quotient: QuotientMessage,
    /// Round 5.
    pub evaluations: Evaluations,
    /// Rounds 6 to 8.
    pub opening: OpeningMessage,
}

fn write_points<'a>(writer: &mut Writer, points: impl IntoIterator<Item = &'a G1Affine>) {
    points.into_iter().for_each(|point| writer.raw(&compressed(point)));
}

impl Proof {
    /// The compressed encoding: messages in the order of the rounds, without counts.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        for column in &self.trace.advice {
            write_points(&mut writer, core::iter::once(&column.row).chain(&column.coefficients));
        }
        write_points(&mut writer, &self.trace.multiplicities);
        write_points(
            &mut writer,
            self.folds.folds.iter().chain(&self.folds.helpers).chain(&self.folds.running_sum),
        );
        write_points(&mut writer, [&self.link.link, &self.link.symmetric]);
        self.link.fold_value.iter().for_each(|value| value.encode(&mut writer));
        self.link.column_value.encode(&mut writer);
        write_points(&mut writer, &self.quotient.pieces);
        self.evaluations.values().iter().for_each(|value| value.encode(&mut writer));
        write_points(&mut writer, [&self.opening.first, &self.opening.second, &self.opening.delta]);
        writer.finish()
    }

    /// Reads a proof of the key's shape.
    pub fn from_bytes(key: &VerifyingKey, bytes: &[u8]) -> Result<Self, VerifyError> {
        let mut reader = Reader::new(bytes);
        let proof = Self::read(key.circuit(), &mut reader)?;
        reader.end()?;
        Ok(proof)
    }

    /// Number of bytes of every proof of a circuit.
    pub fn encoded_length(circuit: &Circuit) -> usize {
        let plan = EvaluationPlan::new(circuit);
        let tensor_columns = circuit.tensor_columns().count();
        let folds = circuit.folds().len();
        let points = circuit.advice.len() + tensor_columns + plan.multiplicities + folds + plan.helpers;
        let points = points + usize::from(plan.running_sum) + 2 + circuit.max_degree as usize - 1 + 3;
        let shown: usize = plan.advice.iter().chain(&plan.fixed).map(Vec::len).sum();
        let pairs =
            usize::from(plan.running_sum) + usize::from(plan.input_fold) + usize::from(plan.product_folds);
        let scalars = shown + plan.multiplicities + plan.helpers + 2 * pairs + 3 + usize::from(folds > 0);
        32 * (points + scalars)
    }

    fn read(circuit: &Circuit, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let plan = EvaluationPlan::new(circuit);
        let many = |reader: &mut Reader<'_>, count: usize| {
            (0..count).map(|_| read_compressed(reader)).collect::<Result<Vec<_>, _>>()
        };
        let mut advice = Vec::new();
        for column in &circuit.advice {
            let row = read_compressed(reader)?;
            let coefficients = if column.tensor { Some(read_compressed(reader)?) } else { None };
            advice.push(AdviceCommitment { row, coefficients });
        }
        let trace = TraceMessage { advice, multiplicities: many(reader, plan.multiplicities)? };
        let folds = FoldMessage {
            folds: many(reader, circuit.folds().len())?,
            helpers: many(reader, plan.helpers)?,
            running_sum: if plan.running_sum { Some(read_compressed(reader)?) } else { None },
        };
        let link = LinkMessage {
            link: read_compressed(reader)?,
            symmetric: read_compressed(reader)?,
            fold_value: if circuit.folds().is_empty() { None } else { Some(Fr::decode(reader)?) },
            column_value: Fr::decode(reader)?,
        };
        let quotient =
            QuotientMessage { pieces: many(reader, circuit.max_degree.saturating_sub(1) as usize)? };
        let evaluations = plan.read(|| Fr::decode(reader))?;
        let opening = OpeningMessage {
            first: read_compressed(reader)?,
            second: read_compressed(reader)?,
            delta: read_compressed(reader)?,
        };
        Ok(Self { trace, folds, link, quotient, evaluations, opening })
    }

    /// Checks that a proof put together by hand has the key's shape.
    pub fn check_shape(&self, circuit: &Circuit, plan: &EvaluationPlan) -> Result<(), VerifyError> {
        let check = |what: &'static str, expected: usize, found: usize| {
            if expected == found { Ok(()) } else { Err(VerifyError::ProofShape { what, expected, found }) }
        };
        check("advice commitments", circuit.advice.len(), self.trace.advice.len())?;
        for (column, commitment) in circuit.advice.iter().zip(&self.trace.advice) {
            let found = usize::from(commitment.coefficients.is_some());
            check("coefficient-form commitments of a column", usize::from(column.tensor), found)?;
        }
        check("multiplicity commitments", plan.multiplicities, self.trace.multiplicities.len())?;
        check("fold commitments", circuit.folds().len(), self.folds.folds.len())?;
        check("helper commitments", plan.helpers, self.folds.helpers.len())?;
        check("running sums", usize::from(plan.running_sum), usize::from(self.folds.running_sum.is_some()))?;
        check(
            "fold values",
            usize::from(!circuit.folds().is_empty()),
            usize::from(self.link.fold_value.is_some()),
        )?;
        check("quotient pieces", circuit.max_degree.saturating_sub(1) as usize, self.quotient.pieces.len())?;
        let values = &self.evaluations;
        for (plan, found) in [(&plan.advice, &values.advice), (&plan.fixed, &values.fixed)] {
            check("opened columns", plan.len(), found.len())?;
            for (rotations, found) in plan.iter().zip(found) {
                check("values of a column", rotations.len(), found.len())?;
            }
        }
        check("multiplicity values", plan.multiplicities, values.multiplicities.len())?;
        check("helper values", plan.helpers, values.helpers.len())?;
        check(
            "running sum values",
            usize::from(plan.running_sum),
            usize::from(values.running_sum.is_some()),
        )?;
        check("input fold values", usize::from(plan.input_fold), usize::from(values.input_fold.is_some()))?;
        check("left fold values", usize::from(plan.product_folds), usize::from(values.left_fold.is_some()))
    }
}
