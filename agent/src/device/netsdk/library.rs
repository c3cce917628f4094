//! Finding the vendor's library, and the program that hosts it.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The library's file name.
pub(crate) const NAME: &str = "libdvrnetsdk.so";
/// The program that hosts it.
const HOST: &str = "tvt-netsdk-host";

/// The vendor's name for this processor in the folders of its SDK.
#[cfg(target_arch = "aarch64")]
const ARCH_FOLDER: &str = "linux-arm64";
#[cfg(not(target_arch = "aarch64"))]
const ARCH_FOLDER: &str = "linux";

const ELF_MAGIC: [u8; 4] = *b"\x7fELF";
const ELF_CLASS: usize = 4;
const ELF_CLASS_64: u8 = 2;
const ELF_TYPE: Range<usize> = 16..18;
const ELF_TYPE_SHARED: [u8; 2] = [3, 0];
const ELF_MACHINE: Range<usize> = 18..20;
const MACHINES: [([u8; 2], &str); 4] = [
    ([62, 0], "x86_64"),
    ([183, 0], "aarch64"),
    ([3, 0], "x86"),
    ([40, 0], "arm"),
];

/// Where the library is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    /// In this file.
    File(PathBuf),
    /// Wherever the dynamic loader finds a library of this name.
    Loader(PathBuf),
}

impl Located {
    /// What the helper is told to load.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Loader(path) => path,
        }
    }

    /// The folder whose libraries the helper shall find first.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(path) => path.parent(),
            Self::Loader(_) => None,
        }
    }
}

/// The library cannot be used. Each text names the place and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LibraryError {
    /// The vendor has no library for this computer.
    #[error("the vendor's library exists for Linux on x86_64 and aarch64, this is {os} on {arch}")]
    Platform {
        /// The operating system.
        os: &'static str,
        /// The processor.
        arch: &'static str,
    },
    /// The place that was named does not exist.
    #[error(
        "{} does not exist; set TVT_SDK_PATH to libdvrnetsdk.so or to the root of the vendor's SDK",
        .0.display()
    )]
    Absent(PathBuf),
    /// The folder that was named has no library in it.
    #[error(
        "no libdvrnetsdk.so under {}; set TVT_SDK_PATH to the file itself or to the root of the \
         vendor's SDK",
        .0.display()
    )]
    NotInFolder(PathBuf),
    /// The file cannot be read.
    #[error("{} cannot be read: {reason}; let this user read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// The file is no library.
    #[error(
        "{} is no 64-bit shared library; set TVT_SDK_PATH to the vendor's libdvrnetsdk.so",
        .0.display()
    )]
    NoLibrary(PathBuf),
    /// The file is for another processor.
    #[error(
        "{} is for {found}, this computer is {needed}; use the vendor's library for it",
        path.display()
    )]
    Machine {
        /// The file.
        path: PathBuf,
        /// What it is for.
        found: String,
        /// What is needed.
        needed: &'static str,
    },
    /// The program that hosts the library is missing.
    #[error(
        "{} is not there; install it beside this program, or name it with TVT_NETSDK_HOST",
        .0.display()
    )]
    NoHost(PathBuf),
}

/// Finds the library: in the place that is configured, else wherever the loader finds it.
///
/// A configured place that does not hold it is an error; no other place is tried.
///
/// # Errors
///
/// [`LibraryError`].
pub(crate) fn locate(configured: Option<&Path>) -> Result<Located, LibraryError> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if os != "linux" || !["x86_64", "aarch64"].contains(&arch) {
        return Err(LibraryError::Platform { os, arch });
    }
    let Some(configured) = configured else {
        return Ok(Located::Loader(NAME.into()));
    };
    let place = expand(configured, std::env::var_os("HOME").map(PathBuf::from));
    let file = if place.is_dir() {
        let candidates = [
            PathBuf::from(NAME),
            Path::new("lib").join(NAME),
            Path::new(ARCH_FOLDER).join(NAME),
            Path::new("bin").join(NAME),
            Path::new("bin").join(ARCH_FOLDER).join(NAME),
            Path::new("tvt/bin").join(ARCH_FOLDER).join(NAME),
        ];
        let mut there = candidates.iter().map(|part| place.join(part));
        there
            .find(|path| path.exists())
            .ok_or(LibraryError::NotInFolder(place))?
    } else if place.exists() {
        place
    } else if place.components().count() > 1 || configured.to_string_lossy().starts_with('.') {
        return Err(LibraryError::Absent(place));
    } else {
        return Ok(Located::Loader(place));
    };
    let unreadable = |reason| LibraryError::Unreadable {
        path: file.clone(),
        reason,
    };
    let file = file.canonicalize().map_err(unreadable)?;
    check(&file)?;
    Ok(Located::File(file))
}

