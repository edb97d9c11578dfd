package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// The exit codes, which scripts rely on. `llmgw help exit-codes` tells them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInvalid     = 3
	exitDenied      = 4
	exitNotFound    = 5
	exitConflict    = 6
	exitUnreachable = 7
	exitPartly      = 8
	exitInterrupted = 130
	exitTerminated  = 143
)

const exitCodesHelp = `What the exit code of llmgw says:

  0         done
  1         failed; for diff: differences exist; for rules test and explain:
            not as expected; for health and doctor: not healthy
  2         wrong usage: unknown flag, missing argument; delete, revoke,
            rollback, restore, or apply --prune that deletes, without --yes
            where nobody can be asked
  3         invalid input: configuration, rules or other file has errors, each
            shown with file:line:column
  4         not logged in, or not allowed
  5         no such object
  6         conflict: changed by someone else since you read it, the name
            exists, apply would delete something, or what a rollback needs is gone
  7         gateway not reachable
  8         partly done: some items applied, the rest listed
  130, 143  interrupted by Ctrl-C, SIGTERM (serve ends with 0)

serve: 0 after a graceful stop, 1 a start-up failure worth a retry, 2 and 3 not
worth one. run: the code of the program it ran, 126 where that cannot be run, 127
where there is none of that name, 128 and the number of the signal that killed it.`

// failure is what went wrong as the operator sees it: one fact, and one action
// that can be pasted.
type failure struct {
	exit      int
	code      string
	message   string
	hint      string
	requestID string
	problems  []problem // what is wrong with a file; see listed
	cause     error
	shown     bool // what there is to say was printed as the answer
}

// problem is one thing wrong with a file, and the line that it is wrong with.
type problem struct {
	api.Problem
	excerpt string // the line and a mark below; empty where a secret may stand in it
}

func (f *failure) Error() string { return f.message }
func (f *failure) Unwrap() error { return f.cause }

// location is file:line:column, or as much of it as is known.
func location(p api.Problem) string {
	if p.File == "" || p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// usage is a command line that cannot be carried out.
func usage(format string, args ...any) *failure {
	return &failure{exit: exitUsage, code: api.CodeUsage, message: fmt.Sprintf(format, args...)}
}

// invalid is input that cannot be used, and a reason not to try again.
func invalid(format string, args ...any) *failure {
	return &failure{exit: exitInvalid, code: api.CodeInvalid, message: fmt.Sprintf(format, args...)}
}

// failed is everything that another attempt may cure.
func failed(cause error, format string, args ...any) *failure {
	return &failure{exit: exitFailed, code: "failed", message: fmt.Sprintf(format, args...), cause: cause}
}

// answered ends with the exit code of an answer that is no: differences were
// found, a test failed.
func answered() *failure { return &failure{exit: exitFailed, code: "failed", shown: true} }

// stopped ends a command that was interrupted and had something to say to that.
func stopped(by interruption) *failure {
	return &failure{exit: by.exit(), code: "interrupted", message: by.Error(), shown: true}
}

// isStopped says whether err is of stopped.
func isStopped(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.shown && f.code == "interrupted"
}

func (f *failure) withHint(format string, args ...any) *failure {
	f.hint = fmt.Sprintf(format, args...)
	return f
}

// invalidFiles is every problem of one or more files, at once.
func invalidFiles(problems []problem) *failure {
	f := invalid("%d problems", len(problems))
	if len(problems) > 0 {
		f.message = problems[0].Message
	}
	f.problems = problems
	return f
}

// explain turns any error into what is shown. What nobody classified is a
// plain failure with the error's own words.
func explain(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var refusal *api.Error
	if errors.As(err, &refusal) {
		return explainRefusal(refusal)
	}
	var stop interruption
	if errors.As(err, &stop) {
		return &failure{exit: stop.exit(), code: "interrupted", message: stop.Error(), cause: err}
	}
	return failed(err, "%s", err.Error())
}

// explainRefusal maps the API's categories to exit codes. There is no other
// place that does.
func explainRefusal(e *api.Error) *failure {
	f := &failure{exit: exitFailed, code: e.Code, message: e.Detail, hint: e.Hint, cause: e}
	if f.message == "" {
		f.message = e.Title
	}
	for _, p := range e.Problems {
		f.problems = append(f.problems, problem{Problem: p})
	}
	switch e.Code {
	case api.CodeInvalid:
		f.exit = exitInvalid
	case api.CodeUsage:
		f.exit = exitUsage
	case api.CodeDenied:
		f.exit = exitDenied
	case api.CodeNotFound:
		f.exit = exitNotFound
	case api.CodeConflict, api.CodeInUse, api.CodeWouldDelete:
		f.exit = exitConflict
	case api.CodeUnreachable:
		f.exit = exitUnreachable
	}
	if f.listed() {
		f.hint = "" // each problem has its own
	}
	return f
}

// listed says whether the problems say all that the message does, and where.
// What apply would delete, say, is told by the message alone.
func (f *failure) listed() bool { return f.code == api.CodeInvalid && len(f.problems) > 0 }

// write shows the failure to a person.
func (f *failure) write(w io.Writer, look style) {
	if f.listed() {
		for _, p := range f.problems {
			p.write(w, look, look.red("error:"))
		}
	} else {
		fmt.Fprintf(w, "%s %s\n", look.red("error:"), f.message)
	}
	if f.hint != "" {
		fmt.Fprintf(w, "%s %s\n", look.cyan("hint:"), f.hint)
	}
}

// write shows one problem, an error or a warning as label says.
func (p problem) write(w io.Writer, look style, label string) {
	message := p.Message
	if at := location(p.Problem); at != "" {
		message = at + ": " + message
	} else if p.Field != "" && !strings.HasPrefix(message, "rule ") { // which names what is meant by itself
		message = p.Field + ": " + message
	}
	fmt.Fprintf(w, "%s %s\n", label, message)
	if p.excerpt != "" {
		fmt.Fprintln(w, strings.TrimRight(p.excerpt, "\n"))
	}
	if p.Hint != "" && !strings.Contains(p.excerpt, p.Hint) {
		fmt.Fprintf(w, "%s %s\n", look.cyan("hint:"), p.Hint)
	}
}

// writeJSON shows the failure to a program.
func (f *failure) writeJSON(w io.Writer) error {
	type body struct {
		Code      string        `json:"code"`
		Message   string        `json:"message"`
		Hint      string        `json:"hint"`
		Location  string        `json:"location"`
		RequestID string        `json:"request_id"`
		Docs      string        `json:"docs"`
		Problems  []api.Problem `json:"problems,omitempty"`
	}
	b := body{Code: f.code, Message: f.message, Hint: f.hint, RequestID: f.requestID, Docs: "llmgw help exit-codes"}
	for _, p := range f.problems {
		b.Problems = append(b.Problems, p.Problem)
	}
	if len(f.problems) > 0 {
		b.Location = location(f.problems[0].Problem)
		if b.Hint == "" {
			b.Hint = f.problems[0].Hint
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(map[string]body{"error": b})
}

// excerpt shows a line of a file with a mark of width characters below column.
func excerpt(line string, number, column, width int, note string) string {
	gutter := fmt.Sprintf("%5d | ", number)
	below := strings.Repeat(" ", len(gutter)-2) + "| " + strings.Repeat(" ", max(column-1, 0)) + strings.Repeat("^", max(width, 1))
	if note != "" {
		below += " " + note
	}
	return gutter + line + "\n" + below
}

// plural writes a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
