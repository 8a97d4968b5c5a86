//! The reference backend against the suite.

use octroi_store::conformance::MemoryBackend;

octroi_store::conformance_tests!(MemoryBackend::default());
