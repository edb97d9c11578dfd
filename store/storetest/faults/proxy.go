package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Way is what happens between clients and the server. The zero value passes
// everything on.
type Way struct {
	// Refuse closes the port: new connections are refused. Those that exist go on.
	Refuse bool
	// Up is the direction to the server, Down the one back.
	Up, Down Direction
}

// Direction is what happens to the bytes of one direction.
type Direction struct {
	// Delay is how late bytes arrive; a reply is late by both directions' delays.
	Delay time.Duration
	// Hold keeps bytes, and the end of the stream, until it is lifted: then they
	// arrive, however old they are. A command may so be carried out long after its
	// sender gave up.
	Hold bool
}

// Blackhole takes connections and lets nothing through, either way.
func Blackhole() Way { return Way{Up: Direction{Hold: true}, Down: Direction{Hold: true}} }

// Counts is what a proxy has seen.
type Counts struct {
	Connections int   // taken
	Open        int   // of these, still there
	Failed      int   // of these, reset at once because the server took none
	Ended       int   // of these, ended by Cut or Forget
	Up, Down    int64 // bytes that arrived at the server, and at clients
}

// Proxy passes connections on to one server.
type Proxy struct {
	network, server string
	address         string
	ctx             context.Context // the proxy's life, which ends with Close
	end             context.CancelFunc
	running         sync.WaitGroup

	mu     sync.Mutex
	way    Way
	count  Counts
	door   net.Listener // nil while refusing
	pairs  map[*pair]struct{}
	closed bool
}

// dialBound is how long the server may take to accept a connection.
const dialBound = 10 * time.Second

// Listen makes a proxy in front of a server, which need not be there yet. The
// network is tcp, or unix for a server's socket; the proxy itself speaks TCP.
// Close ends it.
func Listen(network, server string) (*Proxy, error) {
	door, err := listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{network: network, server: server, address: door.Addr().String(), door: door, pairs: map[*pair]struct{}{}}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.running.Go(func() { p.welcome(door) })
	return p, nil
}

func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address) // listening at a loopback address waits for nobody
	if err != nil {
		return nil, fmt.Errorf("listening in front of a server: %w", err)
	}
	return l, nil
}

// Address is where clients connect to: 127.0.0.1 and a port.
func (p *Proxy) Address() string { return p.address }

// Set changes the way, for the connections that there are too.
func (p *Proxy) Set(w Way) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("changing the way: %w", net.ErrClosed)
	}
	if err := p.turn(!w.Refuse); err != nil {
		return err
	}
	p.way = w
	for c := range p.pairs {
		c.changed()
	}
	return nil
}

// turn opens the door or closes it.
func (p *Proxy) turn(open bool) error {
	if open == (p.door != nil) {
		return nil
	}
	if !open {
		err := p.door.Close()
		p.door = nil
		return err
	}
	door, err := listen(p.address)
	if err != nil {
		return err
	}
	p.door = door
	p.running.Go(func() { p.welcome(door) })
	return nil
}

// welcome takes connections until the door is closed.
func (p *Proxy) welcome(door net.Listener) {
	for {
		client, err := door.Accept()
		if err != nil {
			return // the door was closed, which is the only way it ends on loopback
		}
		p.running.Go(func() { p.pass(client) })
	}
}

// pass leads one connection until both of its directions have ended.
func (p *Proxy) pass(client net.Conn) {
	c := &pair{proxy: p, client: client, turned: make(chan struct{})}
	if !p.enter(c) {
		_ = client.Close() // nobody is left to be told
		return
	}
	defer p.leave(c)
	dialer := net.Dialer{Timeout: dialBound}
	server, err := dialer.DialContext(p.ctx, p.network, p.server)
	if err != nil {
		p.note(func(n *Counts) { n.Failed++ })
		c.cut()
		return
	}
	if c.join(server) {
		c.run()
	}
}

func (p *Proxy) enter(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.pairs[c] = struct{}{}
	p.count.Connections++
	p.count.Open++
	return true
}

func (p *Proxy) leave(c *pair) {
	c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pairs, c)
	p.count.Open--
}

// Cut resets every connection that there is, on both sides.
func (p *Proxy) Cut() { p.each((*pair).cut) }

// Forget resets the server's side of every connection and leaves the client's
// open, where nobody ever answers: what RFC 9293, section 3.5.1, calls half-open,
// as after a machine's power cut.
func (p *Proxy) Forget() { p.each((*pair).forget) }

func (p *Proxy) each(do func(*pair)) {
	p.mu.Lock()
	pairs := make([]*pair, 0, len(p.pairs))
	for c := range p.pairs {
		pairs = append(pairs, c)
	}
	p.count.Ended += len(pairs)
	p.mu.Unlock()
	for _, c := range pairs {
		do(c)
	}
}

// Counts is what happened so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *Proxy) note(what func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what(&p.count)
}

// Close cuts everything and waits until nothing of the proxy runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	err := p.turn(false)
	p.mu.Unlock()
	p.end()
	p.Cut()
	p.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
