package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	storedKeys  = 100_000
	askedKeys   = 1000
	askedTimes  = 6 // each key, once a second, by the nodes in turn
	randomKeys  = 1_000_000
	randomConns = 16
)

// meetManyKeys asks nodes that know nothing with many keys, then with very many
// that are none, and then with the good ones again.
func meetManyKeys(ctx context.Context, f *fleet, r *report) error {
	asked := f.portion(askedKeys, 100)
	asked += (4 - asked%fleetNodes) % fleetNodes // one more than full turns, so that a key comes to the next node each time
	keys, err := f.newKeys(ctx, asked)
	if err != nil {
		return err
	}
	stored := f.portion(storedKeys, 1000)
	if err := f.fill(ctx, stored-asked); err != nil {
		return err
	}
	if err := f.goCold(ctx); err != nil {
		return err
	}
	var secrets []string
	for _, k := range keys {
		secrets = append(secrets, k.Secret)
	}
	c := f.callers(secrets...)
	defer c.close()
	r.tell("keys in the store, of which are asked with", fmt.Sprintf("%d, %d", stored, asked))
	if err := f.fromCold(ctx, c, r); err != nil {
		return err
	}
	if err := c.warm(ctx); err != nil { // so that every node knows them all
		return err
	}
	if err := f.meetStrangers(ctx, keys[0].Secret, r); err != nil {
		return err
	}
	before, err := f.lookUps(ctx, f.nodes...)
	if err != nil {
		return err
	}
	if err := c.warm(ctx); err != nil {
		return err
	}
	after, err := f.lookUps(ctx, f.nodes...)
	kept := after.since(before)
	r.same("good keys that a node had to be asked about again", kept.store+kept.shelf+kept.unavailable, 0)
	return err
}

// goCold starts every node anew, beside a Redis that holds nothing.
func (f *fleet) goCold(ctx context.Context) error {
	for _, n := range f.nodes {
		if err := n.stop(); err != nil {
			return err
		}
	}
	if err := f.redis.FlushAll(ctx); err != nil {
		return err
	}
	for _, n := range f.nodes {
		if err := n.start(ctx); err != nil {
			return err
		}
	}
	return f.connect(ctx)
}

func (f *fleet) fromCold(ctx context.Context, c *callers, r *report) error {
	queries, err := f.keyQueries(ctx)
	if err != nil {
		return err
	}
	before, err := f.lookUps(ctx, f.nodes...)
	if err != nil {
		return err
	}
	excuses, err := f.excuses(ctx)
	if err != nil {
		return err
	}
	var g gathered
	want := chatReply()
	rate := len(c.asks)
	atRate(ctx, rate, askedTimes*time.Second, func(n int, due time.Time) {
		g.note(c.lanes[n%len(c.lanes)].ask(ctx, c.asks[n%len(c.asks)], want), due)
	})
	after, err := f.lookUps(ctx, f.nodes...)
	if err != nil {
		return err
	}
	now, err := f.keyQueries(ctx)
	if err != nil {
		return err
	}
	late, err := f.excuses(ctx)
	if err != nil {
		return err
	}
	looked := after.since(before)
	r.allWhole(fmt.Sprintf("answered from cold at %d a second", rate), &g.round)
	r.tell("answered from memory, from what another node read, from PostgreSQL", fmt.Sprintf("%d, %d, %d", looked.memory, looked.shelf, looked.store))
	r.tell("times that Redis was too late to be asked or told", strconv.Itoa(late-excuses))
	r.atMost("keys that nodes looked for in PostgreSQL, all nodes together", looked.store, len(c.asks)+late-excuses)
	if f.counts {
		r.atMost("queries for keys that PostgreSQL counted", now-queries, len(c.asks)+late-excuses)
	}
	return nil
}

// excuses is how often Redis did not say in time what another node had read, or was
// not told: nobody waits for it longer than 50 ms, and a key is read twice rather.
func (f *fleet) excuses(ctx context.Context) (n int, err error) {
	for _, r := range f.nodes {
		m, err := r.metrics(ctx)
		if err != nil {
			return 0, err
		}
		for _, outcome := range []string{"unanswered", "skipped"} {
			n += int(m.sum("llmgw_shelf_total", `outcome="`+outcome+`"`))
		}
		for _, outcome := range []string{"failed", "dropped"} {
			n += int(m.sum("llmgw_shelf_puts_total", `outcome="`+outcome+`"`))
		}
	}
	return n, nil
}

