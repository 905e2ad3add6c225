"""A bridge of mosquitto between two brokers: mqtt_bridge.py HOST:PORT HOST:PORT, the second one is mosquitto."""

import queue
import sys

from mqtt_client import SOON, Client

POLYWIRE, MOSQUITTO = sys.argv[1:3]
COUNT = 200


def client(address, name):
    return Client(name).connected(address=address)


def wait_for(end, topic):
    """Reads up to a message on a topic."""
    found = []
    while True:
        message = end.get()
        found.append(message)
        if message[0] == topic:
            return found


def is_led(sender, receiver, topic):
    """Publishes until it comes: the bridge has connected, and subscribed."""
    for _ in range(SOON * 4):
        sender.publish(topic, "x", 1)
        try:
            while receiver.messages.get(timeout=0.25)[0] != topic:
                pass
            return
        except queue.Empty:
            pass
    raise AssertionError(f"{topic} does not come")


def retained(address, topic):
    """What a new subscriber gets at once, or nothing."""
    end = client(address, "later")
    end.subscribe([(topic, 1), ("bridge/later", 1)])
    end.publish("bridge/later", "end", 1)
    found = [message for message in wait_for(end, "bridge/later") if message[0] == topic]
    end.close()
    return found


def main():
    ends = {address: client(address, f"end-{n}") for n, address in enumerate((POLYWIRE, MOSQUITTO))}
    for end in ends.values():
        end.subscribe("bridge/#", 1)
    is_led(ends[POLYWIRE], ends[MOSQUITTO], "bridge/ready/0")
    is_led(ends[MOSQUITTO], ends[POLYWIRE], "bridge/ready/1")
    # What is still on its way.
    for address, other in ((POLYWIRE, MOSQUITTO), (MOSQUITTO, POLYWIRE)):
        ends[address].publish("bridge/settled", "x", 1)
        for end in ends.values():
            wait_for(end, "bridge/settled")

    for address, other in ((POLYWIRE, MOSQUITTO), (MOSQUITTO, POLYWIRE)):
        for n in range(COUNT):
            ends[address].publish(f"bridge/{n % 3}", f"{n}", 1)
        ends[address].publish("bridge/end", "x", 1)
        expected = [(f"bridge/{n % 3}", f"{n}".encode()) for n in range(COUNT)]
        # There and back would be twice here, and more than once there.
        for end in ends.values():
            found = [message[:2] for message in wait_for(end, "bridge/end")[:-1]]
            assert found == expected, (address, found)
        # It went to the other broker, and whatever came back would be here by now.
        ends[other].publish("bridge/after", "x", 1)
        for end in ends.values():
            assert [m[0] for m in wait_for(end, "bridge/after")] == ["bridge/after"]

    for address, other in ((POLYWIRE, MOSQUITTO), (MOSQUITTO, POLYWIRE)):
        topic = f"bridge/kept/{address}"
        ends[address].publish(topic, "kept", 1, retain=True)
        wait_for(ends[other], topic)
        for where in (address, other):
            assert retained(where, topic) == [(topic, b"kept", 1, True)], where
        ends[address].publish(topic, "", 1, retain=True)
        wait_for(ends[other], topic)
        for where in (address, other):
            assert retained(where, topic) == [], where
    for end in ends.values():
        end.close()


main()
