"""One version of the PubNub SDK for Python against a running server: pubnub_versions.py HOST:PORT

The version is the one on PYTHONPATH. The key set has an access manager, and messages are kept. Versions without access
tokens sign with the secret key.
"""

import os
import queue
import sys
import time
import warnings

warnings.filterwarnings("ignore")

from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNStatusCategory
from pubnub.exceptions import PubNubException
from pubnub.models.consumer.message_actions import PNMessageAction
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub import PubNub

ADDRESS = sys.argv[1]
SOON = 20
GRANTS = hasattr(PubNub, "parse_token")


class Client(SubscribeCallback):
    def __init__(self, uuid, secret=None):
        config = PNConfiguration()
        config.publish_key, config.subscribe_key = "pub", "sub"
        config.uuid = uuid
        config.origin, config.ssl, config.daemon = ADDRESS, False, True
        config.secret_key = secret
        self.uuid, self.events, self.kept = uuid, queue.Queue(), []
        self.pubnub = PubNub(config)
        self.pubnub.add_listener(self)

    def status(self, pubnub, status):
        self.events.put(("status", status))

    def message(self, pubnub, message):
        self.events.put(("message", message))

    def presence(self, pubnub, presence):
        self.events.put(("presence", presence))

    def message_action(self, pubnub, action):
        self.events.put(("action", action))

    def next(self, kind, wanted=lambda event: True):
        """The next event of this kind; others are kept for later."""
        for index, (found, event) in enumerate(self.kept):
            if found == kind and wanted(event):
                del self.kept[index]
                return event
        deadline = time.monotonic() + SOON
        while True:
            try:
                found, event = self.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                shown = [(kind, vars(event)) for kind, event in self.kept]
                raise AssertionError(f"{self.uuid}: no {kind} in time; came: {shown}") from None
            if found == kind and wanted(event):
                return event
            self.kept.append((found, event))

    def subscribe(self, channels, groups=()):
        self.pubnub.subscribe().channels(channels).channel_groups(list(groups)).with_presence().execute()
        self.next("status", lambda s: s.category == PNStatusCategory.PNConnectedCategory)

    def publish(self, channel, message):
        return int(self.pubnub.publish().channel(channel).message(message).sync().result.timetoken)

    def expect(self, channel, message):
        event = self.next("message")
        assert (event.channel, event.message) == (channel, message), vars(event)
        return event

    def expect_presence(self, action, uuid, channel):
        return self.next(
            "presence", lambda p: (p.event, p.uuid, p.channel) == (action, uuid, channel)
        )


def grant(admin, plan):
    from pubnub.models.consumer.v3.channel import Channel
    from pubnub.models.consumer.v3.group import Group

    names = ["one", "two", "one-pnpres", "two-pnpres"]
    channels = [Channel.id(name).read().write() for name in names]
    groups = [Group.id(name).read().manage() for name in ("g", "g-pnpres")]
    call = admin.pubnub.grant_token().ttl(15).authorized_uuid("ann").channels(channels)
    return call.groups(groups).meta({"plan": plan}).sync().result.token


def refused(work):
    try:
        work()
    except PubNubException:
        return
    raise AssertionError("it was not refused")


def main():
    admin = Client("admin", "sec")
    ann = Client("ann", None if GRANTS else "sec")
    token = None
    if GRANTS:
        token = grant(admin, "gold")
        parsed = ann.pubnub.parse_token(token)
        assert parsed["resources"]["channels"]["one"]["write"] is True, parsed
        assert parsed["meta"] == {"plan": "gold"}, parsed
        refused(lambda: ann.publish("one", "without a token"))
        ann.pubnub.set_token(token)

    # Channels, a group and who is there, in one poll.
    registry = ann.pubnub
    registry.add_channel_to_channel_group().channels(["three", "four"]).channel_group("g").sync()
    registry.remove_channel_from_channel_group().channels(["four"]).channel_group("g").sync()
    listed = registry.list_channels_in_channel_group().channel_group("g").sync().result
    assert listed.channels == ["three"], listed.channels
    ann.subscribe(["one", "two"], ["g"])
    ann.expect_presence("join", "ann", "two")
    sent = admin.publish("one", {"text": "ünï, 1+1 & more"})
    event = ann.expect("one", {"text": "ünï, 1+1 & more"})
    assert (event.timetoken, event.publisher) == (sent, "admin"), vars(event)
    ann.publish("two", [1, "zwei"])
    ann.expect("two", [1, "zwei"])
    admin.publish("three", "by the group")
    assert ann.expect("three", "by the group").subscription == "g"

    bob = Client("bob", "sec")
    bob.subscribe(["two", "five"])
    ann.expect_presence("join", "bob", "two")
    here = admin.pubnub.here_now().channels(["one", "two"]).include_uuids(True).sync().result
    occupants = {c.channel_name: sorted(o.uuid for o in c.occupants) for c in here.channels}
    assert occupants["two"] == ["ann", "bob"], occupants
    bob.pubnub.set_state().channels(["two"]).state({"mood": "good"}).sync()
    assert ann.expect_presence("state-change", "bob", "two").state == {"mood": "good"}
    bob.pubnub.unsubscribe().channels(["two"]).execute()
    ann.expect_presence("leave", "bob", "two")

    # What was published before.
    old = ann.pubnub.history().channel("one").count(10).sync().result
    assert [m.entry for m in old.messages] == [{"text": "ünï, 1+1 & more"}], old.messages
    fetched = ann.pubnub.fetch_messages().channels(["one", "two"]).maximum_per_channel(10)
    fetched = fetched.sync().result.channels
    assert [m.message for m in fetched["two"]] == [[1, "zwei"]], fetched
    assert int(fetched["one"][0].timetoken) == sent, fetched
    counts = ann.pubnub.message_counts().channel(["one", "two"])
    counts = counts.channel_timetokens([sent, sent]).sync().result.channels
    assert counts == {"one": 1, "two": 1}, counts

    # What is attached to a message; a signature covers the body.
    for client in (ann, admin):
        action = PNMessageAction()
        action.type, action.value, action.message_timetoken = "reaction", "smile", sent
        call = client.pubnub.add_message_action().channel("one").message_action(action)
        added = call.sync().result
        told = ann.next("action")
        assert (told.value, told.uuid) == ("smile", client.uuid), vars(told)
        got = ann.pubnub.get_message_actions().channel("one").sync().result.actions
        assert [a.uuid for a in got] == [client.uuid], got
        call = client.pubnub.remove_message_action().channel("one").message_timetoken(sent)
        call.action_timetoken(added.action_timetoken).sync()
        # Nothing tells it from the event before.
        gone = ann.next("action")
        assert gone.action_timetoken == told.action_timetoken, vars(gone)

    # A token is replaced, and when the next poll shows it, the one before it is taken back.
    if GRANTS and hasattr(admin.pubnub, "revoke_token"):
        ann.pubnub.set_token(grant(admin, "silver"))
        admin.publish("one", "with the second token")
        ann.expect("one", "with the second token")
        admin.pubnub.revoke_token(token).sync()
        admin.publish("one", "without the first token")
        ann.expect("one", "without the first token")
    print("done", flush=True)
    # The SDK's threads are of no interest any more.
    os._exit(0)


main()
