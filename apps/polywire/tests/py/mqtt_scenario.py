"""paho-mqtt against a running server: mqtt_scenario.py HOST:PORT SCENARIO"""

import json
import queue
import socket
import sys
import time
import urllib.request

import paho.mqtt.client as mqtt
from mqtt_client import ADDRESS, HOST, PORT, SOON, V3, V5, Client, wait
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

def qos_levels():
    for version in (mqtt.MQTTv31, V3, V5):
        subscriber, publisher = Client("s", version).connected(), Client("p", version).connected()
        for granted in range(3):
            topic = f"q/{granted}"
            assert subscriber.subscribe(topic, granted) == [granted]
            for sent in range(3):
                publisher.publish(topic, f"m{sent}", sent)
                expected = (topic, f"m{sent}".encode(), min(granted, sent), False)
                assert (found := subscriber.get()) == expected, found
        # More than may be on their way at a time, each once and in order.
        for number in range(3000):
            publisher.paho.publish("q/2", str(number), 2)
        for number in range(3000):
            assert (found := subscriber.get()) == ("q/2", str(number).encode(), 2, False), found
        subscriber.close()
        publisher.close()


def wildcards():
    client = Client().connected()
    assert client.subscribe([("a/+/c", 0), ("a/#", 1), ("a/b/c", 0), ("+", 0)]) == [0, 1, 0, 0]
    client.publish("a/b/c", "one copy, of the highest QoS", 1)
    assert client.get()[2] == 1
    for topic in ("x/y", "$other", "a", "b", "end"):
        client.publish(topic, topic)
    assert [client.get()[0] for _ in range(3)] == ["a", "b", "end"]
    # Filters that there are not are refused one by one.
    assert client.subscribe([("$share/g", 0), ("fine", 0), ("$polywire/#", 0)]) == [128, 0, 128]
    client.close()


def unsubscribe():
    client = Client("", V5).connected()
    client.subscribe("a")
    client.subscribe("b/+")
    client.subscribe("end")
    assert client.unsubscribe("a") == [0]
    assert client.unsubscribe("b/+") == [0]
    assert client.unsubscribe("never") == [17]
    for topic in ("a", "b/c", "end"):
        client.publish(topic, "x")
    assert client.get()[0] == "end"
    client.close()


def wills():
    watcher = Client().connected()
    watcher.subscribe("will/#", 1)
    for name, version in (("lost", V3), ("lost5", V5)):
        lost = Client(name, version)
        lost.paho.will_set(f"will/{name}", "gone", 1)
        lost.connected()
        lost.lose()
        assert watcher.get() == (f"will/{name}", b"gone", 1, False)
    left = Client("left")
    left.paho.will_set("will/left", "not to be seen")
    left.connected()
    left.close()
    watcher.publish("will/end", "x")
    assert watcher.get()[0] == "will/end"
    watcher.close()


def take_over():
    first = Client("same", V5)
    first.paho.will_set("will/first", "taken over")
    first.connected()
    first.paho.reconnect_delay_set(60, 60)
    watcher = Client().connected()
    watcher.subscribe("will/#")
    second = Client("same", V5).connected()
    assert (found := first.events.get(timeout=SOON)) == ("disconnect", 0x8E), found
    assert watcher.get()[0] == "will/first"
    second.subscribe("t")
    second.publish("t", "still here")
    assert second.get()[1] == b"still here"
    for client in (first, second, watcher):
        client.close()


def connect_bytes(level=4, name=b"MQTT", flags=2, keepalive=0, client=b"raw"):
    body = len(name).to_bytes(2, "big") + name + bytes([level, flags])
    body += keepalive.to_bytes(2, "big") + len(client).to_bytes(2, "big") + client
    return bytes([0x10, len(body)]) + body


def raw(data):
    """What the server says until it closes the connection."""
    stream = socket.create_connection((HOST, int(PORT)), SOON)
    stream.sendall(data)
    said = b""
    while part := stream.recv(1000):
        said += part
    return said


def keep_alive():
    assert raw(connect_bytes(keepalive=1)) == b"\x20\x02\x00\x00"
    # A client that sends what it has to stays.
    client = Client().connected(keepalive=2)
    client.subscribe("t")
    wait(4)
    client.publish("t", "still here")
    assert client.get()[1] == b"still here"
    # Nothing at all after the first byte: CONNECT has a time too.
    assert raw(b"\x10") == b""
    client.close()


