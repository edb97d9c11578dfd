package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// balanceEvery is how often a balancer looks whether a gateway is ready.
const balanceEvery = 50 * time.Millisecond

// balancer leads connections to gateways that say that they are ready, in turn. It
// knows no HTTP but for that question, and does nothing twice.
type balancer struct {
	door    net.Listener
	behind  []*backend
	turn    atomic.Int64
	refused atomic.Int64 // connections for which there was nobody
	stop    context.CancelFunc
	running sync.WaitGroup
}

type backend struct {
	addr  string
	ready atomic.Bool
	open  atomic.Int64 // connections
}

// balance listens in front of addresses. close ends it, and every connection.
func balance(ctx context.Context, addrs ...string) (*balancer, error) {
	door, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening in front of gateways: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	b := &balancer{door: door, stop: stop}
	for _, addr := range addrs {
		to := &backend{addr: addr}
		to.ready.Store(ready(ctx, addr))
		b.behind = append(b.behind, to)
		b.running.Go(func() { to.look(ctx) })
	}
	b.running.Go(func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				return // closed
			}
			b.running.Go(func() { b.lead(ctx, conn) })
		}
	})
	return b, nil
}

func (b *balancer) address() string { return b.door.Addr().String() }

func (to *backend) look(ctx context.Context) {
	for wait(ctx, balanceEvery) == nil {
		to.ready.Store(ready(ctx, to.addr))
	}
}

// lead finds somebody who takes a connection, and passes bytes until both sides
// have ended.
func (b *balancer) lead(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	to, server := b.choose(ctx)
	if server == nil {
		b.refused.Add(1)
		return
	}
	to.open.Add(1)
	defer to.open.Add(-1)
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = client.Close(); _ = server.Close() })
	defer stop()
	var up sync.WaitGroup
	up.Go(func() { passOn(server, client) })
	passOn(client, server)
	up.Wait()
}

func (b *balancer) choose(ctx context.Context) (*backend, net.Conn) {
	first := b.turn.Add(1)
	for i := range b.behind {
		to := b.behind[(first+int64(i))%int64(len(b.behind))]
		if !to.ready.Load() {
			continue
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", to.addr)
		if err == nil {
			return to, conn
		}
	}
	return nil, nil
}

// passOn copies one direction, and tells the other side of its end.
func passOn(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		_ = to.Close() // an end that was none is passed on as one
		_ = from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // where it has ended already, nothing is left to tell
	}
}

func (b *balancer) close() error {
	err := b.door.Close()
	b.stop()
	b.running.Wait()
	return err
}
