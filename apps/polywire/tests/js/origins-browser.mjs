// usage: node origins-browser.mjs BASE PROFILE
// What pages of several origins can do to a server on this machine, in headless Chromium. PROFILE is an empty folder.

import http from 'node:http';
import puppeteer from 'puppeteer-core';

const [base, profile] = process.argv.slice(2);
const serverPort = new URL(base).port;

const pages = http.createServer((_, response) => {
  response.writeHead(200, { 'Content-Type': 'text/html' });
  response.end('<!doctype html><meta charset="utf-8"><title>test</title>');
});
await new Promise((resolve) => { pages.listen(0, '127.0.0.1', resolve); });
const { port } = pages.address();

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  userDataDir: profile,
  headless: true,
  // It ends with this process, however that ends.
  pipe: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage', '--host-resolver-rules=MAP foreign.example 127.0.0.1',
    // What newer browsers ask their users about before they let a page reach this machine.
    '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
  ],
});

/** Which of the doors open for a page at `home`, and what it publishes on `channel` by a form that needs no preflight. */
async function doors(home, server, channel) {
  const tab = await browser.newPage();
  if (home === server) {
    // A page of the test's own, where the server has none.
    await tab.setRequestInterception(true);
    tab.on('request', (request) => {
      if (request.isNavigationRequest()) request.respond({ contentType: 'text/html', body: '<!doctype html>' });
      else request.continue();
    });
  }
  await tab.goto(`${home}/`);
  const open = await tab.evaluate(async (server, channel) => {
    const socket = (url, protocol) => new Promise((resolve) => {
      const socket = new WebSocket(url.replace('http', 'ws'), protocol);
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    });
    const stream = (url) => new Promise((resolve) => {
      const source = new EventSource(url, { withCredentials: true });
      source.onmessage = () => { source.close(); resolve(true); };
      source.onerror = () => { source.close(); resolve(false); };
    });
    const reads = (url) => fetch(url, { credentials: 'include' }).then((answer) => answer.ok, () => false);
    await fetch(`${server}/api/channels/${channel}/`, { method: 'POST', mode: 'no-cors', body: '{"by": "a form"}' })
      .catch(() => {});
    return {
      'WebSocket': await socket(`${server}/connect/websocket`),
      'SockJS': await socket(`${server}/connect/0/a/websocket`),
      'MQTT': await socket(`${server}/mqtt`, 'mqtt'),
      'EventSource': await stream(`${server}/connect/0/${channel}/eventsource`),
      'info': await reads(`${server}/connect/info`),
      'history': await reads(`${server}/history/v1/channels/${channel}`),
    };
  }, server, channel);
  await tab.close();
  return open;
}

function assertDoors(what, found, expected) {
  const wrong = Object.keys(found).filter((door) => found[door] !== expected);
  if (wrong.length > 0) throw new Error(`${what}: ${wrong.join(', ')}: ${JSON.stringify(found)}`);
}

let status = 1;
try {
  const own = await doors(`http://localhost:${port}`, base, 'own');
  assertDoors('a development server on another port', own, true);
  const foreign = await doors(`http://foreign.example:${port}`, base, 'foreign');
  assertDoors('a page of another site', foreign, false);
  // Its name was made to lead here, so that to the browser it is of the server's own origin: only what says where it is from
  // can be told.
  const home = `http://foreign.example:${serverPort}`;
  const { WebSocket, SockJS, MQTT } = await doors(home, home, 'rebound');
  assertDoors('a page whose name leads here', { WebSocket, SockJS, MQTT }, false);
  status = 0;
} catch (error) {
  console.error(error);
} finally {
  await browser.close();
  pages.close();
}
process.exit(status);
