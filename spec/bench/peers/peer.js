// The bench's works in Node, by its http and https modules: one | many | files | page | first, with the arguments of
// ours.lua.
'use strict';
const fs = require('fs');
const http = require('http');
const https = require('https');
const { pipeline } = require('stream/promises');
const zlib = require('zlib');

function newClient(base, ca, connections) {
  const secure = base.startsWith('https:');
  const agent = new (secure ? https : http).Agent({
    keepAlive: true, maxSockets: connections, ca: ca === '-' ? undefined : fs.readFileSync(ca) });
  return { module: secure ? https : http, agent, base };
}

function open(client, path, coding) {
  const headers = { Authorization: 'Bearer t', Accept: 'application/json' };
  if (coding) headers['Accept-Encoding'] = coding;
  return new Promise((resolve, reject) => {
    client.module.get(client.base + path, { agent: client.agent, headers }, (response) => {
      if (response.statusCode === 200) resolve(response);
      else reject(new Error('status ' + response.statusCode));
    }).on('error', reject);
  });
}

async function get(client, path) {
  const pieces = [];
  for await (const piece of await open(client, path)) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString());
}

async function job(client, number) {
  const found = await get(client, '/v1/batch-query/jobs/j' + number);
  if (found.status !== 'completed') throw new Error(found.status);
  return found.batches[0].recordCount;
}

function begin() {
  const cpu = process.cpuUsage(), wall = process.hrtime.bigint();
  return (count, check) => {
    const used = process.cpuUsage(cpu);
    console.log(`cpu=${((used.user + used.system) / 1e6).toFixed(6)} `
      + `wall=${(Number(process.hrtime.bigint() - wall) / 1e9).toFixed(6)} count=${count} check=${check}`);
  };
}

async function all(client, count, inFlight) {
  let next = 1, sum = 0;
  async function work() {
    while (next <= count) {
      const number = await job(client, next++);
      sum += number;
    }
  }
  await Promise.all(Array.from({ length: inFlight }, work));
  return sum;
}

const works = {
  async first(base) { await job(newClient(base, '-', 1), 1); },
  async one(base, count, warm, ca) {
    const client = newClient(base, ca, 1);
    for (let i = 0; i < warm; i++) await job(client, 1);
    const done = begin();
    let sum = 0;
    for (let i = 1; i <= count; i++) sum += await job(client, i);
    done(count, sum);
  },
  async many(base, count, inFlight, ca, times) {
    const client = newClient(base, ca, Number(inFlight));
    await all(client, 2 * inFlight, Number(inFlight));
    const done = begin();
    let sum = 0;
    for (let i = 0; i < times; i++) sum += await all(client, Number(count), Number(inFlight));
    done(count * times, sum);
  },
  async files(base, ca, encoding, connections, directory, ...names) {
    const done = begin();
    const client = newClient(base, ca, Number(connections));
    let bytes = 0;
    await Promise.all(names.map(async (name) => {
      const path = directory + '/' + name;
      const response = await open(client, '/v1/files/' + name, encoding === '-' ? undefined : encoding);
      const file = fs.createWriteStream(path, { highWaterMark: 1 << 20 });
      if (response.headers['content-encoding'] === 'gzip') await pipeline(response, zlib.createGunzip(), file);
      else await pipeline(response, file);
      bytes += file.bytesWritten;
    }));
    done(names.length, bytes);
  },
  async page(base, ca) {
    const client = newClient(base, ca, 1);
    await job(client, 1);
    const done = begin();
    const data = await get(client, '/reporting/api/rest/v1/reportruns/reportdata/run?offset=1&pageSize=1000000');
    let sum = 0;
    for (const row of data.response.page) sum += row.Description.length;
    done(data.response.page.length, sum);
  },
};

works[process.argv[2]](...process.argv.slice(3)).then(() => process.exit(0));
