//! Canonical binary encoding: big-endian integers, `u32` counts, no optional forms. Equal values have equal bytes, so the
//! digest of a circuit is the hash of its encoding. Decoding is total and never allocates more than the input's length.

use crate::field;
use ark_bn254::Fr;

/// Why bytes are not an encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends too early.
    #[error("the data ends at byte {at}, where {needed} more bytes are needed")]
    Truncated {
        /// Position of the read.
        at: usize,
        /// Bytes that were needed from there.
        needed: usize,
    },
    /// Bytes are left after the last field.
    #[error("{count} bytes are left over after the end of the data")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A value is not allowed at its place.
    #[error("byte {at}: {what}")]
    Invalid {
        /// Position after the value.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// Collects an encoding.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The encoding so far.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Walks over an encoding.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// Takes `count` bytes.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated { at: self.at, needed: count.saturating_sub(self.rest.len()) })?;
        self.rest = tail;
        self.at += count;
        Ok(head)
    }

    /// Takes a fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.raw(N)?);
        Ok(out)
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// An error at the present position.
    pub fn invalid(&self, what: &'static str) -> DecodeError {
        DecodeError::Invalid { at: self.at, what }
    }

    /// Checks that everything was read.
    pub fn end(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { count }),
        }
    }
}

/// Has a canonical encoding.
pub trait Encode {
    /// Appends the encoding.
    fn encode(&self, writer: &mut Writer);

    /// The encoding alone.
    fn to_vec(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.encode(&mut writer);
        writer.finish()
    }
}

/// Can be read from its canonical encoding.
pub trait Decode: Sized {
    /// Reads one value; rejects every encoding but the canonical one.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that fills the input exactly.
    fn from_slice(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.end()?;
        Ok(value)
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn encode(&self, writer: &mut Writer) {
                writer.raw(&self.to_be_bytes());
            }
        }
        impl Decode for $type {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(reader.array()?))
            }
        }
    )*};
}
integer!(u8, u32, u64, i32, i64);

impl Encode for bool {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&[u8::from(*self)]);
    }
}

impl Decode for bool {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(reader.invalid("a truth value must be 0 or 1")),
        }
    }
}

impl Encode for Fr {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&field::to_bytes(*self));
    }
}

impl Decode for Fr {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        field::from_bytes(&reader.array()?)
            .ok_or_else(|| reader.invalid("a field element is not below the field's order"))
    }
}

impl Encode for String {
    fn encode(&self, writer: &mut Writer) {
        (self.len() as u32).encode(writer);
        writer.raw(self.as_bytes());
    }
}

impl Decode for String {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::decode(reader)? as usize;
        let bytes = reader.raw(count)?;
        core::str::from_utf8(bytes).map(str::to_owned).map_err(|_| reader.invalid("a name is not UTF-8"))
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, writer: &mut Writer) {
        (self.len() as u32).encode(writer);
        for item in self {
            item.encode(writer);
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::decode(reader)? as usize;
        // Each item takes at least one byte, so a count beyond the input is a lie that must not be allocated for.
        if count > reader.remaining() {
            return Err(DecodeError::Truncated { at: reader.at, needed: count - reader.remaining() });
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::decode(reader)?);
        }
        Ok(items)
    }
}

/// Bytes of each entry of a list of integers: the least of 1, 2, 4, 8 that holds all of them.
fn entry_bytes(values: &[i64]) -> u8 {
    let fits = |bits: u32| values.iter().all(|value| *value >> (bits - 1) == 0 || *value >> (bits - 1) == -1);
    [1_u8, 2, 4].into_iter().find(|bytes| fits(8 * u32::from(*bytes))).unwrap_or(8)
}

/// Appends integers as narrow as they fit: bytes of an entry, count, entries in two's complement.
pub fn encode_integers(values: &[i64], writer: &mut Writer) {
    let bytes = entry_bytes(values);
    bytes.encode(writer);
    (values.len() as u32).encode(writer);
    for value in values {
        let wide = value.to_be_bytes();
        let (_, low) = wide.split_at(8 - usize::from(bytes));
        writer.raw(low);
    }
}

/// Reads integers that [`encode_integers`] wrote; no other width than the least is accepted.
pub fn decode_integers(reader: &mut Reader<'_>) -> Result<Vec<i64>, DecodeError> {
    let bytes = u8::decode(reader)?;
    if ![1, 2, 4, 8].contains(&bytes) {
        return Err(reader.invalid("integers of an unknown width"));
    }
    let count = u32::decode(reader)? as usize;
    let length = count.checked_mul(usize::from(bytes)).ok_or_else(|| reader.invalid("too many integers"))?;
    let fill = |first: u8| if first >= 0x80 { -1_i64 } else { 0 };
    let value = |entry: &[u8]| {
        let sign = entry.first().map_or(0, |first| fill(*first));
        entry.iter().fold(sign, |value, byte| value << 8 | i64::from(*byte))
    };
    let values: Vec<i64> = reader.raw(length)?.chunks_exact(usize::from(bytes)).map(value).collect();
    if entry_bytes(&values) == bytes {
        Ok(values)
    } else {
        Err(reader.invalid("integers are wider than they need be"))
    }
}

