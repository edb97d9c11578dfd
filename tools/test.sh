#!/bin/sh
# Runs the tests with all that they can use on this machine.
#
# usage: tools/test.sh [go test flags] PACKAGES    (make test calls it)
#
#   1. Look for what the tests need of the system; install what is missing where
#      that may be done without asking.
#   2. Say loudly what is still missing, what is therefore not tested, and how to
#      get it. Where LLMGW_TEST_REQUIRE_SERVICES=1 (CI), that is a failure.
#   3. Run go test, with the race detector unless there is no C compiler for it.
set -eu

: "${GO:=go}"
: "${GOTESTSUM:=.tools/gotestsum}"
: "${LLMGW_TEST_REQUIRE_SERVICES:=}"

# needs lists what the tests need: a name, which is also that of the function
# has_NAME below where looking for a command of that name is not enough; the
# package by package manager; what is lost without it.
needs() {
	cat <<-'LIST'
	compiler apt-get=gcc,libc6-dev dnf=gcc,glibc-devel apk=gcc,musl-dev brew=gcc the race detector
	unshare  apt-get=util-linux    dnf=util-linux      apk=util-linux   brew=-   the proof that a first start calls nobody (Linux only)
	curl     apt-get=curl          dnf=curl            apk=curl         brew=curl requests as the README writes them
	postgres apt-get=postgresql    dnf=postgresql-server apk=postgresql brew=postgresql@17 a store that many gateways share
	redis    apt-get=redis-server  dnf=redis|valkey    apk=redis        brew=redis how gateways hear of changes at once
	nginx    apt-get=nginx-light   dnf=nginx-core      apk=nginx        brew=nginx the load balancer of the compose file
	tmux     apt-get=tmux          dnf=tmux            apk=tmux         brew=tmux the console in a real terminal
	LIST
}

has_compiler() {
	probe=$(mktemp -d)
	printf 'package main\n\nfunc main() {}\n' >"$probe/main.go"
	CGO_ENABLED=1 "$GO" build -race -o "$probe/main" "$probe/main.go" >/dev/null 2>&1 && "$probe/main"
	found=$?
	rm -rf "$probe"
	return $found
}

has_unshare() {
	[ "$(uname -s)" != Linux ] || unshare -n true 2>/dev/null || unshare -rn true 2>/dev/null
}

# has_postgres looks where packages put initdb without putting it on PATH; the
# list is that of store/storetest/servers.
has_postgres() {
	command -v initdb >/dev/null 2>&1 && return
	for initdb in /usr/lib/postgresql/*/bin/initdb /usr/libexec/postgresql*/initdb /usr/pgsql-*/bin/initdb /usr/local/pgsql/bin/initdb \
		/opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb /home/linuxbrew/.linuxbrew/opt/postgresql*/bin/initdb; do
		[ ! -x "$initdb" ] || return 0
	done
	return 1
}

has_redis() {
	command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1
}

# Debian keeps it where only root's PATH leads.
has_nginx() {
	command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ]
}

has() {
	if command -v "has_$1" >/dev/null 2>&1; then "has_$1"; else command -v "$1" >/dev/null 2>&1; fi
}

# manager prints the package manager of this machine, or nothing.
manager() {
	for m in apt-get dnf apk brew; do
		if command -v "$m" >/dev/null 2>&1; then
			echo "$m"
			return
		fi
	done
}

# packages MANAGER LINE prints the packages that bring a need, or nothing: a
# comma stands between several, a bar between those of which one is enough.
packages() {
	echo "$2" | tr -s ' ' '\n' | sed -n "s/^$1=//p" | sed 's/^-$//'
}

# as_root runs a command with the rights to install, where nobody need be asked.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		return 1
	fi
}

# install MANAGER PACKAGE… installs, or returns that it could not.
install() {
	m=$1
	shift
	case $m in
	apt-get)
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" ||
			{ as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; } ;;
	dnf) as_root dnf -q install -y "$@" ;;
	apk) as_root apk add --quiet "$@" ;;
	brew) brew install --quiet "$@" ;;
	*) return 1 ;;
	esac >&2
}

# attempt MANAGER PACKAGES installs what packages printed. Servers that a package
# starts are in nobody's way: the tests start their own, on free ports.
attempt() {
	for choice in $(echo "$2" | tr '|' ' '); do
		# shellcheck disable=SC2046 # several packages are several words
		if install "$1" $(echo "$choice" | tr ',' ' '); then return; fi
	done
	return 1
}

# meet looks for one need, tries to install it, and complains on stdout where
# it is still missing.
meet() {
	name=${1%% *}
	if has "$name"; then return; fi
	wanted=$(packages "$(manager)" "$1")
	if [ -n "$wanted" ]; then
		echo "tests need $name; installing $wanted with $(manager)" >&2
		if attempt "$(manager)" "$wanted" && has "$name"; then return; fi
	fi
	lost=$(echo "$1" | sed 's/^.*brew=[^ ]* *//')
	echo "  $name is missing: not tested is $lost."
	if [ -n "$wanted" ]; then
		echo "    get it with: $(manager) install $(echo "$wanted" | sed 's/,/ /g; s/|/ or /g')   (as root)"
	else
		echo "    install it by hand; this script knows no package for it here"
	fi
}

missing=$(needs | while read -r line; do meet "$line" </dev/null; done)
if [ -n "$missing" ]; then
	{
		echo "######################################################################"
		echo "# NOT EVERYTHING IS TESTED HERE"
		echo "$missing"
		echo "######################################################################"
	} >&2
	if [ "$LLMGW_TEST_REQUIRE_SERVICES" = 1 ]; then
		echo "LLMGW_TEST_REQUIRE_SERVICES=1: a missing need is a failure" >&2
		exit 1
	fi
fi

race=-race
case $missing in *"compiler is missing"*) race= ;; esac
export CGO_ENABLED="${race:+1}"
export CGO_ENABLED="${CGO_ENABLED:-0}"
# shellcheck disable=SC2086 # an empty race is no argument
exec "$GOTESTSUM" --format standard-quiet -- $race -timeout 25m "$@"
