"""The Emitter SDK against a running server: emitter_scenario.py HOST:PORT SCENARIO MASTER_KEY [MORE]"""

import json
import queue
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import emitter
import paho.mqtt.client as mqtt

SOON = 20
ADDRESS, MASTER = sys.argv[1], sys.argv[3]
HOST, PORT = ADDRESS.rsplit(":", 1)


class Sdk:
    """A client of the SDK whose callbacks are queues."""

    def __init__(self, address=ADDRESS, username=None, secure=False):
        self.client = emitter.Client()
        self.messages, self.errors, self.presences = queue.Queue(), queue.Queue(), queue.Queue()
        self.answers, self.events = queue.Queue(), queue.Queue()
        self.client.on_message = lambda m: self.messages.put((m.channel, m.binary))
        self.client.on_error = self.errors.put
        self.client.on_presence = self.presences.put
        self.client.on_keygen = self.client.on_keyban = self.client.on_me = self.answers.put
        self.client.on_connect = lambda: self.events.put("connect")
        host, port = address.rsplit(":", 1)
        host = "localhost" if secure else host
        self.client.connect(host=host, port=int(port), secure=secure, username=username)
        self.client.loop_start()
        assert self.events.get(timeout=SOON) == "connect"

    def key(self, channel, permissions="rwslp", ttl=0, master=MASTER):
        answer = self.keygen(channel, permissions, ttl, master)
        assert answer["status"] == 200 and answer["channel"] == channel, answer
        return answer["key"]

    def keygen(self, channel, permissions="rwslp", ttl=0, master=MASTER):
        self.client.keygen(master, channel, permissions, ttl)
        return self.answers.get(timeout=SOON)

    def me(self):
        """Everything that was sent before has been done when this returns."""
        self.client.me()
        return self.answers.get(timeout=SOON)

    def subscribe(self, key, channel, *options):
        self.client.subscribe(key, channel, options=list(options))
        self.me()

    def message(self):
        return self.messages.get(timeout=SOON)

    def error(self):
        return self.errors.get(timeout=SOON)

    def presence(self):
        return self.presences.get(timeout=SOON)

    def ended(self):
        """Returns when the server has ended the connection, and the SDK has connected anew."""
        assert self.events.get(timeout=SOON) == "connect"

    def quiet(self):
        self.me()
        assert self.messages.empty() and self.errors.empty(), (
            list(self.messages.queue), list(self.errors.queue))

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Raw:
    """An MQTT client for what the SDK cannot say."""

    def __init__(self, address=ADDRESS, will=None, version=mqtt.MQTTv311, **options):
        self.messages, self.acks = queue.Queue(), queue.Queue()
        self.mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=version, **options)
        if will:
            self.mqtt.will_set(*will)
        self.mqtt.on_message = lambda _c, _u, m: self.messages.put((m.topic, m.payload, m.qos, m.retain))
        connected = queue.Queue()
        self.mqtt.on_connect = lambda _c, _u, _f, code, _p: connected.put(code.value)
        ack = lambda _c, _u, mid, codes, _p: self.acks.put(
            (mid, [code.value for code in (codes if isinstance(codes, list) else [codes])]))
        self.mqtt.on_subscribe = self.mqtt.on_unsubscribe = self.mqtt.on_publish = ack
        host, port = address.rsplit(":", 1)
        self.mqtt.connect(host, int(port))
        self.mqtt.loop_start()
        assert connected.get(timeout=SOON) == 0

    def subscribe(self, topic, qos=0):
        _, mid = self.mqtt.subscribe(topic, qos)
        found, codes = self.acks.get(timeout=SOON)
        assert found == mid
        return mid, codes

    def unsubscribe(self, topic):
        _, mid = self.mqtt.unsubscribe(topic)
        assert self.acks.get(timeout=SOON)[0] == mid
        return mid

    def publish(self, topic, payload, qos=0, **options):
        mid = self.mqtt.publish(topic, payload, qos, **options).mid
        assert self.acks.get(timeout=SOON)[0] == mid
        return mid

    def message(self):
        topic, payload, qos, retain = self.messages.get(timeout=SOON)
        assert not retain
        return topic, payload, qos

    def request(self, name, body, qos=0):
        body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        mid = self.publish(f"emitter/{name}/", body, qos)
        topic, payload, _ = self.message()
        assert topic == f"emitter/{name}/", (topic, payload)
        return json.loads(payload), mid

    def error(self):
        topic, payload, _ = self.message()
        assert topic == "emitter/error/", (topic, payload)
        return json.loads(payload)

    def me(self):
        return self.request("me", "")[0]["id"]

    def key(self, channel, letters="rwslp", **more):
        body = {"key": MASTER, "channel": channel, "type": letters, **more}
        answer, _ = self.request("keygen", body)
        assert answer["status"] == 200, answer
        return answer["key"]

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def kill(self):
        self.mqtt.loop_stop()
        self.mqtt.socket().shutdown(socket.SHUT_RDWR)


