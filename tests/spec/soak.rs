//! A short soak with a fixed seed: a real fleet under faults, and the books balance.

use std::time::Duration;

use tvtfleet_tests::soak::{self, Setting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_balance_after_faults() {
    let setting = Setting {
        seed: 11,
        devices: 30,
        faults: 5,
        rounds: Some(2),
        ..Setting::default()
    };
    let outcome = soak::run(&setting, Duration::from_secs(600), |_| ()).await;
    assert!(
        outcome.losses.is_empty(),
        "seed {}: {outcome:#?}",
        setting.seed
    );
    assert!(outcome.faults_in_all() >= 8, "{outcome:#?}");
    assert!(outcome.changes > 0, "{outcome:#?}");
}
