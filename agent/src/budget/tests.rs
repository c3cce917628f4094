//! The budget over jobs, restarts and time.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use tvtfleet_bus::clock::ManualClock;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::secret::Secret;
use tvtfleet_proto::model::time::UtcMillis;

fn job(n: u128) -> JobId {
    JobId::new(uuid::Uuid::from_u128(n))
}

fn credential(password: &str) -> Credential {
    Credential {
        username: "admin".into(),
        password: Secret::new(password),
    }
}

fn names(mac: u8, port: u16) -> Vec<DeviceName> {
    let mac = Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, mac]));
    DeviceName::all(mac, &format!("10.0.0.1:{port}").parse().unwrap())
}

/// A budget with a clock.
struct Bench {
    budget: AttemptBudget,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new(budget: AttemptBudget) -> Self {
        let clock = Arc::new(ManualClock::new(UtcMillis::new(1_800_000_000_000)));
        Self { budget, clock }
    }

    async fn ask(
        &self,
        number: u128,
        names: Vec<DeviceName>,
        password: &str,
    ) -> Result<LoginPermit<'_>, Barred> {
        self.budget
            .permit(&*self.clock, job(number), names, &credential(password))
            .await
    }

    async fn try_once(&self, number: u128, password: &str, spent: Spent) {
        let permit = self.ask(number, names(1, 6036), password).await;
        permit.unwrap().settle(spent);
    }

    async fn code(&self, number: u128, password: &str) -> Option<ErrorCode> {
        let permit = self.ask(number, names(1, 6036), password).await;
        match permit {
            Ok(permit) => {
                permit.settle(Spent::Nothing);
                None
            }
            Err(barred) => Some(Failure::from(barred).code),
        }
    }
}

#[tokio::test]
async fn a_refused_credential_is_spent_on_the_device_in_the_job() {
    let bench = Bench::new(AttemptBudget::default());
    bench.try_once(1, "x", Spent::OneTry).await;
    for same in [names(1, 6036), names(1, 9008), names(2, 6036)] {
        let barred = bench.ask(1, same, "x").await.unwrap_err();
        assert_eq!(barred, Barred::InJob);
    }
    for (number, names, password) in [
        (1, names(2, 9008), "x"),
        (1, names(1, 6036), "y"),
        (2, names(1, 6036), "x"),
    ] {
        let permit = bench.ask(number, names, password).await;
        permit.unwrap().settle(Spent::Nothing);
    }
    bench.budget.forget(job(1));
    assert_eq!(bench.code(1, "x").await, None);
}

#[tokio::test]
async fn two_refusals_a_day_are_the_most_over_all_jobs() {
    let bench = Bench::new(AttemptBudget::default());
    bench.try_once(1, "x", Spent::OneTry).await;
    bench.clock.advance(Duration::from_secs(3600));
    bench.try_once(2, "x", Spent::OneTry).await;
    bench.budget.forget(job(1));
    bench.budget.forget(job(2));
    let barred = bench.ask(3, names(1, 9008), "x").await.unwrap_err();
    let failure = Failure::from(barred);
    assert_eq!(failure.code, ErrorCode::AttemptsSpent);
    assert!(
        failure.text.contains("before 2027-01-16T08:00:00"),
        "{}",
        failure.text
    );
    assert_eq!(
        bench.code(3, "changed").await,
        None,
        "another password is another credential"
    );
    bench.clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(
        bench.code(4, "x").await,
        None,
        "one of the two is a day old"
    );
}

#[tokio::test]
async fn a_locked_account_is_left_alone_until_its_time() {
    let bench = Bench::new(AttemptBudget::default());
    let locked = |retry_after| Spent::Locked { retry_after };
    bench.try_once(1, "x", locked(None)).await;
    for password in ["x", "changed"] {
        let code = bench.code(2, password).await;
        assert_eq!(code, Some(ErrorCode::AccountLocked), "{password}");
    }
    bench.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(bench.code(2, "x").await, None);
    let minute = locked(Some(Duration::from_secs(60)));
    bench.try_once(3, "y", minute).await;
    let failure = Failure::from(bench.ask(4, names(1, 6036), "y").await.unwrap_err());
    assert!(
        failure.text.contains("before 2027-01-15T08:31:00"),
        "{}",
        failure.text
    );
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.code(4, "y").await, None);
}

#[tokio::test]
async fn an_accepted_login_costs_nothing_and_a_dropped_one_counts() {
    let bench = Bench::new(AttemptBudget::default());
    bench.try_once(1, "x", Spent::Accepted).await;
    drop(bench.ask(1, names(1, 6036), "x").await.unwrap());
    assert_eq!(bench.code(1, "x").await, Some(ErrorCode::AttemptsSpent));
    bench.try_once(2, "x", Spent::Accepted).await;
    bench.try_once(3, "x", Spent::OneTry).await;
    assert_eq!(
        bench.code(4, "x").await,
        None,
        "the acceptance wiped the first one"
    );
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_an_operator_may() {
    let folder = tempfile::tempdir().unwrap();
    let open = || AttemptBudget::open(folder.path()).unwrap();
    let bench = Bench::new(open());
    bench.try_once(1, "x", Spent::OneTry).await;
    let bench = Bench::new(open());
    bench.try_once(2, "x", Spent::OneTry).await;
    let bench = Bench::new(open());
    assert_eq!(bench.code(3, "x").await, Some(ErrorCode::AttemptsSpent));
    assert_eq!(bench.code(3, "y").await, None);
    // Two names of one device, two refusals.
    assert_eq!(drop_memory(folder.path()).unwrap(), 4);
    assert_eq!(drop_memory(folder.path()).unwrap(), 0);
    let bench = Bench::new(open());
    assert_eq!(bench.code(3, "x").await, None);
}

#[tokio::test]
async fn a_refusal_from_before_a_restart_bars_every_credential() {
    let bench = Bench::new(AttemptBudget::default());
    bench.budget.restore(job(1), names(1, 1));
    let barred = bench.ask(1, names(1, 2), "any").await.unwrap_err();
    assert_eq!(barred, Barred::InJob);
    assert!(bench.ask(1, names(2, 2), "any").await.is_ok());
}

#[tokio::test]
async fn two_logins_to_one_device_follow_each_other() {
    let bench = Bench::new(AttemptBudget::default());
    let first = bench.ask(1, names(1, 1), "x").await.unwrap();
    let second = bench.ask(2, names(1, 2), "x");
    let mut second = std::pin::pin!(second);
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    first.settle(Spent::Nothing);
    assert!(second.await.is_ok());
}
