package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmgw/llmgw/rules"
)

func TestTheContentsAreOfTheSizesThatTheTablesClaim(t *testing.T) {
	head, body, _ := strings.Cut(string(chatRequest("x", "sk-test", true)), "\r\n\r\n")
	if len(body) != contentBytes || !strings.Contains(head, fmt.Sprintf("Content-Length: %d", contentBytes)) {
		t.Errorf("a request has %d bytes behind %q", len(body), head)
	}
	if n := len(chatReply()); n != contentBytes {
		t.Errorf("a reply has %d bytes", n)
	}
	if n := len(streamEvent(1)); n < 190 || n > 210 {
		t.Errorf("an event has %d bytes", n)
	}
	if n := strings.Count(string(streamBody()), "\n\n"); n != streamEvents {
		t.Errorf("a stream has %d events", n)
	}
}

func TestTheRulesAreFiftyAndTheLastTakesTheRequests(t *testing.T) {
	files, problems := rules.Decode("rules.yaml", []byte(rulesFile()))
	if problems = append(problems, rules.Check(files)...); len(problems) > 0 || len(files) != 1 {
		t.Fatalf("%d files, problems %v", len(files), problems)
	}
	all := files[0].Rules
	if len(all) != benchRules || all[benchRules-1].Name != "bench" {
		t.Errorf("%d rules, the last is %q", len(all), all[len(all)-1].Name)
	}
}

