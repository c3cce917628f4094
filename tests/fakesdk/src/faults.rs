//! What goes wrong, and where.
//!
//! Every variable is looked for in the environment, then in the file that has the name of the library
//! (`TVT_SDK_PATH`) with `.faults` added, one `NAME=VALUE` a line: the agent clears the environment of
//! its helpers. Lists are separated by `;`. A selector is `Function[#n][@host[:port]]`, the function
//! without its prefix, `n` the call counted from 1.
//!
//! | variable | example | effect |
//! |---|---|---|
//! | `FAKE_NETSDK_VERSION` | `028`, `036`, `132` | which version it is |
//! | `FAKE_NETSDK_CHANNELS` | `8` | how many channels devices have |
//! | `FAKE_NETSDK_CREDS` | `admin:secret` | the pair that is accepted; without it, every pair |
//! | `FAKE_NETSDK_BADLOGIN` | `6` | the number of a refused login, else 1 |
//! | `FAKE_NETSDK_FAIL` | `GetDeviceIPCInfo#1=97` | the call fails with the number |
//! | `FAKE_NETSDK_FAIL0` | `GetDeviceInfo` | the call fails and says no reason |
//! | `FAKE_NETSDK_DELAY` | `Login=300` | the call takes so many ms longer |
//! | `FAKE_NETSDK_HANG` | `Login@127.0.0.1:9000` | the call never returns |
//! | `FAKE_NETSDK_CRASH` | `Logout=segv;Login=abort` | the process dies |
//! | `FAKE_NETSDK_LEAK` | `Login=64` | the call leaves so many MiB behind |
//! | `FAKE_NETSDK_OVERRUN` | `GetDeviceIPCInfo=64` | so many bytes are written behind the end |
//! | `FAKE_NETSDK_STRIDE` | `276` | the length of a camera record, whatever the version |
//! | `FAKE_NETSDK_COUNT` | `9999` | the count that lists come with |
//! | `FAKE_NETSDK_ZEROFILL` | `1` | buffers are cleared first |
//! | `FAKE_NETSDK_URL` | `rtsp://u:p@192.0.2.1/x` | what streams' addresses are |
//! | `FAKE_NETSDK_PICTURE` | `cut`, `text` | pictures end too early, or are none |
//! | `FAKE_NETSDK_NAT` | `nat20.example:7968` | the only server that knows devices by serial number |
//! | `FAKE_NETSDK_DOCUMENTS` | `/tmp/answers` | where the answers of the web interface are, by path |
//! | `FAKE_NETSDK_FOUND` | `3` | how many devices a search finds, else 2 |
//! | `FAKE_NETSDK_STDOUT` | `flood` | the call prints |
//! | `FAKE_NETSDK_TRACE` | `/tmp/trace` | every call is written down there |

use std::io::Write;
use std::time::Duration;

/// A variable's value.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    let name = format!("FAKE_NETSDK_{name}");
    if let Ok(value) = std::env::var(&name) {
        return Some(value);
    }
    let library = std::env::var("TVT_SDK_PATH").ok()?;
    let file = std::fs::read_to_string(format!("{library}.faults")).ok()?;
    file.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}

/// A call that faults may be meant for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) function: &'a str,
    /// Which call of the function it is, from 1.
    pub(crate) number: u32,
    /// The device's `host:port`; empty where none is known.
    pub(crate) device: &'a str,
}

impl Call<'_> {
    /// The value that a list has for this call; empty for an entry without one.
    pub(crate) fn chosen(self, variable: &str) -> Option<String> {
        let list = setting(variable)?;
        list.split(';').find_map(|entry| {
            let (selector, value) = entry.split_once('=').unwrap_or((entry, ""));
            self.is(selector.trim()).then(|| value.trim().to_owned())
        })
    }

    fn is(self, selector: &str) -> bool {
        let (rest, device) = match selector.split_once('@') {
            Some((rest, device)) => (rest, Some(device)),
            None => (selector, None),
        };
        let (function, number) = match rest.split_once('#') {
            Some((function, number)) => (function, number.parse().ok()),
            None => (rest, None),
        };
        let host = self.device.rsplit_once(':').map_or("", |(host, _)| host);
        function == self.function
            && number.is_none_or(|number: u32| number == self.number)
            && device.is_none_or(|device| device == self.device || device == host)
    }

    /// Suffers what is meant for this call before it does its work.
    pub(crate) fn suffer(self) {
        match setting("STDOUT").as_deref() {
            Some("flood") => print(&"x".repeat(1 << 20)),
            Some("sentinel") => print("___JSON_START___\n{}\n___JSON_END___\n"),
            Some(_) => print("noise from the library\n"),
            None => {}
        }
        if let Some(size) = self
            .chosen("LEAK")
            .and_then(|mib| mib.parse::<usize>().ok())
        {
            // Touched, so that it counts.
            std::mem::forget(vec![1_u8; size << 20]);
        }
        if let Some(span) = self.chosen("DELAY").and_then(|ms| ms.parse().ok()) {
            std::thread::sleep(Duration::from_millis(span));
        }
        if self.chosen("HANG").is_some() {
            loop {
                std::thread::park();
            }
        }
        match self.chosen("CRASH").as_deref() {
            Some("segv") => {
                // SAFETY: none is meant; the process is to die here.
                unsafe { std::ptr::write_volatile(std::ptr::without_provenance_mut::<u8>(16), 1) }
            }
            Some(_) => std::process::abort(),
            None => {}
        }
    }
}

fn print(text: &str) {
    let _closed = std::io::stdout().write_all(text.as_bytes());
    let _closed = std::io::stdout().flush();
}
