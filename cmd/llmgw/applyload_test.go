package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// echoRevision is an upstream that gives back the revision that the gateway
// wrote into the request.
func echoRevision(t *testing.T) string {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Sent"))
	}))
	t.Cleanup(up.Close)
	return up.URL
}

// numbered is a set that writes n on both ways of an exchange.
func numbered(n int) string {
	return fmt.Sprintf(`version: 1
rules:
  - name: numbered
    match: {path: /numbered}
    action:
      upstream: echo
      headers: {set: {x-sent: "%d"}}
      response_headers: {set: {x-got: "%d"}}
`, n, n)
}

// TestAThousandAppliesUnderLoad: a bad set never disturbs the one in force, and
// a request sees one revision from its beginning to its end.
func TestAThousandAppliesUnderLoad(t *testing.T) {
	applies, rate := 1000, 1000
	if testing.Short() {
		applies = 100
	}
	g := serveAt(t, shortDir(t))
	client := api.NewClient(api.Options{Socket: filepath.Join(g.data, socketName), Timeout: 20 * time.Second})
	defer client.Close()
	ctx := t.Context()
	if _, err := client.CreateUpstream(ctx, api.NewUpstream{Name: "echo", Provider: "generic", Auth: "none", URL: echoRevision(t)}); err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateKey(ctx, api.NewKey{Name: "load"})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(content string) error {
		_, err := client.ApplyRules(ctx, api.ApplyRequest{Files: []api.Source{{Name: "rules.yaml", Content: content}}})
		return err
	}
	if err := apply(numbered(0)); err != nil {
		t.Fatal(err)
	}

	status := g.status(t)
	load := newNumberedLoad(status.Proxy+"/numbered", key.Secret)
	stop := load.start(ctx, rate)
	bad := []string{
		"version: 1\nrules: [{name: numbered, match: {pth: /x}, action: {upstream: echo}}]\n",
		strings.ReplaceAll(numbered(1), "upstream: echo", "upstream: nobody"),
		"version: 1\nrules: {\n",
	}
	for n := 1; n <= applies; n++ {
		if n%2 == 0 {
			if apply(bad[n/2%len(bad)]) == nil {
				t.Errorf("apply %d: a bad set was taken", n)
			}
			continue
		}
		if err := apply(numbered(n)); err != nil {
			t.Errorf("apply %d: %v", n, err)
		}
	}
	stop()
	t.Logf("%d applies, half of them bad, under %d requests: %d failed, %d saw two revisions", applies, load.done.Load(), load.failed.Load(), load.torn.Load())
	if load.failed.Load() != 0 || load.torn.Load() != 0 || load.done.Load() == 0 {
		t.Errorf("first failure: %v", load.first.Load())
	}
}

// numberedLoad asks at a steady rate and looks at what comes back.
type numberedLoad struct {
	url, key           string
	client             *http.Client
	done, failed, torn atomic.Int64
	first              atomic.Value
}

func newNumberedLoad(url, key string) *numberedLoad {
	return &numberedLoad{url: url, key: key, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 20 * time.Second}}
}

// start asks until what it gives is called.
func (l *numberedLoad) start(ctx context.Context, perSecond int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	due := make(chan struct{}, 64)
	var running sync.WaitGroup
	running.Go(func() {
		defer close(due)
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				select {
				case due <- struct{}{}:
				default: // the machine is too slow for the rate; what is asked is still checked
				}
			}
		}
	})
	for range 16 {
		running.Go(func() {
			for range due {
				l.ask()
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
		l.client.CloseIdleConnections()
	}
}

func (l *numberedLoad) ask() {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, l.url, strings.NewReader("{}"))
	if err != nil {
		l.fail(err.Error())
		return
	}
	r.Header.Set("Authorization", "Bearer "+l.key)
	response, err := l.client.Do(r)
	if err != nil {
		l.fail(err.Error())
		return
	}
	defer func() { _ = response.Body.Close() }()
	sent, err := io.ReadAll(response.Body)
	switch {
	case err != nil || response.StatusCode != http.StatusOK:
		l.fail(fmt.Sprintf("%d %s %v", response.StatusCode, sent, err))
	case string(sent) != response.Header.Get("X-Got"):
		l.torn.Add(1)
	}
	l.done.Add(1)
}

func (l *numberedLoad) fail(what string) {
	l.failed.Add(1)
	l.first.CompareAndSwap(nil, what)
}
