// What every script here needs: the gateway's address and key, cases with a
// bound, and the gateway's own access log to compare with.
import fs from 'node:fs';
import assert from 'node:assert/strict';

const { LLMGW_URL: url, LLMGW_KEY: key, LLMGW_LOG: log } = process.env;
export { assert, url, key };

const patience = 20_000; // ms, for a case or for a line of the log

const failed = [];

// test runs one case and tells how it went.
export async function test(client, name, run) {
  const timer = { id: undefined };
  const late = new Promise((_, reject) => {
    timer.id = setTimeout(() => reject(new Error(`not done after ${patience} ms`)), patience);
  });
  try {
    await Promise.race([run(), late]);
    console.log(`ok    ${client} · ${name}`);
  } catch (e) {
    failed.push(`${client} · ${name}`);
    console.log(`FAIL  ${client} · ${name}: ${e?.stack ?? e}`);
  } finally {
    clearTimeout(timer.id);
  }
}

// done ends the script; open connections of the clients do not hold it.
export function done() {
  process.exit(failed.length === 0 ? 0 : 1);
}

// raised gives the error that run ends with.
export async function raised(run) {
  try {
    await run();
  } catch (e) {
    return e;
  }
  throw new Error('no error was raised');
}

// mark remembers where the access log stands; lines gives the requests logged
// since then, when there are as many as wanted.
export function mark() {
  const from = fs.statSync(log).size;
  return async function lines(want) {
    for (const end = Date.now() + patience; ; ) {
      const seen = fs.readFileSync(log).subarray(from).toString().split('\n')
        .filter((l) => l.endsWith('}')).map((l) => JSON.parse(l)).filter((l) => l.msg === 'request');
      if (seen.length >= want) return seen;
      if (Date.now() > end) throw new Error(`${seen.length} requests in the access log, wanted ${want}`);
      await new Promise((r) => setTimeout(r, 20));
    }
  };
}

// The prompts and the tool that all clients use.
export const hello = [{ role: 'user', content: 'hello there' }];
export const wantsTool = [{ role: 'user', content: 'use the tool' }];
export const schema = {
  type: 'object',
  properties: { city: { type: 'string' }, n: { type: 'integer' } },
  required: ['city', 'n'],
  additionalProperties: false,
};

export function isCall(input) {
  const call = typeof input === 'string' ? JSON.parse(input) : input;
  assert.equal(typeof call.city, 'string');
  assert.equal(typeof call.n, 'number');
}
