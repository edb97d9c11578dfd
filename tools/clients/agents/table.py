"""Runs Claude Code and Codex through `llmgw run --`: one prompt that is
answered, then one for each status that a gateway might refuse with. Counts the
requests in the gateway's access log, looks for our text in what a person sees,
and fails where what the gateway relies on does not hold."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

LLMGW, BIN, LOG = sys.argv[1:4]
PATIENCE = 25  # seconds for one run; an agent that retries for longer is stopped
TEXT = "the walrus said no"  # what every refusal says
MOCK = "mock"  # in what the built-in mock answers

# What a person sees of each status: requests, and whether our text is shown.
# None: not relied on. "many" is more than one.
STATUSES = {
    "400": {"claude": (1, True), "codex": (1, True)},
    "401": {"claude": (1, True), "codex": ("many", True)},  # with x-should-retry: false
    "401-bare": {"claude": ("many", None), "codex": ("many", True)},
    "402": {"claude": (None, True), "codex": ("many", None)},
    "403": {"claude": (None, True), "codex": ("many", None)},
    "404": {"claude": (None, False), "codex": ("many", None)},
    "422": {"claude": (None, True), "codex": ("many", None)},
    "429": {"claude": (1, True), "codex": (None, False)},  # with x-should-retry: false
    "429-bare": {"claude": ("many", None), "codex": (None, False)},
    "502": {"claude": ("many", None), "codex": ("many", None)},
}

AGENTS = {
    "claude": lambda model: [f"{BIN}/claude", "-p", "say hi", "--model", model],
    "codex": lambda model: [f"{BIN}/codex", "exec", "--skip-git-repo-check", "-m", model, "say hi"],
}


def rules():
    """The rules: a model for each status, and everything else goes to the mock."""
    out = ["version: 1", "set: agents", "rules:"]
    for status in STATUSES:
        out += [f"  - name: refuse-{status}", f"    match: {{model: [refuse-{status}]}}", "    action:"]
        if status.endswith("-bare"):
            body = json.dumps({"type": "error", "error": {"type": "authentication_error", "message": TEXT}})
            out.append(
                f"      respond: {{status: {status[:3]}, headers: {{content-type: application/json}}, body: {json.dumps(body)}}}"
            )
        else:
            out.append(f"      respond: {{status: {status}, message: {TEXT}}}")
    out += ["  - name: agents", "    match: {model: [claude-*, gpt-*]}", "    action: {upstream: mock, model: mock}"]
    return "\n".join(out) + "\n"


def run(agent, model):
    """Runs an agent once in a home of its own; gives its output, its exit code
    (None: it was stopped) and how many requests for the model were logged."""
    begin = os.path.getsize(LOG)
    with tempfile.TemporaryDirectory() as home:
        env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
        env |= {"HOME": home, "CODEX_HOME": home, "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        p = subprocess.Popen(
            [LLMGW, "run", "--", *AGENTS[agent](model)], cwd=home, env=env, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        try:
            output, code = p.communicate(timeout=PATIENCE)[0], p.returncode
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            output, code = p.communicate()[0], None
    return output, code, requests(begin, model)


def requests(begin, model):
    """Counts the requests for a model since begin, when no more are coming."""
    seen, still = -1, 0
    while still < 5:
        time.sleep(0.1)
        with open(LOG, "rb") as f:
            f.seek(begin)
            lines = [json.loads(line) for line in f if line.endswith(b"}\n")]
        n = sum(1 for line in lines if line["msg"] == "request" and line["model"] == model)
        seen, still = n, still + 1 if n == seen else 0
    return seen


def holds(want, n, shown):
    count, text = want
    counted = count is None or (n > 1 if count == "many" else n == count)
    return counted and (text is None or text == shown)


def main():
    with tempfile.TemporaryDirectory() as d:
        file = pathlib.Path(d, "rules.yaml")
        file.write_text(rules())
        subprocess.run([LLMGW, "rules", "apply", "-f", file], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    failed = []
    for agent, model in ("claude", "claude-sonnet-4-5"), ("codex", "gpt-5"):
        output, code, n = run(agent, model)
        ok = code == 0 and MOCK in output and n > 0
        print(f"{'ok  ' if ok else 'FAIL'}  {agent} answers a prompt through llmgw run ({n} requests)", flush=True)
        if not ok:
            failed.append(agent)
            print(output)

    print(f"\n{'status':10}{'agent':8}{'requests':>9}  {'time':>6}  text shown")
    for status, agents in STATUSES.items():
        for agent, want in agents.items():
            begun = time.monotonic()
            output, code, n = run(agent, f"refuse-{status}")
            took, shown = time.monotonic() - begun, TEXT in output
            ok = holds(want, n, shown)
            after = "+" if code is None else " "
            print(f"{status:10}{agent:8}{n:>8}{after}  {took:5.1f}s  {'yes' if shown else 'no':4}{'' if ok else '  differs'}", flush=True)
            # A refusal of ours is a 400, and a key that is not valid a 401 with
            # x-should-retry: false. What the rest does may change with a release.
            if not ok and status in ("400", "401"):
                failed.append(f"{agent} {status}")
    print("+: stopped while it was still trying")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


main()
