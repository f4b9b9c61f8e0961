//! Bytes: records in their envelope, keys that sort, cursors that say nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use semver::Version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::StoreError;
use super::tables::Table;
use crate::model::connection::Status;
use crate::model::id::{ConnectionId, ConnectorName, FlowId};
use crate::model::schedule::Upkeep;

/// The version of the record format. It stands in one byte before the JSON, so a reader knows how to read before it parses.
const RECORD: u8 = 1;

/// A record in its envelope: the version byte, then JSON.
pub(super) fn encode<T: Serialize>(table: Table, record: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![RECORD];
    serde_json::to_writer(&mut bytes, record)
        .map_err(|error| StoreError::Record { table: table.name(), source: Some(Box::new(error)) })?;
    Ok(bytes)
}

/// A record that was written as JSON before.
pub(super) fn enveloped(json: &[u8]) -> Vec<u8> {
    joined(&[&[RECORD], json])
}

/// The JSON in this envelope.
pub(super) fn opened(table: Table, bytes: &[u8]) -> Result<&[u8], StoreError> {
    match bytes.split_first() {
        Some((&RECORD, json)) => Ok(json),
        Some((&found, _)) if found > RECORD => {
            Err(StoreError::NewerRecord { table: table.name(), found, supported: RECORD })
        }
        Some(_) | None => Err(StoreError::Record { table: table.name(), source: None }),
    }
}

/// The record in this envelope. Once it is known to be text as a whole, none of its strings is looked at again.
pub(super) fn decode<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, StoreError> {
    let unreadable = |source| StoreError::Record { table: table.name(), source: Some(source) };
    let json = std::str::from_utf8(opened(table, bytes)?).map_err(|error| unreadable(error.into()))?;
    serde_json::from_str(json).map_err(|error| unreadable(error.into()))
}

/// The id that an index entry holds.
pub(super) fn id(index: Table, bytes: &[u8]) -> Result<ConnectionId, StoreError> {
    Uuid::from_slice(bytes)
        .map(ConnectionId::from_uuid)
        .map_err(|error| StoreError::Record { table: index.name(), source: Some(Box::new(error)) })
}

/// Under this key a name is unique, whatever its case. It is also the order of lists.
pub(super) fn name(name: &str) -> String {
    name.to_lowercase()
}

/// Connector names hold no NUL, so none is the beginning of another once it is closed by one.
pub(super) fn connector(name: &ConnectorName) -> Vec<u8> {
    joined(&[name.as_str().as_bytes(), b"\0"])
}

/// One version of a connector, which holds no NUL either.
pub(super) fn connector_version(name: &ConnectorName, version: &Version) -> Vec<u8> {
    joined(&[name.as_str().as_bytes(), b"\0", version.to_string().as_bytes(), b"\0"])
}

/// A fixed byte for each status; it is part of the file format.
pub(super) fn status(status: Status) -> [u8; 1] {
    [match status {
        Status::Disabled => 1,
        Status::Inactive => 2,
        Status::Active => 3,
        Status::Degraded => 4,
        Status::NeedsReconnect => 5,
    }]
}

/// Owners may hold any character, so their length goes first.
pub(super) fn owner(owner: &str) -> Vec<u8> {
    joined(&[&(owner.len() as u64).to_be_bytes(), owner.as_bytes()])
}

/// Those whose connections are counted together: everybody, or the owner of private ones.
pub(super) fn counted(private_to: Option<&str>) -> Vec<u8> {
    match private_to {
        Some(name) => joined(&[&[1], &owner(name)]),
        None => vec![0],
    }
}

/// One line of a history; versions sort as numbers.
pub(super) fn change(id: ConnectionId, version: u64) -> Vec<u8> {
    joined(&[id.as_bytes(), &version.to_be_bytes()])
}

/// One record of what was done to a connection; places in the chain sort as numbers.
pub(super) fn done_to(id: ConnectionId, seq: u64) -> Vec<u8> {
    joined(&[id.as_bytes(), &seq.to_be_bytes()])
}

/// One use of a connection.
pub(super) fn flow_use(connection: ConnectionId, flow: &FlowId) -> Vec<u8> {
    joined(&[connection.as_bytes(), flow.as_str().as_bytes()])
}

