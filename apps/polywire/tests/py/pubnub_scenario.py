"""The real PubNub SDK against a running server: pubnub_scenario.py HOST:PORT MODE SCENARIO

Several servers stand with commas between them; clients take them in turn.
"""

import itertools
import os
import sys
import time

import requests
from pubnub.enums import PNStatusCategory
from pubnub_client import SOON, Client, refused

ADDRESSES, MODE = sys.argv[1].split(","), sys.argv[2]
ADDRESS = ADDRESSES[0]
NEXT = itertools.cycle(ADDRESSES)
#: Says "leave" on unsubscribe in every mode.
POLITE = {"enable_presence_heartbeat": True}


def client(uuid, **settings):
    return Client(next(NEXT), MODE, uuid, **settings)


def messages():
    """Every sort of JSON, by GET and POST, arrives as it was published, in order."""
    ann, bob = client("ann"), client("bob")
    ann.subscribe(["room"])
    sent = [
        {"name": "Alex", "online": True},
        ["hello", "there", 1, 2.5, None],
        "a text with ümläuts, 猫, + % / ? & # \\ \" and 😀",
        17,
        9007199254740993,
        -0.125,
        True,
        False,
        "",
        {},
        [],
    ]
    for post in (False, True):
        for message in sent:
            timetoken = bob.publish("room", message, use_post=post)
            event = ann.expect("room", message)
            assert event.timetoken == timetoken, vars(event)
            assert event.publisher == "bob", vars(event)


def compressed():
    """zlib under the name of gzip."""
    ann = client("ann", should_compress=True)
    ann.subscribe(["room"])
    message = {"text": "again and again " * 200}
    ann.publish("room", message, use_post=True, use_compression=True)
    ann.expect("room", message)
    ann.publish("room", "by GET")
    ann.expect("room", "by GET")


def meta():
    ann = client("ann")
    ann.subscribe(["room"])
    ann.publish("room", 1, meta={"name": "Alex", "n": 1})
    assert ann.expect("room", 1).user_metadata == {"name": "Alex", "n": 1}
    ann.publish("room", 2, should_store=False)
    assert ann.expect("room", 2).user_metadata is None
    ann.publish("room", 3, ttl=5, custom_message_type="greeting")
    assert ann.expect("room", 3).custom_message_type == "greeting"


def names():
    """Names that trip over percent-encoding."""
    ann = client("ann")
    channels = ["a+b", "a b", "a%2Fb", "ü", "a,b;c=d", "a?b&c#d", "~.-_", "*", "a*", "x'()!"]
    # A comma separates in the SDK's own lists.
    channels = [name.replace(",", "_") for name in channels]
    ann.subscribe(channels)
    for name in channels:
        ann.publish(name, name)
        ann.expect(name, name)


def signals():
    ann, bob = client("ann"), client("bob")
    ann.subscribe(["room"])
    bob.call(lambda pubnub: pubnub.signal().channel("room").message({"typing": True}))
    event = ann.expect("room", {"typing": True}, kind="signal")
    assert event.publisher == "bob", vars(event)
    too_long = refused(
        lambda: bob.call(lambda pubnub: pubnub.signal().channel("room").message("x" * 63))
    )
    assert too_long.code == 400, too_long
    bob.call(lambda pubnub: pubnub.signal().channel("room").message("x" * 62))
    ann.expect("room", "x" * 62, kind="signal")


def fire():
    """What is fired, or not to be replicated, reaches nobody."""
    ann = client("ann")
    ann.subscribe(["room"])
    fired = ann.call(lambda pubnub: pubnub.fire().channel("room").message("fired"))
    assert int(fired.timetoken) > 0
    ann.publish("room", "not replicated", replicate=False)
    ann.publish("room", "published")
    ann.expect("room", "published")


def several_channels():
    ann, bob = client("ann"), client("bob")
    channels = [f"room {number}" for number in range(40)]
    ann.subscribe(channels)
    for channel in channels:
        bob.publish(channel, channel)
    came = {ann.next("message").message for _ in channels}
    assert came == set(channels), came
    ann.start(["another"])
    ann.next("status", lambda s: s.category == PNStatusCategory.PNSubscriptionChangedCategory) \
        if MODE == "engine" else None
    # The classic managers say nothing of a further channel: a message tells.
    deadline = time.monotonic() + SOON
    while bob.call(lambda p: p.here_now().channels("another")).total_occupancy == 0:
        assert time.monotonic() < deadline
    bob.publish("another", "late")
    ann.expect("another", "late")


