//! The builder: composes the parts of a server.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use warp::{Filter, filters::BoxedFilter};

use super::{
    Listen, Server, Shutdown, StartError,
    listeners::{AppParts, address_of, any_of, bind, bind_apps, load_certificates},
};
use crate::{
    app::App,
    authentication::AuthenticationPolicy,
    backend::PubSubBackend,
    cluster::Gossip,
    dispatcher::{Dispatcher, StandardDispatcher},
    domain::Domain,
    hub::{Hub, LocalNode},
    identity::{Identity, Rights},
    limits::Limits,
    net::TrustedProxies,
    persistence::PersistencePolicy,
    presence::PresenceSettings,
    revocations::Revocations,
    runtime::Runtime,
    space::{GateRules, Space},
    transport::http::Response,
};

/// How long a stop waits for sessions to close.
const GRACE: Duration = Duration::from_millis(1500);

/// The way to compose a server.
///
/// # Examples
/// ```
/// use polywire_core::{AppRunner, testkit};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), polywire_core::StartError> {
/// let server = AppRunner::builder(testkit::LocalBackend::default())
///     .authentication(testkit::AllowAll)
///     .listen(([127, 0, 0, 1], 0).into())
///     .build()
///     .await?;
/// println!("listening on {}", server.address().unwrap());
/// server.run(async {}).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AppRunner;

impl AppRunner {
    /// Begins with the backend, the one part that has no default.
    pub fn builder(backend: impl PubSubBackend) -> Builder {
        Builder {
            backend: Arc::new(backend),
            authentication: None,
            persistence: None,
            dispatcher: Arc::new(StandardDispatcher::default()),
            apps: Vec::new(),
            routes: Vec::new(),
            limits: Limits::default(),
            presence: PresenceSettings::default(),
            trusted_proxies: TrustedProxies::default(),
            listen: Vec::new(),
            grace: GRACE,
            shutdown: Shutdown::AT_ONCE,
            trust_network: false,
            anonymous: None,
            confinements: Vec::new(),
            bridges: Vec::new(),
        }
    }
}

/// Parts that are being composed.
#[must_use = "nothing listens until it is built and run"]
pub struct Builder {
    backend: Arc<dyn PubSubBackend>,
    authentication: Option<Arc<dyn AuthenticationPolicy>>,
    persistence: Option<Arc<dyn PersistencePolicy>>,
    dispatcher: Arc<dyn Dispatcher>,
    apps: Vec<Box<dyn App>>,
    routes: Vec<BoxedFilter<(Response,)>>,
    limits: Limits,
    presence: PresenceSettings,
    trusted_proxies: TrustedProxies,
    listen: Vec<Listen>,
    grace: Duration,
    shutdown: Shutdown,
    trust_network: bool,
    anonymous: Option<Rights>,
    confinements: Vec<(String, Rights)>,
    bridges: Vec<(Domain, Domain)>,
}

impl Builder {
    /// Sets the authentication policy. Without one nobody is let in, but at doors that their protocol leaves open.
    pub fn authentication(mut self, policy: impl AuthenticationPolicy) -> Self {
        self.authentication = Some(Arc::new(policy));
        self
    }

    /// Sets the persistence policy. Without one nothing is stored.
    pub fn persistence(mut self, policy: impl PersistencePolicy) -> Self {
        self.persistence = Some(Arc::new(policy));
        self
    }

    /// Sets the dispatcher. Without one everything passes.
    pub fn dispatcher(mut self, dispatcher: impl Dispatcher) -> Self {
        self.dispatcher = Arc::new(dispatcher);
        self
    }

    /// Adds an app.
    pub fn app(mut self, app: impl App) -> Self {
        self.apps.push(Box::new(app));
        self
    }

    /// Adds warp routes of your own; they are asked after the apps.
    pub fn routes<F, R>(mut self, routes: F) -> Self
    where
        F: Filter<Extract = (R,), Error = warp::Rejection> + Clone + Send + Sync + 'static,
        R: warp::Reply + 'static,
    {
        self.routes
            .push(routes.map(|reply: R| reply.into_response()).boxed());
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what clients are told of each other.
    pub fn presence(mut self, presence: PresenceSettings) -> Self {
        self.presence = presence;
        self
    }

    /// Believes these proxies when they say whom they speak for. Without it nobody is believed.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.trusted_proxies = proxies;
        self
    }

