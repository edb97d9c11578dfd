# Starts a gateway to ask things of: for e2e.sh, clients.sh and agents.sh, which
# source it with llmgw (the binary) and dir (a directory of their own) set.

server=

fail() {
	echo "FAIL: $1" >&2
	shift
	for file in "$@"; do sed "s|^|  |" "$file" >&2; done
	exit 1
}

stop_gateway() {
	[ -z "$server" ] || kill -9 "$server" 2>/dev/null || :
	rm -rf "$dir"
}

# start_gateway starts one that knows nothing of this machine's, and sets proxy
# to where it answers. It writes $dir/out and $dir/log.
start_gateway() {
	trap stop_gateway EXIT
	export LLMGW_DATA="$dir/data" LLMGW_NO_INPUT=1 NO_COLOR=1
	unset LLMGW_SERVER LLMGW_CONFIG LLMGW_LISTEN LLMGW_ADMIN_LISTEN 2>/dev/null || :
	cd "$dir" # no llmgw.yaml of the caller's is found here

	"$llmgw" serve --no-detect --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json >"$dir/out" 2>"$dir/log" &
	server=$!
	tries=0
	until "$llmgw" status -o json --jq .proxy >"$dir/proxy" 2>"$dir/status"; do
		kill -0 "$server" 2>/dev/null || fail "serve ended" "$dir/out" "$dir/log"
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || fail "no gateway after 10 s" "$dir/status" "$dir/log"
		sleep 0.1
	done
	proxy=$(tr -d '"\n' <"$dir/proxy")
}
