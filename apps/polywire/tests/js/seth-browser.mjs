// usage: node seth-browser.mjs BASE PROFILE TRANSPORT...
// The scenario with sockjs-client in headless Chromium, in pages of another origin than the server's.
// PROFILE is an empty folder; PAGES_PORT in the environment is the port of that origin.

import fs from 'node:fs';
import http from 'node:http';
import puppeteer from 'puppeteer-core';
import { publisher } from './publish.mjs';

const [base, profile, ...transports] = process.argv.slice(2);
const publish = publisher(base);

const page = '<!doctype html><meta charset="utf-8"><title>test</title><script src="/test/sockjs.js"></script>';
const files = {
  '/test/': ['text/html', page],
  '/test/sockjs.js': ['text/javascript', file('./node_modules/sockjs-client/dist/sockjs.min.js')],
  '/test/scenario.js': ['text/javascript', file('./seth-scenario.mjs')],
  '/favicon.ico': ['image/x-icon', ''],
};

function file(name) {
  return fs.readFileSync(new URL(name, import.meta.url), 'utf8');
}

const pages = http.createServer((request, response) => {
  const found = files[request.url];
  response.writeHead(found ? 200 : 404, { 'Content-Type': found?.[0] ?? 'text/plain' });
  response.end(found?.[1]);
});
await new Promise((resolve) => { pages.listen(process.env.PAGES_PORT ?? 0, '127.0.0.1', resolve); });
const origin = `http://127.0.0.1:${pages.address().port}`;

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  userDataDir: profile,
  headless: true,
  // It ends with this process, however that ends.
  pipe: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage',
  ],
});

// Browsers let only pages of the server's own origin use these.
const SAME_ORIGIN = ['htmlfile'];

async function run(transport) {
  // A context of its own: six connections to a host are all that a context has.
  const context = await browser.createBrowserContext();
  const tab = await context.newPage();
  const log = [];
  tab.on('console', (message) => log.push(message.text()));
  tab.on('pageerror', (error) => log.push(String(error)));
  tab.on('requestfailed', (request) => log.push(`${request.url()}: ${request.failure()?.errorText}`));
  await tab.exposeFunction('publishToApi', publish);
  const home = SAME_ORIGIN.includes(transport) ? base : origin;
  await tab.setRequestInterception(true);
  tab.on('request', (request) => {
    const url = request.url();
    let found = null;
    // The test's own pages, where the server's origin must be theirs.
    if (url.startsWith(base)) found = files[url.slice(base.length)];
    if (found) request.respond({ contentType: found[0], body: found[1] });
    else request.continue();
  });
  await tab.goto(`${home}/test/`);
  try {
    await tab.evaluate(async (url, transport) => {
      const { scenario } = await import('/test/scenario.js');
      await scenario({ SockJS: window.SockJS, url, transport, publish: window.publishToApi });
    }, `${base}/connect`, transport);
    console.log(`${transport}: passed`);
    return true;
  } catch (error) {
    console.error(`${transport}: ${error.message}\n${log.slice(-20).join('\n')}`);
    return false;
  } finally {
    await context.close();
  }
}

let passed = false;
try {
  const results = await Promise.all(transports.map(run));
  passed = results.length > 0 && results.every((result) => result);
} finally {
  await browser.close();
  pages.close();
}
process.exit(passed ? 0 : 1);
