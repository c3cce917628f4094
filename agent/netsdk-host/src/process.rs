//! What this process does to itself.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

/// Open files that the library may have.
const FILES_MAX: libc::rlim_t = 256;
/// Address space that the library may reserve, in bytes; it reserves much and uses little.
const MEMORY_MAX: libc::rlim_t = 4 * 1024 * 1024 * 1024;
/// The longest file that the library may write, in bytes.
const FILE_MAX: libc::rlim_t = 64 * 1024 * 1024;

/// Keeps passwords out of core files and other processes, and a leaking library within bounds.
///
/// Best effort: where the system refuses, the work goes on.
pub(crate) fn harden() {
    limit(libc::RLIMIT_CORE, 0);
    limit(libc::RLIMIT_NOFILE, FILES_MAX);
    limit(libc::RLIMIT_AS, MEMORY_MAX);
    limit(libc::RLIMIT_FSIZE, FILE_MAX);
    // SAFETY: these prctl calls take plain numbers and touch no memory of ours.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0_u64, 0_u64, 0_u64, 0_u64);
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64);
    }
    // When memory is short, this process is the one to end, not the agent.
    let _refused = std::fs::write("/proc/self/oom_score_adj", "500");
}

fn limit(resource: libc::__rlimit_resource_t, most: libc::rlim_t) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: the pointer is to a live value of the right type for the time of the call.
    unsafe { libc::setrlimit(resource, &raw const limit) };
}

/// Takes stdout for the frames. What the library prints goes to stderr from now on.
///
/// # Errors
///
/// The system's, where there is no stdout or no free descriptor.
pub(crate) fn take_stdout() -> io::Result<File> {
    // SAFETY: duplicating a descriptor touches no memory; the number is checked below.
    let own = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_DUPFD_CLOEXEC, 10) };
    if own < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both descriptors exist or the call fails; no Rust object owns descriptor 1.
    if unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nothing else owns it.
    Ok(unsafe { File::from_raw_fd(own) })
}

/// Ends the process at once, without the exit handlers of the library: they crash.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}
