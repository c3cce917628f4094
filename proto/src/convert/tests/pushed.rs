//! Samples of credentials that operators push.

use std::collections::BTreeMap;

use prost::Message;

use super::samples;
use crate::error::ErrorCode;
use crate::model::api::Page;
use crate::model::push::{
    CredentialAnswer, CredentialView, ListCredentials, ListSealingKeys, PushCredentials, PushState,
    SealingKey,
};
use crate::model::want::{OutBatch, OutItem, WantDoc};
use crate::wire::v1;

pub(super) fn answer(refused: Option<ErrorCode>) -> CredentialAnswer {
    CredentialAnswer {
        push: uuid::Uuid::from_u128(11),
        at: samples::at(3),
        refused,
    }
}

pub(super) fn batch() -> OutBatch {
    let refused = answer(Some(ErrorCode::PushReplayed));
    OutBatch {
        items: vec![
            OutItem::Credential(answer(None)),
            OutItem::Credential(refused),
        ],
        ..samples::batch()
    }
}

pub(super) fn want() -> WantDoc {
    WantDoc {
        credentials: vec![samples::signed()],
        ..samples::want()
    }
}

pub(super) fn push() -> PushCredentials {
    PushCredentials {
        pushes: vec![(samples::site(), samples::signed())],
    }
}

pub(super) fn list() -> ListCredentials {
    ListCredentials {
        tenants: vec![samples::site().tenant],
        sites: vec![samples::site()],
        label: Some("night".parse().unwrap()),
        cursor: "7".into(),
        limit: 5,
    }
}

pub(super) fn list_keys() -> ListSealingKeys {
    ListSealingKeys {
        tenants: vec![samples::site().tenant],
        sites: vec![samples::site()],
        cursor: "7".into(),
        limit: 5,
    }
}

pub(super) fn page() -> Page<CredentialView> {
    let row = CredentialView {
        push: uuid::Uuid::from_u128(11),
        site: samples::site(),
        label: "night".parse().unwrap(),
        version: 1_795_000_000_000,
        state: PushState::Refused,
        reason: Some(ErrorCode::PushReplayed),
        pushed_by: "anna".into(),
        pushed_at: samples::at(1),
        not_after: samples::at(9),
        answered_at: Some(samples::at(3)),
        reader: "XKEY".into(),
    };
    Page {
        rows: vec![row],
        next: Some("8".into()),
    }
}

pub(super) fn keys() -> Page<SealingKey> {
    let row = SealingKey {
        site: samples::site(),
        curve_key: "XKEY".into(),
        user_key: "UKEY".into(),
        hostname: "box".into(),
        enrolled_at: samples::at(1),
    };
    Page {
        rows: vec![row],
        next: None,
    }
}

pub(super) fn additions() -> BTreeMap<&'static str, Vec<u8>> {
    BTreeMap::from([
        (
            "OutBatchCredential",
            v1::OutBatch::from(batch()).encode_to_vec(),
        ),
        (
            "WantDocCredential",
            v1::WantDoc::from(want()).encode_to_vec(),
        ),
        (
            "PushCredentials",
            v1::PushCredentials::from(push()).encode_to_vec(),
        ),
        (
            "ListCredentials",
            v1::ListCredentials::from(list()).encode_to_vec(),
        ),
        (
            "CredentialPage",
            v1::CredentialPage::from(page()).encode_to_vec(),
        ),
        (
            "ListSealingKeys",
            v1::ListSealingKeys::from(list_keys()).encode_to_vec(),
        ),
        (
            "SealingKeyPage",
            v1::SealingKeyPage::from(keys()).encode_to_vec(),
        ),
    ])
}
