"""An agent with Azure's SDKs for Python, client and service, for asyncio: see agent.py."""

import asyncio

from agent import SOON, flood, payload, serve, tell, tell_message
from azure.messaging.webpubsubclient.aio import WebPubSubClient, WebPubSubClientCredential
from azure.messaging.webpubsubclient.models import CallbackType, WebPubSubDataType
from azure.messaging.webpubsubservice import WebPubSubServiceClient

ROLES = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]
SORTS = {"json": WebPubSubDataType.JSON, "text": WebPubSubDataType.TEXT, "bytes": WebPubSubDataType.BINARY}
clients, last = {}, {}


async def open_client(request):
    name, connection = request["client"], f"Endpoint=http://{request['address']};AccessKey={request['key']};Version=1.0;"
    service = WebPubSubServiceClient.from_connection_string(connection, hub="default")

    async def url():
        return service.get_client_access_token(user_id=request["user"], roles=ROLES)["url"]

    client = clients[name] = WebPubSubClient(
        WebPubSubClientCredential(url), reconnect_retry_total=30, message_retry_total=0, ack_timeout=SOON)
    connected = asyncio.Event()

    async def on_connected(_):
        connected.set()

    async def on_message(message):
        sort = "bytes" if message.data_type == WebPubSubDataType.BINARY else WebPubSubDataType(message.data_type).value
        tell_message(name, message.group, sort, message.data, publisher=message.from_user_id,
                     sequence=message.sequence_id)

    await client.subscribe(CallbackType.CONNECTED, on_connected)
    await client.subscribe(CallbackType.GROUP_MESSAGE, on_message)
    await client.open()
    await asyncio.wait_for(connected.wait(), SOON)


async def subscribe(request):
    await clients[request["client"]].join_group(request["channel"])


async def publish(request):
    data = payload(request)
    data = memoryview(data) if request["sort"] == "bytes" else data
    await clients[request["client"]].send_to_group(request["channel"], data, SORTS[request["sort"]])


async def many(request):
    for one in flood(request):
        await publish(one)


async def leave(request):
    await clients[request["client"]].leave_group(request["channel"])


async def close(request):
    await clients.pop(request["client"]).close()


serve({"open": open_client, "subscribe": subscribe, "publish": publish, "flood": many, "leave": leave, "close": close})
