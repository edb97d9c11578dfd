package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Bounds of a client. Callers have shorter deadlines of their own; these are for
// what go-redis does beside them.
const (
	dialWithin   = 3 * time.Second
	answerWithin = 3 * time.Second
	connections  = 16 // each command holds one for well under a millisecond
	idle         = 2  // kept for who comes next
	idleFor      = 5 * time.Minute
)

// mostBytes is the most that is taken from the shelf at once.
const mostBytes = 8 << 20

// Client is a connection to Redis, or to several that are one.
type Client struct {
	commands goredis.UniversalClient
}

// Open makes a client for a location. It connects when it is first asked for
// something, and again whenever it has to.
func Open(at *Location) (*Client, error) {
	logging.Disable() // go-redis has one logger for the process; what matters comes back as an error
	o := &goredis.UniversalOptions{
		Addrs: at.addresses, Username: at.user, Password: at.password.Reveal(), DB: at.database,
		MasterName: at.master, SentinelUsername: at.sentinelUser, SentinelPassword: at.sentinelPassword.Reveal(),
		IsClusterMode: at.kind == cluster,

		DialTimeout: dialWithin, DialerRetries: 1, ReadTimeout: answerWithin, WriteTimeout: answerWithin, PoolTimeout: answerWithin,
		ContextTimeoutEnabled: true, MaxRetries: 1, MinRetryBackoff: time.Millisecond, MaxRetryBackoff: 10 * time.Millisecond,
		PoolSize: connections, MaxActiveConns: connections, MinIdleConns: idle, ConnMaxIdleTime: idleFor,

		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if at.tls {
		config, err := at.tlsConfig()
		if err != nil {
			return nil, err
		}
		o.TLSConfig = config
	}
	return &Client{commands: goredis.NewUniversalClient(o)}, nil
}

func (l *Location) tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: l.serverName}
	if l.authority == "" {
		return c, nil
	}
	text, err := os.ReadFile(l.authority)
	if err != nil {
		return nil, fmt.Errorf("reading the CA of Redis: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, errors.New("reading the CA of Redis: the file has no certificate (PEM)")
	}
	return c, nil
}

// Close ends all connections.
func (c *Client) Close() error { return c.commands.Close() }

// Publish is store.Bus's.
func (c *Client) Publish(ctx context.Context, channel string, message []byte) error {
	if err := c.commands.Publish(ctx, channel, message).Err(); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	return nil
}

// Take is store.Shelf's. Of what is longer than anything we put, only a part is
// read; what is no text is nothing.
func (c *Client) Take(ctx context.Context, name string) ([]byte, error) {
	what, err := c.commands.GetRange(ctx, name, 0, mostBytes-1).Bytes()
	switch {
	case goredis.HasErrorPrefix(err, "WRONGTYPE"):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("taking: %w", err)
	case len(what) == 0:
		return nil, nil
	}
	return what, nil
}

// Put is store.Shelf's.
func (c *Client) Put(ctx context.Context, name string, what []byte, ttl time.Duration) error {
	if err := c.commands.Set(ctx, name, what, ttl).Err(); err != nil {
		return fmt.Errorf("putting: %w", err)
	}
	return nil
}
