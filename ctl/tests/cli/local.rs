//! Local scans without a device: nobody answers, and everything is written all the same.

use tvtfleet_proto::error::ExitStatus;

use crate::sandbox::{Finished, Refusing, Sandbox};

/// Two recorders that refuse connections, and entries that are left out.
struct Depot {
    sandbox: Sandbox,
    ports: [Refusing; 2],
}

impl Depot {
    fn new() -> Self {
        let ports = [Refusing::at("127.0.0.2"), Refusing::at("127.0.0.3")];
        let [depot, annex] = [ports[0].port, ports[1].port];
        let inventory = format!(
            r#"[
                {{"ip": "127.0.0.2", "port": {depot}, "site": "Depot", "hostname": "rec-2"}},
                {{"ip": "127.0.0.3", "port": {annex}, "site": "Annex", "hostname": "rec-3"}},
                {{"ip": "127.0.0.2", "port": {depot}, "site": "Depot", "hostname": "twice"}},
                {{"ip": "169.254.1.1", "site": "Depot"}},
                {{"ip": "10.0.0.1", "manufacturer": "Other"}}
            ]"#
        );
        let sandbox = Sandbox::new()
            .file("inventory.json", &inventory)
            .env("TVT_PASSWORD", "hunter2");
        Self { sandbox, ports }
    }

    async fn scan(&self, options: &[&str]) -> Finished {
        let arguments: Vec<&str> = ["local", "scan", "inventory.json", "--retries", "0"]
            .iter()
            .chain(options)
            .copied()
            .collect();
        self.sandbox.run(&arguments).await
    }

    fn normal(&self, text: &str) -> String {
        let [depot, annex] = [0, 1].map(|index| self.ports[index].port.to_string());
        text.replace(&depot, "[PORT]").replace(&annex, "[PORT]")
    }
}

#[tokio::test]
async fn devices_that_do_not_answer_are_reported_and_listed() {
    let depot = Depot::new();
    let sandbox = &depot.sandbox;
    let finished = depot
        .scan(&[
            "-c",
            "1",
            "-o",
            "out.json",
            "-o",
            "out.CSV",
            "--failed",
            "failed.json",
        ])
        .await;
    assert_eq!(finished.status, ExitStatus::SomeFailed);
    insta::assert_snapshot!(depot.normal(&finished.shown()));
    for name in ["out.json", "out.CSV", "failed.json"] {
        assert!(sandbox.read(name).contains("127.0.0.3"), "{name}");
        assert!(!sandbox.read(name).contains("hunter2"), "{name}");
    }
    let again = sandbox
        .run(&[
            "local",
            "scan",
            "failed.json",
            "--retries",
            "0",
            "--format",
            "json",
        ])
        .await;
    assert_eq!(again.status, ExitStatus::SomeFailed);
    assert!(
        again.stdout.starts_with("[\n  {\n    \"site\": \"Annex\""),
        "{}",
        again.stdout
    );
    assert!(again.stdout.ends_with("]\n"));
}

#[tokio::test]
async fn one_output_that_fails_does_not_lose_the_others() {
    let depot = Depot::new();
    let sandbox = &depot.sandbox;
    std::fs::create_dir(sandbox.path("gone")).unwrap();
    // The folder goes away once the scan has begun to ask, and so has checked it.
    let scan = depot.scan(&["-q", "-o", "gone/a.json", "-o", "b.json"]);
    let path = sandbox.path("gone");
    let remove = async {
        tokio::task::yield_now().await;
        std::fs::remove_dir(&path).unwrap();
    };
    let (finished, ()) = tokio::join!(scan, remove);
    assert_eq!(finished.status, ExitStatus::Config, "{}", finished.stderr);
    assert!(
        finished
            .stderr
            .contains("error: cannot write [HOME]/gone/a.json"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("JSON saved to: b.json"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stdout.contains("SUMMARY: 0/2"),
        "{}",
        finished.stdout
    );
    assert!(sandbox.read("b.json").contains("127.0.0.2"));
}

#[tokio::test]
async fn an_interrupted_scan_writes_what_it_has() {
    let depot = Depot::new();
    let sandbox = &depot.sandbox;
    sandbox.interrupt.cancel();
    let finished = depot.scan(&["-o", "out.json"]).await;
    assert_eq!(finished.status, ExitStatus::SomeFailed);
    assert!(
        finished.stderr.contains("error: interrupted"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("code: interrupted"),
        "{}",
        finished.stderr
    );
    assert_eq!(
        sandbox
            .read("out.json")
            .matches("\"error_code\": \"device.cancelled\"")
            .count(),
        2
    );
}

#[tokio::test]
async fn a_terminal_gets_a_bar_and_no_lines() {
    let mut depot = Depot::new();
    depot.sandbox.terminal = true;
    let finished = depot.scan(&[]).await;
    assert!(
        finished.stderr.contains("/2 devices"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains("[1/2]"), "{}", finished.stderr);
    assert!(finished.stdout.contains("SUMMARY: 0/2"));
}
