// The Emitter SDK for JavaScript against a running server: emitter-scenario.cjs HOST:PORT MASTER_KEY [secure]
const assert = require("node:assert");
const { once, EventEmitter } = require("node:events");
const emitter = require("emitter-io");

const [host, port] = process.argv[2].split(":");
const master = process.argv[3];
const secure = process.argv[4] === "secure";

/** A client whose callbacks are awaited one by one. */
class Client {
  constructor(username) {
    this.events = new EventEmitter();
    this.queues = {};
    this.sdk = emitter.connect({ host, port: Number(port), secure, username });
    for (const name of ["connect", "message", "keygen", "presence", "me", "error", "disconnect"]) {
      this.queues[name] = [];
      this.sdk.on(name, (value) => {
        this.queues[name].push(value);
        this.events.emit(name);
      });
    }
  }

  async next(name) {
    const deadline = AbortSignal.timeout(20000);
    while (this.queues[name].length === 0) await once(this.events, name, { signal: deadline });
    return this.queues[name].shift();
  }

  async message() {
    const message = await this.next("message");
    return [message.channel, message.asString()];
  }

  /** Everything that was sent before has been done when this returns. */
  async me() {
    this.sdk.me();
    return this.next("me");
  }

  async key(channel, type) {
    this.sdk.keygen({ key: master, channel, type, ttl: 0 });
    const answer = await this.next("keygen");
    assert.deepStrictEqual([answer.status, answer.channel], [200, channel]);
    return answer.key;
  }
}

async function main() {
  const one = new Client("u1");
  const two = new Client();
  // Sent while it still connects.
  const [key] = await Promise.all([one.key("js/#/", "rwslp"), two.me()]);

  one.sdk.subscribe({ key, channel: "js/a" });
  await one.me();
  two.sdk.publish({ key, channel: "js/a", message: "hello" });
  assert.deepStrictEqual(await one.message(), ["js/a/", "hello"]);
  two.sdk.publish({ key, channel: "js/a/b/", message: JSON.stringify({ n: 1 }) });
  assert.deepStrictEqual((await one.next("message")).asObject(), { n: 1 });

  // Without an echo.
  one.sdk.publish({ key, channel: "js/a/", message: "not back", me: false });
  one.sdk.publish({ key, channel: "js/a/", message: "back", me: true });
  assert.deepStrictEqual(await one.message(), ["js/a/", "back"]);

  // Stored messages.
  for (const n of ["1", "2", "3"]) two.sdk.publish({ key, channel: "js/s/", message: n, ttl: 60 });
  await two.me();
  one.sdk.subscribe({ key, channel: "js/s/", last: 2 });
  assert.deepStrictEqual(await one.message(), ["js/s/", "2"]);
  assert.deepStrictEqual(await one.message(), ["js/s/", "3"]);

  // Presence.
  two.sdk.presence({ key, channel: "js/p/", status: true, changes: true });
  assert.deepStrictEqual((await two.next("presence")).who, []);
  one.sdk.subscribe({ key, channel: "js/p/" });
  const { id } = await one.me();
  let change = await two.next("presence");
  assert.deepStrictEqual([change.event, change.channel, change.who], ["subscribe", "js/p/", { id, username: "u1" }]);
  one.sdk.unsubscribe({ key, channel: "js/p/" });
  change = await two.next("presence");
  assert.deepStrictEqual([change.event, change.who.id], ["unsubscribe", id]);

  // Errors and answers about links come as messages.
  two.sdk.publish({ key: "wrong", channel: "js/a/", message: "x" });
  const error = await two.next("message");
  assert.deepStrictEqual([error.channel, error.asObject().status], ["emitter/error/", 401]);
  two.sdk.link({ key, channel: "js/a/", name: "a0", private: false, subscribe: false });
  const link = await two.next("message");
  assert.deepStrictEqual([link.channel, link.asObject().name], ["emitter/link/", "a0"]);
  two.sdk.publishWithLink({ link: "a0", message: "through the link" });
  assert.deepStrictEqual(await one.message(), ["js/a/", "through the link"]);
  assert.deepStrictEqual((await two.me()).links, { a0: "js/a/?me=1" });

  // `#` is a filter of its own here, and means what a/ means.
  two.sdk.subscribe({ key, channel: "js/deep/#/" });
  await two.me();
  one.sdk.publish({ key, channel: "js/deep/er/", message: "x" });
  assert.deepStrictEqual(await two.message(), ["js/deep/er/", "x"]);

  one.sdk.disconnect();
  await one.next("disconnect");
  two.sdk.disconnect();
  await two.next("disconnect");
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
