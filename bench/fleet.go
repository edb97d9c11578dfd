package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/llmgw/llmgw/store/storetest/faults"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// fleetNodes is how many gateways share a store.
const fleetNodes = 3

// Bounds of what a fleet waits for.
const (
	settleBound = 30 * time.Second // all in step, with everything there
	lookPause   = 20 * time.Millisecond
	drainDelay  = time.Second // of a gateway that was told to end
	drainBound  = 2 * time.Minute
)

// fleet is gateways that share a PostgreSQL and a Redis, each with ways of its own
// to both, on which things can go wrong.
type fleet struct {
	*stand
	postgres *servers.Postgres
	redis    *servers.Redis
	sieves   []*sieve
	nodes    []*replica
	key      string // a key that every scenario may use, and none may spoil
	counts   bool   // PostgreSQL counts statements
	made     int    // keys, for their names
	filled   int    // times that keys were written past the gateways
	database string // its URL
}

// replica is one gateway of a fleet.
type replica struct {
	*gateway
	name           string
	toStore, toBus *faults.Proxy
	metricsAt      string
	admin          *http.Client // by its socket
	plain          *http.Client // by its ports, on a connection for each call
}

// fleet starts servers and gateways, and equips them as an operator would.
func (s *stand) fleet(ctx context.Context, upstream string) (f *fleet, err error) {
	f = &fleet{stand: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if f.postgres, err = servers.StartPostgres(ctx, servers.PostgresOptions{}); err != nil {
		return nil, err
	}
	if f.counts, err = f.postgres.CountStatements(ctx); err != nil {
		return nil, err
	}
	if f.redis, err = servers.StartRedis(ctx, servers.RedisOptions{}); err != nil {
		return nil, err
	}
	f.database, err = f.postgres.Empty(ctx)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	for n := range fleetNodes {
		r, err := f.replica(ctx, n, base64.StdEncoding.EncodeToString(secret))
		if err != nil {
			return nil, err
		}
		if err := r.start(ctx); err != nil {
			return nil, err
		}
	}
	first := f.nodes[0]
	if err := first.equip(ctx, upstream); err != nil {
		return nil, err
	}
	f.key = first.key
	return f, f.settle(ctx)
}

// replica makes the ways of a gateway, and where it lives.
func (f *fleet) replica(ctx context.Context, n int, secret string) (*replica, error) {
	toStore, err := f.way(ctx, f.postgres.Address(), passPostgres)
	if err != nil {
		return nil, err
	}
	r := &replica{name: fmt.Sprint("node ", n+1), toStore: toStore}
	f.nodes = append(f.nodes, r) // so that it is closed, whatever comes
	if r.toBus, err = f.way(ctx, f.redis.Address(), passRedis); err != nil {
		return nil, err
	}
	data, err := f.emptyStore()
	if err != nil {
		return nil, err
	}
	addr, err1 := freePort(ctx)
	r.metricsAt, err = freePort(ctx)
	store, err2 := servers.Through(f.database, r.toStore.Address())
	bus, err3 := servers.Through(f.redis.URL(), r.toBus.Address())
	r.gateway = &gateway{binary: f.binary, data: data, addr: addr, log: &logTail{}, env: []string{"LLMGW_STORE=" + store, "LLMGW_BUS=" + bus, "LLMGW_SECRET_KEY=" + secret}}
	r.admin, r.plain = atSocket(data), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: callBound}
	return r, errors.Join(err, err1, err2, err3)
}

// way leads to a server through a sieve and a proxy.
func (f *fleet) way(ctx context.Context, server string, pass passing) (*faults.Proxy, error) {
	s, err := sift(ctx, server, pass)
	if err != nil {
		return nil, err
	}
	f.sieves = append(f.sieves, s)
	return faults.Listen("tcp", s.address())
}

// start starts the gateway, for the first time or again, and waits until it takes
// requests.
func (r *replica) start(ctx context.Context) error {
	if err := r.launch(ctx); err != nil {
		return err
	}
	if _, err := untilReady(ctx, r.addr); err != nil {
		return fmt.Errorf("starting %s: %w\nits log: %s", r.name, err, r.log)
	}
	return nil
}

func (r *replica) launch(ctx context.Context) error {
	return r.begin(ctx, "--metrics-listen", r.metricsAt, "--drain-delay", drainDelay.String(), "--drain", drainBound.String())
}

// stop ends the gateway at once.
func (r *replica) stop() error {
	if r.gateway == nil || r.child == nil {
		return nil
	}
	err := r.child.stop()
	r.child = nil
	return err
}

// retire ends the gateway as an orchestrator does: it finishes what it has begun.
func (r *replica) retire() error {
	err := r.end(syscall.SIGTERM, drainDelay+drainBound)
	r.child = nil
	return err
}

