//! Replay of retained messages to new subscriptions, at the pace at which the client takes them.
//!
//! 1. Before a subscription joins, what is published is kept back from the client.
//! 2. Behind SUBACK what is retained is sent, page by page: no more of it waits for the client than a part of what may, and
//!    none where it has as many messages to confirm as it takes. A set that cannot be sent at once goes on in a task.
//! 3. Then follows what was kept back. A message that is among that is not sent as retained too.
//!
//! A client that goes away meanwhile gets the rest when it comes back to its session.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use polywire_core::{Channel, delivery::Link};
use tokio::{
    sync::Notify,
    task::{AbortHandle, yield_now},
};

use crate::{
    broker::context::BrokerContext,
    codec::filter::{Filter, SubscriptionOptions},
    delivery::subscriber::{RetainedSend, Subscriber},
};

/// The retained messages that a client is still to be sent.
#[derive(Default)]
pub(crate) struct RetainedReplay {
    state: Arc<Mutex<ReplayState>>,
    task: Option<AbortHandle>,
}

#[derive(Default)]
struct ReplayState {
    requests: VecDeque<ReplayRequest>,
    /// Subscriptions are joining: more requests follow.
    is_joining: bool,
    /// Somebody is sending.
    is_sending: bool,
}

/// A filter, and how the client wants what is retained for it.
pub(crate) struct ReplayRequest {
    filter: Filter,
    options: SubscriptionOptions,
    /// The topic up to which it was sent.
    after: Option<String>,
    /// What was being published when the subscription began is retained by now.
    is_settled: bool,
}

impl ReplayRequest {
    pub(crate) fn new(filter: Filter, options: SubscriptionOptions) -> Self {
        Self {
            filter,
            options,
            after: None,
            is_settled: false,
        }
    }
}

/// Why sending has stopped.
enum Paused {
    /// All was sent, or whoever asks next goes on.
    Done,
    Full(Link),
    Unconfirmed,
}

/// Somebody who sends.
struct Replay {
    state: Arc<Mutex<ReplayState>>,
    subscriber: Arc<Subscriber>,
    broker: Arc<BrokerContext>,
}

impl RetainedReplay {
    /// Subscriptions are about to join: what is published from now on comes behind what is retained.
    pub(super) fn hold(&self, subscriber: &Subscriber) {
        self.state.lock().is_joining = true;
        subscriber.close_gate();
    }

    /// They have joined; sends what is retained for them.
    pub(super) async fn begin(
        &mut self,
        requests: Vec<ReplayRequest>,
        subscriber: &Arc<Subscriber>,
        broker: &Arc<BrokerContext>,
    ) {
        {
            let mut state = self.state.lock();
            // The client may have left again what it joined.
            let is_there = |request: &ReplayRequest| subscriber.is_subscribed(&request.filter);
            let requests = requests.into_iter().filter(is_there);
            state.requests.extend(requests);
            if !std::mem::take(&mut state.is_joining) && state.requests.is_empty() {
                return;
            }
            if std::mem::replace(&mut state.is_sending, true) {
                return;
            }
        }
        let replay = Replay {
            state: self.state.clone(),
            subscriber: subscriber.clone(),
            broker: broker.clone(),
        };
        match replay.send().await {
            Paused::Done => {}
            paused => {
                // Before the client can confirm anything: this session is being used.
                let confirmed = Arc::new(Notify::new());
                subscriber.on_confirmed(Some(confirmed.clone()));
                let task = tokio::spawn(replay.go_on(paused, confirmed));
                self.task = Some(task.abort_handle());
            }
        }
    }

    /// A subscription ends.
    pub(super) fn forget(&self, filter: &Filter) {
        let mut state = self.state.lock();
        state.requests.retain(|request| request.filter != *filter);
    }

    /// The client is away.
    pub(super) fn pause(&mut self, subscriber: &Subscriber, broker: &BrokerContext) {
        self.stop();
        subscriber.on_confirmed(None);
        let mut state = self.state.lock();
        (state.is_joining, state.is_sending) = (false, false);
        subscriber.open_gate(Vec::new(), broker.space.hub().flusher());
    }

    /// The client is about to come back.
    pub(crate) fn resume(&self, subscriber: &Subscriber) {
        if !self.state.lock().requests.is_empty() {
            self.hold(subscriber);
        }
    }

    /// It has come back.
    pub(crate) async fn resumed(
        &mut self,
        subscriber: &Arc<Subscriber>,
        broker: &Arc<BrokerContext>,
    ) {
        self.begin(Vec::new(), subscriber, broker).await;
    }

    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for RetainedReplay {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Replay {
    async fn go_on(self, mut paused: Paused, confirmed: Arc<Notify>) {
        loop {
            match paused {
                Paused::Done => return,
                Paused::Full(link) => link.at_pace().await,
                Paused::Unconfirmed => confirmed.notified().await,
            }
            paused = self.send().await;
        }
    }

    /// Sends as much as the client takes now.
    async fn send(&self) -> Paused {
        while let Some((filter, options, after, is_settled)) = self.next() {
            if !is_settled {
                self.broker.retained.settled(&filter).await;
            }
            let after = after.as_deref();
            let page = self.broker.retained_messages(&filter, after).await;
            for publication in &page.messages {
                if !self.subscriber.keeps_back(publication.position().timetoken) {
                    match self.subscriber.send_retained(publication, options) {
                        RetainedSend::Done => {}
                        RetainedSend::Full(link) => return Paused::Full(link),
                        RetainedSend::Unconfirmed => return Paused::Unconfirmed,
                        // Whoever sees the connection end stops this.
                        RetainedSend::Away => return Paused::Done,
                    }
                }
                let topic = publication.target.channel().map(Channel::as_str);
                self.advance(&filter, topic);
            }
            match page.after {
                Some(after) => {
                    self.advance(&filter, Some(&after));
                    yield_now().await;
                }
                None => self.finish(&filter),
            }
        }
        Paused::Done
    }

    /// What is to be sent next. Where that is nothing what was kept back follows.
    fn next(&self) -> Option<(Filter, SubscriptionOptions, Option<String>, bool)> {
        let mut state = self.state.lock();
        if let Some(request) = state.requests.front_mut() {
            let was_settled = std::mem::replace(&mut request.is_settled, true);
            let after = request.after.clone();
            return Some((request.filter.clone(), request.options, after, was_settled));
        }
        state.is_sending = false;
        self.subscriber.on_confirmed(None);
        if !state.is_joining {
            let flusher = self.broker.space.hub().flusher();
            self.subscriber.open_gate(Vec::new(), flusher);
        }
        None
    }

    /// It was sent up to a topic.
    fn advance(&self, filter: &Filter, topic: Option<&str>) {
        let mut state = self.state.lock();
        let first = state.requests.front_mut();
        if let Some(request) = first.filter(|request| request.filter == *filter) {
            request.after = topic.map(Into::into);
        }
    }

    fn finish(&self, filter: &Filter) {
        let mut state = self.state.lock();
        let first = state.requests.front();
        if first.is_some_and(|request| request.filter == *filter) {
            state.requests.pop_front();
        }
    }
}
