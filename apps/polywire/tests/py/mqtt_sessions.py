"""Sessions that outlive their connections, with paho-mqtt: mqtt_sessions.py HOST:PORT SCENARIO"""

import queue
import sys
import time

from mqtt_client import SOON, V3, V5, Client, wait
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions


def lasting(name, version=V3, expiry=60, connect=Client.connected, **options):
    """A client that wants to go on with its session."""
    if version == V3:
        return connect(Client(name, clean_session=False), **options)
    lasts = Properties(PacketTypes.CONNECT)
    lasts.SessionExpiryInterval = expiry
    return connect(Client(name, V5), clean_start=False, properties=lasts, **options)


def by_qos(messages):
    """paho gives a message of QoS 2 out when it is released, which is later than others."""
    return [[message for message in messages if message[2] == qos] for qos in range(3)]


def drained(client):
    found = []
    while not client.messages.empty():
        found.append(client.get())
    return found


def waiting():
    """What is published with QoS 1 and 2 while a client is away waits for it; what it subscribed to stays."""
    publisher = Client().connected()
    for version in (V3, V5):
        client = lasting("one", version)
        assert not client.session_present
        client.subscribe([("s/+", 2), ("t", 1)])
        client.publish("t", "while here", 1)
        assert client.get()[1] == b"while here"
        client.close()
        expected = []
        for number in range(2000):
            topic, qos = ("t", "s/a")[number % 2], number % 3
            publisher.paho.publish(topic, str(number), qos)
            granted = min(qos, (1, 2)[number % 2])
            if granted:
                expected.append((topic, str(number).encode(), granted, False))
        for _ in range(2000):
            assert publisher.acks.get(timeout=SOON)[0] == "publish"
        client = lasting("one", version)
        assert client.session_present
        found = [client.get() for _ in expected]
        assert by_qos(found) == by_qos(expected), found[:9]
        # And goes on as if nothing had been.
        publisher.publish("t", "live", 0)
        assert client.get() == ("t", b"live", 0, False)
        client.unsubscribe("t")
        client.close()
        client = lasting("one", version)
        assert client.session_present
        publisher.publish("t", "not any more", 1)
        publisher.publish("s/x", "still", 1)
        assert client.get()[1] == b"still"
        client.close()
        # A client that starts anew has no session, then or later.
        clean = Client("one", version).connected()
        assert not clean.session_present
        clean.close()
        client = lasting("one", version)
        assert not client.session_present
        publisher.publish("s/x", "nobody is there", 1)
        client.subscribe("end", 1)
        publisher.publish("end", "end", 1)
        assert client.get()[1] == b"end" and client.messages.empty()
        client.close()
        Client("one", version).connected().close()
    publisher.close()


def other_version():
    """A client may come back with another version of the protocol."""
    publisher = Client().connected()
    for first, then in ((V3, V5), (V5, V3)):
        client = lasting("version", first)
        client.subscribe("v/#", 2)
        client.close()
        for number in range(100):
            publisher.publish(f"v/{number}", str(number), 1 + number % 2)
        client = lasting("version", then)
        assert client.session_present
        found = [client.get() for _ in range(100)]
        expected = [(f"v/{n}", str(n).encode(), 1 + n % 2, False) for n in range(100)]
        assert by_qos(found) == by_qos(expected), found
        client.close()
        Client("version").connected().close()
    publisher.close()


def expiry():
    """A session of 5.0 lasts as long as its client says, also when it leaves; the server says what it grants."""
    publisher = Client().connected()

    def present_after(seconds, connect, disconnect=None):
        client = lasting("brief", V5, connect)
        client.subscribe("e", 1)
        leaves = None
        if disconnect is not None:
            leaves = Properties(PacketTypes.DISCONNECT)
            leaves.SessionExpiryInterval = disconnect
        client.paho.disconnect(properties=leaves)
        assert client.events.get(timeout=SOON)[0] == "disconnect"
        client.paho.loop_stop()
        wait(seconds)
        publisher.publish("e", "x", 1)
        again = lasting("brief", V5, 0)
        if again.session_present:
            assert again.get()[1] == b"x"
        again.close()
        return again.session_present

    assert present_after(0, 60)
    assert not present_after(0, 0)
    assert not present_after(3, 1)
    assert not present_after(0, 60, 0)
    assert present_after(3, 1, 60)
    # Who said that the session ends with the connection cannot take it back.
    wrong = lasting("wrong", V5, 0)
    wrong.paho.reconnect_delay_set(60, 60)
    wrong.paho.socket().sendall(b"\xe0\x07\x00\x05\x11\x00\x00\x00\x05")
    assert (found := wrong.events.get(timeout=SOON)) == ("disconnect", 0x82), found
    wrong.close()
    granted = Properties(PacketTypes.CONNECT)
    granted.SessionExpiryInterval = 0xFFFFFFFF
    greedy = Client("greedy", V5)
    _, _, properties = greedy.open(clean_start=True, properties=granted)
    assert properties.SessionExpiryInterval == 7 * 24 * 60 * 60
    granted.SessionExpiryInterval = 0
    greedy.close()
    publisher.close()