def refusals():
    assert raw(connect_bytes(level=6)) == b"\x20\x02\x00\x01"
    assert raw(connect_bytes(flags=0, client=b"")) == b"\x20\x02\x00\x02"
    connack = b"\x20\x02\x00\x00"
    # Retained messages, wildcards in a topic, a second CONNECT.
    assert raw(connect_bytes() + b"\x30\x04\x00\x01+x") == connack
    assert raw(connect_bytes() + connect_bytes()) == connack


def bad_bytes():
    bystander = Client().connected()
    bystander.subscribe("t")
    connack = b"\x20\x02\x00\x00"
    for wrong in (
        b"\x36\x05\x00\x01a\x00\x01",
        b"\x32\x05\x00\x01a\x00\x00",
        b"\x82\x02\x00\x01",
        b"\x80\x06\x00\x01\x00\x01a\x00",
        b"\x30\x03\x00\x01\xff",
        b"\x30\xff\xff\xff\x7f",
        b"\x30\xff\xff\xff\xff\x01",
        b"\xf0\x00",
    ):
        assert (said := raw(connect_bytes() + wrong)) == connack, (wrong, said)
    assert raw(b"\x10\xff\xff\xff\x7f") == b""
    # Whole packets in pieces of one byte.
    stream = socket.create_connection((HOST, int(PORT)), SOON)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in connect_bytes() + b"\xc0\x00":
        stream.sendall(bytes([byte]))
    said = b""
    while len(said) < 6:
        said += stream.recv(10)
    assert said == connack + b"\xd0\x00"
    bystander.publish("t", "x")
    assert bystander.get()[1] == b"x"
    bystander.close()


def version_5():
    client = Client("", V5)
    _, code, properties = client.open()
    assert code == 0 and properties.AssignedClientIdentifier
    assert properties.TopicAliasMaximum == 32
    assert client.subscribe("own", options=SubscribeOptions(1, noLocal=True)) == [1]
    assert client.subscribe("$share/g", options=SubscribeOptions(0)) == [0x8F]
    assert client.publish("$polywire/x", "x", 1) == [0x87]
    # People are told in words, unless they do not want to be.
    for wanted in (1, 0):
        asks = Properties(PacketTypes.CONNECT)
        asks.RequestProblemInformation = wanted
        curious, said = Client("", V5), queue.Queue()
        curious.connected(properties=asks)
        curious.paho.on_publish = lambda _c, _u, _mid, code, found: said.put((code.value, found))
        curious.paho.publish("$polywire/x", "x", 1)
        code, found = said.get(timeout=SOON)
        assert code == 0x87 and ("server's own" in getattr(found, "ReasonString", "")) == wanted
        curious.close()
    other = Client("", V5).connected()
    client.publish("own", "not for me", 1)
    other.publish("own", "for you", 1)
    assert client.get()[:2] == ("own", b"for you")
    # What the client cannot take is not sent.
    small = Client("small", V5)
    limit = Properties(PacketTypes.CONNECT)
    limit.MaximumPacketSize, limit.ReceiveMaximum = 100, 2
    small.open(properties=limit)
    small.subscribe("small", 1)
    other.publish("small", "x" * 200, 1)
    for number in range(20):
        other.publish("small", str(number), 1)
    assert [small.get()[1] for _ in range(20)] == [str(number).encode() for number in range(20)]
    for one in (client, other, small):
        one.close()


