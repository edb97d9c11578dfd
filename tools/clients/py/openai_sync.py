import openai
from harness import HELLO, KEY, SCHEMA, URL, WANTS_TOOL, Log, done, is_call, raised, test

NAME = "openai (Python)"
client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]


def streamed(model):
    text = ""
    for chunk in client.chat.completions.create(model=model, messages=HELLO, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
    return text


@test(NAME, "chat, whole and streamed")
def chat():
    whole = client.chat.completions.create(model="mock", messages=HELLO)
    assert whole.usage.total_tokens > 0
    assert streamed("mock") == whole.choices[0].message.content != ""


@test(NAME, "chat with a tool")
def tool():
    whole = client.chat.completions.create(model="mock", messages=WANTS_TOOL, tools=TOOLS)
    is_call(whole.choices[0].message.tool_calls[0].function.arguments)
    with client.chat.completions.stream(model="mock", messages=WANTS_TOOL, tools=TOOLS) as stream:
        for _ in stream:
            pass
        is_call(stream.get_final_completion().choices[0].message.tool_calls[0].function.arguments)


@test(NAME, "responses, whole and streamed")
def responses():
    whole = client.responses.create(model="mock", input="hello")
    with client.responses.stream(model="mock", input="hello") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == whole.output_text != ""


@test(NAME, "embeddings")
def embeddings():
    assert len(client.embeddings.create(model="mock", input=["a", "b"]).data) == 2


@test(NAME, "the list of models")
def models():
    assert "mock" in [model.id for model in client.models.list()]


@test(NAME, "a file is uploaded, or refused by the upstream, in one request")
def upload():
    log = Log()
    try:
        client.files.create(file=("a.jsonl", b"{}\n" * 1000), purpose="batch")
    except openai.APIStatusError as e:
        assert e.status_code in (400, 404), e
    assert log.requests(1)[0]["request_bytes"] >= 0


@test(NAME, "a model that nobody knows: one request, our text")
def nobody():
    log = Log()
    e = raised(openai.BadRequestError, lambda: client.chat.completions.create(model="nobody", messages=HELLO))
    assert 'no rule takes model "nobody"' in str(e), e
    assert e.request_id.startswith("req_"), e.request_id
    assert len(log.requests(1)) == 1


@test(NAME, "a key that is not one of ours: one request")
def stranger():
    log = Log()
    other = openai.OpenAI(base_url=URL + "/v1", api_key="sk-proj-abcdef")
    e = raised(openai.AuthenticationError, lambda: other.chat.completions.create(model="mock", messages=HELLO))
    assert "OpenAI key" in str(e), e
    assert len(log.requests(1)) == 1


@test(NAME, "a stream that is left is cancelled")
def left():
    log = Log()
    stream = client.chat.completions.create(model="mock-long", messages=HELLO, stream=True)
    for n, _ in enumerate(stream):
        if n == 3:
            stream.close()
            break
    assert log.requests(1)[0]["end_reason"] == "client_gone"


@test(NAME, "429 is tried again as the client likes")
def again():
    log = Log()
    once = client.with_options(max_retries=1)
    raised(openai.RateLimitError, lambda: once.chat.completions.create(model="mock-429", messages=HELLO))
    assert [line["status"] for line in log.requests(2)] == [429, 429]


@test(NAME, "a stream that the upstream breaks off raises")
def broken():
    raised(Exception, lambda: streamed("mock-reset"))


@test(NAME, "a stream that falls silent runs into the client's timeout")
def silent():
    log = Log()
    hasty = client.with_options(timeout=1, max_retries=0)

    def listen():
        for _ in hasty.chat.completions.create(model="mock-stall", messages=HELLO, stream=True):
            pass

    raised(Exception, listen)
    assert log.requests(1)[0]["end_reason"] == "client_gone"


done()
