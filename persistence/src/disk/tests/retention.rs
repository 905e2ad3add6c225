//! What is kept, and that space comes back.
