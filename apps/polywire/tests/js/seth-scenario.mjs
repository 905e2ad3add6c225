// What a Seth-Pusher user does, over one transport of sockjs-client. It runs in Node and in a browser.

const SOON_MS = 20_000;

function assertEqual(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: found ${a}, expected ${b}`);
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${SOON_MS} ms: ${what}`)), SOON_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

class Client {
  // `prefix` starts the ids of this scenario: others use the channel `all` at the same time.
  constructor(SockJS, url, transport, prefix) {
    this.prefix = prefix;
    this.messages = [];
    this.waiting = null;
    // By default a transport gets less than a second to open, too little for a busy machine.
    this.sock = new SockJS(url, null, { transports: [transport], timeout: SOON_MS });
    this.opened = new Promise((resolve, reject) => {
      this.sock.onopen = resolve;
      this.sock.onclose = (event) => {
        reject(new Error(`closed: ${event.code} ${event.reason}`));
        this.wake({ closed: [event.code, event.reason] });
      };
    });
    this.sock.onmessage = (event) => {
      const message = JSON.parse(event.data);
      const { type, subscriber_id: id } = message.message;
      const foreign =
        (type === 'connect' || type === 'disconnect') && !String(id).startsWith(prefix);
      if (!foreign) this.wake(message);
    };
  }

  wake(message) {
    if (this.waiting) {
      this.waiting(message);
      this.waiting = null;
    } else {
      this.messages.push(message);
    }
  }

  send(message) {
    this.sock.send(JSON.stringify(message));
  }

  next(what) {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    return within(new Promise((resolve) => { this.waiting = resolve; }), what);
  }

  async expect(message, what) {
    const found = await this.next(what);
    const sorted = (value) =>
      value && typeof value === 'object' && !Array.isArray(value)
        ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
        : value;
    assertEqual(sorted(found), sorted(message), what);
  }

  expectNotice(type, id, body) {
    return this.expect({ message: { type, subscriber_id: id, body } }, body);
  }
}

// What JSON, SockJS framing, event streams, and decoders of URIs stumble over.
export const UNICODE =
  'ü 日本 \u{1F434} "quotes" \\ back / </script> \n \r \t \u0000 \u0001 \u001f \u007f \u0080 %41 %zz % ' +
  '\u200b \u200c \u200f \u2028 \u2029 \u202f \u2060 \u206f \ufeff \ufff0 \ufffd \uffff \u00ad \u0600 \u17b4';

// `publish(path, messages)` posts each message to the HTTP API, one after another.
export async function scenario({ SockJS, url, transport, publish }) {
  const prefix = `${transport}-`;
  const [annId, bobId, news] = [`${prefix}ann`, `${prefix}bob`, `${prefix}news`];
  const open = async () => {
    const client = new Client(SockJS, url, transport, prefix);
    await within(client.opened, 'open');
    assertEqual(client.sock.transport, transport, 'transport');
    return client;
  };
  const channelMessage = (message) => ({ message, sender_id: null });

  const ann = await open();
  ann.send({ type: 'connect', subscriber_id: annId });
  ann.send({ type: 'subscribe', channel: news });
  await ann.expectNotice('subscribe', annId, `User: ${annId} subscribed to ${news}`);

  const bob = await open();
  bob.send({ type: 'connect', subscriber_id: bobId });
  await ann.expectNotice('connect', bobId, `User: ${bobId} connected.`);
  bob.send({ type: 'subscribe', channel: news });
  await ann.expectNotice('subscribe', bobId, `User: ${bobId} subscribed to ${news}`);
  await bob.expectNotice('subscribe', bobId, `User: ${bobId} subscribed to ${news}`);

  await publish(`/api/channels/${news}/`, [{ to: 'both' }]);
  await ann.expect(channelMessage({ to: 'both' }), 'channel message for ann');
  await bob.expect(channelMessage({ to: 'both' }), 'channel message for bob');

  await publish(`/api/users/${bobId}/`, [{ to: 'bob', sender_id: annId }]);
  await bob.expect(
    { message: { to: 'bob', sender_id: annId }, target_id: bobId, sender_id: annId },
    'private message',
  );

  bob.send({ type: 'unsubscribe', channel: news });
  await ann.expectNotice('unsubscribe', bobId, `User: ${bobId} unsubscribed from ${news}`);
  await publish(`/api/channels/${news}/`, [{ to: 'ann' }]);
  await ann.expect(channelMessage({ to: 'ann' }), 'channel message after bob left');

  ann.send({ nonsense: true });
  await ann.expect({ message: { type: 'error', body: 'Message must have type.' } }, 'error');

  const many = Array.from({ length: 1000 }, (_, n) => ({ n }));
  const published = publish(`/api/channels/${news}/`, many);
  for (const message of many) await ann.expect(channelMessage(message), 'one of many');
  await published;

  await publish(`/api/channels/${news}/`, [{ text: UNICODE }]);
  await ann.expect(channelMessage({ text: UNICODE }), 'unicode from the API');
  const oddId = `${prefix}${UNICODE}`.slice(0, 200);
  ann.send({ type: 'subscribe', channel: oddId });
  await ann.expectNotice('subscribe', annId, `User: ${annId} subscribed to ${oddId}`);

  // A message that fills a streaming response by itself, and one after it.
  const large = 'x'.repeat(200_000);
  await publish(`/api/channels/${news}/`, [{ large }, { small: 1 }]);
  await ann.expect(channelMessage({ large }), 'large message');
  await ann.expect(channelMessage({ small: 1 }), 'message after the large one');

  // Bob is gone only when he has said so: nothing of the last steps was meant for him.
  assertEqual(bob.messages, [], 'messages for bob');
  bob.sock.close();
  await ann.expectNotice('disconnect', bobId, `User: ${bobId} disconnected.`);

  const again = await open();
  again.send({ type: 'connect', subscriber_id: bobId });
  await ann.expectNotice('connect', bobId, `User: ${bobId} connected.`);
  await publish(`/api/users/${bobId}/`, [{ welcome: 'back' }]);
  await again.expect(
    { message: { welcome: 'back' }, target_id: bobId, sender_id: null },
    'private message after reconnecting',
  );
  again.sock.close();
  ann.sock.close();
}
