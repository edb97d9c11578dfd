package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

// TestApplyWaitsForTheNodes applies to a gateway that stores revision 5, change 9,
// at once, and of whose nodes one decides by it only after some looks, or never.
func TestApplyWaitsForTheNodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nrules:\n  - {name: one, match: {}, action: {upstream: mock}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(name string, revision int64) api.Node {
		return api.Node{ID: "node_" + name, Name: name, Revision: revision, Applied: revision + 4, SameLog: true}
	}
	gone := at("a2", 4)
	gone.Silent, gone.SilenceS = true, 300
	fenced := at("a2", 4)
	fenced.MaxStalenessS, fenced.FencedAfterS = 0.05, 0.1
	unsure := at("a2", 4)
	unsure.MaxStalenessS, unsure.FencedAfterS = 30, 31.5
	stuck := at("a2", 4)
	stuck.Problem = "it ran out of patience"
	replaced := at("a2", 9)
	replaced.SameLog = false
	keyless := at("a2", 5)
	keyless.Applied = 7
	for _, c := range []struct {
		name   string
		flags  []string
		before []api.Node // and the first look to come after them
		after  int64
		then   []api.Node
		exit   int
		looks  int64 // at least
		says   string
	}{
		{"without --wait nobody looks", nil, nil, 1000, nil, exitDone, 0, ""},
		{"every node has it at once", []string{"--wait", "30s"}, nil, 0, []api.Node{at("a1", 5), at("a2", 6)}, exitDone, 1, "2 of 2 nodes have it"},
		{"one node alone is not worth a line", []string{"--wait", "30s"}, nil, 0, []api.Node{at("a1", 5)}, exitDone, 1, "undo: llmgw rules rollback 4"},
		{"one has it soon", []string{"--wait", "30s"}, []api.Node{at("a1", 5), at("a2", 4)}, 2, []api.Node{at("a1", 5), at("a2", 5)}, exitDone, 3, "2 of 2 nodes have it"},
		{"the store does not answer for a moment", []string{"--wait", "30s"}, nil, 2, []api.Node{at("a1", 5)}, exitDone, 3, ""},
		{"one lags", []string{"--wait", "200ms"}, []api.Node{at("a1", 5), at("a2", 4)}, 1000, nil, exitPartly, 1, `error: revision 5 is stored, but after 200ms node "a2" has revision 4`},
		{"one was killed, or cut off", []string{"--wait", "200ms"}, []api.Node{at("a1", 5), gone}, 1000, nil, exitPartly, 1, `node "a2" has revision 4 (no sign of it for 5 min)`},
		{"one cannot take it over", []string{"--wait", "200ms"}, []api.Node{at("a1", 5), stuck}, 1000, nil, exitPartly, 1, `node "a2" has revision 4 (it ran out of patience)`},
		{"one follows another log", []string{"--wait", "200ms"}, []api.Node{at("a1", 5), replaced}, 1000, nil, exitPartly, 1, `node "a2" follows a log that was replaced`},
		{"one has the rules, and not the keys", []string{"--wait", "200ms"}, []api.Node{at("a1", 5), keyless}, 1000, nil, exitPartly, 1, `revision 5 is stored, but after 200ms node "a2" is 2 changes behind`},
		{"one refuses requests by now", []string{"--wait", "30s"}, []api.Node{at("a1", 5), fenced}, 1000, nil, exitDone, 2, "1 of 2 nodes have it · a2 refuses requests until it is in step (--max-staleness 50ms)"},
		{"one will refuse requests, later", []string{"--wait", "200ms"}, []api.Node{at("a1", 5), unsure}, 1000, nil, exitPartly, 1, `node "a2" has revision 4`},
		{"two of one name lag", []string{"--wait", "200ms"}, []api.Node{at("a1", 4), {ID: "node_x", Name: "a1", Revision: 3, Applied: 8, SameLog: true}}, 1000, nil, exitPartly, 1, `node "a1 (node_a1)" has revision 4, node "a1 (node_x)" has revision 3`},
		{"a dry run has nothing to wait for", []string{"--wait", "30s", "--dry-run"}, nil, 1000, nil, exitDone, 0, ""},
		{"a time before now is refused", []string{"--wait", "-1s"}, nil, 0, nil, exitUsage, 0, "error: --wait: -1s is less than nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var looks atomic.Int64
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/nodes") {
					w.Header().Set("Content-Type", "application/json")
					_ = json.NewEncoder(w).Encode(api.Plan{Changes: []api.PlanChange{{Op: "add", Rule: "one", Position: 1}}, Applied: true, Revision: 5, Seq: 9})
					return
				}
				nodes := c.then
				if looks.Add(1) <= c.after {
					nodes = c.before
				}
				if nodes == nil {
					w.Header().Set("Content-Type", "application/problem+json")
					w.WriteHeader(http.StatusServiceUnavailable)
					_ = json.NewEncoder(w).Encode(api.Error{Status: 503, Code: api.CodeUnavailable, Detail: "store unreachable"})
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(api.List[api.Node]{Items: nodes})
			}))
			defer gateway.Close()
			var out, errs bytes.Buffer
			args := append([]string{"rules", "apply", "-f", file, "--server", gateway.URL}, c.flags...)
			exit := run(t.Context(), shell{args: args, in: strings.NewReader(""), out: &out, err: &errs})
			said := out.String()
			if c.exit != exitDone {
				said = errs.String()
			}
			if exit != c.exit || !strings.Contains(said, c.says) {
				t.Errorf("exit %d, stdout %q, stderr %q; want %d and %q", exit, out.String(), errs.String(), c.exit, c.says)
			}
			if n := looks.Load(); n < c.looks || c.looks == 0 && n > 0 {
				t.Errorf("the nodes were asked for %d times, want %d", n, c.looks)
			}
			if strings.Contains(c.name, "alone") && strings.Contains(out.String(), "nodes have it") {
				t.Errorf("stdout %q", out.String())
			}
		})
	}
}
