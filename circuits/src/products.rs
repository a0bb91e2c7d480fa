//! Linear layers: the one matrix of all products, and how its columns meet the inputs.
//!
//! A key has a commitment for each row of a matrix, and a verifier combines them all; the columns of all matrices together are
//! the input fold, which a prover commits to. Rows are therefore *packed* where they are many and short: a layer with O output
//! channels and no groups becomes one with s groups that all read the whole input, so that its matrix has O / s rows, s times as
//! long. The fold then has s copies of the input's contraction, each with the monomial of its group: the views of the input get
//! an axis that stays on the cell and moves by one copy. What the claim says of each output cell is the same.
//!
//! With g the greatest common divisor of all products' groups, output channel `i O / g + r` is row r of group i. The matrix has
//! `O / g` rows; its columns are, product after product, every input channel's kernel, and at last one bias for each group. So
//! row r meets all groups' inputs, each with the monomial of its group; where a product has more groups than g, entries between
//! channels that do not meet are zero. A dense layer is the case without windows; g = C is a depthwise convolution (kind D).

use zkloom_model::convolution::{Convolution, Window};
use zkloom_model::integer_graph::{Contraction, IntegerGraph, IntegerNode, IntegerOp, Product};
use zkloom_plonkish::claim::PositionAxis;
use zkloom_plonkish::{ConstantOnes, IntegerMatrix, Monomial, Segment};

use crate::error::CompileError;
use crate::reading::{Along, ReadDimension, Reading, Repeat};

/// Axis role of output channels within a group; contracts the rows of every matrix.
pub const OUT_ROLE: u32 = 0;
/// Axis role of groups of channels.
pub const GROUP_ROLE: u32 = 1;
/// Axis role of the elements of sums and of counts' outer indices.
pub const ELEMENT_ROLE: u32 = 2;
/// Axis role of the first position axis; the others follow.
pub const POSITION_ROLE: u32 = 3;
/// Names of the roles.
pub const ROLES: [&str; 6] = ["out", "group", "element", "position", "position 2", "position 3"];
/// Position axes that a layer may have.
pub const MAX_POSITIONS: usize = 3;

/// Sizes of a linear layer.
#[derive(Clone, Debug)]
pub struct ProductShape {
    /// Groups that all products have, or copies of the input where rows are packed.
    pub groups: u32,
    /// Copies of the input in the matrix's columns; more than one only where the products have no groups.
    pub copies: u32,
    /// Rows of the matrix.
    pub rows: u32,
    /// Output positions, axis by axis; for a dense layer all leading axes as one.
    pub positions: Vec<u32>,
    /// Columns before the biases.
    pub columns: u32,
    /// Whether channels are the last axis.
    pub dense: bool,
    parts: Vec<PartShape>,
}

/// Sizes of one product.
#[derive(Clone, Debug)]
struct PartShape {
    /// First column.
    base: u32,
    /// Input channels.
    channels: u32,
    /// Weights of a channel.
    kernel: u32,
    /// The product's own groups.
    groups: u32,
    windows: Vec<Window>,
    spatial: Vec<u32>,
}