def wildcards():
    ann, bob = client("ann"), client("bob")
    ann.subscribe(["a.*", "b"])
    bob.publish("a.b.c", "too deep")
    bob.publish("ax.b", "another")
    bob.publish("a", "above")
    bob.publish("a.x", 1)
    ann.expect("a.x", 1, subscription="a.*")
    bob.publish("b", 2)
    ann.expect("b", 2)


def groups():
    ann, bob = client("ann"), client("bob")

    def add(*channels):
        bob.call(
            lambda p: p.add_channel_to_channel_group().channel_group("g").channels(list(channels))
        )

    def listed():
        return bob.call(lambda p: p.list_channels_in_channel_group().channel_group("g")).channels

    assert listed() == []
    add("one", "two")
    assert sorted(listed()) == ["one", "two"]
    ann.subscribe(groups=["g"])
    bob.publish("one", 1)
    ann.expect("one", 1, subscription="g")
    # Changes reach polls that are open.
    add("three")
    bob.publish("three", 3)
    ann.expect("three", 3, subscription="g")
    bob.call(
        lambda p: p.remove_channel_from_channel_group().channel_group("g").channels(["one"])
    )
    bob.publish("one", "not in it any more")
    bob.publish("two", 2)
    ann.expect("two", 2, subscription="g")
    bob.call(lambda p: p.remove_channel_group().channel_group("g"))
    assert listed() == []


def resume():
    """The timetoken of a publish resumes right behind that message."""
    ann, bob = client("ann"), client("bob")
    first = [bob.publish("room", number) for number in range(5)]
    ann.subscribe(["room"], timetoken=first[1])
    for number in (2, 3, 4):
        assert ann.expect("room", number).timetoken == first[number]
    bob.publish("room", "live")
    ann.expect("room", "live")


def queue():
    """More than one answer holds can be caught up with, stored or not."""
    ann, bob = client("ann"), client("bob")
    before = bob.publish("room", "before")
    for number in range(230):
        bob.publish("room", number, should_store=number % 2 == 0)
    ann.subscribe(["room"], timetoken=before)
    for number in range(230):
        ann.expect("room", number)
    ann.expect_silence("message")


def unsubscribe():
    ann, bob = client("ann"), client("bob")
    ann.subscribe(["one", "two"])
    ann.unsubscribe(["one"])
    bob.publish("one", "unheard")
    bob.publish("two", "heard")
    ann.expect("two", "heard")
    ann.expect_silence("message")


def presence():
    """Who comes, stays and goes; the client sees itself come."""
    ann, bob = client("ann", **POLITE), client("bob", **POLITE)
    ann.subscribe(["room"], presence=True)
    event = ann.expect_presence("join", "ann", "room", 1)
    assert abs(event.timestamp - time.time()) < 60, vars(event)
    bob.subscribe(["room"])
    ann.expect_presence("join", "bob", "room", 2)
    here = ann.call(lambda p: p.here_now().channels("room"))
    assert here.total_occupancy == 2, here
    assert sorted(o.uuid for o in here.channels[0].occupants) == ["ann", "bob"]
    assert ann.call(lambda p: p.where_now().uuid("bob")).channels == ["room"]
    bob.unsubscribe(["room"])
    ann.expect_presence("leave", "bob", "room", 1)
    assert ann.call(lambda p: p.where_now().uuid("bob")).channels == []
    ann.expect_silence("presence")


def presence_of_groups():
    ann, bob = client("ann"), client("bob", **POLITE)
    ann.call(lambda p: p.add_channel_to_channel_group().channel_group("g").channels(["one"]))
    ann.subscribe(groups=["g"], presence=True)
    ann.expect_presence("join", "ann", "one", 1)
    bob.subscribe(["one"])
    event = ann.expect_presence("join", "bob", "one", 2)
    assert event.subscription in ("g", "g-pnpres"), vars(event)
    bob.unsubscribe(["one"])
    ann.expect_presence("leave", "bob", "one", 1)


def presence_of_wildcards():
    ann, bob = client("ann"), client("bob")
    ann.subscribe(["a.*"], presence=True)
    bob.subscribe(["a.b"])
    ann.expect_presence("join", "bob", "a.b", 1)
    # A wildcard is no place to be.
    assert ann.call(lambda p: p.where_now().uuid("ann")).channels == []


