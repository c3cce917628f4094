//! The pace of discoveries on networks that the tests make: what is on the wire is counted there, by
//! a witness that is no part of the program.
//!
//! Needs root and the `ip` command. Without them each test says so and does nothing.

use serde_json::{Value, json};
use tvtfleet_tests::netns::{Lab, mac, recorder};
use tvtfleet_tests::wire::peak;

/// A network behind a router whose dark addresses swallow packets, and recorders in it.
fn routed(
    test: &str,
    network: &str,
    recorders: impl IntoIterator<Item = (String, u8)>,
) -> Option<Lab> {
    let mut lab = Lab::new(test)?;
    lab.cable("site", "wan", "10.99.0.1/24", "10.99.0.2/24");
    lab.inside("agent", &format!("ip route add {network} via 10.99.0.2"));
    lab.inside("site", &format!("ip route add blackhole {network}"));
    let recorders: Vec<(String, u8)> = recorders.into_iter().collect();
    let addresses = recorders.iter().map(|(address, _)| format!("{address}/32"));
    lab.hosts("site", "wan", addresses);
    let devices: Vec<Value> = recorders
        .iter()
        .map(|(address, number)| recorder(address, *number, 6036, json!({"search": {}})))
        .collect();
    lab.simulate("site", &devices);
    Some(lab)
}

/// Runs a discovery; gives the MAC addresses found, and the politeness record.
fn discover(lab: &Lab, arguments: &str) -> (Vec<String>, Value) {
    let path = lab.folder().join("record.json");
    let output = lab
        .command("agent", "tvtctl")
        .args(["local", "discover", "--json", "--record"])
        .arg(&path)
        .args(arguments.split_whitespace())
        .current_dir(lab.folder())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let devices: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut found: Vec<String> = devices
        .iter()
        .map(|device| device["mac"].as_str().unwrap().to_owned())
        .collect();
    found.sort();
    let record = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    (found, record)
}

#[test]
fn on_the_wire_the_pace_is_never_exceeded_by_half() {
    for (network, options, rate) in [
        ("10.50.0.0/24", "", 200),
        ("10.50.0.0/24", "--rate 600", 600),
        ("10.50.0.0/22", "--profile routed", 2_000),
        ("10.50.0.0/20", "--profile lab", 10_000),
    ] {
        let recorders = (1..=20_u8).map(|n| (format!("10.50.0.{}", u32::from(n) * 11), n));
        let Some(lab) = routed("the pace on the wire", network, recorders) else {
            return;
        };
        let witness = lab.watch("site");
        let (found, record) = discover(&lab, &format!("--subnet {network} {options}"));
        let times = witness.times();
        assert_eq!(found, (1..=20).map(mac).collect::<Vec<_>>(), "{record}");
        let count = |key: &str| usize::try_from(record[key].as_u64().unwrap()).unwrap();
        // The witness saw all of it, and the record leaves nothing out.
        let sent = count("unicast") + count("echoes") + count("connects");
        assert_eq!(times.len(), sent, "{record}");
        let on_the_wire = peak(&times);
        println!(
            "{network} {options}: {on_the_wire}/s, recorded {}",
            count("peak_rate")
        );
        assert!(
            on_the_wire * 2 <= rate * 3,
            "{on_the_wire}/s of {rate}/s: {record}"
        );
        // It is fast all the same.
        assert!(
            on_the_wire * 10 >= rate * 8,
            "{on_the_wire}/s of {rate}/s: {record}"
        );
    }
}

#[test]
fn a_narrow_line_slows_the_sweep_and_the_record_says_why() {
    let Some(mut lab) = Lab::new("a narrow line") else {
        return;
    };
    // The line begins behind a router, so that the agent's kernel knows nothing of it.
    lab.cable("router", "wan", "10.99.0.1/24", "10.99.0.2/24");
    lab.cable_between(("router", "10.98.0.1/24"), ("site", "10.98.0.2/24"), "line");
    lab.inside("router", "sysctl -qw net.ipv4.ip_forward=1");
    lab.inside("router", "ip route add 10.50.0.0/22 via 10.98.0.2");
    lab.inside("agent", "ip route add 10.50.0.0/22 via 10.99.0.2");
    lab.inside("site", "ip route add 10.99.0.0/24 via 10.98.0.1");
    lab.inside("site", "ip route add blackhole 10.50.0.0/22");
    let recorders: Vec<(String, u8)> = (1..=60_u8)
        .map(|n| (format!("10.50.{}.{n}", n % 4), n))
        .collect();
    let addresses = recorders.iter().map(|(address, _)| format!("{address}/32"));
    lab.hosts("site", "line", addresses);
    let devices: Vec<Value> = recorders
        .iter()
        .map(|(address, number)| recorder(address, *number, 6036, json!({"search": {}})))
        .collect();
    lab.simulate("site", &devices);
    // It carries about 140 searches per second.
    if !lab.narrow("router", "line", 200) {
        return;
    }
    let witness = lab.watch("site");
    let (found, record) = discover(&lab, "--subnet 10.50.0.0/22 --rate 300");
    let times = witness.times();
    assert!(found.len() >= 57, "{} of 60: {record}", found.len());
    let changes = record["rate_changes"].as_array().unwrap();
    let reasons = |change: &&Value| {
        let reason = change["reason"].as_str().unwrap();
        reason.contains("devices found before")
    };
    let lowered: Vec<&Value> = changes.iter().filter(reasons).collect();
    assert!(!lowered.is_empty(), "{record}");
    let lowest = lowered
        .iter()
        .map(|change| change["rate"].as_u64().unwrap())
        .min();
    assert!(lowest < Some(150), "{record}");
    assert!(
        record["notes"].to_string().contains("the pace was lowered"),
        "{record}"
    );
    println!("{} probes over the line: {record}", times.len());
}

#[test]
fn connections_through_a_gateway_keep_to_their_own_pace() {
    let Some(mut lab) = Lab::new("connections through a gateway") else {
        return;
    };
    lab.cable("site", "wan", "10.99.0.1/24", "10.99.0.2/24");
    lab.inside("agent", "ip route add 10.50.0.0/24 via 10.99.0.2");
    // Every address is a host, and all but one refuse everything.
    lab.inside("site", "ip route add local 10.50.0.0/24 dev lo");
    lab.simulate("site", &[recorder("10.50.0.77", 1, 9008, json!({}))]);
    let witness = lab.watch("site");
    let (found, record) = discover(&lab, "--subnet 10.50.0.0/24 --profile routed --methods tcp");
    assert_eq!(found, [mac(1)], "{record}");
    let connects = record["connects"].as_u64().unwrap();
    assert_eq!(connects, 2 * 254, "{record}");
    // At 100 per second they take five seconds; the echo requests before went at 2,000.
    let took = record["duration_ms"].as_u64().unwrap();
    assert!((5_000..8_000).contains(&took), "{record}");
    let times = witness.times();
    let last = *times.last().unwrap();
    let late: Vec<_> = times
        .iter()
        .copied()
        .filter(|time| *time + std::time::Duration::from_secs(3) > last)
        .collect();
    // Those who are asked again come on top.
    assert!(peak(&late) <= 170, "{}", peak(&late));
}
