// A chat room with the vendor's own SDKs, written after its sample: an event handler, a service, and clients of two sorts.
// node webpubsub-chat.cjs KEY [newest]; `GET /run?server=HOST:PORT` on the port that it prints lets them talk.
'use strict';

const assert = require('node:assert');
const express = require('express');
const { WebSocket } = require('ws');
const { WebPubSubServiceClient } = require('@azure/web-pubsub');

const [key, release] = process.argv.slice(2);
const sdk = (name) => require(release ? `web-pubsub-${name}-${release}` : `@azure/web-pubsub-${name}`);
const { WebPubSubEventHandler } = sdk('express');
const { WebPubSubClient, WebPubSubJsonReliableProtocol } = sdk('client');

const TEXT = { contentType: 'text/plain' };
let service;

const handler = new WebPubSubEventHandler('Chat', {
  path: '/eventhandler',
  handleConnect({ context, queries, query }, response) {
    const name = ((queries || query).name || [])[0];
    // The token names nobody, and lets nobody send.
    if (context.userId || !name) return response.fail(401, 'say who you are');
    return response.success({ userId: name, groups: ['everybody'] });
  },
  async onConnected({ context }) {
    await service.group('everybody').sendToAll(`${context.userId} joined`, TEXT);
  },
  async onDisconnected({ context }) {
    await service.sendToAll(`${context.userId} left`, TEXT);
  },
  async handleUserEvent({ context, data }, response) {
    switch (context.eventName) {
      case 'message':
        await service.sendToAll(`[${context.userId}] ${data}`, TEXT);
        return response.success();
      case 'room':
        await service.group(data.room).addConnection(context.connectionId);
        await service.group(data.room).addUser(data.guest);
        await service.group(data.room).sendToAll(`welcome to ${data.room}`, TEXT);
        return response.success();
      case 'whisper':
        await service.sendToUser(data.to, data.text);
        return response.success('whispered', 'text');
      default:
        return response.fail(404, 'no such event');
    }
  },
});

/** Texts that came, one after another. */
function inbox() {
  const come = [];
  const waiting = [];
  return {
    put: (item) => (waiting.length ? waiting.shift()(item) : come.push(item)),
    get: () => (come.length ? come.shift() : new Promise((resolve) => waiting.push(resolve))),
  };
}

async function talk(server) {
  const connection = `Endpoint=http://${server};AccessKey=${key};Version=1.0;`;
  service = new WebPubSubServiceClient(connection, 'chat', { allowInsecureConnection: true });
  const url = async (name) => `${(await service.getClientAccessToken()).url}&name=${name}`;
  const [ann, bob] = [inbox(), inbox()];
  const socket = new WebSocket(await url('ann'));
  socket.on('message', (data) => ann.put(data.toString()));
  await new Promise((opened) => socket.on('open', opened));
  assert.strictEqual(await ann.get(), 'ann joined');
  const client = new WebPubSubClient(
    { getClientAccessUrl: () => url('bob') },
    { protocol: WebPubSubJsonReliableProtocol(), messageRetryOptions: { maxRetries: 0 } },
  );
  client.on('server-message', ({ message }) => bob.put(message.data));
  client.on('group-message', ({ message }) => bob.put(message.data));
  await client.start();
  const both = async (text) => {
    for (const box of [ann, bob]) assert.strictEqual(await box.get(), text);
  };
  await both('bob joined');
  socket.send('hello');
  await both('[ann] hello');
  await client.sendEvent('MESSAGE', 'hi', 'text').catch((error) => {
    // The name of an event has its case for a handler, which takes every name here.
    assert.strictEqual(error.errorDetail.name, 'InternalServerError');
  });
  await client.sendEvent('message', 'hi', 'text');
  await both('[bob] hi');
  await client.sendEvent('room', { room: 'kitchen', guest: 'ann' }, 'json');
  await both('welcome to kitchen');
  await client.sendEvent('whisper', { to: 'ann', text: 'psst' }, 'json');
  // JSON is what the service sends unless it is told otherwise.
  assert.strictEqual(await ann.get(), '"psst"');
  assert.strictEqual(await bob.get(), 'whispered');
  await assert.rejects(client.sendToGroup('kitchen', 'x', 'text'), (error) => error.errorDetail.name === 'Forbidden');
  assert.strictEqual(await service.userExists('ann'), true);
  socket.close();
  assert.strictEqual(await bob.get(), 'ann left');
  assert.strictEqual(await service.userExists('ann'), false);
  client.stop();
}

const app = express();
app.get('/run', (request, response) => {
  talk(request.query.server).then(
    () => response.send('done'),
    (error) => response.status(500).send(error.stack),
  );
});
app.use(handler.getMiddleware());
const listener = app.listen(0, '127.0.0.1', () => console.log(`port ${listener.address().port}`));
