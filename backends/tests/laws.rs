//! The law suite on the CPU, and the proof that it notices faults.

use zkloom_backends::CpuBackend;
use zkloom_backends::laws::{self, Faulty, Method, Options};

fn cpu(threads: usize) -> CpuBackend {
    CpuBackend::new(Some(threads)).expect("threads can be started")
}

#[test]
fn the_cpu_obeys_all_laws() {
    for threads in [1, 2, 5] {
        let violations = laws::check(&cpu(threads), &Options::default());
        assert!(violations.is_empty(), "{threads} threads: {violations:#?}");
    }
}

#[test]
fn the_cpu_obeys_all_laws_at_larger_sizes() {
    let violations = laws::check(&cpu(3), &Options::thorough());
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_fault_is_noticed_by_its_own_law() {
    for &method in Method::ALL {
        let faulty = Faulty::new(cpu(1), method);
        let violation = laws::check_method(&faulty, method, &Options::quick());
        assert!(violation.is_err(), "a fault in {method} went unnoticed");
    }
}
