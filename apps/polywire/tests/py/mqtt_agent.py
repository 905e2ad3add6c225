"""An agent with paho-mqtt, where topics are channels as they are: see agent.py."""

import json

from agent import flood, payload, serve, tell, tell_message
from mqtt_client import V3, V5, Client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

clients = {}


def open(request):
    name = request["client"]
    keeps = request.get("keeps", False)
    version = V5 if request.get("version") == 5 else V3
    options = {"clean_session": not keeps} if version == V3 else {}
    # One that is taken over must not take over in turn.
    options["reconnect_on_failure"] = not request.get("once", False)
    client = clients[name] = Client(request["user"], version, **options)
    client.paho.on_message = lambda _c, _u, message: tell_message(
        name, message.topic, "bytes", message.payload,
        retained=bool(message.retain), qos=message.qos, again=message.dup)

    def on_connect(*args):
        client.on_connect(*args)
        tell(name, "connected")

    client.paho.on_connect = on_connect
    client.paho.reconnect_delay_set(0.05, 0.1)
    connecting = {}
    if version == V5:
        connecting["clean_start"] = not keeps
        if keeps:
            connecting["properties"] = Properties(PacketTypes.CONNECT)
            connecting["properties"].SessionExpiryInterval = 60
    client.connected(address=request["address"], **connecting)


def subscribe(request):
    clients[request["client"]].subscribe(request["channel"], request.get("qos", 1))



def publish(request):
    data = payload(request)
    data = json.dumps(data) if request["sort"] == "json" else data
    retain = request.get("retain", False)
    clients[request["client"]].publish(request["channel"], data, request.get("qos", 1), retain=retain)


def many(request):
    for one in flood(request):
        publish(one)


def leave(request):
    clients[request["client"]].unsubscribe(request["channel"])


def close(request):
    clients.pop(request["client"]).close()


serve({"open": open, "subscribe": subscribe, "publish": publish, "flood": many, "leave": leave, "close": close})
