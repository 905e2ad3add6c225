"""A paho-mqtt client whose callbacks are queues, for HOST:PORT in the first argument."""

import queue
import socket
import sys

import paho.mqtt.client as mqtt

SOON = 20
ADDRESS = sys.argv[1]
HOST, PORT = ADDRESS.rsplit(":", 1)
V3, V5 = mqtt.MQTTv311, mqtt.MQTTv5


class Client:
    """A client whose callbacks are queues."""

    def __init__(self, name="", version=V3, transport="tcp", path="/mqtt", **options):
        self.messages, self.acks, self.events = queue.Queue(), queue.Queue(), queue.Queue()
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=version,
            transport=transport,
            **options,
        )
        if transport == "websockets":
            self.paho.ws_set_options(path=path)
        self.paho.on_message = lambda _c, _u, m: self.messages.put(
            (m.topic, m.payload, m.qos, m.retain)
        )
        self.paho.on_connect = self.on_connect
        self.paho.on_disconnect = lambda _c, _u, _f, code, _p: self.events.put(
            ("disconnect", code.value)
        )
        ack = lambda name: lambda _c, _u, mid, codes, _p: self.acks.put(
            (name, mid, [code.value for code in (codes if isinstance(codes, list) else [codes])])
        )
        self.paho.on_subscribe = ack("subscribe")
        self.paho.on_unsubscribe = ack("unsubscribe")
        self.paho.on_publish = ack("publish")

    def on_connect(self, _client, _userdata, flags, code, properties):
        self.session_present = flags.session_present
        self.events.put(("connect", code.value, properties))

    def open(self, keepalive=30, address=ADDRESS, **options):
        host, port = address.rsplit(":", 1)
        self.paho.connect(host, int(port), keepalive, **options)
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

    def lose(self):
        """The connection is gone, and the server has to find out."""
        self.paho.loop_stop()
        self.paho.socket().shutdown(socket.SHUT_RDWR)


def wait(seconds):
    """The duration itself is what is tested."""
    try:
        queue.Queue().get(timeout=seconds)
    except queue.Empty:
        pass
