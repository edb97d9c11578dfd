package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// trio is three gateways on one PostgreSQL and one Redis.
type trio struct {
	t      *testing.T
	redis  *servers.Redis
	nodes  [3]*served
	client [3]*api.Client
	proxy  [3]string
	label  [3]string // as the first one calls them
	key    string
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	c := &trio{t: t, redis: servers.PrivateRedis(t, servers.RedisOptions{})}
	t.Setenv("LLMGW_STORE", servers.Database(t))
	t.Setenv("LLMGW_BUS", c.redis.URL())
	t.Setenv("LLMGW_SECRET_KEY", sharedKey("a"))
	for i := range c.nodes {
		c.nodes[i] = serveAt(t, shortDir(t), "--no-detect")
		c.client[i] = api.NewClient(api.Options{Socket: filepath.Join(c.nodes[i].data, socketName)})
		t.Cleanup(c.client[i].Close)
		s := c.nodes[i].status(t)
		c.proxy[i] = s.Proxy
		for _, n := range s.Nodes {
			if n.Self {
				c.label[i] = n.Name + " (" + n.ID + ")" // all three are on one machine
			}
		}
	}
	code, key := types(t, "", "keys", "create", "ci", "--data", c.nodes[0].data, "-o", "json", "--jq", ".secret")
	if code != exitDone {
		t.Fatal(key)
	}
	c.key = strings.TrimSpace(key)
	if code, _, errs := typed("", "rules", "apply", "-f", saying(t, "hi"), "--wait", "20s", "--data", c.nodes[0].data); code != exitDone {
		t.Fatal(errs)
	}
	until(t, "all know the key and each other", func() bool {
		for i := range c.nodes {
			if answer, err := c.ask(i, "mock"); err != nil || answer != http.StatusOK || len(c.nodes[i].status(t).Nodes) != 3 {
				return false
			}
			if all, err := c.client[i].Streams(t.Context()); err != nil || all.Partial != nil {
				return false
			}
		}
		return true
	})
	return c
}

