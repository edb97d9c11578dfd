import OpenAI from 'openai';
import { test, done, assert, raised, mark, url, key, hello, wantsTool, schema, isCall } from './harness.mjs';

const name = 'openai (npm)';
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
const tools = [{ type: 'function', function: { name: 'weather', parameters: schema } }];

await test(name, 'chat', async () => {
  const { data, response } = await client.chat.completions.create({ model: 'mock', messages: hello }).withResponse();
  assert.ok(data.choices[0].message.content.length > 0);
  assert.ok(data.usage.total_tokens > 0);
  assert.match(response.headers.get('x-llmgw-request-id'), /^req_/);
});

await test(name, 'chat, streamed', async () => {
  let text = '', usage;
  const stream = await client.chat.completions.create({
    model: 'mock', messages: hello, stream: true, stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    usage = chunk.usage ?? usage;
  }
  const whole = await client.chat.completions.create({ model: 'mock', messages: hello });
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.total_tokens, whole.usage.total_tokens);
});

await test(name, 'chat with a tool', async () => {
  const whole = await client.chat.completions.create({ model: 'mock', messages: wantsTool, tools });
  isCall(whole.choices[0].message.tool_calls[0].function.arguments);
  const streamed = await client.chat.completions.stream({ model: 'mock', messages: wantsTool, tools }).finalChatCompletion();
  isCall(streamed.choices[0].message.tool_calls[0].function.arguments);
});

await test(name, 'responses', async () => {
  const whole = await client.responses.create({ model: 'mock', input: 'hello' });
  const streamed = await client.responses.stream({ model: 'mock', input: 'hello' }).finalResponse();
  assert.ok(whole.output_text.length > 0);
  assert.equal(streamed.output_text, whole.output_text);
});

await test(name, 'embeddings', async () => {
  const { data } = await client.embeddings.create({ model: 'mock', input: ['a', 'b'] });
  assert.equal(data.length, 2);
  assert.ok(data[0].embedding.length > 0);
});

await test(name, 'the list of models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes('mock'), ids.join());
});

await test(name, 'a model that nobody knows: one request, our text', async () => {
  const lines = mark();
  const e = await raised(() => client.chat.completions.create({ model: 'nobody', messages: hello }));
  assert.ok(e instanceof OpenAI.BadRequestError, e);
  assert.match(e.message, /no rule takes model "nobody"/);
  assert.match(e.requestID, /^req_/);
  assert.equal((await lines(1)).length, 1);
});

await test(name, 'a key that is not one of ours: one request', async () => {
  const lines = mark();
  const other = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-proj-abcdef' });
  const e = await raised(() => other.chat.completions.create({ model: 'mock', messages: hello }));
  assert.ok(e instanceof OpenAI.AuthenticationError, e);
  assert.match(e.message, /OpenAI key/);
  assert.equal((await lines(1)).length, 1);
});

await test(name, 'a stream that is left is cancelled', async () => {
  const lines = mark();
  const stream = await client.chat.completions.create({ model: 'mock-long', messages: hello, stream: true });
  let n = 0;
  for await (const _ of stream) if (++n === 4) stream.controller.abort();
  assert.equal((await lines(1))[0].end_reason, 'client_gone');
});

await test(name, '429 is tried again as the client likes', async () => {
  const lines = mark();
  const again = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 1 });
  const e = await raised(() => again.chat.completions.create({ model: 'mock-429', messages: hello }));
  assert.ok(e instanceof OpenAI.RateLimitError, e);
  assert.deepEqual((await lines(2)).map((l) => l.status), [429, 429]);
});

await test(name, 'a stream that the upstream breaks off raises', async () => {
  const e = await raised(async () => {
    for await (const _ of await client.chat.completions.create({ model: 'mock-reset', messages: hello, stream: true }));
  });
  assert.ok(e instanceof Error);
});

await test(name, 'an answer in gzip', async () => {
  const lines = mark();
  let text = '';
  for await (const chunk of await client.chat.completions.create({ model: 'mock-gzip', messages: hello, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? '';
  }
  assert.ok(text.length > 0);
  assert.equal((await lines(1))[0].end_reason, 'complete');
});

done();
