import { GoogleGenAI } from '@google/genai';
import { test, done, assert, raised, mark, url, key, schema, isCall } from './harness.mjs';

const name = '@google/genai';
const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url } });
const config = { tools: [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: schema }] }] };

async function text(model, contents) {
  let all = '';
  for await (const chunk of await client.models.generateContentStream({ model, contents })) all += chunk.text ?? '';
  return all;
}

await test(name, 'content', async () => {
  const answer = await client.models.generateContent({ model: 'mock', contents: 'hello' });
  assert.ok(answer.text.length > 0);
  assert.ok(answer.usageMetadata.totalTokenCount > 0);
});

await test(name, 'content, streamed', async () => {
  const whole = await client.models.generateContent({ model: 'mock', contents: 'hello' });
  assert.equal(await text('mock', 'hello'), whole.text);
});

await test(name, 'a tool', async () => {
  const whole = await client.models.generateContent({ model: 'mock', contents: 'use the tool', config });
  isCall(whole.functionCalls[0].args);
});

await test(name, 'a model that nobody knows: one request, our text', async () => {
  const lines = mark();
  const e = await raised(() => client.models.generateContent({ model: 'nobody', contents: 'hello' }));
  assert.equal(e.status, 400);
  assert.match(e.message, /no rule takes model/);
  assert.equal((await lines(1)).length, 1);
});

await test(name, "a provider's key sent by mistake", async () => {
  const other = new GoogleGenAI({ apiKey: 'AIzaSyExample', httpOptions: { baseUrl: url } });
  const e = await raised(() => other.models.generateContent({ model: 'mock', contents: 'hello' }));
  assert.equal(e.status, 401);
  assert.match(e.message, /Google key/);
});

await test(name, 'a stream that is left is cancelled', async () => {
  const lines = mark();
  const abort = new AbortController();
  const config = { abortSignal: abort.signal };
  const stream = await client.models.generateContentStream({ model: 'mock-long', contents: 'hello', config });
  await raised(async () => {
    for await (const _ of stream) abort.abort();
  });
  assert.equal((await lines(1))[0].end_reason, 'client_gone');
});

await test(name, '429 is told of with its status', async () => {
  const lines = mark();
  const e = await raised(() => client.models.generateContent({ model: 'mock-429', contents: 'hello' }));
  assert.equal(e.status, 429);
  assert.equal((await lines(1))[0].status, 429);
});

await test(name, 'a stream that the upstream breaks off raises', async () => {
  assert.ok((await raised(() => text('mock-reset', 'hello'))) instanceof Error);
});

done();
