//! Signatures of webhooks, as a receiver checks them: with the specification's own library.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use standardwebhooks::Webhook;
use turnbuckle::fuzzing;

use crate::lines::Lines;

/// Lines: secrets; id; seconds since 1970; the rest is the body.
pub fn check(input: &[u8]) {
    let mut lines = Lines::of(input);
    let (secrets, id, seconds) = (lines.line(), lines.line(), lines.line());
    let body = lines.rest();
    let secrets: Vec<&str> = secrets.split(' ').take(3).collect();
    let Some(at) = seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()) else { return };
    let signed = fuzzing::signatures(&secrets, &id, at, body);
    let receivers: Option<Vec<_>> = secrets.iter().map(|secret| Webhook::new(secret).ok()).collect();
    assert_eq!(signed.is_some(), receivers.is_some(), "both or none can read the secrets {secrets:?}");
    let (Some(signed), Some(receivers)) = (signed, receivers) else { return };
    assert!(signed.is_ascii() && !signed.contains(|c: char| c.is_ascii_control()), "{signed} is no header");
    let signatures: Vec<&str> = signed.split(' ').collect();
    assert_eq!(signatures.len(), secrets.len());
    for signature in &signatures {
        let bytes = signature.strip_prefix("v1,").map(|text| STANDARD.decode(text));
        assert!(matches!(bytes, Some(Ok(bytes)) if bytes.len() == 32), "{signature}");
    }
    // That library signs text alone.
    if std::str::from_utf8(body).is_err() {
        return;
    }
    for (receiver, signature) in receivers.iter().zip(&signatures) {
        let sign = |id: &str, at: i64, body: &[u8]| receiver.sign(id, at, body).expect("this text can be signed");
        assert_eq!(sign(&id, at.as_second(), body), *signature);
        let mut longer = body.to_vec();
        longer.push(b' ');
        for other in [
            sign(&id, at.as_second() + 1, body),
            sign(&format!("{id}x"), at.as_second(), body),
            sign(&id, at.as_second(), &longer),
        ] {
            assert_ne!(other, *signature, "another message has the same signature");
        }
    }
}
