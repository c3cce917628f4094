//! The seeds of the fuzz targets, and inputs that were kept, run as a normal test.
//!
//! `TVTFLEET_FUZZ_SEEDS=DIR` writes the seeds into folders by target, for `cargo fuzz run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tvtfleet_tests::fuzz::{BODIES, Body, seeds};

/// The environment variable that names a folder for the seeds.
const SEEDS: &str = "TVTFLEET_FUZZ_SEEDS";

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn body(target: &str) -> Body {
    let found = BODIES.iter().find(|(name, _)| *name == target);
    found.unwrap_or_else(|| panic!("no fuzz body {target}")).1
}

#[test]
fn the_seeds_hold() {
    let mut counts: BTreeMap<&str, usize> = BODIES.iter().map(|(name, _)| (*name, 0)).collect();
    for (target, seed) in seeds() {
        body(target)(&seed);
        *counts.get_mut(target).unwrap() += 1;
        // What a fuzzer does first.
        for length in 0..seed.len().min(300) {
            body(target)(&seed[..length]);
        }
    }
    assert!(
        counts.values().all(|count| *count > 0),
        "a target has no seed: {counts:?}"
    );
}

#[test]
fn the_inputs_that_were_kept_hold() {
    let corpus = fuzz_folder().join("corpus");
    let mut count = 0;
    for folder in std::fs::read_dir(corpus).unwrap() {
        let folder = folder.unwrap();
        let target = folder.file_name().into_string().unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            body(&target)(&std::fs::read(file.unwrap().path()).unwrap());
            count += 1;
        }
    }
    assert!(count > 0, "there are no inputs");
}

#[test]
fn every_body_has_its_target() {
    let manifest = std::fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let named = manifest["bin"].as_array().unwrap();
    let named: Vec<&str> = named
        .iter()
        .map(|bin| bin["name"].as_str().unwrap())
        .collect();
    assert_eq!(named, BODIES.map(|(name, _)| name));
    for name in named {
        let source = fuzz_folder().join(format!("fuzz_targets/{name}.rs"));
        let source = std::fs::read_to_string(source).unwrap();
        assert!(
            source.contains(&format!("fuzz::{name}(data)")),
            "{name} calls another body"
        );
    }
}

#[test]
fn seeds_are_written_where_somebody_asks() {
    let Some(folder) = std::env::var_os(SEEDS).map(PathBuf::from) else {
        return;
    };
    for (number, (target, seed)) in seeds().into_iter().enumerate() {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
    }
}
