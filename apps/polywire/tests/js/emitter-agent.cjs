// An agent with Emitter's SDK for JavaScript: see agent.cjs.
'use strict';

const emitter = require('emitter-io');
const { bytes, flood, inbox, serve, tell, tellMessage } = require('./agent.cjs');

const clients = {};

class Keyed {
  constructor({ client: name, address, user: username }) {
    const [host, port] = address.split(':');
    this.sdk = emitter.connect({ host, port: Number(port), secure: false, username });
    this.answers = inbox();
    this.connected = inbox();
    this.errors = [];
    this.sdk.on('connect', this.connected.put);
    for (const answer of ['keygen', 'me']) this.sdk.on(answer, this.answers.put);
    this.sdk.on('message', (message) => {
      if (message.channel === 'emitter/error/') this.errors.push(message.asString());
      else tellMessage(name, message.channel, 'bytes', message.binary);
    });
    this.sdk.on('presence', (event) => {
      if (event.event === 'status') this.answers.put(event);
      else if (event.event) tell(name, 'presence', { channel: event.channel, action: event.event, user: event.who });
    });
  }

  /** Everything that was sent before has been done when this returns. */
  async me() {
    this.sdk.me();
    const { id } = await this.answers.get();
    if (this.errors.length) throw new Error(this.errors.shift());
    return id;
  }

  publish(request) {
    const { channel, ttl } = request;
    this.sdk.publish({ key: this.key, channel, message: bytes(request), ttl });
  }

  async presence(channel, changes) {
    this.sdk.presence({ key: this.key, channel, status: true, changes });
    return (await this.answers.get()).who;
  }
}

serve({
  async open(request) {
    const client = new Keyed(request);
    await client.connected.get();
    client.sdk.keygen({ key: request.master, channel: '#/', type: 'rwslp', ttl: 0 });
    client.key = (await client.answers.get()).key;
    clients[request.client] = client;
    return client.me();
  },

  async subscribe({ client: name, channel, presence, last }) {
    const client = clients[name];
    if (presence) await client.presence(channel, true);
    else client.sdk.subscribe({ key: client.key, channel, last });
    await client.me();
  },

  async publish(request) {
    const client = clients[request.client];
    client.publish(request);
    await client.me();
  },

  async flood(request) {
    const client = clients[request.client];
    for (const one of flood(request)) client.publish(one);
    await client.me();
  },

  who: ({ client, channel }) => clients[client].presence(channel),

  async leave({ client: name, channel }) {
    const client = clients[name];
    client.sdk.unsubscribe({ key: client.key, channel });
    await client.me();
  },

  close({ client }) {
    clients[client].sdk.disconnect();
    delete clients[client];
  },
});
