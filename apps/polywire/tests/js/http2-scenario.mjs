// usage: node http2-scenario.mjs BASE CERTIFICATE
// Requests of every protocol that has them on one HTTP/2 connection, by Node's own client.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http2 from 'node:http2';

const [base, certificate] = process.argv.slice(2);
const session = http2.connect(base, { ca: fs.readFileSync(certificate), servername: 'localhost' });
session.on('error', (error) => { console.error(error); process.exit(1); });

/** A request; the promise is of its head, and the stream goes on. */
function begin(method, path, headers = {}, body = undefined) {
  const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  stream.setEncoding('utf8');
  return new Promise((resolve, reject) => {
    stream.on('response', (head) => resolve({ head, status: head[':status'], stream }));
    stream.on('error', reject);
  });
}

async function rest(stream) {
  let text = '';
  for await (const part of stream) text += part;
  return text;
}

async function request(...args) {
  const { head, status, stream } = await begin(...args);
  return { head, status, text: await rest(stream) };
}

/** Reads a stream until the text holds `words`. */
async function until(reader, words) {
  let text = '';
  while (!text.includes(words)) {
    const { value, done } = await reader.next();
    assert(!done, `it ended before ${words}: ${text}`);
    text += value;
  }
  return text;
}

const get = (path, headers) => request('GET', path, headers);
const publish = (channel, data) => request('POST', `/api/channels/${channel}/`, {}, JSON.stringify(data));

// Each app has its answers, its own errors and no header field that belongs to HTTP/1.1.
const welcome = await get('/connect');
assert.equal(welcome.status, 200);
assert.equal(welcome.text, 'Welcome to SockJS!\n');
for (const path of ['/connect', '/nothing', '/time/0', '/api/hubs/chat/users/ann', '/history/v1/channels/a']) {
  const { head } = await get(path);
  for (const name of ['connection', 'transfer-encoding', 'keep-alive', 'upgrade']) {
    assert(!(name in head), `${path}: ${name}`);
  }
}
assert.equal((await get('/nothing')).status, 404);
assert.equal((await get('/api/hubs/chat/users/ann')).status, 401);
const head = await request('HEAD', '/connect');
assert.deepEqual([head.status, head.text], [200, '']);
assert.equal((await publish('a', { n: 1 })).text, '{"status": 200}\n');
assert.equal((await request('POST', '/api/channels/a/', {}, 'x'.repeat(2 << 20))).status, 413);
const long = await get(`/publish/demo/demo/0/a/0/${encodeURIComponent(JSON.stringify('é'.repeat(5000)))}`);
assert.equal(long.status, 200, long.text);

// A WebSocket is not to be had here, and says so.
const upgrade = await get('/connect/websocket', { 'sec-websocket-version': '13' });
assert.equal(upgrade.status, 400, JSON.stringify(upgrade));

// Nine PubNub polls are held at once, more than a browser has connections of HTTP/1.1; one publish wakes them all.
const polls = [...Array(9).keys()].map(async (n) => {
  const first = JSON.parse((await get(`/v2/subscribe/demo/held/0?tt=0&uuid=u${n}`)).text);
  const second = await get(`/v2/subscribe/demo/held/0?tt=${first.t.t}&tr=${first.t.r}&uuid=u${n}`);
  return JSON.parse(second.text).m.map((message) => message.d);
});
let here = 0;
while (here < 9) here = JSON.parse((await get('/v2/presence/sub-key/demo/channel/held')).text).occupancy;
await publish('held', { n: 7 });
assert.deepEqual(await Promise.all(polls), Array(9).fill([{ n: 7 }]));

// One that is broken off is over.
const broken = await begin('POST', '/connect/000/broken/xhr_streaming', {}, '');
broken.stream.close(http2.constants.NGHTTP2_CANCEL);
assert.equal((await get('/connect')).status, 200);

// What is streamed comes piece by piece: SockJS and the followed history.
const sockjs = await begin('POST', '/connect/000/streaming/xhr_streaming', {}, '');
assert.equal(sockjs.status, 200);
const frames = sockjs.stream[Symbol.asyncIterator]();
await until(frames, 'o\n');
const send = (message) => request('POST', '/connect/000/streaming/xhr_send', {}, JSON.stringify([JSON.stringify(message)]));
assert.equal((await send({ type: 'subscribe', channel: 'news' })).status, 204);
await until(frames, 'subscribed to news');
const followed = await begin('GET', '/history/v1/channels/news?follow=true');
assert.equal(followed.status, 200);
const lines = followed.stream[Symbol.asyncIterator]();
await publish('news', { n: 42 });
await until(frames, '42');
await until(lines, '42');
sockjs.stream.close();
followed.stream.close();

session.close();
console.log('done');
