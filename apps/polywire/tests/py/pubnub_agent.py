"""An agent with PubNub's SDK for Python, with its event engine: see agent.py."""

from agent import flood, payload, serve, tell, tell_message
from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNReconnectionPolicy
from pubnub_client import Client

clients, channels = {}, {}


class Listener(SubscribeCallback):
    def __init__(self, name):
        self.name = name

    def status(self, pubnub, status):
        pass

    def message(self, pubnub, message):
        tell_message(
            self.name, message.channel, "json", message.message, publisher=message.publisher,
            subscription=message.subscription, type=message.custom_message_type,
        )

    def signal(self, pubnub, signal):
        tell(self.name, "signal", channel=signal.channel, data=signal.message, publisher=signal.publisher)

    def presence(self, pubnub, event):
        tell(self.name, "presence", channel=event.channel, action=event.event, user=event.uuid,
             occupancy=event.occupancy)


def open(request):
    name = request["client"]
    client = clients[name] = Client(
        request["address"], request.get("mode", "engine"), request["user"],
        reconnect_policy=PNReconnectionPolicy.LINEAR, reconnection_interval=0.2, maximum_reconnection_retries=-1,
    )
    client._in_loop(lambda: client.pubnub.add_listener(Listener(name)))


def subscribe(request):
    client = clients[request["client"]]
    client.subscribe([request["channel"]], presence=request.get("presence", False))
    channels.setdefault(request["client"], []).append(request["channel"])


def publish(request):
    options = {"meta": request["meta"]} if "meta" in request else {}
    if "type" in request:
        options["custom_message_type"] = request["type"]
    clients[request["client"]].publish(request["channel"], payload(request), **options)


def many(request):
    for one in flood(request):
        publish(one)


def signal(request):
    clients[request["client"]].call(
        lambda pubnub: pubnub.signal().channel(request["channel"]).message(request["data"]))


def fire(request):
    clients[request["client"]].call(
        lambda pubnub: pubnub.fire().channel(request["channel"]).message(request["data"]))


def who(request):
    here = clients[request["client"]].call(
        lambda pubnub: pubnub.here_now().channels([request["channel"]]).include_uuids(True))
    return sorted(one.uuid for channel in here.channels for one in channel.occupants)


def history(request):
    channel = request["channel"]
    fetched = clients[request["client"]].call(
        lambda pubnub: pubnub.fetch_messages().channels([channel]).maximum_per_channel(25))
    return [message.message for message in fetched.channels.get(channel, [])]


def leave(request):
    clients[request["client"]].unsubscribe([request["channel"]])


def close(request):
    client = clients.pop(request["client"])
    if joined := channels.pop(request["client"], None):
        client.unsubscribe(joined)


serve({
    "open": open, "subscribe": subscribe, "publish": publish, "flood": many, "signal": signal, "fire": fire,
    "who": who, "history": history, "leave": leave, "close": close,
})