/// Finds the program that hosts the library.
///
/// # Errors
///
/// [`LibraryError::NoHost`].
pub(crate) fn find_host(configured: Option<&Path>) -> Result<PathBuf, LibraryError> {
    if let Some(path) = configured {
        let absent = || LibraryError::NoHost(path.to_owned());
        return path.is_file().then(|| path.to_owned()).ok_or_else(absent);
    }
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.parent().map(|folder| folder.join(HOST));
    let search = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&search).map(|folder| folder.join(HOST));
    let found = beside
        .clone()
        .into_iter()
        .chain(in_path)
        .find(|path| path.is_file());
    found.ok_or_else(|| LibraryError::NoHost(beside.unwrap_or_else(|| HOST.into())))
}

fn expand(path: &Path, home: Option<PathBuf>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// Reads the head of the file: the loader's words for another processor help nobody.
fn check(path: &Path) -> Result<(), LibraryError> {
    let unreadable = |reason| LibraryError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let mut head = Vec::with_capacity(ELF_MACHINE.end);
    let file = File::open(path).map_err(unreadable)?;
    let most = u64::try_from(ELF_MACHINE.end).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut head).map_err(unreadable)?;
    let is_library = head.starts_with(&ELF_MAGIC)
        && head.get(ELF_CLASS) == Some(&ELF_CLASS_64)
        && head.get(ELF_TYPE) == Some(&ELF_TYPE_SHARED);
    if !is_library {
        return Err(LibraryError::NoLibrary(path.to_owned()));
    }
    let machine = head.get(ELF_MACHINE).unwrap_or_default();
    let known = MACHINES.iter().find(|(bytes, _)| bytes == machine);
    let found = known.map_or_else(
        || format!("processor {machine:?}"),
        |(_, name)| (*name).to_owned(),
    );
    if found == std::env::consts::ARCH {
        return Ok(());
    }
    Err(LibraryError::Machine {
        path: path.to_owned(),
        found,
        needed: std::env::consts::ARCH,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The head of a library for this computer.
    fn head() -> Vec<u8> {
        let own = MACHINES
            .iter()
            .find(|(_, name)| *name == std::env::consts::ARCH)
            .unwrap();
        let mut head = vec![0; 64];
        head[..4].copy_from_slice(&ELF_MAGIC);
        head[ELF_CLASS] = ELF_CLASS_64;
        head[ELF_TYPE].copy_from_slice(&ELF_TYPE_SHARED);
        head[ELF_MACHINE].copy_from_slice(&own.0);
        head
    }

    #[test]
    fn every_folder_of_the_sdk_is_known_and_the_first_wins() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let places = [
            format!("tvt/bin/{ARCH_FOLDER}"),
            format!("bin/{ARCH_FOLDER}"),
            "bin".to_owned(),
            ARCH_FOLDER.to_owned(),
            "lib".to_owned(),
            String::new(),
        ];
        assert!(matches!(
            locate(Some(&root)),
            Err(LibraryError::NotInFolder(_))
        ));
        for place in places {
            let file = root.join(place).join(NAME);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, head()).unwrap();
            assert_eq!(locate(Some(&root)).unwrap(), Located::File(file));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.so");
        let text = || locate(Some(&file)).unwrap_err().to_string();
        assert!(text().contains("does not exist"));
        fs::write(&file, "text").unwrap();
        assert!(text().contains("is no 64-bit shared library"));
        let mut other = head();
        other[ELF_MACHINE].copy_from_slice(&[40, 0]);
        fs::write(&file, other).unwrap();
        let found = text();
        assert!(
            found.contains("is for arm") && found.contains(std::env::consts::ARCH),
            "{found}"
        );
        assert!(found.contains(file.to_str().unwrap()), "{found}");
        let host = find_host(Some(&file.join("no"))).unwrap_err().to_string();
        assert!(host.contains("TVT_NETSDK_HOST"), "{host}");
    }

    #[test]
    fn a_bare_name_is_the_loaders() {
        let name = |text: &str| locate(Some(Path::new(text)));
        assert!(matches!(name("libelsewhere.so"), Ok(Located::Loader(_))));
        assert!(matches!(
            name("./libelsewhere.so"),
            Err(LibraryError::Absent(_))
        ));
        assert_eq!(locate(None).unwrap(), Located::Loader(NAME.into()));
        let home = expand(Path::new("~/sdk"), Some("/home/u".into()));
        assert_eq!(home, PathBuf::from("/home/u/sdk"));
    }
}
