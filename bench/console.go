package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

const (
	consoleStarts = 10
	consoleSettle = 10 * time.Second // then its memory is what it needs
)

// measureConsole tells what a console costs: its start, itself under a flood of
// events, and the gateway that it looks at.
func measureConsole(ctx context.Context, s *stand) error {
	if err := s.consoleFlood(ctx); err != nil {
		return err
	}
	upstream, err := s.upstream(ctx, answerReply)
	if err != nil {
		return err
	}
	p, err := s.gateway(ctx, upstream)
	if err != nil {
		return err
	}
	if err := s.consoleStart(ctx, p); err != nil {
		return err
	}
	return s.consoleBeside(ctx, p)
}

// consoleStart prints how long it takes from exec to the first frame.
func (s *stand) consoleStart(ctx context.Context, p *participant) error {
	var took []float64
	for range consoleStarts {
		c, err := s.openScreen(ctx, p.data, "dashboard", "Requests/s")
		if err != nil {
			return err
		}
		first, err := c.first(ctx)
		if err = errors.Join(err, c.close()); err != nil {
			return err
		}
		took = append(took, float64(first)/float64(time.Millisecond))
	}
	middle, err := median(took)
	if err != nil {
		return err
	}
	t := newTable("", "starts", "median ms", "least", "most")
	t.add("first frame", strconv.Itoa(len(took)), oneDecimal(middle), oneDecimal(slices.Min(took)), oneDecimal(slices.Max(took)))
	return t.print(s.out)
}

// taken is what a process used between two looks.
type taken struct {
	cpu      time.Duration
	written  int64
	resident int64
	at       time.Time
}

func (c *screen) taken() (u taken, err error) {
	u.at, u.written = time.Now(), c.bytes()
	if u.cpu, err = cpuTime(c.pid); err != nil {
		return u, err
	}
	u.resident, err = resident(c.pid)
	return u, err
}

// consoleFlood prints what a console takes while it is sent events at a rate.
func (s *stand) consoleFlood(ctx context.Context) error {
	f, err := startFlood(ctx, filepath.Join(s.dir, "flood"), s.rate)
	if err != nil {
		return err
	}
	t := newTable("screen", "events/s sent", "CPU of one core", "to the terminal B/s", "memory MB after "+consoleSettle.String(), "at the end", "it says")
	for _, name := range []string{"dashboard", "traffic"} {
		if err := s.floodOne(ctx, f, name, t); err != nil {
			return errors.Join(err, f.close())
		}
	}
	return errors.Join(f.close(), t.print(s.out))
}

func (s *stand) floodOne(ctx context.Context, f *flood, name string, t *table) (err error) {
	c, err := s.openScreen(ctx, f.data, name, "live")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if _, err := c.first(ctx); err != nil {
		return err
	}
	if err := wait(ctx, consoleSettle); err != nil {
		return err
	}
	before, err := c.taken()
	sent := f.sent.Load()
	if err != nil {
		return err
	}
	if err := wait(ctx, s.seconds); err != nil {
		return err
	}
	after, err := c.taken()
	if err != nil {
		return err
	}
	took := after.at.Sub(before.at).Seconds()
	t.add(name, fmt.Sprintf("%.0f", float64(f.sent.Load()-sent)/took), fmt.Sprintf("%.1f%%", 100*(after.cpu-before.cpu).Seconds()/took),
		fmt.Sprintf("%.0f", float64(after.written-before.written)/took), oneDecimal(float64(before.resident)/1e6), oneDecimal(float64(after.resident)/1e6), c.says())
	return nil
}

// consoleLooks is what a gateway is asked beside: no console, none again, which is
// what the measuring itself takes for a difference, and one on each of two screens.
func consoleLooks() []string { return []string{"", "", "dashboard", "traffic"} }

// The rounds beside a console: as those of events.
const (
	besideConns = 16
	besideRate  = 5000
	besideLasts = 3 * time.Second
)

// consoleBeside prints what an exchange costs the gateway more while a console
// looks on, in interleaved rounds.
func (s *stand) consoleBeside(ctx context.Context, p *participant) error {
	l := newLoad(p, besideConns, chatRequest(p.addr, p.key, false), chatReply())
	defer l.close()
	found := make([]*series, len(consoleLooks()))
	for i := range found {
		found[i] = &series{who: p}
	}
	said := make([]string, len(found))
	for n := range s.rounds {
		for j := range found {
			i := (j + n) % len(found)
			says, err := s.besideOnce(ctx, l, found[i], consoleLooks()[i])
			if err != nil {
				return err
			}
			said[i] = says
		}
	}
	t := newTable("console", "CPU-µs/request", "to none", "of rounds", "requests/s", "broken", "it says")
	for i, f := range found {
		cost, ratio, err := f.costs(found[0])
		if err != nil {
			return err
		}
		least, most, err := ratioRange(f.cost, found[0].cost)
		if err != nil {
			return err
		}
		rate, err := median(f.rate)
		if err != nil {
			return err
		}
		name := consoleLooks()[i]
		if name == "" {
			name = "none"
		}
		t.add(name, cost, ratio, asRatio(least)+" to "+asRatio(most), fmt.Sprintf("%.0f", rate), strconv.Itoa(f.tally.broken()), said[i])
	}
	return errors.Join(problems(found), t.print(s.out))
}

func (s *stand) besideOnce(ctx context.Context, l *load, into *series, name string) (says string, err error) {
	if name != "" {
		c, err := s.openScreen(ctx, l.to.data, name, "live")
		if err != nil {
			return "", err
		}
		if _, err := c.first(ctx); err != nil {
			return "", errors.Join(err, c.close())
		}
		defer func() {
			says = c.says()
			err = errors.Join(err, c.close())
		}()
	}
	r, err := l.roundAt(ctx, besideLasts, besideRate)
	if err != nil {
		return "", err
	}
	return noFigure, into.note(r, 1)
}
