//! What `/proc` says about a running process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The CPU time of a process, all threads, in the kernel's ticks of 1/100 s.
///
/// # Errors
///
/// There is no such process.
pub fn cpu(id: u32) -> Result<Duration> {
    let path = format!("/proc/{id}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The name in brackets may hold anything, so fields are counted from behind it.
    let (_, fields) = text.rsplit_once(')').context("unknown format of stat")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()
        .context("unknown format of stat")?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let millis = ticks.saturating_mul(1000).checked_div(per_second);
    Ok(Duration::from_millis(millis.unwrap_or(0)))
}

/// One of the memory lines of a process's `status`, such as `VmRSS`, in bytes.
///
/// # Errors
///
/// There is no such process or line.
pub fn memory(id: u32, line: &str) -> Result<u64> {
    let path = format!("/proc/{id}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kibibytes = text
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next())
        .with_context(|| format!("no {line} in {path}"))?;
    let kibibytes: u64 = kibibytes.parse().context("unknown format of status")?;
    Ok(kibibytes.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_its_cpu_time_grows() {
        let own = std::process::id();
        assert!(memory(own, "VmRSS").unwrap() > 100_000);
        assert!(memory(own, "VmNothing").is_err());
        let before = cpu(own).unwrap();
        let mut sum = 0_u64;
        while cpu(own).unwrap() == before {
            sum = (0..100_000_u64).fold(sum, |sum, n| sum.rotate_left(3) ^ n);
        }
        assert!(cpu(own).unwrap() > before, "{sum}");
    }
}
