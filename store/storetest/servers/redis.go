package servers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	redisPassword  = "throw-away-redis-password"
	redisDatabases = 1024 // numbered; tests that share a server take one each
)

// RedisOptions say how a Redis differs from the usual one.
type RedisOptions struct {
	// Durable makes it keep what it holds over Stop and Kill. Without it, a
	// server that was stopped comes back empty.
	Durable bool
	// Settings are lines of redis.conf, which win over ours.
	Settings []string
}

// Redis is a throw-away Redis server.
type Redis struct {
	*process
	path string
	port int
}

// StartRedis makes a Redis and waits until it answers. ErrMissing where the
// program is not on this machine. Close ends it.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	path, err := findRedis()
	if err != nil {
		return nil, err
	}
	at, err := makePlace("llmgw-redis-")
	if err != nil {
		return nil, err
	}
	keep, err := hire(at, killed)
	if err != nil {
		return nil, err
	}
	r := &Redis{process: &process{name: "Redis", at: at, keep: keep}, path: path}
	if err := r.begin(ctx, o); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Redis) begin(ctx context.Context, o RedisOptions) error {
	for try := 1; ; try++ {
		var err error
		if r.port, err = freePort(); err != nil {
			return err
		}
		if err := r.configure(o); err != nil {
			return err
		}
		err = r.Start(ctx)
		if err == nil || try == portTries || ctx.Err() != nil || !strings.Contains(err.Error(), "in use") {
			return err
		}
	}
}

func (r *Redis) configure(o RedisOptions) error {
	lines := []string{
		"bind 127.0.0.1",
		"port " + strconv.Itoa(r.port),
		"unixsocket " + r.socket(),
		"requirepass " + redisPassword,
		"databases " + strconv.Itoa(redisDatabases),
		"dir " + r.at.dir,
		"daemonize no",
		`save ""`,
		"loglevel notice",
	}
	if o.Durable {
		lines = append(lines, "appendonly yes", "appendfsync always")
	}
	lines = append(lines, o.Settings...)
	return r.at.write("redis.conf", strings.Join(lines, "\n")+"\n")
}

func (r *Redis) socket() string { return filepath.Join(r.at.dir, "redis.sock") }

// Start starts the server again under the same address, after Stop or Kill.
func (r *Redis) Start(ctx context.Context) error {
	if err := r.stopped(); err != nil {
		return fmt.Errorf("starting Redis: %w", err)
	}
	if err := os.Remove(r.socket()); err != nil && !errors.Is(err, fs.ErrNotExist) { // what Kill leaves
		return fmt.Errorf("starting Redis: %w", err)
	}
	return r.start(ctx, r.ready, r.path, filepath.Join(r.at.dir, "redis.conf"))
}

func (r *Redis) ready(ctx context.Context) error {
	if _, err := os.Stat(r.socket()); err != nil {
		return err // before the client tells the world in a log of its own
	}
	return r.do(ctx, func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() })
}

// Stop ends the server in good order.
func (r *Redis) Stop() error { return r.stop(endWell) }

// Address is where it listens: 127.0.0.1 and a port.
func (r *Redis) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// URL is that of its first database, with the password.
func (r *Redis) URL() string { return r.numbered(0) }

func (r *Redis) numbered(database int) string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", redisPassword), Host: r.Address(), Path: "/" + strconv.Itoa(database)}
	return u.String()
}

// FlushAll makes the server forget everything that it holds.
func (r *Redis) FlushAll(ctx context.Context) error {
	err := r.do(ctx, func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() })
	if err != nil {
		return fmt.Errorf("flushing Redis: %w", err)
	}
	return nil
}

// redisBound is how long one command may take.
const redisBound = 5 * time.Second

// do runs something on a connection of its own, by the server's socket.
func (r *Redis) do(ctx context.Context, what func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, redisBound)
	defer cancel()
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: r.socket(), Password: redisPassword, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	return errors.Join(what(ctx, c), c.Close())
}