def retained():
    """The last one of each topic comes to who subscribes, also by a wildcard, until an empty one is published."""
    for version in (V3, V5):
        publisher, live = Client("", version).connected(), Client("", version).connected()
        live.subscribe("r/#", 1)
        for topic, payload, qos in (
            ("r/a", "old", 0),
            ("r/a", "new", 1),
            ("r/b/c", b"\x00\xff", 2),
            ("r", "[1, 2]", 1),
        ):
            publisher.publish(topic, payload, qos, retain=True)
            payload = payload if isinstance(payload, bytes) else payload.encode()
            # Who is subscribed already sees no retain bit.
            assert (found := live.get()) == (topic, payload, min(qos, 1), False), found
        publisher.publish("r/a", "not retained", 1)
        late = Client("", version).connected()
        assert late.subscribe("r/#", 1) == [1]
        found = sorted(late.get() for _ in range(3))
        expected = [("r", b"[1, 2]", 1, True), ("r/a", b"new", 1, True), ("r/b/c", b"\x00\xff", 1, True)]
        assert found == expected, found
        # At every subscribe again.
        late.subscribe("r/a", 0)
        assert late.get() == ("r/a", b"new", 0, True)
        for topic in ("r/a", "r/b/c", "r"):
            publisher.publish(topic, "", 1, retain=True)
        nobody = Client("", version).connected()
        nobody.subscribe("r/#", 1)
        publisher.publish("r/end", "live", 1)
        assert nobody.get() == ("r/end", b"live", 1, False)
        for client in (publisher, live, late, nobody):
            client.close()
    # A will can be retained.
    lost = Client("lost")
    lost.paho.will_set("r/will", "gone", 1, retain=True)
    lost.connected()
    watcher = Client().connected()
    watcher.subscribe("r/will", 1)
    lost.paho._sock.close()
    assert watcher.get() == ("r/will", b"gone", 1, False)
    late = Client().connected()
    late.subscribe("r/will", 1)
    assert late.get() == ("r/will", b"gone", 1, True)
    # Options of 5.0: when they are sent, and with which bit others come.
    client = Client("", V5).connected()
    client.subscribe("r/will", options=SubscribeOptions(1, retainHandling=2))
    as_published = SubscribeOptions(1, retainAsPublished=True, retainHandling=1)
    client.subscribe("r/+", options=as_published)
    assert client.get()[:2] == ("r/will", b"gone")
    client.subscribe("r/+", options=as_published)
    watcher.publish("r/will", "", 1, retain=True)
    assert client.get() == ("r/will", b"", 1, True)
    for one in (watcher, late, client):
        one.close()


def remembered():
    """Run after a restart of the server: what `retained_before` left is there."""
    client = Client().connected()
    found, until = None, time.monotonic() + SOON
    # A node that has just started may still be asking the others.
    while not found and time.monotonic() < until:
        client.subscribe("kept/#", 1)
        try:
            found = client.messages.get(timeout=0.5)
        except queue.Empty:
            pass
    assert found == ("kept/a", b"still here", 1, True), found
    client.close()


def retained_before():
    client = Client().connected()
    client.publish("kept/a", "still here", 1, retain=True)
    client.publish("kept/b", "not any more", 1, retain=True)
    client.publish("kept/b", "", 1, retain=True)
    client.close()


def sys_topics():
    """What the server says of itself: at once for who subscribes, and again and again."""
    all_names = {
        "version", "uptime", "clients/connected", "clients/disconnected", "clients/total",
        "messages/received", "publish/messages/received",
        "publish/messages/sent", "subscriptions/count", "retained messages/count",
    }
    for version in (V3, V5):
        other = Client("", version).connected()
        # Neither wildcard is for it in the first level.
        other.subscribe([("#", 0), ("+/broker/uptime", 0)])
        other.publish("t/retained", "x", 1, retain=True)
        assert other.get()[0] == "t/retained"
        client = Client("", version).connected()
        client.subscribe("$SYS/#", 1)
        said = {}
        while len(said) < len(all_names):
            topic, payload, qos, retain = client.get()
            assert (qos, retain) == (0, True), (topic, qos, retain)
            said[topic.removeprefix("$SYS/broker/")] = payload.decode()
        assert set(said) == all_names, said
        assert said["version"].startswith("polywire version "), said
        assert said["uptime"].endswith(" seconds"), said
        assert said["retained messages/count"] == "1", said
        # Again each second, as to any subscriber; clients of before may still be on their way out.
        expected = {"clients/connected": "2", "clients/disconnected": "0", "clients/total": "2", "subscriptions/count": "3"}
        live = {}
        while any(live.get(name) != value for name, value in expected.items()):
            topic, payload, _, retain = client.get()
            assert retain is False, topic
            live[topic.removeprefix("$SYS/broker/")] = payload.decode()
        client.unsubscribe("$SYS/#")
        while not client.messages.empty():
            client.get()
        client.subscribe("$SYS/broker/publish/+/received")
        assert client.get()[0] == "$SYS/broker/publish/messages/received"
        # Nobody else says anything there.
        code = [0x87] if version == V5 else [0]
        for retain in (False, True):
            assert client.publish("$SYS/broker/uptime", "mine", 1, retain=retain) == code
        client.subscribe("$SYS/broker/uptime")
        while (found := client.get())[0] != "$SYS/broker/uptime":
            pass
        assert found[1].endswith(b" seconds") and found[3], found
        other.publish("t/retained", "", 1, retain=True)
        assert other.get()[:2] == ("t/retained", b"")
        for one in (client, other):
            one.close()


