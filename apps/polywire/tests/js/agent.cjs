// An agent: clients of one SDK in a process of their own, led by a test line by line. See ../py/agent.py, which is the same
// for Python.
'use strict';

const readline = require('node:readline');

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** What a client was told. */
const tell = (client, event, more) => say({ client, event, ...more });

/** A message: `json`, `text`, or `bytes`, which stand in hexadecimal. */
function tellMessage(client, channel, sort, data, more) {
  const shown = sort === 'bytes' ? Buffer.from(data).toString('hex') : data;
  tell(client, 'message', { channel, sort, data: shown, ...more });
}

/** What a request says is to be published: as JSON and text, or as bytes. */
const payload = ({ sort, data }) => (sort === 'bytes' ? Buffer.from(data, 'hex') : data);

/** The same for protocols whose payloads are bytes. */
const bytes = (request) => (request.sort === 'json' ? JSON.stringify(request.data) : payload(request));

/** The requests that a flood stands for: numbered messages, with what else it says. */
const flood = (request) =>
  Array.from({ length: request.count }, (_, index) => ({
    ...request,
    sort: 'json',
    data: { by: request.by, n: request.first + index },
  }));

/** What comes is kept until it is asked for. */
function inbox() {
  const come = [];
  const waiting = [];
  return {
    put: (item) => (waiting.length ? waiting.shift()(item) : come.push(item)),
    get: () => (come.length ? Promise.resolve(come.shift()) : new Promise((done) => waiting.push(done))),
  };
}

/** Does what it is asked, one thing after the other, and ends with its stdin. */
async function serve(commands) {
  // A client that a test has cut off may fail in its own time.
  process.on('unhandledRejection', (error) => console.error(error));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    try {
      const gives = await commands[request.do](request);
      say({ id: request.id, gives: gives === undefined ? null : gives });
    } catch (error) {
      say({ id: request.id, error: String(error && (error.status?.errorData?.message || error.stack || error)) });
    }
  }
  process.exit(0);
}

module.exports = { bytes, flood, inbox, payload, serve, tell, tellMessage };
