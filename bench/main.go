// Command bench answers one question: what does the gateway cost, and what does
// it break, next to a floor measured in the same run? It is for Linux: it reads
// /proc.
//
//  1. main.go      the subcommands and their flags
//  2. stand.go     one run: a machine, a temporary directory, and what was started in it
//  3. child.go     processes: this program again in another role, or the gateway
//  4. upstream.go  role: a provider on a bare socket; stock.go: role: httputil.ReverseProxy, the floor;
//     nginx.go a second floor, where there is one on the PATH
//  5. gateway.go   the real `llmgw serve`, with 50 rules, a credential and a key
//  6. load.go      connections that ask and compare every byte (wire.go, verdict.go); crowd.go keeps many streams open
//  7. requests.go, chunks.go, paced.go, cut.go, leave.go, idle.go, slow.go, logins.go, spec.go, events.go, ready.go:
//     what is measured; siege.go keeps slow connections open
//  8. chaos.go     gateways that share servers (fleet.go, fleetadmin.go) while something goes wrong (chaos*.go): deaf.go loses
//     messages between them, balance.go stands before them, openload.go asks them, report.go holds figures against aims
//  9. figures.go   medians, percentiles, ratios of rounds; compare.go interleaves them, table.go prints them
//
// The figure to trust is the CPU time of the gateway's process for each request
// or chunk as a ratio to the floor's: times and rates on a shared machine are
// noise. Rounds of the participants are interleaved and the median of the
// rounds' ratios is told. It measures no provider and no network but loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// longest bounds a whole run, whatever hangs.
const longest = time.Hour

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // the one place that ends this program
	}
}

// command is one thing to measure. Flags that it does not know are refused.
type command struct {
	name     string
	says     string
	defaults options
	measure  func(context.Context, *stand) error
}

// options are what flags say. A zero value means that the command has no such
// flag.
type options struct {
	n       int
	conns   []int
	rounds  int
	rate    int // requests a second
	seconds time.Duration
	every   time.Duration
	burners int
	binary  string
	tool    string

	scenario string  // which, with commas between them; empty: all
	scale    float64 // of times and numbers, to those of the aims
	slack    float64 // see report
}

func commands() []command {
	return []command{
		{"requests", "CPU and delay of 1 KB requests and replies", options{conns: []int{1, 16, 64}, rounds: 5, seconds: time.Second}, measureRequests},
		{"chunks", "CPU of each chunk of streams at full speed", options{conns: []int{16}, rounds: 5, seconds: 2 * time.Second}, measureChunks},
		{"paced", "delay and CPU of chunks of paced streams", options{conns: []int{200, 1000}, rounds: 3, seconds: 5 * time.Second, every: 200 * time.Millisecond}, measurePaced},
		{"cut", "streams cut or altered while the CPU is oversubscribed; fails where the gateway has any", options{n: 100_000, conns: []int{64}, rounds: 10, burners: 4}, measureCut},
		{"leave", "from a client's leaving to its end at the upstream", options{n: 1000, conns: []int{8}}, measureLeave},
		{"idle", "memory of idle streams", options{n: 1000}, measureIdle},
		{"slow", "delay of requests beside connections that are slow on purpose; fails where one notices", options{n: 5000, seconds: 20 * time.Second}, measureSlow},
		{"logins", "delay of requests while people log in all the time", options{n: 200, rounds: 5, seconds: 3 * time.Second}, measureLogins},
		{"h2spec", "what h2spec says, beside Go's own server; fails where the gateway passes less", options{tool: ".tools/h2spec"}, measureSpec},
		{"events", "CPU of 1 KB requests while nobody, one and eight listen to the gateway's events", options{conns: []int{16}, rate: 5000, rounds: 7, seconds: 2 * time.Second}, measureEvents},
		{"console", "what a console takes under a flood of events, and what the gateway pays for being looked at", options{rate: 10_000, rounds: 5, seconds: time.Minute}, measureConsole},
		{"chaos", "gateways that share a PostgreSQL and a Redis while things go wrong; fails where an aim is missed", options{scale: 1, slack: 1, every: 100 * time.Millisecond}, measureChaos},
		{"ready", "from exec to the first /readyz, empty store", options{rounds: 10}, measureReady},
	}
}

