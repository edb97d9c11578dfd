package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	loginUsers    = 20
	loginPassword = "correct horse battery" // opens nothing
	loginEvery    = time.Second             // between two attempts of one person: as Retry-After tells those who must wait
)

// measureLogins asks for replies at a fixed rate while nobody logs in, and while
// so many people log in all the time, at once to begin with, all with the right
// password, each from an address of their own. Hashing a password takes as much CPU and memory as it can
// be made to: the figure is what of it a request notices.
//
// A second gateway, at which nobody logs in, is asked at the same time, in all
// rounds. Logins take a core or more from everything on this machine, the client
// and the upstream too: what that does, it does to both, and the ratio of the two
// is what happens inside the gateway.
func measureLogins(ctx context.Context, s *stand) error {
	upstream, err := s.upstream(ctx, answerEither)
	if err != nil {
		return err
	}
	p, err := s.gateway(ctx, upstream, "--trusted-proxies", "127.0.0.1/32")
	if err != nil {
		return err
	}
	spared, err := s.gateway(ctx, upstream)
	if err != nil {
		return err
	}
	c, err := s.people(ctx, p)
	if err != nil {
		return err
	}
	found := [2]*beside{{name: "nobody logs in"}, {name: fmt.Sprintf("%d log in", s.n)}}
	for n := range s.rounds {
		for i := range found {
			turn := (i + n) % len(found)
			if err := found[turn].round(ctx, c, turn*s.n, s.seconds, p, spared); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(s.out, "%d requests a second on new connections at each of two gateways, %d rounds of %s\n", slowRate, s.rounds, s.seconds)
	return errors.Join(printBeside(s.out, found), c.print(s.out))
}

// beside is what requests took in all rounds in which so many people logged in,
// at the gateway where they did and at the one that was spared.
type beside struct {
	name      string
	p99, calm []float64 // milliseconds, by round
	here      steadily
	spared    steadily
}

func (b *beside) round(ctx context.Context, c *crowdOfPeople, people int, d time.Duration, p, spared *participant) error {
	stop := c.logIn(ctx, people)
	here, there := &steadily{name: b.name, to: p}, &steadily{to: spared}
	err := ask(ctx, d, []*steadily{here, there})
	stop()
	if err != nil {
		return err
	}
	for _, one := range []struct {
		of   *steadily
		into *steadily
		p99  *[]float64
	}{{here, &b.here, &b.p99}, {there, &b.spared, &b.calm}} {
		p99, err := percentile(one.of.delays, 99)
		if err != nil {
			return errors.Join(err, one.of.example)
		}
		*one.p99 = append(*one.p99, float64(p99)/float64(time.Millisecond))
		one.into.delays = append(one.into.delays, one.of.delays...)
		one.into.add(one.of.tally)
		one.into.took += one.of.took
		one.into.cpu += one.of.cpu
		if one.into.example == nil {
			one.into.example = one.of.example
		}
	}
	return nil
}

// printBeside tells the medians of the rounds' figures, and of their ratios.
func printBeside(out io.Writer, found [2]*beside) error {
	t := newTable("", "gateway", "requests", "whole", "p50 ms", "p99 ms", "CPU of a core")
	var wrong error
	for _, b := range found {
		for _, row := range []struct {
			name string
			of   *steadily
			p99  []float64
		}{{nameGateway, &b.here, b.p99}, {"spared", &b.spared, b.calm}} {
			p50, err := percentile(row.of.delays, 50)
			if err != nil {
				return err
			}
			p99, err := median(row.p99)
			if err != nil {
				return err
			}
			t.add(b.name, row.name, strconv.Itoa(row.of.all()), strconv.Itoa(row.of.tally[whole]), inMillis(p50), fmt.Sprintf("%.2f", p99),
				fmt.Sprintf("%.0f %%", 100*row.of.cpu.Seconds()/row.of.took.Seconds()))
			if problem := row.of.tally.problem(row.name + ", " + b.name); problem != nil {
				wrong = errors.Join(wrong, fmt.Errorf("%w, for example: %w", problem, row.of.example))
			}
		}
	}
	quiet, storm := found[0], found[1]
	toQuiet, err1 := medianRatio(storm.p99, quiet.p99)
	toSpared, err2 := medianRatio(storm.p99, storm.calm)
	if err := errors.Join(t.print(out), err1, err2); err != nil {
		return err
	}
	fmt.Fprintf(out, "p99 beside logins: %s that without them, %s that of the spared gateway at the same time\n", asRatio(toQuiet), asRatio(toSpared))
	return wrong
}

// crowdOfPeople log in at one gateway.
type crowdOfPeople struct {
	url    string
	client *http.Client

	in, waiting, broken atomic.Int64 // who got in, who was told to come again, and whatever else
	during              time.Duration
}

// people makes users with passwords at a gateway.
func (s *stand) people(ctx context.Context, p *participant) (*crowdOfPeople, error) {
	g := &gateway{binary: s.binary, data: p.data}
	for n := range loginUsers {
		if _, err := g.tell(ctx, loginPassword, "users", "create", fmt.Sprint("u", n)); err != nil {
			return nil, err
		}
		if _, err := g.tell(ctx, loginPassword, "users", "password", fmt.Sprint("u", n), "--password-file", "-"); err != nil {
			return nil, err
		}
	}
	at, err := g.tell(ctx, "", "status", "--jq", ".admin")
	if err != nil {
		return nil, err
	}
	return &crowdOfPeople{
		url:    strings.TrimSpace(at) + "/api/v1/login",
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: s.n}, Timeout: answerBound},
	}, nil
}

// logIn lets n people log in, again and again, until what it gives is called.
func (c *crowdOfPeople) logIn(ctx context.Context, n int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	begun := time.Now()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				c.attempt(ctx, i)
				_ = wait(ctx, loginEvery) // where ctx has ended, so does the loop
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
		c.client.CloseIdleConnections()
		if n > 0 {
			c.during += time.Since(begun)
		}
	}
}

func (c *crowdOfPeople) attempt(ctx context.Context, i int) {
	body := fmt.Sprintf(`{"user":"u%d","password":%q}`, i%loginUsers, loginPassword)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		c.broken.Add(1)
		return
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", i>>8, i&0xff))
	answer, err := c.client.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.broken.Add(1)
	case answer.StatusCode == http.StatusOK:
		c.in.Add(1)
	case answer.StatusCode == http.StatusServiceUnavailable, answer.StatusCode == http.StatusTooManyRequests:
		c.waiting.Add(1)
	default:
		c.broken.Add(1)
	}
}

// print tells what the people were answered, and fails where that was something
// else than a login or a wait.
func (c *crowdOfPeople) print(out io.Writer) error {
	each := func(n int64) float64 { return float64(n) / max(c.during.Seconds(), 1e-9) }
	fmt.Fprintf(out, "logins: %.1f a second got in, %.0f a second were told to come again\n", each(c.in.Load()), each(c.waiting.Load()))
	if c.broken.Load() > 0 || c.in.Load() == 0 {
		return fmt.Errorf("of the logins %d got in and %d were answered with neither yes nor later", c.in.Load(), c.broken.Load())
	}
	return nil
}
