//! The keys of sessions of the pages: wrapped under the password or for a public key, and what
//! clients encrypt under them. Of another origin than the product's: the arithmetic of RSA is by hand.

use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes256, Block};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use num_bigint::BigUint;

use super::digest::hex;

/// The key of a session, of 32 characters.
pub(super) fn session_key(seed: &str) -> String {
    hex(&Md5::digest(format!("key {seed}")))
}

/// A key under the digits of the password.
pub(super) fn under_password(key: &str, password: &str) -> String {
    let digits = hex(&Md5::digest(password)).to_uppercase();
    let cipher = cipher(&digits);
    let mut bytes = key.as_bytes().to_vec();
    bytes.resize(bytes.len().div_ceil(16) * 16, 0);
    for chunk in bytes.chunks_exact_mut(16) {
        let mut block = block(chunk);
        cipher.encrypt_block(&mut block);
        chunk.copy_from_slice(&block);
    }
    STANDARD.encode(bytes)
}

/// What a client encrypted under a session's key.
pub(super) fn opened(text: &str, key: &str) -> Option<String> {
    let mut bytes = STANDARD.decode(text).ok()?;
    let cipher = cipher(key);
    for chunk in bytes.chunks_exact_mut(16) {
        let mut block = block(chunk);
        cipher.decrypt_block(&mut block);
        chunk.copy_from_slice(&block);
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(text.trim_end_matches('\0').to_owned())
}

/// A key for the holder of a public key: PKCS #1 v1.5, type 2.
pub(super) fn for_public_key(key: &str, pem: &str) -> Option<String> {
    let (modulus, exponent) = public_numbers(pem)?;
    let size = modulus.to_bytes_be().len();
    let padding = size.checked_sub(key.len() + 3).filter(|one| *one >= 8)?;
    let mut message = vec![0, 2];
    message.extend(std::iter::repeat_n(0xA5, padding));
    message.push(0);
    message.extend_from_slice(key.as_bytes());
    let wrapped = BigUint::from_bytes_be(&message).modpow(&exponent, &modulus);
    let mut bytes = wrapped.to_bytes_be();
    let missing = size.saturating_sub(bytes.len());
    bytes.splice(0..0, std::iter::repeat_n(0, missing));
    Some(STANDARD.encode(bytes))
}

/// The modulus and the exponent out of a SubjectPublicKeyInfo: the two last integers in it.
fn public_numbers(pem: &str) -> Option<(BigUint, BigUint)> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let der = STANDARD.decode(lines.collect::<String>()).ok()?;
    let (0x30, whole, _) = element(&der)? else {
        return None;
    };
    let (_, _, rest) = element(whole)?;
    let (0x03, bits, _) = element(rest)? else {
        return None;
    };
    // The first byte of a bit string says how many bits are unused.
    let (0x30, numbers, _) = element(bits.get(1..)?)? else {
        return None;
    };
    let (0x02, modulus, rest) = element(numbers)? else {
        return None;
    };
    let (0x02, exponent, _) = element(rest)? else {
        return None;
    };
    let number = BigUint::from_bytes_be;
    Some((number(modulus), number(exponent)))
}

/// The first element of DER: its tag, its content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, short) = (*bytes.first()?, usize::from(*bytes.get(1)?));
    let (start, length) = if short < 0x80 {
        (2, short)
    } else {
        let count = short & 0x7F;
        let digits = bytes.get(2..2 + count).filter(|_| count <= 4)?;
        let value = digits
            .iter()
            .fold(0, |value, byte| value << 8 | usize::from(*byte));
        (2 + count, value)
    };
    let end = start.checked_add(length)?;
    Some((tag, bytes.get(start..end)?, bytes.get(end..)?))
}

fn cipher(key: &str) -> Aes256 {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(key.bytes()) {
        *to = from;
    }
    Aes256::new(&bytes.into())
}

fn block(chunk: &[u8]) -> Block {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(chunk);
    bytes.into()
}
