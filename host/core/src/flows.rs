//! Which flow leans on which connection.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use url::Url;

use crate::connections::{Connections, find_visible, need};
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent, AuditKind, AuditObject};
use crate::model::connection::{Connection, Status};
use crate::model::error::{Error, FieldProblem};
use crate::model::flow::{Flow, Progress, Use};
use crate::model::id::{ConnectionId, FlowId};
use crate::model::view::{Alert, FlowReport, Page, PutFlow, PutUse};
use crate::store::{Reader, Store};

const USES: usize = 200;
const TEXT: usize = 200;

/// The flows that embedders registered.
#[derive(Debug, Clone)]
pub(crate) struct Flows {
    pub(crate) store: Store,
    pub(crate) connections: Connections,
}

impl Flows {
    pub(crate) async fn put(&self, actor: &Actor, id: &str, put: PutFlow) -> Result<Flow, Error> {
        need(actor, Permission::ManageFlows)?;
        let id = flow_id(id)?;
        let mut problems = check(&put);
        if matches!(id.as_str(), "." | "..") {
            let words = format!("`{id}` is a step within a path, so no URL would lead to it; choose another id");
            problems.push(FieldProblem::new("id", words));
        }
        let uses = match &put.uses {
            None => None,
            Some(uses) => Some(self.store.read(|reader| Ok(resolve(reader, actor, uses, &mut problems)))??),
        };
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let owner = put.owner.clone().unwrap_or_else(|| actor.name().to_owned());
        let done = self.done(actor, AuditAction::FlowPut);
        self.store
            .write(move |writer| {
                let old = writer.flow(&id)?;
                let old_uses = old.map(|flow| flow.uses).unwrap_or_default();
                let uses = match uses {
                    None => old_uses,
                    Some(uses) => {
                        for used in &uses {
                            still_there(writer, used.connection)?;
                        }
                        uses.into_iter().map(|used| remember(used, &old_uses)).collect()
                    }
                };
                let flow =
                    Flow { id, name: put.name, version: put.version, status: put.status, owner, url: put.url, uses };
                writer.put_flow(&flow)?;
                writer.audit(&done(&flow))?;
                Ok(flow)
            })
            .await
    }

    pub(crate) fn list(&self, actor: &Actor, cursor: Option<&str>, limit: Option<usize>) -> Result<Page<Flow>, Error> {
        need(actor, Permission::ViewConnections)?;
        Ok(self.store.read(|reader| reader.flows(cursor, limit.unwrap_or(50).clamp(1, 200)))?)
    }

    pub(crate) fn get(&self, actor: &Actor, id: &str) -> Result<Flow, Error> {
        need(actor, Permission::ViewConnections)?;
        self.stored(id)
    }

    fn stored(&self, id: &str) -> Result<Flow, Error> {
        let id = flow_id(id)?;
        self.store.read(|reader| reader.flow(&id))?.ok_or_else(|| Error::not_found("flow", id.to_string()))
    }

    /// Tests every connection of it, each once, all at the same time.
    pub(crate) async fn open(&self, actor: &Actor, id: &str) -> Result<FlowReport, Error> {
        need(actor, Permission::UseConnections)?;
        let flow = self.stored(id)?;
        let mut ids: Vec<_> = flow.uses.iter().map(|used| used.connection).collect();
        ids.sort();
        ids.dedup();
        let alerts = join_all(ids.into_iter().map(|id| self.alert(actor, id))).await;
        let alerts = alerts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        Ok(FlowReport { flow: self.stored(id)?, alerts })
    }

    pub(crate) async fn select(&self, actor: &Actor, id: &str, new: PutUse) -> Result<FlowReport, Error> {
        need(actor, Permission::ManageFlows)?;
        let flow_id = flow_id(id)?;
        let mut problems = Vec::new();
        let uses =
            self.store.read(|reader| Ok(resolve(reader, actor, std::slice::from_ref(&new), &mut problems)))??;
        let (Some(used), true) = (uses.into_iter().next(), problems.is_empty()) else {
            return Err(Error::Invalid { problems });
        };
        let connection = used.connection;
        let done = self.done(actor, AuditAction::FlowSelect);
        self.store
            .write(move |writer| {
                let mut flow = writer.flow(&flow_id)?.ok_or_else(|| Error::not_found("flow", flow_id.to_string()))?;
                still_there(writer, used.connection)?;
                if !flow.uses.iter().any(|old| same(old, &used)) {
                    if flow.uses.len() >= USES {
                        return Err(Error::field("uses", format!("a flow has at most {USES} uses")));
                    }
                    flow.uses.push(used);
                    writer.put_flow(&flow)?;
                    writer.audit(&done(&flow))?;
                }
                Ok(())
            })
            .await?;
        let alerts = self.alert(actor, connection).await?.into_iter().collect();
        Ok(FlowReport { flow: self.stored(id)?, alerts })
    }

    pub(crate) async fn deselect(
        &self,
        actor: &Actor,
        id: &str,
        connection: &str,
        step: Option<&str>,
    ) -> Result<Flow, Error> {
        need(actor, Permission::ManageFlows)?;
        let id = flow_id(id)?;
        let found = self.store.read(|reader| find_visible(reader, actor, connection))?;
        let connection_id = found.map(|c| c.id).ok_or_else(|| Error::not_found("connection", connection))?;
        let step = step.map(str::to_owned);
        let done = self.done(actor, AuditAction::FlowDeselect);
        self.store
            .write(move |writer| {
                let mut flow = writer.flow(&id)?.ok_or_else(|| Error::not_found("flow", id.to_string()))?;
                let before = flow.uses.len();
                flow.uses.retain(|used| {
                    used.connection != connection_id || step.as_ref().is_some_and(|step| *step != used.step)
                });
                if flow.uses.len() == before {
                    return Err(Error::not_found("use of connection", connection_id.to_string()));
                }
                writer.put_flow(&flow)?;
                writer.audit(&done(&flow))?;
                Ok(flow)
            })
            .await
    }

