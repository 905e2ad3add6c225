// Drives the sockjs_test_server example with the real sockjs-client, over one transport.
//
// node sockjs_client.js BASE_URL TRANSPORT; exits with 0 when everything is as it should be.
'use strict';

const assert = require('node:assert');
const SockJS = require('sockjs-client');

const [baseUrl, transport] = process.argv.slice(2);

// Anything that hangs fails here.
setTimeout(() => fail(new Error('timed out')), 120000).unref();
process.on('unhandledRejection', fail);

function fail(error) {
  console.error(`${transport}: ${error.stack || error}`);
  process.exit(1);
}

/** Opens a session; the promise has the client and what it receives. */
function open(path) {
  // By default a transport gets less than a second to open, too little for a busy machine.
  const client = new SockJS(baseUrl + path, null, { transports: transport, timeout: 20000 });
  const session = { client, received: [], waiting: null };
  const check = () => {
    if (session.waiting && session.received.length >= session.waiting.count) {
      session.waiting.resolve(session.received.splice(0, session.waiting.count));
      session.waiting = null;
    }
  };
  session.take = (count) => new Promise((resolve) => {
    session.waiting = { count, resolve };
    check();
  });
  client.onmessage = (event) => {
    session.received.push(event.data);
    check();
  };
  session.closed = new Promise((resolve) => {
    client.onclose = resolve;
  });
  return new Promise((resolve, reject) => {
    client.onopen = () => resolve(session);
    session.closed.then((event) => reject(new Error(`closed: ${event.code} ${event.reason}`)));
  });
}

async function close(session) {
  session.client.close();
  const event = await session.closed;
  assert.strictEqual(event.code, 1000);
}

async function echoKeepsTheOrder() {
  const session = await open('/echo');
  assert.strictEqual(session.client.transport, transport);
  const sent = Array.from({ length: 1000 }, (_, index) => `message ${index}`);
  const received = session.take(sent.length);
  sent.forEach((message) => session.client.send(message));
  assert.deepStrictEqual(await received, sent);
  await close(session);
}

async function echoKeepsEveryCharacter() {
  const session = await open('/echo');
  const sent = [];
  for (let first = 0; first < 0x10000; first += 0x400) {
    let text = '';
    for (let unit = first; unit < first + 0x400; unit += 1) {
      // Surrogates come in pairs or not at all, see below.
      if (unit < 0xd800 || unit > 0xdfff) text += String.fromCharCode(unit);
    }
    sent.push(text);
  }
  sent.push('\u{1f434}\u{10ffff}\u{10000}', '100%', '%41%zz', '\r\n\0\t"\\/', '</script>', '', ' ');
  const received = session.take(sent.length);
  sent.forEach((message) => session.client.send(message));
  assert.deepStrictEqual(await received, sent);
  const lone = session.take(2);
  session.client.send('a\ud83db');
  session.client.send('after');
  assert.deepStrictEqual(await lone, ['a\ufffdb', 'after']);
  await close(session);
}

async function bigMessagesArrive() {
  const session = await open('/echo');
  for (const length of [4096, 65535, 65536, 1 << 20]) {
    const sent = 'x'.repeat(length - 2) + '\u00e9%';
    const received = session.take(1);
    session.client.send(sent);
    assert.ok((await received)[0] === sent, `${length} characters`);
  }
  await close(session);
}

async function theServerCloses() {
  const session = await open('/close');
  const event = await session.closed;
  assert.deepStrictEqual([event.code, event.reason], [3000, 'Go away!']);
  assert.strictEqual(event.wasClean, true);
}

async function everybodyHearsABroadcast() {
  const sessions = await Promise.all([1, 2, 3].map(() => open('/broadcast')));
  const heard = sessions.map((session) => session.take(1));
  sessions[1].client.send('hello');
  assert.deepStrictEqual(await Promise.all(heard), [['hello'], ['hello'], ['hello']]);
  await Promise.all(sessions.map(close));
}

async function main() {
  for (const test of [
    theServerCloses,
    echoKeepsTheOrder,
    echoKeepsEveryCharacter,
    bigMessagesArrive,
    everybodyHearsABroadcast,
  ]) {
    const begin = Date.now();
    await test();
    console.log(`${transport}: ${test.name}: ${Date.now() - begin} ms`);
  }
  process.exit(0);
}

main().catch(fail);