def will_delay():
    """A will waits for its client to come back, but not longer than the session."""
    watcher = Client().connected()
    watcher.subscribe("will/#", 1)

    def lost(name, delay, expiry):
        client = Client(name, V5)
        delayed = Properties(PacketTypes.WILLMESSAGE)
        delayed.WillDelayInterval = delay
        client.paho.will_set(f"will/{name}", "gone", 1, properties=delayed)
        lasts = Properties(PacketTypes.CONNECT)
        lasts.SessionExpiryInterval = expiry
        assert client.open(clean_start=False, properties=lasts)[1] == 0
        began = time.monotonic()
        client.lose()
        return began

    for name, delay, expiry, least in (
        ("none", 0, 60, 0),
        ("delay", 2, 60, 1),
        ("session", 60, 2, 1),
        ("no-session", 60, 0, 0),
    ):
        began = lost(name, delay, expiry)
        assert watcher.get()[0] == f"will/{name}"
        assert time.monotonic() - began >= least, name
    lost("back", 1, 60)
    back = lasting("back", V5)
    assert back.session_present
    wait(3)
    watcher.publish("will/end", "x")
    assert watcher.get()[0] == "will/end"
    for client in (watcher, back):
        client.close()


def taken_over():
    """A further connection goes on with the session; the first one is closed, and what it did not confirm comes again."""
    publisher = Client().connected()
    for version in (V3, V5):
        first = lasting("same", version)
        first.paho.reconnect_delay_set(60, 60)
        first.subscribe("o", 2)
        # It confirms nothing any more.
        first.paho.manual_ack_set(True)
        publisher.publish("o", "1", 1)
        publisher.publish("o", "2", 1)
        assert [first.get()[1] for _ in range(2)] == [b"1", b"2"]
        second = Client("same", version, **({"clean_session": False} if version == V3 else {}))
        seen = queue.Queue()
        second.paho.on_message = lambda _c, _u, message: seen.put((message.payload, message.dup))
        lasts = Properties(PacketTypes.CONNECT)
        lasts.SessionExpiryInterval = 60
        second.open(**({} if version == V3 else {"clean_start": False, "properties": lasts}))
        assert second.session_present
        assert first.events.get(timeout=SOON)[0] == "disconnect"
        publisher.publish("o", "3", 1)
        expected = [(b"1", True), (b"2", True), (b"3", False)]
        assert (found := [seen.get(timeout=SOON) for _ in range(3)]) == expected, found
        for client in (first, second, Client("same", version).connected()):
            client.close()
    publisher.close()


def bounded():
    """The server grants no more than it is set to."""
    client = lasting("bounded", V5, 1000)
    assert client.events.empty()
    client.close()
    wait(3)
    assert not lasting("bounded", V5).session_present


def shared():
    """A member of a group that is away stays one: its share waits for it."""
    publisher = Client().connected()
    away, here = lasting("away"), Client("here").connected()
    for member in (away, here):
        member.subscribe("$share/g/jobs/#", 1)
    away.close()
    for number in range(100):
        publisher.publish(f"jobs/{number}", str(number), 1)
    away = lasting("away")
    assert away.session_present
    found, until = [[], []], time.monotonic() + SOON
    while sum(map(len, found)) < 100 and time.monotonic() < until:
        for got, member in zip(found, (away, here)):
            got += drained(member)
    numbers = [sorted(int(payload) for _, payload, _, _ in got) for got in found]
    assert all(numbers) and sorted(sum(numbers, [])) == list(range(100)), numbers
    for client in (publisher, away, here):
        client.close()


def subscriber_is_told(client, qos):
    """A SUBSCRIBE that a cut has taken is not sent again by paho."""
    client.paho.subscribe("once", qos)
    try:
        return client.acks.get(timeout=1)
    except queue.Empty:
        return None


