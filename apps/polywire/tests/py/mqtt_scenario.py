"""paho-mqtt against a running server: mqtt_scenario.py HOST:PORT SCENARIO"""

import json
import queue
import socket
import sys
import urllib.request

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

SOON = 20
ADDRESS = sys.argv[1]
HOST, PORT = ADDRESS.rsplit(":", 1)
V3, V5 = mqtt.MQTTv311, mqtt.MQTTv5


class Client:
    """A client whose callbacks are queues."""

    def __init__(self, name="", version=V3, transport="tcp", path="/mqtt"):
        self.messages, self.acks, self.events = queue.Queue(), queue.Queue(), queue.Queue()
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version, transport=transport
        )
        if transport == "websockets":
            self.paho.ws_set_options(path=path)
        self.paho.on_message = lambda _c, _u, m: self.messages.put(
            (m.topic, m.payload, m.qos, m.retain)
        )
        self.paho.on_connect = lambda _c, _u, _f, code, p: self.events.put(("connect", code.value, p))
        self.paho.on_disconnect = lambda _c, _u, _f, code, _p: self.events.put(
            ("disconnect", code.value)
        )
        ack = lambda name: lambda _c, _u, mid, codes, _p: self.acks.put(
            (name, mid, [code.value for code in (codes if isinstance(codes, list) else [codes])])
        )
        self.paho.on_subscribe = ack("subscribe")
        self.paho.on_unsubscribe = ack("unsubscribe")
        self.paho.on_publish = ack("publish")

    def open(self, keepalive=30, **options):
        self.paho.connect(HOST, int(PORT), keepalive, **options)
        self.paho.loop_start()
        return self.events.get(timeout=SOON)

    def connected(self, **options):
        assert self.open(**options)[:2] == ("connect", 0)
        return self

    def subscribe(self, *args, **options):
        result, mid = self.paho.subscribe(*args, **options)
        assert result == 0
        return self.answer("subscribe", mid)

    def unsubscribe(self, topic):
        _, mid = self.paho.unsubscribe(topic)
        return self.answer("unsubscribe", mid)

    def publish(self, topic, payload, qos=0, **options):
        info = self.paho.publish(topic, payload, qos, **options)
        return self.answer("publish", info.mid)

    def answer(self, name, mid):
        found = self.acks.get(timeout=SOON)
        assert found[:2] == (name, mid), found
        return found[2]

    def get(self):
        return self.messages.get(timeout=SOON)

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


def qualities():
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
    client.publish("a/b/c", "one copy, of the highest quality", 1)
    assert client.get()[2] == 1
    for topic in ("x/y", "$other", "a", "b", "end"):
        client.publish(topic, topic)
    assert [client.get()[0] for _ in range(3)] == ["a", "b", "end"]
    # Filters that there are not are refused one by one.
    assert client.subscribe([("$share/g/a", 0), ("fine", 0), ("$polywire/#", 0)]) == [128, 0, 128]
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
        lost.paho.loop_stop()
        lost.paho.socket().shutdown(socket.SHUT_RDWR)
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


def wait(seconds):
    """The duration itself is what is tested."""
    try:
        queue.Queue().get(timeout=seconds)
    except queue.Empty:
        pass


def refusals():
    assert raw(connect_bytes(level=6)) == b"\x20\x02\x00\x01"
    assert raw(connect_bytes(flags=0, client=b"")) == b"\x20\x02\x00\x02"
    # There are no persistent sessions.
    assert raw(connect_bytes(flags=0)) == b"\x20\x02\x00\x03"
    connack = b"\x20\x02\x00\x00"
    # Retained messages, wildcards in a topic, a second CONNECT.
    assert raw(connect_bytes() + b"\x31\x04\x00\x01ax") == connack
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
    assert properties.RetainAvailable == 0 and properties.SharedSubscriptionAvailable == 0
    assert client.subscribe("own", options=SubscribeOptions(1, noLocal=True)) == [1]
    assert client.subscribe("$share/g/a", options=SubscribeOptions(0)) == [0x9E]
    assert client.publish("$polywire/x", "x", 1) == [0x87]
    other = Client("", V5).connected()
    client.publish("own", "not for me", 1)
    other.publish("own", "for you", 1)
    assert client.get()[:2] == ("own", b"for you")
    # What the client cannot take is not sent.
    small = Client("small", V5)
    limit = Properties(PacketTypes.CONNECT)
    limit.MaximumPacketSize, limit.ReceiveMaximum, limit.SessionExpiryInterval = 100, 2, 60
    _, _, properties = small.open(properties=limit)
    assert properties.SessionExpiryInterval == 0
    small.subscribe("small", 1)
    other.publish("small", "x" * 200, 1)
    for number in range(20):
        other.publish("small", str(number), 1)
    assert [small.get()[1] for _ in range(20)] == [str(number).encode() for number in range(20)]
    other.paho.reconnect_delay_set(60, 60)
    other.paho.publish("own", "x", 1, retain=True)
    assert (found := other.events.get(timeout=SOON)) == ("disconnect", 0x9A), found
    for one in (client, other, small):
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


globals()[sys.argv[2]]()