// send sends a request to a gateway.
func (c *trio) send(ctx context.Context, node int, model string) (*http.Response, error) {
	body := strings.NewReader(`{"model":"` + model + `","stream":true,"max_tokens":2,"messages":[{"role":"user","content":"hello"}]}`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.proxy[node]+"/v1/chat/completions", body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	return http.DefaultClient.Do(r)
}

func (c *trio) ask(node int, model string) (int, error) {
	answer, err := c.send(c.t.Context(), node, model)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}

// published counts what all of them have published, as Redis does.
func (c *trio) published() int {
	c.t.Helper()
	u, err := url.Parse(c.redis.URL())
	if err != nil {
		c.t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", c.redis.Address(), 5*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	password, _ := u.User.Password()
	if _, err := io.WriteString(conn, "AUTH "+password+"\r\nINFO commandstats\r\nQUIT\r\n"); err != nil {
		c.t.Fatal(err)
	}
	text, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		c.t.Fatal(err)
	}
	found := regexp.MustCompile(`cmdstat_publish:calls=(\d+)`).FindSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// looking is a reader of events at the first gateway.
type looking struct {
	leave  context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	ended  []api.Exchange
	starts []api.Flight
	told   []api.Partial
	tally  api.Tally
}

func (c *trio) look(q api.EventQuery) *looking {
	c.t.Helper()
	ctx, leave := context.WithCancel(c.t.Context())
	l := &looking{leave: leave, done: make(chan struct{})}
	begun := make(chan struct{}, 1)
	go func() {
		defer close(l.done)
		_ = c.client[0].Events(ctx, q, func(e api.Event) error { l.take(e, begun); return nil })
	}()
	c.t.Cleanup(l.end)
	<-begun
	for _, n := range c.nodes[1:] {
		metrics := n.status(c.t).Admin + "/metrics"
		until(c.t, "the others know", func() bool {
			_, text := fetched(c.t, metrics)
			return strings.Contains(text, "\nllmgw_fleet_watchers 1\n")
		})
	}
	return l
}

func (l *looking) end() { l.leave(); <-l.done }

func (l *looking) take(e api.Event, begun chan<- struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.Hello != nil:
		begun <- struct{}{}
	case e.Exchange != nil:
		l.ended = append(l.ended, *e.Exchange)
	case e.Started != nil:
		l.starts = append(l.starts, *e.Started)
	case e.Partial != nil:
		l.told = append(l.told, *e.Partial)
	case e.Tally != nil:
		l.tally = *e.Tally
	}
}

func (l *looking) read(f func()) { l.mu.Lock(); defer l.mu.Unlock(); f() }

func (l *looking) tallied() (t api.Tally) { l.read(func() { t = l.tally }); return t }
func (l *looking) tellings() (all []api.Partial) {
	l.read(func() { all = slices.Clone(l.told) })
	return all
}

func TestThreeGatewaysAreSeenFromOne(t *testing.T) {
	c := startTrio(t)
	t.Run("while nobody looks, nothing is published", c.silence)
	t.Run("a reader sees what passes on all of them, as its filter says", c.tailOfAll)
	t.Run("after the reader has left, nothing is published", c.silence)
	t.Run("what is in flight elsewhere is listed and cut", c.streamsOfAll)
	t.Run("what ended on all of them is told by each", c.trafficOfAll)
	t.Run("a flood is shown in part, and counted", c.flood)
	t.Run("a Redis that stands still is in nobody's way", c.frozen)
	t.Run("a gateway that was stopped is not missed", c.stopped)
}

func (c *trio) silence(t *testing.T) {
	for _, n := range c.nodes {
		metrics := n.status(t).Admin + "/metrics"
		until(t, "nobody looks", func() bool {
			_, text := fetched(t, metrics)
			return strings.Contains(text, "\nllmgw_fleet_watchers 0\n")
		})
	}
	before := c.published()
	for i := range 30 {
		if status, err := c.ask(i%3, "mock"); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
	}
	<-time.After(500 * time.Millisecond) // a batch would have gone out five times
	if after := c.published(); after != before {
		t.Errorf("%d messages were published", after-before)
	}
}

func (c *trio) tailOfAll(t *testing.T) {
	l := c.look(api.EventQuery{Kinds: []string{"exchange", "started"}, Model: []string{"mock-m*"}})
	for i, model := range []string{"mock-mini", "mock-mini", "mock-mini", "mock", "mock"} {
		if status, err := c.ask(i%3, model); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
	}
	until(t, "all are told or counted", func() bool { n := l.tallied(); return n.Shown == 6 && n.Filtered == 4 })
	l.read(func() {
		var seen []string
		for _, x := range l.ended {
			seen = append(seen, x.Node)
			if x.Model != "mock-mini" || x.Status != http.StatusOK || x.Key != "ci" || x.DurationMS <= 0 {
				t.Errorf("told was %+v", x)
			}
		}
		want := []string{nodeName(), c.label[1], c.label[2]}
		slices.Sort(seen)
		if slices.Sort(want); !slices.Equal(seen, want) || len(l.starts) != 3 {
			t.Errorf("%d starts, and exchanges at %q; want %q", len(l.starts), seen, want)
		}
		if len(l.told) != 0 {
			t.Errorf("something is missing: %+v", l.told)
		}
	})
	l.end()
	f := follow(t, "--data", c.nodes[0].data, "-o", "wide")
	until(t, "llmgw tail shows what passes on the third", func() bool {
		_, err := c.ask(2, "mock-mini")
		return err == nil && strings.Contains(f.String(), c.label[2])
	})
	f.stop(t, os.Interrupt)
}

func (c *trio) streamsOfAll(t *testing.T) {
	var ids []string
	for node := range 3 {
		answer, err := c.send(t.Context(), node, "mock-stall")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = answer.Body.Close() })
		ids = append(ids, answer.Header.Get("X-Llmgw-Request-Id"))
	}
	all, err := c.client[0].Streams(t.Context())
	if err != nil || all.Partial != nil || len(all.Items) != 3 {
		t.Fatalf("in flight are %+v, %v", all, err)
	}
	for i, x := range all.Items { // the oldest first
		if want := []string{nodeName(), c.label[1], c.label[2]}[i]; x.RequestID != ids[i] || x.Node != want {
			t.Errorf("in flight is %+v, want %s at %s", x, ids[i], want)
		}
	}
	for i := range ids {
		cut, err := c.client[0].CutStream(t.Context(), ids[i])
		if err != nil || cut.RequestID != ids[i] || i > 0 && cut.Node != c.label[i] {
			t.Errorf("cut was %+v, %v", cut, err)
		}
	}
	until(t, "nothing is in flight", func() bool {
		all, err := c.client[2].Streams(t.Context())
		return err == nil && len(all.Items) == 0
	})
	var refusal *api.Error
	if _, err := c.client[0].CutStream(t.Context(), ids[1]); !errors.As(err, &refusal) || refusal.Code != api.CodeNotFound {
		t.Errorf("once more: %v", err)
	}
}

