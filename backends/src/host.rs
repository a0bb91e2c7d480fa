//! What is known of the machine that we run on.

use std::fs;

/// Processor and memory of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The processor's name, where the system tells it.
    pub model: Option<String>,
    /// Vector extensions that the kernels know of and the processor has.
    pub extensions: Vec<&'static str>,
    /// Total memory, in bytes, where the system tells it.
    pub memory: Option<u64>,
}

impl Host {
    /// Asks the processor and the system.
    pub fn detect() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            model: model_name(&read("/proc/cpuinfo")),
            extensions: extensions(),
            memory: total_memory(&read("/proc/meminfo")),
        }
    }

    /// The machine in words, with the number of threads in use.
    pub fn describe(&self, threads: usize) -> String {
        let model = self.model.as_deref().unwrap_or("unnamed processor");
        let extensions = match self.extensions.as_slice() {
            [] => "no known vector extensions".to_string(),
            some => some.join(" "),
        };
        let plural = if threads == 1 { "" } else { "s" };
        format!("{model}, {extensions}, {threads} thread{plural}")
    }
}

/// The first `model name` of `/proc/cpuinfo`.
fn model_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let name = line.split_once(':')?.1.trim();
    (!name.is_empty()).then(|| name.to_string())
}

/// `MemTotal` of `/proc/meminfo`, which is in KiB.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(target_arch = "x86_64")]
fn extensions() -> Vec<&'static str> {
    let mut found = Vec::new();
    if std::arch::is_x86_feature_detected!("avx2") {
        found.push("avx2");
    }
    if std::arch::is_x86_feature_detected!("avx512ifma") {
        found.push("avx512ifma");
    }
    found
}

#[cfg(not(target_arch = "x86_64"))]
fn extensions() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_system_files() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: X\nmodel name\t: Some CPU 9000\nmodel name\t: other\n";
        assert_eq!(model_name(cpuinfo).as_deref(), Some("Some CPU 9000"));
        assert_eq!(model_name("flags : sse"), None);
        assert_eq!(total_memory("MemFree: 1 kB\nMemTotal:       24576 kB\n"), Some(24576 * 1024));
        assert_eq!(total_memory("MemTotal: many kB"), None);
    }

    #[test]
    fn describes_a_bare_machine() {
        let host = Host { model: None, extensions: Vec::new(), memory: None };
        assert_eq!(host.describe(1), "unnamed processor, no known vector extensions, 1 thread");
    }
}