def messages():
    one, two = Sdk(), Sdk()
    key = one.key("a/#/")
    one.subscribe(key, "a/b/")
    two.client.publish(key, "a/b/", "text")
    assert one.message() == ("a/b/", b"text"), "without the key, and with the last slash"
    for payload in (b"\xff\x00binary", '{"an" : "object"}', "", "\u00e9"):
        two.client.publish(key, "a/b", payload)
        sent = payload if isinstance(payload, bytes) else payload.encode()
        assert one.message() == ("a/b/", sent)
    # Order, and once for several subscriptions that match.
    one.subscribe(key, "a/")
    one.subscribe(key, "a/+/")
    for number in range(500):
        two.client.publish(key, "a/b/", str(number))
    assert [one.message()[1] for _ in range(500)] == [str(n).encode() for n in range(500)]
    # Its own messages come back, unless it does not want them.
    one.client.publish(key, "a/c/", "echo")
    assert one.message() == ("a/c/", b"echo")
    one.client.publish(key, "a/c/", "no echo", options=[emitter.Client.without_echo()])
    one.quiet()
    for channel in ("a/", "a/+/"):
        one.client.unsubscribe(key, channel)
    one.client.unsubscribe(key, "a/b/")
    one.me()
    two.client.publish(key, "a/b/", "nobody is there")
    two.me()
    one.quiet()
    one.close()
    two.close()


def sub_channels():
    one, two = Sdk(), Sdk()
    key = one.key("#/")
    one.subscribe(key, "a/")
    for channel in ("a/", "a/b/", "a/b/c/d/"):
        two.client.publish(key, channel, channel)
        assert one.message() == (channel, channel.encode())
    one.client.unsubscribe(key, "a/")
    one.subscribe(key, "x/+/z/")
    for channel in ("x/y/z/", "x/9/z/below/"):
        two.client.publish(key, channel, channel)
        assert one.message() == (channel, channel.encode())
    for channel in ("x/y/", "x/y/other/", "a/b/", "ab/"):
        two.client.publish(key, channel, "not for this one")
    two.me()
    one.quiet()
    # `#`, as other MQTT clients write it.
    raw = Raw()
    raw.me()
    assert raw.subscribe(f"{key}/deep/#")[1] == [0]
    two.client.publish(key, "deep/er/", "x")
    assert raw.message()[0] == "deep/er/"
    # Another key for the same channel ends the subscription too.
    raw.unsubscribe(f"{raw.key('deep/', 'r')}/deep/")
    two.client.publish(key, "deep/er/", "y")
    two.me()
    raw.me()
    assert raw.subscribe(f"{key}/#")[1] == [0]
    two.client.publish(key, "any/", "z")
    assert raw.message()[0] == "any/"
    for one in (one, two, raw):
        one.close()


def permissions():
    """Which letter allows what."""
    one = Sdk()
    keys = {letters: one.key("p/", letters) for letters in ("r", "w", "rw", "p", "", "e", "x")}
    one.subscribe(keys["rw"], "p/")
    for letters, key in keys.items():
        one.client.publish(key, "p/", letters)
        if "w" in letters:
            assert one.message() == ("p/", letters.encode())
        else:
            assert one.error()["status"] == 401
        one.client.subscribe(key, "p/")
        if "r" not in letters:
            assert (error := one.error())["status"] == 401 and error["req"] > 0, error
        one.client.presence(key, "p/", status=True)
        answer = one.presence()
        if "p" in letters:
            assert answer["status"] == 200
        else:
            assert answer["status"] == 401 and answer["channel"] == "p/", answer
    # The master key makes keys, and does nothing else.
    one.client.publish(MASTER, "p/", "x")
    assert one.error()["status"] == 401
    # Keys of other channels, forged ones, none at all.
    other, right = one.key("q/", "rw"), keys["rw"]
    forged = right[:-1] + ("A" if right[-1] != "A" else "B")
    for key in (other, forged, right[:-1], right + "A", "nothing", MASTER[:-1]):
        one.client.publish(key, "p/", "x")
        assert one.error()["status"] == 401, key
    one.client.publish(right, "p/below/", "x")
    assert one.error()["status"] == 401
    # One that ends.
    short = one.key("p/", "w", ttl=1)
    one.client.publish(short, "p/", "in time")
    assert one.message()[1] == b"in time"
    deadline = time.monotonic() + SOON
    while one.errors.empty():
        assert time.monotonic() < deadline
        one.client.publish(short, "p/", "again")
        one.me()
    assert one.error()["status"] == 401
    one.close()


