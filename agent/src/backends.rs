//! Which backends this computer has, why not, and in which versions.

use std::future::Future;
use std::time::Duration;

use tvtfleet_proto::device::sdkpipe::{Hello, Library};
use tvtfleet_proto::model::backend::{Backend, BackendState};

use crate::bridge::BridgeSettings;
use crate::device::{
    Bridge, Configured, Helper, VendorSettings, find_host, find_node, find_script, locate,
};

/// Time for a bridge to say that it works.
const HEALTH: Duration = Duration::from_secs(3);

/// Looks at every backend: the library is loaded by a helper, the bridge asked for its health, the
/// interpreter for its version. Nothing is sent to any device.
pub async fn survey(settings: &VendorSettings) -> Vec<BackendState> {
    let (netsdk, bridge, script) =
        tokio::join!(netsdk(settings), bridge(settings), script(settings));
    states(settings, netsdk, bridge, script)
}

/// As [`survey`], but looks only at what somebody configured: an agent knocks at no door by itself.
pub(crate) async fn survey_configured(settings: &VendorSettings) -> Vec<BackendState> {
    let configured = Configured::by(settings);
    let (netsdk, bridge, script) = tokio::join!(
        only(
            configured.library,
            "TVT_SDK_PATH or sdk.path",
            netsdk(settings)
        ),
        only(
            configured.bridge,
            "TVT_API_URL or sdk.api_url",
            bridge(settings)
        ),
        only(
            settings.script.is_some(),
            "TVT_SCAN_SCRIPT or sdk.scan_script",
            script(settings)
        ),
    );
    states(settings, netsdk, bridge, script)
}

/// The bridge that an agent serves itself: no way to a device, but shown beside them.
pub(crate) fn served(bridge: &BridgeSettings) -> BackendState {
    BackendState {
        backend: "serves-bridge".to_owned(),
        usable: true,
        configured: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        detail: bridge.to_string(),
    }
}

async fn only(wanted: bool, setting: &str, look: impl Future<Output = Found>) -> Found {
    if wanted {
        look.await
    } else {
        Err(format!("not configured; set {setting}"))
    }
}

fn states(
    settings: &VendorSettings,
    netsdk: Found,
    bridge: Found,
    script: Found,
) -> Vec<BackendState> {
    let configured = Configured::by(settings);
    vec![
        built_in(Backend::Protocol),
        built_in(Backend::WebApi),
        built_in(Backend::Cgi),
        built_in(Backend::Discovery),
        state(Backend::Netsdk, configured.library, netsdk),
        state(Backend::Sdk, configured.bridge, bridge),
        state(Backend::SdkLocal, settings.script.is_some(), script),
    ]
}

fn built_in(backend: Backend) -> BackendState {
    BackendState {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..state(backend, true, Ok((String::new(), "built in".to_owned())))
    }
}

/// A version and a place, or what is wrong.
type Found = Result<(String, String), String>;

fn state(backend: Backend, configured: bool, found: Found) -> BackendState {
    let usable = found.is_ok();
    let (version, detail) = match found {
        Ok((version, detail)) => (version, detail),
        Err(detail) => (String::new(), detail),
    };
    BackendState {
        backend: backend.as_str().to_owned(),
        usable,
        configured,
        version,
        detail,
    }
}

async fn netsdk(settings: &VendorSettings) -> Found {
    let library = locate(settings.library.as_deref()).map_err(|error| error.to_string())?;
    let host = find_host(settings.host.as_deref()).map_err(|error| error.to_string())?;
    let started = Helper::start(&host, &library).await;
    let (helper, hello) = started.map_err(|failure| failure.text)?;
    helper.leave().await;
    Ok(loaded(&hello))
}

fn loaded(hello: &Hello) -> (String, String) {
    let Library::Ready {
        build,
        version,
        missing,
    } = &hello.library
    else {
        return (String::new(), hello.path.clone());
    };
    let mut detail = hello.path.clone();
    if !missing.is_empty() {
        detail.push_str(&format!(", without {}", missing.join(", ")));
    }
    (format!("build {build} ({version:#010x})"), detail)
}

async fn bridge(settings: &VendorSettings) -> Found {
    let bridge = Bridge::new(settings);
    let answer = bridge.health(HEALTH).await;
    match answer {
        Ok(()) => Ok((String::new(), bridge.url().to_owned())),
        Err(failure) => Err(format!(
            "{}: {}; name a bridge with TVT_API_URL",
            bridge.url(),
            failure.text
        )),
    }
}

async fn script(settings: &VendorSettings) -> Found {
    let script = find_script(settings).map_err(|failure| failure.text)?;
    let node = find_node(settings).await.map_err(|failure| failure.text)?;
    let detail = format!("{} with {}", script.display(), node.path.display());
    Ok((format!("node {}", node.version), detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_computer_with_nothing_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("nothing");
        let settings = VendorSettings {
            library: Some(nowhere.clone()),
            bridge_url: Some("http://127.0.0.1:1".into()),
            ..VendorSettings::default()
        };
        let found = survey(&settings).await;
        let names: Vec<_> = found.iter().map(|state| state.backend.as_str()).collect();
        assert_eq!(
            names,
            Backend::ALL.iter().map(|b| b.as_str()).collect::<Vec<_>>()
        );
        let (built_in, vendor) = found.split_at(4);
        assert!(built_in.iter().all(|state| state.usable));
        for (state, variable) in
            vendor
                .iter()
                .zip(["TVT_SDK_PATH", "TVT_API_URL", "TVT_SCAN_SCRIPT"])
        {
            assert!(!state.usable, "{state:?}");
            assert!(state.detail.contains(variable), "{state:?}");
        }
        assert!(
            vendor[0].detail.contains(nowhere.to_str().unwrap()),
            "{:?}",
            vendor[0]
        );
        assert!(vendor[0].configured && vendor[1].configured && !vendor[2].configured);
    }
}
