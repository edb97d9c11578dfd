package proxy

import (
	"context"
	"crypto/tls"
	"net"
)

// connKey is under what a request's context holds the connection it came on.
type connKey struct{}

// withConn is an http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf gives the socket of a request, below TLS; nil where the server was
// not set up with withConn.
func connOf(ctx context.Context) net.Conn {
	c, _ := ctx.Value(connKey{}).(net.Conn)
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}
