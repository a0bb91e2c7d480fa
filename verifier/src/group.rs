//! Encodings of group elements. In the transcript and in keys a point is x and y, 32 bytes big-endian each, the identity
//! 64 zero bytes. Proofs compress: x with two flag bits on top, `10` for the smaller y, `11` for the larger, `01` for the
//! identity. The group's order is the curve's, so a point on the curve needs no further check.

use ark_bn254::{Fq, Fq2, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{BigInt, BigInteger, PrimeField, Zero};
use zkloom_plonkish::{DecodeError, Encode, Reader, Writer};

const FLAG_MASK: u8 = 0b1100_0000;
const FLAG_SMALLER: u8 = 0b1000_0000;
const FLAG_LARGER: u8 = 0b1100_0000;
const FLAG_IDENTITY: u8 = 0b0100_0000;

fn coordinate(value: &Fq) -> [u8; 32] {
    let mut out = [0; 32];
    for (slot, byte) in out.iter_mut().zip(value.into_bigint().to_bytes_be()) {
        *slot = byte;
    }
    out
}

fn read_coordinate(bytes: [u8; 32]) -> Option<Fq> {
    let mut limbs = [0_u64; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |acc, byte| acc << 8 | u64::from(*byte));
    }
    Fq::from_bigint(BigInt(limbs))
}

/// The 64 bytes of a point.
pub fn uncompressed(point: &G1Affine) -> [u8; 64] {
    let mut out = [0; 64];
    if let Some((x, y)) = point.xy() {
        let (left, right) = out.split_at_mut(32);
        left.copy_from_slice(&coordinate(&x));
        right.copy_from_slice(&coordinate(&y));
    }
    out
}

/// Reads 64 bytes; only points on the curve, and the identity.
pub fn read_uncompressed(reader: &mut Reader<'_>) -> Result<G1Affine, DecodeError> {
    let (x, y) = (reader.array()?, reader.array()?);
    if x == [0; 32] && y == [0; 32] {
        return Ok(G1Affine::identity());
    }
    let point = read_coordinate(x).zip(read_coordinate(y)).map(|(x, y)| G1Affine::new_unchecked(x, y));
    point.filter(G1Affine::is_on_curve).ok_or_else(|| reader.invalid("a point is not on the curve"))
}

/// The 32 bytes of a compressed point.
pub fn compressed(point: &G1Affine) -> [u8; 32] {
    let mut out = [0; 32];
    let flag = match point.xy() {
        None => FLAG_IDENTITY,
        Some((x, y)) => {
            out = coordinate(&x);
            if y.into_bigint() <= (-y).into_bigint() { FLAG_SMALLER } else { FLAG_LARGER }
        }
    };
    if let Some(first) = out.first_mut() {
        *first |= flag;
    }
    out
}

/// Reads a compressed point; each point has one encoding.
pub fn read_compressed(reader: &mut Reader<'_>) -> Result<G1Affine, DecodeError> {
    let mut bytes: [u8; 32] = reader.array()?;
    let Some(first) = bytes.first_mut() else { return Err(reader.invalid("a point is empty")) };
    let flag = *first & FLAG_MASK;
    *first &= !FLAG_MASK;
    if flag == FLAG_IDENTITY && bytes == [0; 32] {
        return Ok(G1Affine::identity());
    }
    if flag != FLAG_SMALLER && flag != FLAG_LARGER {
        return Err(reader.invalid("a compressed point has wrong flags"));
    }
    let x = read_coordinate(bytes)
        .ok_or_else(|| reader.invalid("a coordinate is not below the field's order"))?;
    let (smaller, larger) = G1Affine::get_ys_from_x_unchecked(x)
        .ok_or_else(|| reader.invalid("no point of the curve has this coordinate"))?;
    Ok(G1Affine::new_unchecked(x, if flag == FLAG_SMALLER { smaller } else { larger }))
}

fn g2_coordinate(writer: &mut Writer, value: &Fq2) {
    writer.raw(&coordinate(&value.c0));
    writer.raw(&coordinate(&value.c1));
}