    pub(crate) async fn remove(&self, actor: &Actor, id: &str) -> Result<(), Error> {
        need(actor, Permission::ManageFlows)?;
        let id = flow_id(id)?;
        let done = self.done(actor, AuditAction::FlowRemove);
        self.store
            .write(move |writer| {
                let flow = writer.flow(&id)?.ok_or_else(|| Error::not_found("flow", id.to_string()))?;
                writer.remove_flow(&id)?;
                writer.audit(&done(&flow))?;
                Ok(())
            })
            .await
    }

    /// What the audit is told of a flow.
    fn done(&self, actor: &Actor, action: AuditAction) -> impl Fn(&Flow) -> AuditEvent + Send + use<> {
        let (now, who) = (self.connections.outside.now(), actor.name().to_owned());
        move |flow| AuditEvent::new(now, &who, action, AuditObject::with_id(AuditKind::Flow, &flow.id, &flow.name))
    }

    /// Tests a connection and says what is wrong with it, if anything.
    async fn alert(&self, actor: &Actor, id: ConnectionId) -> Result<Option<Alert>, Error> {
        let Some(connection) = self.store.read(|reader| reader.connection(id))? else { return Ok(None) };
        // One that can't be tested is an alert like any other, and hides nothing of the others.
        let failed = if connection.enabled {
            self.connections.test_stored(actor, connection).await.err().map(|error| match error.hint() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            })
        } else {
            None
        };
        let Some(connection) = self.store.read(|reader| reader.connection(id))? else { return Ok(None) };
        let visible = crate::connections::visible(actor, &connection);
        // What is wrong with somebody's private connection is for its owner alone: settings may stand in the words.
        let told = |message| if visible { message } else { "it does not work; its owner can see why".to_owned() };
        Ok(failed.or_else(|| words(&connection)).map(|message| Alert {
            connection: id,
            name: if visible { connection.name.clone() } else { id.to_string() },
            status: connection.status(),
            message: told(message),
        }))
    }
}

fn words(connection: &Connection) -> Option<String> {
    match (connection.status(), &connection.verdict) {
        (Status::Active, _) => None,
        (Status::Disabled, _) => Some("it is disabled; enable it".into()),
        (_, Some(verdict)) => Some(match &verdict.hint {
            Some(hint) => format!("{}; {hint}", verdict.message),
            None => verdict.message.clone(),
        }),
        (_, None) => Some("it was never tested; test it".into()),
    }
}

fn flow_id(id: &str) -> Result<FlowId, Error> {
    id.parse().map_err(|error: crate::model::id::InvalidName| Error::field("id", error.to_string()))
}

fn check(put: &PutFlow) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let texts = [("name", Some(&put.name)), ("version", Some(&put.version)), ("owner", put.owner.as_ref())];
    for (field, text) in texts {
        let Some(text) = text else { continue };
        let required = field == "name" && text.trim().is_empty();
        if required || text.chars().count() > TEXT || text.chars().any(char::is_control) {
            problems.push(FieldProblem::new(field, format!("must be one line of at most {TEXT} characters")));
        }
    }
    if let Some(url) = &put.url
        && !Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    {
        problems.push(FieldProblem::new("url", "must be an http:// or https:// link"));
    }
    if put.uses.as_ref().is_some_and(|uses| uses.len() > USES) {
        problems.push(FieldProblem::new("uses", format!("a flow has at most {USES} uses")));
    }
    problems
}

/// Turns keys into ids; one that is not there, or not for this actor, is a problem of its use.
fn resolve(
    reader: &Reader<'_>,
    actor: &Actor,
    uses: &[PutUse],
    problems: &mut Vec<FieldProblem>,
) -> Result<Vec<Use>, Error> {
    let mut resolved = Vec::new();
    let mut seen = BTreeMap::new();
    for (at, used) in uses.iter().enumerate() {
        let Some(connection) = find_visible(reader, actor, &used.connection)? else {
            problems.push(FieldProblem::new(
                format!("uses[{at}].connection"),
                format!("there is no connection `{}`", used.connection),
            ));
            continue;
        };
        if seen.insert((connection.id, used.used_as, used.step.clone()), at).is_some() {
            problems.push(FieldProblem::new(format!("uses[{at}]"), "stands there twice"));
            continue;
        }
        resolved.push(Use {
            connection: connection.id,
            used_as: used.used_as,
            step: used.step.clone(),
            last_tested: None,
            progress: Progress::NotTested,
        });
    }
    Ok(resolved)
}

fn still_there(reader: &Reader<'_>, connection: ConnectionId) -> Result<(), Error> {
    match reader.connection(connection)? {
        Some(_) => Ok(()),
        None => Err(Error::not_found("connection", connection.to_string())),
    }
}

fn same(left: &Use, right: &Use) -> bool {
    left.connection == right.connection && left.used_as == right.used_as && left.step == right.step
}

/// A use that was there before keeps what its last test said.
fn remember(new: Use, old: &[Use]) -> Use {
    old.iter().find(|old| same(old, &new)).cloned().unwrap_or(new)
}
