//! Persistence policies for polywire.
