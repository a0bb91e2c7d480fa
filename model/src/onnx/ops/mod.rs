//! The operators: one family in one file, one row of the table for each.

mod arithmetic;
mod blocks;
mod clamp;
mod constant;
mod convolution;
mod extremes;
mod fold;
mod gemm;
mod layout;
mod matmul;
mod movement;
mod normalisation;
mod norms;
mod pointwise;
mod pool;
mod reduce;
mod reshape;
mod resize;
mod shape_arithmetic;
mod softmax;
mod transposed;
mod windows;

use super::error::ImportError;
use super::lowering::Lowering;
use super::node::Node;

/// Lowers one node: reads its operands from the lowering and binds its output there.
type Lower = fn(&mut Lowering, &Node) -> Result<(), ImportError>;

/// Every supported operator of ONNX's own domain.
pub(super) const TABLE: &[(&str, Lower)] = &[
    ("Abs", pointwise::pointwise),
    ("Add", arithmetic::add),
    ("And", fold::and),
    ("ArgMax", reduce::arg_max),
    ("ArgMin", reduce::arg_min),
    ("AveragePool", pool::average_pool),
    ("BatchNormalization", convolution::batch_normalization),
    ("Cast", shape_arithmetic::cast),
    ("Celu", pointwise::pointwise),
    ("Clip", clamp::clip),
    ("Concat", movement::concat),
    ("Constant", constant::constant),
    ("ConstantOfShape", fold::constant_of_shape),
    ("Conv", convolution::conv),
    ("ConvTranspose", transposed::conv_transpose),
    ("DepthToSpace", blocks::depth_to_space),
    ("Div", arithmetic::div),
    ("Dropout", constant::dropout),
    ("Elu", pointwise::pointwise),
    ("Equal", fold::equal),
    ("Erf", pointwise::pointwise),
    ("Exp", pointwise::pointwise),
    ("Expand", movement::expand),
    ("Flatten", reshape::flatten),
    ("Gather", movement::gather),
    ("Gelu", pointwise::pointwise),
    ("Gemm", gemm::gemm),
    ("GlobalAveragePool", pool::global_average_pool),
    ("GlobalMaxPool", pool::global_max_pool),
    ("Greater", fold::greater),
    ("GreaterOrEqual", fold::greater_or_equal),
    ("GroupNormalization", normalisation::group_normalization),
    ("HardSigmoid", pointwise::pointwise),
    ("HardSwish", pointwise::pointwise),
    ("Identity", constant::identity),
    ("InstanceNormalization", normalisation::instance_normalization),
    ("LRN", normalisation::lrn),
    ("LayerNormalization", normalisation::layer_normalization),
    ("LeakyRelu", pointwise::pointwise),
    ("Less", fold::less),
    ("LessOrEqual", fold::less_or_equal),
    ("Log", pointwise::pointwise),
    ("LogSoftmax", softmax::log_softmax),
    ("LpNormalization", norms::lp_normalization),
    ("MatMul", matmul::matmul),
    ("Max", extremes::max),
    ("MaxPool", pool::max_pool),
    ("Mean", arithmetic::mean_of_all),
    ("MeanVarianceNormalization", normalisation::mean_variance_normalization),
    ("Min", extremes::min),
    ("Mish", pointwise::pointwise),
    ("Mul", arithmetic::mul),
    ("Neg", arithmetic::neg),
    ("Not", fold::not),
    ("Or", fold::or),
    ("PRelu", pointwise::prelu),
    ("Pad", movement::pad),
    ("Pow", pointwise::pow),
    ("Range", fold::range),
    ("Reciprocal", pointwise::pointwise),
    ("ReduceL1", norms::reduce_l1),
    ("ReduceL2", norms::reduce_l2),
    ("ReduceLogSum", norms::reduce_log_sum),
    ("ReduceLogSumExp", norms::reduce_log_sum_exp),
    ("ReduceMax", reduce::reduce_max),
    ("ReduceMean", reduce::reduce_mean),
    ("ReduceMin", reduce::reduce_min),
    ("ReduceProd", reduce::reduce_prod),
    ("ReduceSum", reduce::reduce_sum),
    ("ReduceSumSquare", norms::reduce_sum_square),
    ("Relu", clamp::relu),
    ("Reshape", reshape::reshape),
    ("Resize", resize::resize),
    ("Selu", pointwise::pointwise),
    ("Shape", shape_arithmetic::shape),
    ("Sigmoid", pointwise::pointwise),
    ("Slice", movement::slice),
    ("Softmax", softmax::softmax),
    ("Softplus", pointwise::pointwise),
    ("Softsign", pointwise::pointwise),
    ("SpaceToDepth", blocks::space_to_depth),
    ("Split", movement::split),
    ("Sqrt", pointwise::pointwise),
    ("Squeeze", reshape::squeeze),
    ("Sub", arithmetic::sub),
    ("Sum", arithmetic::sum_of_all),
    ("Tanh", pointwise::pointwise),
    ("ThresholdedRelu", pointwise::pointwise),
    ("Tile", movement::tile),
    ("Transpose", movement::transpose),
    ("Unsqueeze", reshape::unsqueeze),
    ("Upsample", resize::upsample),
    ("Where", fold::choose),
];

/// An axis counted from the front; `rank` is excluded.
fn axis(node: &Node, axis: i64, rank: usize) -> Result<usize, ImportError> {
    let counted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let counted = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank);
    counted
        .ok_or_else(|| node.shape_error(format!("axis {axis} does not exist in a tensor with {rank} axes")))
}

/// Numbers that are sizes: none negative.
fn sizes(node: &Node, values: &[i64]) -> Result<Vec<usize>, ImportError> {
    let sizes: Option<Vec<usize>> = values.iter().map(|&value| usize::try_from(value).ok()).collect();
    sizes.ok_or_else(|| node.shape_error(format!("{values:?} are no sizes")))
}
