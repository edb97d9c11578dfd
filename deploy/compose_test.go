// Package deploy_test checks what is deployed rather than compiled: the compose
// file, the load balancer's configuration, and that they agree with the program.
package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// compose is what the tests look at in a compose file.
type compose struct {
	Services map[string]service
	Volumes  map[string]any
	Networks map[string]struct{ Internal bool }
}

type service struct {
	Image       string
	EnvFile     string `yaml:"env_file"`
	Environment map[string]string
	Ports       []string
	Volumes     []string
	Profiles    []string
	Networks    yaml.Node
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Restart     string
	Grace       string `yaml:"stop_grace_period"`
	Healthcheck struct{ Test []string }
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

func (s service) isGateway() bool { return strings.HasPrefix(s.Image, "llmgw:") }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	return string(text)
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	must(t, yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &c))
	return c
}

func TestEveryServiceIsBoundedAndAnswersForItself(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		t.Run(name, func(t *testing.T) {
			if !s.isGateway() && !regexp.MustCompile(`^[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$`).MatchString(s.Image) {
				t.Errorf("image %q is not pinned by a version", s.Image)
			}
			if len(s.Healthcheck.Test) < 2 || !strings.HasPrefix(s.Healthcheck.Test[0], "CMD") {
				t.Errorf("its health check is %q", s.Healthcheck.Test)
			}
			if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("security options: %q", s.SecurityOpt)
			}
			if s.Restart != "unless-stopped" {
				t.Errorf("restart is %q", s.Restart)
			}
			for other, d := range s.DependsOn {
				if d.Condition != "service_healthy" || c.Services[other].Image == "" {
					t.Errorf("it waits for %s to be %q", other, d.Condition)
				}
			}
			for _, v := range s.Volumes {
				source, _, _ := strings.Cut(v, ":")
				if _, named := c.Volumes[source]; !named {
					if _, err := os.Stat(source); err != nil {
						t.Errorf("volume %s: %v", v, err)
					}
				}
			}
			// PostgreSQL begins as root to own its volume, and writes where it likes.
			if name != "postgres" && (!s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.User == "") {
				t.Errorf("read-only %v, without %q, as %q", s.ReadOnly, s.CapDrop, s.User)
			}
		})
	}
}

func TestGatewaysRunAsTheImageSaysAndLongEnoughToDrain(t *testing.T) {
	gateways := 0
	for name, s := range readCompose(t).Services {
		if !s.isGateway() {
			continue
		}
		gateways++
		if s.User != "65532:65532" || !slices.Equal(s.Healthcheck.Test, []string{"CMD", "/usr/local/bin/llmgw", "health"}) {
			t.Errorf("%s runs as %q and is checked by %q", name, s.User, s.Healthcheck.Test)
		}
		if len(s.Volumes) != 1 || !strings.HasSuffix(s.Volumes[0], ":/var/lib/llmgw") {
			t.Errorf("%s keeps %q", name, s.Volumes)
		}
		drains := lasts(t, s.Environment["LLMGW_DRAIN"]) + lasts(t, s.Environment["LLMGW_DRAIN_DELAY"])
		if grace := lasts(t, s.Grace); grace <= drains {
			t.Errorf("%s is killed %s after a stop, and drains for %s", name, grace, drains)
		}
		for _, other := range []string{"postgres", "redis"} {
			if _, ok := s.DependsOn[other]; !ok {
				t.Errorf("%s does not wait for %s", name, other)
			}
		}
	}
	if gateways != 2 {
		t.Errorf("%d gateways", gateways)
	}
}

