import Anthropic from '@anthropic-ai/sdk';
import { test, done, assert, raised, mark, url, key, hello, wantsTool, schema, isCall } from './harness.mjs';

const name = '@anthropic-ai/sdk';
const client = new Anthropic({ baseURL: url, apiKey: key });
const ask = { model: 'mock', max_tokens: 64, messages: hello };
const tools = [{ name: 'weather', input_schema: schema }];

await test(name, 'a message', async () => {
  const message = await client.messages.create(ask);
  assert.ok(message.content[0].text.length > 0);
  assert.match(message._request_id ?? 'none', /./);
});

await test(name, 'a message, streamed', async () => {
  const whole = await client.messages.create(ask);
  const streamed = await client.messages.stream(ask).finalMessage();
  assert.equal(streamed.content[0].text, whole.content[0].text);
  assert.deepEqual(streamed.usage.output_tokens, whole.usage.output_tokens);
});

await test(name, 'with a bearer token, as Claude Code sends it', async () => {
  const bearer = new Anthropic({ baseURL: url, authToken: key, apiKey: null });
  assert.ok((await bearer.messages.create(ask)).content[0].text.length > 0);
});

await test(name, 'a tool', async () => {
  const whole = await client.messages.create({ ...ask, messages: wantsTool, tools });
  isCall(whole.content.find((c) => c.type === 'tool_use').input);
  const streamed = await client.messages.stream({ ...ask, messages: wantsTool, tools }).finalMessage();
  isCall(streamed.content.find((c) => c.type === 'tool_use').input);
});

await test(name, 'tokens counted', async () => {
  assert.ok((await client.messages.countTokens({ model: 'mock', messages: hello })).input_tokens > 0);
});

await test(name, 'the list of models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes('mock'), ids.join());
});

await test(name, 'a model that nobody knows: one request, our text', async () => {
  const lines = mark();
  const e = await raised(() => client.messages.create({ ...ask, model: 'nobody' }));
  assert.ok(e instanceof Anthropic.BadRequestError, e);
  assert.equal(e.error.error.type, 'invalid_request_error');
  assert.match(e.message, /no rule takes model/);
  assert.equal((await lines(1)).length, 1);
});

await test(name, 'a key cut short: one request', async () => {
  const lines = mark();
  const short = new Anthropic({ baseURL: url, apiKey: key.slice(0, -1) });
  const e = await raised(() => short.messages.create(ask));
  assert.ok(e instanceof Anthropic.AuthenticationError, e);
  assert.match(e.message, /was it cut when copied/);
  assert.equal((await lines(1)).length, 1);
});

await test(name, 'a stream that is left is cancelled', async () => {
  const lines = mark();
  const stream = client.messages.stream({ ...ask, model: 'mock-long' });
  stream.on('streamEvent', () => stream.abort());
  const e = await raised(() => stream.finalMessage());
  assert.ok(e instanceof Anthropic.APIUserAbortError, e);
  assert.equal((await lines(1))[0].end_reason, 'client_gone');
});

await test(name, '529 is tried again as the client likes', async () => {
  const lines = mark();
  const again = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 1 });
  const e = await raised(() => again.messages.create({ ...ask, model: 'mock-529' }));
  assert.equal(e.status, 529);
  assert.deepEqual((await lines(2)).map((l) => l.status), [529, 529]);
});

await test(name, 'an error event in the stream raises', async () => {
  const e = await raised(() => client.messages.stream({ ...ask, model: 'mock-error-event' }).finalMessage());
  assert.ok(e instanceof Anthropic.APIError, e);
});

await test(name, 'a stream that the upstream breaks off raises', async () => {
  assert.ok((await raised(() => client.messages.stream({ ...ask, model: 'mock-reset' }).finalMessage())) instanceof Error);
});

done();
