// Packets made, and spoiled, by the npm package mqtt-packet; our codec (codec_answers, argument 1) has to agree.
//   node mqtt_packet.js CODEC_ANSWERS SECONDS SEED
// A packet that both take, or both refuse, is fine. What only ours refuses is mqtt-packet's leniency, counted by
// reason below with the specification's section; what only ours takes, and a reason that is not listed, is a finding.
'use strict';
const { spawn } = require('node:child_process');
const readline = require('node:readline');
const mqtt = require('mqtt-packet');

// What mqtt-packet takes although the specification (5.0; 3.1.1 behind the slash) wants it refused.
const LENIENT = new Map([
  ['string is not valid UTF-8', '1.5.4-1, -2 / 1.5.3-1, -2'],
  ['packet ends inside a field', '1.2.2, "Malformed Packet"'],
  ['bytes behind the last field', '1.2.2, "Malformed Packet"'],
  ['topic name is empty, not UTF-8 or has a wildcard', '3.3.2-1, -2, 3.1.3.3 / 3.3.2-1, -2'],
  ['topic filter is empty, not UTF-8 or misplaces a wildcard', '4.7.1-1, -2, 4.7.3-1 / 4.7.1-2, -3, 4.7.3-1'],
  ['no topic filter', '3.8.3-2, 3.10.3-2 / 3.8.3-3, 3.10.3-2'],
  ['reason code that this packet does not carry', '3.4.2.1 to 3.7.2.1, 3.14.2.1'],
  ['property with a value that is not allowed', '3.1.2.11, 3.3.2.3'],
  ['property unknown or not allowed here', '2.2.2.2'],
  ['DUP on a QoS 0 publish', '3.3.1-2'],
  ['protocol level is neither 3.1.1 nor 5.0', '3.1.2-2'],
  ['QoS 3', '3.1.2-12, 3.3.1-4, 3.8.3-4 / 3.1.2-14, 3.3.1-4, 3.8.3-4'],
  ['reserved bits in connect flags or subscription options', '3.1.2-3, 3.8.3-5 / 3.1.2-3, 3.8.3-4'],
  ['property given twice', '2.2.2.2'],
  ['flags that this packet type does not allow', '2.1.3-1 / 2.2.2-2'],
  ['protocol name is not MQTT', '3.1.2-1'],  // MQIsdp is MQTT 3.1, which is not served
  ['authentication method is not served', '4.12'],  // a choice that the section leaves to the server
  ['frame', '2.1.3-1, 1.5.5-1 / 2.2.2-2, 2.2.3'],
  ['packet identifier 0', '2.2.1-3 / 2.3.1-1'],
  ['neither topic name nor topic alias', '3.3.2.3.4'],
]);

