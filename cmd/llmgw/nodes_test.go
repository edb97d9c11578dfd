package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

func TestStatusShowsEveryNodeWhereThereAreSeveral(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	node := func(name string, change func(*api.Node)) api.Node {
		n := api.Node{ID: "node_" + name, Name: name, Version: "0.2.0", Bus: "in-process", Revision: 42, SameLog: true}
		if change != nil {
			change(&n)
		}
		return n
	}
	asked := node("a1", func(n *api.Node) { n.Self = true })
	for name, c := range map[string]struct {
		status api.Status
		want   []string
		not    string
	}{
		"one":                                {api.Status{Ready: true, Nodes: []api.Node{asked}}, []string{"ready   1 node\n"}, "nodes "},
		"one, and the store cannot be asked": {api.Status{Ready: true}, []string{"ready\n"}, "node"},
		"several": {api.Status{Ready: true, Nodes: []api.Node{
			asked,
			node("a2", func(n *api.Node) { n.Behind, n.Revision, n.Silent, n.SilenceS = 2, 41, true, 200 }),
			node("a3", func(n *api.Node) { n.Behind, n.SameLog = -1, false }),
			node("a4", func(n *api.Node) { n.Behind, n.Problem = 1, "applying configuration 42: no" }),
		}}, []string{
			"ready   4 nodes\n",
			"nodes      ● a1 (this one)   llmgw 0.2.0   revision 42   in step   bus in-process\n",
			"           ▲ a2   llmgw 0.2.0   revision 41   2 changes behind   bus in-process   no sign for 3 min\n",
			"           ▲ a3   llmgw 0.2.0   revision 42   not in step yet   bus in-process\n",
			"           ▲ a4   llmgw 0.2.0   revision 42   1 change behind   bus in-process   applying configuration 42: no\n",
		}, "problem"},
		"two of one name": {api.Status{Ready: true, Nodes: []api.Node{asked, node("a1", func(n *api.Node) { n.ID = "node_x" })}},
			[]string{"● a1 (node_a1) (this one) ", "● a1 (node_x) "}, "▲"},
		"one that has a problem": {api.Status{Ready: true, Problem: "the store's log did not continue", Nodes: []api.Node{asked}},
			[]string{"problem    the store's log did not continue\n"}, "nodes "},
		"one that refuses requests": {api.Status{NotReady: "changes could not be looked for", Nodes: []api.Node{asked}},
			[]string{"not ready: changes could not be looked for   1 node\n"}, "nodes "},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			writeStatus(&out, c.status, now)
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), c.not) {
				t.Errorf("it says %q:\n%s", c.not, out.String())
			}
		})
	}
}

func TestAMaxStalenessThatEveryPollWouldReachIsRefused(t *testing.T) {
	for text, ok := range map[string]bool{"0": true, "0s": true, "5s": true, "10m": true, "4999ms": false, "-1s": false, "soon": false} {
		if err := staleness(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// saying is a set of one rule, which answers with a text.
func saying(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rules.yaml")
	rules := "version: 1\nset: front\norder: 1\nrules:\n  - name: hello\n    match: {model: [hello]}\n    action: {respond: {status: 200, message: " + text + "}}\n"
	if err := os.WriteFile(name, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// ask sends one request to a gateway.
func (g *served) ask(t *testing.T, key string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.status(t).Proxy+"/v1/chat/completions", strings.NewReader(`{"model":"hello"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(body)
}

// TestTwoGatewaysOnOneStore has each of them in a data directory of its own.
func TestTwoGatewaysOnOneStore(t *testing.T) {
	t.Setenv("LLMGW_SECRET_KEY", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	first := shortDir(t)
	store := "sqlite://" + filepath.Join(first, "llmgw.db")
	a := serveAt(t, first, "--store", store)
	b := serveAt(t, shortDir(t), "--store", store)
	if n := len(a.status(t).Nodes); n != 2 {
		t.Fatalf("%d nodes", n)
	}
	code, key, errs := typed("", "keys", "create", "bot", "--data", a.data)
	if code != exitDone {
		t.Fatal(errs)
	}
	for _, text := range []string{"one", "two", "three"} {
		code, out, errs := typed("", "rules", "apply", "-f", saying(t, text), "--wait", "20s", "--data", a.data)
		if code != exitDone || !strings.Contains(out, "2 of 2 nodes have it") {
			t.Fatalf("%d %s%s", code, out, errs)
		}
		if status, _, body := b.ask(t, strings.TrimSpace(key)); status != http.StatusOK || !strings.Contains(body, text) {
			t.Fatalf("after the wait the other gateway answers %d %s; want %q", status, body, text)
		}
	}
	ended := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(ended, []byte("version: 1\nkeys:\n  - {name: bot, enabled: false}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what has been done already is waited for, too
		code, out, errs := typed("", "apply", "-f", ended, "--wait", "20s", "--data", a.data)
		if code != exitDone || !strings.Contains(out, "2 of 2 nodes have it") {
			t.Fatalf("%d %s%s", code, out, errs)
		}
		if status, _, body := b.ask(t, strings.TrimSpace(key)); status != http.StatusUnauthorized {
			t.Fatalf("after the wait the other gateway takes the disabled key: %d %s", status, body)
		}
	}
	next := filepath.Join(t.TempDir(), "next.key")
	if err := os.WriteFile(next, []byte(sharedKey("n")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs = typed("", "secret", "rotate", "--new-file", next, "--yes", "--data", a.data)
	if code != exitConflict || !strings.Contains(errs, "other gateways run on this store") {
		t.Errorf("exchanging the key under the other: %d %s", code, errs)
	}
	b.end(t)
	if nodes := a.status(t).Nodes; len(nodes) != 1 || !nodes[0].Self {
		t.Errorf("nodes %+v", nodes)
	}
	code, _, errs = typed("", "secret", "rotate", "--new-file", next, "--yes", "--data", a.data)
	if code != exitDone {
		t.Errorf("exchanging the key alone: %d %s", code, errs)
	}
}

func TestAGatewayWhoseStoreIsAwayRefusesRequestsWhenToldTo(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the bound to pass")
	}
	g := serveAt(t, shortDir(t), "--max-staleness", "5s")
	_, key, _ := typed("", "keys", "create", "bot", "--data", g.data)
	if code, _, errs := typed("", "rules", "apply", "-f", saying(t, "hi"), "--data", g.data); code != exitDone {
		t.Fatal(errs)
	}
	key = strings.TrimSpace(key)
	if status, _, body := g.ask(t, key); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	file := filepath.Join(g.data, "llmgw.db")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	until(t, "the gateway is not ready", func() bool { return g.status(t).NotReady != "" })
	status, header, body := g.ask(t, key)
	if status != http.StatusServiceUnavailable || header.Get("X-Llmgw-Error") != "stale_configuration" || header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", status, header, body)
	}
	if s := g.status(t); s.Ready || !strings.Contains(s.NotReady, "--max-staleness") || s.ConfigAgeS < 5 || s.Problem == "" {
		t.Errorf("status %+v", s)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	until(t, "the gateway is ready again", func() bool { return g.status(t).Ready })
	if status, _, body := g.ask(t, key); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}
