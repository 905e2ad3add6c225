//! History, what was published before, as the store keeps it: reading, counting, deleting, message actions.

mod actions;
mod backfill;
mod delete;
mod item;
mod range;
mod request;
mod route;
mod v2;
mod v3;

pub(crate) use self::{
    actions::{body as actions_body, route as route_actions},
    backfill::backfill,
    range::query as range,
    route::{route_v2, route_v3},
};
