package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/llmgw/llmgw/accounts"
)

// canAsk says whether there is a person to ask.
func (a *app) canAsk(s *settings) bool {
	return a.inIsTerm && a.errIsTerm && !s.on("no-input")
}

// confirm asks a question that only y answers with yes.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	line, err := a.readLine(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// mayDestroy asks before something is deleted or revoked. Where nobody can be
// asked, only --yes will do.
func (a *app) mayDestroy(ctx context.Context, s *settings, question, what string) error {
	if a.flag("yes") {
		return nil
	}
	if !a.canAsk(s) {
		return usage("%s needs --yes where nobody can be asked", what)
	}
	yes, err := a.confirm(ctx, question)
	if err != nil {
		return err
	}
	if !yes {
		return failed(nil, "cancelled, nothing was changed")
	}
	return nil
}

// keyboard is what somebody types, for all that they are asked: several lines that
// are pasted at once answer several questions.
type keyboard struct {
	lines  *bufio.Reader
	screen *term.Terminal // reads from lines, and shows nothing of it
}

func (a *app) keys() *keyboard {
	if a.typed == nil {
		lines := bufio.NewReader(a.in)
		a.typed = &keyboard{lines, term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{lines, a.err}, "")}
	}
	return a.typed
}

// readLine reads one line of stdin. The reading itself cannot be interrupted;
// when ctx ends first it is left to the end of the process.
func (a *app) readLine(ctx context.Context) (string, error) {
	type result struct {
		line string
		err  error
	}
	read, lines := make(chan result, 1), a.keys().lines
	go func() {
		line, err := lines.ReadString('\n')
		read <- result{line, err}
	}()
	select {
	case r := <-read:
		return r.line, r.err
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return "", context.Cause(ctx)
	}
}

// longestSecret bounds what is read as a credential: service account files are
// a few KiB.
const longestSecret = 64 << 10

// readSecret reads a secret from a hidden prompt on a terminal, else all of
// stdin.
func (a *app) readSecret(ctx context.Context, s *settings, prompt string) (accounts.Secret, error) {
	if a.inIsTerm && a.canAsk(s) {
		return a.promptHidden(ctx, prompt)
	}
	return oneSecret(a.in, "stdin")
}

// promptHidden reads a line that nothing shows. The terminal stops echoing
// before the prompt is there, so that not even a paste that waited for it is
// seen, and is put back whatever ends the reading.
func (a *app) promptHidden(ctx context.Context, prompt string) (_ accounts.Secret, err error) {
	file, ok := a.in.(*os.File)
	if !ok {
		return oneSecret(a.in, "stdin")
	}
	fd := int(file.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return accounts.Secret{}, fmt.Errorf("hiding what is typed: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(fd, before)) }()
	type result struct {
		text string
		err  error
	}
	read, screen := make(chan result, 1), a.keys().screen
	go func() {
		text, err := screen.ReadPassword(prompt + ": ")
		read <- result{text, err}
	}()
	var typed result
	select {
	case typed = <-read:
	case <-ctx.Done():
		typed.err = context.Cause(ctx)
	}
	if errors.Is(typed.err, io.EOF) { // Ctrl-C is a key like any other now, and so is Ctrl-D
		typed.err = interruption{os.Interrupt}
	}
	if typed.err != nil {
		fmt.Fprint(a.err, "\r\n")
		return accounts.Secret{}, fmt.Errorf("reading the secret: %w", typed.err)
	}
	return cleanSecret(typed.text, "the prompt")
}

// oneSecret reads a secret to the end of r.
func oneSecret(r io.Reader, from string) (accounts.Secret, error) {
	text, err := io.ReadAll(io.LimitReader(r, longestSecret+1))
	if err != nil {
		return accounts.Secret{}, fmt.Errorf("reading the secret from %s: %w", from, err)
	}
	if len(text) > longestSecret {
		return accounts.Secret{}, usage("the secret from %s is longer than %d KiB", from, longestSecret>>10)
	}
	return cleanSecret(string(text), from)
}

// cleanSecret drops the line end that editors and echo leave.
func cleanSecret(text, from string) (accounts.Secret, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return accounts.Secret{}, usage("the secret from %s is empty", from)
	}
	return accounts.NewSecret(text), nil
}

// names gives the arguments, with - standing for the lines of stdin.
func (a *app) names(args []string) ([]string, error) {
	var names []string
	for _, arg := range args {
		if arg != "-" {
			names = append(names, arg)
			continue
		}
		lines := bufio.NewScanner(a.in)
		for lines.Scan() {
			if name := strings.TrimSpace(lines.Text()); name != "" {
				names = append(names, name)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("reading names from stdin: %w", err)
		}
	}
	if len(names) == 0 {
		return nil, usage("no names on stdin")
	}
	return names, nil
}

// forEach does one thing to several objects. Where some fail and some do not,
// each failure is shown and the exit code is 8.
func (a *app) forEach(names []string, do func(name string) error) error {
	var failures []*failure
	for _, name := range names {
		if err := do(name); err != nil {
			f := explain(err)
			if f.exit == exitUnreachable {
				return err
			}
			failures = append(failures, f)
		}
	}
	switch {
	case len(failures) == 0:
		return nil
	case len(failures) == len(names) && len(names) == 1:
		return failures[0]
	}
	for _, f := range failures {
		f.write(a.err, a.errStyle())
	}
	end := &failure{exit: exitPartly, code: "partly", message: fmt.Sprintf("%d of %d done", len(names)-len(failures), len(names))}
	if len(failures) == len(names) {
		end.exit, end.code = failures[0].exit, failures[0].code
	}
	return end
}
