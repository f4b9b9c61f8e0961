//! What people see of Turnbuckle, end to end, in one binary.
#![expect(clippy::unwrap_used, reason = "a test may end where it finds what it did not expect")]

mod access;
mod attacks;
mod audit;
mod audit_chain;
mod author;
mod aws;
mod bundled;
mod cli;
mod connections;
mod contract;
mod data;
mod embedded;
mod events;
mod flows;
mod guests;
mod input;
mod netns;
mod oauth;
mod oauth_answers;
mod oauth_attacks;
mod oauth_bindings;
mod oauth_callbacks;
mod oauth_kills;
mod oauth_renewal;
mod offers;
mod peers;
mod permissions;
mod private;
mod readme;
mod scene;
mod secret_blind;
mod send;
mod tidy;
mod upgrade;
mod users;
