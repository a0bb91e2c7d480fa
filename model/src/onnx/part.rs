//! The part of a file that leads to the output, and the shape of its input.

use std::collections::HashSet;

use super::ImportOptions;
use super::error::ImportError;
use super::lowering::LARGEST;
use super::proto::{DataType, DimensionValue, GraphProto, NodeProto, TypeValue, ValueInfoProto};

/// What is imported of a graph.
pub(super) struct Part<'a> {
    /// The nodes that lead to the output, in the file's order.
    pub(super) nodes: Vec<&'a NodeProto>,
    /// The names that they read.
    pub(super) read: HashSet<&'a str>,
    /// The output's name.
    pub(super) output: String,
}

impl<'a> Part<'a> {
    pub(super) fn new(graph: &'a GraphProto, options: &ImportOptions) -> Result<Self, ImportError> {
        let output = match &options.output {
            Some(output) if graph.node.iter().any(|node| node.output.contains(output)) => output.clone(),
            Some(output) => return Err(no_such_tensor(graph, output)),
            None => single_output(graph)?,
        };
        let mut read = HashSet::new();
        let mut nodes = Vec::new();
        for node in graph.node.iter().rev() {
            // A node without outputs is an error of the file, to be told as one.
            let needed = |name: &String| *name == output || read.contains(name.as_str());
            if node.output.is_empty() || node.output.iter().any(needed) {
                read.extend(node.input.iter().map(String::as_str));
                nodes.push(node);
            }
        }
        nodes.reverse();
        Ok(Self { nodes, read, output })
    }
}

fn single_output(graph: &GraphProto) -> Result<String, ImportError> {
    match graph.output.as_slice() {
        [] => Err(ImportError::NoOutput),
        [output] => Ok(output.name.clone()),
        several => {
            Err(ImportError::SeveralOutputs { names: several.iter().map(|o| o.name.clone()).collect() })
        }
    }
}

fn no_such_tensor(graph: &GraphProto, output: &str) -> ImportError {
    let names = graph.output.iter().map(|own| own.name.clone()).collect();
    ImportError::NoSuchTensor { tensor: output.to_string(), outputs: names }
}

/// The input's shape for one sample; sizes that the file leaves open are taken from `given`, with or without a batch dimension.
pub(super) fn input_shape(
    input: &ValueInfoProto,
    given: Option<&[usize]>,
) -> Result<Vec<usize>, ImportError> {
    let dimensions = dimensions(input)?;
    let described: Vec<String> =
        dimensions.iter().map(|size| size.map_or_else(|| "?".into(), |size| size.to_string())).collect();
    let found = format!("[{}]", described.join(", "));
    let wrong = |reason| ImportError::InputShape { input: input.name.clone(), found: found.clone(), reason };
    let (batch, rest) = dimensions.split_first().ok_or_else(|| wrong("export it with a known shape"))?;
    if rest.is_empty() {
        return Err(wrong("export it with a batch dimension first, as [1, n]"));
    }
    if batch.is_some_and(|size| size != 1) {
        return Err(wrong("export it with batch dimension 1, or a symbolic one"));
    }
    let given = match given {
        Some([_, sizes @ ..]) if sizes.len() == rest.len() => sizes,
        Some(sizes) if sizes.len() == rest.len() => sizes,
        _ => &[],
    };
    let mut shape = vec![1];
    for (at, size) in rest.iter().enumerate() {
        let size = size.or_else(|| given.get(at).and_then(|&size| i64::try_from(size).ok()));
        let size = size.ok_or_else(|| {
            wrong("only the batch dimension may be symbolic; state the other sizes, or export it with fixed ones")
        })?;
        let size = usize::try_from(size).ok().filter(|&size| size > 0);
        shape.push(size.ok_or_else(|| wrong("every dimension must be at least 1"))?);
    }
    let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    elements.filter(|&count| count <= LARGEST).ok_or_else(|| wrong("it has more than 2^26 elements"))?;
    Ok(shape)
}

/// The sizes that the file states; negative ones are symbolic, as some exporters write them.
fn dimensions(input: &ValueInfoProto) -> Result<Vec<Option<i64>>, ImportError> {
    let name = input.name.clone();
    let tensor = match input.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(TypeValue::TensorType(tensor)) => tensor,
        _ => return Err(ImportError::InputType { input: name, found: "no tensor".into() }),
    };
    if !matches!(DataType::try_from(tensor.elem_type), Ok(DataType::Float | DataType::Double)) {
        let found = super::constant::type_name(tensor.elem_type);
        return Err(ImportError::InputType { input: name, found });
    }
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::DimValue(size)) if *size >= 0 => Some(*size),
        _ => None,
    };
    Ok(tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dimension| size(&dimension.value)).collect())
}
