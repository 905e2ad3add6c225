// Version 3 of the PubNub SDK for JavaScript, which speaks the first version of subscribe, against a running server:
// pubnub-3.cjs HOST:PORT. Messages are kept.
'use strict';

const assert = require('node:assert/strict');
const events = require('node:events');
const http = require('node:http');

// It looks there whether this Node keeps connections, and finds nothing in newer ones.
http.Agent.super_ ??= events;
const PUBNUB = require('pubnub-3');

const [origin] = process.argv.slice(2);
const SOON = 20_000;

/** A client whose calls are promises, with what came for it. */
class Client {
  constructor(uuid, settings = {}) {
    const keys = { publish_key: 'demo', subscribe_key: 'demo' };
    // It knows no ports but 80 and 443, and that of a proxy.
    const [hostname, port] = origin.split(':');
    const proxy = { hostname, port };
    this.pubnub = PUBNUB({ origin, proxy, ssl: false, ...keys, uuid, ...settings });
    this.uuid = uuid;
    this.events = [];
    this.waiting = [];
  }

  take(event) {
    this.events.push(event);
    for (const wake of this.waiting.splice(0)) wake();
  }

  async next(wanted) {
    const deadline = Date.now() + SOON;
    for (;;) {
      const index = this.events.findIndex(wanted);
      if (index >= 0) return this.events.splice(index, 1)[0];
      const left = deadline - Date.now();
      assert.ok(left > 0, `${this.uuid}: nothing; came: ${JSON.stringify(this.events)}`);
      await new Promise((wake) => {
        const timer = setTimeout(wake, left);
        this.waiting.push(() => { clearTimeout(timer); wake(); });
      });
    }
  }

  call(name, options) {
    return new Promise((resolve, reject) => {
      this.pubnub[name]({ ...options, callback: resolve, error: reject });
    });
  }

  /** Returns when it is connected to one of these. */
  subscribe(options) {
    return new Promise((connect) => {
      this.pubnub.subscribe({
        ...options,
        connect,
        message: (message, envelope, subscription, time, channel) =>
          this.take({ message, subscription, channel: channel ?? subscription }),
        presence: (event, envelope, channel) => this.take({ event, channel }),
        error: (error) => this.take({ error }),
      });
    });
  }

  async expect(message, channel, subscription = channel) {
    const event = await this.next((e) => 'message' in e || 'error' in e);
    assert.deepEqual(event, { message, subscription, channel });
  }

  expectPresence(action, uuid) {
    return this.next(({ event }) => event && event.action === action && event.uuid === uuid);
  }
}

async function run() {
  const [ann, bob] = [new Client('ann'), new Client('bob')];
  await bob.call('channel_group_add_channel', { channel_group: 'g', channel: 'three,four' });

  // One channel, several, and a group: each has another form of answer.
  const one = new Client('one');
  await one.subscribe({ channel: 'one' });
  await ann.subscribe({ channel: ['one', 'two'] });
  for (let number = 0; number < 5; number += 1) {
    const sent = await bob.call('publish', { channel: 'one', message: { number } });
    assert.deepEqual([sent[0], sent[1], sent[2].length], [1, 'Sent', 17]);
    await one.expect({ number }, 'one');
    await ann.expect({ number }, 'one');
    await bob.call('publish', { channel: 'two', message: `no. ${number}` });
    await ann.expect(`no. ${number}`, 'two');
  }
  await ann.subscribe({ channel_group: 'g' });
  await bob.call('publish', { channel: 'four', message: 'by the group' });
  await ann.expect('by the group', 'four', 'g');
  await bob.call('publish', { channel: 'two', message: 'beside it' });
  await ann.expect('beside it', 'two');

  // Who is there. It may have come by a handshake that it broke off itself, and does not see that then.
  const eve = new Client('eve');
  await ann.subscribe({ channel: 'five' });
  await eve.subscribe({ channel: 'five' });
  await ann.expectPresence('join', 'eve');
  const here = await bob.call('here_now', { channel: 'five' });
  assert.deepEqual(here.uuids.sort(), ['ann', 'eve']);
  eve.pubnub.unsubscribe({ channel: 'five' });
  await ann.expectPresence('leave', 'eve');

  // Two tabs of one user: it leaves with the second.
  const tabs = [new Client('tab', { instance_id: true }), new Client('tab', { instance_id: true })];
  for (const tab of tabs) await tab.subscribe({ channel: 'five' });
  await ann.expectPresence('join', 'tab');
  const left = () => ann.events.some(({ event }) => event?.action === 'leave');
  tabs[0].pubnub.unsubscribe({ channel: 'five' });
  await eve.subscribe({ channel: 'five' });
  await ann.expectPresence('join', 'eve');
  const stay = await bob.call('here_now', { channel: 'five' });
  assert.deepEqual(stay.uuids.sort(), ['ann', 'eve', 'tab']);
  assert.ok(!left());
  tabs[1].pubnub.unsubscribe({ channel: 'five' });
  await ann.expectPresence('leave', 'tab');

  const [messages] = await bob.call('history', { channel: 'two', count: 2 });
  assert.deepEqual(messages, ['no. 4', 'beside it']);
  assert.ok(await new Promise((resolve) => bob.pubnub.time(resolve)) > 1e16);
}

run().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
