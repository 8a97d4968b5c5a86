//! The interop suite: other people's software against the gate, and first of all against itself, which
//! shows that the harness tells the truth.

mod buyers;
mod chain;
mod gate_process;
mod official_stack;
mod origin;
mod origins;
