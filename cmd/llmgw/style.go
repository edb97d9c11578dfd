package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// style is how text looks: with colours or without, with signs beyond ASCII or
// without.
type style struct{ colour, ascii bool }

// outStyle is the look of stdout.
func (a *app) outStyle() style { return a.style(a.outIsTerm) }

// errStyle is the look of stderr.
func (a *app) errStyle() style { return a.style(a.errIsTerm) }

// style asks flags and environment only: it is needed to say that the
// configuration file is wrong.
func (a *app) style(terminal bool) style {
	s := style{colour: colours(a.choice("color"), terminal)}
	s.ascii = a.choice("ascii") == "true" || truth(os.Getenv("LLMGW_ASCII"))
	return s
}

func (a *app) choice(name string) string {
	if a.command == nil {
		return ""
	}
	if f := a.command.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

func truth(text string) bool {
	return text != "" && toggle(text) == nil && text != "0" && !strings.HasPrefix(strings.ToLower(text), "f")
}

// colours follows https://no-color.org and https://bixense.com/clicolors.
func colours(choice string, terminal bool) bool {
	switch choice {
	case "always":
		return true
	case "never":
		return false
	}
	force := os.Getenv("CLICOLOR_FORCE")
	switch {
	case os.Getenv("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		return true
	}
	return terminal && os.Getenv("TERM") != "dumb"
}

func (s style) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) red(text string) string    { return s.paint("31", text) }
func (s style) green(text string) string  { return s.paint("32", text) }
func (s style) yellow(text string) string { return s.paint("33", text) }
func (s style) cyan(text string) string   { return s.paint("36", text) }
func (s style) dim(text string) string    { return s.paint("2", text) }

// asciiSigns replaces every sign that this program prints beyond ASCII.
func asciiSigns() *strings.Replacer {
	return strings.NewReplacer("●", "*", "○", "o", "▲", "!", "→", "->", "·", "|", "…", "...", "×", "x", "✓", "ok", "✗", "no", "‹", "<", "›", ">")
}

// plain gives text in the characters that were asked for.
func (s style) plain(text string) string {
	if s.ascii {
		return asciiSigns().Replace(text)
	}
	return text
}

// asksForJSON says whether failures are to be JSON. It looks at the bare
// arguments where they could not be parsed.
func asksForJSON(args []string, c *cobra.Command) bool {
	if c != nil {
		if f := c.Flags().Lookup("output"); f != nil && f.Changed {
			return isJSON(f.Value.String())
		}
		return isJSON(os.Getenv("LLMGW_OUTPUT"))
	}
	for i, arg := range args {
		switch {
		case arg == "--":
			return isJSON(os.Getenv("LLMGW_OUTPUT"))
		case (arg == "-o" || arg == "--output") && i+1 < len(args):
			return isJSON(args[i+1])
		case strings.HasPrefix(arg, "--output="):
			return isJSON(strings.TrimPrefix(arg, "--output="))
		case strings.HasPrefix(arg, "-o") && len(arg) > 2:
			return isJSON(strings.TrimPrefix(arg[2:], "="))
		}
	}
	return isJSON(os.Getenv("LLMGW_OUTPUT"))
}

func isJSON(format string) bool { return format == "json" || format == "jsonl" }
