//! The documentation against the code that it describes.
#![cfg(test)] // Lets the lints see that everything here is a test.

mod codes;
mod commands;
mod generated;
mod links;
mod markdown;
mod settings;
mod words;
