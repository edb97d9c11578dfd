//go:build compose_test

package deploy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Bounds of what an engine does. The first build downloads images and modules.
const (
	buildBound = 20 * time.Minute
	upBound    = 3 * time.Minute
)

// LLMGW_TEST_COMPOSE_BUILD=0 leaves images as they are, on a machine that
// cannot fetch those that they are built from.
const envBuild = "LLMGW_TEST_COMPOSE_BUILD"

// project is the compose file, run under a name and at ports of its own.
type project struct {
	name, dir                  string
	clients, admin, balancer   string // HOST:PORT
	secretKey, postgres, redis string
}

func newProject(t *testing.T) *project {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "docker", "compose", "version").CombinedOutput()
	if err == nil {
		said, err = exec.CommandContext(t.Context(), "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	}
	if err != nil {
		t.Skipf("NOT TESTED HERE: the compose file with a container engine: %v: %s", err, bytes.TrimSpace(said))
	}
	p := &project{
		name: "llmgw-test-" + strings.ToLower(rand.Text()[:8]), dir: t.TempDir(),
		clients: free(t), admin: free(t), balancer: free(t),
		secretKey: base64.StdEncoding.EncodeToString(random(32)), postgres: hex.EncodeToString(random(24)), redis: hex.EncodeToString(random(24)),
	}
	p.write(t)
	t.Cleanup(func() {
		if t.Failed() {
			said, err := p.compose(context.WithoutCancel(t.Context()), "--profile", "replicas", "logs", "--no-color", "--tail", "40")
			t.Log(said, err)
		}
		if said, err := p.compose(context.WithoutCancel(t.Context()), "--profile", "replicas", "down", "--volumes", "--timeout", "10"); err != nil {
			t.Errorf("after the test: %v\n%s", err, said)
		}
	})
	if os.Getenv(envBuild) != "0" {
		p.do(t, buildBound, "build", "gateway")
	}
	return p
}

// write makes a folder as an operator has one: the files of this, and secrets.
// What is changed besides is where it listens on this machine.
func (p *project) write(t *testing.T) {
	t.Helper()
	root, err := filepath.Abs("..")
	must(t, err)
	secrets := strings.NewReplacer(
		"POSTGRES_PASSWORD=replace-me-with-24-random-bytes-in-hex", "POSTGRES_PASSWORD="+p.postgres,
		"REDIS_PASSWORD=replace-me-with-24-random-bytes-in-hex", "REDIS_PASSWORD="+p.redis,
		"LLMGW_SECRET_KEY=replace-me-with-32-random-bytes-in-base64", "LLMGW_SECRET_KEY="+p.secretKey,
	).Replace(read(t, ".env.local.example"))
	for name, text := range map[string]string{
		"docker-compose.yml": read(t, "docker-compose.yml"),
		"nginx.conf":         read(t, "nginx.conf"),
		".env.local":         secrets,
		"here.yml": fmt.Sprintf("services:\n"+
			"  gateway:\n    build: {context: %[1]q}\n    ports: !override [%[2]q, %[3]q]\n"+
			"  gateway-2:\n    build: {context: %[1]q}\n"+
			"  balancer:\n    ports: !override [%[4]q]\n", root, p.clients+":4100", p.admin+":4101", p.balancer+":8080"),
	} {
		must(t, os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644)) // nginx reads its own as somebody else
	}
	must(t, os.Chmod(p.dir, 0o755))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (p *project) compose(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildBound)
	defer cancel()
	args = append([]string{"compose", "-p", p.name, "-f", filepath.Join(p.dir, "docker-compose.yml"), "-f", filepath.Join(p.dir, "here.yml")}, args...)
	said, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	return strings.TrimSpace(string(said)), err
}

func (p *project) do(t *testing.T, within time.Duration, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	said, err := p.compose(ctx, args...)
	if err != nil {
		t.Fatalf("docker compose %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return said
}

// ask sends a request and gives status and body.
func ask(t *testing.T, method, url, key, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	must(t, err)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	must(t, err)
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(said)
}

const hello = `{"model":"mock","messages":[{"role":"user","content":"hello"}]}`

func TestTheComposeFileRuns(t *testing.T) {
	p := newProject(t)
	p.do(t, upBound, "up", "--detach", "--wait", "gateway")
	t.Cleanup(http.DefaultClient.CloseIdleConnections)

	for _, path := range []string{"/healthz", "/readyz"} {
		if status, said := ask(t, "GET", "http://"+p.clients+path, "", ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, said)
		}
	}
	if status, said := ask(t, "GET", "http://"+p.admin+"/metrics", "", ""); status != 200 || !strings.Contains(said, "llmgw_") {
		t.Errorf("the admin port: %d", status)
	}
	if running := strings.Fields(p.do(t, upBound, "ps", "--services")); len(running) != 3 {
		t.Errorf("up gateway runs %q", running)
	}
	said := p.do(t, upBound, "exec", "-T", "gateway", "/usr/local/bin/llmgw", "keys", "create", "me", "--quiet")
	key := said[:max(0, strings.IndexByte(said+"\n", '\n'))]
	if status, said := ask(t, "POST", "http://"+p.clients+"/v1/chat/completions", key, hello); status != 200 {
		t.Fatalf("a request: %d %s", status, said)
	}

	t.Run("secrets are where they are needed only", func(t *testing.T) {
		for service, foreign := range map[string][]string{"postgres": {p.secretKey, p.redis}, "redis": {p.secretKey, p.postgres}} {
			environment := p.do(t, upBound, "exec", "-T", service, "env")
			for _, secret := range foreign {
				if strings.Contains(environment, secret) {
					t.Errorf("%s has a secret that is none of its business", service)
				}
			}
		}
	})

	t.Run("what was made is there after a restart of everything", func(t *testing.T) {
		p.do(t, upBound, "down", "--timeout", "10")
		p.do(t, upBound, "up", "--detach", "--wait", "gateway")
		if status, said := ask(t, "POST", "http://"+p.clients+"/v1/chat/completions", key, hello); status != 200 {
			t.Errorf("a request: %d %s", status, said)
		}
	})

	t.Run("two replicas answer behind the load balancer, and one is enough", func(t *testing.T) {
		p.do(t, upBound, "--profile", "replicas", "up", "--detach", "--wait")
		for range 10 {
			if status, said := ask(t, "POST", "http://"+p.balancer+"/v1/chat/completions", key, hello); status != 200 {
				t.Fatalf("a request: %d %s", status, said)
			}
		}
		p.do(t, upBound, "--profile", "replicas", "kill", "gateway")
		for range 10 {
			if status, said := ask(t, "POST", "http://"+p.balancer+"/v1/chat/completions", key, hello); status != 200 {
				t.Fatalf("with one gateway: %d %s", status, said)
			}
		}
	})
}

func TestTheExampleAsItIsIsRefused(t *testing.T) {
	p := newProject(t)
	must(t, os.WriteFile(filepath.Join(p.dir, ".env.local"), []byte(read(t, ".env.local.example")), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), upBound)
	defer cancel()
	said, err := p.compose(ctx, "run", "--rm", "--no-deps", "gateway")
	if err == nil || !strings.Contains(said, "placeholder") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v: %s", err, said)
	}
}