def vanish():
    """Who vanishes is missed when its time is over, and not before."""
    ann = client("ann")
    ann.subscribe(["room"], presence=True)
    ann.expect_presence("join", "ann", "room")
    # Signs of life without the SDK, so that it can vanish: 3 s are less than the SDK would send.
    began = time.monotonic()
    url = f"http://{ADDRESS}/v2/presence/sub-key/demo/channel/room/heartbeat"
    for _ in range(2):
        requests.get(url, params={"uuid": "eve", "heartbeat": 3}, timeout=SOON).raise_for_status()
        ann.expect_silence("timeout", within=1)
    ann.expect_presence("join", "eve", "room", 2)
    event = ann.expect_presence("timeout", "eve", "room", 1)
    passed = time.monotonic() - began
    assert 3.9 < passed < 7, passed
    assert event.uuid == "eve"


def state():
    ann, bob = client("ann"), client("bob")
    ann.subscribe(["one", "two"], presence=True)
    ann.expect_presence("join", "ann", "one")
    ann.expect_presence("join", "ann", "two")
    set_to = ann.call(lambda p: p.set_state().channels(["one"]).state({"mood": "good"}))
    assert set_to.state == {"mood": "good"}, set_to.state
    event = ann.expect_presence("state-change", "ann", "one")
    assert event.state == {"mood": "good"}, vars(event)
    got = bob.call(lambda p: p.get_state().uuid("ann").channels(["one"]))
    assert got.channels == {"one": {"mood": "good"}}, got.channels
    got = bob.call(lambda p: p.get_state().uuid("ann").channels(["one", "two"]))
    assert got.channels == {"one": {"mood": "good"}, "two": {}}, got.channels
    here = bob.call(lambda p: p.here_now().channels(["one"]).include_state(True))
    assert here.channels[0].occupants[0].state == {"mood": "good"}
    # The same once more is no change.
    ann.call(lambda p: p.set_state().channels(["one"]).state({"mood": "good"}))
    ann.expect_silence("presence")


def here_now():
    ann, bob = client("ann"), client("bob")
    ann.subscribe(["one", "two"])
    bob.subscribe(["two"])
    one = ann.call(lambda p: p.here_now().channels("nobody"))
    assert one.total_occupancy == 0
    several = ann.call(lambda p: p.here_now().channels(["one", "two"]))
    assert (several.total_channels, several.total_occupancy) == (2, 3)
    everything = ann.call(lambda p: p.here_now())
    assert (everything.total_channels, everything.total_occupancy) == (2, 3)
    counted = ann.call(lambda p: p.here_now().channels("two").include_uuids(False))
    assert counted.channels[0].occupancy == 2


def errors():
    ann = client("ann")
    wrong = client("eve", keys=("demo", "wrong"))
    error = refused(lambda: wrong.publish("room", 1))
    assert error.code == 400 and "Invalid Key" in error.text, error
    error = refused(lambda: ann.publish("room", "x" * 33000, use_post=True))
    assert error.code == 413 and "Message Too Large" in error.text, error
    error = refused(lambda: ann.publish("room", "x" * 33000))
    assert error.code == 413 and "Message Too Large" in error.text, error
    assert ann.publish("room", "x" * 32000, use_post=True) > 0
    assert ann.publish("room", "x" * 32000) > 0


def wrong_key():
    """A subscribe with a wrong key is reported."""
    settings = {}
    if MODE == "engine":
        from pubnub.enums import PNReconnectionPolicy

        settings["reconnect_policy"] = PNReconnectionPolicy.NONE
    eve = client("eve", keys=("demo", "wrong"), **settings)
    eve.start(["room"])
    status = eve.next("status")
    expected = {
        "sync": PNStatusCategory.PNBadRequestCategory,
        "classic": PNStatusCategory.PNBadRequestCategory,
        "engine": PNStatusCategory.PNConnectionErrorCategory,
    }
    assert status.category == expected[MODE], (status.category, vars(status))


def encrypted():
    ann, eve = client("ann", cipher_key="secret"), client("eve")
    ann.subscribe(["room"])
    eve.subscribe(["room"])
    for post in (False, True):
        ann.publish("room", {"text": "for ann only, äöü"}, use_post=post)
        ann.expect("room", {"text": "for ann only, äöü"})
        assert "ann" not in str(eve.next("message").message)


