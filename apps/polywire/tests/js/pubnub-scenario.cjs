// The real PubNub SDK for JavaScript against a running server: pubnub-scenario.cjs HOST:PORT SCENARIO
// Several servers stand with commas between them; clients take them in turn.
'use strict';

const assert = require('node:assert/strict');
const PubNub = require('pubnub');

const [addresses, scenario] = process.argv.slice(2);
const origins = addresses.split(',');
let clients = 0;
const SOON = 20_000;
const SILENCE = 600;

class Client {
  constructor(userId, settings = {}) {
    this.pubnub = new PubNub({
      origin: origins[clients++ % origins.length],
      ssl: false,
      publishKey: 'demo',
      subscribeKey: 'demo',
      userId,
      ...settings,
    });
    this.userId = userId;
    this.events = [];
    this.waiting = [];
    const kinds = ['status', 'message', 'signal', 'presence', 'messageAction', 'file', 'objects'];
    const listener = {};
    for (const kind of kinds) listener[kind] = (event) => this.take(kind, event);
    this.pubnub.addListener(listener);
  }

  take(kind, event) {
    this.events.push([kind, event]);
    for (const wake of this.waiting.splice(0)) wake();
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
    const connected = ['PNConnectedCategory', 'PNSubscriptionChangedCategory'];
    await this.next('status', (status) => connected.includes(status.category));
  }

  publish(channel, message, options = {}) {
    return this.pubnub.publish({ channel, message, ...options });
  }

  async expect(channel, message, subscription = channel) {
    const event = await this.next('message');
    assert.equal(event.channel, channel);
    assert.deepEqual(event.message, message);
    assert.equal(event.subscription, subscription);
    return event;
  }

  async expectPresence(action, uuid, channel, occupancy) {
    const event = await this.next('presence', (e) =>
      e.action === action && e.uuid === uuid && e.channel === channel);
    if (occupancy !== undefined) assert.equal(event.occupancy, occupancy);
    return event;
  }

  async expectSilence(...kinds) {
    await new Promise((wake) => setTimeout(wake, SILENCE));
    const came = this.events.filter(([kind]) => kinds.includes(kind));
    assert.deepEqual(came, []);
  }
}

/** What a call that must fail says. */
async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error.status;
  }
  assert.fail('it was not refused');
}