func lasts(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

func TestOnlyClientsReachWhatIsPublished(t *testing.T) {
	c := readCompose(t)
	published := map[string]string{}
	for name, s := range c.Services {
		for _, p := range s.Ports {
			published[p] = name
		}
	}
	want := map[string]string{"4100:4100": "gateway", "127.0.0.1:4101:4101": "gateway", "8080:8080": "balancer"}
	if len(published) != len(want) {
		t.Errorf("published: %v", published)
	}
	for port, name := range want {
		if published[port] != name {
			t.Errorf("%s is published by %q", port, published[port])
		}
	}
	if !c.Networks["stores"].Internal {
		t.Error("the databases' network leads outside")
	}
	for _, name := range []string{"postgres", "redis"} {
		networks := c.Services[name].Networks
		if text, err := yaml.Marshal(&networks); err != nil || strings.TrimSpace(string(text)) != "[stores]" {
			t.Errorf("%s is in the networks %s (%v)", name, text, err)
		}
	}
}

func TestUpGatewayStartsWhatItNeedsAndNoReplica(t *testing.T) {
	for name, s := range readCompose(t).Services {
		replica := name == "gateway-2" || name == "balancer"
		if slices.Equal(s.Profiles, []string{"replicas"}) != replica {
			t.Errorf("%s is in the profiles %q", name, s.Profiles)
		}
	}
}

func TestNoSecretStandsInWhatGitKeeps(t *testing.T) {
	c := readCompose(t)
	secret := regexp.MustCompile("PASSWORD|SECRET|TOKEN|STORE|BUS|_KEY")
	for name, s := range c.Services {
		for key, value := range s.Environment {
			if secret.MatchString(key) && value != "" {
				t.Errorf("%s: %s has a value", name, key)
			}
		}
		if name != "balancer" && s.EnvFile != ".env.local" {
			t.Errorf("%s has its secrets from %q", name, s.EnvFile)
		}
		if !s.isGateway() && name != "balancer" && s.Environment["LLMGW_SECRET_KEY"] != "" {
			t.Errorf("%s gets the gateways' key", name)
		}
	}
	if regexp.MustCompile(`://[^\s/@]*:[^\s/@]+@`).MatchString(read(t, "docker-compose.yml")) {
		t.Error("a password stands in a URL of the compose file")
	}
	for name, value := range exampleSecrets(t) {
		if !strings.HasPrefix(value, "replace-me") {
			t.Errorf("%s in the example is not refused by the program: %q", name, value)
		}
	}
	for _, ignored := range []string{"../.gitignore", "../.dockerignore"} {
		if !slices.ContainsFunc(strings.Fields(read(t, ignored)), func(line string) bool { return strings.TrimPrefix(line, "**/") == ".env.local" }) {
			t.Errorf("%s does not ignore .env.local", ignored)
		}
	}
}

// exampleSecrets are the lines of .env.local.example that somebody fills in: all
// but those that are made of others.
func exampleSecrets(t *testing.T) map[string]string {
	t.Helper()
	secrets := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`).FindAllStringSubmatch(read(t, ".env.local.example"), -1) {
		if !strings.Contains(m[2], "${") {
			secrets[m[1]] = m[2]
		}
	}
	if len(secrets) != 3 {
		t.Errorf("the example has the secrets %v", secrets)
	}
	return secrets
}

func TestComposeItselfTakesTheFile(t *testing.T) {
	if err := exec.CommandContext(t.Context(), "docker", "compose", "version").Run(); err != nil {
		t.Skipf("NOT TESTED HERE: whether docker compose takes the file (docker compose version: %v)", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"docker-compose.yml", "nginx.conf"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(read(t, name)), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(dir, ".env.local"), []byte(strings.ReplaceAll(read(t, ".env.local.example"), "replace-me", "mine")), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", "compose", "-f", filepath.Join(dir, "docker-compose.yml"), "--profile", "replicas", "config")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("docker compose config: %v\n%s", err, said)
	}
	// A variable that is blanked for a service is blank in what is made of it, too.
	for want, services := range map[string]int{
		"LLMGW_STORE: postgres://llmgw:mine-with-24-random-bytes-in-hex@postgres:5432/llmgw": 3, // postgres has the password anyway
		"LLMGW_BUS: redis://:mine-with-24-random-bytes-in-hex@redis:6379/0":                  3, // and redis its own
		"LLMGW_SECRET_KEY: mine-with-32-random-bytes-in-base64":                              2,
	} {
		if n := strings.Count(string(said), want); n != services {
			t.Errorf("%d services get %s, not %d", n, want, services)
		}
	}
}
