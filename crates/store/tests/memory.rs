//! The memory store conforms, so that what is tested on it holds for the engines.

use std::sync::Arc;

use usher_store::{conformance, memory::MemoryStore};

#[tokio::test]
async fn the_memory_store_conforms() {
    conformance::all(Arc::new(MemoryStore::default())).await;
}
