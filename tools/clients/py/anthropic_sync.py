import anthropic
from harness import HELLO, KEY, SCHEMA, URL, WANTS_TOOL, Log, done, is_call, raised, test

NAME = "anthropic (Python)"
client = anthropic.Anthropic(base_url=URL, api_key=KEY)
ASK = {"model": "mock", "max_tokens": 64, "messages": HELLO}
TOOLS = [{"name": "weather", "input_schema": SCHEMA}]


def streamed(**changes):
    with client.messages.stream(**{**ASK, **changes}) as stream:
        return stream.get_final_message()


@test(NAME, "a message, whole and streamed")
def message():
    whole = client.messages.create(**ASK)
    stream = streamed()
    assert stream.content[0].text == whole.content[0].text != ""
    assert stream.usage.output_tokens == whole.usage.output_tokens > 0


@test(NAME, "with a bearer token, as Claude Code sends it")
def bearer():
    other = anthropic.Anthropic(base_url=URL, auth_token=KEY, api_key=None)
    assert other.messages.create(**ASK).content[0].text


@test(NAME, "a beta")
def beta():
    assert client.beta.messages.create(**ASK, betas=["context-1m-2025-08-07"]).content[0].text


@test(NAME, "a tool")
def tool():
    for message in (
        client.messages.create(**{**ASK, "messages": WANTS_TOOL}, tools=TOOLS),
        streamed(messages=WANTS_TOOL, tools=TOOLS),
    ):
        is_call(next(c for c in message.content if c.type == "tool_use").input)


@test(NAME, "tokens counted")
def count():
    assert client.messages.count_tokens(model="mock", messages=HELLO).input_tokens > 0


@test(NAME, "the list of models")
def models():
    assert "mock" in [model.id for model in client.models.list()]


@test(NAME, "a model that nobody knows: one request, our text")
def nobody():
    log = Log()
    e = raised(anthropic.BadRequestError, lambda: client.messages.create(**{**ASK, "model": "nobody"}))
    assert "no rule takes model" in str(e) and e.body["error"]["type"] == "invalid_request_error", e
    assert len(log.requests(1)) == 1


@test(NAME, "a provider's key sent by mistake: one request")
def stranger():
    log = Log()
    other = anthropic.Anthropic(base_url=URL, api_key="sk-ant-api03-xyz")
    e = raised(anthropic.AuthenticationError, lambda: other.messages.create(**ASK))
    assert "Anthropic key" in str(e), e
    assert len(log.requests(1)) == 1


@test(NAME, "a stream that is left is cancelled")
def left():
    log = Log()
    with client.messages.stream(**{**ASK, "model": "mock-long"}) as stream:
        for n, _ in enumerate(stream):
            if n == 5:
                break
    assert log.requests(1)[0]["end_reason"] == "client_gone"


@test(NAME, "529 is tried again as the client likes")
def again():
    log = Log()
    once = client.with_options(max_retries=1)
    raised(anthropic.APIStatusError, lambda: once.messages.create(**{**ASK, "model": "mock-529"}))
    assert [line["status"] for line in log.requests(2)] == [529, 529]


@test(NAME, "an error event in the stream raises")
def error_event():
    raised(anthropic.APIError, lambda: streamed(model="mock-error-event"))


@test(NAME, "a stream that the upstream breaks off raises")
def broken():
    raised(Exception, lambda: streamed(model="mock-reset"))


done()
