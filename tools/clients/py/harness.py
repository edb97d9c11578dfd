"""What every script here needs: the gateway's address and key, cases with a
bound, and the gateway's own access log to compare with."""

import asyncio
import json
import os
import sys
import time
import traceback

URL, KEY, LOG = os.environ["LLMGW_URL"], os.environ["LLMGW_KEY"], os.environ["LLMGW_LOG"]

PATIENCE = 20  # seconds, for a case or for a line of the log

HELLO = [{"role": "user", "content": "hello there"}]
WANTS_TOOL = [{"role": "user", "content": "use the tool"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["city", "n"],
}

_failed = []


def test(client, name):
    """Runs the decorated case, sync or async, at once, and tells how it went."""

    def run(case):
        try:
            if asyncio.iscoroutinefunction(case):
                asyncio.run(asyncio.wait_for(case(), PATIENCE))
            else:
                case()
            print(f"ok    {client} · {name}", flush=True)
        except Exception:
            _failed.append(name)
            print(f"FAIL  {client} · {name}: {traceback.format_exc()}", flush=True)
        return case

    return run


def done():
    sys.exit(1 if _failed else 0)


def raised(kind, run):
    """Gives the error that run ends with, which must be of a kind."""
    try:
        run()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__} was raised")


async def raised_async(kind, awaitable):
    try:
        await awaitable
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__} was raised")


class Log:
    """The access log from now on."""

    def __init__(self):
        self.begin = os.path.getsize(LOG)

    def requests(self, want):
        """The requests logged since, when there are as many as wanted."""
        end = time.monotonic() + PATIENCE
        while True:
            with open(LOG, "rb") as f:
                f.seek(self.begin)
                lines = [json.loads(line) for line in f if line.endswith(b"}\n")]
            seen = [line for line in lines if line["msg"] == "request"]
            if len(seen) >= want:
                return seen
            if time.monotonic() > end:
                raise AssertionError(f"{len(seen)} requests in the access log, wanted {want}")
            time.sleep(0.02)


def is_call(arguments):
    call = json.loads(arguments) if isinstance(arguments, str) else arguments
    assert isinstance(call["city"], str) and isinstance(call["n"], int), call
