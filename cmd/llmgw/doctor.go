package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

const doctorHelp = `Looks at this machine, the configuration, the running gateway and its upstreams,
and says what to do about what is wrong. Nothing is changed. Without a running
gateway it looks at what can be seen without one.

With --url it sends a stream through the address that clients use, and sees
whether something in front of the gateway holds it back, compresses it or, with
--idle, cuts it when nothing is said for a while.

Exit code: 0 well, or warnings only; 1 a problem.`

// longestIdle keeps the check below the time after which the gateway itself ends
// a silent stream.
const longestIdle = 110 * time.Second

// doctorModel is asked for a stream where no other is named.
const doctorModel = "mock"

// The states of a finding.
const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateProblem = "problem"
	stateSkipped = "skipped"
)

// finding is what one check found, and what to do about it.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// doctorFlags are what was said about the checks.
type doctorFlags struct {
	url, model string
	idle       time.Duration
}

// doctor is one examination.
type doctor struct {
	app      *app
	flags    doctorFlags
	settings *settings
	output   *output
	gateway  *gateway
	status   api.Status
	away     error // why there is no status; nil where there is one
	findings []finding
}

func newDoctor(a *app) *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "check this machine, the configuration, the gateway and its upstreams; say how to fix",
		Long:  doctorHelp,
		Args:  takes(),
		RunE: a.does(func(ctx context.Context, _ []string) error {
			if at, err := url.Parse(f.url); err != nil || f.url != "" && (at.Host == "" || at.Scheme != "http" && at.Scheme != "https") {
				return usage("--url is not a URL; write https://HOST")
			}
			if f.idle < 0 || f.idle > longestIdle {
				return usage("--idle: the gateway itself ends silent streams; check up to %s", longestIdle)
			}
			return a.examine(ctx, f)
		}),
	}
	c.Flags().StringVar(&f.url, "url", "", "send the stream through this address of the gateway (`URL`)")
	c.Flags().StringVar(&f.model, "model", doctorModel, "the model of the stream (`NAME`)")
	c.Flags().DurationVar(&f.idle, "idle", 0, "see whether a stream survives so long a silence: 65s (`TIME`)")
	return c
}

// examine makes every check, as far as the settings can be read.
func (a *app) examine(ctx context.Context, f doctorFlags) error {
	d := &doctor{app: a, flags: f}
	s, wrong := a.settings()
	if wrong != nil {
		d.output = &output{w: a.out, look: a.outStyle(), format: formatTable, quiet: a.flag("quiet")}
		if asksForJSON(a.args, a.command) {
			d.output.format = formatJSON
		}
		d.binary()
		d.config(wrong)
		return d.conclude(ctx)
	}
	var err error
	if d.output, err = a.output(s); err != nil {
		return err
	}
	d.settings = s
	if d.gateway, err = a.gateway(s); err != nil {
		return err
	}
	defer d.gateway.Close()
	if err := d.check(ctx); err != nil {
		return err
	}
	return d.conclude(ctx)
}

// check makes every check of a gateway that may be there, in the order in which
// the later ones need the earlier.
func (d *doctor) check(ctx context.Context) error {
	d.status, d.away = d.gateway.Status(ctx)
	d.binary()
	d.config(nil)
	for _, check := range []func(context.Context){d.data, d.secretKey, d.reached, d.store, d.upstreams, d.stream} {
		check(ctx)
		if _, gone := interrupted(ctx); gone {
			return context.Cause(ctx)
		}
	}
	return nil
}

// say notes a finding, and shows it to a person right away: some checks take
// their time.
func (d *doctor) say(check, state, text, hint string) {
	f := finding{Check: check, State: state, Text: oneLine(text), Hint: oneLine(hint)}
	d.findings = append(d.findings, f)
	if d.output.isTable() && (!d.output.quiet || state == stateWarning || state == stateProblem) {
		f.write(d.output.w, d.output.look)
	}
}

func (d *doctor) ok(check, format string, args ...any) {
	d.say(check, stateOK, fmt.Sprintf(format, args...), "")
}

// failed notes that the gateway could not tell what a check asks.
func (d *doctor) failed(check string, err error) {
	f := explain(d.gateway.explain(err))
	d.say(check, stateProblem, f.message, f.hint)
}

func (d *doctor) skip(check, why string) { d.say(check, stateSkipped, why, "") }

// write shows the finding as one line, and what to do about it below.
func (f finding) write(w io.Writer, look style) {
	const name = 13
	sign, paint := "✓", look.green
	plain := "ok  "
	switch f.State {
	case stateWarning:
		sign, plain, paint = "!", "warn", look.yellow
	case stateProblem:
		sign, plain, paint = "✗", "FAIL", look.red
	case stateSkipped:
		sign, plain, paint = "-", "-   ", look.dim
	}
	if look.ascii {
		sign = plain
	}
	fmt.Fprintf(w, "%s %-*s %s\n", paint(sign), name, f.Check, look.plain(f.Text))
	if f.Hint != "" {
		fmt.Fprintf(w, "%*s %s\n", utf8.RuneCountInString(sign)+1+name, "", look.plain(f.Hint))
	}
}

// conclude counts what was found, and ends with 1 where something is wrong.
func (d *doctor) conclude(ctx context.Context) error {
	problems, warnings := d.count(stateProblem), d.count(stateWarning)
	if !d.output.isTable() {
		err := d.output.value(ctx, map[string]any{"items": d.findings, "problems": problems, "warnings": warnings})
		if err != nil {
			return err
		}
	} else if !d.output.quiet {
		fmt.Fprintln(d.output.w, conclusion(problems, warnings))
	}
	if problems > 0 {
		return answered()
	}
	return nil
}

func (d *doctor) count(state string) int {
	n := 0
	for _, f := range d.findings {
		if f.State == state {
			n++
		}
	}
	return n
}

func conclusion(problems, warnings int) string {
	text := "no problems"
	if problems > 0 {
		text = plural(problems, "problem")
	}
	if warnings > 0 {
		text += ", " + plural(warnings, "warning")
	}
	return text
}
