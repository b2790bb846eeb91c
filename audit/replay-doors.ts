import dgram from 'node:dgram';
import dns from 'node:dns';
import net from 'node:net';

// Loaded before all else in a replay's process and in each of its threads: takes every way out of Node's own modules away. See replay.ts.

const refuse = (): never => {
  throw new Error('a replay has no network');
};
net.Socket.prototype.connect = refuse;
net.Server.prototype.listen = refuse;
dgram.Socket.prototype.bind = refuse;
dgram.Socket.prototype.connect = refuse;
dgram.Socket.prototype.send = refuse;
for (const resolver of [dns, dns.promises]) {
  for (const [name, value] of Object.entries(resolver)) {
    if (typeof value === 'function' && /^(lookup|resolve|reverse)/.test(name)) Object.assign(resolver, { [name]: refuse });
  }
}
for (const name of ['fetch', 'WebSocket', 'EventSource']) Object.defineProperty(globalThis, name, { value: refuse });
