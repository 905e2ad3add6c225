// An agent with mqtt.js, where topics are channels as they are: see agent.cjs.
'use strict';

const { once } = require('node:events');
const mqtt = require('mqtt');
const { bytes, flood, serve, tell, tellMessage } = require('./agent.cjs');

const clients = {};

const commands = {
  async open({ client: name, address, user: clientId, keeps = false, version = 5, once: onlyOnce = false }) {
    const client = mqtt.connect(`mqtt://${address}`, {
      clientId,
      protocolVersion: version,
      clean: !keeps,
      properties: version === 5 && keeps ? { sessionExpiryInterval: 60 } : undefined,
      // One that is taken over must not take over in turn.
      reconnectPeriod: onlyOnce ? 0 : 50,
      // The session has the subscriptions.
      resubscribe: !keeps,
    });
    client.on('message', (topic, payload, { retain, qos, dup }) =>
      tellMessage(name, topic, 'bytes', payload, { retained: retain, qos, again: dup }));
    client.on('connect', () => tell(name, 'connected'));
    // While it is cut off.
    client.on('error', () => {});
    await once(client, 'connect');
    clients[name] = client;
  },

  async subscribe({ client, channel, qos = 1 }) {
    await clients[client].subscribeAsync(channel, { qos });
  },

  async publish(request) {
    const { client, channel, qos = 1, retain = false } = request;
    await clients[client].publishAsync(channel, bytes(request), { qos, retain });
  },

  async flood(request) {
    for (const one of flood(request)) await commands.publish(one);
  },

  async leave({ client, channel }) {
    await clients[client].unsubscribeAsync(channel);
  },

  async close({ client }) {
    await clients[client].endAsync();
    delete clients[client];
  },
};

serve(commands);
