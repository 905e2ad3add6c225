// One version of the PubNub SDK for JavaScript against a running server: pubnub-versions.cjs HOST:PORT PACKAGE
// The key set has an access manager, and messages are kept. Versions without access tokens sign with the secret key.
'use strict';

const assert = require('node:assert/strict');

const [origin, name] = process.argv.slice(2);
const PubNub = require(name);
const SOON = 20_000;

class Client {
  constructor(userId, settings = {}) {
    const keys = { publishKey: 'pub', subscribeKey: 'sub' };
    // Old versions know it as a uuid.
    const user = name === 'pubnub-4' ? { uuid: userId } : { userId };
    this.pubnub = new PubNub({ origin, ssl: false, ...keys, ...user, ...settings });
    this.userId = userId;
    this.events = [];
    this.waiting = [];
    const listener = {};
    for (const kind of ['status', 'message', 'presence', 'messageAction']) {
      listener[kind] = (event) => {
        this.events.push([kind, event]);
        for (const wake of this.waiting.splice(0)) wake();
      };
    }
    this.pubnub.addListener(listener);
  }

  /** The next event of this kind; others are kept for later. */
  async next(kind, wanted = () => true) {
    const deadline = Date.now() + SOON;
    for (;;) {
      const index = this.events.findIndex(([found, event]) => found === kind && wanted(event));
      if (index >= 0) return this.events.splice(index, 1)[0][1];
      const left = deadline - Date.now();
      assert.ok(left > 0, `${this.userId}: no ${kind}; came: ${JSON.stringify(this.events)}`);
      await new Promise((wake) => {
        const timer = setTimeout(wake, left);
        this.waiting.push(() => { clearTimeout(timer); wake(); });
      });
    }
  }

  async subscribe(options) {
    this.pubnub.subscribe(options);
    await this.next('status', (status) => status.category === 'PNConnectedCategory');
  }

  publish(channel, message) {
    return this.pubnub.publish({ channel, message });
  }

  async expect(channel, message) {
    const event = await this.next('message');
    assert.deepEqual([event.channel, event.message], [channel, message]);
    return event;
  }

  expectPresence(action, uuid, channel) {
    return this.next('presence', (e) =>
      e.action === action && e.uuid === uuid && e.channel === channel);
  }
}

async function run() {
  const admin = new Client('admin', { secretKey: 'sec' });
  const grants = typeof admin.pubnub.grantToken === 'function';
  const all = { read: true, write: true, manage: true };
  const grant = (plan) => admin.pubnub.grantToken({
    ttl: 15,
    authorized_uuid: 'ann',
    resources: {
      channels: { one: all, two: all, 'one-pnpres': all, 'two-pnpres': all },
      groups: { g: all, 'g-pnpres': all },
    },
    meta: { plan },
  });
  const ann = new Client('ann', grants ? {} : { secretKey: 'sec' });
  let token;
  if (grants) {
    token = await grant('gold');
    const parsed = ann.pubnub.parseToken(token);
    assert.equal(parsed.resources.channels.one.write, true);
    assert.deepEqual(parsed.meta, { plan: 'gold' });
    await assert.rejects(ann.publish('one', 'without a token'));
    ann.pubnub.setToken(token);
  }

  // Channels, a group and who is there, in one poll.
  const registry = ann.pubnub.channelGroups;
  await registry.addChannels({ channels: ['three', 'four'], channelGroup: 'g' });
  await registry.removeChannels({ channels: ['four'], channelGroup: 'g' });
  assert.deepEqual((await registry.listChannels({ channelGroup: 'g' })).channels, ['three']);
  await ann.subscribe({ channels: ['one', 'two'], channelGroups: ['g'], withPresence: true });
  await ann.expectPresence('join', 'ann', 'two');
  const sent = await admin.publish('one', { text: 'ünï, 1+1 & more' });
  const event = await ann.expect('one', { text: 'ünï, 1+1 & more' });
  assert.equal(event.timetoken, sent.timetoken);
  assert.equal(event.publisher, 'admin');
  await ann.publish('two', [1, 'zwei']);
  await ann.expect('two', [1, 'zwei']);
  await admin.publish('three', 'by the group');
  assert.equal((await ann.expect('three', 'by the group')).subscription, 'g');

  const bob = new Client('bob', { secretKey: 'sec' });
  await bob.subscribe({ channels: ['two', 'five'] });
  await ann.expectPresence('join', 'bob', 'two');
  const here = await admin.pubnub.hereNow({ channels: ['one', 'two'], includeUUIDs: true });
  assert.deepEqual(here.channels.two.occupants.map((o) => o.uuid).sort(), ['ann', 'bob']);
  await bob.pubnub.setState({ channels: ['two'], state: { mood: 'good' } });
  assert.deepEqual((await ann.expectPresence('state-change', 'bob', 'two')).state, { mood: 'good' });
  bob.pubnub.unsubscribe({ channels: ['two'] });
  await ann.expectPresence('leave', 'bob', 'two');

  // What was published before.
  const old = await ann.pubnub.history({ channel: 'one', count: 10 });
  assert.deepEqual(old.messages.map((m) => m.entry), [{ text: 'ünï, 1+1 & more' }]);
  const { channels } = await ann.pubnub.fetchMessages({ channels: ['one', 'two'], count: 10 });
  assert.deepEqual(channels.two.map((m) => m.message), [[1, 'zwei']]);
  assert.equal(channels.one[0].timetoken, sent.timetoken);
  const channelTimetokens = [sent.timetoken];
  const counts = await ann.pubnub.messageCounts({ channels: ['one', 'two'], channelTimetokens });
  assert.deepEqual(counts.channels, { one: 1, two: 1 });

  // What is attached to a message; a signature covers the body.
  const at = { channel: 'one', messageTimetoken: sent.timetoken };
  const action = { type: 'reaction', value: 'smile' };
  for (const client of [ann, admin]) {
    const added = await client.pubnub.addMessageAction({ ...at, action });
    const told = await ann.next('messageAction', (e) => e.event === 'added');
    assert.deepEqual([told.data.value, told.data.uuid], ['smile', client.userId]);
    const { actionTimetoken } = added.data;
    const got = await ann.pubnub.getMessageActions({ channel: 'one' });
    assert.deepEqual(got.data.map((a) => a.uuid), [client.userId]);
    await client.pubnub.removeMessageAction({ ...at, actionTimetoken });
    await ann.next('messageAction', (e) => e.event === 'removed');
  }

  // A token is replaced, and when the next poll shows it, the one before it is taken back.
  if (grants && typeof admin.pubnub.revokeToken === 'function') {
    ann.pubnub.setToken(await grant('silver'));
    await admin.publish('one', 'with the second token');
    await ann.expect('one', 'with the second token');
    await admin.pubnub.revokeToken(token);
    await admin.publish('one', 'without the first token');
    await ann.expect('one', 'without the first token');
    const wrong = ann.events.filter(([kind, e]) => kind === 'status' && e.error);
    assert.deepEqual(wrong, []);
  }
  ann.pubnub.unsubscribeAll();
}

run().then(
  () => process.exit(0),
  (error) => {
    console.error(name, error.status ?? '', error);
    process.exit(1);
  },
);
