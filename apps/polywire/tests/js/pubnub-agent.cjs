// An agent with PubNub's SDK for JavaScript: see agent.cjs.
'use strict';

const PubNub = require('pubnub');
const { flood, inbox, payload, serve, tell, tellMessage } = require('./agent.cjs');

const clients = {};
const CONNECTED = ['PNConnectedCategory', 'PNSubscriptionChangedCategory'];

const commands = {
  open({ client: name, address, user, secret: secretKey }) {
    const pubnub = new PubNub({
      origin: address,
      ssl: false,
      publishKey: 'demo',
      subscribeKey: 'demo',
      userId: user,
      secretKey,
      // Tabs of one user are told apart by it.
      useInstanceId: true,
      retryConfiguration: PubNub.LinearRetryPolicy({ delay: 2, maximumRetry: 10 }),
    });
    const connected = inbox();
    const left = inbox();
    // Nothing in the SDK says when a leave has been answered.
    const leave = pubnub.makeUnsubscribe.bind(pubnub);
    pubnub.makeUnsubscribe = (parameters, answered) =>
      leave(parameters, (...answer) => {
        left.put(answer);
        answered(...answer);
      });
    pubnub.addListener({
      status: (status) => CONNECTED.includes(status.category) && connected.put(status),
      message: ({ channel, subscription, message, publisher, customMessageType: type }) =>
        tellMessage(name, channel, 'json', message, { publisher, subscription, type }),
      signal: ({ channel, message: data, publisher }) => tell(name, 'signal', { channel, data, publisher }),
      presence: ({ channel, action, uuid: user, occupancy }) =>
        tell(name, 'presence', { channel, action, user, occupancy }),
    });
    clients[name] = { pubnub, connected, left };
  },

  async subscribe({ client, channel, presence }) {
    const { pubnub, connected } = clients[client];
    pubnub.subscribe({ channels: [channel], withPresence: presence });
    await connected.get();
  },

  async publish(request) {
    const { client, channel, meta, type } = request;
    const message = payload(request);
    await clients[client].pubnub.publish({ channel, message, meta, customMessageType: type });
  },

  async flood(request) {
    for (const one of flood(request)) await commands.publish(one);
  },

  signal: ({ client, channel, data: message }) => clients[client].pubnub.signal({ channel, message }),
  fire: ({ client, channel, data: message }) => clients[client].pubnub.fire({ channel, message }),

  async who({ client, channel }) {
    const { channels } = await clients[client].pubnub.hereNow({ channels: [channel] });
    return channels[channel].occupants.map(({ uuid }) => uuid).sort();
  },

  async history({ client, channel }) {
    const { channels } = await clients[client].pubnub.fetchMessages({ channels: [channel], count: 25 });
    return (channels[channel] || []).map(({ message }) => message);
  },

  delete: ({ client, channel }) => clients[client].pubnub.deleteMessages({ channel }),

  async leave({ client, channel }) {
    clients[client].pubnub.unsubscribe({ channels: [channel] });
    await clients[client].left.get();
  },

  async close({ client, gone }) {
    const { pubnub, left } = clients[client];
    delete clients[client];
    const isSubscribed = pubnub.getSubscribedChannels().length > 0;
    pubnub.unsubscribeAll();
    // Nobody answers where the server is gone.
    if (isSubscribed && !gone) await left.get();
  },
};

serve(commands);