def first_error():
    """A wrong key is told also where it is the first thing that a client says."""
    one = Sdk()
    one.client.subscribe("wrong", "a/b/")
    assert one.error()["status"] == 401
    two = Sdk()
    two.client.publish("wrong", "a/b/", "x")
    assert two.error()["status"] == 401
    one.close()
    two.close()


def keygen():
    one = Sdk()
    for channel in ("a/", "a/+/c/", "a/b/#/", "#/", "x/" * 23):
        one.key(channel)
    for channel in ("a", "", "a//", "a b/", "a/#/b/", "x/" * 24):
        assert (answer := one.keygen(channel))["status"] == 400, (channel, answer)
    key = one.key("a/", "rw")
    for master in (key, "wrong", "", MASTER + "x"):
        assert one.keygen("a/", master=master)["status"] == 401
    raw = Raw()
    for body in ("", "x", "[]", '{"key":1,"channel":"a/"}', '{"key":"x"}', b"\xff"):
        assert raw.request("keygen", body)[0]["status"] == 400, body
    # Old SDKs do not say what the key is for; unknown fields and letters are nothing.
    answer, _ = raw.request("keygen", {"key": MASTER, "channel": "old/", "more": [1]})
    raw.subscribe(f"{answer['key']}/old/")
    answer, mid = raw.request("keygen", {"key": MASTER, "channel": "a/", "type": "zr?"}, qos=1)
    assert answer["req"] == mid
    assert raw.request("nothing", "{}")[0]["status"] == 404
    raw.publish("emitter/a/b/", "{}")
    assert json.loads(raw.message()[1])["status"] == 404
    one.close()
    raw.close()


def extend():
    one, two = Sdk(), Sdk()
    key = one.key("private/#/", "rwe")
    for act in (one.client.subscribe, lambda k, c: one.client.publish(k, c, "x")):
        act(key, "private/")
        assert one.error()["status"] == 401
    one.client.presence(key, "private/", status=True)
    assert one.presence()["status"] == 401
    answer = one.keygen("private/", "rwsp", master=key)
    assert answer["channel"] == f"private/{one.me()['id']}/", answer
    own, channel = answer["key"], answer["channel"]
    one.subscribe(own, channel)
    two.client.publish(own, channel, "for one")
    assert one.message() == (channel, b"for one")
    one.client.presence(own, channel, status=True)
    assert one.presence()["status"] == 401, "no more than the key that made it"
    assert one.keygen("private/sub/#/", "r", master=key)["channel"].endswith("/#/")
    assert one.keygen("other/", "r", master=key)["status"] == 401
    assert one.keygen("private/+/", "r", master=key)["status"] == 400
    assert one.keygen("private/", "r", master=own)["status"] == 401
    one.close()
    two.close()


def presence():
    one, two = Sdk(username="u1"), Sdk()
    key = one.key("room/#/")
    ids = [sdk.me()["id"] for sdk in (one, two)]
    two.client.presence(key, "room/", status=True, changes=True)
    assert (answer := two.presence())["who"] == [] and answer["event"] == "status", answer
    one.client.subscribe(key, "room/a/")
    change = two.presence()
    assert isinstance(change.pop("time"), int)
    who = {"id": ids[0], "username": "u1"}
    assert change == {"event": "subscribe", "channel": "room/a/", "who": who}, change
    # Once more is not new.
    one.subscribe(key, "room/a/")
    two.client.subscribe(key, "room/")
    assert (change := two.presence())["channel"] == "room/" and change["who"] == {"id": ids[1]}
    two.client.presence(key, "room/a", status=True, changes=True)
    answer = two.presence()
    assert answer["status"] == 200 and answer["channel"] == "room/a/", answer
    assert isinstance(answer["time"], int) and answer["time"] > 1_700_000_000
    assert sorted(answer["who"], key=lambda w: w["id"]) == sorted(
        [who, {"id": ids[1]}], key=lambda w: w["id"])
    one.client.unsubscribe(key, "room/a/")
    change = two.presence()
    assert (change["event"], change["who"]["id"]) == ("unsubscribe", ids[0]), change
    # A connection that is cut leaves at once.
    one.subscribe(key, "room/+/x/")
    assert two.presence()["channel"] == "room/+/x/"
    one.client.loop_stop()
    one.client._mqtt.socket().shutdown(socket.SHUT_RDWR)
    change = two.presence()
    assert (change["event"], change["channel"]) == ("unsubscribe", "room/+/x/"), change
    # What is absent leaves as it is, false stops; status false is answered all the same.
    two.client.presence(key, "room/a/", status=False, changes=False)
    answer = two.presence()
    assert answer == {"status": 200, "time": 0, "event": "", "channel": "", "who": None}, answer
    two.client.presence(key, "room/", status=False, changes=False)
    two.presence()
    three = Raw()
    three.me()
    three.subscribe(f"{key}/room/a/")
    two.me()
    assert two.presences.empty()
    # Neither said: both, as old SDKs promise.
    answer, _ = three.request("presence", {"key": key, "channel": "room/a/"})
    assert answer["event"] == "status" and len(answer["who"]) == 2, answer
    three.unsubscribe(f"{key}/room/a/")
    assert json.loads(three.message()[1])["event"] == "unsubscribe"
    # Whatever is wrong, the answer has the channel: the SDK ends without it.
    for body in ({"key": "wrong", "channel": "a/b"}, {"channel": "a/b"}, {"key": key, "channel": "a b/"}):
        answer, _ = three.request("presence", body)
        assert answer["status"] in (400, 401) and answer["channel"].endswith("/"), answer
    for body in ("", "x", "{}"):
        assert three.request("presence", body)[0]["channel"] == ""
    two.close()
    three.close()


