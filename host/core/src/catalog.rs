//! The installed connectors: installed once, judged once, described by what they said then.

mod icon;
mod judge;
#[cfg(fuzzing)]
pub(crate) use judge::judge;
mod upgrade;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use semver::Version;

use crate::model::actor::Actor;
use crate::model::audit::{AuditAction, AuditEvent};
use crate::model::connection::Visibility;
use crate::model::connector::{ConnectorRef, Installed, Surface};
use crate::model::descriptor::Descriptor;
use crate::model::error::{Error, FieldProblem, User};
use crate::model::event::{EventData, Telling};
use crate::model::id::{ConnectorName, Digest};
use crate::model::outside::Outside;
use crate::model::view::{CheckReport, ConnectorFilter, ConnectorKey, ConnectorView, InstallReport};
use crate::runtime::Runtime;
use crate::store::{Reader, Store};

pub(crate) use upgrade::differences;

/// The catalog: records in the store, components beside it, compiled code with the runtime.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    store: Store,
    runtime: Runtime,
    components: PathBuf,
    outside: Outside,
    turns: Turns,
}

/// What is done to the files of one component is done by one at a time.
#[derive(Debug, Clone, Default)]
struct Turns {
    by_digest: Arc<Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>>,
}

impl Turns {
    async fn take(&self, digest: &Digest) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.by_digest.lock().expect("no holder of this lock panics");
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(digest).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(digest.clone(), Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }
}

struct Judged {
    descriptor: Descriptor,
    name: ConnectorName,
    version: Version,
    surface: Surface,
    digest: Digest,
}

impl Catalog {
    pub(crate) fn new(store: Store, runtime: Runtime, components: PathBuf, outside: Outside) -> Self {
        Self { store, runtime, components, outside, turns: Turns::default() }
    }

    /// The same catalog over another handle of its store.
    pub(crate) fn over(&self, store: Store) -> Self {
        Self { store, ..self.clone() }
    }

    /// Puts components where they belong that a backup brought along.
    pub(crate) async fn unpack(&self) -> Result<(), Error> {
        for digest in self.store.read(|reader| reader.components())? {
            let Some(component) = self.store.read(|reader| reader.component(&digest))? else { continue };
            let named = digest.parse::<Digest>().map_err(|error| Error::field("component", error.to_string()))?;
            let path = self.component_path(&named);
            tokio::task::spawn_blocking(move || keep(&path, &component))
                .await
                .map_err(|error| Error::internal("keeping the component")(Box::new(error)))??;
            self.store.write(move |writer| writer.forget_component(&digest).map_err(Error::from)).await?;
        }
        Ok(())
    }

    /// The components of everything that is installed, for a backup.
    pub(crate) fn components(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let installed = self.store.read(|reader| reader.connectors())?;
        let digests: std::collections::BTreeSet<_> =
            installed.iter().map(|each| each.reference.digest.clone()).collect();
        Ok(digests.into_iter().map(|digest| (digest.to_string(), self.component_path(&digest))).collect())
    }

    pub(crate) async fn install(&self, actor: &Actor, component: Bytes) -> Result<InstallReport, Error> {
        let digest = Digest::of(&component);
        let _turn = self.turns.take(&digest).await;
        let installed = self.judge_and_keep(actor, component).await;
        if installed.is_err() {
            self.discard(&digest).await?;
        }
        installed
    }

    async fn judge_and_keep(&self, actor: &Actor, component: Bytes) -> Result<InstallReport, Error> {
        let judged = self.judge(&component).await?;
        let path = self.component_path(&judged.digest);
        let bytes = component.clone();
        tokio::task::spawn_blocking(move || keep(&path, &bytes))
            .await
            .map_err(|error| Error::internal("keeping the component")(Box::new(error)))??;
        let installed = Installed {
            reference: ConnectorRef { name: judged.name, version: judged.version, digest: judged.digest },
            descriptor: judged.descriptor,
            surface: judged.surface,
            size: component.len() as u64,
            enabled: true,
            featured: false,
            installed_at: self.outside.now(),
            installed_by: actor.name().to_owned(),
        };
        self.store
            .write(move |writer| {
                let others = writer.connector_versions(&installed.reference.name)?;
                if let Some(there) = others.iter().find(|other| other.reference.version == installed.reference.version)
                {
                    if there.reference.digest == installed.reference.digest {
                        let asks_for = there.descriptor.origins.clone();
                        return Ok(InstallReport {
                            connector: Installed::clone(there),
                            new: false,
                            asks_for,
                            widened: Vec::new(),
                        });
                    }
                    return Err(taken(there));
                }
                let mut installed = installed;
                // What stands under "Get started" stays there with its next version.
                installed.featured = others.iter().any(|other| other.featured);
                let older = others.iter().filter(|other| other.reference.version < installed.reference.version);
                let widened = older
                    .max_by(|a, b| a.reference.version.cmp(&b.reference.version))
                    .map_or_else(Vec::new, |older| differences(&older.descriptor, &installed.descriptor).origins_added);
                writer.put_connector(&installed)?;
                let who = &installed.installed_by;
                let event =
                    AuditEvent::of_connector(installed.installed_at, who, AuditAction::ConnectorInstall, &installed);
                writer.audit(&AuditEvent { origins: installed.descriptor.origins.clone(), ..event })?;
                let newest = others.iter().map(|other| &other.reference.version).max();
                writer.tell(Telling::installed(&installed, newest.cloned()))?;
                let asks_for = installed.descriptor.origins.clone();
                Ok(InstallReport { connector: installed, new: true, asks_for, widened })
            })
            .await
    }

