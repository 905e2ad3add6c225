// An agent with sockjs-client, and with Seth-Pusher's HTTP API: see agent.cjs. Messages do not say which channel they are
// on: a client has one.

import SockJS from 'sockjs-client';
import { createRequire } from 'node:module';
import { publisher } from './publish.mjs';

const { flood, inbox, serve, tell, tellMessage } = createRequire(import.meta.url)('./agent.cjs');
const SOON_MS = 20_000;
const NOTICES = ['connect', 'disconnect', 'subscribe', 'unsubscribe'];
const clients = {};

serve({
  async open({ client: name, address, user, transport = 'websocket' }) {
    const sock = new SockJS(`http://${address}/connect`, null, { transports: [transport], timeout: SOON_MS });
    const client = { sock, channel: null, notices: inbox(), publish: publisher(`http://${address}`) };
    await new Promise((opened, failed) => {
      sock.onopen = opened;
      sock.onclose = (event) => failed(new Error(`closed: ${event.code} ${event.reason}`));
    });
    sock.onmessage = ({ data }) => {
      const { message, sender_id: publisher } = JSON.parse(data);
      if (publisher !== undefined) {
        tellMessage(name, client.channel, 'json', message, { publisher });
      } else if (NOTICES.includes(message.type)) {
        tell(name, 'presence', { channel: client.channel, action: message.type, user: message.subscriber_id });
        if (message.type === 'subscribe') client.notices.put(message);
      }
    };
    if (user !== null) sock.send(JSON.stringify({ type: 'connect', subscriber_id: user }));
    clients[name] = client;
  },

  async subscribe({ client: name, channel }) {
    const client = clients[name];
    client.channel = channel;
    client.sock.send(JSON.stringify({ type: 'subscribe', channel }));
    await client.notices.get();
  },

  publish: ({ client, channel, data }) =>
    clients[client].publish(`/api/channels/${encodeURIComponent(channel)}/`, [data]),

  flood: (request) =>
    clients[request.client].publish(
      `/api/channels/${encodeURIComponent(request.channel)}/`,
      flood(request).map(({ data }) => data),
    ),

  leave({ client, channel }) {
    clients[client].sock.send(JSON.stringify({ type: 'unsubscribe', channel }));
  },

  async close({ client }) {
    const { sock } = clients[client];
    delete clients[client];
    if (sock.readyState === SockJS.CLOSED) return;
    const closed = new Promise((done) => { sock.onclose = done; });
    sock.close();
    await closed;
  },
});