def properties():
    """What a message of 5.0 says about itself reaches others unchanged; 3.1.1 sees the payload alone."""
    client, old = Client("", V5).connected(), Client("", V3).connected()
    found = queue.Queue()
    client.paho.on_message = lambda _c, _u, message: found.put(message)
    client.subscribe("answers/#", 1)
    old.subscribe("answers/#", 1)
    said = Properties(PacketTypes.PUBLISH)
    said.ContentType, said.ResponseTopic = "text/plain", "answers/7"
    said.CorrelationData, said.UserProperty = b"\x00\xff", [("a", "1"), ("a", "2")]
    said.PayloadFormatIndicator, said.MessageExpiryInterval = 1, 60
    for retain in (False, True):
        client.publish("answers/7", "text", 1, properties=said, retain=retain)
        heard = found.get(timeout=SOON).properties
        for name in ("ContentType", "ResponseTopic", "CorrelationData", "UserProperty", "PayloadFormatIndicator"):
            assert getattr(heard, name) == getattr(said, name), (name, vars(heard))
        assert 50 < heard.MessageExpiryInterval <= 60
        assert old.get() == ("answers/7", b"text", 1, False)
    late = Client("", V5).connected()
    late.paho.on_message = client.paho.on_message
    late.subscribe("answers/+", 1)
    message = found.get(timeout=SOON)
    assert message.retain and message.properties.CorrelationData == b"\x00\xff"
    # Which subscriptions found a message: one copy says all.
    for number, topic in enumerate(("ids/#", "ids/+", "ids/a"), 1):
        numbered = Properties(PacketTypes.SUBSCRIBE)
        numbered.SubscriptionIdentifier = number * 100
        client.subscribe(topic, 1, properties=numbered)
    old.publish("ids/a", "x", 1)
    assert sorted(found.get(timeout=SOON).properties.SubscriptionIdentifier) == [100, 200, 300]
    for one in (client, old, late):
        one.close()


def request_response():
    """Who asks says where the answer goes, and knows it by what comes back with it."""
    service, caller = Client("", V5).connected(), Client("", V5).connected()
    answers = queue.Queue()
    caller.paho.on_message = lambda _c, _u, message: answers.put(message)

    def answer(client, _user, message):
        back = Properties(PacketTypes.PUBLISH)
        back.CorrelationData = message.properties.CorrelationData
        client.publish(message.properties.ResponseTopic, message.payload.upper(), 1, properties=back)

    service.paho.on_message = answer
    service.subscribe("requests/+", 1)
    caller.subscribe("answers/mine", 1)
    for number in range(3):
        asked = Properties(PacketTypes.PUBLISH)
        asked.ResponseTopic, asked.CorrelationData = "answers/mine", bytes([number])
        caller.publish("requests/upper", f"text {number}", 1, properties=asked)
    for number in range(3):
        found = answers.get(timeout=SOON)
        assert found.payload == f"TEXT {number}".encode()
        assert found.properties.CorrelationData == bytes([number])
    for one in (service, caller):
        one.close()


def flow_control():
    """No more is on its way than the client takes at a time."""
    for most in (1, 2):
        sender, slow = Client("", V5).connected(), Client("slow", V5)
        slow.paho.manual_ack_set(True)
        slow.paho.on_message = lambda _c, _u, m: slow.messages.put((m.payload, m.qos, m.mid))
        limit = Properties(PacketTypes.CONNECT)
        limit.ReceiveMaximum = most
        slow.open(properties=limit)
        slow.subscribe("flow/#", 1)
        for number in range(6):
            sender.publish("flow/a", str(number), 1)
        # QoS 0 is not counted, and shows that nothing else was sent before it.
        sender.publish("flow/b", "not counted")
        held = [slow.get() for _ in range(most)]
        assert [payload for payload, _, _ in held] == [str(n).encode() for n in range(most)]
        assert slow.get()[0] == b"not counted"
        for number in range(most, 6):
            _, qos, mid = held.pop(0)
            slow.paho.ack(mid, qos)
            held.append(slow.get())
            assert held[-1][0] == str(number).encode(), held
            sender.publish("flow/b", "not counted")
            assert slow.get()[0] == b"not counted"
        for one in (sender, slow):
            one.close()


