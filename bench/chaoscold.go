package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	coldKeys      = 100 // that nodes know
	coldReady     = 2 * time.Second
	coldRate      = 200
	coldLasts     = 5 * time.Second
	coldRecovered = 5 * time.Second
)

// startWithNothing starts every node while neither PostgreSQL nor Redis is there:
// from what each has kept in its data directory, and from nothing at all.
func startWithNothing(ctx context.Context, f *fleet, r *report) error {
	keys, err := f.newKeys(ctx, coldKeys+2)
	if err != nil {
		return err
	}
	revoked, unseen, known := keys[0], keys[1], keys[2:]
	if err := f.learn(ctx, revoked, known); err != nil {
		return err
	}
	if err := f.allAway(); err != nil {
		return err
	}
	if err := f.fromCopy(ctx, r, known, revoked, unseen); err != nil {
		return err
	}
	if err := f.fromNothing(ctx, r, known[0]); err != nil {
		return err
	}
	back, err := f.startPostgres(ctx)
	if err != nil {
		return err
	}
	if err := f.startRedis(ctx); err != nil {
		return err
	}
	at, err := until(ctx, "all nodes ready", settleBound, func(ctx context.Context) error {
		for _, n := range f.nodes {
			if !ready(ctx, n.addr) {
				return fmt.Errorf("%s is not ready", n.name)
			}
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, f.logs())
	}
	r.within("from nothing: all ready once both are back, without a restart", at.Sub(back), coldRecovered)
	return f.connect(ctx)
}

// learn has every node answer keys, and one that is revoked afterwards.
func (f *fleet) learn(ctx context.Context, revoked madeKey, known []madeKey) error {
	secrets := []string{revoked.Secret}
	for _, k := range known {
		secrets = append(secrets, k.Secret)
	}
	c := f.callers(secrets...)
	defer c.close()
	if err := c.warm(ctx); err != nil {
		return err
	}
	if err := f.nodes[0].revokeKey(ctx, revoked.Name); err != nil {
		return err
	}
	_, err := until(ctx, "a revoked key is refused everywhere", settleBound, func(ctx context.Context) error {
		return f.takes(ctx, map[string]bool{revoked.Secret: false})
	})
	return err
}

// allAway stops the nodes in good order, and what they share.
func (f *fleet) allAway() error {
	var errs []error
	for _, n := range f.nodes {
		errs = append(errs, n.stop())
	}
	return errors.Join(append(errs, f.stopPostgres(), f.killRedis())...)
}

func (f *fleet) fromCopy(ctx context.Context, r *report, known []madeKey, revoked, unseen madeKey) error {
	var longest time.Duration
	for _, n := range f.nodes {
		begun := time.Now()
		if err := n.start(ctx); err != nil {
			return err
		}
		longest = max(longest, time.Since(begun))
	}
	r.within("from its copy: until a node is ready, at most", longest, coldReady)
	var secrets []string
	for _, k := range known {
		secrets = append(secrets, k.Secret)
	}
	c := f.callers(secrets...)
	defer c.close()
	r.allWhole("from its copy: requests of known keys answered", c.call(ctx, coldRate, f.scaled(coldLasts, time.Second)))
	var taken, unsaid int
	for _, n := range f.nodes {
		a, err := n.showKey(ctx, revoked.Secret)
		if err != nil {
			return err
		}
		if a.status == http.StatusOK {
			taken++
		}
		if a, err = n.showKey(ctx, unseen.Secret); err != nil {
			return err
		}
		if !a.later() {
			unsaid++
		}
	}
	r.same("from its copy: nodes that take a key that was revoked", taken, 0)
	r.same("from its copy: nodes that say other than 503 and Retry-After of a key not known", unsaid, 0)
	return nil
}

// fromNothing starts the nodes with empty data directories.
func (f *fleet) fromNothing(ctx context.Context, r *report, good madeKey) error {
	for _, n := range f.nodes {
		if err := errors.Join(n.stop(), n.forget(), n.launch(ctx)); err != nil {
			return err
		}
	}
	var wrong, denied, readyNodes int
	for _, n := range f.nodes {
		_, err := until(ctx, n.name+" is alive", startBound, func(ctx context.Context) error {
			a, err := n.get(ctx, "/healthz", "")
			if err == nil && a.status != http.StatusOK {
				err = fmt.Errorf("status %d", a.status)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%w\nits log: %s", err, n.log)
		}
		if ready(ctx, n.addr) {
			readyNodes++
		}
		for _, secret := range []string{good.Secret, randomised(good.Secret)} {
			a, err := n.showKey(ctx, secret)
			if err != nil {
				return err
			}
			if !a.later() {
				wrong++
			}
			if a.status == http.StatusUnauthorized {
				denied++
			}
		}
	}
	r.same("from nothing: nodes that are ready", readyNodes, 0)
	r.same("from nothing: answers other than 503 and Retry-After", wrong, 0)
	r.same("from nothing: answers 401", denied, 0)
	return nil
}

// told is the head of an answer.
type told struct {
	status int
	header http.Header
}

// later says whether an answer tells the caller to come again.
func (a told) later() bool {
	return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
}

// showKey asks for a reply with a key, on a connection of its own.
func (r *replica) showKey(ctx context.Context, secret string) (told, error) {
	return r.get(ctx, chatPath, secret)
}

// get asks for a path, with a chat where there is a key to show.
func (r *replica) get(ctx context.Context, path, secret string) (told, error) {
	method, body := http.MethodGet, ""
	if secret != "" {
		method, body = http.MethodPost, `{"model":"`+model+`","messages":[]}`
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.addr+path, strings.NewReader(body))
	if err != nil {
		return told{}, fmt.Errorf("asking %s: %w", r.name, err)
	}
	request.Header.Set("Authorization", "Bearer "+secret)
	request.Header.Set("Content-Type", "application/json")
	answer, err := r.plain.Do(request)
	if err != nil {
		return told{}, fmt.Errorf("asking %s: %w", r.name, err)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return told{answer.StatusCode, answer.Header}, errors.Join(err, answer.Body.Close())
}
