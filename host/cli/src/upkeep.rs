//! Keeping a data directory: copy it, put it back, renew its master key.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use turnbuckle::Rotation;

use crate::Session;
use crate::args::Restore;
use crate::client::Document;
use crate::exit::Error;
use crate::show::upkeep as show;

/// The store, as the host names it.
const STORE: &str = "turnbuckle.redb";
/// What the operator set.
const CONFIGURATION: &str = "turnbuckle.toml";
/// The master key that the host makes for itself.
const KEY: &str = "master.key";

pub(crate) async fn backup(file: &Path, session: &Session) -> Result<(), Error> {
    // A server has a working directory of its own.
    let to = std::path::absolute(file).map_err(anyhow::Error::from)?;
    let client = session.client().await?;
    client.post(&["host", "backup"]).json(&json!({"path": to.display().to_string()})).done().await?;
    if session.output.is_json() {
        session.output.json(&json!({"path": to.display().to_string()}))?;
    } else {
        session.output.done(&format!("Store and connectors are copied to {}.", to.display()))?;
    }
    session.output.hint("keep the master key apart from it: without the key its secrets can't be read");
    Ok(())
}

pub(crate) async fn rotate_key(session: &Session) -> Result<(), Error> {
    let client = session.client().await?;
    let document: Document<Rotation> = client.post(&["host", "rotate-key"]).answer().await?;
    session.output.document(&document, show::rotated)
}

pub(crate) async fn restore(restore: &Restore, session: &Session) -> Result<(), Error> {
    if session.global.server.is_some() {
        return Err(Error::input_hint(
            "a backup is put back on the machine of the data directory",
            "run this there, without --server, while no server runs",
        ));
    }
    let data = &session.place.data;
    if let Some(server) = session.place.server().await? {
        return Err(Error::Refused {
            message: format!("a server has {} open, at {}", data.display(), server.url),
            hint: Some("stop it first".into()),
        });
    }
    put_back(restore, data)?;
    // Opening it proves that the file is a store, and that the key is there.
    let opened = session.place.open().await.map(|_host| ());
    if opened.is_err() {
        session.output.hint("the backup is in place; what it lacks is said below");
    }
    opened?;
    session.output.done(&format!("{} is restored from {}.", data.display(), restore.file.display()))
}

fn put_back(restore: &Restore, data: &Path) -> Result<(), Error> {
    let readable = fs::metadata(&restore.file).is_ok_and(|file| file.is_file());
    if !readable {
        return Err(Error::NotFound { message: format!("there is no backup {}", restore.file.display()), hint: None });
    }
    let filled = match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::Unexpected(error.into())),
    };
    if filled && !restore.force {
        return Err(Error::Refused {
            message: format!("the data directory {} is not empty", data.display()),
            hint: Some("name an empty one with --data, or keep what is there as .bak with --force".into()),
        });
    }
    let kept = if filled { Some(set_aside(data)?) } else { None };
    fs::create_dir_all(data)?;
    private(data)?;
    // First under another name: a restore that is cut short leaves nothing that opens.
    let partial = data.join("restoring");
    fs::copy(&restore.file, &partial)?;
    fs::File::open(&partial)?.sync_all()?;
    fs::rename(&partial, data.join(STORE))?;
    let old = |name| kept.as_ref().map(|kept| kept.join(name)).filter(|file| file.is_file());
    // What the operator set stays set.
    if let Some(configuration) = old(CONFIGURATION) {
        fs::copy(configuration, data.join(CONFIGURATION))?;
    }
    let key = restore.key.clone().or_else(|| old(KEY));
    if let Some(key) = key {
        copy_key(&key, &data.join(KEY))?;
    }
    Ok(())
}

/// The key is never readable by others, not even while it is copied.
fn copy_key(from: &Path, to: &Path) -> Result<(), Error> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let key = fs::read(from)
        .map_err(|error| Error::input(format!("the master key {} can't be read: {error}", from.display())))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(())
}

/// Moves the whole directory to the first free name beside it.
fn set_aside(data: &Path) -> Result<PathBuf, Error> {
    let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let free = (0..)
        .map(|number| match number {
            0 => data.with_file_name(format!("{name}.bak")),
            _ => data.with_file_name(format!("{name}.bak{number}")),
        })
        .find(|path| !path.exists())
        .expect("some number is free");
    fs::rename(data, &free)?;
    Ok(free)
}

fn private(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restore_of(file: PathBuf, force: bool) -> Restore {
        Restore { file, key: None, force }
    }

    #[test]
    fn a_full_directory_is_refused_and_with_force_kept_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (backup, data) = (folder.path().join("backup"), folder.path().join("data"));
        fs::write(&backup, "new").unwrap();
        fs::create_dir(&data).unwrap();
        fs::write(data.join(STORE), "old").unwrap();
        fs::write(data.join(KEY), "key").unwrap();
        fs::write(data.join(CONFIGURATION), "hosts = []").unwrap();

        let refused = put_back(&restore_of(backup.clone(), false), &data).unwrap_err();
        assert_eq!(refused.exit().code(), 5);
        assert_eq!(fs::read_to_string(data.join(STORE)).unwrap(), "old");

        put_back(&restore_of(backup, true), &data).unwrap();
        assert_eq!(fs::read_to_string(data.join(STORE)).unwrap(), "new");
        assert_eq!(fs::read_to_string(data.join(KEY)).unwrap(), "key");
        assert_eq!(fs::read_to_string(data.join(CONFIGURATION)).unwrap(), "hosts = []");
        assert_eq!(fs::read_to_string(folder.path().join("data.bak").join(STORE)).unwrap(), "old");
    }

    #[test]
    fn a_backup_that_is_not_there_touches_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let error = put_back(&restore_of(folder.path().join("none"), true), &data).unwrap_err();
        assert_eq!(error.exit().code(), 4);
        assert!(!data.exists());
    }
}
