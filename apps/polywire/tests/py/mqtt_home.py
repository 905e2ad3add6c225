"""What Home Assistant does with a hub such as zigbee2mqtt, which is mqtt-home.cjs: mqtt_home.py HOST:PORT DEVICES"""

import json
import sys

import paho.mqtt.client as mqtt
from mqtt_client import V3, V5, Client

DEVICES = int(sys.argv[2])
STATUS, HUB = "homeassistant/status", "zigbee2mqtt/bridge/state"


def home(version):
    client = Client("home", version, clean_session=True) if version == V3 else Client("home", version)
    client.paho.will_set(STATUS, "offline", 1, retain=True)
    # All that is retained may wait for it.
    client.paho.max_inflight_messages_set(1000)
    client.connected()
    client.publish(STATUS, "online", 1, retain=True)
    return client


def read(client, count, wanted):
    """Reads so many messages for which `wanted` is true; others may come between them."""
    found = []
    while len(found) < count:
        message = client.get()
        if wanted(message):
            found.append(message)
    return found


def discover(client):
    """Everything that the hub has announced, each once and as retained."""
    filters = ["homeassistant/+/+/config", "homeassistant/+/+/+/config", "zigbee2mqtt/bridge/#"]
    assert client.subscribe([(one, 1) for one in filters]) == [1, 1, 1]
    is_config = lambda message: message[0].endswith("/config")
    configs = read(client, DEVICES, is_config)
    assert all(retained for _, _, _, retained in configs)
    assert len({topic for topic, *_ in configs}) == DEVICES
    return [json.loads(payload) for _, payload, _, _ in configs]


def states(client, configs):
    """A subscription for each device, as Home Assistant has them."""
    topics = [config["state_topic"] for config in configs]
    for start in range(0, len(topics), 100):
        some = [(topic, 1) for topic in topics[start : start + 100]]
        assert client.subscribe(some) == [1] * len(some)
    # Commands come to the hub, and what they do comes back.
    for config in configs[::100]:
        client.publish(config["command_topic"], "ON", 1)
    changed = read(client, len(configs[::100]), lambda message: not message[3])
    expected = {config["state_topic"] for config in configs[::100]}
    assert {topic for topic, payload, *_ in changed if payload == b"ON"} == expected, changed


def main():
    # The hub is there first.
    watcher = Client("watcher").connected()
    watcher.subscribe([(HUB, 1), (STATUS, 1), ("zigbee2mqtt/bridge/announced", 1)])
    read(watcher, 1, lambda message: message[0] == "zigbee2mqtt/bridge/announced")
    for version in (V3, V5):
        client = home(version)
        states(client, discover(client))
        # It is restarted: others see it go and come, and it finds everything again.
        client.lose()
        read(watcher, 1, lambda message: message[:2] == (STATUS, b"offline"))
        client = home(version)
        read(watcher, 1, lambda message: message[:2] == (STATUS, b"online"))
        configs = discover(client)
        # The hub is restarted.
        client.publish("zigbee2mqtt/bridge/request/restart", "", 1)
        read(client, 1, lambda message: message[:2] == (HUB, b"offline"))
        read(client, 1, lambda message: message[:2] == (HUB, b"online"))
        states(client, configs)
        client.publish(STATUS, "offline", 1, retain=True)
        client.close()
    watcher.publish("zigbee2mqtt/bridge/request/stop", "", 1)
    watcher.close()


main()
