//! A multi-scalar multiplication and a transform from a plain arkworks program.
//!
//! Run with `cargo run --release -p zkloom-backends --example msm_ntt`.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use zkloom_backends::{Backend, BackendError, Direction, registry, with_backend};

/// The sum of `scalars[i] * points[i]`, and the values of the polynomial with coefficients `scalars`.
fn compute<B: Backend>(
    backend: &B,
    points: &[G1Affine],
    scalars: &[Fr],
) -> Result<(G1Affine, Vec<Fr>), BackendError> {
    let bases = backend.upload_bases(points)?;
    let mut vector = backend.upload(scalars)?;
    let sums = backend.msm(&bases, &[&vector])?;
    backend.ntt(&mut vector, Direction::Forward)?;
    Ok((sums[0].into(), backend.download(&vector)?))
}

fn main() -> Result<(), BackendError> {
    let device = registry::choose("auto", None)?;
    println!("device: {}", device.capabilities().description);
    let points = [G1Affine::generator(); 1024];
    let scalars: Vec<Fr> = (1u64..=1024).map(Fr::from).collect();
    let (sum, values) = with_backend!(&device, backend => compute(backend, &points, &scalars))?;
    // Both are sums of 1 to 1024: the one times the generator, the other the polynomial's value at one.
    let total = Fr::from(1024u64 * 1025 / 2);
    println!("sum of i * G, i = 1 to 1024: {sum}");
    println!("value at 1: {}", values[0]);
    println!("as expected: {}", sum == (G1Affine::generator() * total) && values[0] == total);
    Ok(())
}
