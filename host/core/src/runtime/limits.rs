//! How much a component may take, at install and in each call.

use std::time::Duration;

use super::call::Budget;

/// Every limit of the sandbox; the defaults are those of the documentation.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) component_bytes: usize,
    pub(crate) compile: Duration,
    /// Address space of the compiling process. A 460 KB module was seen to make a compiler ask for 26 GB.
    pub(crate) compile_memory: u64,
    pub(crate) describe_cpu: Duration,
    pub(crate) call_cpu: Duration,
    pub(crate) test_wall: Duration,
    /// All memories of one guest together.
    pub(crate) memory: usize,
    /// Elements of one table; guests in JavaScript need about 8,000.
    pub(crate) table_elements: usize,
    pub(crate) handles: u32,
    /// Bytes that a guest may hand to the host in one call.
    pub(crate) hostcall_bytes: usize,
    pub(crate) log_bytes: usize,
    pub(crate) header_bytes: usize,
    /// Calls at the same time; the next one waits.
    pub(crate) calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 64 << 20,
            compile: Duration::from_secs(120),
            compile_memory: 4 << 30,
            describe_cpu: Duration::from_secs(1),
            call_cpu: Duration::from_secs(2),
            test_wall: Duration::from_secs(30),
            memory: 128 << 20,
            table_elements: 20_000,
            handles: 4096,
            hostcall_bytes: 8 << 20,
            log_bytes: 64 << 10,
            header_bytes: 64 << 10,
            calls: 1024,
        }
    }
}

impl Limits {
    pub(super) fn describe(&self) -> Budget {
        // A guest that neither computes nor may wait for anything needs no more wall clock than this, even on a busy machine.
        Budget { cpu: self.describe_cpu, wall: self.describe_cpu * 10 }
    }

    /// Of a call without a network that is not `describe`.
    pub(super) fn quiet(&self) -> Budget {
        Budget { cpu: self.call_cpu, wall: self.call_cpu * 10 }
    }

    pub(super) fn test(&self) -> Budget {
        Budget { cpu: self.call_cpu, wall: self.test_wall }
    }
}
