import asyncio

import openai
from harness import HELLO, KEY, SCHEMA, URL, WANTS_TOOL, Log, done, is_call, raised_async, test

NAME = "openai (Python, async)"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]


def client(**options):
    return openai.AsyncOpenAI(base_url=URL + "/v1", api_key=KEY, **options)


async def streamed(c, model):
    text = ""
    async for chunk in await c.chat.completions.create(model=model, messages=HELLO, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
    return text


@test(NAME, "chat, whole and streamed")
async def chat():
    async with client() as c:
        whole = await c.chat.completions.create(model="mock", messages=HELLO)
        assert await streamed(c, "mock") == whole.choices[0].message.content != ""


@test(NAME, "fifty streams at once")
async def many():
    async with client() as c:
        texts = await asyncio.gather(*(streamed(c, "mock") for _ in range(50)))
        assert len(set(texts)) == 1


@test(NAME, "chat with a tool")
async def tool():
    async with client() as c:
        whole = await c.chat.completions.create(model="mock", messages=WANTS_TOOL, tools=TOOLS)
        is_call(whole.choices[0].message.tool_calls[0].function.arguments)


@test(NAME, "responses, whole and streamed")
async def responses():
    async with client() as c:
        whole = await c.responses.create(model="mock", input="hello")
        async with c.responses.stream(model="mock", input="hello") as stream:
            async for _ in stream:
                pass
            assert (await stream.get_final_response()).output_text == whole.output_text != ""


@test(NAME, "a model that nobody knows: one request, our text")
async def nobody():
    log = Log()
    async with client() as c:
        e = await raised_async(openai.BadRequestError, c.chat.completions.create(model="nobody", messages=HELLO))
    assert "no rule takes model" in str(e), e
    assert len(log.requests(1)) == 1


@test(NAME, "a task that is cancelled cancels its stream")
async def left():
    log = Log()
    async with client() as c:
        task = asyncio.create_task(streamed(c, "mock-long"))
        await asyncio.wait({task}, timeout=0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert log.requests(1)[0]["end_reason"] == "client_gone"


@test(NAME, "429 is tried again as the client likes")
async def again():
    log = Log()
    async with client(max_retries=1) as c:
        await raised_async(openai.RateLimitError, c.chat.completions.create(model="mock-429", messages=HELLO))
    assert [line["status"] for line in log.requests(2)] == [429, 429]


@test(NAME, "a stream that the upstream breaks off raises")
async def broken():
    async with client() as c:
        await raised_async(Exception, streamed(c, "mock-reset"))


done()
