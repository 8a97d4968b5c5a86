//! reorg
