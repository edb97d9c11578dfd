from google import genai
from google.genai import errors, types
from harness import KEY, SCHEMA, URL, Log, done, is_call, raised, test

NAME = "google-genai (Python)"
client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))
TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)])


@test(NAME, "content, whole and streamed")
def content():
    whole = client.models.generate_content(model="mock", contents="hello")
    stream = client.models.generate_content_stream(model="mock", contents="hello")
    assert "".join(chunk.text or "" for chunk in stream) == whole.text != ""


@test(NAME, "content, streamed, async")
async def content_async():
    stream = await client.aio.models.generate_content_stream(model="mock", contents="hello")
    assert "".join([chunk.text or "" async for chunk in stream])


@test(NAME, "a tool")
def tool():
    config = types.GenerateContentConfig(tools=[TOOL])
    whole = client.models.generate_content(model="mock", contents="use the tool", config=config)
    is_call(whole.function_calls[0].args)


@test(NAME, "a model that nobody knows: one request, our text")
def nobody():
    log = Log()
    e = raised(errors.ClientError, lambda: client.models.generate_content(model="nobody", contents="hello"))
    assert e.code == 400 and "no rule takes model" in str(e), e
    assert len(log.requests(1)) == 1


@test(NAME, "a stream that is left is cancelled")
def left():
    log = Log()
    stream = client.models.generate_content_stream(model="mock-long", contents="hello")
    next(stream)
    stream.close()
    assert log.requests(1)[0]["end_reason"] == "client_gone"


done()
