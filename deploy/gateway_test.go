package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what comes.
const patience = 20 * time.Second

// gateway is a process of the program, with a data directory of its own.
type gateway struct {
	binary, data string
	running      *exec.Cmd
	said         bytes.Buffer
	address      string // where clients are answered: HOST:PORT
}

// program builds the program that the tests start.
func program(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "llmgw")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // where nothing is built yet
	defer cancel()
	if said, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "../cmd/llmgw").CombinedOutput(); err != nil {
		t.Fatalf("building llmgw: %v\n%s", err, said)
	}
	return binary
}

// place is a directory whose path is short enough for a socket's, and that
// others may pass through.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "llmgw-deploy-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// command is a command of the program on this gateway's data.
func (g *gateway) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, g.binary, args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(g.data), "LLMGW_DATA=" + g.data, "NO_COLOR=1"}
	c.WaitDelay = patience
	return c
}

// do runs a command that must succeed, and gives what it printed.
func (g *gateway) do(t *testing.T, args ...string) string {
	t.Helper()
	c := g.command(t.Context(), args...)
	var problem bytes.Buffer
	c.Stderr = &problem
	said, err := c.Output()
	if err != nil {
		t.Fatalf("llmgw %s: %v\n%s", strings.Join(args, " "), err, problem.String())
	}
	return strings.TrimSpace(string(said))
}

// start runs the gateway until it is ready, and kills it with the test.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	g.running = g.command(context.WithoutCancel(t.Context()), "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--no-detect")
	g.running.Stdout, g.running.Stderr = &g.said, &g.said // read when it has ended
	must(t, g.running.Start())
	t.Cleanup(func() { g.end(os.Kill) })
	await(t, "the gateway is ready", func() bool {
		said, err := g.command(t.Context(), "status", "-o", "json").Output()
		var status struct {
			Ready bool
			Proxy string
		}
		if err != nil || json.Unmarshal(said, &status) != nil || !status.Ready {
			return false
		}
		g.address = strings.TrimPrefix(status.Proxy, "http://")
		return true
	})
}

// end sends a signal and waits. A gateway that has ended before needs none.
func (g *gateway) end(s os.Signal) {
	if g.running.Process.Signal(s) == nil {
		_ = g.running.Wait() // killed, or not: it has ended
	}
}

// inFlight is how many requests the gateway is answering.
func (g *gateway) inFlight(t *testing.T) int {
	t.Helper()
	var status struct {
		InFlight int `json:"in_flight"`
	}
	must(t, json.Unmarshal([]byte(g.do(t, "status", "-o", "json")), &status))
	return status.InFlight
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !holds(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
