//! Values of a circuit: what the key fixes and what a prover fills. Integers stay integers here.

use ark_bn254::Fr;

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer, decode_integers, encode_integers};

/// Values of the fixed columns. A column may end early; missing rows are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedValues {
    /// One vector for each fixed column in key order.
    pub columns: Vec<Vec<i64>>,
}

impl Encode for FixedValues {
    fn encode(&self, writer: &mut Writer) {
        (self.columns.len() as u32).encode(writer);
        self.columns.iter().for_each(|column| encode_integers(column, writer));
    }
}

impl Decode for FixedValues {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::decode(reader)? as usize;
        if count > reader.remaining() {
            return Err(reader.invalid("there are more columns than the data has bytes"));
        }
        Ok(Self { columns: (0..count).map(|_| decode_integers(reader)).collect::<Result<_, _>>()? })
    }
}

impl FixedValues {
    /// Value of a cell; zero where nothing is written.
    pub fn get(&self, column: u32, row: usize) -> i64 {
        self.columns.get(column as usize).and_then(|values| values.get(row)).copied().unwrap_or(0)
    }

    /// Rows of the longest column.
    pub fn rows(&self) -> usize {
        self.columns.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// A row-major integer matrix, bias column included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntegerMatrix {
    /// Entries of a row.
    pub width: u32,
    /// Entries, row after row.
    pub entries: Vec<i64>,
}

impl Encode for IntegerMatrix {
    fn encode(&self, writer: &mut Writer) {
        self.width.encode(writer);
        encode_integers(&self.entries, writer);
    }
}

impl Decode for IntegerMatrix {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { width: u32::decode(reader)?, entries: decode_integers(reader)? })
    }
}

impl IntegerMatrix {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.entries.len().checked_div(self.width as usize).unwrap_or(0)
    }

    /// The rows.
    pub fn iter_rows(&self) -> impl Iterator<Item = &[i64]> {
        self.entries.chunks_exact((self.width as usize).max(1))
    }
}

/// What a prover knows for one proof. Advice columns may end early; missing rows are zero. Blinding rows and the random
/// cells of folds are the prover's own and not given here.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// Advice columns in key order.
    pub advice: Vec<Vec<i64>>,
    /// Public tensors in key order.
    pub publics: Vec<Vec<i64>>,
    /// The whole committed vectors behind the external commitments, in key order.
    pub externals: Vec<Vec<Fr>>,
}

impl Witness {
    /// Value of an advice cell; zero where nothing is written.
    pub fn get(&self, column: u32, row: usize) -> i64 {
        self.advice.get(column as usize).and_then(|values| values.get(row)).copied().unwrap_or(0)
    }
}