def stored():
    one, two = Sdk(), Sdk()
    with_ttl, last = emitter.Client.with_ttl, emitter.Client.with_last
    key = one.key("s/#/")
    for number in range(5):
        one.client.publish(key, "s/a/", str(number), options=[with_ttl(60)])
    one.client.publish(key, "s/a/", "not stored")
    one.client.publish(key, "s/b/", "retained", options=[emitter.Client.with_retain()])
    one.client.publish(key, "s/b/", "both", options=[with_ttl(30), emitter.Client.with_retain()])
    no_store = one.key("s/a/", "rw")
    one.client.publish(no_store, "s/a/", "no right to store", options=[with_ttl(60)])
    one.me()

    def replay(channel, *options, key=key):
        two.subscribe(key, channel, *options)
        found = []
        while not two.messages.empty():
            found.append(two.message())
        two.client.unsubscribe(key, channel)
        return [message.decode() for _, message in found]

    assert replay("s/a/", last(3)) == ["2", "3", "4"], "the oldest first"
    assert replay("s/a/") == ["4"], "one where nothing is said"
    assert replay("s/a/", last(0)) == []
    assert replay("s/a/", last(100)) == ["0", "1", "2", "3", "4"]
    assert replay("s/", last(4)) == ["3", "4", "retained", "both"], "sub-channels too"
    assert replay("s/+/", last(4)) == ["3", "4", "retained", "both"]
    assert replay("s/b/", last(9)) == ["retained", "both"], "none replaces another"
    assert replay("s/a/", last(3), key=no_store) == [], "no right to load, no error"
    now = int(time.time())
    assert replay("s/a/", last(9), f"from={now - 600}", f"until={now + 600}") == list("01234")
    assert replay("s/a/", last(9), f"until={now - 600}") == []
    assert replay("s/a/", last(9), f"from={now + 600}") == []
    assert replay("s/a/", last(9), "from=5", "until=9999999999") == list("01234"), "not meant"
    two.quiet()
    # A second subscribe replays again, and what was stored goes out with QoS 0 and without the bit.
    raw = Raw()
    raw.me()
    for _ in range(2):
        raw.subscribe(f"{key}/s/a/?last=1")
        assert raw.message() == ("s/a/", b"4", 0)
    raw.unsubscribe(f"{key}/s/a/")
    answer, _ = raw.request("history", {"key": "", "channel": f"{key}/s/a/?last=2"})
    assert [m["payload"] for m in answer["messages"]] == ["NA==", "Mw=="], answer
    assert "status" not in answer and answer["messages"][0]["channel"] == "s/a/"
    start = answer["messages"][1]["id"]
    body = {"key": key, "channel": "s/a/?last=2", "startFromID": start}
    assert [m["payload"] for m in raw.request("history", body)[0]["messages"]] == ["Mg==", "MQ=="]
    assert raw.request("history", {"channel": f"{no_store}/s/a/"})[0]["status"] == 401
    assert raw.request("history", {"channel": f"{key}/s/a/", "startFromID": "!"})[0]["status"] == 400
    # One that is over is not replayed.
    one.client.publish(key, "s/short/", "soon over", options=[with_ttl(1)])
    one.me()
    deadline = time.monotonic() + SOON
    while replay("s/short/"):
        assert time.monotonic() < deadline
    # At most 64 KiB, the newest.
    for number in range(10):
        one.client.publish(key, "s/big/", str(number) * 10_000, options=[with_ttl(60)])
    one.me()
    assert [big[0] for big in replay("s/big/", last(10))] == list("456789")
    for client in (one, two, raw):
        client.close()


