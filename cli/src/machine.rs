//! What the operating system tells about memory and the processor.

/// A number of kibibytes after a name in a file of `/proc`, in bytes. Nothing on systems without such files.
fn proc_bytes(file: &str, name: &str) -> Option<u64> {
    let content = std::fs::read_to_string(file).ok()?;
    find_kibibytes(&content, name)
}

fn find_kibibytes(content: &str, name: &str) -> Option<u64> {
    let line = content.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A number after a name and a space.
fn find_number(content: &str, name: &str) -> Option<u64> {
    content.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
}

/// Most memory that this process has held so far, in bytes.
pub fn peak_memory() -> Option<u64> {
    proc_bytes("/proc/self/status", "VmHWM")
}

/// Memory that a process could get now, in bytes: what the system has left, or a container's limit leaves.
pub fn available_memory() -> Option<u64> {
    let of_system = proc_bytes("/proc/meminfo", "MemAvailable");
    let read = |file: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/memory.{file}")).ok();
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    // Cached files are given back when memory is short.
    let cached = read("stat").and_then(|stat| find_number(&stat, "inactive_file")).unwrap_or(0);
    let limit = number("max").zip(number("current"));
    let of_container = limit.map(|(limit, used)| limit.saturating_sub(used.saturating_sub(cached)));
    [of_system, of_container].into_iter().flatten().min()
}

/// Memory of the machine, in bytes.
pub fn total_memory() -> Option<u64> {
    proc_bytes("/proc/meminfo", "MemTotal")
}

/// Instruction set extensions that arithmetic can profit from, present ones only.
pub fn cpu_features() -> Vec<&'static str> {
    macro_rules! present {
        ($detect:ident: $($name:tt),*) => {{
            let mut found = Vec::new();
            $( if std::arch::$detect!($name) { found.push($name); } )*
            found
        }};
    }
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    return present!(is_x86_feature_detected: "sse4.2", "avx", "avx2", "bmi1", "bmi2", "adx", "avx512f", "avx512ifma");
    #[cfg(target_arch = "aarch64")]
    return present!(is_aarch64_feature_detected: "neon", "sve", "sve2", "sha3");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kibibytes_after_the_whole_name() {
        let content = "VmPeak:\t  20 kB\nVmHWM:\t  1048 kB\nVmHWMX: 7 kB\nThreads: 3\n";
        assert_eq!(find_kibibytes(content, "VmHWM"), Some(1048 * 1024));
        assert_eq!(find_kibibytes(content, "VmH"), None);
        assert_eq!(find_kibibytes(content, "Threads"), None);
        let content = "anon 5\ninactive_file_x 7\ninactive_file 4096\n";
        assert_eq!((find_number(content, "inactive_file"), find_number(content, "file")), (Some(4096), None));
    }
}
