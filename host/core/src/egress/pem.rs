//! PEM (RFC 7468) as people paste it: with line breaks written as `\n`, turned into spaces or lost.

use zeroize::Zeroizing;

use super::keys::base64;

/// One block.
pub(super) struct Block {
    pub(super) label: String,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// Why a text holds no usable block.
pub(super) const ENCRYPTED: &str = "the key is encrypted: give it without a passphrase";
pub(super) const BROKEN: &str = "it is not whole: PEM from `-----BEGIN` to the last `-----` is expected";

/// All blocks of a text; none where nothing in it begins like one.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, &'static str> {
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, inside) = begun.split_once("-----").ok_or(BROKEN)?;
        let (content, behind) = inside.split_once(&format!("-----END {label}-----")).ok_or(BROKEN)?;
        if label.starts_with("ENCRYPTED") || content.contains("ENCRYPTED") {
            return Err(ENCRYPTED);
        }
        let der = base64(content).ok_or(BROKEN)?;
        blocks.push(Block { label: label.to_owned(), der });
        rest = behind;
    }
    Ok(blocks)
}

/// The private key among the blocks. What else may stand there, such as curve parameters, is passed over.
pub(super) fn private_key(text: &str) -> Result<Option<Block>, &'static str> {
    let blocks = blocks(text)?;
    let some = !blocks.is_empty();
    match blocks.into_iter().find(|block| block.label.ends_with("PRIVATE KEY")) {
        Some(block) if block.label == "OPENSSH PRIVATE KEY" => {
            Err("it is in OpenSSH's own form: convert it with `ssh-keygen -p -m PEM`")
        }
        None if some => Err("it is a public key or a certificate: the private key is expected"),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-----BEGIN PRIVATE KEY-----\nAQID\nBAUG\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_is_read_however_it_was_pasted() {
        for text in [
            TEXT.to_owned(),
            TEXT.replace('\n', "\\n"),
            TEXT.replace('\n', "\\r\\n"),
            TEXT.replace('\n', "\r\n"),
            TEXT.replace('\n', " "),
            TEXT.replace('\n', ""),
            format!("\"{TEXT}\""),
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{TEXT}"),
        ] {
            let block = private_key(&text).unwrap().unwrap();
            assert_eq!(
                (block.label.as_str(), block.der.as_slice()),
                ("PRIVATE KEY", &[1, 2, 3, 4, 5, 6][..]),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_private_key_is_told_apart() {
        let error = |text: &str| private_key(text).err().unwrap();
        assert_eq!(error(&TEXT.replace("PRIVATE", "ENCRYPTED PRIVATE")), ENCRYPTED);
        assert_eq!(error(&TEXT.replace("AQID", "Proc-Type: 4,ENCRYPTED\n\nAQID")), ENCRYPTED);
        assert_eq!(error(&TEXT[..40]), BROKEN);
        assert_eq!(error(&TEXT.replace("AQID", "AQ*D")), BROKEN);
        assert!(error(&TEXT.replace("PRIVATE KEY", "CERTIFICATE")).contains("the private key is expected"));
        assert!(error(&TEXT.replace("PRIVATE", "OPENSSH PRIVATE")).contains("ssh-keygen"));
        assert!(private_key("hunter2").unwrap().is_none());
    }
}
