package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// stand is one run: what flags said, where things are kept, and what was
// started, which ends with it.
type stand struct {
	options
	out     io.Writer
	dir     string
	binary  string
	started []*child
	stores  int // data directories made
}

// participant is what requests are sent to: a proxy in front of the upstream,
// or the upstream itself, which has no process worth measuring.
type participant struct {
	name string
	addr string
	key  string
	pid  int    // 0: not measured
	data string // the gateway's data directory
	log  *logTail
}

// The names of participants in tables.
const (
	nameDirect  = "(no proxy)"
	nameStock   = "stock"
	nameGateway = "llmgw"
	nameNginx   = "nginx"
)

func newStand(ctx context.Context, o options, out io.Writer) (*stand, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, fmt.Errorf("making a temporary directory: %w", err)
	}
	s := &stand{options: o, out: out, dir: dir}
	if o.binary == "" {
		s.binary, err = buildGateway(ctx, dir)
	} else {
		s.binary, err = filepath.Abs(o.binary)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	fmt.Fprintf(out, "%d cores, %s, %s/%s, loopback\n", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return s, nil
}

// close ends everything that was started, the youngest first.
func (s *stand) close() error {
	var errs []error
	for i := len(s.started) - 1; i >= 0; i-- {
		errs = append(errs, s.started[i].stop())
	}
	s.started = nil
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// upstream starts a provider and gives its address.
func (s *stand) upstream(ctx context.Context, answer string) (string, error) {
	c, err := startRole(ctx, "upstream", "-answer", answer, "-every", max(s.every, time.Millisecond).String())
	if err != nil {
		return "", err
	}
	s.started = append(s.started, c)
	return c.said, nil
}

// stock starts the floor in front of an upstream.
func (s *stand) stock(ctx context.Context, upstream string, more ...string) (*participant, error) {
	c, err := startRole(ctx, "stock", append([]string{"-to", "http://" + upstream}, more...)...)
	if err != nil {
		return nil, err
	}
	s.started = append(s.started, c)
	return &participant{name: nameStock, addr: c.said, pid: c.pid}, nil
}

// gateway starts llmgw in front of an upstream, with more flags of serve's.
func (s *stand) gateway(ctx context.Context, upstream string, more ...string) (*participant, error) {
	data, err := s.emptyStore()
	if err != nil {
		return nil, err
	}
	g, err := startGateway(ctx, s.binary, data, upstream, more...)
	if err != nil {
		return nil, err
	}
	s.started = append(s.started, g.child)
	return &participant{name: nameGateway, addr: g.addr, key: g.key, pid: g.pid, data: data, log: g.log}, nil
}

// emptyStore makes a data directory that no gateway has seen.
func (s *stand) emptyStore() (string, error) {
	s.stores++
	dir := filepath.Join(s.dir, strconv.Itoa(s.stores))
	return dir, os.Mkdir(dir, 0o700)
}

// proxies starts the floor, the gateway, and nginx where there is one, in front
// of an upstream. The floor is the first.
func (s *stand) proxies(ctx context.Context, upstream string) ([]*participant, error) {
	floor, err := s.stock(ctx, upstream)
	if err != nil {
		return nil, err
	}
	gateway, err := s.gateway(ctx, upstream)
	if err != nil {
		return nil, err
	}
	all := []*participant{floor, gateway}
	second, err := s.nginx(ctx, upstream)
	if err != nil {
		return nil, err
	}
	if second != nil {
		all = append(all, second)
	}
	return all, nil
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