def filters():
    """Messages that are not wanted do not come; what is not a filter is refused."""
    high = client("ann", filter_expression="priority == 'high' && uuid != 'ann'")
    high.subscribe(["room"], presence=True)
    bob = client("bob")
    high.publish("room", "its own", meta={"priority": "high"})
    bob.publish("room", "unimportant", meta={"priority": "low"})
    bob.publish("room", "without meta")
    bob.publish("room", "important", meta={"priority": "high"})
    high.expect("room", "important")
    high.expect_presence("join", "ann", "room")
    high.expect_silence("message")
    if MODE == "classic":
        wrong = client("eve", filter_expression="priority ==")
        wrong.start(["room"])
        status = wrong.next("status", lambda status: status.is_error())
        assert status.category == PNStatusCategory.PNBadRequestCategory, vars(status)


def access():
    """Tokens: granted, shown, refused, parsed, revoked."""
    from pubnub.models.consumer.v3.channel import Channel
    from pubnub.models.consumer.v3.group import Group

    keys = ("pub", "sub")
    admin = client("admin", keys=keys, secret_key="sec")
    ann = client("ann", keys=keys)
    error = refused(lambda: ann.publish("room", 1))
    assert error.code == 403 and "Forbidden" in error.text, error
    assert error.category in (None, PNStatusCategory.PNAccessDeniedCategory), error

    def grant(ttl, *channels):
        return admin.call(
            lambda p: p.grant_token()
            .ttl(ttl)
            .authorized_uuid("ann")
            .channels(list(channels))
            .groups([Group.id("g").read()])
            .meta({"plan": "gold"})
        ).get_token()

    token = grant(15, Channel.id("room").read().write(), Channel.pattern("^chat-[0-9]+$").read())
    parsed = admin.pubnub.parse_token(token)
    assert parsed["authorized_uuid"] == "ann" and parsed["ttl"] == 15, parsed
    assert parsed["resources"]["channels"]["room"]["write"] is True, parsed
    assert parsed["patterns"]["channels"]["^chat-[0-9]+$"]["read"] is True, parsed
    assert parsed["meta"] == {"plan": "gold"}, parsed

    ann._in_loop(lambda: ann.pubnub.set_token(token))
    ann.subscribe(["room", "chat-7"], groups=["g"])
    ann.publish("room", "allowed")
    ann.expect("room", "allowed")
    assert refused(lambda: ann.publish("chat-7", "read only")).code == 403
    assert refused(lambda: ann.publish("hall", "not at all")).code == 403
    assert refused(lambda: ann.call(lambda p: p.here_now().channels("hall"))).code == 403
    add = lambda p: p.add_channel_to_channel_group().channel_group("g").channels(["room"])
    assert refused(lambda: ann.call(add)).code == 403
    # Whoever signs may do everything, by GET and by POST.
    admin.call(add)
    admin.publish("chat-7", "from the back end ~*!'()")
    ann.expect("chat-7", "from the back end ~*!'()")
    admin.publish("chat-7", {"posted": True}, use_post=True)
    ann.expect("chat-7", {"posted": True})
    # A token is for one client.
    eve = client("eve", keys=keys)
    eve._in_loop(lambda: eve.pubnub.set_token(token))
    assert refused(lambda: eve.publish("room", 1)).code == 403
    forged = client("mallory", keys=keys, secret_key="guess")
    assert refused(lambda: forged.publish("room", 1)).code == 403

    admin.call(lambda p: p.revoke_token(token))
    error = refused(lambda: ann.publish("room", "too late"))
    assert error.code == 403 and "revoked" in error.text, error
    if MODE == "classic":
        # The poll that is open ends too.
        status = ann.next("status", lambda status: status.is_error())
        assert status.category == PNStatusCategory.PNAccessDeniedCategory, vars(status)


