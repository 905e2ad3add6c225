// mqtt.js behind a proxy that cuts its connections: mqtt-sessions.cjs HOST:PORT PROXY COUNT
const assert = require("node:assert");
const { once } = require("node:events");
const mqtt = require("mqtt");

const [, , address, proxy, count] = process.argv;

/** What was not sent yet when the connection was lost is given back by mqtt.js, and not sent later. */
async function publish(client, number, qos) {
  for (;;) {
    try {
      return await client.publishAsync("once-js", String(number), { qos });
    } catch (error) {
      if (error.message !== "Connection closed") throw error;
    }
  }
}

async function exactlyOnce(protocolVersion, qos) {
  const options = (clientId) => ({
    protocolVersion,
    clientId,
    clean: false,
    properties: protocolVersion === 5 ? { sessionExpiryInterval: 60 } : undefined,
    reconnectPeriod: 10,
    connectTimeout: 5000,
  });
  const subscriber = mqtt.connect(`mqtt://${proxy}`, options("js-subscriber"));
  const publisher = mqtt.connect(`mqtt://${proxy}`, options("js-publisher"));
  const found = [];
  const seen = new Set();
  const all = new Promise((done, failed) => {
    subscriber.on("message", (_, payload) => {
      const number = Number(payload);
      if (seen.has(number)) {
        if (qos === 2) failed(new Error(`twice: ${number}`));
        return;
      }
      seen.add(number);
      found.push(number);
      if (found.length === Number(count)) done();
    });
  });
  // A SUBSCRIBE that a cut has taken is sent again.
  await subscriber.subscribeAsync("once-js", { qos });
  const waiting = [];
  for (let number = 0; number < count; number++) {
    if (waiting.length >= 50) await waiting.shift();
    waiting.push(publish(publisher, number, qos));
  }
  await Promise.all(waiting);
  await all;
  assert.deepStrictEqual(found, Array.from({ length: Number(count) }, (_, number) => number));
  for (const client of [subscriber, publisher]) {
    client.end(true);
    await once(client, "close");
  }
  for (const clientId of ["js-subscriber", "js-publisher"]) {
    const clean = await mqtt.connectAsync(`mqtt://${address}`, { clientId, protocolVersion });
    await clean.endAsync();
  }
}

(async () => {
  for (const [version, qos] of [[4, 2], [5, 2], [4, 1], [5, 1]]) await exactlyOnce(version, qos);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
