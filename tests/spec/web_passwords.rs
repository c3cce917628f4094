//! Changes of a recorder's own password: at every break one of two passwords is right.

use std::collections::BTreeMap;

use tvt_agent::KeyLogin;
use tvt_sim::{Mutation, PagesLogin, Password, WebSpec, WriteFault};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::DeviceChange;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::order::Order;

use crate::web_asks::Bench;
use crate::web_changes::{
    Circumstances, NEW, OLD, bench, change, everything, one, outcomes, site_where,
};

fn password() -> Order {
    Order {
        new_credential: Some("next".parse().unwrap()),
        ..Order::default()
    }
}

fn with_password(fault: Option<WriteFault>) -> Bench {
    bench(WebSpec {
        passwords: vec![Password::new(NEW)],
        write_fault: fault,
        ..WebSpec::default()
    })
}

#[tokio::test]
async fn a_new_password_works_everywhere_and_the_old_one_nowhere() {
    let bench = with_password(None);
    let dry = Order {
        dry_run: true,
        ..password()
    };
    let report = one(&bench, Ask::SetPassword, dry).await;
    assert_eq!(outcomes(&report), [("admin", "next", "would_change")]);
    let report = one(&bench, Ask::SetPassword, password()).await;
    assert_eq!(report.failure, None);
    assert_eq!(outcomes(&report), [("admin", "next", "changed")]);
    assert_eq!(
        bench.device.web_writes(),
        ["editUserPassword"],
        "no camera's password is written"
    );
    assert_eq!(bench.device.spec().password.reveal(), NEW);
    let counters = bench.device.counters();
    assert_eq!(
        (counters.logins_failed, counters.sessions_open),
        (1, 0),
        "the old one was tried once"
    );
}

#[tokio::test]
async fn a_password_goes_under_the_key_of_the_session_where_there_is_one() {
    for pages in [PagesLogin::Encrypted, PagesLogin::Keyed] {
        let mut bench = bench(WebSpec {
            passwords: vec![Password::new(NEW)],
            pages,
            ..WebSpec::default()
        });
        bench.site = site_where(&bench.device, everything(), |web| {
            web.key_login = KeyLogin::Announced;
        });
        let report = one(&bench, Ask::SetPassword, password()).await;
        assert_eq!(report.failure, None, "{pages:?}");
        assert_eq!(outcomes(&report), [("admin", "next", "changed")]);
        assert_eq!(bench.device.spec().password.reveal(), NEW);
    }
}

#[tokio::test]
async fn at_every_break_one_of_the_two_passwords_is_known_to_be_right() {
    for (fault, outcome, code, right) in [
        (WriteFault::LostAfter, "changed", None, NEW),
        (
            WriteFault::LostBefore,
            "failed",
            Some(ErrorCode::Truncated),
            OLD,
        ),
        (
            WriteFault::Ignored,
            "failed",
            Some(ErrorCode::ChangeUnverified),
            OLD,
        ),
    ] {
        let bench = with_password(Some(fault));
        let report = one(&bench, Ask::SetPassword, password()).await;
        assert_eq!(outcomes(&report)[0].2, outcome, "{fault:?}");
        assert_eq!(
            report.failure.map(|failure| failure.code),
            code,
            "{fault:?}"
        );
        assert_eq!(bench.device.spec().password.reveal(), right, "{fault:?}");
        assert_eq!(bench.device.web_writes().len(), 1);
        assert_eq!(
            bench.device.counters().logins_failed,
            1,
            "one wrong try at most"
        );
    }
    // A restart after the intent: the recorder has it, or not.
    for (done, outcome) in [(true, "changed"), (false, "failed")] {
        let bench = with_password(None);
        if done {
            let password = Password::new(NEW);
            bench
                .device
                .apply(Mutation::SetPassword { password })
                .await
                .unwrap();
        }
        let intended = DeviceChange {
            setting: Some("password".to_owned()),
            ..DeviceChange::default()
        };
        let how = Circumstances {
            settling: BTreeMap::from([(TargetNo(0), vec![intended])]),
            ..Circumstances::default()
        };
        let (reports, _) = change(
            &bench.site,
            &[&bench.device],
            Ask::SetPassword,
            password(),
            how,
        )
        .await;
        assert_eq!(outcomes(&reports[0])[0].2, outcome);
        assert!(
            bench.device.web_writes().is_empty(),
            "nothing is sent again"
        );
        assert_eq!(bench.device.counters().logins_failed, 1);
    }
}
