//! The reference vectors: tables of inputs with the answers that other programs gave to them.
//!
//! Every vector of a file is run by its `op`; all mismatches are listed by name. An op that the
//! runner does not know, or an op of the runner without a vector, is a failure too. If the
//! environment variable `TVTFLEET_VECTORS` names a directory, its files of the same names are run as
//! well.

mod discovery;
mod http;
mod http_cgi;
mod http_pictures;
mod http_webapi;
mod protocol;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The environment variable that names a directory with more vectors.
const MORE: &str = "TVTFLEET_VECTORS";

/// What a vector asks for: from the whole vector to the answer that its `expected` is compared with.
type Operation = fn(&Value) -> Result<Value, String>;

/// A file of vectors and the operations it asks for.
struct Suite {
    file: &'static str,
    operations: &'static [(&'static str, Operation)],
}

impl Suite {
    /// Runs the file of this repository.
    fn own(&self) -> Result<Tally, String> {
        self.run_file(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("vectors")
                .join(self.file),
        )
    }

    /// Runs the file of the directory that the environment names, if there is one.
    fn more(&self) -> Result<Option<Tally>, String> {
        let Some(directory) = std::env::var_os(MORE) else {
            return Ok(None);
        };
        let path = PathBuf::from(directory).join(self.file);
        if !path.exists() {
            return Ok(None);
        }
        self.run_file(&path).map(Some)
    }

    fn run_file(&self, path: &Path) -> Result<Tally, String> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|error| format!("{shown}: {error}"))?;
        self.run(&document)
            .map_err(|error| format!("{shown}: {error}"))
    }

    fn run(&self, document: &Value) -> Result<Tally, String> {
        let vectors = document
            .get("vectors")
            .and_then(Value::as_array)
            .ok_or("no vectors")?;
        let mut tally = Tally::default();
        for (name, _) in self.operations {
            tally.counts.insert((*name).to_owned(), 0);
        }
        for vector in vectors {
            let op = vector.get("op").and_then(Value::as_str).unwrap_or_default();
            *tally.counts.entry(op.to_owned()).or_default() += 1;
            let answer = match self.operations.iter().find(|(name, _)| *name == op) {
                Some((_, operation)) => operation(vector),
                None => Err("unknown op".to_owned()),
            };
            let expected = vector.get("expected").unwrap_or(&Value::Null);
            if answer.as_ref() != Ok(expected) {
                let name = vector
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or("(no name)");
                let found = match answer {
                    Ok(value) => value.to_string(),
                    Err(error) => error,
                };
                tally.mismatches.push(format!(
                    "{op}: {name}\n    expected {expected}\n    found    {found}"
                ));
            }
        }
        Ok(tally)
    }
}

/// The result of a file.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<String, usize>,
    mismatches: Vec<String>,
}

impl Tally {
    fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// Panics with everything that is wrong.
    #[track_caller]
    fn check(&self) {
        let empty: Vec<&String> = self
            .counts
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(op, _)| op)
            .collect();
        assert!(empty.is_empty(), "ops without a vector: {empty:?}");
        assert!(
            self.mismatches.is_empty(),
            "{} of {} vectors do not hold:\n{}",
            self.mismatches.len(),
            self.total(),
            self.mismatches.join("\n")
        );
        assert!(self.total() > 0, "no vectors");
    }
}

#[test]
fn protocol_vectors_hold() {
    let tally = protocol::SUITE.own().unwrap();
    println!(
        "{} vectors of {}: {:?}",
        tally.total(),
        protocol::SUITE.file,
        tally.counts
    );
    tally.check();
}

#[test]
fn more_protocol_vectors_hold() {
    if let Some(tally) = protocol::SUITE.more().unwrap() {
        println!("{} more vectors of {}", tally.total(), protocol::SUITE.file);
        // Another directory need not have vectors for every op.
        assert!(tally.total() > 0, "no vectors");
        assert!(
            tally.mismatches.is_empty(),
            "{}",
            tally.mismatches.join("\n")
        );
    }
}

#[test]
fn discovery_vectors_hold() {
    let tally = discovery::SUITE.own().unwrap();
    println!(
        "{} vectors of {}: {:?}",
        tally.total(),
        discovery::SUITE.file,
        tally.counts
    );
    tally.check();
}

#[test]
fn more_discovery_vectors_hold() {
    if let Some(tally) = discovery::SUITE.more().unwrap() {
        println!(
            "{} more vectors of {}",
            tally.total(),
            discovery::SUITE.file
        );
        assert!(tally.total() > 0, "no vectors");
        assert!(
            tally.mismatches.is_empty(),
            "{}",
            tally.mismatches.join("\n")
        );
    }
}

#[test]
fn the_runner_reports_what_does_not_hold() {
    let suite = Suite {
        file: "",
        operations: &[
            ("twice", |v| Ok(v["input"].as_i64().map(|n| n * 2).into())),
            ("never", |_| Err("never".to_owned())),
        ],
    };
    let tally = suite
        .run(&serde_json::json!({"vectors": [
            {"name": "holds", "op": "twice", "input": 2, "expected": 4},
            {"name": "does not", "op": "twice", "input": 2, "expected": 5},
            {"name": "is new", "op": "thrice", "input": 2, "expected": 6},
        ]}))
        .unwrap();
    assert_eq!(tally.counts["twice"], 2);
    assert_eq!(tally.counts["never"], 0);
    let named: Vec<&str> = tally
        .mismatches
        .iter()
        .filter_map(|m| m.lines().next())
        .collect();
    assert_eq!(named, ["twice: does not", "thrice: is new"]);
}