/// Encodes a struct as its fields one after the other.
#[macro_export]
macro_rules! codec_struct {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Encode for $type {
            fn encode(&self, writer: &mut $crate::codec::Writer) {
                $( $crate::codec::Encode::encode(&self.$field, writer); )*
            }
        }
        impl $crate::codec::Decode for $type {
            fn decode(reader: &mut $crate::codec::Reader<'_>) -> ::core::result::Result<Self, $crate::codec::DecodeError> {
                Ok(Self { $( $field: $crate::codec::Decode::decode(reader)? ),* })
            }
        }
    };
}

/// Encodes an enum as a byte and the fields of the variant.
#[macro_export]
macro_rules! codec_enum {
    ($type:ident { $( $code:literal = $variant:ident { $($field:ident),* } ),* $(,)? }) => {
        impl $crate::codec::Encode for $type {
            fn encode(&self, writer: &mut $crate::codec::Writer) {
                match self {
                    $( Self::$variant { $($field),* } => {
                        let code: u8 = $code;
                        $crate::codec::Encode::encode(&code, writer);
                        $( $crate::codec::Encode::encode($field, writer); )*
                    } )*
                }
            }
        }
        impl $crate::codec::Decode for $type {
            fn decode(reader: &mut $crate::codec::Reader<'_>) -> ::core::result::Result<Self, $crate::codec::DecodeError> {
                match <u8 as $crate::codec::Decode>::decode(reader)? {
                    $( $code => Ok(Self::$variant { $( $field: $crate::codec::Decode::decode(reader)? ),* }), )*
                    _ => Err(reader.invalid(concat!("unknown variant of ", stringify!($type)))),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_as_narrow_as_they_fit() {
        let ends = [
            i8::MIN.into(),
            i8::MAX.into(),
            i16::MIN.into(),
            i16::MAX.into(),
            i32::MIN.into(),
            i32::MAX.into(),
        ];
        for (values, bytes) in [
            (vec![], 1),
            (vec![0, -1, 127, -128], 1),
            (vec![128], 2),
            (vec![-129, 5], 2),
            (vec![40_000], 4),
            (vec![1 << 31], 8),
            (vec![i64::MIN, i64::MAX], 8),
            (ends.to_vec(), 4),
        ] {
            let mut writer = Writer::new();
            encode_integers(&values, &mut writer);
            let encoded = writer.finish();
            assert_eq!(encoded.len(), 5 + values.len() * bytes, "{values:?}");
            assert_eq!(decode_integers(&mut Reader::new(&encoded)).unwrap(), values);
            for cut in 0..encoded.len() {
                assert!(decode_integers(&mut Reader::new(&encoded[..cut])).is_err());
            }
        }
        // Zero in two bytes, and a width that does not exist.
        assert!(decode_integers(&mut Reader::new(&[2, 0, 0, 0, 1, 0, 0])).is_err());
        assert!(decode_integers(&mut Reader::new(&[3, 0, 0, 0, 0])).is_err());
        assert!(decode_integers(&mut Reader::new(&[8, 0xff, 0xff, 0xff, 0xff])).is_err());
    }

    #[test]
    fn round_trips_and_rejections() {
        let value = vec!["a".to_owned(), String::new()];
        let bytes = value.to_vec();
        assert_eq!(Vec::<String>::from_slice(&bytes).unwrap(), value);
        for cut in 0..bytes.len() {
            assert!(matches!(Vec::<String>::from_slice(&bytes[..cut]), Err(DecodeError::Truncated { .. })));
        }
        let mut long = bytes.clone();
        long.push(0);
        assert_eq!(Vec::<String>::from_slice(&long), Err(DecodeError::Trailing { count: 1 }));
        assert!(matches!(bool::from_slice(&[2]), Err(DecodeError::Invalid { .. })));
        assert!(matches!(Vec::<u8>::from_slice(&[0xff; 8]), Err(DecodeError::Truncated { .. })));
        assert!(matches!(String::from_slice(&[0, 0, 0, 1, 0xff]), Err(DecodeError::Invalid { .. })));
        assert!(matches!(Fr::from_slice(&[0xff; 32]), Err(DecodeError::Invalid { .. })));
    }
}
