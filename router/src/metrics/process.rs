//! What the process uses, and how busy its threads are.

use std::fs;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use metrics::Gauge;
use rustix::param::{clock_ticks_per_second, page_size};
#[cfg(target_os = "linux")]
use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::exposition::family;
use super::table::{
    self, PROCESS_CPU, PROCESS_FDS, PROCESS_MAX_FDS, PROCESS_RESIDENT, PROCESS_START, PROCESS_THREADS, PROCESS_VIRTUAL,
};

/// Adds what the system says of the process. Written here and not through the exporter, whose counters are whole numbers:
/// whole seconds of processor time would hide everything that a router uses.
///
/// The figures are Linux's; elsewhere they are absent. The crates that know every system need libclang to be built on some
/// of them, which is too much for seven figures.
pub(super) fn render(text: &mut String) {
    let Some(usage) = Usage::read() else { return };
    for (metric, value) in [
        (PROCESS_CPU, usage.cpu_seconds),
        (PROCESS_RESIDENT, usage.resident_bytes),
        (PROCESS_VIRTUAL, usage.virtual_bytes),
        (PROCESS_FDS, usage.open_fds),
        (PROCESS_MAX_FDS, usage.max_fds),
        (PROCESS_THREADS, usage.threads),
        (PROCESS_START, usage.start_seconds),
    ] {
        family(text, metric, |family| family.sample(&[], value));
    }
}

#[derive(Debug)]
struct Usage {
    cpu_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    open_fds: f64,
    max_fds: f64,
    threads: f64,
    start_seconds: f64,
}

impl Usage {
    /// The numbers of the fields are those of proc_pid_stat(5).
    fn read() -> Option<Usage> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in brackets, and a name may contain anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = clock_ticks_per_second() as f64;
        Some(Usage {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            start_seconds: started(field(22)? / ticks)?,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_size() as f64,
            open_fds: fs::read_dir("/proc/self/fd").ok()?.count() as f64,
            max_fds: max_fds()?,
        })
    }
}

/// When the process was started, so long after the machine. Asked once: what the clocks say of it moves a little with every
/// question, and a start that moves looks like a restart.
fn started(seconds_after_boot: f64) -> Option<f64> {
    static STARTED: OnceLock<Option<f64>> = OnceLock::new();
    *STARTED.get_or_init(|| Some(boot_seconds()? + seconds_after_boot))
}

/// When the machine was started, by its clocks: a service that sees nothing of /proc but itself (`ProcSubset=pid`) has no
/// /proc/stat.
#[cfg(target_os = "linux")]
fn boot_seconds() -> Option<f64> {
    let seconds = |clock| {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
        tv_sec as f64 + tv_nsec as f64 / 1e9
    };
    Some(seconds(ClockId::Realtime) - seconds(ClockId::Boottime))
}

#[cfg(not(target_os = "linux"))]
fn boot_seconds() -> Option<f64> {
    None
}

/// The soft limit, the first of the two; 0 stands for none.
fn max_fds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let limits = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = limits.split_whitespace().next()?;
    Some(soft.parse().unwrap_or(0.0))
}

/// What the threads of the program do.
pub(super) struct Runtime {
    tasks: Gauge,
    busy: Gauge,
    last: Mutex<Option<(Instant, Duration)>>,
}

impl Runtime {
    pub(super) fn create() -> Runtime {
        let (tasks, busy) = (table::RUNTIME_TASKS.gauge(&[]), table::RUNTIME_BUSY.gauge(&[]));
        Runtime { tasks, busy, last: Mutex::default() }
    }

    /// Looks at the runtime that this runs on, if it does.
    pub(super) fn note(&self) {
        let Ok(handle) = Handle::try_current() else { return };
        let runtime = handle.metrics();
        self.tasks.set(runtime.num_alive_tasks() as f64);
        let (now, busy) = (Instant::now(), busy(&runtime));
        let mut last = self.last.lock().expect("nothing panics while it holds the last look");
        if let Some((then, before)) = last.replace((now, busy)) {
            let available = (now - then).as_secs_f64() * runtime.num_workers() as f64;
            let used = busy.saturating_sub(before).as_secs_f64();
            self.busy.set(if available > 0.0 { (used / available).min(1.0) } else { 0.0 });
        }
    }
}

fn busy(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_of_this_process() {
        let usage = Usage::read().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 3600.0..=now + 1.0).contains(&usage.start_seconds), "{usage:?}");
        assert!(usage.resident_bytes > 1e6 && usage.resident_bytes < usage.virtual_bytes, "{usage:?}");
        assert!(usage.max_fds >= usage.open_fds && usage.open_fds >= 3.0 && usage.threads >= 1.0, "{usage:?}");
    }

    #[test]
    fn processor_time_is_told_in_fractions() {
        let mut text = String::new();
        family(&mut text, PROCESS_CPU, |family| family.sample(&[], 0.25));
        assert!(text.contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 0.25\n"), "{text}");
    }
}
