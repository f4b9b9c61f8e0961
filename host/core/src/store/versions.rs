//! Versions of what is set up.

use super::error::StoreError;
use super::tables::Table;
use super::transaction::Writer;

const LAST: &[u8] = b"setup-version";

impl Writer<'_> {
    /// The version of what is set up, or changed, now. No two changes of a host have the same, so what is removed and made anew
    /// is never taken for what it was.
    pub(crate) fn next_version(&mut self) -> Result<u64, StoreError> {
        let next = self.record::<u64>(Table::Meta, LAST)?.unwrap_or_default() + 1;
        self.insert_record(Table::Meta, LAST, &next)?;
        Ok(next)
    }
}
