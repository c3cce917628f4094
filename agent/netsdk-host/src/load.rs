//! Loading the vendor's library and what it may need.
//!
//! The libraries that the vendor ships beside it have undefined symbols that none of them names, so
//! they are loaded first and for all to see. Which of them a build needs is not known before it is
//! tried: what is missing is remembered and told when the library itself does not load.

use std::error::Error as _;
use std::mem;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library as Object, RTLD_GLOBAL, RTLD_NOW};
use tvtfleet_proto::device::sdkpipe::{Companion, Hello, Library, VERSION};

use crate::ffi::{OPTIONAL, Sdk, has};

/// What the vendor's library may need, in the order of loading, each under the names it may have.
const COMPANIONS: [(&str, &[&str]); 5] = [
    (
        "crypto",
        &["libcrypto.so.1.1", "libcrypto.so", "libcrypto.so.3"],
    ),
    ("uuid", &["libuuid.so", "libuuid.so.1"]),
    ("asound", &["libasound.so", "libasound.so.2"]),
    ("ShareLib", &["libShareLib.so"]),
    (
        "NatClientSDK",
        &["libNatClientSDK.so.1", "libNatClientSDK.so"],
    ),
];

/// Loads and starts the library. The message says what came of it, with or without success.
pub(crate) fn load(path: &Path) -> (Option<Sdk>, Hello) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let companions = COMPANIONS
        .iter()
        .map(|(name, files)| companion(name, files, folder))
        .collect();
    let (sdk, library) = match open(path) {
        Ok(object) => start(object),
        Err(text) => (None, Library::NotLoaded { text }),
    };
    let hello = Hello {
        version: VERSION,
        arch: std::env::consts::ARCH.to_owned(),
        path: path.to_string_lossy().into_owned(),
        library,
        companions,
    };
    (sdk, hello)
}

fn start(object: Object) -> (Option<Sdk>, Library) {
    let missing = OPTIONAL
        .into_iter()
        .filter(|name| !has(&object, name))
        .map(str::to_owned)
        .collect();
    let sdk = Sdk::new(&object);
    // Its threads run in it to the end, so it is never unloaded.
    mem::forget(object);
    let sdk = match sdk {
        Ok(sdk) => sdk,
        Err(missing) => return (None, Library::Incomplete { missing }),
    };
    if !sdk.start() {
        return (None, Library::NotStarted);
    }
    let library = Library::Ready {
        build: sdk.build(),
        version: sdk.version(),
        missing,
    };
    (Some(sdk), library)
}

/// Loads a companion from the library's folder, else from where the system keeps its own.
fn companion(name: &str, files: &[&str], folder: Option<&Path>) -> Companion {
    let beside = folder.into_iter().flat_map(|folder| {
        let there = files.iter().map(move |file| folder.join(file));
        there.filter(|path| path.exists())
    });
    let anywhere = files.iter().map(PathBuf::from);
    let mut trouble = None;
    for path in beside.chain(anywhere) {
        match open(&path) {
            Ok(object) => {
                mem::forget(object);
                return Companion {
                    name: name.to_owned(),
                    loaded: Some(path.to_string_lossy().into_owned()),
                    trouble: None,
                };
            }
            // What is wrong with the vendor's own file says more than that the system has none.
            Err(text) => trouble = trouble.or(Some(text)),
        }
    }
    Companion {
        name: name.to_owned(),
        loaded: None,
        trouble,
    }
}

fn open(path: &Path) -> Result<Object, String> {
    // SAFETY: loading runs the initialisers of the library. That is what this process is for; it
    // holds nothing yet, and the path comes from the agent's own configuration.
    let object = unsafe { Object::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    // The loader's own words are behind the error's.
    object.map_err(|error| match error.source() {
        Some(words) => Hello::text(&words.to_string()),
        None => Hello::text(&error.to_string()),
    })
}
