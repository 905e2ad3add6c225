"""An agent with Emitter's SDK for Python: see agent.py."""

import json
import queue

import emitter
from agent import SOON, flood, payload, serve, tell, tell_message

clients = {}


class Keyed:
    """A client with a key for everything."""

    def __init__(self, name, request):
        self.name, self.sdk = name, emitter.Client()
        self.connected, self.answers, self.errors = queue.Queue(), queue.Queue(), queue.Queue()
        self.sdk.on_message = lambda message: tell_message(name, message.channel, "bytes", message.binary)
        self.sdk.on_presence = self.on_presence
        self.sdk.on_connect = lambda: self.connected.put(None)
        self.sdk.on_keygen = self.sdk.on_me = self.answers.put
        self.sdk.on_error = self.errors.put
        host, port = request["address"].rsplit(":", 1)
        self.sdk.connect(host=host, port=int(port), secure=False, username=request.get("user"))
        self.sdk.loop_start()
        self.connected.get(timeout=SOON)
        self.sdk.keygen(request["master"], "#/", "rwslp")
        self.key = self.answers.get(timeout=SOON)["key"]

    def on_presence(self, event):
        if event.get("event") == "status":
            self.answers.put(event)
        elif event.get("event"):
            tell(self.name, "presence", channel=event["channel"], action=event["event"], user=event["who"])

    def me(self):
        """Everything that was sent before has been done when this returns."""
        self.sdk.me()
        me = self.answers.get(timeout=SOON)
        if not self.errors.empty():
            raise RuntimeError(self.errors.get())
        return me["id"]


def open(request):
    client = clients[request["client"]] = Keyed(request["client"], request)
    return client.me()


def subscribe(request):
    client = clients[request["client"]]
    if request.get("presence"):
        client.sdk.presence(client.key, request["channel"], status=True, changes=True)
        client.answers.get(timeout=SOON)
    else:
        options = [emitter.Client.with_last(request["last"])] if "last" in request else []
        client.sdk.subscribe(client.key, request["channel"], options=options)
    client.me()


def send(client, request):
    data = payload(request)
    data = json.dumps(data) if request["sort"] == "json" else data
    options = [emitter.Client.with_ttl(request["ttl"])] if "ttl" in request else []
    client.sdk.publish(client.key, request["channel"], data, options=options)


def publish(request):
    client = clients[request["client"]]
    send(client, request)
    client.me()


def many(request):
    client = clients[request["client"]]
    for one in flood(request):
        send(client, one)
    client.me()


def who(request):
    client = clients[request["client"]]
    client.sdk.presence(client.key, request["channel"], status=True, changes=None)
    return client.answers.get(timeout=SOON)["who"]


def leave(request):
    client = clients[request["client"]]
    client.sdk.unsubscribe(client.key, request["channel"])
    client.me()


def close(request):
    client = clients.pop(request["client"])
    client.sdk.disconnect()
    client.sdk.loop_stop()


serve({"open": open, "subscribe": subscribe, "publish": publish, "flood": many, "who": who, "leave": leave, "close": close})
