//! The law suite on the CPU, and the proof that it notices faults.

use zkloom_backends::laws::{self, Faulty, Method, Options};
use zkloom_backends::{CpuBackend, PairedBackend, Tier};

fn cpu(threads: usize) -> CpuBackend {
    CpuBackend::new(Some(threads)).expect("threads can be started")
}

/// The tiers that this processor has; says so where the vector tier is missing.
fn tiers() -> Vec<Tier> {
    let tiers: Vec<Tier> = Tier::available().collect();
    if tiers.len() == 1 {
        eprintln!("skipped at the vector tier: this processor lacks AVX-512 IFMA");
    }
    tiers
}

fn at(tier: Tier, threads: usize) -> CpuBackend {
    CpuBackend::with_tier(Some(threads), tier).expect("threads can be started")
}

#[test]
fn the_cpu_obeys_all_laws() {
    for tier in tiers() {
        for threads in [1, 2, 5] {
            let violations = laws::check(&at(tier, threads), &Options::default());
            assert!(violations.is_empty(), "{tier}, {threads} threads: {violations:#?}");
        }
    }
}

#[test]
fn the_cpu_obeys_all_laws_at_larger_sizes() {
    for tier in tiers() {
        let violations = laws::check(&at(tier, 3), &Options::thorough());
        assert!(violations.is_empty(), "{tier}: {violations:#?}");
    }
}

#[test]
fn tiers_agree_bit_for_bit() {
    let [portable, .., fastest] = tiers()[..] else { return };
    let pair = PairedBackend::new(at(portable, 1), at(fastest, 2));
    for options in [Options::default(), Options { sizes: vec![1 << 12, 5003], seed: 11 }] {
        let violations = laws::check(&pair, &options);
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

#[test]
fn every_fault_is_noticed_by_its_own_law() {
    for &method in Method::ALL {
        let faulty = Faulty::new(cpu(1), method);
        let violation = laws::check_method(&faulty, method, &Options::quick());
        assert!(violation.is_err(), "a fault in {method} went unnoticed");
    }
}

#[test]
fn a_pair_of_sound_backends_obeys_all_laws() {
    let pair = PairedBackend::new(cpu(1), cpu(3));
    let violations = laws::check(&pair, &Options::default());
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Small and large vectors give the same results on one thread and on several.
#[test]
fn results_do_not_depend_on_the_threads() {
    let pair = PairedBackend::new(cpu(1), cpu(4));
    let options = Options { sizes: vec![1 << 12, 5000], seed: 7 };
    for &method in Method::ALL {
        // Bases and integers are covered by the multiplications, in a fraction of the time.
        if !matches!(method, Method::UploadBases | Method::UploadIntegers | Method::Widen) {
            assert_eq!(laws::check_method(&pair, method, &options), Ok(()));
        }
    }
}

#[test]
fn a_pair_notices_every_fault_on_either_side() {
    for &method in Method::ALL {
        // What a device says of itself and counts is not compared.
        if matches!(method, Method::Capabilities | Method::Meter) {
            continue;
        }
        let options = Options::quick();
        let sides = [
            laws::check_method(&PairedBackend::new(Faulty::new(cpu(1), method), cpu(1)), method, &options),
            laws::check_method(&PairedBackend::new(cpu(1), Faulty::new(cpu(1), method)), method, &options),
        ];
        for side in sides {
            let violation = side.expect_err("a fault went unnoticed");
            let expected = format!("disagree in {}", comparison(method));
            assert!(violation.detail.contains(&expected), "{violation}");
        }
    }
}

/// The call in which a pair first compares what a faulty method spoils.
fn comparison(method: Method) -> &'static str {
    match method {
        // Every upload is read back at once, integers by widening, bases by a sum.
        Method::Download => "upload",
        Method::Widen => "upload_integers",
        Method::MsmIntegers => "upload_bases",
        other => other.name(),
    }
}
