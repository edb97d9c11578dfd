import { generateText, streamText, embed, tool, jsonSchema } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { test, done, assert, raised, mark, url, key, schema, isCall } from './harness.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false; // it does not know the limits of a model called mock

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: key });

// The three ways in which the library speaks to a provider.
const wires = { responses: (m) => openai(m), chat: (m) => openai.chat(m), messages: (m) => anthropic(m) };

for (const [wire, of] of Object.entries(wires)) {
  const name = `ai (${wire})`;

  await test(name, 'text', async () => {
    const { text, usage } = await generateText({ model: of('mock'), prompt: 'hello' });
    assert.ok(text.length > 0);
    assert.ok(usage.outputTokens > 0);
  });

  await test(name, 'text, streamed', async () => {
    const whole = await generateText({ model: of('mock'), prompt: 'hello' });
    const result = streamText({ model: of('mock'), prompt: 'hello' });
    let text = '';
    for await (const part of result.textStream) text += part;
    assert.equal(text, whole.text);
    assert.equal(await result.finishReason, 'stop');
  });

  await test(name, 'a tool', async () => {
    const weather = tool({ inputSchema: jsonSchema(schema) });
    const whole = await generateText({ model: of('mock'), prompt: 'use the tool', tools: { weather } });
    isCall(whole.toolCalls[0].input);
    const streamed = streamText({ model: of('mock'), prompt: 'use the tool', tools: { weather } });
    await streamed.consumeStream();
    isCall((await streamed.toolCalls)[0].input);
  });

  await test(name, 'a model that nobody knows: one request, our text', async () => {
    const lines = mark();
    const e = await raised(() => generateText({ model: of('nobody'), prompt: 'hello' }));
    assert.match(e.message, /no rule takes model/);
    assert.equal((await lines(1)).length, 1);
  });

  await test(name, '429 is tried again as the client likes', async () => {
    const lines = mark();
    await raised(() => generateText({ model: of('mock-429'), prompt: 'hello', maxRetries: 1 }));
    assert.deepEqual((await lines(2)).map((l) => l.status), [429, 429]);
  });

  await test(name, 'a stream that is left is cancelled', async () => {
    const lines = mark();
    const abort = new AbortController();
    const result = streamText({ model: of('mock-long'), prompt: 'hello', abortSignal: abort.signal });
    for await (const _ of result.textStream) abort.abort();
    assert.equal((await lines(1))[0].end_reason, 'client_gone');
  });

  await test(name, 'a stream that the upstream breaks off is told of', async () => {
    const e = await raised(async () => {
      const result = streamText({ model: of('mock-reset'), prompt: 'hello', onError: () => {} });
      for await (const part of result.fullStream) if (part.type === 'error') throw part.error;
    });
    assert.ok(e instanceof Error, e);
  });
}

await test('ai', 'an embedding', async () => {
  const { embedding } = await embed({ model: openai.embedding('mock'), value: 'hello' });
  assert.ok(embedding.length > 0);
});

done();
