//! Conformance suites for the core traits, and the simplest part of each sort.
//!
//! Run the suite of a trait on your own implementation in a test:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use polywire_core::testkit;
//!
//! testkit::backend_laws(testkit::LocalBackend::default).await;
//! # }
//! ```

mod parts;

pub use self::parts::{AllowAll, LocalBackend};