def packet_sizes():
    """What is longer than the server takes ends the connection, in 5.0 with the reason."""
    client = Client("", V5)
    _, _, properties = client.open()
    most = properties.MaximumPacketSize
    watcher = Client("", V5).connected()
    watcher.subscribe("sizes")
    # The first byte, four that say how long it is, the topic, its length and that of the properties.
    around = 1 + 4 + 2 + len("sizes") + 1
    payload = b"x" * (1 << 20)
    assert len(payload) + around <= most
    client.publish("sizes", payload, 1)
    assert watcher.get()[1] == payload
    client.paho.reconnect_delay_set(60, 60)
    client.paho.publish("sizes", b"x" * most, 1)
    assert (found := client.events.get(timeout=SOON)) == ("disconnect", 0x95), found
    watcher.publish("sizes", "still here")
    assert watcher.get()[1] == b"still here"
    for one in (client, watcher):
        one.close()


def expiry():
    """Nobody gets a message any more whose time is over."""
    client = Client("", V5).connected()
    soon, later = Properties(PacketTypes.PUBLISH), Properties(PacketTypes.PUBLISH)
    soon.MessageExpiryInterval, later.MessageExpiryInterval = 1, 60
    client.publish("expiry/soon", "x", 1, retain=True, properties=soon)
    client.publish("expiry/later", "x", 1, retain=True, properties=later)
    wait(3)
    for version in (V3, V5):
        late = Client("", version).connected()
        late.subscribe("expiry/#", 1)
        assert late.get()[0] == "expiry/later"
        client.publish("expiry/end", "x", 1)
        assert late.get()[0] == "expiry/end"
        late.close()
    client.close()


def subprotocols():
    """A WebSocket gets the subprotocol that it asked for, the first one that is known."""
    for asked, given in (
        ("mqtt", "mqtt"),
        ("mqttv3.1", "mqttv3.1"),
        ("mqttv5", "mqttv5"),
        ("other, mqttv3.1", "mqttv3.1"),
        (None, None),
    ):
        stream = socket.create_connection((HOST, int(PORT)), SOON)
        request = [
            "GET /mqtt HTTP/1.1", f"Host: {ADDRESS}", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ]
        if asked:
            request.append(f"Sec-WebSocket-Protocol: {asked}")
        stream.sendall("\r\n".join([*request, "", ""]).encode())
        said = b""
        while b"\r\n\r\n" not in said:
            part = stream.recv(1000)
            assert part, said
            said += part
        lines = said.decode().split("\r\n")
        assert lines[0].startswith("HTTP/1.1 101"), lines
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        assert headers.get("sec-websocket-protocol") == given, (asked, headers)
        stream.close()


def over_tls():
    """Run with a certificate for the server's address: MQTT and MQTT over WebSocket on the common port."""
    for transport in ("tcp", "websockets"):
        for version in (V3, V5):
            client = Client("", version, transport)
            client.paho.tls_set(ca_certs=sys.argv[3])
            client.connected()
            client.subscribe("t/+", 1)
            for payload in (b"over TLS", b"x" * 300_000):
                client.publish("t/a", payload, 1)
                assert client.get() == ("t/a", payload, 1, False)
            client.close()


def aliases():
    """Short names for topics, from clients and to those that allow some."""
    allows = Properties(PacketTypes.CONNECT)
    allows.TopicAliasMaximum = 2
    client = Client("", V5)
    client.open(properties=allows)
    found = queue.Queue()
    client.paho.on_message = lambda _c, _u, message: found.put(message)
    client.subscribe("t/#", 1)
    sender = Client("", V5).connected()
    short = Properties(PacketTypes.PUBLISH)
    short.TopicAlias = 3
    sender.publish("t/long/name", "0", 1, properties=short)
    # paho lets nobody publish without a topic, unless there is a short name.
    for number in range(1, 4):
        sender.publish("", str(number), number % 3, properties=short)
    seen = [found.get(timeout=SOON) for _ in range(4)]
    assert [message.payload for message in seen] == [b"0", b"1", b"2", b"3"]
    # paho does not look short names up: the first message says the name, and the others have only the short one.
    assert [message.topic for message in seen] == ["t/long/name", "", "", ""], [m.topic for m in seen]
    assert [message.properties.TopicAlias for message in seen] == [1, 1, 1, 1]
    for topic in ("t/2", "t/3"):
        sender.publish(topic, topic, 1)
    assert [found.get(timeout=SOON).topic for _ in range(2)] == ["t/2", "t/3"]
    for alias, topic in ((33, "t"), (9, "")):
        wrong = Client("", V5).connected()
        wrong.paho.reconnect_delay_set(60, 60)
        short.TopicAlias = alias
        wrong.paho.publish(topic, "x", 1, properties=short)
        assert (found_event := wrong.events.get(timeout=SOON)) == ("disconnect", 0x94), found_event
        wrong.close()
    for one in (client, sender):
        one.close()


