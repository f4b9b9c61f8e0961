//! Plain data: ids, records, descriptors and the types that keep a secret a secret. No input, no output, no clock.

pub(crate) mod actor;
pub(crate) mod audit;
pub(crate) mod authentication;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod credential;
pub(crate) mod descriptor;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod expected;
pub(crate) mod field;
pub(crate) mod flow;
pub(crate) mod form;
pub(crate) mod id;
pub(crate) mod measure;
pub(crate) mod named;
pub(crate) mod origin;
pub(crate) mod outside;
pub(crate) mod schedule;
pub(crate) mod secret;
pub(crate) mod template;
pub(crate) mod user;
pub(crate) mod verdict;
pub(crate) mod view;
pub(crate) mod webhook;