const [program, seconds, seed] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
let state = seed >>> 0 || 1;
const random = (below) => {  // xorshift32
  state ^= state << 13; state >>>= 0; state ^= state >>> 17; state ^= state << 5; state >>>= 0;
  return state % below;
};
const pick = (list) => list[random(list.length)];
const chance = (percent) => random(100) < percent;
const text = (most) => Array.from({ length: 1 + random(most) }, () => pick([...'abcxyz019-_/äß€🚚'])).join('');
const topic = () => Array.from({ length: 1 + random(4) }, () => text(8).replace(/\//g, '')).join('/') + 't';
const data = (most) => Buffer.from(Array.from({ length: random(most) }, () => random(256)));
const id = () => 1 + random(65535);
const maybe = (into, name, value, percent = 40) => { if (chance(percent)) into[name] = value(); };
const user = (into) => maybe(into, 'userProperties', () => ({ [text(5)]: text(9), [text(6)]: text(9) }));

function message(v5) {
  const properties = {};
  if (v5) {
    maybe(properties, 'payloadFormatIndicator', () => chance(50));
    maybe(properties, 'messageExpiryInterval', () => random(100000));
    maybe(properties, 'contentType', () => text(12));
    maybe(properties, 'responseTopic', topic);
    maybe(properties, 'correlationData', () => data(12));
    user(properties);
  }
  return properties;
}

const make = {
  connect(v5) {
    const packet = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: v5 ? 5 : 4, clean: true,
      clientId: text(20), keepalive: random(65536) };
    if (chance(30)) packet.clean = false;
    if (v5) {
      packet.properties = {};
      maybe(packet.properties, 'sessionExpiryInterval', () => random(100000));
      maybe(packet.properties, 'receiveMaximum', id);
      maybe(packet.properties, 'maximumPacketSize', id);
      maybe(packet.properties, 'topicAliasMaximum', () => random(65536));
      maybe(packet.properties, 'requestProblemInformation', () => chance(50));
      user(packet.properties);
    }
    maybe(packet, 'username', () => text(9));
    if (packet.username) maybe(packet, 'password', () => data(9));
    maybe(packet, 'will', () => {
      const will = { topic: topic(), payload: data(20), qos: random(3), retain: chance(50) };
      if (v5) { will.properties = message(true); maybe(will.properties, 'willDelayInterval', () => random(1000)); }
      return will;
    });
    return packet;
  },
  publish(v5) {
    const qos = random(3);
    const packet = { cmd: 'publish', topic: topic(), payload: data(60), qos, retain: chance(50), dup: qos > 0 && chance(50) };
    if (qos) packet.messageId = id();
    if (v5) { packet.properties = message(true); maybe(packet.properties, 'topicAlias', id, 20); }
    return packet;
  },
  ack(v5) {
    const packet = { cmd: pick(['puback', 'pubrec', 'pubrel', 'pubcomp']), messageId: id() };
    if (v5 && chance(50)) {
      packet.reasonCode = pick(packet.cmd === 'puback' || packet.cmd === 'pubrec' ? [0, 0x10, 0x80, 0x97] : [0, 0x92]);
      packet.properties = {};
      maybe(packet.properties, 'reasonString', () => text(9));
      user(packet.properties);
    }
    return packet;
  },
  subscribe(v5) {
    const subscriptions = Array.from({ length: 1 + random(4) }, () => {
      const one = { topic: pick([topic(), '#', `${topic()}/+/#`, '+/a']), qos: random(3) };
      if (v5) Object.assign(one, { nl: chance(30), rap: chance(30), rh: random(3) });
      return one;
    });
    const packet = { cmd: 'subscribe', messageId: id(), subscriptions };
    if (v5) { packet.properties = {}; user(packet.properties); }
    return packet;
  },
  unsubscribe(v5) {
    const packet = { cmd: 'unsubscribe', messageId: id(), unsubscriptions: [topic(), `${topic()}/#`] };
    if (v5) { packet.properties = {}; user(packet.properties); }
    return packet;
  },
  disconnect(v5) {
    const packet = { cmd: 'disconnect' };
    if (v5 && chance(60)) packet.reasonCode = pick([0, 4, 0x80]);
    return packet;
  },
  pingreq: () => ({ cmd: 'pingreq' }),
};

function spoil(bytes) {
  const spoiled = Buffer.from(bytes);
  for (let left = 1 + random(3); left > 0; --left) {
    const at = random(spoiled.length);
    spoiled[at] = chance(50) ? spoiled[at] ^ (1 << random(8)) : random(256);
  }
  return spoiled;
}

// mqtt-packet's word on one packet: 'taken', 'refused …' or 'short'.
function theirs(bytes, v5) {
  const parser = mqtt.parser({ protocolVersion: v5 ? 5 : 4 });
  let packets = 0;
  let error = null;
  parser.on('packet', () => { packets += 1; });
  parser.on('error', (why) => { error = why; });
  try { parser.parse(bytes); } catch (why) { error = why; }
  if (error) return `refused ${error.message}`;
  return packets === 0 ? 'short' : 'taken';
}

async function main() {
  const codec = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = readline.createInterface({ input: codec.stdout })[Symbol.asyncIterator]();
  const end = Date.now() + seconds * 1000;
  const only = { ours: new Map(), theirs: new Map() };
  let count = 0;
  let failed = 0;
  const note = (map, why, hex) => map.set(why, { count: (map.get(why)?.count ?? 0) + 1, hex: map.get(why)?.hex ?? hex });
  while (Date.now() < end && failed < 5) {
    const batch = [];
    for (let i = 0; i < 200; ++i) {
      const v5 = chance(50);
      const packet = make[pick(Object.keys(make))](v5);
      const whole = mqtt.generate(packet, { protocolVersion: v5 ? 5 : 4 });
      const isSpoiled = chance(60);
      batch.push({ v5, packet, isSpoiled, bytes: isSpoiled ? spoil(whole) : whole });
    }
    codec.stdin.write(batch.map((each) => `${each.v5 ? 5 : 4} ${each.bytes.toString('hex')}\n`).join(''));
    for (const { v5, packet, isSpoiled, bytes } of batch) {
      const answer = (await answers.next()).value;
      count += 1;
      if (!isSpoiled) {
        if (answer === 'same' || answer === 'taken') continue;
        failed += 1;
        console.log(`FAILED: ${answer}: ${v5 ? 5 : 4} ${bytes.toString('hex')} ${JSON.stringify(packet)}`);
        continue;
      }
      if (answer === 'short' || answer === 'several' || answer === 'not ours') continue;
      const their = theirs(bytes, v5);
      const ourTaken = !answer.startsWith('refused');
      if (ourTaken && answer === 'other') note(only.ours, 'encoded otherwise', bytes.toString('hex'));
      if (ourTaken && their.startsWith('refused')) note(only.ours, their, `${v5 ? 5 : 4} ${bytes.toString('hex')}`);
      if (!ourTaken && their === 'taken') note(only.theirs, answer, `${v5 ? 5 : 4} ${bytes.toString('hex')}`);
    }
  }
  codec.stdin.end();
  console.log(`${count} packets, seed ${seed}`);
  for (const [why, { count: times, hex }] of only.theirs) {
    const section = LENIENT.get(why.replace('refused ', ''));
    console.log(`only mqtt-packet takes: ${times} × ${why}, ${section ?? 'NOT LISTED'} (${hex})`);
    if (!section) failed += 1;
  }
  for (const [why, { count: times, hex }] of only.ours) {
    console.log(`only ours takes: ${times} × ${why} (${hex})`);
    failed += 1;
  }
  process.exit(failed ? 1 : 0);
}

main();
