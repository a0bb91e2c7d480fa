//! The stages of the bundled digits network.

use criterion::{Criterion, criterion_group, criterion_main};
use zkloom::ProveOptions;
use zkloom_benches::{digits, keys};

fn stages(criterion: &mut Criterion) {
    let (compiled, calibration) = digits().expect("the bundled network");
    let keyed = keys(&compiled).expect("keys");
    let samples = calibration.samples(&keyed.input_shape()).expect("samples");
    let digit = samples.get(0).expect("a digit");
    let mut group = criterion.benchmark_group("digits");
    group.sample_size(10);
    group.bench_function("import, quantise, compile", |b| b.iter(|| digits().expect("the bundled network")));
    group.bench_function("SRS and keys", |b| b.iter(|| keys(&compiled).expect("keys")));
    let options = ProveOptions::default();
    group.bench_function("prove", |b| b.iter(|| keyed.prove(digit, &options, &mut |_| {}).expect("a proof")));
    let single = ProveOptions { threads: Some(1), ..ProveOptions::default() };
    group.bench_function("prove on one thread", |b| {
        b.iter(|| keyed.prove(digit, &single, &mut |_| {}).expect("a proof"))
    });
    let proved = keyed.prove(digit, &options, &mut |_| {}).expect("a proof");
    let (verifier, pin) = (keyed.verifier(), keyed.pin());
    group.bench_function("verify", |b| {
        b.iter(|| verifier.verify(proved.file(), &pin).expect("a valid proof"))
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
