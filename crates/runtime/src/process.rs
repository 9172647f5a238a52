//! What this process takes of the machine, read from `/proc` when somebody asks.
//!
//! The names are those that Prometheus' own clients use, so that common dashboards know them.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// In which `/proc` counts processor time and the time since boot: the same on every machine that Rust runs Linux on,
/// whatever the kernel's own clock does (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Shows what this process takes. Nothing, where there is no `/proc`.
#[derive(Debug)]
pub(crate) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(usage) = Usage::read() else { return Ok(()) };
        let counter = ConstCounter::new(usage.cpu_seconds);
        counter.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            "Processor time taken, of user and system",
            None,
            counter.metric_type(),
        )?)?;
        let gauges = [
            ("process_resident_memory_bytes", "Memory that is resident", usage.resident_bytes),
            ("process_threads", "Threads", usage.threads),
            ("process_open_fds", "File descriptors that are open", usage.open_descriptors),
            ("process_max_fds", "File descriptors that may be open", usage.most_descriptors),
            (
                "process_start_time_seconds",
                "When the process started, in seconds since 1970",
                usage.started_at,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Usage {
    cpu_seconds: f64,
    resident_bytes: f64,
    threads: f64,
    open_descriptors: f64,
    most_descriptors: f64,
    started_at: f64,
}

impl Usage {
    fn read() -> Option<Usage> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name comes second, in brackets, and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        let boot = fs::read_to_string("/proc/stat").ok()?;
        Some(Usage {
            cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
            resident_bytes: number_after(&status, "VmRSS:")? * 1024.0,
            threads: number_after(&status, "Threads:")?,
            open_descriptors: count(fs::read_dir("/proc/self/fd").ok()?.count()),
            most_descriptors: number_after(&limits, "Max open files")?,
            started_at: number_after(&boot, "btime")? + ticks(19)? / TICKS_PER_SECOND,
        })
    }
}

fn number_after(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

fn count(number: usize) -> f64 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let ballast = vec![1_u8; 64 << 20];
        let usage = Usage::read().expect("there is /proc");
        assert!(usage.resident_bytes > f64::from(64 << 20), "{usage:?} beside {}", ballast.len());
        assert!(usage.threads >= 1.0 && usage.open_descriptors >= 3.0, "{usage:?}");
        assert!(usage.most_descriptors >= usage.open_descriptors, "{usage:?}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let age = now - usage.started_at;
        // The time of boot is known to the second.
        assert!((-1.5..600.0).contains(&age), "{age} s old");
        let busy = std::time::Instant::now();
        while busy.elapsed().as_millis() < 50 {
            std::hint::spin_loop();
        }
        let later = Usage::read().expect("there is /proc");
        assert!(later.cpu_seconds > usage.cpu_seconds, "{later:?} after {usage:?}");
    }
}
