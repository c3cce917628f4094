//! Functions that the library has and this double does not model.
//!
//! pytvt binds them all when it loads the library, so that they have to be there. Each fails as one that
//! the device does not support, and a call is written down: nothing of ours may make one. In C a callee
//! may leave its arguments alone, so that none is named.

use crate::state::{InCall, set_last_error};

/// `NOSUPPORT`.
const NO_SUPPORT: u32 = 26;

fn refused(function: &'static str) {
    let (call, _) = InCall::begin(function, String::new());
    call.trace("VIOLATION not modelled");
    set_last_error(NO_SUPPORT);
}

macro_rules! not_modelled {
    ($result:ty = $value:literal; $($symbol:ident $name:literal)+) => {
        $(
            /// Not modelled; fails.
            #[unsafe(no_mangle)]
            pub extern "C" fn $symbol() -> $result {
                refused($name);
                $value
            }
        )+
    };
}

not_modelled! { u8 = 0;
    NET_SDK_ActiveDevice "ActiveDevice"
    NET_SDK_ActiveDeviceByMac "ActiveDeviceByMac"
    NET_SDK_GetDeviceSupportFunction "GetDeviceSupportFunction"
    NET_SDK_GetSmarEventSupport "GetSmarEventSupport"
    NET_SDK_PTZControl_Other "PTZControl_Other"
    NET_SDK_PTZPreset_Other "PTZPreset_Other"
    NET_SDK_PTZCruise_Other "PTZCruise_Other"
    NET_SDK_CloseAlarmChan "CloseAlarmChan"
    NET_SDK_GetAlarmOutStatus "GetAlarmOutStatus"
    NET_SDK_FindClose "FindClose"
    NET_SDK_StartDVRRecord "StartDVRRecord"
    NET_SDK_StopDVRRecord "StopDVRRecord"
    NET_SDK_GetNvrRecordDays "GetNvrRecordDays"
    NET_SDK_CloseUpgradeHandle "CloseUpgradeHandle"
    NET_SDK_ShutDownDVR "ShutDownDVR"
    NET_SDK_ChangTime "ChangTime"
    NET_SDK_RestoreConfig "RestoreConfig"
    NET_SDK_GetConfigFile "GetConfigFile"
    NET_SDK_SetConfigFile "SetConfigFile"
    NET_SDK_FindLogClose "FindLogClose"
    NET_SDK_SetLogToFile "SetLogToFile"
    NET_SDK_UnlockAccessControl "UnlockAccessControl"
}

not_modelled! { i64 = -1;
    NET_SDK_SetupAlarmChan "SetupAlarmChan"
    NET_SDK_FindNextFile "FindNextFile"
    NET_SDK_FindNextLog "FindNextLog"
    NET_SDK_FindFile "FindFile"
    NET_SDK_Upgrade "Upgrade"
    NET_SDK_FindDVRLog "FindDVRLog"
    NET_SDK_GetUpgradeProgress "GetUpgradeProgress"
}
