//! Stopping the world in the middle of a scan.

use std::time::Duration;

use tvt_sim::{Counter, SimulatorError};

use crate::client::{Client, PASSWORD};
use crate::{standard, start, start_all};

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_fleet_is_held_at_the_moment_a_total_is_reached() {
    let simulator = start_all(vec![standard(), standard()]);
    let [first, second] = simulator.devices() else {
        panic!("two devices")
    };
    simulator.pause_when(Counter::LoginsSucceeded, 2);
    let done = Client::logged_in(first.address()).await;
    let mut held = Client::connect(second.address()).await.unwrap();
    let beat = held.take(8).await.unwrap();
    assert_eq!(beat, b"1111\0\0\0\0");
    held.send_login("admin", PASSWORD).await;
    simulator.paused(DEADLINE).await.unwrap();
    // The greeting and the heartbeat went out before, the login reply waits.
    assert_eq!(second.counters().bytes_out, 72);
    assert_eq!(simulator.totals().logins_succeeded, 2);
    simulator.resume();
    assert_eq!(held.login_reply().await.unwrap().command, 0x0100_0101);
    drop(done);
}

#[tokio::test]
async fn one_device_is_held_while_others_go_on() {
    let simulator = start_all(vec![standard(), standard()]);
    let [slow, fast] = simulator.devices() else {
        panic!("two devices")
    };
    slow.pause();
    let address = slow.address();
    let waiting = tokio::spawn(async move { Client::logged_in(address).await });
    simulator
        .reached(Counter::Connections, 1, DEADLINE)
        .await
        .unwrap();
    Client::logged_in(fast.address()).await.leave().await;
    assert_eq!(slow.counters().bytes_out, 0);
    slow.resume();
    waiting.await.unwrap().leave().await;
    assert_eq!(slow.counters().logins_succeeded, 1);
}

#[tokio::test]
async fn a_client_that_leaves_while_held_is_noticed() {
    let (simulator, device) = start(standard());
    let mut client = Client::connect(device.address()).await.unwrap();
    simulator.pause_when(Counter::LoginsTried, 1);
    client.send_login("admin", PASSWORD).await;
    simulator.paused(DEADLINE).await.unwrap();
    drop(client);
    simulator.resume();
    Client::logged_in(device.address()).await.leave().await;
    assert_eq!(device.counters().sessions_open, 0);
}

#[tokio::test]
async fn a_wait_that_is_too_long_says_how_far_it_got() {
    let (simulator, device) = start(standard());
    Client::logged_in(device.address()).await.leave().await;
    let error = simulator
        .reached(Counter::LoginsSucceeded, 2, Duration::from_millis(1))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            SimulatorError::NotReached {
                value: 1,
                at_least: 2,
                ..
            }
        ),
        "{error}"
    );
}
