#!/bin/sh
# Runs Claude Code and Codex through `llmgw run --`, and shows what a person at
# either sees of each status that a gateway can refuse with. The two are fetched
# from npm (some 640 MB, once) and are never part of a build.
#
# usage: tools/agents.sh BINARY    (make e2e-agents calls it)
set -eu

llmgw=$(cd "$(dirname "${1:?usage: tools/agents.sh BINARY}")" && pwd)/$(basename "$1")
tools=$(cd "$(dirname "$0")" && pwd)
for command in npm python3; do
	command -v $command >/dev/null || { echo "agents.sh needs $command" >&2; exit 1; }
done

agents=${XDG_CACHE_HOME:-$HOME/.cache}/llmgw-clients/agents-$(cksum <"$tools/clients/agents/package-lock.json" | tr ' ' -)
if [ ! -e "$agents/done" ]; then
	echo "installing Claude Code and Codex into $agents (once)"
	mkdir -p "$agents"
	cp "$tools/clients/agents/package.json" "$tools/clients/agents/package-lock.json" "$agents"
	(cd "$agents" && npm ci --no-audit --no-fund --loglevel=error) && touch "$agents/done"
fi

dir=$(mktemp -d)
. "$tools/gateway.sh"
start_gateway
python3 "$tools/clients/agents/table.py" "$llmgw" "$agents/node_modules/.bin" "$dir/log"
