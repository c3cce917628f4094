use std::path::PathBuf;

use super::super::tests::query_fixture::{Fleet, fleet};
use super::*;

fn ask(path: &Path, sql: &str) -> Result<QueryPage, ErrorCode> {
    let request = RunQuery {
        sql: sql.into(),
        ..RunQuery::default()
    };
    run(path, &request, UtcMillis::new(1_790_000_100_000)).map_err(|error| error.code())
}

fn rows(path: &Path, sql: &str) -> Vec<String> {
    let page = ask(path, sql).unwrap_or_else(|code| panic!("{code}: {sql}"));
    let text = |value: &SqlValue| match value {
        SqlValue::Null => "-".to_owned(),
        SqlValue::Integer(number) => number.to_string(),
        SqlValue::Real(number) => number.to_string(),
        SqlValue::Text(text) => text.clone(),
        SqlValue::Blob(bytes) => format!("{bytes:?}"),
    };
    page.rows
        .iter()
        .map(|row| row.iter().map(text).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn every_table_has_the_columns_that_it_promises() {
    let Fleet { path, .. } = &fleet();
    for table in tables::tables() {
        let page = ask(path, &format!("SELECT * FROM {} LIMIT 1", table.name)).unwrap();
        let promised: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
        assert_eq!(page.columns, promised, "{}", table.name);
    }
}

#[test]
fn questions_are_answered() {
    let Fleet { path, .. } = &fleet();
    assert_eq!(
        rows(
            path,
            "SELECT site, devices, failing FROM sites ORDER BY site"
        ),
        ["acme/depot 3 1"]
    );
    assert_eq!(
        rows(
            path,
            "SELECT address FROM devices WHERE version(firmware) < version('1.10') AND model <> ''"
        ),
        ["10.0.0.1:6036", "10.0.0.2:6036"]
    );
    assert_eq!(
        rows(
            path,
            "SELECT device_id, channel, since_ms FROM channels
             WHERE status = 'Offline' AND since_ms < ago_ms('1m')"
        ),
        ["sn:A 2 1790000012000"]
    );
    assert_eq!(
        rows(
            path,
            "SELECT kind, old, new FROM changes ORDER BY at_ms, kind"
        ),
        [
            "channel_status Online Offline",
            "unreachable  device.connect_timeout"
        ]
    );
    assert_eq!(
        rows(
            path,
            "SELECT address, ok, error_code FROM results
             WHERE job = (SELECT job FROM jobs ORDER BY submitted_at_ms, job LIMIT 1)"
        ),
        [
            "10.0.0.1:6036 1 -",
            "10.0.0.2:6036 1 -",
            "10.0.0.3:6036 - -"
        ]
    );
    assert_eq!(
        rows(path, "SELECT count(*), max(attempt) FROM attempts"),
        ["4 1"]
    );
    assert_eq!(
        rows(
            path,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 3)
             SELECT sum(i) FROM n"
        ),
        ["6"]
    );
}

#[test]
fn nothing_else_can_be_done() {
    let Fleet { path, .. } = &fleet();
    for sql in [
        "",
        "SELECT",
        "SELECT 1; SELECT 2",
        "SELECT ?1",
        "DELETE FROM devices",
        "UPDATE sites SET name = ''",
        "INSERT INTO main.changes (uid) VALUES (x'')",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "DROP TABLE main.devices",
        "ATTACH ':memory:' AS other",
        "VACUUM INTO '/tmp/copy.db'",
        "PRAGMA user_version",
        "PRAGMA query_only = OFF",
        "BEGIN",
        "EXPLAIN SELECT 1",
        "SELECT * FROM main.devices",
        "SELECT * FROM quarantine",
        "SELECT body FROM device_states",
        "SELECT * FROM sqlite_master",
        "SELECT sql FROM temp.sqlite_master",
        "SELECT * FROM sqlite_temp_schema",
        "SELECT * FROM pragma_table_info('devices')",
        "SELECT load_extension('x')",
        "WITH devices AS (SELECT * FROM main.devices) SELECT * FROM devices",
        "WITH sites AS (SELECT epoch FROM main.sites) SELECT * FROM sites",
        "SELECT (SELECT count(*) FROM main.producers)",
        "SELECT * FROM devices WHERE device_id IN (SELECT body FROM main.quarantine)",
        "SELECT hex(zeroblob(1000000000))",
        "SELECT * FROM devices d JOIN main.device_keys k",
    ] {
        assert_eq!(ask(path, sql), Err(ErrorCode::QueryInvalid), "{sql}");
    }
}

#[test]
fn what_goes_wrong_is_told_without_names_of_the_inside() {
    let Fleet { path, .. } = &fleet();
    let request = RunQuery {
        sql: "SELECT nowhere FROM devices".into(),
        ..RunQuery::default()
    };
    let error = run(path, &request, UtcMillis::new(0)).unwrap_err();
    assert!(
        error.to_string().contains("no such column: nowhere"),
        "{error}"
    );
}

#[test]
fn long_answers_come_in_pages_and_long_work_ends() {
    let Fleet { path, .. } = &fleet();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
                   SELECT i FROM n";
    let page = |skip| {
        let request = RunQuery {
            sql: numbers.into(),
            skip,
            limit: 0,
        };
        let page = run(path, &request, UtcMillis::new(0)).unwrap();
        (page.rows.len(), page.more)
    };
    assert_eq!(
        [page(0), page(1000), page(2000)],
        [(1000, true), (1000, true), (500, false)]
    );
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                   SELECT count(*) FROM n";
    assert_eq!(ask(path, endless), Err(ErrorCode::QueryTimeout));
}

#[test]
fn a_file_that_is_no_database_is_no_fault_of_the_question() {
    let missing = PathBuf::from("/nonexistent/coordinator.db");
    assert_ne!(ask(&missing, "SELECT 1"), Err(ErrorCode::QueryInvalid));
}

/// How SQLite finds the rows of each question of the README: what is asked daily goes by an index,
/// and no question goes through all channels without one.
#[test]
fn the_documented_questions_go_by_indexes() {
    let readme = include_str!("../../../../README.md");
    let questions: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("tvtctl sql \"")?.strip_suffix('"'))
        .collect();
    assert!(questions.len() >= 10, "{questions:?}");
    let fleet = fleet();
    let connection = open(&fleet.path, "v_", UtcMillis::new(1_790_000_100_000)).unwrap();
    let plan = |sql: &str| -> Vec<String> {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let steps = statement.query_map([], |row| row.get(3)).unwrap();
        steps.map(Result::unwrap).collect()
    };
    for sql in &questions {
        let steps = plan(sql);
        // Devices, channels, changes and results are many; sites, jobs and a report's tries few.
        let blind = |step: &&String| {
            ["SCAN d", "SCAN c", "SCAN r"]
                .iter()
                .any(|table| step.starts_with(table))
                && !step.contains("INDEX")
        };
        assert_eq!(steps.iter().find(blind), None, "{sql}: {steps:#?}");
    }
    for (asked, step) in [
        (
            "status = 'Offline'",
            "SEARCH c USING INDEX channels_status (status=? AND since<?)",
        ),
        (
            "kind = 'unreachable'",
            "SEARCH c USING INDEX changes_at (at>?)",
        ),
        (
            "GROUP BY model",
            "SCAN d USING COVERING INDEX devices_model",
        ),
        ("FROM attempts", "SEARCH r USING PRIMARY KEY (job=?)"),
    ] {
        let sql = questions.iter().find(|sql| sql.contains(asked)).unwrap();
        let steps = plan(sql);
        assert!(steps.iter().any(|found| found == step), "{sql}: {steps:#?}");
    }
}
