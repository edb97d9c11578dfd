package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/llmgw/llmgw/rules"
)

// dial makes one connection.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// keepAlive is how often the system looks whether a silent peer is still there.
const keepAlive = 30 * time.Second

// dialer connects to this process's own listeners where local says so, and
// to everything else as far as reach lets it.
func dialer(local map[string]string, reach rules.Reach) dial {
	outside := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, Control: within(reach)}
	inside := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := outside
		if own, ok := local[address]; ok {
			d, address = inside, own
		}
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &countingConn{Conn: conn}, nil
	}
}

// within is a net.Dialer's Control that looks at the resolved address of every
// connection, so that no name can lead where a URL may not, whatever it led to
// when it was looked at before.
func within(reach rules.Reach) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		parsed, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("dialling: %w", err)
		}
		return reach.Address(parsed.Addr())
	}
}

// Dial connects as requests to upstreams do, with the same limits to where.
func (p *Proxy) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return p.dial(ctx, network, address)
}
