//! What people see of Turnbuckle, end to end, in one binary.

mod tidy;
