// usage: node http2-browser.mjs BASE PROFILE
// Ten tabs of headless Chromium, each with a PubNub poll and an EventSource that wait: over HTTP/1.1 the seventh would have no
// connection left. PROFILE is an empty folder.

import assert from 'node:assert/strict';
import puppeteer from 'puppeteer-core';

const [base, profile] = process.argv.slice(2);
const TABS = 10;

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  userDataDir: profile,
  headless: true,
  acceptInsecureCerts: true,
  // It ends with this process, however that ends.
  pipe: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
  ],
});

/** A tab that polls, listens to an EventSource and holds a WebSocket. */
async function open(number) {
  const tab = await browser.newPage();
  await tab.goto(`${base}/connect`);
  await tab.evaluate(async (number) => {
    const first = await (await fetch(`/v2/subscribe/demo/tabs/0?tt=0&uuid=tab${number}`)).json();
    window.poll = fetch(`/v2/subscribe/demo/tabs/0?tt=${first.t.t}&tr=${first.t.r}&uuid=tab${number}`)
      .then((answer) => answer.json());
    window.source = new EventSource(`/connect/000/tab${number}/eventsource`);
    await new Promise((resolve) => { window.source.onmessage = resolve; });
    window.socket = new WebSocket(`${location.origin.replace('http', 'ws')}/connect/websocket`);
    await new Promise((resolve, reject) => { window.socket.onopen = resolve; window.socket.onerror = reject; });
    window.heard = new Promise((resolve) => {
      window.source.onmessage = ({ data }) => { if (data.includes('hello')) resolve(data); };
    });
    const subscribe = JSON.stringify({ type: 'subscribe', channel: 'tabs' });
    await fetch(`/connect/000/tab${number}/xhr_send`, { method: 'POST', body: JSON.stringify([subscribe]) });
  }, number);
  return tab;
}

let status = 1;
try {
  const tabs = [];
  for (let number = 0; number < TABS; number += 1) tabs.push(await open(number));
  await tabs[0].evaluate(() => fetch('/api/channels/tabs/', { method: 'POST', body: '{"text": "hello"}' }));
  for (const tab of tabs) {
    const seen = await tab.evaluate(async () => ({
      poll: (await window.poll).m.map((message) => message.d),
      event: await window.heard,
      socket: window.socket.readyState,
      protocols: [...new Set(performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol))],
    }));
    assert.deepEqual(seen.poll, [{ text: 'hello' }]);
    assert.equal(seen.socket, 1);
    assert.deepEqual(seen.protocols.filter((protocol) => protocol !== '').sort(), ['h2']);
  }
  status = 0;
} catch (error) {
  console.error(error);
} finally {
  await browser.close();
}
process.exit(status);
