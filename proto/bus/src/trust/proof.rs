//! What an agent signs with its user key, to prove that it has it.

use nkeys::{KeyPair, KeyPairType};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::time::UtcMillis;

use super::signed::SignedDocument;
use super::token::TrustError;

/// The proof of a newcomer: this key joins with this ticket and is reached under this sealing key.
///
/// # Errors
///
/// `trust.invalid`.
pub fn prove_join(
    user: &KeyPair,
    ticket: &SignedDocument,
    curve_key: &str,
) -> Result<Vec<u8>, TrustError> {
    user.sign(&join_text(ticket, curve_key))
        .map_err(TrustError::key("the user's key"))
}

/// Checks the proof of a newcomer.
///
/// # Errors
///
/// `trust.refused`, `trust.invalid`.
pub fn check_join(
    user_key: &str,
    ticket: &SignedDocument,
    curve_key: &str,
    proof: &[u8],
) -> Result<(), TrustError> {
    check(user_key, &join_text(ticket, curve_key), proof)
}

/// The proof of an agent that is known: this key still speaks for the site.
///
/// # Errors
///
/// `trust.invalid`.
pub fn prove_attest(
    user: &KeyPair,
    site: &SiteId,
    asked_at: UtcMillis,
) -> Result<Vec<u8>, TrustError> {
    user.sign(&attest_text(site, asked_at))
        .map_err(TrustError::key("the user's key"))
}

/// Checks the proof of an agent that is known.
///
/// # Errors
///
/// `trust.refused`, `trust.invalid`.
pub fn check_attest(
    user_key: &str,
    site: &SiteId,
    asked_at: UtcMillis,
    proof: &[u8],
) -> Result<(), TrustError> {
    check(user_key, &attest_text(site, asked_at), proof)
}

/// The proof of an agent that changes its keys: made by its old user key and by its new one.
///
/// # Errors
///
/// `trust.invalid`.
pub fn prove_rotate(
    user: &KeyPair,
    site: &SiteId,
    asked_at: UtcMillis,
    new: (&str, &str),
) -> Result<Vec<u8>, TrustError> {
    user.sign(&rotate_text(site, asked_at, new))
        .map_err(TrustError::key("the user's key"))
}

/// Checks one of the proofs of an agent that changes its keys. `new` are its new user key and its new
/// sealing key.
///
/// # Errors
///
/// `trust.refused`, `trust.invalid`.
pub fn check_rotate(
    user_key: &str,
    site: &SiteId,
    asked_at: UtcMillis,
    new: (&str, &str),
    proof: &[u8],
) -> Result<(), TrustError> {
    check(user_key, &rotate_text(site, asked_at, new), proof)
}

/// The proof of a batch of results: the agent with this key sealed just these bytes for its site.
///
/// # Errors
///
/// `trust.invalid`.
pub fn prove_batch(user: &KeyPair, site: &SiteId, sealed: &[u8]) -> Result<Vec<u8>, TrustError> {
    user.sign(&batch_text(site, sealed))
        .map_err(TrustError::key("the user's key"))
}

/// Checks the proof of a batch of results.
///
/// # Errors
///
/// `trust.refused`, `trust.invalid`.
pub fn check_batch(
    user_key: &str,
    site: &SiteId,
    sealed: &[u8],
    proof: &[u8],
) -> Result<(), TrustError> {
    check(user_key, &batch_text(site, sealed), proof)
}

fn batch_text(site: &SiteId, sealed: &[u8]) -> Vec<u8> {
    let head = format!("tvtfleet batch v1\n{site}\n");
    [head.as_bytes(), sealed].concat()
}

fn join_text(ticket: &SignedDocument, curve_key: &str) -> Vec<u8> {
    [
        b"tvtfleet join v1\n",
        curve_key.as_bytes(),
        b"\n",
        ticket.signature(),
    ]
    .concat()
}

fn attest_text(site: &SiteId, asked_at: UtcMillis) -> Vec<u8> {
    format!("tvtfleet attest v1\n{site}\n{}", asked_at.millis()).into_bytes()
}

fn rotate_text(site: &SiteId, asked_at: UtcMillis, (user, curve): (&str, &str)) -> Vec<u8> {
    let at = asked_at.millis();
    format!("tvtfleet rotate v1\n{site}\n{at}\n{user}\n{curve}").into_bytes()
}

fn check(user_key: &str, text: &[u8], proof: &[u8]) -> Result<(), TrustError> {
    const WHAT: &str = "the proof";
    let key = KeyPair::from_public_key(user_key).map_err(TrustError::key("the user's key"))?;
    if key.key_pair_type() != KeyPairType::User {
        return Err(TrustError::Signature { what: WHAT });
    }
    key.verify(text, proof)
        .map_err(|_| TrustError::Signature { what: WHAT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_of_one_key_and_one_site_and_unchanged() {
        let (user, other) = (KeyPair::new_user(), KeyPair::new_user());
        let site: SiteId = "acme/depot".parse().unwrap();
        let proof = prove_batch(&user, &site, b"sealed").unwrap();
        let check = |key: &KeyPair, site: &str, body| {
            let site = site.parse().unwrap();
            check_batch(&key.public_key(), &site, body, &proof).is_ok()
        };
        assert!(check(&user, "acme/depot", b"sealed"));
        assert!(!check(&other, "acme/depot", b"sealed"));
        assert!(!check(&user, "acme/other", b"sealed"));
        assert!(!check(&user, "acme/depot", b"Sealed"));
        assert!(check_batch(&user.public_key(), &site, b"sealed", &[]).is_err());
    }

    #[test]
    fn new_keys_are_proved_for_one_site_one_moment_and_both_keys() {
        let (old, new) = (KeyPair::new_user(), KeyPair::new_user());
        let (site, at) = ("acme/depot".parse().unwrap(), UtcMillis::new(5));
        let keys = ("UNEW", "XNEW");
        let proof = prove_rotate(&old, &site, at, keys).unwrap();
        let check = |key: &KeyPair, site: &str, at, keys| {
            let site = site.parse().unwrap();
            check_rotate(&key.public_key(), &site, UtcMillis::new(at), keys, &proof).is_ok()
        };
        assert!(check(&old, "acme/depot", 5, keys));
        assert!(!check(&new, "acme/depot", 5, keys));
        assert!(!check(&old, "acme/other", 5, keys));
        assert!(!check(&old, "acme/depot", 6, keys));
        assert!(!check(&old, "acme/depot", 5, ("UNEW", "XOTHER")));
        assert!(!check(&old, "acme/depot", 5, ("UOTHER", "XNEW")));
    }

    #[test]
    fn a_proof_is_for_one_key_one_site_and_one_moment() {
        let (user, other) = (KeyPair::new_user(), KeyPair::new_user());
        let (site, at) = ("acme/depot".parse().unwrap(), UtcMillis::new(5));
        let proof = prove_attest(&user, &site, at).unwrap();
        let key = user.public_key();
        check_attest(&key, &site, at, &proof).unwrap();
        assert!(check_attest(&other.public_key(), &site, at, &proof).is_err());
        assert!(check_attest(&key, &"acme/other".parse().unwrap(), at, &proof).is_err());
        assert!(check_attest(&key, &site, UtcMillis::new(6), &proof).is_err());
        assert!(check_attest(&key, &site, at, &[]).is_err());
        let account = KeyPair::new_account();
        let foreign = prove_attest(&account, &site, at).unwrap();
        assert!(
            check_attest(&account.public_key(), &site, at, &foreign).is_err(),
            "no user"
        );
    }
}