    /// Adds an address to listen on, where every app is served without TLS. Without any the server does not
    /// listen: its [`filter`](Server::filter) is mounted in a warp application.
    pub fn listen(self, address: SocketAddr) -> Self {
        self.listen_on(Listen::new(address))
    }

    /// Adds an address to listen on, with what is served there.
    pub fn listen_on(mut self, listen: Listen) -> Self {
        self.listen.push(listen);
        self
    }

    /// Sets how clients are sent away before the server stops. Default [`Shutdown::AT_ONCE`].
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Sets how long a stop waits for sessions to close. Default 1.5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Accepts default secrets and open policies on an address that others can reach.
    pub fn trust_network(mut self, trust: bool) -> Self {
        self.trust_network = trust;
        self
    }

    /// Sets what somebody without credentials may do. Without it such clients are refused where a credential is asked
    /// for, and may do everything at doors that their protocol leaves open, which are served on loopback only.
    pub fn anonymous(mut self, rights: Rights) -> Self {
        self.anonymous = Some(rights);
        self
    }

    /// Sets what the clients of an app can reach at most, whatever is granted to them.
    pub fn confine(mut self, app: impl Into<String>, rights: Rights) -> Self {
        self.confinements.push((app.into(), rights));
        self
    }

    /// Lets clients of one domain use the names of another, where their rights allow it.
    pub fn bridge(mut self, from: Domain, to: Domain) -> Self {
        self.bridges.push((from, to));
        self
    }