// run does what the command line says. Roles are for this program itself.
func run(ctx context.Context, args []string, in io.Reader, out, complaints io.Writer) error {
	if len(args) == 0 {
		usage(complaints)
		return errors.New("no command given")
	}
	if role, ok := roles()[args[0]]; ok {
		return role(ctx, args[1:], in, out)
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], out, complaints)
		}
	}
	usage(complaints)
	return fmt.Errorf("no command %q", args[0])
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: go run ./bench COMMAND [flags]   (-h after a command lists its flags)")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.says)
	}
}

func (c command) run(ctx context.Context, args []string, out, complaints io.Writer) error {
	o, err := c.parse(args, complaints)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	s, err := newStand(ctx, o, out)
	if err != nil {
		return err
	}
	err = c.measure(ctx, s)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errors.Join(fmt.Errorf("measuring %s: not done within %s", c.name, longest), err)
	}
	return errors.Join(err, s.close())
}

// parse gives the options, with flags for those that the command has.
func (c command) parse(args []string, complaints io.Writer) (options, error) {
	o := c.defaults
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(complaints)
	if o.n > 0 {
		flags.IntVar(&o.n, "n", o.n, "how many")
	}
	if len(o.conns) > 0 {
		flags.Func("c", fmt.Sprintf("numbers of connections, `N,N…` (default %s)", joined(o.conns)), func(text string) (err error) {
			o.conns, err = numbers(text)
			return err
		})
	}
	if o.rounds > 0 {
		flags.IntVar(&o.rounds, "rounds", o.rounds, "interleaved rounds")
	}
	if o.rate > 0 {
		flags.IntVar(&o.rate, "rate", o.rate, "requests a second")
	}
	if o.seconds > 0 {
		flags.Func("seconds", fmt.Sprintf("`SECONDS` of a round of one participant (default %v)", o.seconds.Seconds()), seconds(&o.seconds))
	}
	if o.every > 0 {
		flags.DurationVar(&o.every, "every", o.every, "time between two events of a stream")
	}
	if o.burners > 0 {
		flags.IntVar(&o.burners, "burners", o.burners, "spinning processes beside it")
	}
	if o.tool != "" {
		flags.StringVar(&o.tool, "tool", o.tool, "the program that tries it (`FILE`)")
	}
	if o.scale > 0 {
		flags.StringVar(&o.scenario, "scenario", "", "which of them, `NAME,NAME…` (default all): "+strings.Join(scenarioNames(), ", "))
		flags.Float64Var(&o.scale, "scale", o.scale, "how long and how many, as a share of what the aims speak of (`SHARE`)")
		flags.Float64Var(&o.slack, "slack", o.slack, "by how much times may exceed their aims, on a machine that does other things (`FACTOR`)")
	}
	flags.StringVar(&o.binary, "llmgw", "", "the gateway's binary; without it, it is built from ./cmd/llmgw (`FILE`)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%s takes no argument %q", c.name, flags.Arg(0))
	}
	return o, o.check(c.defaults)
}

// check refuses numbers that would measure nothing.
func (o options) check(defaults options) error {
	for name, pair := range map[string][2]int{"n": {o.n, defaults.n}, "rounds": {o.rounds, defaults.rounds}, "rate": {o.rate, defaults.rate}, "every": {int(o.every), int(defaults.every)}} {
		if pair[1] > 0 && pair[0] < 1 {
			return fmt.Errorf("-%s must be more than 0", name)
		}
	}
	if defaults.scale > 0 && (!(o.scale > 0) || !(o.slack >= 1)) {
		return errors.New("-scale must be more than 0 and -slack at least 1")
	}
	if _, err := chooseScenarios(o.scenario); err != nil {
		return err
	}
	if o.burners < 0 {
		return errors.New("-burners must not be less than 0")
	}
	return nil
}

// numbers reads 1,16,64.
func numbers(text string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a number of connections", part)
		}
		all = append(all, n)
	}
	return all, nil
}

// seconds reads a number of seconds into d.
func seconds(d *time.Duration) func(string) error {
	return func(text string) error {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is not a number of seconds", text)
		}
		*d = time.Duration(n * float64(time.Second))
		return nil
	}
}

func joined(all []int) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}
