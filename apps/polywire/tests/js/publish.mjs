// Posts to Seth-Pusher's HTTP API over one kept-alive connection.

import http from 'node:http';

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function post(url, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => { text += part; });
      response.on('end', () => {
        if (text === '{"status": 200}\n') resolve();
        else reject(new Error(`${url}: ${response.statusCode} ${text}`));
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

export const publisher = (base) => async (path, messages) => {
  for (const message of messages) await post(base + path, JSON.stringify(message));
};