func (c *trio) flood(t *testing.T) {
	l := c.look(api.EventQuery{Kinds: []string{"exchange"}})
	const callers, each = 8, 150
	begun := time.Now()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for range each {
				if status, err := c.ask(1+i%2, "hello"); err != nil || status != http.StatusOK {
					t.Error(status, err)
				}
			}
		})
	}
	all.Wait()
	few := callers*each <= 200*int(time.Since(begun)/time.Second+2) // a machine too slow for a flood
	until(t, "an account of all", func() bool { n := l.tallied(); return n.Shown+n.Dropped == callers*each })
	n := l.tallied()
	t.Logf("of %d, %d were shown and %d dropped", callers*each, n.Shown, n.Dropped)
	if n.Shown == 0 || n.Dropped == 0 && !few || n.Filtered != 0 {
		t.Errorf("the tally is %+v", n)
	}
	l.end()
}

func (c *trio) frozen(t *testing.T) {
	l := c.look(api.EventQuery{Kinds: []string{"exchange"}})
	if err := c.redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	var slowest time.Duration
	var sent int
	told := func() bool { return len(l.tellings()) > 0 }
	until(t, "the reader is told", func() bool {
		begun := time.Now()
		status, err := c.ask(sent%3, "hello")
		if err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		slowest = max(slowest, time.Since(begun))
		sent++
		return told()
	})
	t.Logf("of %d requests the slowest took %s", sent, slowest)
	if slowest > time.Second { // a machine that is busy, and no wait for Redis
		t.Errorf("a request took %s", slowest)
	}
	if p := l.tellings()[0]; p.Problem == "" || !slices.Contains(p.Nodes, c.label[1]) || !slices.Contains(p.Nodes, c.label[2]) {
		t.Errorf("the reader is told %+v", p)
	}
	begun := time.Now()
	all, err := c.client[0].Streams(t.Context())
	if err != nil || all.Partial == nil || len(all.Partial.Nodes) != 2 || time.Since(begun) > 3*time.Second {
		t.Errorf("after %s, in flight are %+v, %v", time.Since(begun), all, err)
	}
	if w, err := c.client[0].Window(t.Context(), api.WindowQuery{}); err != nil || w.Partial == nil || len(w.Partial.Nodes) != 2 || w.Total.Requests == 0 {
		t.Errorf("of traffic is told %+v, %v", w, err)
	}
	var refusal *api.Error
	if _, err := c.client[0].CutStream(t.Context(), "req_none"); !errors.As(err, &refusal) || refusal.Code != api.CodeUnavailable || !strings.Contains(refusal.Detail, c.label[1]) {
		t.Errorf("a cut: %v", err)
	}
	// What passes here is shown all the same.
	var here int
	l.read(func() { here = len(l.ended) })
	if _, err := c.ask(0, "mock"); err != nil {
		t.Fatal(err)
	}
	until(t, "this node's own", func() (more bool) { l.read(func() { more = len(l.ended) > here }); return more })
	if err := c.redis.Thaw(); err != nil {
		t.Fatal(err)
	}
	until(t, "all is well", func() bool {
		told := l.tellings()
		last := told[len(told)-1]
		return last.Problem == "" && len(last.Nodes) == 0
	})
	l.end()
}

func (c *trio) stopped(t *testing.T) {
	c.nodes[2].end(t)
	until(t, "it is gone", func() bool {
		all, err := c.client[0].Streams(t.Context())
		return err == nil && all.Partial == nil
	})
}