def stored_while_published():
    """Nothing is missed and nothing comes twice for one who subscribes while messages are published."""
    publisher = Raw()
    key = publisher.key("busy/#/")
    total, clients = 2000, []
    for number in range(total):
        if number % 100 == 50:
            client = Raw()
            client.me()
            client.mqtt.subscribe(f"{key}/busy/?last=1000")
            clients.append(client)
        publisher.mqtt.publish(f"{key}/busy/{number % 3}/?ttl=60", str(number))
    for client in clients:
        seen = []
        while not seen or seen[-1] != total - 1:
            seen.append(int(client.message()[1]))
        # From the first one on, all of them; the answer has at most a thousand.
        assert seen == list(range(seen[0], total)), (seen[:3], len(seen))
        client.close()
    publisher.close()


def links():
    one, two = Sdk(), Sdk()
    key = one.key("l/#/")
    one.client.link(key, "l/a/", "a0", True, options=[emitter.Client.with_ttl(5)])
    assert one.me()["links"] == {"a0": "l/a/?ttl=5"}
    one.client.publish_with_link("a0", "through the link")
    assert one.message() == ("l/a/", b"through the link")
    two.client.publish(key, "l/a/", "x")
    assert one.message() == ("l/a/", b"x")
    # They are the connection's own.
    assert "links" not in two.me()
    two.client.publish_with_link("a0", "x")
    assert two.error()["status"] == 400
    raw = Raw()
    for name in ("", "abc", "a/", "a-"):
        body = {"key": key, "channel": "l/a/", "name": name, "subscribe": False, "private": False}
        assert raw.request("link", body)[0]["status"] == 400, name
    bad = {"key": key, "channel": "l/a", "name": "b1", "subscribe": True}
    assert raw.request("link", bad)[0]["status"] == 400
    # The key is looked at when something is published.
    body = {"key": "wrong", "channel": "l/a/?me=1", "name": "b1", "subscribe": True}
    assert raw.request("link", body)[0] == {"status": 200, "name": "b1", "channel": "l/a/?me=1"}
    raw.publish("b1", "x", 1)
    assert raw.error()["status"] == 401
    for client in (one, two, raw):
        client.close()


def keyban():
    one, two = Sdk(), Sdk()
    key, other = one.key("k/", "rw"), one.key("k/", "rw")
    one.subscribe(other, "k/")
    two.subscribe(key, "k/")

    def ban(secret, target, banned):
        one.client.keyban(secret, target, banned)
        return one.answers.get(timeout=SOON)

    for _ in range(2):
        assert ban(MASTER, key, True) == {"status": 200, "banned": True}
    two.ended()
    for client in (one, two):
        client.client.publish(key, "k/", "x")
        assert client.error()["status"] == 401
        client.client.subscribe(key, "k/")
        assert client.error()["status"] == 401
    one.client.publish(other, "k/", "another key is as good as before")
    assert one.message()[0] == "k/"
    assert ban(MASTER, key, False) == {"status": 200, "banned": False}
    one.client.publish(key, "k/", "lifted")
    assert one.message()[1] == b"lifted"
    for secret, target in ((key, other), ("", other), (MASTER, "nothing"), (MASTER, MASTER)):
        assert ban(secret, target, True)["status"] == 401
    two.quiet()
    for client in (one, two):
        client.close()


def ban_one():
    one = Sdk()
    key, banned = one.key("k/", "rw"), one.key("k/", "rw")
    one.client.keyban(MASTER, banned, True)
    assert one.answers.get(timeout=SOON)["status"] == 200
    one.close()
    print(key, banned)


def is_banned():
    key, banned = sys.argv[4:6]
    one = Sdk()
    one.client.publish(banned, "k/", "x")
    assert one.error()["status"] == 401
    one.subscribe(key, "k/")
    one.client.publish(key, "k/", "x")
    assert one.message()[0] == "k/"
    one.close()


def groups():
    one, workers = Sdk(), [Sdk() for _ in range(3)]
    key = one.key("g/#/")
    own = one.key("$share/team/g/", "r")
    workers[0].client.subscribe_with_group(own, "g/", "team")
    for worker in workers[1:]:
        worker.client.subscribe_with_group(key, "g/", "team")
    one.subscribe(key, "g/")
    for worker in workers:
        worker.quiet()
    for number in range(300):
        one.client.publish(key, "g/", str(number))
    assert [one.message()[1] for _ in range(300)] == [str(n).encode() for n in range(300)]
    seen = []
    for worker in workers:
        worker.me()
        part = [int(worker.message()[1]) for _ in range(worker.messages.qsize())]
        assert part == sorted(part) and len(part) > 20, part
        seen += part
    assert sorted(seen) == list(range(300))
    workers[0].client._mqtt.unsubscribe(f"{own}/$share/team/g/")
    workers[0].me()
    workers[1].close()
    workers[2].me()
    one.client.presence(key, "g/", status=True)
    one.presence()
    # The others have gone: whoever is left gets everything, once the server has noticed.
    deadline = time.monotonic() + SOON
    while workers[2].messages.empty():
        assert time.monotonic() < deadline
        one.client.publish(key, "g/", "more")
        one.me()
        workers[2].me()
    workers[0].quiet()
    one.client.publish("wrong", "$share/team/g/", "x")
    assert one.error()["status"] in (400, 401)
    for client in (one, workers[0], workers[2]):
        client.close()


