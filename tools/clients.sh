#!/bin/sh
# Puts the clients that people use in front of a gateway, with its built-in mock
# behind it: whole and streamed answers, tools, errors, streams that are left,
# retries. What they need is installed beside the caches of npm and pip, once
# for each set of versions.
#
# usage: tools/clients.sh BINARY    (make e2e calls it)
set -eu

llmgw=$(cd "$(dirname "${1:?usage: tools/clients.sh BINARY}")" && pwd)/$(basename "$1")
tools=$(cd "$(dirname "$0")" && pwd)
: "${LLMGW_TEST_REQUIRE_SERVICES:=}"

# needs NAME COMMAND-THAT-PROVES-IT HOW-TO-GET-IT
missing=
needs() {
	if ! sh -c "$2" >/dev/null 2>&1; then
		missing="$missing $1"
		echo "# $1 is missing, its clients are NOT TESTED. Get it with: $3" >&2
	fi
}
needs npm "node -e 'process.exit(+(process.versions.node.split(\".\")[0] < 20))' && npm --version" \
	"your package manager, nodejs 20 or later and npm"
needs python "python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))'" \
	"your package manager, python3 3.9 or later with python3-venv"
if [ -n "$missing" ] && [ "$LLMGW_TEST_REQUIRE_SERVICES" = 1 ]; then
	echo "LLMGW_TEST_REQUIRE_SERVICES=1: a missing need is a failure" >&2
	exit 1
fi
has() { case $missing in *"$1"*) return 1 ;; esac; }

# installed KIND FILE… is the directory for what these files ask for.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmgw-clients
installed() {
	kind=$1
	shift
	echo "$cache/$kind-$(cat "$@" | cksum | tr ' ' -)"
}

if has npm; then
	node=$(installed npm "$tools/clients/js/package-lock.json")
	if [ ! -e "$node/done" ]; then
		echo "installing the npm clients into $node (once)"
		mkdir -p "$node"
		cp "$tools/clients/js/package.json" "$tools/clients/js/package-lock.json" "$node"
		(cd "$node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) && touch "$node/done"
	fi
fi
if has python; then
	python=$(installed python "$tools/clients/py/requirements.txt")
	if [ ! -e "$python/done" ]; then
		echo "installing the Python clients into $python (once)"
		python3 -m venv "$python"
		"$python/bin/pip" install --quiet --disable-pip-version-check -r "$tools/clients/py/requirements.txt" && touch "$python/done"
	fi
fi

dir=$(mktemp -d)
. "$tools/gateway.sh"
start_gateway
LLMGW_KEY=$("$llmgw" keys create clients 2>"$dir/created") || fail "keys create" "$dir/created"
export LLMGW_KEY LLMGW_URL="$proxy" LLMGW_LOG="$dir/log"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY 2>/dev/null || :

# each DIRECTORY RUNTIME SUFFIX runs every script of a language.
code=0
each() {
	for script in "$1"/*."$3"; do
		case $(basename "$script") in harness.*) continue ;; esac
		"$2" "$script" || code=1
	done
}
if has npm; then
	mkdir "$dir/js" # modules are looked for beside the script
	cp "$tools"/clients/js/*.mjs "$dir/js"
	ln -s "$node/node_modules" "$dir/js/node_modules"
	each "$dir/js" node mjs
fi
if has python; then
	PYTHONDONTWRITEBYTECODE=1 each "$tools/clients/py" "$python/bin/python" py
fi
[ "$code" = 0 ] || fail "a client was not served as it should be; the gateway's errors:" "$(grep -v '"msg":"request"' "$dir/log" >"$dir/errors"; echo "$dir/errors")"
if grep -q 'sk-lgw-' "$dir/out" "$dir/log"; then fail "a key stands in what serve wrote" "$dir/out" "$dir/log"; fi
echo "ok    every client was served${missing:+, but for$missing}"
