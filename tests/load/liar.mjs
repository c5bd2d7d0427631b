// SPDX-License-Identifier: MIT
//
// A small gateway that speaks just enough of the protocol for the load generator, and that can be
// told to break one promise, once, at a given delivery. It is what the generator's checks are
// tested against: a check that has never failed is not known to work.

import { createHash } from 'node:crypto';
import { createServer } from 'node:net';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

function frame(op, payload) {
  const body = Buffer.from(payload);
  const head =
    body.length < 126
      ? Buffer.from([0x80 | op, body.length])
      : body.length < 65536
        ? Buffer.from([0x80 | op, 126, body.length >> 8, body.length & 255])
        : Buffer.from([0x80 | op, 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((s) => (body.length >> s) & 255)]);
  return Buffer.concat([head, body]);
}

const text = (line) => frame(1, line);
const close = (code, reason) => frame(8, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));

// Takes complete client frames off the front of `data`; returns [frames, rest].
function unframe(data) {
  const frames = [];
  for (;;) {
    if (data.length < 2) break;
    let at = 2;
    let size = data[1] & 127;
    if (size === 126) {
      if (data.length < 4) break;
      size = data.readUInt16BE(2);
      at = 4;
    } else if (size === 127) {
      if (data.length < 10) break;
      size = Number(data.readBigUInt64BE(2));
      at = 10;
    }
    if (data.length < at + 4 + size) break;
    const mask = data.subarray(at, at + 4);
    const body = Buffer.from(data.subarray(at + 4, at + 4 + size));
    for (let i = 0; i < size; i++) body[i] ^= mask[i & 3];
    frames.push({ op: data[0] & 15, body });
    data = data.subarray(at + 4 + size);
  }
  return [frames, data];
}

// Each lie gets the delivery that it spoils and says what is written instead.
const lies = {
  drop: () => [],
  duplicate: ({ line }) => [line, line],
  corrupt: ({ line }) => [line.replace('abc', 'abX')],
  foreign: ({ line }) => [line, line.replace(/"channel":"[^"]*"/, '"channel":"elsewhere"')],
  offset: ({ line }) => [line.replace(/"offset":(\d+)/, (_, n) => `"offset":${Number(n) + 1}`)],
  empty: ({ line }) => [line, ''],
  swap: ({ line, session }) => {
    session.held = line; // goes out after the next one
    return [];
  },
};

export class Liar {
  // lie: one of the names above, 'silence' (acknowledge and forget), 'refuse', 'slow' (close a
  // session with 3008), 'later' (refuse each tenth publication for now), 'unheard' (publish one, say that it
  // failed for now, and keep no key), 'epoch' (a second subscriber is told another one), 'terminal'; or null.
  // at: which delivery, counted over all sessions.
  constructor({ lie = null, at = 50, batch = false, ping = false } = {}) {
    Object.assign(this, { lie, at, batch, ping, told: false, deliveries: 0, publishes: 0, accepted: 0, rooms: new Map() });
    this.sockets = new Set();
    this.server = createServer((socket) => this.accept(socket));
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this.server.address().port;
  }

  async close() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  room(name) {
    if (!this.rooms.has(name)) this.rooms.set(name, { name, offset: 7, members: new Set(), stream: [] });
    return this.rooms.get(name);
  }

  accept(socket) {
    const session = { socket, rooms: new Set(), held: null, out: [] };
    let data = Buffer.alloc(0);
    let open = false;
    this.accepted++;
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.sockets.delete(socket);
      for (const room of session.rooms) room.members.delete(session);
    });
    socket.on('data', (chunk) => {
      data = Buffer.concat([data, chunk]);
      if (!open) {
        const end = data.indexOf('\r\n\r\n');
        if (end < 0) return;
        const key = /sec-websocket-key: *(.*)\r/i.exec(data.subarray(0, end + 2).toString())[1];
        const answer = createHash('sha1').update(key + GUID).digest('base64');
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
            `Sec-WebSocket-Accept: ${answer}\r\n\r\n`,
        );
        open = true;
        data = data.subarray(end + 4);
      }
      const [frames, rest] = unframe(data);
      data = rest;
      for (const { op, body } of frames) {
        if (op === 8) socket.end(frame(8, body));
        if (op !== 1) continue;
        for (const line of body.toString().split('\n')) this.command(session, JSON.parse(line));
      }
      for (const other of this.sockets) other.session?.flush();
    });
    socket.session = session;
    session.flush = () => {
      if (session.out.length === 0) return;
      if (this.batch) socket.write(text(session.out.join('\n')));
      else socket.write(Buffer.concat(session.out.map(text)));
      session.out = [];
    };
  }

  // True once, at the chosen delivery.
  now(lie) {
    if (this.lie !== lie || this.told || this.deliveries < this.at) return false;
    this.told = true;
    return true;
  }

  command(session, command) {
    const { id } = command;
    if (command.connect) {
      session.out.push(`{"id":${id},"connect":{"client":"c","version":"1","ping":25,"pong":true}}`);
      if (this.ping) session.out.push('{}');
    } else if (command.subscribe) {
      this.subscribe(session, id, command.subscribe);
    } else if (command.publish) {
      this.publish(session, id, command.publish);
    }
  }

  subscribe(session, id, { channel, recover, offset = 0 }) {
    const room = this.room(channel);
    const epoch = this.lie === 'epoch' && room.members.size ? 'other' : 'once';
    const missed = recover ? room.stream.filter((pub) => pub.offset > offset) : [];
    room.members.add(session);
    session.rooms.add(room);
    const result = { recoverable: true, positioned: true, epoch, offset: room.offset };
    if (recover) Object.assign(result, { was_recovering: true, recovered: true, offset });
    let body = JSON.stringify(result);
    if (missed.length) body = `${body.slice(0, -1)},"publications":[${missed.map((pub) => pub.json)}]}`;
    session.out.push(`{"id":${id},"subscribe":${body}}`);
  }

  publish(session, id, { channel, data }) {
    const room = this.room(channel);
    if (this.now('refuse')) {
      session.out.push(`{"id":${id},"error":{"code":103,"message":"permission denied"}}`);
      return;
    }
    const failed =
      `{"id":${id},"error":{"code":100,"message":"internal server error","temporary":true}}`;
    if (this.lie === 'later' && ++this.publishes % 10 === 0) {
      session.out.push(failed);
      return;
    }
    session.out.push(this.now('unheard') ? failed : `{"id":${id},"publish":{}}`);
    if (this.now('silence')) return;
    // Byte for byte what the generator sent: it writes the Korean letter as it is.
    const json = `{"data":${JSON.stringify(data)},"offset":${++room.offset}}`;
    room.stream.push({ offset: room.offset, json });
    const line = `{"push":{"channel":"${channel}","pub":${json}}}`;
    for (const member of [...room.members]) this.deliver(member, line);
  }

  deliver(session, line) {
    let lines = [line];
    this.deliveries++;
    if (this.now('slow')) session.socket.end(close(3008, 'slow'));
    if (this.now('terminal')) session.socket.end(close(3503, 'force disconnect'));
    if (this.now('cut')) session.socket.destroy();
    if (lies[this.lie] && this.now(this.lie)) lines = lies[this.lie]({ line, session });
    else if (session.held) {
      lines.push(session.held);
      session.held = null;
    }
    session.out.push(...lines);
  }
}
