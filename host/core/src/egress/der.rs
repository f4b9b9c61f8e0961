//! The little of DER (X.690) that turns the forms of a private key into one another.

use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The public key of an `ECPrivateKey` (RFC 5915).
const PUBLIC: u8 = 0xa1;

const RSA: [&[u8]; 2] =
    [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a]];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

type Der = Zeroizing<Vec<u8>>;

/// The PKCS#1 key inside a PKCS#8 one (RFC 5958), where it is RSA.
pub(super) fn rsa_in_pkcs8(der: &[u8]) -> Option<Der> {
    let (SEQUENCE, inside, _) = read(der)? else { return None };
    let (INTEGER, _version, rest) = read(inside)? else { return None };
    let (SEQUENCE, algorithm, rest) = read(rest)? else { return None };
    let (OBJECT, name, _) = read(algorithm)? else { return None };
    let (OCTET_STRING, key, _) = read(rest)? else { return None };
    RSA.contains(&name).then(|| Zeroizing::new(key.to_vec()))
}

/// A PKCS#8 key around the SEC1 one of a P-256 key (RFC 5915).
pub(super) fn p256_in_pkcs8(sec1: &[u8]) -> Der {
    let algorithm = sequence(&[&value(OBJECT, EC), &value(OBJECT, P256)]);
    sequence(&[&integer(&[0]), &algorithm, &value(OCTET_STRING, sec1)])
}

/// The SEC1 form of a P-256 key (RFC 5915 section 3), from its number and, where it is known, its point.
pub(super) fn p256(number: &[u8], point: Option<(&[u8], &[u8])>) -> Der {
    let mut parts = vec![integer(&[1]), value(OCTET_STRING, &wide(number))];
    if let Some((x, y)) = point {
        let bits = Zeroizing::new([&[0, 4], wide(x).as_slice(), wide(y).as_slice()].concat());
        parts.push(value(PUBLIC, &value(BIT_STRING, &bits)));
    }
    sequence(&parts.iter().map(|part| part.as_slice()).collect::<Vec<_>>())
}

/// The PKCS#1 form of an RSA key (RFC 8017 appendix A.1.2), from its eight numbers in that order.
pub(super) fn rsa(numbers: &[Der; 8]) -> Der {
    let mut parts = vec![integer(&[0])];
    parts.extend(numbers.iter().map(|number| integer(number)));
    sequence(&parts.iter().map(|part| part.as_slice()).collect::<Vec<_>>())
}

/// A coordinate takes the whole width of the curve, whatever its leading zeros.
fn wide(number: &[u8]) -> Der {
    let mut wide = Zeroizing::new(vec![0; 32_usize.saturating_sub(number.len())]);
    wide.extend_from_slice(number);
    wide
}

fn integer(bytes: &[u8]) -> Der {
    let significant = &bytes[bytes.iter().take_while(|&&byte| byte == 0).count().min(bytes.len().saturating_sub(1))..];
    match significant.first() {
        Some(0x80..) => value(INTEGER, &Zeroizing::new([&[0], significant].concat())),
        _ => value(INTEGER, significant),
    }
}

fn sequence(parts: &[&[u8]]) -> Der {
    value(SEQUENCE, &Zeroizing::new(parts.concat()))
}

fn value(tag: u8, content: &[u8]) -> Der {
    let mut der = Zeroizing::new(Vec::with_capacity(content.len() + 6));
    der.push(tag);
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|&&byte| byte == 0).count()..];
    match *significant {
        [] => der.push(0),
        [short @ ..=0x7f] => der.push(short),
        _ => {
            der.push(0x80 | u8::try_from(significant.len()).expect("a length has eight bytes at most"));
            der.extend_from_slice(significant);
        }
    }
    der.extend_from_slice(content);
    der
}

/// Tag, content, and what comes behind.
fn read(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0_usize, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(content in prop::collection::vec(any::<u8>(), 0..70_000), behind in any::<[u8; 3]>()) {
            let mut der = value(OCTET_STRING, &content).to_vec();
            der.extend_from_slice(&behind);
            prop_assert_eq!(read(&der), Some((OCTET_STRING, &content[..], &behind[..])));
        }

        #[test]
        fn nothing_that_is_read_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(rsa_in_pkcs8(&bytes).is_none());
        }
    }

    #[test]
    fn numbers_have_no_sign_and_no_needless_zeros() {
        for (bytes, der) in [
            (&[0][..], &[2, 1, 0][..]),
            (&[0, 0, 1], &[2, 1, 1]),
            (&[0x80], &[2, 2, 0, 0x80]),
            (&[0, 0x7f, 0], &[2, 2, 0x7f, 0]),
        ] {
            assert_eq!(integer(bytes).as_slice(), der, "{bytes:?}");
        }
    }
}
