//! Import from small models made here.

mod errors;
mod functions;
mod images;
mod moves;
mod normalisation;
mod operators;
mod parts;
mod refusals;

use super::ImportOptions;
use super::error::ImportError;
use super::lowering;
use super::proto::{
    AttributeProto, DataType, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, TypeValue, ValueInfoProto, type_proto,
};
use crate::float_graph::{FloatGraph, FloatOp};
use crate::function::Function;

/// A model under construction: one input `x`, one output `y`, operator set 13.
struct Model(ModelProto);

impl Model {
    /// `shape` includes the batch axis; -1 stands for a symbolic dimension.
    fn new(shape: &[i64]) -> Self {
        let graph = GraphProto {
            name: "test".into(),
            input: vec![value("x", DataType::Float, shape)],
            output: vec![ValueInfoProto { name: "y".into(), ..Default::default() }],
            ..Default::default()
        };
        let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
        Self(ModelProto {
            ir_version: 8,
            opset_import: vec![opset],
            graph: Some(graph),
            ..Default::default()
        })
    }

    fn graph(&mut self) -> &mut GraphProto {
        self.0.graph.get_or_insert_default()
    }

    fn opset(mut self, version: i64) -> Self {
        self.0.opset_import[0].version = version;
        self
    }

    fn floats(self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        self.tensor(floats(name, dims, values))
    }

    fn integers(self, name: &str, values: &[i64]) -> Self {
        self.tensor(integers(name, values))
    }

    fn tensor(mut self, tensor: TensorProto) -> Self {
        self.graph().initializer.push(tensor);
        self
    }

    /// A node named after its output, with an `n_` before it.
    fn node(
        mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) -> Self {
        self.graph().node.push(NodeProto {
            name: format!("n_{output}"),
            op_type: operator.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.into()],
            attribute: attributes,
            ..Default::default()
        });
        self
    }

    fn import(&self) -> Result<FloatGraph, ImportError> {
        self.import_with(&ImportOptions::default())
    }

    fn import_with(&self, options: &ImportOptions) -> Result<FloatGraph, ImportError> {
        lowering::lower(&self.0, "fallback", options)
    }

    fn imported(&self) -> FloatGraph {
        let graph = self.import().expect("import");
        graph.check_structure().expect("structure");
        graph
    }

    fn error(&self) -> ImportError {
        self.import().expect_err("the import must be refused")
    }

    /// The output for an input.
    fn run(&self, input: &[f32]) -> Vec<f32> {
        let graph = self.imported();
        graph.run(input).expect("run").swap_remove(graph.output.0)
    }

    /// The output's shape without batch.
    fn output_shape(&self) -> Vec<usize> {
        let graph = self.imported();
        graph.values[graph.output.0].shape.clone()
    }

    /// The operations' kinds, in order.
    fn kinds(&self) -> Vec<&'static str> {
        let kind = |op: &FloatOp| match op {
            FloatOp::Linear { .. } => "Linear",
            FloatOp::Convolution { .. } => "Convolution",
            FloatOp::Sum { .. } => "Sum",
            FloatOp::Maximum { .. } => "Maximum",
            FloatOp::Multiply { .. } => "Multiply",
            FloatOp::Pointwise { function: Function::Clamp { .. }, .. } => "Clamp",
            FloatOp::Pointwise { .. } => "Pointwise",
            FloatOp::ArgMax { .. } => "ArgMax",
            FloatOp::Reshape { .. } => "Reshape",
        };
        self.imported().nodes.iter().map(|node| kind(&node.op)).collect()
    }
}

fn value(name: &str, data_type: DataType, shape: &[i64]) -> ValueInfoProto {
    let dimension = |&size: &i64| Dimension {
        value: Some(if size < 0 {
            DimensionValue::DimParam("n".into())
        } else {
            DimensionValue::DimValue(size)
        }),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dimension).collect() };
    let tensor = type_proto::Tensor { elem_type: data_type as i32, shape: Some(shape) };
    let kind = TypeProto { value: Some(TypeValue::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: value, ..Default::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: values.to_vec(), ..Default::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: value, ..Default::default() }
}
