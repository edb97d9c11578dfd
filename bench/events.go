package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ears are how many listen to the gateway's events in a round. None is the floor;
// none again is what the measuring itself takes for a difference.
func ears() []int { return []int{0, 0, 1, 8} }

// listening is what so many listeners heard and cost, in all rounds.
type listening struct {
	ears  int
	load  series
	heard heard
	took  time.Duration
}

// heard is what listeners were shown, and what the gateway says that it did not
// show.
type heard struct{ shown, dropped int64 }

func (h *heard) add(other heard) {
	h.shown += other.shown
	h.dropped += other.dropped
}

// measureEvents asks one gateway at a fixed rate while nobody, one and eight
// listen to its events: what does an exchange cost more for it? What it remembers
// of exchanges, it remembers in any case. At full speed a round in which the
// machine is busy elsewhere would be another load, and have another cost.
func measureEvents(ctx context.Context, s *stand) error {
	upstream, err := s.upstream(ctx, answerReply)
	if err != nil {
		return err
	}
	p, err := s.gateway(ctx, upstream)
	if err != nil {
		return err
	}
	t := newTable("connections", "listeners", "CPU-µs/request", "to none", "of rounds", "requests/s", "shown/s each", "dropped each", "broken")
	var broken []error
	for _, conns := range s.conns {
		found, err := s.listenedTo(ctx, p, conns)
		if err != nil {
			return err
		}
		for _, f := range found {
			broken = append(broken, problems([]*series{&f.load}))
			if err := f.row(t, conns, &found[0].load); err != nil {
				return err
			}
		}
	}
	return errors.Join(append(broken, t.print(s.out))...)
}

// listenedTo asks the gateway in interleaved rounds with as many listeners as
// ears says.
func (s *stand) listenedTo(ctx context.Context, p *participant, conns int) ([]*listening, error) {
	l := newLoad(p, conns, chatRequest(p.addr, p.key, false), chatReply())
	defer l.close()
	found := make([]*listening, len(ears()))
	for i, n := range ears() {
		found[i] = &listening{ears: n, load: series{who: p}}
	}
	for n := range s.rounds {
		for i := range found {
			if err := found[(i+n)%len(found)].round(ctx, l, s.seconds, s.rate); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// round opens the listeners, asks, and closes them.
func (f *listening) round(ctx context.Context, l *load, d time.Duration, rate int) error {
	stop := listen(ctx, l.to.data, f.ears)
	r, err := l.roundAt(ctx, d, rate)
	h, ended := stop()
	if err = errors.Join(err, ended); err != nil {
		return err
	}
	f.heard.add(h)
	f.took += r.took
	return f.load.note(r, 1)
}

func (f *listening) row(t *table, conns int, floor *series) error {
	cost, ratio, err := f.load.costs(floor)
	if err != nil {
		return err
	}
	rate, err := median(f.load.rate)
	if err != nil {
		return err
	}
	least, most, err := ratioRange(f.load.cost, floor.cost)
	if err != nil {
		return err
	}
	shown, dropped := noFigure, noFigure
	if f.ears > 0 {
		shown = fmt.Sprintf("%.0f", float64(f.heard.shown)/f.took.Seconds()/float64(f.ears))
		dropped = strconv.FormatInt(f.heard.dropped/int64(f.ears), 10)
	}
	t.add(strconv.Itoa(conns), strconv.Itoa(f.ears), cost, ratio, asRatio(least)+" to "+asRatio(most), fmt.Sprintf("%.0f", rate), shown, dropped, strconv.Itoa(f.load.tally.broken()))
	return nil
}

// atSocket is a client of the gateway that has a data directory, by its socket.
func atSocket(data string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(data, "admin.sock"))
	}}}
}

// listen opens n streams of events at the admin socket. stop ends them and tells
// what they heard together.
func listen(ctx context.Context, data string, n int) (stop func() (heard, error)) {
	ctx, cancel := context.WithCancel(ctx)
	client := atSocket(data)
	all, errs := make([]heard, n), make([]error, n)
	var begun, ended sync.WaitGroup
	begun.Add(n)
	for i := range n {
		ended.Go(func() { errs[i] = all[i].hear(ctx, client, sync.OnceFunc(begun.Done)) })
	}
	begun.Wait()
	return func() (heard, error) {
		cancel()
		ended.Wait()
		client.CloseIdleConnections()
		var sum heard
		for _, h := range all {
			sum.add(h)
		}
		return sum, errors.Join(errs...)
	}
}

// hear reads one stream until ctx ends. begun is called at its first line, or
// where there is none.
func (h *heard) hear(ctx context.Context, client *http.Client, begun func()) error {
	defer begun()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://llmgw/api/v1/events?kind=exchange", nil)
	if err != nil {
		return fmt.Errorf("asking for events: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking for events: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for events: status %d", response.StatusCode)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for name := ""; lines.Scan(); begun() {
		if text, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			name = text
		} else if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := h.note(name, text); err != nil {
				return err
			}
		}
	}
	if ctx.Err() == nil {
		return errors.New("a stream of events ended by itself")
	}
	return nil
}

func (h *heard) note(name, data string) error {
	switch name {
	case "exchange":
		h.shown++
	case "tally":
		var tally struct{ Dropped int64 }
		if err := json.Unmarshal([]byte(data), &tally); err != nil {
			return fmt.Errorf("reading a tally: %w", err)
		}
		h.dropped = tally.Dropped
	}
	return nil
}
