#!/bin/sh
# Runs every fuzz target of the tree, one after the other, each for a time.
#
# usage: tools/fuzz.sh TIME    (make fuzz calls it)
set -eu

: "${GO:=go}"
time=${1:?usage: tools/fuzz.sh TIME}

targets=$(find . -name '*_test.go' -not -path './.*' -not -path '*/testdata/*' -exec \
	awk '/^func Fuzz[A-Za-z0-9_]*\(/ { name = $2; sub(/\(.*/, "", name); print FILENAME, name }' {} + | sort)
if [ -z "$targets" ]; then
	echo "no fuzz target found" >&2
	exit 1
fi
# An input that reaches something new is made smaller before the next is tried, for up
# to a minute by itself: a target whose runs take milliseconds would do nothing else.
tries=20x
echo "$targets" | while read -r file name; do
	echo "== $name in $(dirname "$file") for $time"
	"$GO" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime "$tries" "$(dirname "$file")" </dev/null
done
echo "fuzzed $(echo "$targets" | wc -l | tr -d ' ') targets for $time each: nothing found"