/// A moment, in milliseconds that sort as it does.
pub(super) fn moment(at: Timestamp) -> [u8; 8] {
    (at.as_millisecond() ^ i64::MIN).to_be_bytes()
}

/// Something that the host does unasked, by the moment at which it is due. The kind is part of the file format.
pub(super) fn due(at: Timestamp, what: Upkeep, id: ConnectionId) -> Vec<u8> {
    let kind = match what {
        Upkeep::Renewal => 1,
        Upkeep::Check => 2,
    };
    joined(&[&moment(at), &[kind], id.as_bytes()])
}

/// What such a key says.
pub(super) fn due_parts(index: Table, key: &[u8]) -> Result<(Timestamp, Upkeep, ConnectionId), StoreError> {
    let broken = || StoreError::Record { table: index.name(), source: None };
    let (moment, rest) = key.split_first_chunk::<8>().ok_or_else(broken)?;
    let (kind, rest) = rest.split_first().ok_or_else(broken)?;
    let what = match kind {
        1 => Upkeep::Renewal,
        2 => Upkeep::Check,
        _ => return Err(broken()),
    };
    let at = Timestamp::from_millisecond(i64::from_be_bytes(*moment) ^ i64::MIN).map_err(|_beyond| broken())?;
    Ok((at, what, id(index, rest)?))
}

/// What a place was asked on one day.
pub(super) fn spent(day: i64, lane: &str) -> Vec<u8> {
    joined(&[&(day ^ i64::MIN).to_be_bytes(), lane.as_bytes()])
}

pub(super) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The lists that give cursors. A cursor of one is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Audit,
    Connections,
    ConnectionsDescending,
    ConnectionsByNeed,
    Flows,
}

impl List {
    fn tag(self) -> u8 {
        match self {
            Self::Audit => b'a',
            Self::Connections => b'c',
            Self::ConnectionsDescending => b'd',
            Self::ConnectionsByNeed => b'n',
            Self::Flows => b'f',
        }
    }
}

/// A cursor: the key of the first entry that the page did not show.
pub(super) fn cursor(list: List, key: &str) -> String {
    URL_SAFE_NO_PAD.encode(joined(&[&[list.tag()], key.as_bytes()]))
}

/// The key that a cursor stands for.
pub(super) fn parse_cursor(list: List, cursor: &str) -> Result<String, StoreError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_not_base64| StoreError::BadCursor)?;
    match bytes.split_first() {
        Some((&tag, key)) if tag == list.tag() => {
            String::from_utf8(key.to_vec()).map_err(|_not_text| StoreError::BadCursor)
        }
        Some(_) | None => Err(StoreError::BadCursor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_its_key(key in any::<String>()) {
            prop_assert_eq!(parse_cursor(List::Flows, &cursor(List::Flows, &key)).unwrap(), key);
        }

        #[test]
        fn no_owner_s_key_begins_with_another_s(a in any::<String>(), b in any::<String>()) {
            prop_assert_eq!(owner(&a).starts_with(&owner(&b)), a == b);
        }
    }

    #[test]
    fn what_no_list_gave_is_no_cursor() {
        for bad in ["", "%", "Yw==", "aGVsbG8", &cursor(List::Flows, "x"), &URL_SAFE_NO_PAD.encode(b"c\xff")] {
            let found = parse_cursor(List::Connections, bad);
            assert!(matches!(found, Err(StoreError::BadCursor)), "{bad}: {found:?}");
        }
    }

    #[test]
    fn a_record_of_a_newer_version_is_told_from_a_broken_one() {
        let newer = decode::<u8>(Table::Flows, b"\x021").unwrap_err();
        assert_eq!(newer.to_string(), "record in table `flows` has version 2, this binary knows versions up to 1");
        for broken in [&b""[..], b"\x00{}", b"\x01", b"\x01{"] {
            assert_eq!(
                decode::<u8>(Table::Flows, broken).unwrap_err().to_string(),
                "record in table `flows` is not readable"
            );
        }
        assert_eq!(decode::<u8>(Table::Flows, b"\x017").unwrap(), 7);
    }
}
