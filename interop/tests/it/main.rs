//! The interop suite: other people's software against the gate, and first of all against itself, which
//! shows that the harness tells the truth.

mod buyers;
mod chain;
mod chain_faults;
mod differential;
mod facilitating;
mod gate_process;
mod known_assets;
mod official_stack;
mod origin;
mod origin_failures;
mod origins;
mod outcome;
mod race;
mod random_kills;
mod remote_facilitator;
mod restart;