def shared():
    """Each message goes to one of a group, and to everybody else as ever."""
    for version in (V3, V5):
        members = [Client(f"m{n}", version).connected() for n in range(3)]
        for member in members:
            assert member.subscribe("$share/group/jobs/+", 1) == [1]
        other = Client("other", version).connected()
        other.subscribe("jobs/+", 1)
        for number in range(60):
            other.publish(f"jobs/{number}", str(number), 1)
            assert other.get()[1] == str(number).encode()
        last = Client("last", version).connected()
        assert last.subscribe("$share/last/jobs/end") == [0]
        other.publish("jobs/end", "end", 1)
        assert last.get()[1] == b"end"
        seen = [[], [], []]
        while sum(map(len, seen)) < 61:
            for mine, member in zip(seen, members):
                while not member.messages.empty():
                    mine.append(member.messages.get()[1].decode())
        assert sorted(sum(seen, [])) == sorted([*map(str, range(60)), "end"])
        assert all(len(mine) > 3 for mine in seen), seen
        # Who leaves, or is gone, gets nothing any more, and nothing is lost.
        assert members[0].unsubscribe("$share/group/jobs/+") in ([], [0])
        members[1].close()
        for number in range(10):
            other.publish("jobs/x", str(number), 1)
        assert [members[2].get()[1] for _ in range(10)] == [str(n).encode() for n in range(10)]
        for one in (members[0], members[2], other, last):
            one.close()


def other_protocols():
    client = Client().connected()
    client.subscribe("news")
    body = json.dumps({"my": "data"}).encode()
    request = urllib.request.Request(f"http://{ADDRESS}/api/channels/news/", body, method="POST")
    assert urllib.request.urlopen(request, timeout=SOON).status == 200
    topic, payload, qos, retain = client.get()
    assert (topic, json.loads(payload), qos, retain) == ("news", {"my": "data"}, 0, False)
    # Back out byte for byte.
    for payload in (b'{"a" : 1}', b'"text"', b" 1", "\u00e9".encode(), b"\xff\x00", b""):
        client.publish("news", payload)
        assert client.get()[1] == payload
    client.close()


def websocket():
    for version in (V3, V5):
        for path in ("/mqtt", "/"):
            client = Client("", version, "websockets", path).connected()
            client.subscribe("t", 1)
            client.publish("t", "over frames", 1)
            assert client.get() == ("t", b"over frames", 1, False)
            client.close()


def password():
    right = Client()
    right.paho.username_pw_set("anybody", "bruce_wayne")
    right.connected()
    right.close()
    for version, code in ((V3, 134), (V5, 134)):
        wrong = Client("", version)
        wrong.paho.reconnect_delay_set(60, 60)
        wrong.paho.username_pw_set("anybody", "joker")
        assert (found := wrong.open())[1] == code, found
        wrong.close()


def users():
    """Each user name has a place of its own, whatever the client id is."""
    for version in (V3, V5):
        ends = []
        for name in ("ann", "bob"):
            end = Client(f"{name}-{version}", version)
            end.paho.username_pw_set(name, "hunter2")
            ends.append(end.connected())
        ann, bob = ends
        refused = 128 if version == V3 else 135
        assert ann.subscribe([("home/ann/#", 1), ("home/bob/#", 1), ("#", 0)]) == [1, refused, refused]
        assert bob.subscribe("home/bob/+", 1) == [1]
        # 3.1.1 has no word for it.
        assert ann.publish("home/bob/light", "not ann's", 1) == [0 if version == V3 else refused]
        bob.publish("home/bob/light", "bob's", 1)
        assert bob.get()[:2] == ("home/bob/light", b"bob's")
        ann.publish("home/ann/light", "ann's", 1)
        assert ann.get()[:2] == ("home/ann/light", b"ann's")
        for end in ends:
            end.close()


globals()[sys.argv[2]]()
