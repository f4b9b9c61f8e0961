//! Flows, and which of them lean on which connection.

use std::collections::BTreeSet;

use super::codec::{self, List};
use super::error::StoreError;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::connection::Connection;
use crate::model::flow::Flow;
use crate::model::id::{ConnectionId, FlowId};
use crate::model::view::Page;

impl Reader<'_> {
    pub(crate) fn flow(&self, id: &FlowId) -> Result<Option<Flow>, StoreError> {
        self.record(Table::Flows, id.as_str().as_bytes())
    }

    /// A page of flows by id, from a cursor on.
    pub(crate) fn flows(&self, after: Option<&str>, limit: usize) -> Result<Page<Flow>, StoreError> {
        let start = after.map(|cursor| codec::parse_cursor(List::Flows, cursor)).transpose()?.unwrap_or_default();
        let mut entries = self.prefixed(Table::Flows, b"", start.as_bytes())?;
        let mut page = Page { items: Vec::new(), next: None };
        while let Some(entry) = entries.next()? {
            let flow: Flow = codec::decode(Table::Flows, entry.value())?;
            if page.items.len() == super::connections::page_size(limit) {
                page.next = Some(codec::cursor(List::Flows, flow.id.as_str()));
                break;
            }
            page.items.push(flow);
        }
        Ok(page)
    }

    /// How many flows have a use of this connection.
    pub(crate) fn count_flows_using(&self, connection: ConnectionId) -> Result<u64, StoreError> {
        let mut entries = self.prefixed(Table::FlowsByConnection, connection.as_bytes(), b"")?;
        let mut count = 0;
        while entries.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Every flow with a use of this connection, by id.
    pub(crate) fn flows_using(&self, connection: ConnectionId) -> Result<Vec<Flow>, StoreError> {
        let prefix = connection.as_bytes();
        let mut flows = Vec::new();
        let mut entries = self.prefixed(Table::FlowsByConnection, prefix, b"")?;
        while let Some(entry) = entries.next()? {
            let flow = self.record(Table::Flows, &entry.key()[prefix.len()..])?;
            flows.push(flow.ok_or(StoreError::Dangling { index: Table::FlowsByConnection.name() })?);
        }
        Ok(flows)
    }
}

impl Writer<'_> {
    /// Adds or replaces a flow, and its uses with it.
    pub(crate) fn put_flow(&mut self, flow: &Flow) -> Result<(), StoreError> {
        let before = self.flow(&flow.id)?.map(|before| connections_of(&before)).unwrap_or_default();
        let after = connections_of(flow);
        for &connection in before.difference(&after) {
            self.remove(Table::FlowsByConnection, &codec::flow_use(connection, &flow.id))?;
            self.mark_used(connection)?;
        }
        for &connection in after.difference(&before) {
            self.insert(Table::FlowsByConnection, &codec::flow_use(connection, &flow.id), b"")?;
        }
        self.insert_record(Table::Flows, flow.id.as_str().as_bytes(), flow)
    }

    /// Says whether it was there.
    pub(crate) fn remove_flow(&mut self, id: &FlowId) -> Result<bool, StoreError> {
        let Some(before) = self.flow(id)? else { return Ok(false) };
        for connection in connections_of(&before) {
            self.remove(Table::FlowsByConnection, &codec::flow_use(connection, id))?;
            self.mark_used(connection)?;
        }
        self.remove(Table::Flows, id.as_str().as_bytes())
    }

    /// A flow leaves it, which it remembers.
    fn mark_used(&mut self, id: ConnectionId) -> Result<(), StoreError> {
        match self.connection(id)? {
            Some(connection) if !connection.once_used => {
                self.put_connection(&Connection { once_used: true, ..connection })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn connections_of(flow: &Flow) -> BTreeSet<ConnectionId> {
    flow.uses.iter().map(|one| one.connection).collect()
}
