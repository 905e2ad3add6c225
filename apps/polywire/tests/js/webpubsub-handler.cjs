// An event handler with the vendor's own SDK, which says what it is told.
// node webpubsub-handler.cjs KEY ORIGIN [newest] [CERTIFICATE_FILE KEY_FILE]
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const express = require('express');

const args = process.argv.slice(2);
const release = args.includes('newest') ? 'web-pubsub-express-newest' : '@azure/web-pubsub-express';
const { WebPubSubEventHandler } = require(release);
const [key, origin, certificate, tlsKey] = args.filter((arg) => arg !== 'newest');

/** What is not signed with the key is not from the server. */
function check({ connectionId, signature }) {
  const signed = crypto.createHmac('sha256', key).update(connectionId).digest('hex');
  if (!signature.split(',').includes(`sha256=${signed}`)) throw new Error('a wrong signature');
}

const handler = new WebPubSubEventHandler('default', {
  allowedEndpoints: [`http://elsewhere.test`, `http://${origin}`],
  handleConnect({ context, claims, query, headers, subprotocols }, response) {
    check(context);
    if (headers.upgrade === undefined) console.log('asked about no handshake');
    if (context.userId === 'mallory') return response.fail(403, 'not you');
    if (claims.sub[0] === 'plain') return response.success();
    if (claims.sub[0] === 'none') return response.success({ roles: [], groups: [] });
    response.setState('events', 0);
    response.setState('room', (query.room || [])[0]);
    const answer = { userId: `user-${claims.sub[0]}`, groups: ['lobby'] };
    answer.roles = ['webpubsub.sendToGroup'];
    if (subprotocols.includes('chat.v1')) answer.subprotocol = 'chat.v1';
    return response.success(answer);
  },
  onConnected({ context }) {
    check(context);
    console.log(`connected ${context.userId} ${context.states.events}`);
  },
  onDisconnected({ context, reason }) {
    check(context);
    console.log(`disconnected ${context.userId} ${context.states.events} ${reason}`);
  },
  handleUserEvent({ context, data, dataType }, response) {
    check(context);
    const { events, room } = context.states;
    response.setState('events', events + 1);
    switch (context.eventName) {
      case 'count':
        return response.success(`${events} of ${context.userId} in ${room}`, 'text');
      case 'sort':
        return response.success(`${dataType} ${JSON.stringify(data)}`, 'text');
      case 'silent':
        return response.success();
      case 'fail':
        return response.fail(500, 'that did not work');
      default:
        return response.success(dataType === 'json' ? JSON.stringify(data) : data, dataType);
    }
  },
});

const app = express();
app.use((request, response, next) => {
  if (request.headers.authorization === 'Bearer a-secret') return next();
  return response.status(401).end('who are you?');
});
app.use(handler.getMiddleware());
const server = certificate
  ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(tlsKey) }, app)
  : http.createServer(app);
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