def history():
    """Reading back, counting, deleting."""
    ann = client("ann")
    tokens = [ann.publish("room", number, meta={"n": number}) for number in range(10)]
    ann.publish("room", "not stored", should_store=False)
    ann.publish("hall", {"text": "ä"}, custom_message_type="greeting")

    def v2(**options):
        def make(p):
            builder = p.history().channel("room")
            for name, value in options.items():
                builder = getattr(builder, name)(value)
            return builder

        return ann.call(make)

    assert [m.entry for m in v2(count=3).messages] == [7, 8, 9]
    assert [m.entry for m in v2().messages] == list(range(10))
    found = v2(count=3, start=tokens[5], include_timetoken=True, include_meta=True)
    assert [m.entry for m in found.messages] == [2, 3, 4]
    assert [m.timetoken for m in found.messages] == tokens[2:5]
    assert found.messages[0].meta == {"n": 2}
    assert (found.start_timetoken, found.end_timetoken) == (tokens[2], tokens[4])
    assert [m.entry for m in v2(end=tokens[7]).messages] == [7, 8, 9]
    assert [m.entry for m in v2(count=3, start=tokens[5], reverse=True).messages] == [6, 7, 8]
    assert [m.entry for m in v2(start=tokens[5], end=tokens[7], reverse=True).messages] == [6, 7]

    def v3(channels, **options):
        def make(p):
            builder = p.fetch_messages().channels(channels)
            for name, value in options.items():
                builder = getattr(builder, name)(value)
            return builder

        return ann.call(make).channels

    found = v3(["room", "hall", "empty"], include_custom_message_type=True, include_uuid=True)
    assert [m.message for m in found["room"]] == list(range(10))
    assert found["hall"][0].message == {"text": "ä"}
    assert found["hall"][0].uuid == "ann"
    assert [int(m.timetoken) for m in v3(["room"], maximum_per_channel=2)["room"]] == tokens[8:]

    def counts(channels, times):
        make = lambda p: p.message_counts().channel(channels).channel_timetokens(times)
        return ann.call(make).channels

    assert counts(["room"], [tokens[4]]) == {"room": 6}
    assert counts(["room", "hall"], [tokens[9], tokens[9]]) == {"room": 1, "hall": 1}

    delete = lambda p: p.delete_messages().channel("room").start(tokens[2] - 1).end(tokens[4])
    # Who only knows the keys may not.
    assert refused(lambda: ann.call(delete)).code == 403
    admin = client("admin", secret_key="sec")
    admin.call(delete)
    assert [m.entry for m in v2().messages] == [0, 1, 5, 6, 7, 8, 9]
    admin.call(lambda p: p.delete_messages().channel("room"))
    assert v2().messages == []


def actions():
    """Reactions: added, told of, read with messages, removed."""
    from pubnub.models.consumer.message_actions import PNMessageAction

    ann, bob = client("ann"), client("bob")
    ann.subscribe(["room"])
    message = bob.publish("room", "hello")
    ann.expect("room", "hello")

    def action(value):
        action = PNMessageAction()
        action.type, action.value, action.message_timetoken = "reaction", value, str(message)
        return action

    def add(value):
        make = lambda p: p.add_message_action().channel("room").message_action(action(value))
        return bob.call(make)

    added = add("smile")
    event = ann.next("action")
    assert (event.type, event.value, event.uuid) == ("reaction", "smile", "bob"), vars(event)
    assert int(event.message_timetoken) == message
    assert refused(lambda: add("smile")).code == 409
    add("frown")
    ann.next("action")
    got = ann.call(lambda p: p.get_message_actions().channel("room"))
    assert [a.value for a in got.actions] == ["smile", "frown"], got.actions
    fetched = ann.call(lambda p: p.fetch_messages().channels(["room"]).include_message_actions(True))
    reactions = fetched.channels["room"][0].actions["reaction"]
    assert sorted(reactions) == ["frown", "smile"], reactions
    at = added.action_timetoken
    bob.call(
        lambda p: p.remove_message_action()
        .channel("room")
        .message_timetoken(int(message))
        .action_timetoken(int(at))
    )
    # The SDK has no word for what was removed, but gives what it was.
    assert ann.next("action").value == "smile"
    got = ann.call(lambda p: p.get_message_actions().channel("room"))
    assert [a.value for a in got.actions] == ["frown"], got.actions


def catch_up():
    """What is not in the queue any more comes from history."""
    ann, bob = client("ann"), client("bob")
    before = bob.publish("room", "before")
    for number in range(130):
        bob.publish("room", number)
    bob.publish("hall", "elsewhere")
    ann.subscribe(["room", "hall"], timetoken=before)
    for number in range(130):
        ann.expect("room", number)
    ann.expect("hall", "elsewhere")
    bob.publish("room", "live")
    ann.expect("room", "live")
    ann.expect_silence("message")


def server_time():
    now = client("ann").call(lambda p: p.time())
    assert abs(int(now) / 10_000_000 - time.time()) < 60, now


def main():
    globals()[sys.argv[3]]()
    print("done", flush=True)
    # The SDK's threads are of no interest any more.
    os._exit(0)


main()
