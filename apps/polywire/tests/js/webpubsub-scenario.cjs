// Azure Web PubSub with the vendor's own SDKs for JavaScript.
// node webpubsub-scenario.cjs HOST:PORT KEY SCENARIO [newest]
'use strict';

const assert = require('node:assert');
const net = require('node:net');
const { WebPubSubServiceClient } = require('@azure/web-pubsub');

const [address, key, scenario, release] = process.argv.slice(2);
const {
  WebPubSubClient,
  WebPubSubJsonProtocol,
  WebPubSubJsonReliableProtocol,
} = require(release === 'newest' ? 'web-pubsub-client-newest' : '@azure/web-pubsub-client');

const {
  WebPubSubProtobufProtocol,
  WebPubSubProtobufReliableProtocol,
  any,
} = require('./webpubsub-protobuf.cjs');

const ROLES = ['webpubsub.joinLeaveGroup', 'webpubsub.sendToGroup'];

function service(hub = 'default', at = address) {
  const connectionString = `Endpoint=http://${at};AccessKey=${key};Version=1.0;`;
  return new WebPubSubServiceClient(connectionString, hub, { allowInsecureConnection: true });
}

async function url(options = {}, at = address) {
  const { url } = await service('default', at).getClientAccessToken({ roles: ROLES, ...options });
  return url;
}

/** What comes is kept until it is asked for. */
function inbox() {
  const come = [];
  const waiting = [];
  return {
    put: (item) => (waiting.length ? waiting.shift()(item) : come.push(item)),
    get: () =>
      come.length ? Promise.resolve(come.shift()) : new Promise((resolve) => waiting.push(resolve)),
  };
}

async function open(
  options = {},
  protocol = WebPubSubJsonReliableProtocol(),
  at = address,
  query = '',
) {
  const client = new WebPubSubClient(
    { getClientAccessUrl: async () => (await url(options, at)) + query },
    { protocol, messageRetryOptions: { maxRetries: 0 } },
  );
  const box = { client, connected: inbox(), group: inbox(), server: inbox(), disconnected: inbox() };
  client.on('connected', (event) => box.connected.put(event));
  client.on('disconnected', (event) => box.disconnected.put(event));
  client.on('group-message', ({ message }) => box.group.put(message));
  client.on('server-message', ({ message }) => box.server.put(message));
  await client.start();
  const hello = await box.connected.get();
  box.id = hello.connectionId;
  box.user = hello.userId;
  return box;
}

const text = (buffer) => Buffer.from(buffer).toString('hex');