func TestCPUTimeIsReadBehindAnyName(t *testing.T) {
	const rest = " S 1 2 3 0 -1 4194304 100 0 0 0 250 150 7 7 20 0 1 0 35 31 39\n"
	for _, name := range []string{"llmgw", "a b", "x) S 1 2", "((", ""} {
		got, err := parseStat("42 (" + name + ")" + rest)
		if err != nil || got != 4*time.Second {
			t.Errorf("process %q: %s, %v, want 4s", name, got, err)
		}
	}
	for _, text := range []string{"", "42 (x", "42 (x) S 1 2", "42 (x) S 1 2 3 0 -1 4194304 100 0 0 0 a b 7"} {
		if got, err := parseStat(text); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestMemoryIsWhatIsResident(t *testing.T) {
	got, err := parseStatus("Name:\tx\nVmPeak:\t  999 kB\nVmRSS:\t  20 kB\nRssAnon:\t 5 kB\n")
	if err != nil || got != 20<<10 {
		t.Errorf("%d, %v", got, err)
	}
	for _, text := range []string{"", "VmRSS:\t20\n", "VmRSS:\tx kB\n", "Name:\tVmRSS 20 kB\n"} {
		if got, err := parseStatus(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestThisProcessUsesCPUTimeAndMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc here")
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for after := before; after < before+5*tick; {
		if time.Now().After(deadline) {
			t.Fatalf("CPU time went from %s to %s in 30 s of work", before, after)
		}
		if after, err = cpuTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := resident(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("%d bytes are resident, %v", n, err)
	}
}

func TestFlagsThatWouldMeasureNothingAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		"cut -n 0":           "-n must be more than 0",
		"cut -burners -1":    "-burners must not be less than 0",
		"requests -c 1,x":    `"x" is not a number`,
		"requests -c 0":      `"0" is not a number`,
		"requests -rounds 0": "-rounds must be more than 0",
		"chunks -seconds 0":  "not a number of seconds",
		"ready -c 1":         "flag provided but not defined",
		"idle twice":         `no argument "twice"`,
		"paced -every 0s":    "-every must be more than 0",
		"chaos -scale 0":     "-scale must be more than 0",
		"chaos -slack 0.5":   "-slack at least 1",
		"chaos -scenario x":  `no scenario "x"; there are revoke, `,
		"nothing":            `no command "nothing"`,
		"":                   "no command given",
	} {
		err := run(t.Context(), strings.Fields(line), strings.NewReader(""), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bench %s: %v, want %q", line, err, want)
		}
	}
}

func TestFlagsAreTaken(t *testing.T) {
	for _, c := range commands() {
		if c.name != "requests" {
			continue
		}
		o, err := c.parse([]string{"-c", "2,3", "-rounds", "7", "-seconds", "0.25", "-llmgw", "x"}, io.Discard)
		if err != nil || !slices.Equal(o.conns, []int{2, 3}) || o.rounds != 7 || o.seconds != 250*time.Millisecond || o.binary != "x" {
			t.Errorf("%+v, %v", o, err)
		}
	}
}

func TestALogIsWatchedLineByLineAndItsEndKept(t *testing.T) {
	l := &logTail{}
	var lines []string
	l.tell(func(line []byte) { lines = append(lines, string(line)) })
	for _, part := range []string{"on", "e\ntw", "o\n\nth", "ree\nrest"} {
		if _, err := io.WriteString(l, part); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(lines, []string{"one", "two", "", "three"}) {
		t.Errorf("lines %q", lines)
	}
	if _, err := io.WriteString(l, strings.Repeat("x", 3*keptLog)+"end"); err != nil {
		t.Fatal(err)
	}
	if kept := l.String(); len(kept) != keptLog || !strings.HasSuffix(kept, "xend") {
		t.Errorf("kept %d bytes", len(kept))
	}
}

func TestALeavingThatNobodySeesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if _, ok := within(t.Context(), make(chan time.Time)); ok || time.Since(begun) != noticeBound {
			t.Errorf("seen %v after %s", ok, time.Since(begun))
		}
	})
}

func TestTheUpstreamSeesAClientLeaveInEveryPhase(t *testing.T) {
	u, err := listenForLeaving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	for _, ph := range phases() {
		t.Run(ph.name, func(t *testing.T) {
			ph.silence = false // nobody stands between who would have to look
			u.play(ph.play)
			took, seen, err := leaveOnce(t.Context(), u, &participant{addr: u.addr()}, ph)
			if err != nil || !seen || took < 0 {
				t.Errorf("seen %v after %s, %v", seen, took, err)
			}
		})
	}
}

func TestAnUnfinishedUploadIsUnfinished(t *testing.T) {
	request := leavingRequest(&participant{addr: "x"}, "7", phase{upload: true})
	r := bufio.NewReader(strings.NewReader(string(request)))
	asked, err := readRequest(r)
	if err != nil || asked.id != "7" || asked.length != contentBytes {
		t.Fatalf("%+v, %v", asked, err)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) == 0 || len(rest) >= asked.length {
		t.Errorf("%d of %d bytes of the body are there, %v", len(rest), asked.length, err)
	}
}

// TestTheFloorPassesEverythingOn runs the floor's role as a child would.
func TestTheFloorPassesEverythingOn(t *testing.T) {
	addr := upstreamOf(t, saying(wholeStream()))
	in, hold := io.Pipe()
	said, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveStock(t.Context(), []string{"-to", "http://" + addr}, in, out) }()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	floor := strings.TrimSpace(line)
	if _, err := untilReady(t.Context(), floor); err != nil {
		t.Fatal(err)
	}
	l := loadOn(t, floor, 2, true, streamBody())
	r := l.roundOf(t.Context(), 50)
	if r.tally[whole] < 45 { // it may cut some: that is why it is measured
		t.Errorf("%v, %v", r.tally, r.example)
	}
	l.close()
	_ = hold.Close() // the parent ends
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the role goes on without its parent")
	}
}

func TestAServerThatIsNeverReadyIsGivenUp(t *testing.T) {
	addr := upstreamOf(t, func(conn net.Conn, r *bufio.Reader, a asked) bool {
		_, _ = r.Discard(a.length)
		_, err := io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		return err == nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := untilReady(ctx, addr); err == nil {
		t.Error("it counts as ready")
	}
}
