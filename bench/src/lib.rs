//! How fast the gate is, beside its peers, on one machine in one run.
//!
//! The pieces, from the bottom: [`response`] and [`histogram`] read and count answers, [`pacing`]
//! says when requests are due, [`load`] puts them on a server; [`payments`] signs them beforehand
//! and [`server`] starts what is measured. [`measure`] combines these into [`rounds`], and
//! [`report`] shows what came out.
#![cfg(target_os = "linux")]

pub mod histogram;
pub mod ledger;
pub mod load;
pub mod machine;
pub mod measure;
pub mod open_connections;
pub mod origin;
pub mod pacing;
pub mod payments;
pub mod process;
pub mod report;
pub mod request;
pub mod response;
pub mod rounds;
pub mod server;
pub mod verification;