def exactly_once():
    """Both sides behind a proxy that cuts their connections: nothing is lost, nothing of QoS 2 comes twice."""
    proxy, count = sys.argv[3], int(sys.argv[4])
    for version, qos in ((V3, 2), (V5, 2), (V3, 1)):
        subscriber, publisher = (
            lasting(name, version, connect=Client.connected_at_last, address=proxy)
            for name in ("subscriber", "publisher")
        )
        while not subscriber_is_told(subscriber, qos):
            pass
        for number in range(count):
            if number >= 50:
                # After each cut paho sends everything again that it has not heard of.
                assert publisher.acks.get(timeout=60)[0] == "publish"
            publisher.paho.publish("once", str(number), qos)
        # QoS 1 may come again, but what is new comes in order.
        found, seen = [], set()
        while len(seen) < count:
            payload = subscriber.messages.get(timeout=60)[1]
            assert qos == 1 or payload not in seen, payload
            if payload not in seen:
                found.append(int(payload))
            seen.add(payload)
        for _ in range(50):
            assert publisher.acks.get(timeout=60)[0] == "publish"
        assert found == list(range(count)), "out of order"
        assert drained(subscriber) == [] or qos == 1
        for client in (subscriber, publisher):
            client.close()
        for name in ("subscriber", "publisher"):
            Client(name, version).connected_at_last().close()


def before_restart():
    """What `after_restart` finds, in a server that has kept it."""
    publisher = Client().connected()
    kept, five = lasting("kept"), lasting("five", V5, 600)
    kept.subscribe([("s/#", 2), ("gone", 1)])
    kept.unsubscribe("gone")
    identified = Properties(PacketTypes.SUBSCRIBE)
    identified.SubscriptionIdentifier = 7
    five.subscribe("s/+", options=SubscribeOptions(1, noLocal=True), properties=identified)
    kept.close()
    for number in range(500):
        publisher.publish(f"s/{number}", str(number), 1 + number % 2)
    for _ in range(500):
        five.get()
    # It has these, but has not said so.
    five.paho.manual_ack_set(True)
    for number in range(500, 510):
        publisher.publish(f"s/{number}", str(number), 1)
    for _ in range(10):
        five.get()
    willed = Client("willed", V5)
    delayed, lasts = Properties(PacketTypes.WILLMESSAGE), Properties(PacketTypes.CONNECT)
    delayed.WillDelayInterval, lasts.SessionExpiryInterval = 5, 600
    willed.paho.will_set("will/kept", "gone", 1, properties=delayed)
    assert willed.open(clean_start=False, properties=lasts)[1] == 0
    willed.lose()
    clean = lasting("clean")
    clean.subscribe("s/#", 1)
    clean.close()
    Client("clean").connected().close()
    five.lose()


def after_restart():
    publisher, watcher = Client().connected(), Client().connected()
    watcher.subscribe("will/#", 1)
    publisher.publish("s/after", "after", 1)
    publisher.publish("gone", "not subscribed", 1)
    kept = lasting("kept")
    assert kept.session_present
    found = [kept.get() for _ in range(511)]
    expected = [(f"s/{n}", str(n).encode(), 1 + n % 2 if n < 500 else 1, False) for n in range(510)]
    expected.append(("s/after", b"after", 1, False))
    assert by_qos(found) == by_qos(expected), found[:9]
    five = Client("five", V5)
    seen = queue.Queue()
    five.paho.on_message = lambda _c, _u, message: seen.put(message)
    lasts = Properties(PacketTypes.CONNECT)
    lasts.SessionExpiryInterval = 600
    assert five.open(clean_start=False, properties=lasts)[1] == 0
    assert five.session_present
    # Whether some of the first come again depends on how the server ended: nobody promises that they do not.
    found = [seen.get(timeout=SOON)]
    while found[-1].payload != b"after":
        found.append(seen.get(timeout=SOON))
    found = [message for message in found if message.topic == "s/after" or int(message.payload) >= 500]
    assert [message.payload for message in found[:-1]] == [str(n).encode() for n in range(500, 510)]
    assert all(message.properties.SubscriptionIdentifier == [7] for message in found)
    assert not lasting("clean").session_present
    assert watcher.get()[:2] == ("will/kept", b"gone")
    for client in (publisher, watcher, kept, five):
        client.close()


def of_user(user, name="same", version=V3, **options):
    """A client of a user who wants to go on with its session."""
    def connect(client, **options):
        client.paho.username_pw_set(user, "hunter2")
        return client.connected(**options)
    return lasting(name, version, connect=connect, **options)


def publish_to_users():
    for user in ("ann", "bob"):
        publisher = of_user(user, "publisher")
        publisher.publish(f"iot/{user}/x", f"for {user}", 1)
        publisher.close()


def users_before():
    """Two users with one client id have a session each."""
    clients = [(user, of_user(user)) for user in ("ann", "bob")]
    for user, client in clients:
        assert not client.session_present
        client.subscribe(f"iot/{user}/#", 1)
    for user, client in clients:
        client.close()
    publish_to_users()


def users_after():
    for version in (V3, V5):
        for user in ("ann", "bob"):
            client = of_user(user, version=version)
            assert client.session_present, user
            assert client.get() == (f"iot/{user}/x", f"for {user}".encode(), 1, False)
            assert client.messages.empty()
            client.close()
        publish_to_users()