/** A proxy before the server, and the pairs of its sockets, to cut. */
async function cuttingProxy() {
  const pairs = new Set();
  const [host, port] = address.split(':');
  const proxy = net.createServer({ allowHalfOpen: true }, (near) => {
    const far = net.connect({ port: Number(port), host, allowHalfOpen: true });
    pairs.add([near, far]);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => {});
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  return { proxy, pairs, at: `127.0.0.1:${proxy.address().port}` };
}

function cutAll(pairs) {
  for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
  pairs.clear();
}

/** Numbered messages come once and in order while a connection through a proxy is cut again and again. */
async function receiveWhileCut(total, everyMillis, cut, protocol = WebPubSubJsonReliableProtocol()) {
  const { proxy, pairs, at } = await cuttingProxy();
  const ann = await open({ userId: 'ann', groups: ['flood'] }, protocol, at);
  const sender = await open({ userId: 'sender' });
  const cutting = setInterval(() => cut(pairs), everyMillis);
  const receiving = (async () => {
    for (let n = 0; n < total; n++) {
      const message = await ann.group.get();
      // Protobuf has JSON as a text.
      const { n: found } = typeof message.data === 'string' ? JSON.parse(message.data) : message.data;
      assert.strictEqual(found, n, 'once and in order');
    }
  })();
  for (let n = 0; n < total; n++) {
    if (n % 10 === 9) await new Promise((go) => setTimeout(go, 10));
    await sender.client.sendToGroup('flood', { n }, 'json', { fireAndForget: true });
  }
  clearInterval(cutting);
  await receiving;
  ann.client.stop();
  sender.client.stop();
  proxy.close();
}

const scenarios = {
  async groups() {
    for (const protocol of [WebPubSubJsonProtocol(), WebPubSubJsonReliableProtocol()]) {
      const ann = await open({ userId: 'ann' }, protocol);
      const bob = await open({ userId: 'bob' }, protocol);
      await ann.client.joinGroup('news');
      await bob.client.joinGroup('news');
      const samples = [
        ['café "\\\n😀', 'text'],
        [{ a: [1.5, null, { b: true }] }, 'json'],
        [Uint8Array.from([0, 255, 13, 10]).buffer, 'binary'],
      ];
      for (const [data, type] of samples) {
        await ann.client.sendToGroup('news', data, type);
        for (const client of [ann, bob]) {
          const message = await client.group.get();
          assert.strictEqual(message.dataType, type);
          if (type === 'binary') assert.strictEqual(text(message.data), text(data));
          else assert.deepStrictEqual(message.data, data);
          assert.strictEqual(message.fromUserId, 'ann');
        }
      }
      await ann.client.sendToGroup('news', 'not to me', 'text', { noEcho: true });
      assert.strictEqual((await bob.group.get()).data, 'not to me');
      await ann.client.sendToGroup('news', 'last', 'text');
      assert.strictEqual((await ann.group.get()).data, 'last');
      const first = await ann.client.sendToGroup('news', 'once', 'text', { ackId: 4711 });
      const again = await ann.client.sendToGroup('news', 'once', 'text', { ackId: 4711 });
      assert.deepStrictEqual([first.isDuplicated, again.isDuplicated], [false, true]);
      await assert.rejects(ann.client.sendEvent('nobody', 'x', 'text'), /InvocationFailed|failed/i);
      ann.client.stop();
      bob.client.stop();
    }
  },

  /** Clients with protobuf and with JSON, and a service. */
  async protobuf() {
    const hub = service();
    for (const protocol of [WebPubSubProtobufProtocol(), WebPubSubProtobufReliableProtocol()]) {
      const ann = await open({ userId: 'ann' }, protocol);
      assert.strictEqual(ann.user, 'ann');
      const bob = await open({ userId: 'bob' });
      for (const client of [ann, bob]) await client.client.joinGroup('news');
      const thing = any('type.test/thing', Uint8Array.from([8, 150, 1]));
      const samples = [
        ['caf\u00e9 \u{1f600}', 'text', 'text'],
        [{ a: [1.5, null] }, 'json', 'json'],
        [Uint8Array.from([0, 255, 13]).buffer, 'binary', 'binary'],
        [thing, 'protobuf', 'protobuf'],
        ['x'.repeat(900000), 'text', 'text'],
      ];
      for (const sender of [ann, bob]) {
        for (const [data, type] of samples) {
          await sender.client.sendToGroup('news', data, type);
          for (const client of [ann, bob]) {
            const message = await client.group.get();
            assert.strictEqual(message.group, 'news');
            const isJson = client === ann && type === 'json';
            assert.strictEqual(message.dataType, isJson ? 'text' : type);
            if (isJson) assert.deepStrictEqual(JSON.parse(message.data), data);
            else if (data instanceof ArrayBuffer) assert.strictEqual(text(message.data), text(data));
            else assert.deepStrictEqual(message.data, data);
          }
        }
      }
      await ann.client.sendToGroup('news', 'not to me', 'text', { noEcho: true });
      assert.strictEqual((await bob.group.get()).data, 'not to me');
      await hub.sendToUser('ann', { n: 1 });
      assert.deepStrictEqual(JSON.parse((await ann.server.get()).data), { n: 1 });
      await hub.sendToConnection(ann.id, Buffer.from([1, 2]), {
        contentType: 'application/octet-stream',
      });
      assert.strictEqual(text((await ann.server.get()).data), '0102');
      const again = () => ann.client.sendToGroup('news', 'once', 'text', { ackId: 4711 });
      const twice = [await again(), await again()];
      assert.deepStrictEqual(twice.map((one) => one.isDuplicated), [false, true]);
      assert.strictEqual((await ann.group.get()).data, 'once');
      await assert.rejects(ann.client.sendEvent('nobody', 'x', 'text'), (error) => {
        assert.strictEqual(error.errorDetail.name, 'InvocationFailed');
        return true;
      });
      await hub.revokePermission(ann.id, 'sendToGroup');
      await assert.rejects(ann.client.sendToGroup('news', 'x', 'text'), (error) => {
        assert.strictEqual(error.errorDetail.name, 'Forbidden');
        return true;
      });
      await ann.client.leaveGroup('news');
      await hub.closeConnection(ann.id, { reason: 'go' });
      assert.strictEqual((await ann.disconnected.get()).message.message, 'go');
      ann.client.stop();
      bob.client.stop();
    }
  },

  /** A JSON string stays JSON, and a text a text; the service's default is JSON. */
  async strings() {
    const hub = service();
    for (const protocol of [WebPubSubJsonProtocol(), WebPubSubJsonReliableProtocol()]) {
      const ann = await open({ userId: 'ann', groups: ['g'] }, protocol);
      for (const type of ['json', 'text']) {
        await ann.client.sendToGroup('g', 'caf\u00e9', type);
        const message = await ann.group.get();
        assert.deepStrictEqual([message.dataType, message.data], [type, 'caf\u00e9']);
      }
      await hub.sendToAll('Hello');
      await hub.sendToUser('ann', 'Hello', { contentType: 'text/plain' });
      for (const type of ['json', 'text']) {
        const message = await ann.server.get();
        assert.deepStrictEqual([message.dataType, message.data], [type, 'Hello']);
      }
      ann.client.stop();
    }
  },

  /** What is refused leaves the connection as it is. */
  async refusals() {
    const ann = await open({ userId: 'ann', groups: ['g'] });
    const refused = (error) => error.errorDetail.name === 'BadRequest';
    await assert.rejects(ann.client.sendToGroup('g', 'a\ud83d', 'text'), refused);
    await assert.rejects(ann.client.joinGroup('\ud83d'), refused);
    await ann.client.sendEvent('nobody', 'x', 'text', { fireAndForget: true });
    if (ann.client.openGroupStream) {
      await assert.rejects(ann.client.openGroupStream('g'), { name: 'NotSupported' });
      await assert.rejects(ann.client.invokeEvent('e', 'x', 'text'), /not served/);
    }
    await ann.client.sendToGroup('g', 'last', 'text');
    assert.strictEqual((await ann.group.get()).data, 'last');
    const id = ann.id;
    assert.strictEqual(await service().connectionExists(id), true);
    ann.client.stop();
  },

  /** The vendor's sample of a log stream, in small: a reader that is cut off in the middle loses no line. */
  async log_stream() {
    const { proxy, pairs, at } = await cuttingProxy();
    const reader = await open({ userId: 'reader' }, WebPubSubJsonReliableProtocol(), at);
    await reader.client.joinGroup('stream');
    const logger = await open({ roles: ['webpubsub.sendToGroup.stream'] });
    const group = service().group('stream');
    const lines = Array.from({ length: 200 }, (_, n) => `${n} GET /index.html 200`);
    for (const [n, line] of lines.entries()) {
      if (n === 100) cutAll(pairs);
      // By a program that is a client, and by one that is a service.
      if (n % 2) await group.sendToAll(line, { contentType: 'text/plain' });
      else await logger.client.sendToGroup('stream', line, 'text');
    }
    const read = [];
    while (read.length < lines.length) read.push((await reader.group.get()).data);
    assert.deepStrictEqual(read, lines);
    assert.strictEqual(await service().connectionExists(reader.id), true, 'the same connection');
    reader.client.stop();
    logger.client.stop();
    proxy.close();
  },

  async rest() {
    const hub = service();
    const ann = await open({ userId: 'ann' });
    await hub.sendToAll({ n: 1 });
    assert.deepStrictEqual((await ann.server.get()).data, { n: 1 });
    await hub.sendToUser('ann', 'hello', { contentType: 'text/plain' });
    assert.strictEqual((await ann.server.get()).data, 'hello');
    await hub.group('g').addUser('ann');
    await hub.group('g').sendToAll('group', { contentType: 'text/plain' });
    assert.strictEqual((await ann.group.get()).data, 'group');
    assert.strictEqual(await hub.connectionExists(ann.id), true);
    assert.strictEqual(await hub.userExists('nobody'), false);
    assert.strictEqual(await hub.groupExists('g'), true);
    await hub.grantPermission(ann.id, 'sendToGroup', { targetName: 'x' });
    assert.strictEqual(await hub.hasPermission(ann.id, 'sendToGroup', { targetName: 'x' }), true);
    await hub.group('g').removeUser('ann');
    assert.strictEqual(await hub.groupExists('g'), false);
    await hub.addConnectionsToGroups(['x', 'y'], "userId eq 'ann'");
    await hub.group('y').sendToAll('y', { contentType: 'text/plain' });
    assert.strictEqual((await ann.group.get()).data, 'y');
    await hub.removeConnectionsFromGroups(['x', 'y'], "userId eq 'ann'");
    assert.strictEqual(await hub.groupExists('y'), false);
    await hub.closeConnection(ann.id, { reason: 'go' });
    await ann.disconnected.get();
    assert.strictEqual(await hub.connectionExists(ann.id), false);
    ann.client.stop();
  },

  /** A client that stops is gone at once: its close frame has no code. */
  async stop() {
    const hub = service();
    const ann = await open({ userId: 'ann' });
    ann.client.stop();
    while (await hub.connectionExists(ann.id)) await new Promise((go) => setTimeout(go, 20));
  },

  /** The handler is webpubsub-handler.cjs. */
  async events() {
    const samples = [
      ['café "\\\n😀', 'text'],
      [{ a: [1.5, null] }, 'json'],
      [Uint8Array.from([0, 255, 13, 10]).buffer, 'binary'],
    ];
    for (const protocol of [WebPubSubJsonProtocol(), WebPubSubJsonReliableProtocol()]) {
      const ann = await open({ userId: 'ann', roles: [] }, protocol, address, '&room=a%20b');
      assert.strictEqual(ann.user, 'user-ann');
      await ann.client.sendToGroup('lobby', 'hi', 'text');
      assert.strictEqual((await ann.group.get()).data, 'hi');
      for (const [data, type] of samples) {
        await ann.client.sendEvent('echo', data, type);
        const message = await ann.server.get();
        assert.strictEqual(message.dataType, type);
        if (type === 'binary') assert.strictEqual(text(message.data), text(data));
        else assert.deepStrictEqual(message.data, data);
      }
      const answer = async (name, data, type) => {
        await ann.client.sendEvent(name, data, type);
        return (await ann.server.get()).data;
      };
      assert.strictEqual(await answer('sort', 'a', 'json'), 'json "a"');
      assert.strictEqual(await answer('sort', 'a', 'text'), 'text "a"');
      assert.strictEqual(await answer('count', '', 'text'), '5 of user-ann in a b');
      assert.strictEqual(await answer('count', '', 'text'), '6 of user-ann in a b');
      await ann.client.sendEvent('silent', '', 'text');
      await assert.rejects(ann.client.sendEvent('fail', '', 'text'), (error) => {
        assert.strictEqual(error.errorDetail.name, 'InternalServerError');
        assert.doesNotMatch(error.errorDetail.message, /that did not work/);
        return true;
      });
      // Nobody hears of this one, and the connection stays.
      await ann.client.sendEvent('fail', '', 'text', { fireAndForget: true });
      await ann.client.sendEvent('echo', 'a string', 'json');
      const string = await ann.server.get();
      assert.deepStrictEqual([string.dataType, string.data], ['json', 'a string']);
      const sent = [];
      for (let n = 0; n < 20; n++) sent.push(ann.client.sendEvent('echo', n, 'json'));
      await Promise.all(sent);
      for (let n = 0; n < 20; n++) assert.strictEqual((await ann.server.get()).data, n);
      ann.client.stop();
    }
    const mallory = new WebPubSubClient({ getClientAccessUrl: () => url({ userId: 'mallory' }) });
    await assert.rejects(mallory.start(), /403/);
  },

  /** Numbered messages come once and in order while the connection is cut a hundred times. */
  async cuts() {
    await receiveWhileCut(10000, 100, cutAll);
  },

  /** The same with protobuf. */
  async protobuf_cuts() {
    await receiveWhileCut(3000, 100, cutAll, WebPubSubProtobufReliableProtocol());
  },

  /** The same, while the server is not told: what it sends to the old socket arrives nowhere. */
  async half_open() {
    const closed = [];
    await receiveWhileCut(3000, 150, (pairs) => {
      const cut = [...pairs];
      pairs.clear();
      for (const [near, far] of cut) {
        near.unpipe(far);
        far.unpipe(near);
        far.resume();
        closed.push(new Promise((done) => far.once('end', done)));
        setTimeout(() => near.resetAndDestroy(), 20);
      }
    });
    assert.ok(closed.length > 10);
    // The server has closed every socket whose place was taken.
    await Promise.all(closed);
  },
};

scenarios[scenario]().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
