//! The polywire server, and all of its parts behind one name.
