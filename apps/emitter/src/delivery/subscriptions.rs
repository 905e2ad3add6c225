//! The subscriptions of one client: most have one, and bridges and hubs have thousands.

use polywire_core::{Channel, Draw, Held};

use crate::codec::filter::{Filter, Subscription};

/// Bytes that a subscription takes besides its filter, with what the channel space keeps of it.
const SUBSCRIPTION_COST: usize = 512;

/// Bytes that a client takes without drawing on the memory budget.
const UNDRAWN_BYTES: usize = 32 << 10;

/// There is no room for another subscription.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// What a client is subscribed to, by filter.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// In the order of their names.
    channels: Vec<Subscription>,
    /// In the order in which they are written.
    patterns: Vec<Subscription>,
    bytes: usize,
    bytes_max: usize,
    /// None where there are few.
    draw: Option<Box<Draw>>,
}

fn cost(filter: &Filter) -> usize {
    filter.written().as_str().len() + SUBSCRIPTION_COST
}

impl Subscriptions {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            channels: Vec::new(),
            patterns: Vec::new(),
            bytes: 0,
            bytes_max,
            draw: None,
        }
    }

    fn rows(&mut self, filter: &Filter) -> &mut Vec<Subscription> {
        match filter {
            Filter::Channel(_) => &mut self.channels,
            Filter::Pattern(..) => &mut self.patterns,
        }
    }

    /// Where a subscription stands, or would stand.
    fn find(rows: &[Subscription], written: &Channel) -> Result<usize, usize> {
        rows.binary_search_by(|held| held.filter.written().cmp(written))
    }

    pub(super) fn contains(&self, filter: &Filter) -> bool {
        let rows = match filter {
            Filter::Channel(_) => &self.channels,
            Filter::Pattern(..) => &self.patterns,
        };
        Self::find(rows, filter.written()).is_ok()
    }

    /// Takes a subscription, in the place of one to the same filter, which is returned.
    ///
    /// # Errors
    /// [`NoRoom`] where the client has as many as it may, or the server has no memory for more.
    pub(super) fn insert(
        &mut self,
        subscription: Subscription,
    ) -> Result<Option<Subscription>, NoRoom> {
        let filter = &subscription.filter;
        let cost = cost(filter);
        let rows = self.rows(filter);
        match Self::find(rows, filter.written()) {
            Ok(place) => Ok(Some(std::mem::replace(&mut rows[place], subscription))),
            Err(place) => {
                self.take(cost)?;
                let rows = self.rows(&subscription.filter);
                if rows.capacity() == 0 {
                    // Most clients have one; a vector that grows by itself would begin with room for four.
                    rows.reserve_exact(1);
                }
                rows.insert(place, subscription);
                Ok(None)
            }
        }
    }

    fn take(&mut self, cost: usize) -> Result<(), NoRoom> {
        let bytes = self.bytes + cost;
        if bytes > self.bytes_max {
            return Err(NoRoom);
        }
        if bytes > UNDRAWN_BYTES {
            let draw = self
                .draw
                .get_or_insert_with(|| Box::new(Draw::new(Held::Requests)));
            if !draw.cover(bytes) {
                return Err(NoRoom);
            }
        }
        self.bytes = bytes;
        Ok(())
    }

    pub(super) fn remove(&mut self, filter: &Filter) {
        let rows = self.rows(filter);
        if let Ok(place) = Self::find(rows, filter.written()) {
            rows.remove(place);
            self.bytes -= cost(filter);
            if let Some(draw) = &mut self.draw {
                // Less can always be held.
                let _ = draw.cover(self.bytes);
            }
        }
    }

    /// Those that a topic matches.
    pub(super) fn matching<'s>(
        &'s self,
        topic: &'s Channel,
    ) -> impl Iterator<Item = &'s Subscription> {
        let named = Self::find(&self.channels, topic).ok();
        let named = named.and_then(|place| self.channels.get(place));
        let wild = self.patterns.iter();
        named
            .into_iter()
            .chain(wild.filter(|held| held.filter.matches(topic)))
    }

    pub(super) fn all(&self) -> Vec<Subscription> {
        let all = self.channels.iter().chain(&self.patterns);
        all.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use rmqtt_codec::types::QoS;

    use super::*;
    use crate::codec::filter::SubscriptionOptions;

    fn subscription(filter: &str, qos: QoS) -> Subscription {
        Subscription {
            filter: Filter::parse(filter).unwrap(),
            options: SubscriptionOptions::of_qos(qos),
            by_server: false,
        }
    }

    #[test]
    fn a_topic_finds_its_name_and_what_is_wild() {
        let mut held = Subscriptions::new(1 << 20);
        for filter in ["b/2", "a", "b/1", "b/+", "#", "a/+"] {
            let added = held.insert(subscription(filter, QoS::AtMostOnce));
            assert!(matches!(added, Ok(None)));
        }
        let again = held.insert(subscription("b/1", QoS::AtLeastOnce));
        assert_eq!(again.unwrap().unwrap().options.qos, QoS::AtMostOnce);
        let found = |held: &Subscriptions| {
            let topic = Channel::new("b/1").unwrap();
            let found = held
                .matching(&topic)
                .map(|one| one.filter.written().to_string());
            found.collect::<Vec<_>>()
        };
        assert_eq!(found(&held), ["b/1", "#", "b/+"]);
        held.remove(&Filter::parse("b/1").unwrap());
        held.remove(&Filter::parse("#").unwrap());
        assert_eq!(found(&held), ["b/+"]);
        assert!(held.contains(&Filter::parse("b/2").unwrap()));
        for held_now in held.all() {
            held.remove(&held_now.filter);
        }
        assert_eq!(held.bytes, 0);
    }

    #[test]
    fn they_have_a_bound_in_bytes() {
        let cost = SUBSCRIPTION_COST + 4;
        let mut held = Subscriptions::new(100 * cost);
        for n in 1000..1100 {
            assert!(
                held.insert(subscription(&n.to_string(), QoS::AtMostOnce))
                    .is_ok()
            );
        }
        let more = || subscription("more", QoS::AtMostOnce);
        assert_eq!(held.insert(more()).map(drop), Err(NoRoom));
        assert!(held.insert(subscription("1000", QoS::AtLeastOnce)).is_ok());
        held.remove(&Filter::parse("1000").unwrap());
        assert!(held.insert(more()).is_ok());
    }
}
