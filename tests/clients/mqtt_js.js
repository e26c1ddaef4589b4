// MQTT.js as README "Once, and not twice" sets it. Arguments: see README.md here.
'use strict';
const { parseArgs } = require('node:util');
const mqtt = require('mqtt');

const WINDOW = 20;
const { values: options, positionals: [action] } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string' }, id: { type: 'string' }, mqtt: { type: 'string' }, qos: { type: 'string' },
    start: { type: 'string', default: '1' }, count: { type: 'string', default: '0' },
    store: { type: 'string' }, will: { type: 'boolean', default: false },
  },
});

function connect() {
  const v5 = options.mqtt === '5';
  const settings = {
    host: '127.0.0.1', port: Number(options.port), clientId: options.id, clean: false,
    protocolVersion: v5 ? 5 : 4, reconnectPeriod: 100,
  };
  if (v5) settings.properties = { sessionExpiryInterval: 3600 };
  if (options.store) {
    const stores = require('mqtt-level-store')(options.store);
    settings.incomingStore = stores.incoming;
    settings.outgoingStore = stores.outgoing;
  }
  if (options.will) {
    settings.will = { topic: `clients/${options.id}`, payload: `${options.id} will`, qos: Number(options.qos) };
  }
  const client = mqtt.connect(settings);
  client.on('error', () => {});
  return client;
}

function publish() {
  const client = connect();
  const first = Number(options.start);
  const end = first + Number(options.count);
  let next = first;
  let left = end - first;
  const more = () => {
    const number = next++;
    if (number >= end) return;
    client.publish(`clients/${options.id}`, `${options.id} ${number}`, { qos: Number(options.qos) }, (error) => {
      if (error) { console.error(String(error)); process.exit(1); }
      console.log(`acked ${number}`);
      left -= 1;
      if (left > 0) return more();
      if (options.will) return process.kill(process.pid, 'SIGKILL');
      client.end();
    });
  };
  client.once('connect', () => { for (let i = 0; i < WINDOW; ++i) more(); });
}

if (action === 'version') console.log(require('mqtt/package.json').version);
else publish();
