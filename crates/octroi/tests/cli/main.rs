//! The commands as they are typed: the real binary, its two outputs and its exit code.
#![cfg(test)] // Lets the lints see that everything here is a test.

mod backup;
mod backup_age;
mod backup_damage;
mod check;
mod dev;
mod pay;
mod pay_answers;
mod pay_limits;
mod records;
mod run;
mod seller;
