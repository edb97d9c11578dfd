package proxy

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The connections on which nobody has shown a valid key yet are strangers: they
// are what anybody can make the gateway keep. They are counted by peer and all
// together; where they are too many the oldest is closed, and not the newest
// refused, so that a caller with a good key gets in whoever else is at the door.
// A connection that has shown one is not counted any more.
const (
	// defaultPeerStrangers is far more than a client behind one address opens
	// before it sends its first request, also where many share the address.
	defaultPeerStrangers = 256
	// defaultGrace is what a client that means it needs for its first request. Until
	// then a connection is not closed for its peer's sake: all clients of a load
	// balancer may come back at once.
	defaultGrace = 2 * time.Second
	// mostStrangers bounds the strangers of all peers, where the limit of open
	// files does not: some 10 KB each, 30 KB with TLS.
	mostStrangers = 8192
	// strangersShare of the files that may be open are for strangers. A caller
	// needs two, the second for its upstream.
	strangersShare = 4
	// peerBits of an IPv6 address are one peer: what a site gets to itself
	// (RFC 6177, section 2).
	peerBits = 64
	// mostRefusals is after how many wrong keys a connection is closed.
	mostRefusals = 8
)

// visitor is a client's connection.
type visitor struct {
	conn     net.Conn
	socket   net.Conn // below TLS
	peer     netip.Prefix
	door     *door
	since    time.Time
	known    atomic.Bool  // a valid key has been shown
	refusals atomic.Int32 // answers to wrong ones

	ofPeer, ofAll *list.Element // its places in line, while it is a stranger; guarded by door.mu
}

// door is where strangers are counted. Its lock is taken when a connection
// opens, shows its first valid key, and closes; not by requests.
type door struct {
	perPeer, total int
	grace          time.Duration
	evicted        *prometheus.CounterVec

	mu        sync.Mutex
	strangers map[net.Conn]*visitor
	peers     map[netip.Prefix]*list.List // oldest first
	all       *list.List                  // oldest first
}

func newDoor(perPeer, total int, grace time.Duration, evicted *prometheus.CounterVec) *door {
	return &door{
		perPeer: perPeer, total: total, grace: grace, evicted: evicted,
		strangers: map[net.Conn]*visitor{},
		peers:     map[netip.Prefix]*list.List{},
		all:       list.New(),
	}
}

// defaultStrangers is how many strangers there may be with so many open files
// (0: nobody can say).
func defaultStrangers(files uint64) int {
	if files == 0 {
		return mostStrangers
	}
	return int(min(mostStrangers, max(1, files/strangersShare)))
}

// enter is an http.Server's ConnContext: it takes a new connection in, and
// closes the oldest stranger where they are too many.
func (d *door) enter(ctx context.Context, c net.Conn) context.Context {
	v := &visitor{conn: c, socket: below(c), peer: peerOf(c.RemoteAddr()), door: d, since: time.Now()}
	for _, out := range d.admit(v) {
		// What was said to it does not matter; and closing TLS in order could wait.
		_ = out.socket.Close()
	}
	return context.WithValue(ctx, visitorKey{}, v)
}

// admit counts a stranger and gives those that have to go for it.
func (d *door) admit(v *visitor) (out []*visitor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	line := d.peers[v.peer]
	if line == nil {
		line = list.New()
		d.peers[v.peer] = line
	}
	d.strangers[v.conn] = v
	v.ofPeer, v.ofAll = line.PushBack(v), d.all.PushBack(v)
	for line.Len() > d.perPeer {
		oldest := line.Front().Value.(*visitor)
		if v.since.Sub(oldest.since) < d.grace {
			break
		}
		out = append(out, d.evict(oldest, "peer"))
	}
	if d.all.Len() > d.total {
		out = append(out, d.evict(d.all.Front().Value.(*visitor), "total"))
	}
	return out
}

// evict counts a stranger that has to go. d.mu is held.
func (d *door) evict(v *visitor, limit string) *visitor {
	d.evicted.WithLabelValues(limit).Inc()
	d.forget(v)
	return v
}

// changed is an http.Server's ConnState: a connection that is no more, or is no
// longer the server's, is not counted.
func (d *door) changed(c net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.strangers[c]; v != nil {
		d.forget(v)
	}
}

// forget takes a stranger out of the lines. d.mu is held.
func (d *door) forget(v *visitor) {
	if d.strangers[v.conn] != v {
		return
	}
	delete(d.strangers, v.conn)
	d.all.Remove(v.ofAll)
	line := d.peers[v.peer]
	if line.Remove(v.ofPeer); line.Len() == 0 {
		delete(d.peers, v.peer)
	}
}

func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all.Len()
}

// welcome notes that a valid key has been shown.
func (v *visitor) welcome() {
	if v == nil || v.known.Load() || v.known.Swap(true) {
		return
	}
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.door.forget(v)
}

// refused notes that a wrong key has been shown, and says whether that was once
// too often.
func (v *visitor) refused() bool { return v != nil && v.refusals.Add(1) >= mostRefusals }

// turnedAway is what a caller without a valid key hears. Whoever tries key after
// key has to connect anew, and is counted as a stranger then.
func (x *exchange) turnedAway(f *failure) *failure {
	if f.status == http.StatusUnauthorized && x.visitor.refused() {
		x.w.Header()["Connection"] = []string{"close"}
	}
	return f
}

// peerOf is whom a connection counts for: its address, or the network that an
// IPv6 address is in. What has no address is one peer together.
func peerOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := tcp.AddrPort().Addr().Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = peerBits
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