def errors():
    raw = Raw()
    key = raw.key("#/")
    for topic, status in (
        (f"{key}/a", 400), (f"{key}//a/", 400), (f"{key}/a b/", 400), (f"{key}/a/?x", 400),
        (f"{key}/a/?ttl=-1", 400), (f"{key}/a/?ttl=", 400), (f"{key}/\u00e9/", 400), ("zz", 400),
        ("wrong/a/", 401),
    ):
        mid = raw.publish(topic, "x", 1)
        error = raw.error()
        assert (error["status"], error["req"]) == (status, mid), (topic, error)
        raw.publish(topic, "x")
        assert "req" not in raw.error()
    # paho sends no wildcards itself.
    for topic in (f"{key}/a/+/", f"{key}/a/#/"):
        raw.mqtt._send_publish(0, topic.encode(), b"x", info=mqtt.MQTTMessageInfo(0))
        assert raw.error()["status"] == 403
        raw.acks.get(timeout=SOON)
    for filter, status in (
        (f"{key}/a", 400), (f"{key}//a/", 400), (f"{key}/a//b/", 400), (f"{key}/a b/", 400), ("wrong/a/", 401),
    ):
        _, mid = raw.mqtt.subscribe([(filter, 0), (f"{key}/fine/", 0)])
        error = raw.error()
        assert (error["status"], error["req"]) == (status, mid), error
        assert raw.acks.get(timeout=SOON) == (mid, [128, 0])
        mid = raw.unsubscribe(filter)
        assert raw.error() == {**error, "req": mid}
    # Options that SDKs write.
    for options in ("?", "?ttl=5&", "?unknown=1", "?last=many"):
        assert raw.subscribe(f"{key}/ok/a/{options}")[1] == [0]
        raw.publish(f"{key}/ok/a/{options}", "x")
        assert raw.message()[:2] == ("ok/a/", b"x")
    raw.close()


def packet_id_zero():
    """The JavaScript SDK begins to count packets at random, sometimes with 0."""
    sdk = Sdk()
    key = sdk.key("z/", "rw")
    stream = socket.create_connection((HOST, int(PORT)), SOON)
    said = b""

    def hear(length):
        nonlocal said
        while len(said) < length:
            part = stream.recv(1000)
            assert part, said
            said += part
        heard, said = said[:length], said[length:]
        return heard

    def text(text):
        return len(text).to_bytes(2, "big") + text.encode()

    connect = text("MQTT") + b"\x04\x02\x00\x1e" + text("zero")
    stream.sendall(b"\x10" + bytes([len(connect)]) + connect)
    assert hear(4) == b"\x20\x02\x00\x00"
    body = b"\x00\x00" + text(f"{key}/z/")
    stream.sendall(b"\x82" + bytes([len(body) + 1]) + body + b"\x00")
    assert hear(5) == b"\x90\x03\x00\x00\x00"
    sdk.client.publish(key, "z/", "x")
    assert hear(7) == b"\x30\x05\x00\x02z/x"
    stream.sendall(b"\xa2" + bytes([len(body)]) + body)
    assert hear(4) == b"\xb0\x02\x00\x00"
    # On the plain face it is what the standard calls it.
    plain = socket.create_connection((HOST, int(PORT)), SOON)
    body = b"\x00\x00" + text("z") + b"\x00"
    plain.sendall(b"\x10" + bytes([len(connect)]) + connect + b"\x82" + bytes([len(body)]) + body)
    assert plain.recv(4) == b"\x20\x02\x00\x00" and plain.recv(1) == b""
    sdk.close()


def qos_levels():
    one, two = Raw(), Raw(version=mqtt.MQTTv5)
    key = one.key("q/#/")
    two.me()
    for granted in range(3):
        assert two.subscribe(f"{key}/q/{granted}/", granted)[1] == [granted]
        for sent in range(3):
            one.publish(f"{key}/q/{granted}/", f"m{sent}", sent)
            assert two.message() == (f"q/{granted}/", f"m{sent}".encode(), min(granted, sent))
    # The SDK can ask for QoS 1, and waits for answers.
    sdk = Sdk()
    for number in range(100):
        sdk.client.publish(key, "q/2", str(number), options=[emitter.Client.with_at_least_once()])
    assert [two.message()[1] for _ in range(100)] == [str(n).encode() for n in range(100)]
    for client in (one, two, sdk):
        client.close()


