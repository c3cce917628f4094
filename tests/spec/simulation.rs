//! Agents, stream and coordinator under everything that can happen between them, by seeds.
//!
//! The deciding parts are the shipped ones, with real spools, journals and databases on a disk in
//! memory; time, network and crashes are made up. A failure prints its seed: run that one alone with
//! `TVTFLEET_SEED=N`. `TVTFLEET_SEEDS=10000` is the long mode.

mod answers;
mod dice;
mod faults;
mod world;

use world::World;

/// Seeds of a normal run.
const SEEDS: u64 = 200;
/// Steps with faults, before everything is mended.
const STEPS: usize = 600;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn every_device_counts_once_whatever_happens() {
    let seeds = match number("TVTFLEET_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("TVTFLEET_SEEDS").unwrap_or(SEEDS),
    };
    let mut faults = 0;
    for seed in seeds {
        let ran = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.mend();
            world.check();
            world.faults()
        });
        match ran {
            Ok(count) => faults += count,
            Err(cause) => {
                let text = cause
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| cause.downcast_ref::<&str>().copied());
                panic!("seed {seed}: {}", text.unwrap_or("?"));
            }
        }
    }
    assert!(faults > 0, "no fault was injected");
}
