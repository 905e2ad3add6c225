//! Transfer: a reliable connection goes on at another node.
//!
//! Its client comes to whatever node the balancer picks, with the id and the token of its connection. So that nothing is lost and
//! nothing comes twice:
//!
//! 1. The new node asks the others whose the connection is. That node closes its socket, if it has one, says what the
//!    connection is, and keeps what comes ([`TransferQuestion::Claim`](question::TransferQuestion::Claim)).
//! 2. The new node joins its groups, and holds back what is published from then on.
//! 3. The old node leaves them, and says what it has kept ([`Leave`](question::TransferQuestion::Leave), then
//!    [`Read`](question::TransferQuestion::Read)).
//! 4. What was held back and is not among that follows.
//!
//! A node that stops has sent its clients away before that. Whose client has not come to another node yet is
//! [adopted](question::TransferQuestion::Adopt) by one, in the same steps.
//!
//! Where there is one node only, and messages are kept on disk, such connections are [written](written) down instead, and wait for their
//! clients after the restart.
//!
//! A node that is killed takes along what it has kept: the client is told that its connection cannot be recovered, and
//! connects anew.

mod page;
mod question;
mod record;
mod service;
mod written;

pub(crate) use self::service::{NewTransfers, Transfers, TryAgain};
