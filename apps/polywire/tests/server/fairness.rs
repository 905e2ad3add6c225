//! Fairness: nobody can keep the server from the others by cheap things that it says without end.

use polywire_testing::{
    attack::{canaries, floods},
    peers::azure::AZURE_KEY,
};

use crate::support::{SOON, ServerOptions, eventually};

/// As many as there are workers, and more.
const ATTACKERS: usize = 4;

const ROUND_TRIPS: usize = 5;

/// A canary that waits for longer than it is patient fails, and the attack goes on until all have come through.
#[test]
fn clients_come_through_while_others_say_cheap_things_without_end() {
    let server = ServerOptions::new(&[])
        .env("POLYWIRE_APPS__WEBPUBSUB__ACCESS_KEY", AZURE_KEY)
        .start();
    for attack in floods() {
        let attackers = attack.start(server.address, ATTACKERS);
        // So much has left the buffers on the way, or their connections were ended for it.
        eventually(attack.name, SOON, || {
            (attackers.sent() > 8 << 20).then_some(())
        });
        let mut canaries = canaries(server.address);
        for canary in &mut canaries {
            for _ in 0..ROUND_TRIPS {
                assert!(canary.round_trip(), "{canary:?} during {attack:?}");
            }
        }
        attackers.stop();
    }
}
