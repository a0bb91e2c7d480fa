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
