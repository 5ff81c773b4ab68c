//! Where a vCPU's time goes, by sampling.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lyrebird_isa::{Activity, Work};
use lyrebird_jit::engine::HotRegion;

use super::{Line, percent};
use crate::error::MachineError;

/// Samples, by what the vCPU's thread was doing.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// By number of [`Work`].
    work: [u64; Work::ALL.len()],
    /// Of compiled code, by the region's number.
    regions: HashMap<u32, u64>,
    /// What became of `regions` when the engine was still there.
    pub hottest: Vec<Hot>,
    /// Samples in regions that were gone by then.
    pub dropped: u64,
}

/// A hot region.
#[derive(Clone, Debug)]
pub struct Hot {
    /// The region.
    pub region: HotRegion,
    /// Samples in it.
    pub samples: u64,
}

/// How many of them are kept.
const HOTTEST: usize = 10;

impl Profile {
    /// Samples in all.
    pub fn samples(&self) -> u64 {
        self.work.iter().sum()
    }

    /// Samples in one kind of work.
    pub fn of(&self, w: Work) -> u64 {
        self.work[w as usize]
    }

    /// Samples while the vCPU was not asleep.
    pub fn busy(&self) -> u64 {
        self.samples() - self.of(Work::Idle)
    }

    /// Names the regions that the samples are in.
    pub(crate) fn resolve(&mut self, compiled: Vec<HotRegion>) {
        let mut left: u64 = self.regions.values().sum();
        for region in compiled {
            if let Some(samples) = self.regions.remove(&(region.id as u32)) {
                left -= samples;
                self.hottest.push(Hot { region, samples });
            }
        }
        self.dropped += left;
        self.regions.clear();
        self.hottest.sort_by_key(|h| (std::cmp::Reverse(h.samples), h.region.pc));
        self.hottest.truncate(HOTTEST);
    }

    /// Adds those of a later run. Of the regions, only the later ones are known.
    pub(crate) fn add(&mut self, later: Profile) {
        for (n, more) in self.work.iter_mut().zip(later.work) {
            *n += more;
        }
        self.dropped += self.hottest.iter().map(|h| h.samples).sum::<u64>() + later.dropped;
        self.hottest = later.hottest;
    }

    /// Writes the lines of the report.
    pub(super) fn report(&self, line: Line<'_, '_>) -> fmt::Result {
        let all = self.samples();
        let share = |w: Work| percent(self.of(w), all);
        line(
            "vCPU time",
            format!(
                "t0 {:.1} %, t1 {:.1} %, helpers of t1 {:.1} %, walks {:.1} %, devices {:.1} %",
                share(Work::T0),
                share(Work::T1),
                share(Work::Helper),
                share(Work::Walk),
                share(Work::Device)
            ),
        )?;
        line(
            "",
            format!(
                "decoding and compiling {:.1} %, dispatcher {:.1} %, idle {:.1} % of {all} samples",
                share(Work::Compile),
                share(Work::Dispatcher),
                share(Work::Idle)
            ),
        )?;
        for (i, hot) in self.hottest.iter().enumerate() {
            let r = &hot.region;
            line(
                if i == 0 { "hottest regions" } else { "" },
                format!(
                    "{:5.1} %  {:#018x}  {} instructions, {} host bytes",
                    percent(hot.samples, self.busy()),
                    r.pc,
                    r.insns,
                    r.bytes
                ),
            )?;
        }
        if self.dropped > 0 {
            line("", format!("{:5.1} %  in regions dropped since", percent(self.dropped, self.busy())))?;
        }
        Ok(())
    }
}

/// The thread that takes the samples.
#[derive(Debug)]
pub(crate) struct Sampler {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<Profile>>,
}

/// Mean time between samples. They are taken at uneven intervals, so that nothing periodic in the guest hides from them.
const PERIOD: Duration = Duration::from_millis(1);

impl Sampler {
    /// Samples what is noted in `activity`, until [`Sampler::finish`].
    ///
    /// # Errors
    /// The host gives no thread.
    pub(crate) fn start(activity: Activity) -> Result<Sampler, MachineError> {
        let done = Arc::new(AtomicBool::new(false));
        let flag = done.clone();
        let sample = move || {
            let mut profile = Profile::default();
            let mut seed = 1u32;
            while !flag.load(Ordering::Acquire) {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                std::thread::park_timeout(PERIOD / 2 + PERIOD * (seed >> 16) / (1 << 16));
                let (work, region) = activity.get();
                profile.work[work as usize] += 1;
                if work == Work::T1 && region != 0 {
                    *profile.regions.entry(region).or_default() += 1;
                }
            }
            profile
        };
        let thread = std::thread::Builder::new()
            .name(String::from("sampler"))
            .spawn(sample)
            .map_err(|source| MachineError::Thread { name: "sampler", source })?;
        Ok(Sampler { done, thread: Some(thread) })
    }

    /// Ends the sampling.
    pub(crate) fn finish(mut self) -> Profile {
        self.stop().unwrap_or_default()
    }

    fn stop(&mut self) -> Option<Profile> {
        self.done.store(true, Ordering::Release);
        let thread = self.thread.take()?;
        thread.thread().unpark();
        // A panic in it has been reported on its own; the run's result stands.
        thread.join().ok()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(id: u64, pc: u64) -> HotRegion {
        HotRegion { id, pc, insns: 10, bytes: 100, retired: 0 }
    }

    #[test]
    fn samples_find_their_regions() {
        let activity = Activity::default();
        activity.set(Work::Idle);
        let sampler = Sampler::start(activity).expect("a thread");
        std::thread::sleep(Duration::from_millis(30));
        let profile = sampler.finish();
        assert!(profile.of(Work::Idle) > 0 && profile.busy() == 0, "{profile:?}");

        let mut profile = Profile { regions: HashMap::from([(1, 5), (2, 50), (3, 7)]), ..Profile::default() };
        profile.work[Work::T1 as usize] = 62;
        profile.resolve(vec![region(1, 0x1000), region(2, 0x2000), region(9, 0x9000)]);
        let found: Vec<_> = profile.hottest.iter().map(|h| (h.region.pc, h.samples)).collect();
        assert_eq!((found, profile.dropped), (vec![(0x2000, 50), (0x1000, 5)], 7));
    }
}