def users_given_back():
    """What ann had was taken back meanwhile, and given back."""
    ann, bob = of_user("ann"), of_user("bob")
    assert bob.session_present and bob.get()[1] == b"for bob"
    assert not ann.session_present and ann.messages.empty()
    for client in (ann, bob):
        client.close()


def users_revoked():
    ann = Client("same", clean_session=False)
    ann.paho.username_pw_set("ann", "hunter2")
    assert ann.open()[1] != 0
    ann.close()


def two_nodes():
    """A client may come to another node each time: its session goes with it, and nothing is lost or doubled."""
    addresses = [sys.argv[1], sys.argv[3]]
    publishers = [Client(f"publisher-{n}").connected(address=address) for n, address in enumerate(addresses)]
    published = 0
    for version in (V3, V5):
        first = lasting("wanderer", version, address=addresses[0])
        assert not first.session_present
        first.subscribe([("w/+", 2), ("other", 1)])
        # The earlier connection is closed, on whatever node it is.
        first.paho.reconnect_delay_set(60, 60)
        second = lasting("wanderer", version, address=addresses[1])
        assert second.session_present
        assert first.events.get(timeout=SOON)[0] == "disconnect"
        first.close()
        second.close()
        for round in range(6):
            start = published
            for published in range(start, start + 50):
                publishers[published % 2].publish(f"w/{published}", str(published), 2)
            published += 1
            # While it comes more is published.
            for number in range(published, published + 50):
                publishers[number % 2].paho.publish(f"w/{number}", str(number), 2)
            client = lasting("wanderer", version, address=addresses[round % 2])
            assert client.session_present, round
            published += 50
            found = sorted(int(client.get()[1]) for _ in range(published - start))
            assert found == list(range(start, published)), found
            for publisher, half in zip(publishers, (25, 25)):
                for _ in range(half):
                    assert publisher.acks.get(timeout=SOON)[0] == "publish"
            assert client.messages.empty()
            client.close()
        clean = Client("wanderer", version).connected(address=addresses[1])
        assert not clean.session_present
        clean.close()
        anew = lasting("wanderer", version, address=addresses[0])
        assert not anew.session_present
        anew.close()
        Client("wanderer", version).connected().close()
    for publisher in publishers:
        publisher.close()


def shared_over_nodes():
    """Each message goes to one of a group, whatever nodes its members are on, also when one has come to another."""
    addresses = [sys.argv[1], sys.argv[3]]
    here = Client("here").connected(address=addresses[0])
    wanderer = lasting("wanderer", address=addresses[0])
    there = Client("there", V5).connected(address=addresses[1])
    members = [here, wanderer, there]
    for member in members:
        member.subscribe("$share/g/jobs/+", 1)
    publisher = Client().connected(address=addresses[0])

    def each_once():
        for number in range(60):
            publisher.publish(f"jobs/{number}", str(number), 1)
        found, until = [[], [], []], time.monotonic() + SOON
        while sum(map(len, found)) < 60 and time.monotonic() < until:
            for got, member in zip(found, members):
                got += drained(member)
        assert sorted(int(m[1]) for m in sum(found, [])) == list(range(60)), found
        assert all(found), found

    each_once()
    wanderer.close()
    members[1] = lasting("wanderer", address=addresses[1])
    assert members[1].session_present
    each_once()
    for one in (*members, publisher):
        one.close()


def own_stores():
    """Where nodes have no store in common a client that comes to another one is told that it begins anew."""
    addresses = [sys.argv[1], sys.argv[3]]
    first = lasting("wanderer", address=addresses[0])
    first.subscribe("w", 1)
    first.paho.reconnect_delay_set(60, 60)
    second = lasting("wanderer", address=addresses[1])
    assert not second.session_present
    assert first.events.get(timeout=SOON)[0] == "disconnect"
    first.close()
    second.subscribe("w", 1)
    second.publish("w", "once", 1)
    assert second.get()[1] == b"once"
    second.close()
    second = lasting("wanderer", address=addresses[1])
    assert second.session_present
    second.close()


def before_death():
    client = lasting("orphan", V5, 600)
    client.subscribe("o/#", 1)
    client.close()
    publisher = Client().connected()
    for number in range(100):
        publisher.publish(f"o/{number}", str(number), 1)
    publisher.close()


def after_death():
    """The session of a node that is gone waits on another one."""
    publisher = Client().connected()
    for number in range(100, 200):
        publisher.publish(f"o/{number}", str(number), 1)
    client = lasting("orphan", V5, 600)
    assert client.session_present
    found = [int(client.get()[1])]
    while found[-1] != 199:
        found.append(int(client.get()[1]))
    assert found == list(range(200)), found
    for one in (publisher, client):
        one.close()


globals()[sys.argv[2]]()
