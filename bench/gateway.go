package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// upstreamCredential is what the gateway sends to the upstream in place of the
// caller's key. It opens nothing.
const upstreamCredential = "bench-credential"

// benchRules is how many rules the gateway has. The one that takes the requests
// is the last.
const benchRules = 50

// gateway is a running `llmgw serve` with a data directory of its own.
type gateway struct {
	*child
	binary string
	data   string
	addr   string
	key    string
	env    []string // more of its environment
	log    *logTail
}

// buildGateway builds the binary as make does, so that what make has compiled
// serves.
func buildGateway(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "llmgw")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, "github.com/llmgw/llmgw/cmd/llmgw")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway (run this in the repository): %w\n%s", err, out)
	}
	return binary, nil
}

// launch starts a gateway on an empty store, with more flags of serve's. It does not wait for it.
func launch(ctx context.Context, binary, data string, more ...string) (*gateway, error) {
	addr, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	g := &gateway{binary: binary, data: data, addr: addr, log: &logTail{}}
	return g, g.begin(ctx, more...)
}

// begin starts the process, for the first time or again.
func (g *gateway) begin(ctx context.Context, more ...string) (err error) {
	cmd := g.command(ctx, append([]string{"serve", "--listen", g.addr, "--admin-listen", "127.0.0.1:0",
		"--no-detect", "--no-mock", "--log-format", "json", "--drain-delay", "0", "--drain", "1s"}, more...)...)
	cmd.Stderr = g.log // a pipe that is read
	if g.child, err = start(cmd); err != nil {
		return fmt.Errorf("starting llmgw: %w", err)
	}
	return nil
}

// startGateway starts a gateway that sends every bench request to an upstream,
// with more flags of serve's.
func startGateway(ctx context.Context, binary, data, upstream string, more ...string) (*gateway, error) {
	g, err := launch(ctx, binary, data, more...)
	if err != nil {
		return nil, err
	}
	if _, err = untilReady(ctx, g.addr); err == nil {
		err = g.equip(ctx, upstream)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting llmgw: %w\nits log: %s", err, g.log), g.stop())
	}
	return g, nil
}

// command is a call of the gateway's own program, with nothing of this
// environment that could change what it does.
func (g *gateway) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.binary, append(args, "--data", g.data)...)
	cmd.Env = append([]string{"HOME=" + g.data, "PATH=" + os.Getenv("PATH")}, g.env...)
	cmd.Dir = filepath.Dir(g.data)
	return cmd
}

// equip gives the gateway its upstream, rules and a key, as an operator would.
func (g *gateway) equip(ctx context.Context, upstream string) error {
	if _, err := g.tell(ctx, upstreamCredential, "upstreams", "create", "bench", "--provider", "openai",
		"--url", "http://"+upstream, "--credential", "-", "--no-test"); err != nil {
		return err
	}
	if _, err := g.tell(ctx, rulesFile(), "rules", "apply", "-f", "-"); err != nil {
		return err
	}
	key, err := g.tell(ctx, "", "keys", "create", "bench")
	g.key = strings.TrimSpace(key)
	return err
}

func (g *gateway) tell(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := g.command(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("llmgw %s: %w: %s", strings.Join(args[:2], " "), err, complaint.String())
	}
	return string(out), nil
}

// rulesFile writes rules that look at path, model and headers, none of which
// takes a bench request but the last.
func rulesFile() string {
	var b strings.Builder
	b.WriteString("version: 1\nrules:\n")
	for n := 1; n < benchRules; n++ {
		match := fmt.Sprintf("{path: /v1/**, model: [other-%d-*]}", n)
		switch n % 5 {
		case 3:
			match = fmt.Sprintf("{path: %s, header: {x-team: team-%d}}", chatPath, n)
		case 4:
			match = fmt.Sprintf("{path: /v1/tenant-%d/**}", n)
		}
		fmt.Fprintf(&b, "  - {name: other-%d, match: %s, action: {upstream: bench}}\n", n, match)
	}
	fmt.Fprint(&b, "  - {name: bench, match: {path: /v1/**, model: [bench-*]}, action: {upstream: bench}}\n")
	return b.String()
}

// freePort finds a port that nobody listens on. Somebody might take it before
// the gateway does, which then says so.
func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// probeEvery is how often /readyz is asked for. A figure is not finer than it.
const probeEvery = time.Millisecond

// untilReady asks for /readyz until it says 200, and says when that was.
func untilReady(ctx context.Context, addr string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		if ready(ctx, addr) {
			return time.Now(), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("not ready within %s", startBound)
		}
	}
}

func ready(ctx context.Context, addr string) bool {
	w, err := dial(ctx, addr)
	if err != nil {
		return false
	}
	defer w.close()
	v, _, err := w.ask([]byte("GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n"), &checker{want: []byte("ok\n")})
	return err == nil && v == whole
}
