//! DepthToSpace and SpaceToDepth: channels become blocks of an image, and back.

use super::super::error::ImportError;
use super::super::lowering::Lowering;
use super::super::node::Node;
use super::layout::{Piece, assemble, shape_of, strides};
use crate::access::{Access, AccessAxis};

pub(super) fn depth_to_space(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let crd = match node.text("mode", "DCR").as_str() {
        "DCR" => false,
        "CRD" => true,
        other => {
            return Err(node.unsupported(format!("its attribute mode is `{other}`; DCR or CRD is needed")));
        }
    };
    moved(lowering, node, |block, [channels, height, width]| {
        if !channels.is_multiple_of(block * block) {
            return None;
        }
        let kept = channels / (block * block);
        // The input seen as six axes, in the order of the result: channel, row, row of the block, column, column of the block.
        let (down, across, channel) = if crd { (block, 1, block * block) } else { (block * kept, kept, 1) };
        let from = [channel * height * width, width, down * height * width, 1, across * height * width];
        Some(([kept, height * block, width * block], [kept, height, block, width, block], from))
    })
}

pub(super) fn space_to_depth(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    moved(lowering, node, |block, [channels, height, width]| {
        if !height.is_multiple_of(block) || !width.is_multiple_of(block) {
            return None;
        }
        let counts = [block, block, channels, height / block, width / block];
        let from = [width, 1, height * width, block * width, block];
        Some(([channels * block * block, height / block, width / block], counts, from))
    })
}

/// The result's channels, height and width; sizes of five axes that run through it in order; and their strides in the input.
type Move = ([usize; 3], [usize; 5], [usize; 5]);

fn moved(
    lowering: &mut Lowering,
    node: &Node,
    plan: impl Fn(usize, [usize; 3]) -> Option<Move>,
) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let found = shape_of(&operand);
    let &[batch, channels, height, width] = found.as_slice() else {
        return Err(node.shape_error(format!("its input has shape {found:?}, four axes are needed")));
    };
    let block = usize::try_from(node.integer("blocksize", 0)).ok().filter(|&block| block > 0);
    let block = block.filter(|block| block.checked_mul(*block).is_some_and(|area| area <= 1 << 26));
    let planned = block.and_then(|block| plan(block, [channels, height, width]));
    let (result, counts, from) = planned.ok_or_else(|| {
        let given = node.integer("blocksize", 0);
        node.shape_error(format!("{found:?} does not fall into blocks of {given} by {given}"))
    })?;
    let shape = vec![batch, result[0], result[1], result[2]];
    let outputs = strides(&counts);
    let elements = channels * height * width;
    let mut axes = vec![AccessAxis { count: batch, output_stride: elements, input_stride: elements }];
    axes.extend((0..5).map(|at| AccessAxis {
        count: counts[at],
        output_stride: outputs[at],
        input_stride: from[at],
    }));
    let access = Access { output_start: 0, input_start: 0, axes }.simplified();
    let result = assemble(lowering, node, shape, vec![Piece { operand, access }], 0.0)?;
    lowering.bind(node, result)
}
