//! Shaders in WGSL for any device with Vulkan, Metal or DirectX 12.
//!
//! A [`Module`] is a file of `kernels/wgsl/` behind the field arithmetic that [`Arithmetic`] selects. All entry points have 64
//! invocations in a group (transforms 128), parameters as the uniform at binding 0 and storage buffers from binding 1 on, and
//! keep to the limits that WebGPU guarantees, eight storage buffers among them.

mod field;
pub mod program;

pub use field::Arithmetic;
use field::Field;

/// A unit of compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Module {
    /// Linear combinations, widening, progressions, inversion.
    Vectors,
    /// Transforms.
    Transform,
    /// Scans and evaluation.
    Scan,
    /// The interpreter of gate programs, with room for this many inputs.
    Interpreter {
        /// Storage buffers for inputs: at least 1, at most [`MOST_INPUTS`].
        inputs: u32,
    },
    /// Geometric boxes.
    Boxes,
    /// Integer matrices times weights.
    Rows,
    /// Digits of scalars, sorted by bucket.
    Digits,
    /// Sums of points.
    Points,
}

/// Most storage buffers for inputs that an interpreter has.
pub const MOST_INPUTS: u32 = 16;

/// Invocations in a group of every entry point but the transform's.
pub const GROUP: usize = 64;

const COMMON: &str = include_str!("../../wgsl/common.wgsl");
const NARROW: &str = include_str!("../../wgsl/narrow.wgsl");
const SCALAR: &str = include_str!("../../wgsl/scalar.wgsl");
const INTEGERS: &str = include_str!("../../wgsl/integers.wgsl");

/// The text of a module.
pub fn source(module: Module, arithmetic: Arithmetic) -> String {
    let mut parts: Vec<String> = vec![COMMON.into()];
    if arithmetic == Arithmetic::Narrow {
        parts.push(NARROW.into());
    }
    let scalar = || field::functions(Field::Scalar, arithmetic) + SCALAR;
    match module {
        Module::Vectors => {
            parts.extend([scalar(), INTEGERS.into(), include_str!("../../wgsl/vectors.wgsl").into()])
        }
        Module::Transform => parts.extend([scalar(), include_str!("../../wgsl/transform.wgsl").into()]),
        Module::Scan => parts.extend([scalar(), include_str!("../../wgsl/scan.wgsl").into()]),
        Module::Interpreter { inputs } => {
            let text = include_str!("../../wgsl/interpreter.wgsl");
            parts.extend([scalar(), program::input_buffers(inputs), text.into()]);
        }
        Module::Boxes => parts.extend([scalar(), include_str!("../../wgsl/boxes.wgsl").into()]),
        Module::Rows => {
            parts.extend([scalar(), INTEGERS.into(), include_str!("../../wgsl/rows.wgsl").into()])
        }
        Module::Digits => {
            parts.extend([scalar(), INTEGERS.into(), include_str!("../../wgsl/digits.wgsl").into()])
        }
        Module::Points => {
            parts.extend([
                field::functions(Field::Base, arithmetic),
                include_str!("../../wgsl/points.wgsl").into(),
            ]);
        }
    }
    parts.join("\n")
}
