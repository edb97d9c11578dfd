package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/llmgw/llmgw/tui"
)

// spaceKey is how the space bar is written where a space would not be seen.
const spaceKey = "space"

const consoleIntro = `Shows a gateway while it runs, and changes it: traffic as it passes, rules,
upstreams, keys, users and bindings. ! lists the commands that would have done
the same.

It needs a terminal of at least 60 by 16. It begins with or without a gateway,
and goes on where that comes back. It ends with 0, by a signal as well.
`

// consoleHelp lists every key, and the name by which --key gives an action others.
func consoleHelp(actions []tui.Action) string {
	var b strings.Builder
	b.WriteString(consoleIntro)
	b.WriteString("\nKeys, and the names of their actions for --key. Where a key means several\nthings, what it means on the screen counts, then what it means in lists.\n")
	keys, names := 0, 0
	for _, a := range actions {
		keys, names = max(keys, utf8.RuneCountInString(writtenKeys(a.Keys))), max(names, len(a.Name))
	}
	for _, scope := range scopesOf(actions) {
		fmt.Fprintf(&b, "\n%s\n", scopeHeading(scope))
		for _, a := range actions {
			if a.Scope == scope {
				fmt.Fprintf(&b, "  %-*s  %-*s  %s\n", keys, writtenKeys(a.Keys), names, a.Name, a.Long)
			}
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// scopesOf gives the scopes in the order in which they first come.
func scopesOf(actions []tui.Action) []string {
	var all []string
	for _, a := range actions {
		if !slices.Contains(all, a.Scope) {
			all = append(all, a.Scope)
		}
	}
	return all
}

func scopeHeading(scope string) string {
	switch scope {
	case "everywhere":
		return "Everywhere"
	case "list":
		return "In lists"
	}
	return "In " + strings.ReplaceAll(scope, ".", ", ")
}

// writtenKeys writes keys as --key takes them, a row of digits short.
func writtenKeys(keys []string) string {
	if len(keys) > 2 && !slices.ContainsFunc(keys, func(key string) bool { return len(key) != 1 || key < "0" || key > "9" }) {
		return keys[0] + "-" + keys[len(keys)-1]
	}
	written := slices.Clone(keys)
	for i, key := range written {
		if key == " " {
			written[i] = spaceKey
		}
	}
	return strings.Join(written, " ")
}

// otherKeys reads what --key says.
func otherKeys(given []string, actions []tui.Action) (map[string][]string, error) {
	if len(given) == 0 {
		return nil, nil //nolint:nilnil // every action keeps its own
	}
	names := make([]string, len(actions))
	for i, a := range actions {
		names[i] = a.Name
	}
	other := map[string][]string{}
	for _, text := range given {
		name, list, ok := strings.Cut(text, "=")
		if !ok || list == "" {
			return nil, usage("--key: %q is not ACTION=KEY,KEY", text).withHint("the names of actions and keys: llmgw help console")
		}
		if !slices.Contains(names, name) {
			return nil, usage("--key: there is no action %q", name).withHint("%s", hintOf(name, names))
		}
		for key := range strings.SplitSeq(list, ",") {
			if key == "" {
				return nil, usage("--key: %q names a key that is empty", text)
			}
			if key == spaceKey {
				key = " "
			}
			other[name] = append(other[name], key)
		}
	}
	if err := tui.CheckKeys(other); err != nil {
		return nil, usage("--key: %v", err).withHint("what every key does: llmgw help console")
	}
	return other, nil
}

func hintOf(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "the names of all: llmgw help console"
}
