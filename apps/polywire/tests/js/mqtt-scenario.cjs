// mqtt.js against a running server: mqtt-scenario.cjs HOST:PORT [CERTIFICATE [behind-a-proxy]]. With a certificate it speaks
// TLS; a proxy of HTTP lets WebSockets through, and no more.
const assert = require("node:assert");
const { once } = require("node:events");
const { readFileSync } = require("node:fs");
const mqtt = require("mqtt");

const [address, certificate, proxy] = process.argv.slice(2);

const ca = certificate && readFileSync(certificate);
const [tcp, websocket] = certificate ? ["mqtts", "wss"] : ["mqtt", "ws"];

async function scenario(url, protocolVersion) {
  const client = await mqtt.connectAsync(url, { protocolVersion, reconnectPeriod: 0, ca });
  const granted = await client.subscribeAsync({ "js/+": { qos: 2 }, "js/a": { qos: 0 } });
  assert.deepStrictEqual(granted.map((one) => one.qos), [2, 0]);
  for (const qos of [0, 1, 2]) {
    const message = once(client, "message");
    await client.publishAsync("js/a", `QoS ${qos}`, { qos });
    const [topic, payload, packet] = await message;
    assert.deepStrictEqual([topic, payload.toString(), packet.qos], ["js/a", `QoS ${qos}`, qos]);
  }
  const big = "x".repeat(300000);
  const message = once(client, "message");
  await client.publishAsync("js/big", big, { qos: 1 });
  assert.strictEqual((await message)[1].toString(), big);
  await client.unsubscribeAsync(["js/+", "js/a"]);
  await client.endAsync();
}

(async () => {
  const urls = [`${websocket}://${address}/mqtt`, `${websocket}://${address}`];
  if (!proxy) urls.push(`${tcp}://${address}`);
  for (const url of urls) {
    for (const version of [4, 5]) await scenario(url, version);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
