package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// editorGrace is how long an editor has, after a signal, to put the terminal
// back.
const editorGrace = 5 * time.Second

// mustEdit refuses to start an editor that nobody chose where nobody sits in
// front of it: vi in a script fills the log and waits for keys.
func (a *app) mustEdit() error {
	if a.inIsTerm && a.outIsTerm || chosenEditor() != "" {
		return nil
	}
	return usage("%s needs a terminal, or an editor in $VISUAL or $EDITOR", subcommand(a.command)).
		withHint("in a script: llmgw rules apply -f rules.yaml")
}

// editorName gives the editor that was asked for, with its arguments: $VISUAL,
// $EDITOR, or the one that a system is sure to have.
func editorName() string {
	if editor := chosenEditor(); editor != "" {
		return editor
	}
	if runtime.GOOS == "windows" {
		return "notepad"
	}
	return "vi"
}

func chosenEditor() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if editor := strings.TrimSpace(os.Getenv(name)); editor != "" {
			return editor
		}
	}
	return ""
}

// editFile lets a person edit a file, for as long as that takes. A signal is
// handed on, so that the editor can put the terminal back; editorGrace later
// it is ended.
func (a *app) editFile(ctx context.Context, path string) error {
	editor := editorName()
	c := editorCommand(ctx, editor, path)
	c.Stdin, c.Stdout, c.Stderr = a.in, a.out, a.err
	if err := c.Run(); err != nil {
		return failed(err, "editor %q: %v", editor, err).withHint("choose another: EDITOR=nano %s", a.command.CommandPath())
	}
	return nil
}

// editorCommand leaves the reading of the editor's own arguments to the shell,
// as git and crontab do.
func editorCommand(ctx context.Context, editor, path string) *exec.Cmd {
	c := exec.CommandContext(ctx, "/bin/sh", "-c", editor+` "$1"`, "llmgw", path)
	if runtime.GOOS == "windows" {
		words := strings.Fields(editor)
		c = exec.CommandContext(ctx, words[0], append(words[1:], path)...)
	}
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = editorGrace
	return c
}

// scratch makes a file that only its owner can read, with a text in it.
func scratch(name, text string) (string, error) {
	f, err := os.CreateTemp("", "llmgw-"+name+"-*.yaml")
	if err != nil {
		return "", fmt.Errorf("making a file to edit: %w", err)
	}
	_, err = f.WriteString(text)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return "", fmt.Errorf("making a file to edit: %w", err)
	}
	return f.Name(), nil
}
