#!/bin/sh
# Asks a running gateway what its README says it answers, with curl, from the
# first start to a stop.
#
# usage: tools/e2e.sh BINARY    (make e2e calls it)
set -eu

llmgw=$(cd "$(dirname "${1:?usage: tools/e2e.sh BINARY}")" && pwd)/$(basename "$1")
readme=$(cd "$(dirname "$0")/.." && pwd)/README.md
command -v curl >/dev/null || { echo "e2e.sh needs curl" >&2; exit 1; }

dir=$(mktemp -d)
. "$(dirname "$readme")/tools/gateway.sh"

# has TEXT FILE WHAT fails unless the file has the text in it.
has() {
	grep -qF -- "$1" "$2" || fail "$3: wanted $1 in" "$2"
	echo "ok   $3"
}

# answers STATUS FILE CURL-ARGUMENTS… asks and fails on another status.
answers() {
	want=$1 file=$2
	shift 2
	got=$(curl -sS --max-time 20 -o "$file" -w '%{http_code}' "$@") || fail "curl $*" "$dir/log"
	[ "$got" = "$want" ] || fail "status $got, wanted $want: $*" "$file" "$dir/log"
}

start_gateway
echo "ok   serve answers at $proxy"

# The commands that the README lists, and the verbs of each.
awk -F'|' '/^\| `/ {
	n = split($2, commands, "`"); m = split($3, verbs, "`")
	for (i = 2; i <= n; i += 2) {
		print commands[i]
		for (j = 2; j <= m; j += 2) print commands[i], verbs[j]
	}
}' "$readme" >commands
[ "$(wc -l <commands)" -gt 20 ] || fail "README.md lists few commands" commands
while read -r command; do
	# shellcheck disable=SC2086 # a command and its verb are two words
	"$llmgw" $command --help >"$dir/a" 2>&1 || fail "$command --help" "$dir/a"
	grep -q "llmgw $command" "$dir/a" || fail "the README lists $command" "$dir/a"
done <commands
echo "ok   every command of the README is there"

key=$("$llmgw" keys create e2e 2>"$dir/created") || fail "keys create" "$dir/created"
bearer="Authorization: Bearer $key"
hello='"messages":[{"role":"user","content":"hello"}]'

answers 200 "$dir/a" "$proxy/readyz"
answers 401 "$dir/a" "$proxy/v1/models"
has sk-lgw- "$dir/a" "a stranger is told what to send"

answers 200 "$dir/a" -N "$proxy/v1/chat/completions" -H "$bearer" -H 'Content-Type: application/json' -d "{\"model\":\"mock\",\"stream\":true,$hello}"
has 'data: [DONE]' "$dir/a" "a chat streams to its end"
answers 200 "$dir/a" "$proxy/v1/messages" -H "x-api-key: $key" -H 'anthropic-version: 2023-06-01' -H 'Content-Type: application/json' -d "{\"model\":\"mock\",\"max_tokens\":20,$hello}"
has '"type":"message"' "$dir/a" "the same mock speaks the Messages API"
answers 400 "$dir/a" "$proxy/v1/chat/completions" -H "$bearer" -H 'Content-Type: application/json' -d "{\"model\":\"nobody\",$hello}"
has 'no rule takes model' "$dir/a" "a model nobody knows is a 400 that says so"

sed -n '/^```yaml$/,/^```$/p' "$readme" | sed '/^```/d' >rules.yaml
"$llmgw" rules validate -f rules.yaml >"$dir/a" 2>&1 || fail "rules validate" "$dir/a"
"$llmgw" rules apply -f rules.yaml >"$dir/a" 2>&1 || fail "rules apply" "$dir/a"
has '+ free-tier' "$dir/a" "the README's rule is applied"
answers 200 "$dir/a" "$proxy/v1/chat/completions" -H "$bearer" -H 'x-tier: free' -H 'Content-Type: application/json' -d "{\"model\":\"gpt-5-mini\",$hello}"
has '"choices"' "$dir/a" "and the next request takes it"
"$llmgw" chat hello >"$dir/a" 2>&1 || fail "chat" "$dir/a"
has '-- model mock' "$dir/a" "chat gets an answer"

"$llmgw" keys revoke e2e --yes >"$dir/a" 2>&1 || fail "keys revoke" "$dir/a"
answers 401 "$dir/a" "$proxy/v1/models" -H "$bearer"
has 'was revoked' "$dir/a" "a revoked key is refused"

kill -INT "$server"
code=0
wait "$server" || code=$?
server=
[ "$code" = 0 ] || fail "serve ended with $code" "$dir/log"
if grep -q 'sk-lgw-' "$dir/out" "$dir/log"; then fail "a key stands in what serve wrote" "$dir/out" "$dir/log"; fi
echo "ok   serve stops with 0 and wrote no secret"
