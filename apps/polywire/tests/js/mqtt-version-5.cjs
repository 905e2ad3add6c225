// What MQTT 5.0 adds, with mqtt.js against a running server: mqtt-version-5.cjs HOST:PORT
const assert = require("node:assert");
const { once } = require("node:events");
const mqtt = require("mqtt");

const address = process.argv[2];

/** A client whose messages are awaited one by one. */
class Client {
  static async connect(options = {}) {
    const client = new Client();
    client.queue = [];
    const settings = { protocolVersion: 5, reconnectPeriod: 0, ...options };
    client.mqtt = await mqtt.connectAsync(`mqtt://${address}`, settings);
    client.mqtt.on("message", (topic, payload, packet) => {
      client.queue.push({ topic, payload: payload.toString(), retain: packet.retain, ...packet.properties });
      client.mqtt.emit("queued");
    });
    return client;
  }

  async next() {
    const deadline = AbortSignal.timeout(20000);
    while (this.queue.length === 0) await once(this.mqtt, "queued", { signal: deadline });
    return this.queue.shift();
  }

  async payloads(count) {
    const found = [];
    while (found.length < count) found.push((await this.next()).payload);
    return found;
  }

  subscribe(topic, options = {}) {
    return this.mqtt.subscribeAsync(topic, { qos: 1, ...options });
  }

  publish(topic, payload, options = {}) {
    return this.mqtt.publishAsync(topic, payload, { qos: 1, ...options });
  }

  end() {
    return this.mqtt.endAsync();
  }
}

async function requestAndResponse() {
  const [service, caller] = [await Client.connect(), await Client.connect()];
  await service.subscribe("requests/+");
  await caller.subscribe("answers/1");
  const correlationData = Buffer.from([0, 255, 7]);
  const properties = { responseTopic: "answers/1", correlationData, userProperties: { a: ["1", "2"], b: "3" } };
  await caller.publish("requests/sum", "1 + 2", { properties });
  const request = await service.next();
  assert.deepStrictEqual({ ...request.userProperties }, { a: ["1", "2"], b: "3" });
  await service.publish(request.responseTopic, "3", { properties: { correlationData: request.correlationData } });
  const answer = await caller.next();
  assert.deepStrictEqual([answer.payload, answer.correlationData], ["3", correlationData]);
  await Promise.all([service.end(), caller.end()]);
}

async function flowControl() {
  // mqtt.js handles one message after another, so that it never has more: it has to get all of them all the same.
  for (const qos of [1, 2]) {
    for (const receiveMaximum of [1, 2]) {
      const sender = await Client.connect();
      const slow = await Client.connect({ properties: { receiveMaximum } });
      await slow.subscribe("flow", { qos });
      const expected = [...Array(50).keys()].map(String);
      await Promise.all(expected.map((payload) => sender.publish("flow", payload, { qos })));
      assert.deepStrictEqual(await slow.payloads(50), expected);
      await Promise.all([sender.end(), slow.end()]);
    }
  }
}

async function packetSizes() {
  const sender = await Client.connect();
  const small = await Client.connect({ properties: { maximumPacketSize: 100 } });
  for (const qos of [0, 1]) {
    await small.subscribe("sizes", { qos });
    await sender.publish("sizes", "x".repeat(100), { qos });
    await sender.publish("sizes", "fits", { qos });
    assert.strictEqual((await small.next()).payload, "fits");
  }
  // Longer than the server takes.
  const closed = once(sender.mqtt, "disconnect");
  sender.publish("sizes", "x".repeat(2 << 20)).catch(() => {});
  const [packet] = await closed;
  assert.strictEqual(packet.reasonCode, 0x95);
  await Promise.all([sender.mqtt.endAsync(true), small.end()]);
}

async function subscriptionOptions() {
  const [own, other] = [await Client.connect(), await Client.connect()];
  // No-local.
  await own.subscribe("options/nl", { nl: true });
  await own.publish("options/nl", "mine");
  await other.publish("options/nl", "yours");
  assert.strictEqual((await own.next()).payload, "yours");
  // Identifiers: one copy says all.
  await own.subscribe("ids/#", { properties: { subscriptionIdentifier: 7 } });
  await own.subscribe("ids/+", { properties: { subscriptionIdentifier: 268435455 } });
  await other.publish("ids/a", "x");
  assert.deepStrictEqual((await own.next()).subscriptionIdentifier.sort(), [268435455, 7]);
  // When retained messages are sent, and with which bit others come.
  await other.publish("kept/a", "kept", { retain: true });
  await own.subscribe("kept/a", { rh: 2, rap: false });
  await own.subscribe("kept/a", { rh: 1, rap: false });
  await own.subscribe("kept/a", { rh: 0, rap: true });
  let message = await own.next();
  assert.deepStrictEqual([message.payload, message.retain], ["kept", true]);
  await own.subscribe("kept/+", { rh: 1, rap: true });
  message = await own.next();
  assert.deepStrictEqual([message.payload, message.retain], ["kept", true]);
  for (const retain of [true, false]) {
    await other.publish("kept/a", retain ? "" : "end", { retain });
    message = await own.next();
    assert.deepStrictEqual([message.payload, message.retain], [retain ? "" : "end", retain]);
  }
  await Promise.all([own.end(), other.end()]);
}

async function aliases() {
  // mqtt.js looks short names up, and here gives some.
  const client = await Client.connect({ properties: { topicAliasMaximum: 2 }, autoAssignTopicAlias: true });
  await client.subscribe("aliases/#");
  const topics = ["aliases/a", "aliases/b", "aliases/a", "aliases/c", "aliases/a", "aliases/b"];
  for (const topic of topics) await client.publish(topic, topic);
  const seen = [];
  for (const topic of topics) {
    const message = await client.next();
    assert.deepStrictEqual([message.topic, message.payload], [topic, topic]);
    seen.push(message.topicAlias);
  }
  assert.deepStrictEqual(seen, [1, 2, 1, undefined, 1, 2]);
  await client.end();
}

(async () => {
  for (const scenario of [requestAndResponse, flowControl, packetSizes, subscriptionOptions, aliases]) {
    console.log(scenario.name);
    await scenario();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
