//! Seth-Pusher on polywire: SockJS clients, HTTP API.
