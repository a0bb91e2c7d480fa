//! The choice of a device.

use crate::world::world;

#[test]
fn a_named_device_is_never_replaced() {
    let world = world();
    let output = world.path("devices.proof");
    for (name, words) in
        [("cuda:77", "cuda"), ("wgpu:77", "wgpu"), ("icicle:ABACUS", "icicle"), ("gpu", "known names are")]
    {
        world.prove(&output, &["--backend", name]).fails(5, &["cannot be used", words]);
        let circuit = world.path("digits.circuit");
        world.run(&["plan", &circuit, "--backend", name]).fails(5, &["cannot be used", words]);
        world.run(&["setup", &circuit, "--backend", name, "-o", &world.path("k")]).fails(5, &[words]);
    }
    assert!(!std::path::Path::new(&output).exists());
    world.prove(&output, &["--backend", "cpu", "--threads", "1"]).succeeds();
    world.verify(&output).succeeds();
    world.prove(&output, &["--threads", "0"]).fails(2, &["--threads"]);
}

#[test]
fn the_doctor_tells_why_others_cannot_be_used() {
    let report = world().run(&["doctor"]).succeeds().stdout;
    for word in [
        "cpu: available: ",
        "cuda: not available: ",
        "icicle: not available: ",
        "wgpu",
        "self test: passed",
        "threads:",
        "development",
    ] {
        assert!(report.contains(word), "`{word}`: {report}");
    }
}
