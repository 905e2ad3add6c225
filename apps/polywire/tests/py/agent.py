"""An agent: clients of one SDK in a process of their own, led by a test line by line.

A line on stdin asks: {"id": 7, "do": "subscribe", "client": "ann", ...}. It is answered on stdout by {"id": 7, "gives": ...}
or {"id": 7, "error": "..."}; what a client is told stands there as it comes: {"client": "ann", "event": "message", ...}. The
agent ends with its stdin. `agent.cjs` is the same for JavaScript.
"""

import asyncio
import json
import os
import sys
import threading

SOON = 20
_writing = threading.Lock()


def _say(line):
    with _writing:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def tell(client, event, **more):
    """What a client was told."""
    _say({"client": client, "event": event, **more})


def tell_message(client, channel, sort, data, **more):
    """A message: `json`, `text`, or `bytes`, which stand in hexadecimal."""
    if sort == "bytes":
        data = bytes(data).hex()
    tell(client, "message", channel=channel, sort=sort, data=data, **more)


def payload(request):
    """What a request says is to be published: as JSON and text, or as bytes."""
    if request["sort"] == "bytes":
        return bytes.fromhex(request["data"])
    return request["data"]


def flood(request):
    """The requests that a flood stands for: numbered messages, with what else it says."""
    for number in range(request["first"], request["first"] + request["count"]):
        yield {**request, "sort": "json", "data": {"by": request["by"], "n": number}}


_loop = asyncio.new_event_loop()
threading.Thread(target=_loop.run_forever, daemon=True).start()


def serve(commands):
    """Does what it is asked, one thing after the other: functions, or coroutines, of the request."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            gives = commands[request["do"]](request)
            if asyncio.iscoroutine(gives):
                gives = asyncio.run_coroutine_threadsafe(gives, _loop).result(2 * SOON)
            _say({"id": request["id"], "gives": gives})
        except Exception as error:
            _say({"id": request["id"], "error": repr(error)})
    # Threads of the SDKs would go on.
    os._exit(0)
