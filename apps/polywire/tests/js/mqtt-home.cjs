// A hub of devices, as zigbee2mqtt is one: mqtt-home.cjs HOST:PORT DEVICES. See mqtt_home.py, which is its home.
const mqtt = require("mqtt");

const [address, devices] = process.argv.slice(2);
const base = "zigbee2mqtt";

function config(n) {
  return {
    name: `device ${n}`,
    unique_id: `0x${n.toString(16).padStart(16, "0")}`,
    state_topic: `${base}/device-${n}`,
    command_topic: `${base}/device-${n}/set`,
    availability: [{ topic: `${base}/bridge/state` }],
    // As long as what real devices say of themselves.
    device: { model: "x".repeat(1500) },
  };
}

(async () => {
  const client = mqtt.connect(`mqtt://${address}`, {
    clientId: "hub",
    reconnectPeriod: 100,
    will: { topic: `${base}/bridge/state`, payload: "offline", qos: 1, retain: true },
  });
  client.on("connect", () => {
    client.publish(`${base}/bridge/state`, "online", { qos: 1, retain: true });
    // What its clients want of it, devices that there are not among them.
    client.subscribe([`${base}/+/set`, `${base}/bridge/request/#`, "homeassistant/status"], { qos: 1 });
  });
  client.on("message", (topic, payload) => {
    if (topic === `${base}/bridge/request/restart`) client.stream.destroy();
    else if (topic === `${base}/bridge/request/stop`) client.end();
    else if (topic.endsWith("/set")) {
      client.publish(topic.slice(0, -"/set".length), payload, { qos: 1 });
    }
  });
  const announced = [];
  for (let n = 0; n < Number(devices); n += 1) {
    const kind = n % 2 ? `sensor/device-${n}` : `light/device-${n}/main`;
    const message = JSON.stringify(config(n));
    announced.push(client.publishAsync(`homeassistant/${kind}/config`, message, { qos: 1, retain: true }));
  }
  await Promise.all(announced);
  await client.publishAsync(`${base}/bridge/announced`, "yes", { qos: 1, retain: true });
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
