//! Prepaid money together with the books.
#![cfg(test)] // Lets the lints see that everything here is a test.

mod keys;
mod model;
mod world;
