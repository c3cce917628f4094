//! Compiles the `.proto` files with protox, so that no `protoc` has to be installed.

use std::error::Error;
use std::path::Path;

const FILES: [&str; 12] = [
    "device",
    "job",
    "site",
    "api",
    "rpc",
    "discovery",
    "history",
    "trust",
    "replica",
    "audit",
    "picture",
    "credential",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("wire");
    let files: Vec<_> = FILES
        .iter()
        .map(|name| root.join("tvtfleet/v1").join(format!("{name}.proto")))
        .collect();
    println!("cargo::rerun-if-changed=wire");
    let descriptors = protox::compile(&files, [root])?;
    let mut config = prost_build::Config::new();
    config.btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
