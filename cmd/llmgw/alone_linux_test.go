package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// aloneVariable tells a test that it runs where there is no network.
const aloneVariable = "LLMGW_TEST_ALONE"

// TestAFirstStartCallsNobody runs the first minute of an operator on a machine
// without any route: in a network namespace of its own, which takes a process of
// its own, so the test starts itself there.
func TestAFirstStartCallsNobody(t *testing.T) {
	if os.Getenv(aloneVariable) == "" {
		startAlone(t)
		return
	}
	raiseLoopback(t)
	for _, k := range knownProviders() {
		for _, name := range k.variables {
			t.Setenv(name, "sk-canary-"+strings.ToLower(name)+"-0123456789")
		}
	}

	var times []time.Duration
	var log bytes.Buffer
	var g *typist
	home := ""
	for range 3 { // a busy machine may be slow once
		if g != nil {
			g.types(t, "\x03")
			g.ends(t, exitDone)
		}
		home = shortDir(t)
		begun := time.Now()
		g = onTerminal(t, home, &log, "serve") // the default ports: nobody else is here
		until(t, "the gateway to be ready", func() bool { return ready("127.0.0.1:4100") })
		times = append(times, time.Since(begun))
	}
	t.Logf("ready after %v", times)
	bound := 500 * time.Millisecond
	if underRace {
		bound *= 10
	}
	if best := slices.Min(times); best > bound {
		t.Errorf("the first start takes %v, want at most %v", best, bound)
	}

	g.shows(t, "Ctrl-C stops\n")
	if text := printedRequest(t, g.text()); strings.Count(text, "\ndata: ") < 3 || !strings.HasSuffix(strings.TrimSpace(text), "data: [DONE]") {
		t.Errorf("the printed request is answered with %s", text)
	}
	chat := onTerminal(t, home, nil, "chat", "hello")
	chat.ends(t, exitDone)
	if !strings.Contains(chat.text(), "built-in mock") || !strings.Contains(chat.text(), "-- model mock · ttft ") {
		t.Errorf("chat says %s", chat.text())
	}
	g.types(t, "\x03")
	g.ends(t, exitDone)

	if strings.Contains(log.String(), "canary") || anyKey.MatchString(log.String()) || !strings.Contains(log.String(), `"msg":"request"`) {
		t.Errorf("the log is\n%s", log.String())
	}
	if n := attempts(t); n != 0 {
		t.Errorf("%d packets were meant for somebody else", n)
	}
	if c, err := net.DialTimeout("tcp", "192.0.2.1:443", time.Second); err == nil {
		_ = c.Close()
		t.Error("there is a way out of here, so this test proves nothing")
	}
	if attempts(t) == 0 {
		t.Error("a call to somebody else is not noticed, so this test proves nothing")
	}
}

// startAlone runs the calling test once more in a network namespace.
func startAlone(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	c.Env = append(os.Environ(), aloneVariable+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if id := os.Getuid(); id != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	said, err := c.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		t.Errorf("alone:\n%s", said)
	case err != nil:
		lacking(t, "no network namespace may be made here (%v): that a first start calls nobody is not tested", err)
	case bytes.Contains(said, []byte("--- SKIP")):
		t.Skipf("%s", said)
	default:
		t.Logf("%s", said)
	}
}

// lacking skips a test for which the machine lacks something, and fails it where
// everything is to be tested.
func lacking(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("LLMGW_TEST_REQUIRE_SERVICES") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}

// raiseLoopback gives the namespace the one interface that it is to have.
func raiseLoopback(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	switch err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); {
	case errors.Is(err, fs.ErrPermission):
		lacking(t, "the loopback interface may not be raised here (%v): that a first start calls nobody is not tested", err)
	case err != nil:
		t.Fatal(err)
	}
}

func ready(at string) bool {
	c, err := net.DialTimeout("tcp", at, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET /readyz HTTP/1.1\r\nHost: %s\r\n\r\n", at); err != nil {
		return false
	}
	answer := make([]byte, len("HTTP/1.1 200"))
	n, err := c.Read(answer)
	return err == nil && string(answer[:n]) == "HTTP/1.1 200"
}

// printedRequest does what the banner says: its lines, pasted into a shell.
func printedRequest(t *testing.T, banner string) string {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "curl", "--json", "{}", "--version").Run(); err != nil {
		lacking(t, "there is no curl that knows --json (%v): the request that a first start prints is not tested", err)
	}
	_, rest, _ := strings.Cut(banner, "try it\n")
	lines, _, found := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatalf("the banner has nothing to try:\n%s", banner)
	}
	said, err := exec.CommandContext(t.Context(), "sh", "-c", lines).Output()
	if err != nil {
		t.Errorf("the printed request: %v\n%s", err, lines)
	}
	return string(said)
}

// attempts counts the packets of this namespace that had no way to go, and all
// UDP: names are looked up with it, perhaps on this machine.
func attempts(t *testing.T) int {
	t.Helper()
	total := 0
	for name, wanted := range map[string][]string{
		"/proc/self/net/snmp": {"Ip OutNoRoutes", "Udp OutDatagrams"}, "/proc/self/net/snmp6": {"Ip6OutNoRoutes", "Udp6OutDatagrams"},
	} {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(name, "6") {
			continue // a kernel without IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		counters := counters(string(text))
		for _, counter := range wanted {
			n, found := counters[counter]
			if !found {
				t.Fatalf("%s has no counter %s", name, counter)
			}
			total += n
		}
	}
	return total
}

// counters reads /proc/net/snmp, a line of names above one of numbers, and
// /proc/net/snmp6, a name and a number a line.
func counters(text string) map[string]int {
	found := map[string]int{}
	var names []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 2 && !strings.HasSuffix(words[0], ":") {
			found[words[0]], _ = strconv.Atoi(words[1])
			continue
		}
		if len(names) != len(words) || names[0] != words[0] {
			names = words
			continue
		}
		for i, name := range names[1:] {
			found[strings.TrimSuffix(names[0], ":")+" "+name], _ = strconv.Atoi(words[i+1])
		}
		names = nil
	}
	return found
}