fn small(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Into how many copies of a matrix's `width` columns its rows are packed: the divisor of `rows` with the least sum of rows, each
/// worth `packing` entries of the input fold, and columns. One where `packing` is zero.
pub fn packed_columns(rows: u32, width: u32, packing: u32) -> u32 {
    let cost = |copies: u32| {
        u64::from(packing) * u64::from(rows / copies) + u64::from(copies).saturating_mul(u64::from(width))
    };
    let low = (1..).take_while(|divisor| u64::from(*divisor) * u64::from(*divisor) <= u64::from(rows));
    let divisors = low.filter(|divisor| rows.is_multiple_of(*divisor)).flat_map(|d| [d, rows / d]);
    divisors.min_by_key(|copies| (cost(*copies), *copies)).unwrap_or(1)
}

/// Columns of the matrix that holds the bias of a sum with so many cells.
pub fn bias_columns(cells: u32, packing: u32) -> u32 {
    packed_columns(cells, 1, packing)
}

/// The run of constant ones along neighbouring columns, one for each group.
pub fn group_axis(groups: u32) -> Option<PositionAxis> {
    let ratio = Monomial::role(GROUP_ROLE, 1).times(&Monomial::fold(1));
    (groups > 1).then_some(PositionAxis { count: groups, ratio })
}

impl ProductShape {
    /// The sizes of a linear node; those of nothing for another. Shapes must have been checked.
    pub fn of(graph: &IntegerGraph, node: &IntegerNode) -> Self {
        let products: &[Product] = match &node.op {
            IntegerOp::Linear { products, .. } => products,
            _ => &[],
        };
        let channels = products.first().map_or(1, |product| product.weights.rows);
        let groups = products.iter().map(|product| product.contraction.groups()).fold(0, gcd).max(1);
        let output = &graph.tensor(node.output).shape;
        let dense = products.iter().all(|product| product.contraction == Contraction::Dense);
        let positions: Vec<u32> = if dense {
            vec![small(output.iter().rev().skip(1).product())]
        } else {
            output.iter().skip(1).map(|size| small(*size)).collect()
        };
        let (mut parts, mut base) = (Vec::with_capacity(products.len()), 0_u32);
        for product in products {
            let shape = &graph.tensor(product.input).shape;
            let part = PartShape::of(product, shape, base);
            base = base.saturating_add(part.channels.saturating_mul(part.kernel));
            parts.push(part);
        }
        let (groups, rows) = (small(groups), small(channels / groups));
        Self { groups, copies: 1, rows, positions, columns: base, dense, parts }
    }

    /// The same layer with so many rows packed into each that a row may cost `packing` entries of the input fold.
    pub fn packed(mut self, packing: u32) -> Self {
        if self.groups == 1 {
            let copies = packed_columns(self.rows, self.width(), packing);
            (self.groups, self.copies) = (copies, copies);
            self.rows /= copies;
            self.columns = self.columns.saturating_mul(copies);
            self.parts.iter_mut().for_each(|part| part.base = part.base.saturating_mul(copies));
        }
        self
    }

    /// Input channels of a product that one group reads.
    fn channels_of_group(&self, part: &PartShape) -> u32 {
        part.channels / (self.groups / self.copies).max(1)
    }

    /// Elements of the largest kernel along one axis.
    pub fn largest_kernel(&self) -> usize {
        let windows = self.parts.iter().flat_map(|part| &part.windows);
        windows.map(|window| window.kernel).max().unwrap_or(1)
    }

    /// The output's dimensions, as its cells are numbered.
    pub fn output_dimensions(&self) -> Vec<u32> {
        let channels = self.groups.saturating_mul(self.rows);
        let positions = self.positions.iter().copied();
        if self.dense {
            positions.chain([channels]).collect()
        } else {
            core::iter::once(channels).chain(positions).collect()
        }
    }

    /// The matrix's columns, biases included.
    pub fn width(&self) -> u32 {
        self.columns.saturating_add(self.groups)
    }

    /// How the claim reads its output: every cell bears a monomial of its own.
    pub fn output_reading(&self) -> Reading {
        let geometric =
            |size: u32, role: u32| ReadDimension { size, along: Along::Geometric(Monomial::role(role, 1)) };
        let channels = [geometric(self.groups, GROUP_ROLE), geometric(self.rows, OUT_ROLE)];
        let positions = (POSITION_ROLE..).zip(&self.positions).map(|(role, size)| geometric(*size, role));
        let dimensions = if self.dense {
            positions.chain(channels).collect()
        } else {
            channels.into_iter().chain(positions).collect()
        };
        Reading { dimensions, scale: Monomial::one(), coefficient: 1, repeat: None }
    }

    /// The constant-one inputs that meet the biases: those of all groups are one run along the last columns.
    pub fn ones(&self) -> ConstantOnes {
        let axis =
            |(role, count): (u32, &u32)| PositionAxis { count: *count, ratio: Monomial::role(role, 1) };
        let positions = (POSITION_ROLE..).zip(&self.positions).filter(|(_, count)| **count > 1).map(axis);
        let axes = group_axis(self.groups).into_iter().chain(positions).collect();
        ConstantOnes { column: self.columns, scale: Monomial::one(), axes }
    }

    /// The matrix: multiplied weights, and the biases in the last columns.
    ///
    /// # Errors
    /// [`CompileError::Weight`] for an entry that does not fit 64 bits.
    pub fn matrix(&self, node: &IntegerNode) -> Result<IntegerMatrix, CompileError> {
        let IntegerOp::Linear { products, bias } = &node.op else {
            return Ok(IntegerMatrix { width: 1, entries: Vec::new() });
        };
        let (rows, groups, width) = (self.rows as usize, self.groups as usize, self.width() as usize);
        let mut entries = vec![0_i64; rows * width];
        for (row, entries) in entries.chunks_exact_mut(width).enumerate() {
            for group in 0..groups {
                let channel = group * rows + row;
                for (product, part) in products.iter().zip(&self.parts) {
                    // Output and input channels of one of the product's own groups.
                    let own_rows = (rows * groups / part.groups as usize).max(1);
                    let own_channels = (part.channels / part.groups) as usize;
                    let copy = if self.copies > 1 { group } else { 0 };
                    let first_channel =
                        copy * self.channels_of_group(part) as usize + channel / own_rows * own_channels;
                    let first = part.base as usize + first_channel * part.kernel as usize;
                    let multiplier = product.multipliers.get(channel).copied().unwrap_or(0);
                    for (entry, weight) in entries.iter_mut().skip(first).zip(product.weights.row(channel)) {
                        let refuse = || CompileError::Weight { layer: node.name.clone(), channel };
                        *entry = multiplier.checked_mul(i64::from(*weight)).ok_or_else(refuse)?;
                    }
                }
                let bias = bias.get(channel).copied().unwrap_or(0);
                if let Some(entry) = entries.get_mut(self.columns as usize + group) {
                    *entry = bias;
                }
            }
        }
        Ok(IntegerMatrix { width: width as u32, entries })
    }
}

impl PartShape {
    fn of(product: &Product, shape: &[usize], base: u32) -> Self {
        let (channels, windows, spatial) = match &product.contraction {
            Contraction::Dense => {
                let positions = shape.iter().rev().skip(1).product();
                (product.weights.columns, Vec::new(), vec![small(positions)])
            }
            Contraction::Convolution(Convolution { windows, .. }) => {
                let spatial = shape.iter().skip(1).map(|size| small(*size)).collect();
                (shape.first().copied().unwrap_or(1), windows.clone(), spatial)
            }
        };
        let kernel: usize = windows.iter().map(|window| window.kernel).product();
        let groups = small(product.contraction.groups());
        Self { base, channels: small(channels), kernel: small(kernel), groups, windows, spatial }
    }
}

/// How the claim reads the input of each product: the fold's variable numbers the matrix columns that a cell meets.
pub fn product_readings(shape: &ProductShape) -> Vec<Reading> {
    let reading = |part: &PartShape| {
        let in_group = shape.channels_of_group(part);
        let group =
            Monomial::role(GROUP_ROLE, 1).times(&Monomial::fold(in_group.saturating_mul(part.kernel)));
        let channel = Monomial::fold(part.kernel);
        let geometric = |size: u32, ratio: Monomial| ReadDimension { size, along: Along::Geometric(ratio) };
        let repeat = (shape.copies > 1).then(|| Repeat { count: shape.copies, ratio: group.clone() });
        let channels = [geometric(shape.groups / shape.copies, group), geometric(in_group, channel)];
        let dimensions = if shape.dense {
            let positions =
                part.spatial.iter().map(|size| geometric(*size, Monomial::role(POSITION_ROLE, 1)));
            positions.chain(channels).collect()
        } else {
            channels.into_iter().chain(windows(part)).collect()
        };
        Reading { dimensions, scale: Monomial::fold(part.base), coefficient: 1, repeat }
    };
    shape.parts.iter().map(reading).collect()
}

/// Spatial dimensions: geometric where the window is a single element, else a segment for each kernel offset.
fn windows(part: &PartShape) -> Vec<ReadDimension> {
    let (mut weights, mut dimensions) = (1_u32, Vec::with_capacity(part.windows.len()));
    let roles = POSITION_ROLE..POSITION_ROLE + part.windows.len() as u32;
    for ((window, size), role) in part.windows.iter().zip(&part.spatial).zip(roles).rev() {
        let plain = Window { kernel: 1, stride: 1, dilation: window.dilation, pad_begin: 0, pad_end: 0 };
        let segment = |offset: usize| {
            let tap = window.tap(offset, *size as usize);
            let column = Monomial::fold(weights.saturating_mul(small(offset)));
            Segment {
                start: small(tap.input),
                count: small(tap.count),
                step: small(window.stride),
                ratio: Monomial::role(role, 1),
                scale: Monomial::role(role, small(tap.output)).times(&column),
            }
        };
        let along = if *window == plain {
            Along::Geometric(Monomial::role(role, 1))
        } else {
            Along::Windows((0..window.kernel).map(segment).filter(|segment| segment.count > 0).collect())
        };
        dimensions.push(ReadDimension { size: *size, along });
        weights = weights.saturating_mul(small(window.kernel));
    }
    dimensions.reverse();
    dimensions
}