const scenarios = {
  /** Every sort of JSON, by GET and POST, arrives as it was published, in order. */
  async messages() {
    const [ann, bob] = [new Client('ann'), new Client('bob')];
    await ann.subscribe({ channels: ['room'] });
    const sent = [{ name: 'Alex', online: true }, ['a', 1, null], 'ümläuts, 猫, + % / ? & # " 😀', 17, -0.125,
      true, {}, []];
    for (const sendByPost of [false, true]) {
      for (const message of sent) {
        const { timetoken } = await bob.publish('room', message, { sendByPost });
        const event = await ann.expect('room', message);
        assert.equal(event.timetoken, timetoken);
        assert.equal(event.publisher, 'bob');
      }
    }
    await bob.publish('room', 1, { meta: { n: 1 }, customMessageType: 'greeting', ttl: 5 });
    const event = await ann.expect('room', 1);
    assert.deepEqual(event.userMetadata, { n: 1 });
    assert.equal(event.customMessageType, 'greeting');
  },

  async signals() {
    const [ann, bob] = [new Client('ann'), new Client('bob')];
    await ann.subscribe({ channels: ['room'] });
    await bob.pubnub.signal({ channel: 'room', message: { typing: true } });
    const event = await ann.next('signal');
    assert.deepEqual([event.message, event.publisher], [{ typing: true }, 'bob']);
    await bob.pubnub.fire({ channel: 'room', message: 'fired' });
    await bob.publish('room', 'published');
    await ann.expect('room', 'published');
    const status = await refused(bob.pubnub.signal({ channel: 'room', message: 'x'.repeat(63) }));
    assert.equal(status.statusCode, 400);
  },

  async names() {
    const ann = new Client('ann');
    const channels = ['a+b', 'a b', 'a%2Fb', 'ü', 'a/b', 'a?b&c#d', '~.-_', '*', "x'()!"];
    await ann.subscribe({ channels });
    for (const name of channels) {
      await ann.publish(name, name);
      await ann.expect(name, name);
    }
  },

  async wildcards() {
    const [ann, bob] = [new Client('ann'), new Client('bob')];
    await ann.subscribe({ channels: ['a.*', 'b'], withPresence: true });
    await bob.publish('a.b.c', 'too deep');
    await bob.publish('a.x', 1);
    await ann.expect('a.x', 1, 'a.*');
    await bob.publish('b', 2);
    await ann.expect('b', 2);
    await bob.subscribe({ channels: ['a.y'] });
    await ann.expectPresence('join', 'bob', 'a.y', 1);
  },

  async groups() {
    const [ann, bob] = [new Client('ann'), new Client('bob')];
    const registry = bob.pubnub.channelGroups;
    await registry.addChannels({ channelGroup: 'g', channels: ['one', 'two'] });
    assert.deepEqual((await registry.listGroups()).groups, ['g']);
    await ann.subscribe({ channelGroups: ['g'], withPresence: true });
    await ann.expectPresence('join', 'ann', 'one', 1);
    await bob.publish('one', 1);
    await ann.expect('one', 1, 'g');
    await registry.addChannels({ channelGroup: 'g', channels: ['three'] });
    await bob.publish('three', 3);
    await ann.expect('three', 3, 'g');
    await registry.removeChannels({ channelGroup: 'g', channels: ['one'] });
    assert.deepEqual((await registry.listChannels({ channelGroup: 'g' })).channels, ['three', 'two']);
    await bob.publish('one', 'not in it any more');
    await bob.publish('two', 2);
    await ann.expect('two', 2, 'g');
    await registry.deleteGroup({ channelGroup: 'g' });
    assert.deepEqual((await registry.listGroups()).groups, []);
  },

  /** The timetoken of a publish resumes right behind that message. */
  async resume() {
    const [ann, bob] = [new Client('ann'), new Client('bob')];
    const sent = [];
    for (const number of [1, 2, 3, 4, 5]) sent.push((await bob.publish('room', number)).timetoken);
    await ann.subscribe({ channels: ['room'], timetoken: sent[1] });
    for (const number of [3, 4, 5]) await ann.expect('room', number);
    await bob.publish('room', 'live');
    await ann.expect('room', 'live');
  },

  async presence() {
    const [ann, bob] = [new Client('ann'), new Client('bob')];
    await ann.subscribe({ channels: ['room'], withPresence: true });
    await ann.expectPresence('join', 'ann', 'room', 1);
    await bob.subscribe({ channels: ['room'] });
    await ann.expectPresence('join', 'bob', 'room', 2);
    const here = await ann.pubnub.hereNow({ channels: ['room'], includeState: true });
    assert.equal(here.totalOccupancy, 2);
    assert.deepEqual(here.channels.room.occupants.map((o) => o.uuid), ['ann', 'bob']);
    assert.deepEqual((await ann.pubnub.whereNow({ uuid: 'bob' })).channels, ['room']);
    bob.pubnub.unsubscribe({ channels: ['room'] });
    await ann.expectPresence('leave', 'bob', 'room', 1);
    await ann.expectSilence('presence');
    // A whole list at once.
    const eve = new Client('eve');
    await eve.subscribe({ channels: ['room', 'hall'] });
    await ann.expectPresence('join', 'eve', 'room', 2);
    eve.pubnub.unsubscribeAll();
    await ann.expectPresence('leave', 'eve', 'room', 1);
  },

  async state() {
    const [ann, bob] = [new Client('ann'), new Client('bob')];
    await ann.subscribe({ channels: ['room'], withPresence: true });
    await bob.subscribe({ channels: ['room'] });
    await ann.expectPresence('join', 'bob', 'room', 2);
    await bob.pubnub.setState({ channels: ['room'], state: { mood: 'good' } });
    const event = await ann.expectPresence('state-change', 'bob', 'room');
    assert.deepEqual(event.state, { mood: 'good' });
    const got = await ann.pubnub.getState({ uuid: 'bob', channels: ['room'] });
    assert.deepEqual(got.channels, { room: { mood: 'good' } });
  },

  async errors() {
    const ann = new Client('ann');
    let status = await refused(new Client('eve', { subscribeKey: 'wrong' }).publish('room', 1));
    assert.deepEqual([status.statusCode, status.category], [400, 'PNBadRequestCategory']);
    status = await refused(ann.publish('room', 'x'.repeat(33_000), { sendByPost: true }));
    assert.deepEqual([status.statusCode, status.category], [413, 'PNUnknownCategory']);
    status = await refused(ann.publish('room', 'x'.repeat(33_000)));
    assert.equal(status.statusCode, 413);
    const eve = new Client('eve', { subscribeKey: 'wrong' });
    eve.pubnub.subscribe({ channels: ['room'] });
    const event = await eve.next('status');
    assert.equal(event.category, 'PNConnectionErrorCategory');
  },

  async encrypted() {
    const cryptoModule = PubNub.CryptoModule.aesCbcCryptoModule({ cipherKey: 'secret' });
    const [ann, eve] = [new Client('ann', { cryptoModule }), new Client('eve')];
    await ann.subscribe({ channels: ['room'] });
    await eve.subscribe({ channels: ['room'] });
    await ann.publish('room', { text: 'for ann' });
    await ann.expect('room', { text: 'for ann' });
    assert.equal(typeof (await eve.next('message')).message, 'string');
  },

  async filters() {
    const ann = new Client('ann', { filterExpression: "priority == 'high' && data.n > 1" });
    await ann.subscribe({ channels: ['room'] });
    const bob = new Client('bob');
    await bob.publish('room', { n: 5 }, { meta: { priority: 'low' } });
    await bob.publish('room', { n: 1 }, { meta: { priority: 'high' } });
    await bob.publish('room', { n: 2 }, { meta: { priority: 'high' } });
    await ann.expect('room', { n: 2 });
    const eve = new Client('eve', { filterExpression: 'priority ==' });
    eve.pubnub.subscribe({ channels: ['room'] });
    const status = await eve.next('status');
    assert.deepEqual([status.category, status.error],
      ['PNConnectionErrorCategory', 'PNBadRequestCategory']);
  },

  /** Tokens: granted, shown, refused, parsed, revoked. */
  async access() {
    const keys = { publishKey: 'pub', subscribeKey: 'sub' };
    const admin = new Client('admin', { ...keys, secretKey: 'sec' });
    const ann = new Client('ann', keys);
    let status = await refused(ann.publish('room', 1));
    assert.deepEqual([status.statusCode, status.category], [403, 'PNAccessDeniedCategory']);
    const token = await admin.pubnub.grantToken({
      ttl: 15,
      authorized_uuid: 'ann',
      resources: { channels: { room: { read: true, write: true } }, groups: { g: { read: true } } },
      patterns: { channels: { '^chat-[0-9]+$': { read: true } } },
      meta: { plan: 'gold' },
    });
    const parsed = ann.pubnub.parseToken(token);
    assert.equal(parsed.authorized_uuid, 'ann');
    assert.equal(parsed.resources.channels.room.write, true);
    assert.deepEqual(parsed.meta, { plan: 'gold' });
    ann.pubnub.setToken(token);
    await ann.subscribe({ channels: ['room', 'chat-7'] });
    await ann.publish('room', 'allowed');
    await ann.expect('room', 'allowed');
    for (const channel of ['chat-7', 'hall']) {
      status = await refused(ann.publish(channel, 1));
      assert.equal(status.statusCode, 403);
    }
    await admin.publish('chat-7', "from the back end ~*!'()");
    await ann.expect('chat-7', "from the back end ~*!'()");
    await admin.publish('chat-7', { posted: true }, { sendByPost: true });
    await ann.expect('chat-7', { posted: true });
    const eve = new Client('eve', keys);
    eve.pubnub.subscribe({ channels: ['room'] });
    const refusal = await eve.next('status');
    assert.deepEqual([refusal.category, refusal.error],
      ['PNConnectionErrorCategory', 'PNAccessDeniedCategory']);
    await admin.pubnub.revokeToken(token);
    status = await refused(ann.publish('room', 'too late'));
    assert.equal(status.statusCode, 403);
    // The poll that is open ends too.
    await ann.next('status', (s) => s.category === 'PNDisconnectedUnexpectedlyCategory');
  },

  /** A token is replaced while a poll is held, and the one before it ends: the client goes on. */
  async token_replaced() {
    const keys = { publishKey: 'pub', subscribeKey: 'sub' };
    const admin = new Client('admin', { ...keys, secretKey: 'sec' });
    const grant = (plan) => admin.pubnub.grantToken({
      ttl: 15, resources: { channels: { room: { read: true } } }, meta: { plan },
    });
    // A poll that comes only after the token has ended is refused: then it is tried again.
    for (let round = 0; round < 5; round += 1) {
      const ann = new Client('ann', keys);
      const first = await grant(`first ${round}`);
      ann.pubnub.setToken(first);
      await ann.subscribe({ channels: ['room'] });
      await new Promise((wake) => setTimeout(wake, SILENCE));
      ann.pubnub.setToken(await grant(`second ${round}`));
      await admin.pubnub.revokeToken(first);
      await admin.publish('room', `round ${round}`);
      const goesOn = await Promise.race([
        ann.next('message').then((event) => event.message === `round ${round}`),
        ann.next('status', (status) => status.error).then(() => false, () => false),
      ]);
      ann.pubnub.unsubscribeAll();
      if (goesOn) return;
    }
    assert.fail('it did not go on');
  },

  async history() {
    const ann = new Client('ann');
    const sent = [];
    for (let n = 1; n <= 5; n += 1) sent.push((await ann.publish('room', { n }, { meta: { m: n } })).timetoken);
    const { pubnub } = ann;
    const old = await pubnub.history({ channel: 'room', count: 2, stringifiedTimeToken: true, includeMeta: true });
    assert.deepEqual(old.messages.map((m) => [m.entry, m.timetoken, m.meta]),
      [[{ n: 4 }, sent[3], { m: 4 }], [{ n: 5 }, sent[4], { m: 5 }]]);
    const { channels } = await pubnub.fetchMessages({ channels: ['room'], count: 3, includeMeta: true });
    assert.deepEqual(channels.room.map((m) => m.message.n), [3, 4, 5]);
    assert.deepEqual([channels.room[0].uuid, channels.room[0].meta, channels.room[0].timetoken],
      ['ann', { m: 3 }, sent[2]]);
    const counts = await pubnub.messageCounts({ channels: ['room', 'hall'], channelTimetokens: [sent[3], sent[3]] });
    assert.deepEqual(counts.channels, { room: 2, hall: 0 });
    // Who only knows the keys may not.
    const span = { channel: 'room', start: String(BigInt(sent[1]) - 1n), end: sent[1] };
    await assert.rejects(pubnub.deleteMessages(span));
    const admin = new Client('admin', { secretKey: 'sec' });
    await admin.pubnub.deleteMessages({ channel: 'room', start: String(BigInt(sent[1]) - 1n), end: sent[1] });
    const rest = await pubnub.fetchMessages({ channels: ['room', 'hall'], count: 25 });
    assert.deepEqual(rest.channels.room.map((m) => m.message.n), [1, 3, 4, 5]);
  },

  async actions() {
    const [ann, bob] = [new Client('ann'), new Client('bob')];
    await ann.subscribe({ channels: ['room'] });
    const { timetoken } = await bob.publish('room', 'hello');
    const action = { type: 'reaction', value: 'smile' };
    const added = await bob.pubnub.addMessageAction({ channel: 'room', messageTimetoken: timetoken, action });
    assert.deepEqual([added.data.type, added.data.value, added.data.uuid], ['reaction', 'smile', 'bob']);
    let event = await ann.next('messageAction');
    assert.equal(event.event, 'added');
    assert.deepEqual([event.data.value, event.data.uuid, event.data.messageTimetoken], ['smile', 'bob', timetoken]);
    const again = bob.pubnub.addMessageAction({ channel: 'room', messageTimetoken: timetoken, action });
    assert.equal((await refused(again)).statusCode, 409);
    const got = await ann.pubnub.getMessageActions({ channel: 'room' });
    assert.deepEqual(got.data.map((a) => a.value), ['smile']);
    const fetched = await ann.pubnub.fetchMessages({ channels: ['room'], includeMessageActions: true });
    assert.equal(fetched.channels.room[0].actions.reaction.smile[0].uuid, 'bob');
    const { actionTimetoken } = added.data;
    await bob.pubnub.removeMessageAction({ channel: 'room', messageTimetoken: timetoken, actionTimetoken });
    event = await ann.next('messageAction');
    assert.equal(event.event, 'removed');
  },

  /** One connection for all calls, instead of one for each. */
  async keep_alive() {
    const ann = new Client('ann', { keepAlive: true });
    await ann.subscribe({ channels: ['room'] });
    for (let number = 1; number <= 200; number += 1) {
      await ann.publish('room', number);
      await ann.expect('room', number);
    }
  },

  async time() {
    const { timetoken } = await new Client('ann').pubnub.time();
    assert.ok(Math.abs(timetoken / 10_000 - Date.now()) < 60_000);
  },
};

scenarios[scenario]().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
