// usage: node seth-node.mjs BASE TRANSPORT
// The scenario with sockjs-client in Node.

import SockJS from 'sockjs-client';
import { publisher } from './publish.mjs';
import { scenario } from './seth-scenario.mjs';

const [base, transport] = process.argv.slice(2);
await scenario({ SockJS, url: `${base}/connect`, transport, publish: publisher(base) });
process.exit(0);
