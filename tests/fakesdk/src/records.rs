//! The records of the library. `build.rs` writes assertions on their sizes and offsets.

/// `NET_SDK_DEVICEINFO` of 1.2.1.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct DeviceInfo {
    pub(crate) inputs: [u8; 4],
    pub(crate) resolutions: u32,
    pub(crate) counts: [u8; 11],
    pub(crate) device_type: u8,
    pub(crate) flags: [u8; 8],
    pub(crate) video_inputs: u16,
    pub(crate) device_id: u16,
    pub(crate) video_format: u32,
    pub(crate) functions: [u32; 8],
    pub(crate) ip: u32,
    pub(crate) mac: [u8; 6],
    pub(crate) port: u16,
    pub(crate) build_date: u32,
    pub(crate) build_time: u32,
    pub(crate) name: [u8; 36],
    pub(crate) firmware: [u8; 36],
    pub(crate) kernel: [u8; 64],
    pub(crate) hardware: [u8; 36],
    pub(crate) mcu: [u8; 36],
    pub(crate) firmware_long: [u8; 64],
    pub(crate) software: u32,
    pub(crate) serial: [u8; 32],
    pub(crate) product: [u8; 28],
}

/// `NET_SDK_DEVICEINFO` of 1.3.2.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct DeviceInfo132 {
    pub(crate) base: DeviceInfo,
    pub(crate) product_type: u32,
}

/// `NET_SDK_IPC_DEVICE_INFO` of 1.2.1.036.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct Camera036 {
    pub(crate) device_id: u32,
    pub(crate) channel: u16,
    pub(crate) guid: [u8; 48],
    pub(crate) status: u16,
    pub(crate) interface: [u8; 16],
    pub(crate) server: [u8; 64],
    pub(crate) port: u16,
    pub(crate) http_port: u16,
    pub(crate) control_port: u16,
    pub(crate) id: [u8; 64],
    pub(crate) user: [u8; 36],
    pub(crate) padding: [u8; 2],
    pub(crate) maker_id: u32,
    pub(crate) maker: [u8; 36],
    pub(crate) model: [u8; 36],
    pub(crate) default_config: u8,
    pub(crate) poe: u8,
    pub(crate) reserved: [u8; 2],
    pub(crate) name: [u8; 36],
}

/// `NET_SDK_IPC_DEVICE_INFO` of 1.2.1.028.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct Camera028 {
    pub(crate) device_id: u32,
    pub(crate) channel: u16,
    pub(crate) status: u16,
    pub(crate) interface: [u8; 16],
    pub(crate) server: [u8; 64],
    pub(crate) port: u16,
    pub(crate) http_port: u16,
    pub(crate) control_port: u16,
    pub(crate) id: [u8; 64],
    pub(crate) user: [u8; 36],
    pub(crate) padding: [u8; 2],
    pub(crate) maker_id: u32,
    pub(crate) maker: [u8; 36],
    pub(crate) model: [u8; 36],
    pub(crate) default_config: u8,
    pub(crate) poe: u8,
    pub(crate) reserved: [u8; 2],
}

/// `NET_SDK_CH_DEVICE_STATUS`.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct ChannelStatus {
    pub(crate) channel: u16,
    pub(crate) status: u16,
    pub(crate) kind: u32,
    pub(crate) name: [u8; 132],
    pub(crate) reserved: [u8; 32],
}

/// `DD_TIME`.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct Time {
    pub(crate) second: u8,
    pub(crate) minute: u8,
    pub(crate) hour: u8,
    pub(crate) weekday: u8,
    pub(crate) day: u8,
    pub(crate) month: u8,
    pub(crate) year: u16,
    pub(crate) total_seconds: i32,
    pub(crate) microsecond: i32,
}

/// `NET_SDK_DISK_INFO`.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct DiskInfo {
    pub(crate) index: i64,
    pub(crate) status: i16,
    pub(crate) property: i16,
    pub(crate) total: u32,
    pub(crate) free: u32,
}

/// `NET_SDK_RECORD_STATUS_EX` of 1.3.2.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct RecordStatus {
    pub(crate) device: [u8; 128],
    pub(crate) kind: u32,
    pub(crate) channel: u32,
    pub(crate) status: u32,
    pub(crate) stream: u32,
    pub(crate) resolution: u32,
    pub(crate) frame_rate: u32,
    pub(crate) quality: u32,
    pub(crate) bit_type: u32,
    pub(crate) level: u32,
}

/// `NET_SDK_DEVICE_DISCOVERY_INFO` of 1.2.1.036.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct Found036 {
    pub(crate) device_type: u32,
    pub(crate) product: [u8; 32],
    pub(crate) address: [u8; 16],
    pub(crate) mask: [u8; 16],
    pub(crate) gateway: [u8; 16],
    pub(crate) mac: [u8; 8],
    pub(crate) port: u16,
    pub(crate) http_port: u16,
    pub(crate) software: u32,
    pub(crate) build_date: u32,
    pub(crate) address_mode: u8,
    pub(crate) second_address: [u8; 16],
    pub(crate) second_mask: [u8; 16],
    pub(crate) not_activated: u8,
    pub(crate) password_level: u8,
    pub(crate) brand: [u8; 16],
    pub(crate) padding: u8,
}

include!(concat!(env!("OUT_DIR"), "/layout_checks.rs"));
