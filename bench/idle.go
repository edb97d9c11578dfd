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

// measureIdle opens streams that say one thing and then nothing.
func measureIdle(ctx context.Context, s *stand) error {
	upstream, err := s.upstream(ctx, answerIdle)
	if err != nil {
		return err
	}
	all, err := s.proxies(ctx, upstream)
	if err != nil {
		return err
	}
	t := newTable("", "streams", "idle process MB", "with streams MB", "KB/stream", "to stock", "broken")
	var floor float64
	var broken error
	for i, p := range all {
		m, err := s.crowded(ctx, p)
		if err != nil {
			return err
		}
		if i == 0 {
			floor = m.each()
		}
		if i == gatewayAt && m.broken > 0 {
			broken = fmt.Errorf("llmgw: %d of %d idle streams broke", m.broken, s.n)
		}
		if floor <= 0 {
			return fmt.Errorf("%s took no memory for %d streams; try more (-n)", all[0].name, s.n)
		}
		megabytes := func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
		t.add(p.name, strconv.Itoa(m.streams), megabytes(m.before), megabytes(m.with), fmt.Sprintf("%.1f", m.each()), asRatio(m.each()/floor), strconv.Itoa(m.broken))
	}
	return errors.Join(broken, t.print(s.out))
}

// crowded looks at a process's memory before and with n streams.
func (s *stand) crowded(ctx context.Context, p *participant) (m memory, err error) {
	m = memory{streams: s.n}
	if err := wait(ctx, settle); err != nil {
		return m, err
	}
	if m.before, err = resident(p.pid); err != nil {
		return m, err
	}
	c, err := gather(ctx, p, s.n, func(int, []byte) {})
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
