package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// settle is how long a process is left alone before its memory is looked at.
const settle = 2 * time.Second

// memory is what a process had in RAM with and without streams.
type memory struct {
	before, with int64
	streams      int
	broken       int // streams that did not stay
}

func (m *memory) each() float64 { return float64(m.with-m.before) / float64(m.streams) / 1024 }

// measureIdle opens streams that say one thing and then nothing: each on a
// connection of its own, and then sharing connections over HTTP/2.
func measureIdle(ctx context.Context, s *stand) error {
	upstream, err := s.upstream(ctx, answerIdle)
	if err != nil {
		return err
	}
	all, err := s.proxies(ctx, upstream)
	if err != nil {
		return err
	}
	floor, err := s.stock(ctx, upstream, "-h2c")
	if err != nil {
		return err
	}
	fresh, err := s.gateway(ctx, upstream) // the other one keeps the memory that it had for its streams
	if err != nil {
		return err
	}
	t := newTable("", "streams", "idle process MB", "with streams MB", "KB/stream", "to stock", "broken")
	broken := s.idle(ctx, t, all, "", func(p *participant) (*crowd, error) {
		return gather(ctx, p, s.n, func(int, []byte) {})
	})
	if broken == nil {
		broken = s.idle(ctx, t, []*participant{floor, fresh}, " h2c", func(p *participant) (*crowd, error) {
			return gatherShared(ctx, p, s.n)
		})
	}
	return errors.Join(broken, t.print(s.out))
}

// idle adds the figures of participants, of which the first is the floor.
func (s *stand) idle(ctx context.Context, t *table, all []*participant, over string, gather func(*participant) (*crowd, error)) error {
	var floor float64
	var broken error
	for i, p := range all {
		m, err := s.crowded(ctx, p, gather)
		if err != nil {
			return err
		}
		if i == 0 {
			floor = m.each()
		}
		if p.name == nameGateway && m.broken > 0 {
			broken = fmt.Errorf("llmgw%s: %d of %d idle streams broke", over, m.broken, s.n)
		}
		if floor <= 0 {
			return fmt.Errorf("%s took no memory for %d streams; try more (-n)", all[0].name, s.n)
		}
		megabytes := func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
		t.add(p.name+over, strconv.Itoa(m.streams), megabytes(m.before), megabytes(m.with), fmt.Sprintf("%.1f", m.each()), asRatio(m.each()/floor), strconv.Itoa(m.broken))
	}
	return broken
}

// crowded looks at a process's memory before and with n streams.
func (s *stand) crowded(ctx context.Context, p *participant, gather func(*participant) (*crowd, error)) (m memory, err error) {
	m = memory{streams: s.n}
	if err := wait(ctx, settle); err != nil {
		return m, err
	}
	if m.before, err = resident(p.pid); err != nil {
		return m, err
	}
	c, err := gather(p)
	if err != nil {
		return m, err
	}
	defer c.close()
	if err := wait(ctx, settle); err != nil {
		return m, err
	}
	m.broken = int(c.broken.Load())
	if m.streams = s.n - m.broken; m.streams == 0 {
		return m, fmt.Errorf("%s kept no idle stream, for example: %w", p.name, *c.example.Load())
	}
	m.with, err = resident(p.pid)
	return m, err
}
