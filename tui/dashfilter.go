package tui

import (
	"fmt"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// filterFor is what shows the exchanges of a problem among the traffic.
func filterFor(t *api.Trouble) string {
	fields := [][2]string{{"upstream", t.Upstream}, {"model", t.Model}, {"key", t.Key}, {"error", t.Error}}
	if t.Error == "" && !saysNothing(t.Reason) {
		fields = append(fields, [2]string{"end", t.Reason})
	}
	words := []string{fmt.Sprintf("status:%d", t.Status)}
	for _, f := range fields {
		if f[1] != "" {
			words = append(words, f[0]+":"+filterWord(f[1]))
		}
	}
	return strings.Join(words, " ")
}

// saysNothing says whether the status of an exchange says more than why it ended.
func saysNothing(reason string) bool { return reason == "complete" || reason == "rejected" }

// longestWord is how much of a name a filter looks for.
const longestWord = 100

// filterWord gives a name as one word of a filter. What would mean something else
// there, or in a pattern of the gateway's, matches anything.
func filterWord(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i >= longestWord {
			b.WriteByte('*')
			break
		}
		if strings.ContainsRune(" \t*?![]\\", r) || obeyed(r) {
			r = '*'
		}
		b.WriteRune(r)
	}
	return b.String()
}