// meetStrangers asks with keys that are none, as fast as answers come.
func (f *fleet) meetStrangers(ctx context.Context, like string, r *report) error {
	queries, err := f.keyQueries(ctx)
	if err != nil {
		return err
	}
	before, err := f.lookUps(ctx, f.nodes...)
	if err != nil {
		return err
	}
	all := f.portion(randomKeys, 10_000)
	begun := time.Now()
	refused, err := f.strangers(ctx, like, all)
	if err != nil {
		return err
	}
	took := time.Since(begun)
	after, err := f.lookUps(ctx, f.nodes...)
	if err != nil {
		return err
	}
	now, err := f.keyQueries(ctx)
	looked := after.since(before)
	r.tell("random keys a second", fmt.Sprintf("%.0f", float64(all)/took.Seconds()))
	r.judge("random keys that were refused", fmt.Sprintf("%d of %d", refused, all), "all", refused == all)
	r.same("for which nodes looked anywhere", looked.shelf+looked.store+looked.unavailable, 0)
	if f.counts {
		r.same("queries for them that PostgreSQL counted", now-queries, 0)
	}
	return err
}

// strangers asks with so many random keys of the form of a good one, and counts
// those that were refused for being none.
func (f *fleet) strangers(ctx context.Context, like string, all int) (refused int, err error) {
	counts, errs := make([]int, randomConns), make([]error, randomConns)
	var asking sync.WaitGroup
	for i := range randomConns {
		share := all / randomConns
		if i < all%randomConns {
			share++
		}
		asking.Go(func() { counts[i], errs[i] = strangersAt(ctx, f.nodes[i%len(f.nodes)].addr, like, share) })
	}
	asking.Wait()
	for _, n := range counts {
		refused += n
	}
	return refused, errors.Join(errs...)
}

func strangersAt(ctx context.Context, addr, like string, n int) (refused int, err error) {
	var w *wire
	defer func() {
		if w != nil {
			w.close()
		}
	}()
	for range n {
		if err := ctx.Err(); err != nil {
			return refused, err
		}
		if w == nil {
			if w, err = dial(ctx, addr); err != nil {
				return refused, err
			}
		}
		h, err := w.show(randomised(like))
		if err != nil {
			return refused, err
		}
		if h.status == http.StatusUnauthorized {
			refused++
		}
		if h.last {
			w.close()
			w = nil
		}
	}
	return refused, nil
}

// show asks for the models with a key, and gives the head of the answer.
func (w *wire) show(key string) (head, error) {
	if err := w.conn.SetDeadline(time.Now().Add(answerBound)); err != nil {
		return head{}, err
	}
	if _, err := io.WriteString(w.conn, "GET /v1/models HTTP/1.1\r\nHost: llmgw\r\nAuthorization: Bearer "+key+"\r\n\r\n"); err != nil {
		return head{}, fmt.Errorf("showing a key: %w", err)
	}
	h, err := w.readHead()
	if err == nil {
		err = w.readBody(h, io.Discard)
	}
	if err != nil {
		return h, fmt.Errorf("showing a key: %w", err)
	}
	return h, nil
}

const keyPrefix = "sk-lgw-" // what is random in a key comes behind it

// randomised gives a key with other letters and digits in the same places.
func randomised(like string) string {
	const signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	rest := strings.TrimPrefix(like, keyPrefix)
	var b strings.Builder
	b.WriteString(keyPrefix)
	for _, c := range []byte(rest) {
		if c != '-' {
			c = signs[rand.IntN(len(signs))]
		}
		b.WriteByte(c)
	}
	return b.String()
}

// fill puts keys into the store that nobody has. They are written past the
// gateways: made one by one, they would take longer than all the rest.
func (f *fleet) fill(ctx context.Context, n int) error {
	f.filled++
	return f.postgres.Run(ctx, f.database, fmt.Sprintf(`
		INSERT INTO keys (id, name, tags, created_at, seq) SELECT 'key_FILL%[1]d' || n, 'fill-%[1]d-' || n, '{}', now(), 0 FROM generate_series(1, %[2]d) n;
		INSERT INTO key_secrets (hash, key_id, last4, created_at, seq) SELECT sha256(('%[1]d ' || n)::bytea), 'key_FILL%[1]d' || n, 'none', now(), 0 FROM generate_series(1, %[2]d) n;
		ANALYZE keys; ANALYZE key_secrets`, f.filled, n))
}
