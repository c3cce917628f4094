//! Pictures on a disk: their names, their list, and sheets to look through.

mod font;
mod manifest;
mod name;
mod page;
mod sheet;

pub use manifest::{AttemptRow, Manifest, ManifestError, PictureRow, SCHEMA};
pub use name::Names;
pub use page::page;
pub use sheet::{CELL_HEIGHT, CELL_WIDTH, PER_SHEET, Sheet, Small, sheets};
