//! The dispatcher that lets everything pass.

use async_trait::async_trait;

use super::{Dispatcher, Handlers};

/// Lets every command pass and tells the registered handlers.
#[derive(Debug, Default)]
pub struct StandardDispatcher {
    handlers: Handlers,
}

#[async_trait]
impl Dispatcher for StandardDispatcher {
    fn handlers(&self) -> &Handlers {
        &self.handlers
    }

    fn is_silent(&self) -> bool {
        self.handlers.is_empty()
    }
}
