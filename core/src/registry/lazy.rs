//! Registries that are opened when they are first needed.

use std::{fmt, sync::Arc};

use tokio::sync::OnceCell;

use super::{OnChange, Registry, RegistryError};
use crate::space::Space;

/// A registry that is opened when it is first needed, and again with the next need where it could not be.
pub struct LazyRegistry {
    space: Arc<Space>,
    name: &'static str,
    bytes_max: usize,
    on_change: Arc<OnChange>,
    registry: OnceCell<Arc<Registry>>,
}

impl Registry {
    /// A registry that is [opened](Self::open) when it is first needed: an app that starts before its store can be
    /// read serves what needs no registry meanwhile.
    pub fn lazy(
        space: &Arc<Space>,
        name: &'static str,
        bytes_max: usize,
        on_change: OnChange,
    ) -> LazyRegistry {
        LazyRegistry {
            space: space.clone(),
            name,
            bytes_max,
            on_change: Arc::new(on_change),
            registry: OnceCell::new(),
        }
    }
}

impl LazyRegistry {
    /// The registry, opened now where it is not yet.
    ///
    /// # Errors
    /// When what is kept cannot be read; the next call tries again.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind.
    pub async fn get(&self) -> Result<&Arc<Registry>, RegistryError> {
        let open = || {
            let on_change = self.on_change.clone();
            Registry::open(
                &self.space,
                self.name,
                self.bytes_max,
                Box::new(move |key, value| on_change(key, value)),
            )
        };
        self.registry.get_or_try_init(open).await
    }

    /// The registry, if it has been opened.
    pub fn opened(&self) -> Option<&Arc<Registry>> {
        self.registry.get()
    }
}

impl fmt::Debug for LazyRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyRegistry")
            .field("name", &self.name)
            .field("registry", &self.registry.get())
            .finish_non_exhaustive()
    }
}
