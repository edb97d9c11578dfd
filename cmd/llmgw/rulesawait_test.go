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

// TestApplyWaitsForTheNode applies to a gateway that stores revision 5 at once
// and decides by it only after some looks, or never.
func TestApplyWaitsForTheNode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nrules:\n  - {name: one, match: {}, action: {upstream: mock}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		flags []string
		after int64 // looks at the status before the node has the revision
		exit  int
		looks int64 // at least
		says  string
	}{
		{"without --wait nobody looks", nil, 1000, exitDone, 0, ""},
		{"the node has it at once", []string{"--wait", "30s"}, 0, exitDone, 1, ""},
		{"the node has it soon", []string{"--wait", "30s"}, 2, exitDone, 3, ""},
		{"the node lags", []string{"--wait", "200ms"}, 1000, exitPartly, 1, `error: revision 5 is stored, but after 200ms node "a1" has revision 4`},
		{"a dry run has nothing to wait for", []string{"--wait", "30s", "--dry-run"}, 1000, exitDone, 0, ""},
		{"a time before now is refused", []string{"--wait", "-1s"}, 0, exitUsage, 0, "error: --wait: -1s is less than nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var looks atomic.Int64
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasSuffix(r.URL.Path, "/status") {
					status := api.Status{Node: "a1", Rules: api.RulesStatus{Revision: 4}}
					if looks.Add(1) > c.after {
						status.Rules.Revision = 5
					}
					_ = json.NewEncoder(w).Encode(status)
					return
				}
				_ = json.NewEncoder(w).Encode(api.Plan{Changes: []api.PlanChange{{Op: "add", Rule: "one", Position: 1}}, Applied: true, Revision: 5})
			}))
			defer gateway.Close()
			var out, errs bytes.Buffer
			args := append([]string{"rules", "apply", "-f", file, "--server", gateway.URL}, c.flags...)
			exit := run(t.Context(), shell{args: args, in: strings.NewReader(""), out: &out, err: &errs})
			if exit != c.exit || !strings.Contains(errs.String(), c.says) {
				t.Errorf("exit %d, stderr %q; want %d and %q", exit, errs.String(), c.exit, c.says)
			}
			if n := looks.Load(); n < c.looks || c.looks == 0 && n > 0 {
				t.Errorf("the status was asked for %d times, want %d", n, c.looks)
			}
		})
	}
}
