//! Authentication policies for polywire, and combinators.