    /// Checks the composition, binds every address, and starts the backend.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(self) -> Result<Server, StartError> {
        let mut problems = self.problems();
        let rules = self.rules(&mut problems);
        let certificates = load_certificates(&self.listen, &mut problems);
        let certificates = match certificates {
            Some(certificates) if problems.is_empty() => certificates,
            _ => return Err(StartError::Composition(problems)),
        };
        let listeners = bind(&self.listen)?;
        let runtime = Runtime::start(self.limits, self.trusted_proxies);
        let hub = Arc::new(Hub::new(runtime.flusher().clone()));
        let persistence = self.persistence.unwrap_or_else(|| Arc::new(Nothing));
        let authentication = self.authentication.unwrap_or_else(|| Arc::new(Nobody));
        let node = LocalNode::new(hub.clone(), persistence.clone());
        if let Some(history) = persistence.history() {
            match history.last_timetoken().await {
                // A clock that was set back must not make later publications look earlier.
                Ok(last) => hub.clock().observe(last),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store does not say how late it is there"
                ),
            }
        }
        self.backend
            .start(node.clone())
            .await
            .map_err(StartError::Backend)?;
        let space = Space::new(
            hub,
            self.backend.clone(),
            authentication,
            persistence.clone(),
            self.dispatcher,
            rules,
            runtime.clone(),
        );
        tokio::spawn(space.clone().watch_presence());
        tokio::spawn(space.clone().tell_presence(self.presence));
        tokio::spawn(space.clone().watch_rights());
        tokio::spawn(space.hear_controls().await);
        Revocations::start(&space).await;
        if let Some(gossip) = Gossip::of(&space) {
            tokio::spawn(gossip.run());
        }
        let apps: Vec<_> = self
            .apps
            .iter()
            .map(|app| AppParts::of(&**app, &space))
            .collect();
        let routes = any_of(apps.iter().map(|app| &app.routes).chain(&self.routes));
        for app in &self.apps {
            app.start(&space).await;
        }
        let listeners = bind_apps(&self.listen, listeners, &certificates, &apps, &self.routes)?;
        let mut certificates: Vec<_> = certificates.into_iter().flatten().collect();
        // Each is looked after once, on however many addresses it is shown.
        certificates.sort_by_key(Arc::as_ptr);
        certificates.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let banner = self
            .apps
            .iter()
            .filter_map(|app| Some(app.banner(address_of(&self.listen, &listeners, &**app)?)))
            .flatten()
            .collect();
        Ok(Server {
            space,
            runtime,
            backend: self.backend,
            node,
            persistence,
            listeners,
            certificates,
            look_at_certificates: Arc::default(),
            routes,
            banner,
            grace: self.grace,
            shutdown: self.shutdown,
        })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (index, listen) in self.listen.iter().enumerate() {
            let (address, earlier) = (listen.address, &self.listen[..index]);
            if address.port() != 0 && earlier.iter().any(|other| other.address == address) {
                problems.push(format!(
                    "{address} is to be listened on twice: choose another port"
                ));
            }
            for name in listen.apps.iter().flatten() {
                if !self.apps.iter().any(|app| app.name() == name) {
                    problems.push(format!(
                        "{address} shall serve {name:?}, which is not among the apps"
                    ));
                }
            }
            if listen.apps.as_ref().is_some_and(Vec::is_empty) {
                problems.push(format!(
                    "{address} shall serve no app: name some, or leave the list out"
                ));
            }
        }
        let refuses = (self.persistence.as_ref()).is_some_and(|policy| policy.refuses());
        if refuses && !self.backend.stores_first() {
            problems.push(
                "the backend announces a message before this persistence policy has kept it, so that somebody would get what \
                 its publisher is told was refused: let the backend keep messages itself, or use a policy that refuses nothing"
                    .to_owned(),
            );
        }
        if !self.trust_network {
            problems.extend(self.weaknesses());
        }
        problems
    }

    fn rules(&self, problems: &mut Vec<String>) -> GateRules {
        let mut grants = |rights: &Rights, of: &str| {
            if rights.names_the_client() {
                problems.push(format!("{of}: {{client}} stands for nobody here"));
            }
            let grants = rights.grants(None, None);
            grants.unwrap_or_else(|error| {
                problems.push(format!("{of}: {error}"));
                Vec::new()
            })
        };
        GateRules {
            anonymous: self.anonymous.as_ref().map(|rights| {
                Arc::new(Identity {
                    grants: grants(rights, "anonymous"),
                    ..Identity::default()
                })
            }),
            confinements: self
                .confinements
                .iter()
                .map(|(app, rights)| (app.clone(), grants(rights, &format!("channels of {app}"))))
                .collect(),
            bridges: self.bridges.clone(),
        }
    }

    /// What is unsafe about the parts that others can reach: once each, however many addresses lead there.
    fn weaknesses(&self) -> impl Iterator<Item = String> {
        let public: Vec<_> = self.listen.iter().filter(|l| l.is_public()).collect();
        let policy = (!public.is_empty())
            .then(|| self.authentication.as_ref()?.weakness())
            .flatten();
        let apps = self.apps.iter().filter_map(move |app| {
            let mut public = public.iter();
            let is_public = public.any(|listen| listen.serves(app.name(), app.only_where_named()));
            // What anonymous clients may do was said.
            (is_public && self.anonymous.is_none())
                .then(|| app.weakness())
                .flatten()
        });
        let accept = " To accept it all the same, set trust_network.";
        policy
            .into_iter()
            .chain(apps)
            .map(move |weakness| weakness + accept)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apps: Vec<_> = self.apps.iter().map(|app| app.name()).collect();
        f.debug_struct("Builder")
            .field("apps", &apps)
            .field("listen", &self.listen)
            .finish()
    }
}

/// Stores nothing: stands in where no persistence policy was given.
struct Nothing;

#[async_trait::async_trait]
impl PersistencePolicy for Nothing {
    async fn persist(&self, _: &Arc<crate::Publication>) -> crate::PersistResult {
        Ok(crate::Durability::Delivered)
    }

    fn stores(&self) -> bool {
        false
    }
}

/// Knows no credential: stands in where no authentication policy was given.
struct Nobody;

#[async_trait::async_trait]
impl AuthenticationPolicy for Nobody {
    async fn authenticate(
        &self,
        _: &crate::Credentials,
    ) -> Result<crate::Identity, crate::AuthenticationError> {
        Err(crate::AuthenticationError::Missing)
    }
}
