"""The real PubNub client in its three modes behind one face, so that a scenario is written once.

sync     PubNub, with threads
classic  PubNubAsyncio with AsyncioSubscriptionManager
engine   PubNubAsyncio as it comes, with the event engine
"""

import asyncio
import queue
import threading
import time
import warnings

warnings.filterwarnings("ignore")

from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNStatusCategory
from pubnub.exceptions import PubNubException
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub import PubNub
from pubnub.pubnub_asyncio import AsyncioSubscriptionManager, PubNubAsyncio

SOON = 20
#: How long it is looked that nothing comes.
SILENCE = 0.6


class Refused(Exception):
    """A call that failed: its status code, the SDK's category, its text."""

    def __init__(self, error):
        status = getattr(error, "status", None)
        self.code = getattr(error, "_status_code", None) or getattr(status, "status_code", None)
        self.category = getattr(status, "category", None)
        self.text = str(error)
        super().__init__(f"{self.code} {self.category} {self.text}")


class Listener(SubscribeCallback):
    def __init__(self, events):
        self.events = events

    def status(self, pubnub, status):
        self.events.put(("status", status))

    def message(self, pubnub, message):
        self.events.put(("message", message))

    def signal(self, pubnub, signal):
        self.events.put(("signal", signal))

    def presence(self, pubnub, presence):
        self.events.put(("presence", presence))

    def message_action(self, pubnub, action):
        self.events.put(("action", action))


class Client:
    clients = []

    def __init__(self, address, mode, uuid, keys=("demo", "demo"), **settings):
        config = PNConfiguration()
        config.publish_key, config.subscribe_key = keys
        config.user_id = uuid
        config.origin, config.ssl, config.daemon = address, False, True
        for name, value in settings.items():
            setattr(config, name, value)
        self.mode, self.uuid, self.events = mode, uuid, queue.Queue()
        self.kept = []
        if mode == "sync":
            self.loop = None
            self.pubnub = PubNub(config)
        else:
            self.loop = asyncio.new_event_loop()
            threading.Thread(target=self.loop.run_forever, daemon=True).start()
            self.pubnub = self._run(self._make(config))
        self._in_loop(lambda: self.pubnub.add_listener(Listener(self.events)))
        Client.clients.append(self)

    async def _make(self, config):
        if self.mode == "classic":
            return PubNubAsyncio(config, subscription_manager=AsyncioSubscriptionManager)
        return PubNubAsyncio(config)

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SOON * 2)

    def _in_loop(self, work):
        if self.loop is None:
            return work()

        async def inside():
            return work()

        return self._run(inside())

    def call(self, make):
        """The result of the endpoint that `make` builds from the client."""
        try:
            if self.loop is None:
                return make(self.pubnub).sync().result

            async def inside():
                return await make(self.pubnub).future()

            envelope = self._run(inside())
        except PubNubException as error:
            raise Refused(error) from None
        if getattr(envelope, "is_error", lambda: False)():
            raise Refused(envelope)
        return envelope.result

    def publish(self, channel, message, **options):
        def make(pubnub):
            builder = pubnub.publish().channel(channel).message(message)
            for name, value in options.items():
                builder = getattr(builder, name)(value)
            return builder

        return int(self.call(make).timetoken)

    def start(self, channels=(), groups=(), presence=False, timetoken=None):
        """Subscribes without waiting."""

        def work():
            builder = self.pubnub.subscribe()
            if channels:
                builder = builder.channels(list(channels))
            if groups:
                builder = builder.channel_groups(list(groups))
            if presence:
                builder = builder.with_presence()
            if timetoken is not None:
                builder = builder.with_timetoken(timetoken)
            builder.execute()

        self._in_loop(work)

    def subscribe(self, *args, **options):
        """Subscribes, and returns when the client says that it is connected."""
        self.start(*args, **options)
        wanted = (
            PNStatusCategory.PNConnectedCategory,
            PNStatusCategory.PNSubscriptionChangedCategory,
        )
        self.next("status", lambda status: status.category in wanted)

    def unsubscribe(self, channels=(), groups=()):
        def work():
            builder = self.pubnub.unsubscribe()
            if channels:
                builder = builder.channels(list(channels))
            if groups:
                builder = builder.channel_groups(list(groups))
            builder.execute()

        self._in_loop(work)

    def next(self, kind, wanted=lambda event: True, within=SOON):
        """The next event of this kind; others are kept for later."""
        for index, (found, event) in enumerate(self.kept):
            if found == kind and wanted(event):
                del self.kept[index]
                return event
        deadline = time.monotonic() + within
        while True:
            try:
                found, event = self.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                shown = [(kind, vars(event)) for kind, event in self.kept]
                raise AssertionError(f"{self.uuid}: no {kind} in time; came: {shown}") from None
            if found == kind and wanted(event):
                return event
            self.kept.append((found, event))

    def expect(self, channel, message, kind="message", subscription=None):
        event = self.next(kind)
        assert (event.channel, event.message) == (channel, message), vars(event)
        assert event.subscription == subscription, vars(event)
        return event

    def expect_presence(self, event, uuid, channel, occupancy=None):
        def wanted(presence):
            return (presence.event, presence.uuid, presence.channel) == (event, uuid, channel)

        presence = self.next("presence", wanted)
        if occupancy is not None:
            assert presence.occupancy == occupancy, vars(presence)
        return presence

    def expect_silence(self, *kinds, within=SILENCE):
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.kept.append(self.events.get(timeout=left))
            except queue.Empty:
                break
        came = [(kind, vars(event)) for kind, event in self.kept if kind in kinds]
        assert not came, came


def refused(work):
    try:
        work()
    except Refused as error:
        return error
    raise AssertionError("it was not refused")
