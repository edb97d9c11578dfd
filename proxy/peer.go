package proxy

import (
	"context"
	"net"
)

// visitorKey is under what a request's context holds the visitor that sent it.
type visitorKey struct{}

// visitorOf gives the connection of a request; nil where the listener is not a
// Server's.
func visitorOf(ctx context.Context) *visitor {
	v, _ := ctx.Value(visitorKey{}).(*visitor)
	return v
}

// below gives the socket of a connection, below TLS.
func below(c net.Conn) net.Conn {
	for {
		t, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = t.NetConn()
	}
}
