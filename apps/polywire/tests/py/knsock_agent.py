"""An agent with kn-sock's PubSubClient: see agent.py."""

import queue
import threading

from agent import SOON, flood, payload, serve, tell_message
from kn_sock import PubSubClient

clients = {}


class Reader:
    """A client and a thread that reads what comes; its own topic says that all lines before were done."""

    def __init__(self, name, address):
        host, port = address.rsplit(":", 1)
        self.client, self.settled, self.name = PubSubClient(host, int(port)), queue.Queue(), name
        self.own = f"settled/{name}"
        threading.Thread(target=self.read, daemon=True).start()
        self.client.subscribe(self.own)
        self.settle()

    def read(self):
        try:
            while (message := self.client.recv(None)) is not None:
                if message["topic"] == self.own:
                    self.settled.put(None)
                else:
                    tell_message(self.name, message["topic"], "json", message["message"])
        except OSError:
            # Closed by this agent.
            pass

    def settle(self):
        self.client.publish(self.own, "")
        self.settled.get(timeout=SOON)


def open(request):
    clients[request["client"]] = Reader(request["client"], request["address"])


def subscribe(request):
    reader = clients[request["client"]]
    reader.client.subscribe(request["channel"])
    reader.settle()


def publish(request):
    reader = clients[request["client"]]
    reader.client.publish(request["channel"], payload(request))
    reader.settle()


def many(request):
    reader = clients[request["client"]]
    for one in flood(request):
        reader.client.publish(one["channel"], one["data"])
    reader.settle()


def leave(request):
    reader = clients[request["client"]]
    reader.client.unsubscribe(request["channel"])
    reader.settle()


def close(request):
    clients.pop(request["client"]).client.close()


serve({"open": open, "subscribe": subscribe, "publish": publish, "flood": many, "leave": leave, "close": close})
