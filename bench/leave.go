package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"
)

// noticeBound is how long a leaving may go unnoticed before it counts as never
// noticed. A proxy that looks at silent sockets takes up to a second or two.
const noticeBound = 3 * time.Second

// phase is a moment of an exchange in which the client leaves.
type phase struct {
	name    string
	play    []byte // what the upstream has sent by then
	upload  bool   // the request's body is not complete
	behind  string // sent by the client when its request has reached the upstream
	atOnce  int    // this many leave at the same time; 0: as flags say
	silence bool   // the proxy has nothing from the client to notice it by
}

func phases() []phase {
	begun := slices.Concat([]byte(streamHead), chunked(streamEvent(0)))
	return []phase{
		{name: "before the head"},
		{name: "before the first byte", play: []byte(streamHead)},
		{name: "mid-stream", play: begun},
		{name: "mid-upload", upload: true},
		{name: "behind a pipelined byte", behind: "P", atOnce: 250, silence: true},
	}
}

// parting is what was found for one participant and phase.
type parting struct {
	took  []time.Duration // from close() to the upstream's seeing the end
	never int             // unnoticed within the bound
}

// measureLeave lets clients leave in every phase and waits until the upstream,
// which is in this process and so has the same clock, sees its connection end.
func measureLeave(ctx context.Context, s *stand) error {
	u, err := listenForLeaving(ctx)
	if err != nil {
		return err
	}
	defer u.close()
	all, err := s.proxies(ctx, u.addr())
	if err != nil {
		return err
	}
	all = all[:gatewayAt+1] // nginx reads bodies whole too, and has no log to ask
	t := newTable("the client leaves", "", "n", "p50 ms", "p99 ms", "to stock (p50)", "not noticed in "+noticeBound.String(), "seen by")
	var lost []error
	for _, ph := range phases() {
		var floor *parting
		for _, p := range all {
			found, seenBy, err := s.leaveAll(ctx, u, p, ph)
			if err != nil {
				return fmt.Errorf("%s, leaving %s: %w", p.name, ph.name, err)
			}
			if floor == nil {
				floor = found
			}
			found.row(t, ph.name, p.name, seenBy, floor)
			if p.name == nameGateway && found.never > 0 {
				lost = append(lost, fmt.Errorf("llmgw: %d clients that left %s were not noticed", found.never, ph.name))
			}
		}
	}
	return errors.Join(append(lost, t.print(s.out))...)
}

// row adds what was found. The ratio is of the medians: there are no rounds.
func (g *parting) row(t *table, phase, who, seenBy string, floor *parting) {
	cells := []string{phase, who, strconv.Itoa(len(g.took) + g.never)}
	for _, p := range []int{50, 99} {
		d, err := percentile(g.took, p)
		if err != nil {
			cells = append(cells, noFigure)
			continue
		}
		cells = append(cells, inMillis(d))
	}
	ratio := noFigure
	mine, err := percentile(g.took, 50)
	floors, floorErr := percentile(floor.took, 50)
	if err == nil && floorErr == nil && floors > 0 {
		ratio = asRatio(float64(mine) / float64(floors))
	}
	t.add(append(cells, ratio, strconv.Itoa(g.never), seenBy)...)
}

// leaveAll leaves n times, some at a time. Nobody but the gateway is asked to
// wait out a bound a thousand times.
func (s *stand) leaveAll(ctx context.Context, u *leftUpstream, p *participant, ph phase) (*parting, string, error) {
	if ph.upload && p.log != nil {
		// The gateway reads a body whole before it asks anybody: its access log
		// tells when it noticed, and the upstream must not have been asked.
		found, err := leaveUploads(ctx, u, p, s.n)
		return found, "access log", err
	}
	atOnce, n := s.conns[0], s.n
	if ph.atOnce > 0 {
		atOnce = ph.atOnce
	}
	if ph.silence && p.name != nameGateway {
		n = min(n, atOnce)
	}
	u.play(ph.play)
	var mu sync.Mutex
	var found parting
	turns := make(chan int)
	var all sync.WaitGroup
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	for range min(atOnce, n) {
		all.Go(func() {
			for range turns {
				took, noticed, err := leaveOnce(ctx, u, p, ph)
				if err != nil {
					giveUp(err)
				}
				mu.Lock()
				found.note(took, noticed, err)
				mu.Unlock()
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		turns <- i
	}
	close(turns)
	all.Wait()
	return &found, "upstream", context.Cause(ctx)
}

func (g *parting) note(took time.Duration, noticed bool, err error) {
	switch {
	case err != nil:
	case noticed:
		g.took = append(g.took, took)
	default:
		g.never++
	}
}

// leaveOnce is one client, from its request to its leaving.
func leaveOnce(ctx context.Context, u *leftUpstream, p *participant, ph phase) (time.Duration, bool, error) {
	v := u.expect()
	defer u.forget(v)
	w, err := dial(ctx, p.addr)
	if err != nil {
		return 0, false, err
	}
	defer w.close()
	if err := w.begin(leavingRequest(p, v.id, ph)); err != nil {
		return 0, false, err
	}
	if err := v.untilReached(ctx); err != nil {
		return 0, false, err
	}
	if err := w.readPlayed(ph); err != nil {
		return 0, false, err
	}
	if _, err := io.WriteString(w.conn, ph.behind); err != nil {
		return 0, false, err
	}
	if ph.silence {
		// Who all leave just after one look at the sockets meet the next one at
		// the same time, and their delays tell of that only.
		if err := wait(ctx, rand.N(time.Second)); err != nil {
			return 0, false, err
		}
	}
	left := time.Now()
	w.close()
	seen, ok := v.untilGone(ctx)
	return seen.Sub(left), ok, nil
}

// readPlayed reads what the upstream has sent by then, so that it has passed.
func (w *wire) readPlayed(ph phase) error {
	if len(ph.play) == 0 {
		return nil
	}
	if _, err := w.readHead(); err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	if len(ph.play) > len(streamHead) {
		if _, err := w.line(); err != nil { // the size of the first chunk
			return fmt.Errorf("reading the first event: %w", err)
		}
	}
	return nil
}

// leavingRequest is a request with a name, all of it or the beginning.
func leavingRequest(p *participant, id string, ph phase) []byte {
	request := chatRequest(p.addr, p.key, true)
	begin := slices.Index(request, '\n') + 1
	named := slices.Concat(request[:begin], []byte(idHeader+": "+id+"\r\n"), request[begin:])
	if ph.upload {
		return named[:len(named)-contentBytes/2]
	}
	return named
}
