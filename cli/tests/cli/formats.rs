//! Small ONNX models and NumPy arrays, byte by byte, for inputs that no fixture holds.

/// A length-delimited field of a protocol buffer.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 1 << 14);
    let length = content.len() as u16;
    let mut bytes = vec![number << 3 | 2];
    if length < 0x80 {
        bytes.push(length as u8);
    } else {
        bytes.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A number field of a protocol buffer.
fn number(number: u8, value: u8) -> Vec<u8> {
    assert!(value < 0x80);
    vec![number << 3, value]
}

/// A float32 tensor's name and shape `[1, length]`.
fn value_info(name: &str, length: u8) -> Vec<u8> {
    let dimension = |size: u8| field(1, &number(1, size));
    let shape = field(2, &[dimension(1), dimension(length)].concat());
    let tensor = field(1, &[number(1, 1), shape].concat());
    [field(1, name.as_bytes()), field(2, &tensor)].concat()
}

/// An ONNX model with four inputs and a chain of nodes: `(name, operator)` each.
pub fn onnx_chain(nodes: &[(&str, &str)]) -> Vec<u8> {
    let tensor = |index: usize| format!("t{index}");
    let mut graph = Vec::new();
    for (index, (name, operator)) in nodes.iter().enumerate() {
        let node = [
            field(1, tensor(index).as_bytes()),
            field(2, tensor(index + 1).as_bytes()),
            field(3, name.as_bytes()),
            field(4, operator.as_bytes()),
        ];
        graph.extend(field(1, &node.concat()));
    }
    graph.extend(field(2, b"chain"));
    graph.extend(field(11, &value_info(&tensor(0), 4)));
    graph.extend(field(12, &value_info(&tensor(nodes.len()), 4)));
    let opset = field(8, &[field(1, b""), number(2, 13)].concat());
    [number(1, 8), opset, field(7, &graph)].concat()
}

/// A `.npy` file.
pub fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// A `.npy` file of one sample in float32.
pub fn npy_floats(values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy("<f4", &format!("({},)", values.len()), &data)
}
