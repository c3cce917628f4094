//! Names as installers give them, and as they break careless programs.

/// Site names; more sites are numbered.
pub(crate) const SITES: [&str; 12] = [
    "Depot Süd",
    "HQ / Tower 1",
    "Kirkwall #2 (North)",
    "Filiale Zürich",
    "Magazyn Łódź",
    "東京倉庫",
    "Склад 12",
    "Porto, Centro",
    "Ålesund havn",
    "Athens Αθήνα",
    "Cité-U",
    "Outlet \"A7\"",
];

/// Places that a camera looks at.
pub(crate) const PLACES: [&str; 28] = [
    "Einfahrt Nord",
    "Kühlhaus",
    "Приёмка",
    "入口",
    "Lager \"A\", Regal",
    "Ampel; Rot",
    "Loading dock",
    "Fire exit, rear",
    "Kasse",
    "Café",
    "倉庫",
    "정문",
    "Server room",
    "Treppenhaus",
    "Straße",
    "Gate",
    "Parking P",
    "Hof",
    "Dach",
    "Büro, 2. OG",
    "Fence <west>",
    "Tank & pump",
    "Corridor",
    "Lift",
    "Øst",
    "Perímetro",
    "A very long camera name that runs past the column",
    "=Cell",
];

/// Camera models, with the protocol they are attached by.
pub(crate) const MODELS: [(&str, &str); 6] = [
    ("TD-9544S4-C", "TVT"),
    ("TD-9421S3B", "TVT"),
    ("TD-9442E3", "TVT"),
    ("TD-8543IE3N", "TVT"),
    ("P3245-V", "ONVIF"),
    ("DS-2CD2143G2", "ONVIF"),
];

/// Firmware versions with their build dates.
pub(crate) const FIRMWARE: [([u8; 4], u32); 5] = [
    ([1, 4, 10, 0], 20_230_510),
    ([1, 4, 13, 2], 20_240_118),
    ([5, 2, 3, 0], 20_241_010),
    ([5, 2, 4, 1], 20_250_227),
    ([5, 3, 0, 0], 20_260_305),
];

/// Makers' prefixes of hardware addresses.
pub(crate) const MAC_PREFIXES: [[u8; 3]; 2] = [[0x58, 0x5B, 0x69], [0x00, 0x18, 0xAE]];
