//! The lock after wrong logins and the number of clients.

use tvt_sim::{DeviceSpec, LockRule, Mutation, Violation};

use crate::client::{Client, PASSWORD};
use crate::{head, standard, start};

#[tokio::test]
async fn wrong_logins_lock_the_username_and_only_that() {
    let lock = LockRule {
        tries: 3,
        lock_ms: 1_800_000,
        code: 4,
    };
    for spec in [
        DeviceSpec { lock, ..standard() },
        DeviceSpec { lock, ..head() },
    ] {
        let (_simulator, device) = start(spec);
        let code = async |user: &str, password: &str| {
            let mut client = Client::connect(device.address()).await.unwrap();
            client.login(user, password).await.code()
        };
        assert_eq!(code("admin", "one").await, 2);
        assert_eq!(code("guest", "one").await, 2);
        assert_eq!(code("admin", "two").await, 2);
        assert_eq!(device.counters().lockouts, 0);
        assert_eq!(code("admin", "three").await, 2);
        assert_eq!(device.counters().lockouts, 1);
        assert_eq!(code("admin", PASSWORD).await, 4);
        assert_eq!(code("admin", "four").await, 4);
        assert_eq!(code("guest", "two").await, 2);
        let counters = device.counters();
        assert_eq!((counters.logins_tried, counters.logins_failed), (7, 7));
        assert_eq!((counters.locked_refusals, counters.lockouts), (2, 1));
        assert_eq!(counters.logins_succeeded, 0);
        device.apply(Mutation::ClearLocks).await.unwrap();
        Client::logged_in(device.address()).await.leave().await;
    }
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let (_simulator, device) = start(standard());
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(Client::logged_in(device.address()).await);
    }
    let mut ninth = Client::connect(device.address()).await.unwrap();
    assert_eq!(ninth.login("admin", PASSWORD).await.code(), 3);
    let counters = device.counters();
    assert_eq!((counters.sessions_open, counters.sessions_max), (8, 8));
    assert_eq!(counters.busy_refusals, 1);
    clients.pop().unwrap().leave().await;
    Client::logged_in(device.address()).await.leave().await;
    assert_eq!(device.counters().lockouts, 0);
}

#[tokio::test]
async fn overlapping_sessions_are_recorded_and_successive_ones_are_not() {
    let (_simulator, device) = start(standard());
    for _ in 0..20 {
        // Closed without a word: the next session must not be held against the client.
        let mut client = Client::logged_in(device.address()).await;
        client.get("/queryIPCInfo", 1).await.unwrap();
        drop(client);
    }
    assert_eq!(device.counters().violation_records, []);
    let first = Client::logged_in(device.address()).await;
    let mut second = Client::logged_in(device.address()).await;
    second.get("/queryIPCInfo", 1).await.unwrap();
    let records = device.counters().violation_records;
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].violation, records[0].connection),
        (Violation::ParallelSession, 22)
    );
    drop(first);
}