    pub(crate) async fn check(&self, component: Bytes) -> Result<CheckReport, Error> {
        let digest = Digest::of(&component);
        let _turn = self.turns.take(&digest).await;
        let judged = self.judge(&component).await;
        self.discard(&digest).await?;
        let judged = judged?;
        Ok(CheckReport {
            descriptor: judged.descriptor,
            surface: judged.surface,
            digest: judged.digest.to_string(),
            size: component.len() as u64,
        })
    }

    /// All that is asked of a component before it is trusted with anything, cheapest question first.
    async fn judge(&self, component: &Bytes) -> Result<Judged, Error> {
        let (runtime, bytes) = (self.runtime.clone(), component.clone());
        // A large one is read for longer than others may be kept waiting.
        let surface = tokio::task::spawn_blocking(move || runtime.inspect(&bytes))
            .await
            .map_err(|error| Error::internal("reading the component")(Box::new(error)))?
            .map_err(|refused| Error::field("component", refused.to_string()))?;
        let digest = Digest::of(component);
        self.runtime.compile(component, &digest).await.map_err(Error::from)?;
        let described = self.runtime.describe(&digest).await.map_err(|error| {
            if error.is_the_connectors() {
                return Error::field("component", format!("`describe` did not answer: {error}"));
            }
            Error::from(error)
        })?;
        let descriptor = described.value;
        let problems = judge::judge(&descriptor);
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let unreadable = |words: String| Error::Invalid { problems: vec![FieldProblem::new("descriptor", words)] };
        let name = descriptor.name.parse().map_err(|error| unreadable(format!("{error}")))?;
        let version = Version::parse(&descriptor.version).map_err(|error| unreadable(error.to_string()))?;
        Ok(Judged { name, version, descriptor, surface, digest })
    }

    /// Makes sure that its code is compiled for this engine: after an upgrade of the host it is compiled anew, from the
    /// component that was judged at install.
    pub(crate) async fn prepare(&self, reference: &ConnectorRef) -> Result<(), Error> {
        if self.runtime.has_compiled(&reference.digest) {
            return Ok(());
        }
        let path = self.component_path(&reference.digest);
        let name = &reference.name;
        let bytes = tokio::fs::read(&path).await.map_err(|source| Error::Data {
            rule: "component-missing",
            message: format!("the component of connector `{name}` can't be read from {}", path.display()),
            hint: Some(format!("install `{name}` {} again", reference.version)),
            source: Some(Box::new(source)),
        })?;
        if Digest::of(&bytes) != reference.digest {
            return Err(Error::Data {
                rule: "component-damaged",
                message: format!(
                    "the component of connector `{name}` in {} is not the one that was installed",
                    path.display()
                ),
                hint: Some(format!("install `{name}` {} again", reference.version)),
                source: None,
            });
        }
        self.runtime.compile(&bytes, &reference.digest).await.map_err(Error::from)
    }

    /// Asks an installed connector again, in a fresh sandbox, and compares with what was judged at install.
    pub(crate) async fn verify(&self, key: &ConnectorKey) -> Result<ConnectorView, Error> {
        let view = self.view(key)?;
        self.prepare(&view.installed.reference).await?;
        let said = self.runtime.describe(&view.installed.reference.digest).await?.value;
        if said != view.installed.descriptor {
            let name = &view.installed.reference.name;
            return Err(Error::Refused {
                rule: "descriptor-changed",
                message: format!("connector `{name}` describes itself otherwise than when it was installed"),
                hint: Some(format!("remove `{name}` and install it again: what it says must not depend on anything")),
            });
        }
        Ok(view)
    }

    pub(crate) fn list(&self, filter: &ConnectorFilter) -> Result<Vec<ConnectorView>, Error> {
        let all = self.store.read(|reader| {
            let installed = reader.connectors()?;
            let mut views: Vec<ConnectorView> = Vec::new();
            for version in installed {
                match views.last_mut() {
                    Some(view) if view.installed.reference.name == version.reference.name => {
                        view.versions.push(version.reference.version.clone());
                    }
                    _ => {
                        let connections = reader.count_connections_of(&version.reference.name)?;
                        views.push(ConnectorView {
                            versions: vec![version.reference.version.clone()],
                            connections,
                            installed: Arc::unwrap_or_clone(version),
                        });
                    }
                }
            }
            Ok(views)
        })?;
        Ok(all.into_iter().filter(|view| matches(view, filter)).collect())
    }

