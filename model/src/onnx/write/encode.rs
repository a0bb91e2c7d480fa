//! The protocol-buffer encoding of ONNX messages, as far as a written network needs it.

/// Element type numbers of ONNX.
pub(super) const FLOAT: u64 = 1;
pub(super) const INT64: u64 = 7;
/// The most bytes that a protocol-buffer message may have.
pub(super) const MOST_BYTES: usize = i32::MAX as usize;

/// An attribute's value.
#[derive(Clone, Debug)]
pub(super) enum Attribute {
    Float(f32),
    Int(i64),
    Ints(Vec<i64>),
}

/// A message under construction: fields in the order in which they are added.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A whole number; negative ones as their two's complement.
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        self.raw_varint(field << 3);
        self.raw_varint(value);
        self
    }

    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.raw_varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }
}

/// AttributeProto.
pub(super) fn attribute(name: &str, value: &Attribute) -> Message {
    let message = Message::default().text(1, name);
    match value {
        Attribute::Float(value) => message.float(2, *value).number(20, 1),
        Attribute::Int(value) => message.number(3, *value as u64).number(20, 2),
        Attribute::Ints(values) => {
            values.iter().fold(message, |message, &value| message.number(8, value as u64)).number(20, 7)
        }
    }
}

/// TensorProto with raw little-endian data.
pub(super) fn tensor(name: &str, shape: &[usize], data_type: u64, raw: &[u8]) -> Message {
    let message = Message::default();
    let message = shape.iter().fold(message, |message, &size| message.number(1, size as u64));
    message.number(2, data_type).text(8, name).bytes(9, raw)
}

/// ValueInfoProto of a tensor with that shape.
pub(super) fn value(name: &str, shape: &[usize], data_type: u64) -> Message {
    let dimension = |&size: &usize| Message::default().number(1, size as u64);
    let dimensions = shape.iter().map(dimension);
    let shape = dimensions.fold(Message::default(), |shape, dimension| shape.message(1, &dimension));
    let tensor = Message::default().number(1, data_type).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_tag_and_value() {
        assert_eq!(Message::default().number(1, 300).0, [0x08, 0xac, 0x02]);
        assert_eq!(Message::default().number(20, 2).0, [0xa0, 0x01, 0x02]);
        assert_eq!(Message::default().text(2, "ab").0, [0x12, 2, b'a', b'b']);
        assert_eq!(Message::default().float(2, 1.0).0, [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::default().number(3, -1i64 as u64).0.len(), 11);
    }
}