def wills():
    watcher = Sdk()
    key = watcher.key("will/#/")
    watcher.subscribe(key, "will/", "last=0")
    lost = Raw(will=(f"{key}/will/lost/?ttl=60", "gone", 1, True))
    lost.kill()
    assert watcher.message() == ("will/lost/", b"gone")
    left = Raw(will=(f"{key}/will/left/", "not to be seen"))
    left.close()
    no_right = Raw(will=(f"{watcher.key('will/', 'r')}/will/", "no right to"))
    no_right.kill()
    watcher.client.publish(key, "will/end/", "x")
    assert watcher.message()[0] == "will/end/"
    watcher.close()


def plain():
    """Plain clients, and those of the SDK, on one port: a channel is the same for both."""
    sdk, plain = Sdk(), Raw()
    key = sdk.key("a/#/")
    sdk.subscribe(key, "a/b/")
    assert plain.subscribe("a/b")[1] == [0]
    plain.publish("a/b", "from plain")
    assert sdk.message() == ("a/b/", b"from plain")
    assert plain.message()[:2] == ("a/b", b"from plain")
    sdk.client.publish(key, "a/b/", "from the SDK")
    assert plain.message()[:2] == ("a/b", b"from the SDK")
    assert sdk.message()[1] == b"from the SDK"
    # Its first topic has decided: now it may say what it likes.
    plain.publish(f"{key}/a/b/", "a plain topic")
    plain.publish("emitter/me/", "")
    plain.publish("a/b", "end")
    assert plain.message()[1] == b"end"
    assert sdk.message()[1] == b"end"
    body = json.dumps({"my": "data"}).encode()
    request = urllib.request.Request(f"http://{ADDRESS}/api/channels/a%2Fb/", body, method="POST")
    assert urllib.request.urlopen(request, timeout=SOON).status == 200
    assert json.loads(sdk.message()[1]) == {"my": "data"}
    sdk.close()
    plain.close()


def emitter_only():
    """No face but the one with keys, on the common port; topics as they are on another address."""
    sdk, plain = Sdk(), Raw(address=sys.argv[4])
    key = sdk.key("a/", "rw")
    sdk.subscribe(key, "a/")
    assert plain.subscribe("a")[1] == [0]
    for topic in ("a", f"{key}/a/", "emitter/me/"):
        plain.publish(topic, topic)
    assert plain.message()[:2] == ("a", b"a")
    assert sdk.message() == ("a/", b"a")
    closed = Raw()
    _, mid = closed.mqtt.subscribe("a")
    assert closed.error()["status"] == 400
    assert closed.acks.get(timeout=SOON) == (mid, [128])
    closed.publish("news", "x", 1)
    assert closed.error()["status"] == 400
    for client in (sdk, plain, closed):
        client.close()


def refused_filters():
    raw, plain = Raw(), Raw()
    key = raw.key("#/")
    assert raw.subscribe(f"{key}/fine/")[1] == [0]
    for filter in (f"{key}/#", f"{key}/secret/"):
        assert raw.mqtt.subscribe(filter)[0] == 0
        assert raw.error()["status"] == 401
        assert raw.acks.get(timeout=SOON)[1] == [128]
    assert plain.subscribe([("#", 0), ("secret/#", 0), ("fine", 0)])[1] == [128, 128, 0]
    raw.close()
    plain.close()


def with_password():
    """With a policy, plain clients have passwords, and those of the SDK have keys."""
    sdk = Sdk(username="ann")
    key = sdk.key("a/", "rw")
    sdk.subscribe(key, "a/")
    sdk.client.publish(key, "a/", "x")
    assert sdk.message() == ("a/", b"x")
    raw = Raw()
    _, mid = raw.mqtt.subscribe("a")
    assert raw.error()["status"] == 400, "without a password it takes a key"
    sdk.close()
    raw.close()


def pages():
    def call(path, body=None, form=None):
        if form is not None:
            body = urllib.parse.urlencode(form).encode()
        try:
            answer = urllib.request.urlopen(f"http://{ADDRESS}{path}", body, timeout=SOON)
            return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    assert call("/health")[0] == 200
    assert "<form" in call("/keygen")[1]
    form = {"key": MASTER, "channel": "web/", "ttl": "0", "sub": "on", "pub": "on", "presence": "on"}
    key = call("/keygen", form=form)[1].split("<code>pw", 1)[1].split("<", 1)[0]
    key = "pw" + key
    sdk = Sdk()
    sdk.subscribe(key, "web/")
    sdk.client.publish(key, "web/", "x")
    assert sdk.message()[0] == "web/"
    code, body = call("/presence", json.dumps({"key": key, "channel": "web"}).encode())
    body = json.loads(body)
    assert code == 200 and body["channel"] == "web/" and body["who"] == [{"id": sdk.me()["id"]}], body
    assert call("/presence", json.dumps({"key": "no", "channel": "web"}).encode())[0] == 401
    assert call("/presence", b"x")[0] == 400
    for wrong in ({"key": "wrong"}, {"channel": "<b>"}, {"ttl": "many"}):
        _, page = call("/keygen", form={**form, **wrong})
        assert "<code>pw" not in page and "<output>" in page and "<b>" not in page, page
    assert "<form" in call("/keygen", b"\xff&=&&%")[1]
    sdk.close()


