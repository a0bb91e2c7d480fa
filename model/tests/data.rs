//! Data files of every kind, and everything that can be wrong with them.

use std::io::{Cursor, Write};

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use zkloom_model::data::{DataError, Dataset};

/// A `.npy` file with that header text and data.
fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = NpzWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let zip = archive.zip_writer();
        zip.start_file(format!("{name}.npy"), Default::default()).expect("entry");
        zip.write_all(bytes).expect("contents");
    }
    archive.zip_writer().finish().expect("archive").into_inner()
}

#[test]
fn npy_of_each_element_type() {
    let from = |descr: &str, data: &[u8]| {
        Dataset::from_npy("test", &npy(descr, "False", "(2,)", data)).expect(descr)
    };
    assert_eq!(from("<f4", &floats(&[1.5, -2.0])).values, [1.5, -2.0]);
    assert_eq!(from(">f4", &[0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0]).values, [1.5, -2.0]);
    let doubles: Vec<u8> = [0.25f64, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(from("<f8", &doubles).values, [0.25, 3.0]);
    assert_eq!(from("|i1", &[1, 0xff]).values, [1.0, -1.0]);
    assert_eq!(from("|u1", &[1, 0xff]).values, [1.0, 255.0]);
    assert_eq!(from("<i2", &[1, 0, 0xff, 0xff]).values, [1.0, -1.0]);
    assert_eq!(from("<u2", &[1, 0, 0xff, 0xff]).values, [1.0, 65535.0]);
    assert_eq!(from("<i4", &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).values, [1.0, -1.0]);
    assert_eq!(from("<u4", &[1, 0, 0, 0, 2, 0, 0, 0]).values, [1.0, 2.0]);
    let longs: Vec<u8> = [7i64, -8].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(from("<i8", &longs).values, [7.0, -8.0]);
    assert_eq!(from("<u8", &[7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]).values, [7.0, 8.0]);
}

#[test]
fn column_major_arrays_are_turned() {
    let bytes = npy("<f4", "True", "(2, 3)", &floats(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    let data = Dataset::from_npy("test", &bytes).expect("data");
    assert_eq!(data.shape, [2, 3]);
    assert_eq!(data.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn files_that_numpy_libraries_write_are_read() {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[2, 2])
        .writer(&mut bytes)
        .begin_nd()
        .expect("writer");
    writer.extend([1.0f32, 2.0, 3.0, 4.0]).expect("data");
    writer.finish().expect("end");
    assert_eq!(Dataset::from_npy("test", &bytes).expect("data").values, [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn npz_arrays_are_found_by_name() {
    let x = || npy("<f4", "False", "(2, 1)", &floats(&[1.0, 2.0]));
    let y = || npy("|u1", "False", "(2,)", &[3, 4]);
    for (inputs, labels) in [("x", "y"), ("inputs", "labels"), ("input", "label"), ("data", "y")] {
        let data =
            Dataset::from_npz("test", &npz(&[(labels, y()), ("other", y()), (inputs, x())])).expect(inputs);
        assert_eq!((data.values, data.labels), (vec![1.0, 2.0], Some(vec![3, 4])), "{inputs}");
    }
    let only = Dataset::from_npz("test", &npz(&[("arr_0", x())])).expect("the only array");
    assert_eq!((only.values, only.labels), (vec![1.0, 2.0], None));
    let unnamed = Dataset::from_npz("test", &npz(&[("a", x()), ("b", x())])).expect_err("no inputs");
    assert!(matches!(&unnamed, DataError::NoInputs { found, .. } if found == &["a", "b"]), "{unnamed}");
    let labels = Dataset::from_npz("test", &npz(&[("y", y())])).expect_err("labels only");
    assert!(matches!(labels, DataError::NoInputs { .. }));
    let label_type = Dataset::from_npz("test", &npz(&[("x", x()), ("y", x())])).expect_err("float labels");
    assert!(label_type.to_string().contains("array `y`"), "{label_type}");
}

#[test]
fn json_in_both_forms() {
    let parse = |text: &str| Dataset::from_json("test", text.as_bytes());
    let data = parse("[[1, 2.5], [-3, 4e0]]").expect("lists");
    assert_eq!((data.shape, data.values, data.labels), (vec![2, 2], vec![1.0, 2.5, -3.0, 4.0], None));
    let data = parse(r#"{"inputs": [[1], [2]], "labels": [0, 9]}"#).expect("object");
    assert_eq!((data.shape, data.values, data.labels), (vec![2, 1], vec![1.0, 2.0], Some(vec![0, 9])));
    assert_eq!(parse("[1, 2, 3]").expect("one sample").shape, [3]);
    assert_eq!(parse(r#"{"input": 5}"#).expect("a number").shape, [0usize; 0]);
}

#[test]
fn samples_are_told_from_one_sample() {
    let data = |shape: &[usize]| {
        let count = shape.iter().product();
        Dataset::new(shape.to_vec(), (0..count).map(|value| value as f32).collect(), None).expect("data")
    };
    let count =
        |shape: &[usize], expected: &[usize]| data(shape).samples(expected).map(|samples| samples.count());
    for (shape, expected, samples) in [
        (&[4][..], &[4][..], 1),
        (&[1, 4], &[4], 1),
        (&[5, 4], &[4], 5),
        (&[4], &[2, 2], 1),
        (&[5, 4], &[2, 2], 5),
        (&[2, 2], &[2, 2], 1),
        (&[5, 2, 2], &[2, 2], 5),
        (&[5, 2, 2], &[1, 2, 2], 5),
        (&[5, 1, 2, 2], &[2, 2], 5),
        (&[7], &[1], 7),
    ] {
        assert_eq!(count(shape, expected).expect("fits"), samples, "{shape:?} for {expected:?}");
    }
    for (shape, expected) in
        [(&[5, 3][..], &[4][..]), (&[8], &[4]), (&[2, 2, 2, 2], &[2, 2]), (&[5, 2, 2], &[2, 2, 2])]
    {
        let error = count(shape, expected).expect_err("does not fit");
        assert!(matches!(error, DataError::Shape { .. }));
        assert!(error.to_string().contains(&format!("{expected:?}")), "{error}");
    }
    let set = data(&[3, 2]);
    let samples = set.samples(&[2]).expect("samples");
    assert_eq!(samples.get(1), Some(&[2.0, 3.0][..]));
    assert_eq!(samples.get(3), None);
    assert_eq!(samples.iter().len(), 3);
}

#[test]
fn values_must_be_finite_and_there() {
    let index_of = |error: DataError| match error {
        DataError::NotFinite { index, .. } => index,
        other => panic!("{other}"),
    };
    let nan = Dataset::new(vec![2, 3], vec![0.0, 0.0, 0.0, 0.0, 0.0, f32::NAN], None).expect_err("NaN");
    assert_eq!(index_of(nan), [1, 2]);
    let infinite = npy("<f4", "False", "(2, 2)", &floats(&[0.0, 0.0, f32::NEG_INFINITY, 0.0]));
    assert_eq!(index_of(Dataset::from_npy("test", &infinite).expect_err("infinity")), [1, 0]);
    let beyond = npy("<f8", "False", "(1,)", &1e300f64.to_le_bytes());
    assert_eq!(index_of(Dataset::from_npy("test", &beyond).expect_err("beyond float32")), [0]);
    assert_eq!(index_of(Dataset::from_json("test", b"[[1, 1e99]]").expect_err("beyond float32")), [0, 1]);
    for text in ["[]", "[[], []]", r#"{"x": []}"#] {
        assert!(
            matches!(Dataset::from_json("test", text.as_bytes()), Err(DataError::Empty { .. })),
            "{text}"
        );
    }
    let empty = npy("<f4", "False", "(0, 64)", &[]);
    assert!(
        matches!(Dataset::from_npy("test", &empty), Err(DataError::Empty { shape, .. }) if shape == [0, 64])
    );
    let length = Dataset::new(vec![2, 2], vec![0.0; 3], None);
    assert!(matches!(length, Err(DataError::Length { expected: 4, found: 3, .. })));
    let labels = Dataset::new(vec![3, 2], vec![0.0; 6], Some(vec![1])).expect("data");
    assert!(matches!(labels.samples(&[2]), Err(DataError::Labels { labels: 1, samples: 3 })));
}

#[test]
fn types_that_are_not_numbers() {
    for (descr, bytes) in [("|b1", 1), ("<c8", 8), ("<f2", 2), ("<U4", 16), ("|O", 8)] {
        let file = npy(descr, "False", "(1,)", &vec![0; bytes]);
        assert!(matches!(Dataset::from_npy("test", &file), Err(DataError::ElementType { .. })), "{descr}");
    }
    for text in ["[[1, null]]", "[true]", r#"["a"]"#, r#"[{"a": 1}]"#] {
        assert!(
            matches!(Dataset::from_json("test", text.as_bytes()), Err(DataError::ElementType { .. })),
            "{text}"
        );
    }
}

#[test]
fn ragged_lists_name_the_place() {
    for (text, place) in [("[[1, 2], [3]]", "[1]"), ("[[1], [[2]]]", "[1, 0]"), ("[[1], 2]", "[1]")] {
        let error = Dataset::from_json("test", text.as_bytes()).expect_err(text);
        assert!(matches!(error, DataError::Ragged { .. }), "{error}");
        assert!(error.to_string().contains(&format!("list at {place}")), "{error}");
    }
}

#[test]
fn files_that_are_cut_off_or_not_what_they_say() {
    let whole = npy("<f4", "False", "(2, 2)", &floats(&[1.0, 2.0, 3.0, 4.0]));
    let cut = Dataset::from_npy("test", &whole[..whole.len() - 5]);
    assert!(matches!(cut, Err(DataError::Truncated { expected: 16, found: 11, .. })));
    assert!(matches!(Dataset::from_npy("test", &whole[..40]), Err(DataError::Malformed { .. })));
    assert!(matches!(Dataset::from_npy("test", b"not numpy"), Err(DataError::Malformed { .. })));
    for shape in
        ["(4611686018427387904, 8)", "(99999999999999999999999,)", "(18446744073709551615,)", "(1000000,)"]
    {
        let announced = npy("<f4", "False", shape, &[0; 16]);
        assert!(matches!(Dataset::from_npy("test", &announced), Err(DataError::Truncated { .. })), "{shape}");
    }
    let archive = npz(&[("x", whole.clone())]);
    assert!(matches!(
        Dataset::from_npz("test", &archive[..archive.len() - 30]),
        Err(DataError::Malformed { .. })
    ));
    assert!(matches!(Dataset::from_npz("test", &whole), Err(DataError::Malformed { .. })));
    let inner = Dataset::from_npz("test", &npz(&[("x", whole[..whole.len() - 4].to_vec())]));
    assert!(matches!(inner, Err(DataError::Truncated { place, .. }) if place.contains("array `x`")));
    for text in ["[1, 2", "[NaN]", "", r#"{"x": [1], "y": 3}"#, r#"{"x": [1], "y": [0.5]}"#] {
        assert!(
            matches!(Dataset::from_json("test", text.as_bytes()), Err(DataError::Malformed { .. })),
            "{text}"
        );
    }
    assert!(matches!(Dataset::from_json("test", b"{\"z\": [1]}"), Err(DataError::NoInputs { .. })));
}

#[test]
fn paths_are_read_by_extension() {
    let folder = std::env::temp_dir().join(format!("zkloom-model-data-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("file");
        path
    };
    let array = npy("<f4", "False", "(1, 2)", &floats(&[1.0, 2.0]));
    for (name, bytes) in
        [("a.npy", array.clone()), ("a.npz", npz(&[("x", array)])), ("a.json", b"[[1, 2]]".to_vec())]
    {
        assert_eq!(Dataset::load(write(name, &bytes)).expect(name).values, [1.0, 2.0]);
    }
    assert!(matches!(Dataset::load(write("a.csv", b"1,2")), Err(DataError::UnknownExtension { .. })));
    assert!(matches!(Dataset::load(folder.join("none.npy")), Err(DataError::Unreadable { .. })));
    std::fs::remove_dir_all(&folder).expect("cleanup");
}

#[test]
fn damaged_bytes_give_errors_or_data_and_never_panic() {
    let array = npy("<f4", "False", "(2, 2)", &floats(&[1.0, 2.0, 3.0, 4.0]));
    let archive = npz(&[("x", array.clone()), ("y", npy("|u1", "False", "(2,)", &[0, 1]))]);
    let json = br#"{"x": [[1, 2.5], [3, 4]], "y": [0, 1]}"#.to_vec();
    type Parse = fn(&str, &[u8]) -> Result<Dataset, DataError>;
    for (bytes, parse) in
        [(array, Dataset::from_npy as Parse), (archive, Dataset::from_npz), (json, Dataset::from_json)]
    {
        for position in 0..bytes.len() {
            let _ = parse("test", &bytes[..position]);
            for replacement in [0, b'(', b'9', 0x7f, 0xff, bytes[position] ^ 1, bytes[position] ^ 0x80] {
                let mut damaged = bytes.clone();
                damaged[position] = replacement;
                if let Ok(data) = parse("test", &damaged) {
                    assert_eq!(data.shape.iter().product::<usize>(), data.values.len());
                    assert!(data.values.iter().all(|value| value.is_finite()));
                }
            }
        }
    }
}

#[test]
fn an_array_survives_as_npy() {
    for (shape, count) in [(vec![], 1), (vec![3], 3), (vec![2, 3], 6), (vec![1, 2, 5, 7], 70)] {
        let values: Vec<f32> = (0..count).map(|index| index as f32 * 0.37 - 4.0).collect();
        let data = Dataset { shape, values, labels: None };
        let bytes = data.to_npy().expect("as many values as the shape has");
        let folder = std::env::temp_dir().join(format!("zkloom-npy-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let path = folder.join("array.npy");
        std::fs::write(&path, bytes).expect("write");
        assert_eq!(Dataset::load(&path).expect("load"), data);
        std::fs::remove_dir_all(folder).expect("remove");
    }
}
