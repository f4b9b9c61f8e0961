//! What a change would do: the very job is run, looked at, and taken back.
//!
//! A rehearsing handle stands in the place of the store for one call. Its first write runs on the writer's thread like every
//! other and sees the newest state, but is undone: no record, no record of the audit and no event of it stays. It answers
//! [`StoreError::Rehearsed`], so the call ends there, and nothing that follows a commit (a test, a revocation, a file that is
//! removed) happens. What is noted by such a handle is dropped.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::Store;
use super::error::StoreError;
use super::transaction::Reader;

/// Looks at the state before the change, and gives who looks at the state after it.
pub(super) type Before = Box<dyn FnOnce(&Reader<'_>) -> Result<After, StoreError> + Send>;
type After = Box<dyn FnOnce(&Reader<'_>) -> Result<(), StoreError>>;

/// What a handle is for whose changes are not kept.
#[derive(Clone)]
pub(super) struct Rehearsal(Arc<Mutex<Option<Before>>>);

impl Rehearsal {
    /// Who looks on; nobody any more where the change was rehearsed already.
    pub(super) fn take(&self) -> Option<Before> {
        self.0.lock().expect("no holder of this lock panics").take()
    }
}

impl Store {
    /// A handle whose first write is a rehearsal: `before` looks at what is there, `after` at what would be. What that saw comes
    /// by the receiver, and nothing does where the change was refused or nothing was written. Every later write of the handle
    /// is refused.
    pub(crate) fn rehearsing<B: 'static, A: Send + 'static>(
        &self,
        before: impl FnOnce(&Reader<'_>) -> Result<B, StoreError> + Send + 'static,
        after: impl FnOnce(&Reader<'_>, B) -> Result<A, StoreError> + Send + 'static,
    ) -> (Self, oneshot::Receiver<A>) {
        let (sender, receiver) = oneshot::channel();
        let look: Before = Box::new(move |reader| {
            let seen = before(reader)?;
            let look: After = Box::new(move |reader| {
                let seen = after(reader, seen)?;
                // Nobody waits any more: nothing of it stays in any case.
                drop(sender.send(seen));
                Ok(())
            });
            Ok(look)
        });
        let rehearsal = Some(Rehearsal(Arc::new(Mutex::new(Some(look)))));
        (Self { inner: Arc::clone(&self.inner), rehearsal }, receiver)
    }

    /// Whether what is changed by this handle is taken back.
    pub(crate) fn is_rehearsing(&self) -> bool {
        self.rehearsal.is_some()
    }
}