def over_tls():
    one = Sdk(secure=True)
    key = one.key("a/", "rw")
    one.subscribe(key, "a/")
    one.client.publish(key, "a/", "x")
    assert one.message() == ("a/", b"x")
    one.close()


def other_presence():
    """Who is on a channel by another protocol is there, and the other way round."""
    sdk = Sdk(username="u")
    key = sdk.key("room/")
    sdk.subscribe(key, "room/")

    def here():
        url = f"http://{ADDRESS}/v2/presence/sub-key/demo/channel/room?state=1"
        return json.loads(urllib.request.urlopen(url, timeout=SOON).read())["uuids"]

    assert here() == [{"uuid": sdk.me()["id"], "state": {"username": "u"}}], here()
    sdk.client.presence(key, "room/", status=False, changes=True)
    sdk.presence()
    url = f"http://{ADDRESS}/v2/presence/sub-key/demo/channel/room/heartbeat?uuid=bob&heartbeat=300"
    urllib.request.urlopen(url, timeout=SOON).read()
    assert (change := sdk.presence())["who"] == {"id": "bob"} and change["event"] == "subscribe"
    sdk.client.presence(key, "room/", status=True)
    assert {"id": "bob"} in sdk.presence()["who"]
    sdk.close()


def shared_round(workers, publisher, key, name):
    """What the members of a group got of a hundred messages, when all have come."""
    for number in range(100):
        publisher.client.publish(key, "n/work/", f"{name} {number}")
    publisher.client.publish(key, "n/end/", name)
    seen = []
    for worker in workers:
        while (message := worker.message()) != ("n/end/", name.encode()):
            seen.append(message[1].decode())
    return sorted(seen) == sorted(f"{name} {number}" for number in range(100)) or seen


def two_nodes():
    """Messages, changes, and bans reach another node."""
    other = sys.argv[4]
    one, two = Sdk(), Sdk(address=other)
    key = one.key("n/#/")
    two.client.presence(key, "n/", status=False, changes=True)
    two.presence()
    one.subscribe(key, "n/a/")
    assert two.presence()["who"] == {"id": one.me()["id"]}
    two.client.presence(key, "n/a/", status=True, changes=True)
    assert two.presence()["who"] == [{"id": one.me()["id"]}]
    two.client.publish(key, "n/a/", "to the other node", options=[emitter.Client.with_ttl(60)])
    assert one.message() == ("n/a/", b"to the other node")
    three = Sdk()
    three.subscribe(key, "n/")
    assert three.message() == ("n/a/", b"to the other node"), "stored"
    # One member of a share group gets each message, wherever it is.
    workers = [Sdk(), Sdk(address=other), Sdk(address=other)]
    for worker in workers:
        worker.client.subscribe_with_group(key, "n/work/", "team")
        worker.subscribe(key, "n/end/")
    deadline = time.monotonic() + SOON
    while shared_round(workers, two, key, "knows each node all members?") is not True:
        assert time.monotonic() < deadline
    for number in range(3):
        assert (found := shared_round(workers, two, key, f"round {number}")) is True, found
    for worker in workers:
        worker.close()
    admin = Sdk()
    admin.client.keyban(MASTER, key, True)
    assert admin.answers.get(timeout=SOON)["status"] == 200
    for client in (one, two, three):
        client.ended()
        client.client.publish(key, "n/a/", "x")
        assert client.error()["status"] == 401
    for client in (one, two, three, admin):
        client.close()


def old_keys():
    """Keys of an existing installation, and a key of our own made for them."""
    one = Sdk()
    key = sys.argv[4]
    one.subscribe(key, "a/b/")
    one.client.publish(key, "a/b/", "with an existing key")
    assert one.message() == ("a/b/", b"with an existing key")
    one.client.publish(key, "a/c/", "x")
    assert one.error()["status"] == 401
    admin = Sdk()
    admin.client.keyban(MASTER, key, True)
    assert admin.answers.get(timeout=SOON)["status"] == 200
    one.ended()
    one.client.publish(key, "a/b/", "x")
    assert one.error()["status"] == 401
    for client in (one, admin):
        client.close()


globals()[sys.argv[2]]()
