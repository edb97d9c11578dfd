package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	nameLogFields()
	testscript.Main(m, map[string]func(){"llmgw": main})
}

// TestScripts runs the program as its user sees it: one txtar file is one
// story, with a home directory and, where it wants one, a gateway of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:   "../../testdata/script",
		Setup: newHome,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"waitready": waitReady,
			"signal":    signalGateway,
			"http":      httpCall,
			"mode":      fileMode,
			"field":     field,
			"collector": startCollector,
			"spans":     exportedSpans,
			"awaits":    awaits,
		},
		RequireExplicitExec: true,
		// For all of them together, with the race detector, beside other packages
		// on two cores. What hangs is found by the bounds of each command.
		Deadline: time.Now().Add(15 * time.Minute),
	})
}

func newHome(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("HOME", home)
	env.Setenv("XDG_DATA_HOME", "")
	env.Setenv("XDG_CONFIG_HOME", "")
	env.Setenv("LLMGW_LISTEN", "127.0.0.1:0")
	env.Setenv("LLMGW_ADMIN_LISTEN", "127.0.0.1:0")
	env.Setenv("LLMGW_DRAIN_DELAY", "0s")
	env.Values[collectorKey{}] = map[string]*collector{}
	return os.Mkdir(home, 0o700)
}

// exits CODE COMMAND…: runs a command that must end with exactly this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG…]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code is %d, want %s", code, args[0])
	}
}

// waitready waits until the gateway of $LLMGW_DATA is ready, and sets PROXY,
// ADMIN (base URLs), ADDR (the proxy's host:port) and PID.
func waitReady(ts *testscript.TestScript, _ bool, _ []string) {
	data := ts.Getenv("LLMGW_DATA")
	if data == "" {
		data = filepath.Join(ts.Getenv("HOME"), ".local", "share", "llmgw")
	}
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		s, err := statusAt(context.Background(), filepath.Join(ts.MkAbs(data), socketName))
		if err == nil && s.Ready {
			ts.Setenv("PROXY", s.Proxy)
			ts.Setenv("ADMIN", s.Admin)
			ts.Setenv("ADDR", s.Proxy[strings.Index(s.Proxy, "://")+3:])
			ts.Setenv("PID", strconv.Itoa(s.PID))
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			tick.Stop()
			ts.Fatalf("the gateway is not ready: %v", err)
		}
	}
}

// awaits PATTERN COMMAND…: runs a command until its stdout matches.
func awaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: awaits PATTERN COMMAND [ARG…]")
	}
	wanted, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(20 * time.Second); ; {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("stdout never matches %s", args[0])
		}
	}
}

// signal NAME [COMMAND]: sends a signal to the command that was last put in the
// background, or to the last of those that runs the given subcommand.
func signalGateway(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}
	running := ts.BackgroundCmds()
	if len(args) == 2 {
		running = slices.DeleteFunc(slices.Clone(running), func(c *exec.Cmd) bool { return !slices.Contains(c.Args, args[1]) })
	}
	if len(args) == 0 || len(args) > 2 || signals[args[0]] == nil || len(running) == 0 {
		ts.Fatalf("usage: signal TERM|INT|KILL [SUBCOMMAND], with a command in the background")
	}
	ts.Check(running[len(running)-1].Process.Signal(signals[args[0]]))
}

// http METHOD URL [HEADER…] [@BODYFILE]: prints status and body.
func httpCall(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: http METHOD URL [HEADER…] [@BODYFILE]")
	}
	var body io.Reader
	header := http.Header{}
	for _, arg := range args[2:] {
		if file, ok := strings.CutPrefix(arg, "@"); ok {
			body = strings.NewReader(ts.ReadFile(file))
			continue
		}
		name, value, _ := strings.Cut(arg, ": ")
		header.Add(name, value)
	}
	request, err := http.NewRequestWithContext(context.Background(), args[0], args[1], body)
	ts.Check(err)
	request.Header = header
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	ts.Check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", response.StatusCode, text)
}

// mode PERM FILE: the rights of a file are exactly these.
func fileMode(ts *testscript.TestScript, _ bool, args []string) {
	stat, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", stat.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// field VARIABLE: puts the last stdout, without its line end, into a variable.
func field(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}
