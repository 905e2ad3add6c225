//! Pub/sub backends for polywire: in memory, and Redis.
