import asyncio

import anthropic
from harness import HELLO, KEY, SCHEMA, URL, WANTS_TOOL, Log, done, is_call, raised_async, test

NAME = "anthropic (Python, async)"
ASK = {"model": "mock", "max_tokens": 64, "messages": HELLO}
TOOLS = [{"name": "weather", "input_schema": SCHEMA}]


def client(**options):
    return anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, **options)


async def streamed(c, **changes):
    async with c.messages.stream(**{**ASK, **changes}) as stream:
        return await stream.get_final_message()


@test(NAME, "a message, whole and streamed")
async def message():
    async with client() as c:
        whole = await c.messages.create(**ASK)
        assert (await streamed(c)).content[0].text == whole.content[0].text != ""


@test(NAME, "a tool")
async def tool():
    async with client() as c:
        message = await streamed(c, messages=WANTS_TOOL, tools=TOOLS)
        is_call(next(part for part in message.content if part.type == "tool_use").input)


@test(NAME, "a model that nobody knows: one request, our text")
async def nobody():
    log = Log()
    async with client() as c:
        e = await raised_async(anthropic.BadRequestError, c.messages.create(**{**ASK, "model": "nobody"}))
    assert "no rule takes model" in str(e), e
    assert len(log.requests(1)) == 1


@test(NAME, "a task that is cancelled cancels its stream")
async def left():
    log = Log()
    async with client() as c:
        task = asyncio.create_task(streamed(c, model="mock-long"))
        await asyncio.wait({task}, timeout=0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert log.requests(1)[0]["end_reason"] == "client_gone"


@test(NAME, "529 is tried again as the client likes")
async def again():
    log = Log()
    async with client(max_retries=1) as c:
        await raised_async(anthropic.APIStatusError, c.messages.create(**{**ASK, "model": "mock-529"}))
    assert [line["status"] for line in log.requests(2)] == [529, 529]


@test(NAME, "a stream that the upstream breaks off raises")
async def broken():
    async with client() as c:
        await raised_async(Exception, streamed(c, model="mock-reset"))


done()
