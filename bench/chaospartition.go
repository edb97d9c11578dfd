package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	partitionChanges = 100
	partitionLasts   = 30 * time.Second
	partitionRate    = 100 // requests a second meanwhile
	partitionHealed  = 3 * time.Second
)

// changeBesidePartition changes rules while one node is cut off, then heals it and
// looks when all nodes decide by the last change.
func changeBesidePartition(ctx context.Context, f *fleet, r *report) error {
	away := f.nodes[len(f.nodes)-1]
	c := f.callers(f.key)
	defer c.close()
	if err := c.warm(ctx); err != nil {
		return err
	}
	first, err := f.nodes[0].applyRules(ctx, markerRules(marker(0)))
	if err != nil {
		return err
	}
	before := func(ctx context.Context) error { return f.allSay(ctx, 0, first) }
	if _, err := until(ctx, "all nodes decide by the first rules", settleBound, before); err != nil {
		return err
	}
	if err := away.cutOff(true); err != nil {
		return err
	}
	lasts := f.scaled(partitionLasts, time.Second)
	served := make(chan *round, 1)
	go func() { served <- c.call(ctx, partitionRate, lasts) }()
	revision, err := f.changeRules(ctx, partitionChanges, lasts)
	r.allWhole("requests answered meanwhile, on all nodes", <-served)
	if err != nil {
		return errors.Join(err, away.cutOff(false))
	}
	text, err := f.saying(ctx, away)
	if err != nil {
		return err
	}
	r.judge("the node that was cut off decided by", text, marker(0), text == marker(0))
	healed := time.Now()
	if err := away.cutOff(false); err != nil {
		return err
	}
	at, err := until(ctx, "all nodes decide by the last change", settleBound, func(ctx context.Context) error { return f.allSay(ctx, partitionChanges, revision) })
	if err != nil {
		return err
	}
	r.tell("changes of the rules, over", fmt.Sprintf("%d, %s", partitionChanges, lasts))
	r.within("all nodes equal after healing", at.Sub(healed), partitionHealed)
	return nil
}

// changeRules makes so many changes of the rules, spread over a time, on the nodes
// that are not cut off.
func (f *fleet) changeRules(ctx context.Context, changes int, over time.Duration) (revision int64, err error) {
	begun := time.Now()
	for n := 1; n <= changes && err == nil; n++ {
		revision, err = f.nodes[n%(fleetNodes-1)].applyRules(ctx, markerRules(marker(n)))
		if err == nil {
			err = wait(ctx, time.Until(begun.Add(over*time.Duration(n)/time.Duration(changes))))
		}
	}
	return revision, err
}

func marker(n int) string { return "change " + strconv.Itoa(n) }

// markerModel is what is asked for to see which rules are in force.
const markerModel = "marker"

func markerRules(text string) string {
	return "version: 1\nset: chaos\norder: 1\nrules:\n  - {name: marker, match: {model: [" + markerModel + "]}, action: {respond: {status: 200, message: " + text + "}}}\n"
}

// saying is by which change a node decides.
func (f *fleet) saying(ctx context.Context, r *replica) (string, error) {
	w, err := dial(ctx, r.addr)
	if err != nil {
		return "", err
	}
	defer w.close()
	var heard strings.Builder
	if err := w.conn.SetDeadline(time.Now().Add(answerBound)); err != nil {
		return "", err
	}
	body := `{"model":"` + markerModel + `"}`
	_, err = fmt.Fprintf(w.conn, "POST %s HTTP/1.1\r\nHost: llmgw\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", chatPath, f.key, len(body), body)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", r.name, err)
	}
	h, err := w.readHead()
	if err == nil {
		err = w.readBody(h, &heard)
	}
	if err != nil || h.status != 200 {
		return "", errors.Join(fmt.Errorf("asking %s: status %d", r.name, h.status), err)
	}
	_, text, _ := strings.Cut(heard.String(), `"message":"`)
	text, _, _ = strings.Cut(text, `"`)
	return text, nil
}

// allSay says whether every node decides by a change, and has its revision.
func (f *fleet) allSay(ctx context.Context, change int, revision int64) error {
	errs := make([]error, len(f.nodes))
	var asking sync.WaitGroup
	for i, r := range f.nodes {
		asking.Go(func() {
			text, err := f.saying(ctx, r)
			if err == nil && text != marker(change) {
				err = fmt.Errorf("%s says %q", r.name, text)
			}
			m, err2 := r.metrics(ctx)
			if got := m.sum("llmgw_config_revision"); err2 == nil && int64(got) != revision {
				err2 = fmt.Errorf("%s has revision %v", r.name, got)
			}
			errs[i] = errors.Join(err, err2)
		})
	}
	asking.Wait()
	return errors.Join(errs...)
}
