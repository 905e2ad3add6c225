// An agent with Azure's SDKs for JavaScript, client and service: see agent.cjs.
'use strict';

const { WebPubSubServiceClient } = require('@azure/web-pubsub');
const { WebPubSubClient, WebPubSubJsonReliableProtocol } = require('@azure/web-pubsub-client');
const { flood, inbox, payload, serve, tellMessage } = require('./agent.cjs');

const clients = {};
const ROLES = ['webpubsub.joinLeaveGroup', 'webpubsub.sendToGroup'];
const SORTS = { json: 'json', text: 'text', bytes: 'binary' };

const commands = {
  async open({ client: name, address, user: userId, key }) {
    const connection = `Endpoint=http://${address};AccessKey=${key};Version=1.0;`;
    const service = new WebPubSubServiceClient(connection, 'default', { allowInsecureConnection: true });
    const getClientAccessUrl = async () => (await service.getClientAccessToken({ roles: ROLES, userId })).url;
    const client = new WebPubSubClient(
      { getClientAccessUrl },
      { protocol: WebPubSubJsonReliableProtocol(), messageRetryOptions: { maxRetries: 0 } },
    );
    const connected = inbox();
    client.on('connected', connected.put);
    client.on('group-message', ({ message: { group, dataType, data, fromUserId: publisher, sequenceId } }) =>
      tellMessage(name, group, dataType === 'binary' ? 'bytes' : dataType, data, {
        publisher,
        sequence: sequenceId,
      }));
    await client.start();
    await connected.get();
    clients[name] = client;
  },

  subscribe: ({ client, channel }) => clients[client].joinGroup(channel),

  async publish(request) {
    const found = payload(request);
    const data = request.sort === 'bytes' ? Uint8Array.from(found).buffer : found;
    await clients[request.client].sendToGroup(request.channel, data, SORTS[request.sort]);
  },

  async flood(request) {
    for (const one of flood(request)) await commands.publish(one);
  },

  leave: ({ client, channel }) => clients[client].leaveGroup(channel),

  close({ client }) {
    clients[client].stop();
    delete clients[client];
  },
};

serve(commands);