/// Appends a point of the second group: x.c0, x.c1, y.c0, y.c1; the identity as zeros.
pub fn write_g2(writer: &mut Writer, point: &G2Affine) {
    match point.xy() {
        Some((x, y)) => {
            g2_coordinate(writer, &x);
            g2_coordinate(writer, &y);
        }
        None => writer.raw(&[0; 128]),
    }
}

/// Reads a point of the second group; it must be on the curve, in the subgroup and not the identity.
pub fn read_g2(reader: &mut Reader<'_>) -> Result<G2Affine, DecodeError> {
    let mut parts = [Fq::zero(); 4];
    for part in &mut parts {
        *part = read_coordinate(reader.array()?)
            .ok_or_else(|| reader.invalid("a coordinate is not below the field's order"))?;
    }
    let [a, b, c, d] = parts;
    let point = G2Affine::new_unchecked(Fq2::new(a, b), Fq2::new(c, d));
    if point.is_zero() || !point.is_on_curve() || !point.is_in_correct_subgroup_assuming_on_curve() {
        return Err(reader.invalid("a point of the second group is not in the group"));
    }
    Ok(point)
}

/// Sum of scalar multiples; terms without a partner are ignored.
pub fn linear_combination(points: &[G1Affine], scalars: &[Fr]) -> G1Projective {
    match G1Projective::msm(points, scalars) {
        Ok(sum) => sum,
        Err(_) => points.iter().zip(scalars).map(|(point, scalar)| *point * scalar).sum(),
    }
}

/// A list of points in a key: count, then 64 bytes each.
pub fn write_points(writer: &mut Writer, points: &[G1Affine]) {
    (points.len() as u32).encode(writer);
    for point in points {
        writer.raw(&uncompressed(point));
    }
}

/// Reads a list of points.
pub fn read_points(reader: &mut Reader<'_>) -> Result<Vec<G1Affine>, DecodeError> {
    let count = <u32 as zkloom_plonkish::Decode>::decode(reader)? as usize;
    if count.checked_mul(64).is_none_or(|bytes| bytes > reader.remaining()) {
        return Err(reader.invalid("a list of points is longer than the data"));
    }
    (0..count).map(|_| read_uncompressed(reader)).collect()
}

/// The affine form of one point.
pub fn affine(point: G1Projective) -> G1Affine {
    point.into_affine()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::PrimeGroup;

    #[test]
    fn points_round_trip() {
        let generator = G1Projective::generator();
        for k in [1_u64, 2, 3, 77, 1 << 40] {
            for point in [affine(generator * Fr::from(k)), affine(-(generator * Fr::from(k)))] {
                assert_eq!(read_compressed(&mut Reader::new(&compressed(&point))), Ok(point));
                assert_eq!(read_uncompressed(&mut Reader::new(&uncompressed(&point))), Ok(point));
            }
        }
        let identity = G1Affine::identity();
        assert_eq!(read_compressed(&mut Reader::new(&compressed(&identity))), Ok(identity));
        assert_eq!(read_uncompressed(&mut Reader::new(&uncompressed(&identity))), Ok(identity));
    }

    #[test]
    fn other_bytes_are_refused() {
        let point = affine(G1Projective::generator() * Fr::from(5));
        let mut bytes = compressed(&point);
        bytes[0] &= !FLAG_MASK;
        assert!(read_compressed(&mut Reader::new(&bytes)).is_err());
        bytes[0] |= FLAG_IDENTITY;
        assert!(read_compressed(&mut Reader::new(&bytes)).is_err());
        let mut bytes = uncompressed(&point);
        bytes[63] ^= 1;
        assert!(read_uncompressed(&mut Reader::new(&bytes)).is_err());
        assert!(read_uncompressed(&mut Reader::new(&[0xff; 64])).is_err());
        assert!(read_compressed(&mut Reader::new(&[0x3f; 32])).is_err());
        assert!(read_g2(&mut Reader::new(&[0; 128])).is_err());
        assert!(read_points(&mut Reader::new(&[0xff; 16])).is_err());
    }
}