// close ends everything, in the order in which it is not missed.
func (f *fleet) close() error {
	var errs []error
	for _, r := range f.nodes {
		errs = append(errs, r.stop())
	}
	for _, r := range f.nodes {
		for _, p := range []*faults.Proxy{r.toStore, r.toBus} {
			if p != nil {
				errs = append(errs, p.Close())
			}
		}
	}
	for _, s := range f.sieves {
		errs = append(errs, s.close())
	}
	if f.redis != nil {
		errs = append(errs, f.redis.Close())
	}
	if f.postgres != nil {
		errs = append(errs, f.postgres.Close())
	}
	return errors.Join(errs...)
}

// lose says whether messages between nodes are lost from now on.
func (f *fleet) lose(yes bool) {
	for _, s := range f.sieves {
		s.lose.Store(yes)
	}
}

func (f *fleet) messagesLost() (n int64) {
	for _, s := range f.sieves {
		n += s.lost.Load()
	}
	return n
}

// stopPostgres ends PostgreSQL. Who connects is refused, as by a machine on which
// nothing listens.
func (f *fleet) stopPostgres() error {
	err := f.postgres.Stop()
	for _, r := range f.nodes {
		err = errors.Join(err, r.toStore.Set(faults.Way{Refuse: true}))
	}
	return err
}

// startPostgres brings it back, and says from when on it could be reached.
func (f *fleet) startPostgres(ctx context.Context) (time.Time, error) {
	if err := f.postgres.Start(ctx); err != nil {
		return time.Time{}, err
	}
	for _, r := range f.nodes {
		if err := r.toStore.Set(faults.Way{}); err != nil {
			return time.Time{}, err
		}
	}
	return time.Now(), nil
}

func (f *fleet) killRedis() error {
	err := f.redis.Kill()
	for _, r := range f.nodes {
		err = errors.Join(err, r.toBus.Set(faults.Way{Refuse: true}))
	}
	return err
}

func (f *fleet) startRedis(ctx context.Context) error {
	if err := f.redis.Start(ctx); err != nil {
		return err
	}
	for _, r := range f.nodes {
		if err := r.toBus.Set(faults.Way{}); err != nil {
			return err
		}
	}
	return nil
}

// until looks again and again until what is looked for is there, and says when
// that was. What a look could not tell is told where it never came.
func until(ctx context.Context, what string, bound time.Duration, look func(context.Context) error) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for {
		err := look(ctx)
		if err == nil {
			return time.Now(), nil
		}
		if wait(ctx, lookPause) != nil {
			return time.Time{}, fmt.Errorf("%s: not within %s: %w", what, bound, err)
		}
	}
}

// settle waits until every node reaches store and bus and is seen to have what the
// others have: how scenarios have to leave the fleet. That takes a few seconds,
// because nodes write down where they stand now and then.
func (f *fleet) settle(ctx context.Context) error {
	err := f.connect(ctx)
	if err == nil {
		_, err = until(ctx, "all nodes in step", settleBound, f.inStep)
	}
	if err != nil {
		return errors.Join(err, f.logs())
	}
	return nil
}

// connect waits until every node reaches store and bus.
func (f *fleet) connect(ctx context.Context) error {
	_, err := until(ctx, "all nodes reach store and bus", settleBound, func(ctx context.Context) error {
		for _, r := range f.nodes {
			m, err := r.metrics(ctx)
			if err != nil {
				return err
			}
			if bus, store := m.sum("llmgw_bus_connected"), m.sum("llmgw_store_up"); bus != 1 || store != 1 {
				return fmt.Errorf("%s: bus %v, store %v", r.name, bus, store)
			}
		}
		return nil
	})
	return err
}

// logs is what the nodes said last, for whoever has to find out.
func (f *fleet) logs() error {
	var errs []error
	for _, r := range f.nodes {
		lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
		errs = append(errs, fmt.Errorf("the log of %s: %s", r.name, strings.Join(lines[max(0, len(lines)-3):], "\n")))
	}
	return errors.Join(errs...)
}

// inStep says whether all nodes are seen, and have everything that is stored.
func (f *fleet) inStep(ctx context.Context) error {
	for _, r := range f.nodes {
		nodes, err := r.sees(ctx)
		if err != nil {
			return err
		}
		late := slices.ContainsFunc(nodes, func(n nodeStatus) bool {
			return !n.SameLog || n.Behind != 0 || n.Silent || n.Applied != nodes[0].Applied || n.Revision != nodes[0].Revision
		})
		if late || len(nodes) != len(f.nodes) {
			return fmt.Errorf("%s sees %+v", r.name, nodes)
		}
	}
	return nil
}

// forget removes all that a node that has ended has in its data directory.
func (r *replica) forget() error {
	if err := errors.Join(os.RemoveAll(r.data), os.Mkdir(r.data, 0o700)); err != nil {
		return fmt.Errorf("emptying a data directory: %w", err)
	}
	return nil
}

// lanes are connections to every node.
func (f *fleet) lanes() []*lane {
	all := make([]*lane, len(f.nodes))
	for i, r := range f.nodes {
		all[i] = &lane{addr: r.addr}
	}
	return all
}