    pub(crate) fn view(&self, key: &ConnectorKey) -> Result<ConnectorView, Error> {
        let (versions, connections) = self
            .store
            .read(|reader| Ok((reader.connector_versions(&key.name)?, reader.count_connections_of(&key.name)?)))?;
        let names: Vec<_> = versions.iter().map(|version| version.reference.version.clone()).collect();
        let wanted = |installed: &Arc<Installed>| {
            key.version.as_ref().is_none_or(|version| *version == installed.reference.version)
        };
        let installed = versions.into_iter().find(wanted).ok_or_else(|| missing(key))?;
        Ok(ConnectorView { installed: Arc::unwrap_or_clone(installed), versions: names, connections })
    }

    /// Changes a flag of one version, or of all.
    pub(crate) async fn change(
        &self,
        actor: &Actor,
        action: AuditAction,
        key: &ConnectorKey,
        change: impl Fn(&mut Installed) + Send + 'static,
    ) -> Result<ConnectorView, Error> {
        let (wanted, who, now) = (key.clone(), actor.name().to_owned(), self.outside.now());
        self.store
            .write(move |writer| {
                let versions = select(writer, &wanted)?;
                for installed in versions {
                    let mut installed = Arc::unwrap_or_clone(installed);
                    change(&mut installed);
                    writer.put_connector(&installed)?;
                    writer.audit(&AuditEvent::of_connector(now, &who, action, &installed))?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        self.view(key)
    }

    pub(crate) async fn remove(&self, actor: &Actor, key: &ConnectorKey) -> Result<(), Error> {
        let (wanted, who, now) = (key.clone(), actor.name().to_owned(), self.outside.now());
        let gone = self
            .store
            .write(move |writer| {
                let versions = select(writer, &wanted)?;
                let mut users = Vec::new();
                for id in writer.connections_of(&wanted.name, wanted.version.as_ref(), 20)? {
                    if let Some(connection) = writer.connection(id)? {
                        let hidden = connection.visibility == Visibility::Private && connection.owner != who;
                        let name = if hidden { id.to_string() } else { connection.name };
                        users.push(User { kind: "connection".into(), id: id.to_string(), name });
                    }
                }
                if !users.is_empty() {
                    return Err(Error::InUse { kind: "connector", name: wanted.name.to_string(), users });
                }
                for installed in &versions {
                    writer.remove_connector(&installed.reference.name, &installed.reference.version)?;
                    writer.audit(&AuditEvent::of_connector(now, &who, AuditAction::ConnectorRemove, installed))?;
                    let data = EventData::ConnectorRemoved(installed.reference.clone());
                    writer.tell(Telling::new(now, &who, data))?;
                }
                Ok(versions)
            })
            .await?;
        for installed in gone {
            let _turn = self.turns.take(&installed.reference.digest).await;
            self.discard(&installed.reference.digest).await?;
        }
        Ok(())
    }

    /// Removes what is kept of a component that is not installed. A file that stays behind is harmless.
    async fn discard(&self, digest: &Digest) -> Result<(), Error> {
        let installed = self.store.read(|reader| reader.connectors())?;
        if installed.iter().any(|installed| installed.reference.digest == *digest) {
            return Ok(());
        }
        let path = self.component_path(digest);
        if let Err(error) = tokio::fs::remove_file(&path).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a component that is no longer needed stays behind");
        }
        self.runtime.forget(digest);
        Ok(())
    }

    fn component_path(&self, digest: &Digest) -> PathBuf {
        self.components.join(format!("{digest}.wasm"))
    }
}

fn select(reader: &Reader<'_>, key: &ConnectorKey) -> Result<Vec<Arc<Installed>>, Error> {
    let mut versions = reader.connector_versions(&key.name)?;
    if let Some(version) = &key.version {
        versions.retain(|installed| installed.reference.version == *version);
    }
    if versions.is_empty() { Err(missing(key)) } else { Ok(versions) }
}

fn taken(there: &Installed) -> Error {
    Error::Refused {
        rule: "version-taken",
        message: format!(
            "connector `{}` {} is installed already, as another component ({})",
            there.reference.name,
            there.reference.version,
            &there.reference.digest.as_str()[..12]
        ),
        hint: Some("raise the version in the descriptor, or remove the installed one first".into()),
    }
}

fn missing(key: &ConnectorKey) -> Error {
    let name = match &key.version {
        Some(version) => format!("{}@{version}", key.name),
        None => key.name.to_string(),
    };
    Error::not_found("connector", name)
}

fn matches(view: &ConnectorView, filter: &ConnectorFilter) -> bool {
    let descriptor = &view.installed.descriptor;
    let text = filter.text.as_deref().map(str::to_lowercase).unwrap_or_default();
    let found = [&descriptor.name, &descriptor.label, &descriptor.publisher, &descriptor.summary]
        .iter()
        .any(|place| place.to_lowercase().contains(&text));
    let category = filter.category.as_ref().is_none_or(|wanted| descriptor.categories.contains(wanted));
    found && category && filter.featured.is_none_or(|featured| view.installed.featured == featured)
}

/// Written beside and renamed: a component that is there is whole.
fn keep(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| Error::Data {
        rule: "component-unwritable",
        message: format!("the component can't be kept in {}", folder.display()),
        hint: None,
        source: Some(Box::new(source)),
    })
}
