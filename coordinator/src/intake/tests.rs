//! Reading messages of the stream.

use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{Lane, OutBatch, SiteEvent};
use uuid::Uuid;

use super::*;

fn batch(items: usize) -> OutBatch {
    let job = JobId::new(Uuid::from_u128(7));
    OutBatch {
        site: "acme/depot".parse().unwrap(),
        epoch: Epoch::new(Uuid::from_u128(1)),
        sequence: Sequence(4),
        items: vec![
            OutItem::Event(SiteEvent::Accepted {
                job,
                at: UtcMillis::new(0)
            });
            items
        ],
    }
}

fn message(subject: &str, body: Vec<u8>, error: MessageError) -> OutMessage {
    OutMessage {
        stream_sequence: 9,
        subject: subject.to_owned(),
        context: RemoteContext::default(),
        batch: Err(error),
        raw: body.into(),
        signature: Vec::new(),
    }
}

fn bad_field() -> MessageError {
    MessageError::Field(BadField::new("item", "missing"))
}

#[test]
fn one_bad_item_does_not_take_the_others_with_it() {
    let subject = subject::out(&batch(0).site, Lane::Events);
    let mut wire = v1::OutBatch::from(batch(2));
    wire.items.insert(1, v1::OutItem { item: None });
    let read = incoming(message(&subject, envelope::seal(&wire), bad_field()));
    assert_eq!(read.position, 9);
    let read = read.content.unwrap();
    assert_eq!((read.sequence, read.items.len()), (Sequence(4), 3));
    let good: Vec<_> = read.items.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true]);
    let error = read.items[1].as_ref().unwrap_err();
    assert_eq!(error.code, ErrorCode::MessageInvalid);
    assert!(error.reason.contains("item"), "{}", error.reason);
}

#[test]
fn a_bad_outer_form_is_set_aside_whole() {
    let subject = subject::out(&batch(0).site, Lane::Events);
    let version = v1::OutBatch {
        version: 9,
        ..v1::OutBatch::from(batch(1))
    };
    let other = subject::out(&"acme/other".parse().unwrap(), Lane::Events);
    let zero = v1::OutBatch {
        sequence: 0,
        ..v1::OutBatch::from(batch(1))
    };
    for (subject, body) in [
        (subject.as_str(), envelope::seal(&version)),
        (subject.as_str(), envelope::seal(&zero)),
        (subject.as_str(), vec![1, 2, 3]),
        (
            other.as_str(),
            envelope::seal(&v1::OutBatch::from(batch(1))),
        ),
        (
            "something.else",
            envelope::seal(&v1::OutBatch::from(batch(1))),
        ),
    ] {
        let read = incoming(message(subject, body.clone(), bad_field()));
        let error = read.content.unwrap_err();
        assert_eq!(
            (error.code, error.body),
            (ErrorCode::MessageInvalid, body),
            "{subject}"
        );
    }
}

#[test]
fn only_what_a_message_says_condemns_it() {
    let code = |code| {
        DbError::Sql(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(code),
            None,
        ))
    };
    assert!(is_about_the_message(&DbError::damaged("entry", "x")));
    assert!(is_about_the_message(&code(
        rusqlite::ffi::SQLITE_CONSTRAINT
    )));
    for passing in [
        rusqlite::ffi::SQLITE_FULL,
        rusqlite::ffi::SQLITE_IOERR,
        rusqlite::ffi::SQLITE_BUSY,
    ] {
        assert!(!is_about_the_message(&code(passing)), "{passing}");
    }
}

#[test]
fn causes_are_named() {
    let source = DbError::damaged("entry", "no host");
    let error = StoreError::Failed {
        step: "store results",
        source,
    };
    assert_eq!(
        chain(&error),
        "cannot store results: stored entry is damaged: no host"
    );
}

#[test]
fn only_the_agent_that_counts_speaks_for_a_site_that_has_one() {
    use tvtfleet_bus::trust::{KeyPair, prove_batch};

    let site: SiteId = "acme/depot".parse().unwrap();
    let (agent, other) = (KeyPair::new_user(), KeyPair::new_user());
    let key = AgentKey {
        site: site.clone(),
        user_key: agent.public_key(),
        curve_key: String::new(),
        hostname: String::new(),
        enrolled_at: UtcMillis::new(0),
        pending: false,
        rotation: 0,
    };
    let signers = BTreeMap::from([(site.clone(), vec![key])]);
    let subject = subject::out(&site, Lane::Events);
    let by = |key: Option<&KeyPair>| {
        let plain = message(&subject, b"body".to_vec(), bad_field());
        let signature = key.map(|key| prove_batch(key, &site, b"body").unwrap());
        let read = OutMessage {
            signature: signature.unwrap_or_default(),
            ..plain
        };
        let checked = signed(&signers, &read);
        checked.map_err(|refusal| refusal.content.unwrap_err().code)
    };
    assert_eq!(by(Some(&agent)), Ok(()));
    assert_eq!(by(Some(&other)), Err(ErrorCode::ReportUnsigned));
    assert_eq!(by(None), Err(ErrorCode::ReportUnsigned));
    // A site that never joined goes on as it did.
    let open = subject::out(&"acme/open".parse().unwrap(), Lane::Events);
    let plain = message(&open, b"body".to_vec(), bad_field());
    assert!(signed(&signers, &plain).is_ok());
}
