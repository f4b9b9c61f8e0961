//! Looks for a secret in every file of a folder.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::exit::Error;
use crate::show::{count, size};

/// Says how much was looked through, or in which file it is.
pub(super) fn nowhere(folder: &Path, secret: &[u8]) -> Result<Vec<String>, Error> {
    let forms = [secret.to_vec(), BASE64_STANDARD.encode(secret).into_bytes(), hex::encode(secret).into_bytes()];
    let (mut files, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = fs::read(&path)?;
            if forms.iter().any(|form| content.windows(form.len()).any(|window| window == form.as_slice())) {
                return Err(Error::Unexpected(anyhow::anyhow!("the token stands in {}", path.display())));
            }
            files += 1;
            bytes += content.len() as u64;
        }
    }
    Ok(vec![format!("in none of {} ({}), as text, base64 or hexadecimal", count(files, "file"), size(bytes))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        let file = folder.path().join("deep/file");
        fs::write(&file, "nothing here").unwrap();
        assert_eq!(
            nowhere(folder.path(), b"hunter2").unwrap(),
            ["in none of 1 file (12 bytes), as text, base64 or hexadecimal"]
        );
        for form in ["hunter2", "aHVudGVyMg==", "68756e74657232"] {
            fs::write(&file, format!("before {form} after")).unwrap();
            let error = nowhere(folder.path(), b"hunter2").unwrap_err();
            assert_eq!(error.to_string(), format!("the token stands in {}", file.display()));
        }
    }
}
