package tui

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// look is how things look: the styles, and the signs that say the same where there
// are no colours. Colours are the terminal's own sixteen, so that they go with its
// background.
type look struct {
	plain, dim, bold, title, key, accent lipgloss.Style
	good, warn, bad, marked              lipgloss.Style
	selected, border, focus, badge       lipgloss.Style
	added, removed                       lipgloss.Style

	signs
	ascii, light, colourless bool
}

// signs are what is drawn beside letters and digits.
type signs struct {
	more                                         string // something was cut off
	on, off, ill, waiting, gone                  string // states: ● ○ ▲ ◷ ✕
	cursor, mark, following, paused              string
	streaming, yes, no, arrow, dot, dash, chosen string
	down, up, times                              string
	line, broken                                 string // kinds of lines in a plot
	topLeft, topRight, bottomLeft, bottomRight   string
	horizontal, vertical                         string
	bars                                         []rune // eight heights, the lowest first
	wide                                         []rune // eight widths, the narrowest first
}

func unicodeSigns() signs {
	return signs{
		more: "…", on: "●", off: "○", ill: "▲", waiting: "◷", gone: "✕",
		cursor: "▸", mark: "◆", following: "▶", paused: "‖",
		streaming: "◐", yes: "✓", no: "✕", arrow: "→", dot: "·", dash: "–", chosen: "◉",
		down: "▾", up: "▴", times: "×", line: "──", broken: "╌╌",
		topLeft: "╭", topRight: "╮", bottomLeft: "╰", bottomRight: "╯", horizontal: "─", vertical: "│",
		bars: []rune("▁▂▃▄▅▆▇█"), wide: []rune("▏▎▍▌▋▊▉█"),
	}
}

func asciiSigns() signs {
	return signs{
		more: "~", on: "*", off: "o", ill: "!", waiting: "@", gone: "x",
		cursor: ">", mark: "#", following: ">", paused: "=",
		streaming: "%", yes: "y", no: "x", arrow: "->", dot: "-", dash: "-", chosen: "*",
		down: "v", up: "^", times: "x", line: "---", broken: "- -",
		topLeft: "+", topRight: "+", bottomLeft: "+", bottomRight: "+", horizontal: "-", vertical: "|",
		bars: []rune("_.,-=+*#"), wide: []rune(".:-=+*##"),
	}
}

// newLook makes the look of a console that is drawn to out.
func newLook(out io.Writer, ascii, colourless, light bool) *look {
	r := lipgloss.NewRenderer(out)
	r.SetColorProfile(termenv.ANSI) // else lipgloss drops bold and reverse where there are no colours
	r.SetHasDarkBackground(!light)
	l := &look{signs: unicodeSigns(), ascii: ascii, light: light, colourless: colourless}
	if ascii {
		l.signs = asciiSigns()
	}
	s := r.NewStyle()
	l.plain, l.bold, l.selected = s, s.Bold(true), s.Reverse(true)
	l.dim, l.title, l.key, l.accent = s.Faint(true), l.bold, l.bold, l.bold
	l.good, l.warn, l.bad, l.marked = s, l.bold, l.bold, l.bold
	l.border, l.focus, l.badge = l.dim, s, s.Reverse(true)
	l.added, l.removed = l.bold, l.dim
	if colourless {
		return l
	}
	colour := func(onDark, onLight string) lipgloss.Style {
		if light {
			return s.Foreground(lipgloss.Color(onLight))
		}
		return s.Foreground(lipgloss.Color(onDark))
	}
	l.dim, l.border = colour("8", "8"), colour("8", "8")
	l.title, l.key, l.accent, l.focus = colour("14", "4").Bold(true), colour("14", "4"), colour("12", "4"), colour("14", "4")
	l.good, l.warn, l.bad = colour("10", "2"), colour("11", "3"), colour("9", "1")
	l.marked, l.added, l.removed = colour("13", "5"), colour("10", "2"), colour("9", "1")
	return l
}

// faint gives a block as it looks behind something else.
func (l *look) faint(block string) string {
	lines := strings.Split(ansi.Strip(block), "\n")
	for i := range lines {
		lines[i] = l.dim.Render(lines[i])
	}
	return strings.Join(lines, "\n")
}

// terminalIsLight asks the terminal for its background.
func terminalIsLight(out io.Writer) bool {
	return !lipgloss.NewRenderer(out).HasDarkBackground()
}
