"""The real PubSubClient against a running server: knsock_scenario.py HOST:PORT SCENARIO"""

import json
import sys
import threading

from kn_sock import PubSubClient

SOON = 20
HOST, PORT = sys.argv[1].rsplit(":", 1)


def connect():
    return PubSubClient(HOST, int(PORT))


def settle(client):
    """Returns when the server has done all lines before; gives what came meanwhile."""
    topic = f"settle/{id(client)}/{settle.count}"
    settle.count += 1
    client.subscribe(topic)
    client.publish(topic, "settled")
    client.unsubscribe(topic)
    before = []
    while (message := client.recv(SOON)) != {"topic": topic, "message": "settled"}:
        assert message is not None, "no message, or the connection is closed"
        before.append(message)
    return before


settle.count = 0


def subscriber(*topics):
    client = connect()
    for topic in topics:
        client.subscribe(topic)
    assert settle(client) == []
    return client


def expect(client, topic, message):
    got = client.recv(SOON)
    assert got == {"topic": topic, "message": message}, (got, topic, message)
    assert type(got["message"]) is type(message), (got, message)


def subscribe_and_unsubscribe():
    ann, bob = subscriber("news"), subscriber("news")
    bob.publish("news", "one")
    for client in (ann, bob):
        expect(client, "news", "one")
    ann.unsubscribe("news")
    ann.unsubscribe("never/joined")
    assert settle(ann) == []
    bob.publish("news", "two")
    expect(bob, "news", "two")
    assert settle(bob) == [] and settle(ann) == []
    # Gone without a word: nobody else notices.
    ann.close()
    bob.publish("news", "three")
    expect(bob, "news", "three")


def own_messages():
    client = connect()
    client.subscribe("echo")
    client.publish("echo", "mine")
    expect(client, "echo", "mine")
    # The same topic twice is the same as once.
    client.subscribe("echo")
    client.publish("echo", "again")
    expect(client, "echo", "again")
    assert settle(client) == []


def many_topics():
    topics = [f"topic/{n}" for n in range(500)]
    client, other = subscriber(*topics), connect()
    for n, topic in enumerate(topics):
        other.publish(topic, str(n))
        other.publish(topic + "/else", "not for it")
    for n, topic in enumerate(topics):
        expect(client, topic, str(n))
    settle(other)
    assert settle(client) == []


def many_subscribers():
    clients = [subscriber("crowd") for _ in range(100)]
    for n in range(10):
        clients[n].publish("crowd", f"from {n}")
    for client in clients:
        got = sorted(client.recv(SOON)["message"] for _ in range(10))
        assert got == [f"from {n}" for n in range(10)], got


def ordered():
    client, publisher = subscriber("ordered"), connect()
    got = []
    reader = threading.Thread(target=lambda: got.extend(client.recv(SOON)["message"] for _ in range(1000)))
    reader.start()
    for n in range(1000):
        publisher.publish("ordered", str(n))
    reader.join(3 * SOON)
    assert got == [str(n) for n in range(1000)], got[:20]
    # The same in a single write.
    line = lambda n: json.dumps({"action": "publish", "topic": "ordered", "message": f"burst {n}"}) + "\n"
    publisher.sock.sendall("".join(map(line, range(1000))).encode())
    for n in range(1000):
        expect(client, "ordered", f"burst {n}")


def unicode():
    text = 'Grüße, 世界 🎉 \u2028 "quoted" \\ \x00 \n'
    client, publisher = subscriber("café/世界"), connect()
    publisher.publish("café/世界", text)
    expect(client, "café/世界", text)
    # The client escapes; others need not.
    raw = json.dumps({"action": "publish", "topic": "café/世界", "message": text}, ensure_ascii=False)
    publisher.sock.sendall(raw.encode() + b"\n")
    expect(client, "café/世界", text)


def structured():
    client, publisher = subscriber("values"), connect()
    inside = json.dumps({"temp": 21.5})
    for value in [inside, {"a": [1, {"b": None}]}, [], [1, "2"], 7, 1.5, True, False, None, ""]:
        publisher.publish("values", value)
        expect(client, "values", value)
    publisher.sock.sendall(b'{"action":"publish","topic":"values"}\n')
    expect(client, "values", "")


def large():
    client, publisher = subscriber("large"), connect()
    text = "x" * 500_000
    publisher.publish("large", text)
    expect(client, "large", text)


def answers():
    """Publishes to `shared` what it hears on `questions`, until it hears `stop`."""
    client = subscriber("questions")
    print("ready", flush=True)
    while (message := client.recv(SOON)["message"]) != "stop":
        client.publish("shared", {"answer to": message})
    settle(client)


globals()[sys.argv[2]]()
