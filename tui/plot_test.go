package tui

import (
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

func plotOf(ascii bool, values ...float64) *plot {
	l := newLook(io.Discard, ascii, true, false)
	return &plot{look: l, unit: decimal, from: sampleNow().Add(-15 * time.Minute), until: sampleNow(), lines: []plotted{{values: values, style: l.plain}}}
}

// drawn gives a plot without styles and without spaces behind the lines.
func drawn(p *plot, w, h int) string {
	lines := strings.Split(ansi.Strip(p.draw(w, h)), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

func TestAPlotDrawsWhatWas(t *testing.T) {
	columns := func(p *plot) *plot { p.columns = true; return p }
	second := func(p *plot, values ...float64) *plot {
		p.lines = append(p.lines, plotted{values: values, style: p.look.plain, broken: true})
		return p
	}
	for name, one := range map[string]struct {
		plot *plot
		w, h int
		want string
	}{
		"a line that climbs, with a scale and times": {plotOf(false, 0, 10, 20, 30, 40), 18, 6, `
40│            ⣀⠔⠊
  │         ⣀⠔⠊
20│      ⡠⠔⠊
  │   ⡠⠔⠉
 0│⡠⠔⠉
   20:49     21:04
`},
		"the same in ASCII": {plotOf(true, 0, 10, 20, 30, 40), 18, 6, `
40│            .-'
  │         .-'
20│      .-'
  │   .-'
 0│.-'
   20:49     21:04
`},
		"a gap is neither a zero nor bridged": {plotOf(true, 4, 4, missing, missing, 0, 0), 15, 2, `
'''''
          .....
`},
		"columns stand on the ground, which a gap has not": {columns(plotOf(true, 4, 0, missing, 2)), 15, 2, `
####
####____    ###
`},
		"a line alone in its cells is told from one with holes": {second(plotOf(true, 4, 4), 1, 1), 15, 4, `
'''''''''''''''

' ' ' ' ' ' ' '
20:49     21:04
`},
		"two lines in one cell have the dots of both": {&plot{look: plotOf(false).look, lines: []plotted{{values: []float64{4, 4}}, {values: []float64{0, 0}}}}, 4, 1, `
⣉⣉⣉⣉
`},
		"one value is a level": {plotOf(true, 3), 15, 1, `
'''''''''''''''
`},
		"nothing known is nothing drawn": {plotOf(false, missing, math.Inf(1), math.NaN()), 15, 2, "\n\n\n"},
		"no series is nothing drawn":     {plotOf(false), 15, 2, "\n\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			want := one.want
			if one.plot.look.ascii {
				want = strings.ReplaceAll(want, "│", "|")
			}
			if got := drawn(one.plot, one.w, one.h); got != want {
				t.Errorf("drawn %s\nand not %s", got, want)
			}
		})
	}
}

func TestASinglePeakAmongManyStepsIsSeen(t *testing.T) {
	values := make([]float64, 1000)
	values[501] = 7
	for _, p := range []*plot{plotOf(true, values...), {look: plotOf(true).look, columns: true, lines: []plotted{{values: values}}}} {
		top, _, _ := strings.Cut(drawn(p, 40, 4)[1:], "\n")
		if !strings.ContainsAny(top, "#|'") {
			t.Errorf("the peak is not at the top of\n%s", drawn(p, 40, 4))
		}
	}
}

func TestAScaleEndsWithWhatIsReadAtAGlance(t *testing.T) {
	for v, want := range map[float64]float64{
		0: 1, -3: 1, 1: 1, 1.01: 1.2, 47.4: 50, 61: 80, 81: 100, 99: 100, 107_000: 120_000, math.Nextafter(0.3, 1): 0.3, 1e15: 1e15,
	} {
		if got := niceAbove(v); math.Abs(got-want) > want*1e-9 {
			t.Errorf("above %v it is %v, and not %v", v, got, want)
		}
	}
}

func TestASmallNumberAtAScaleKeepsItsDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.75: "0.75", 0.05: "0.05", 1.5: "1.5", 2: "2", 47.4: "47", 1500: "1,500", 120_000: "120k", math.NaN(): unknown} {
		if got := decimal(v); got != want {
			t.Errorf("%v is %q, and not %q", v, got, want)
		}
	}
}

// holdsAsAPlot fails where a plot is not of its size, or more than ASCII where it
// must not be.
func holdsAsAPlot(t interface{ Fatalf(string, ...any) }, p *plot, w, h int) {
	got := p.draw(w, h)
	if w <= 0 || h <= 0 {
		if got != "" {
			t.Fatalf("%dx%d has %q", w, h, got)
		}
		return
	}
	lines := strings.Split(got, "\n")
	if len(lines) != h {
		t.Fatalf("%d lines, and not %d", len(lines), h)
	}
	for _, line := range lines {
		if ansi.StringWidth(line) != w {
			t.Fatalf("%q is %d wide, and not %d", line, ansi.StringWidth(line), w)
		}
	}
	if plain := ansi.Strip(got); p.look.ascii && strings.IndexFunc(plain, func(r rune) bool { return r > 126 }) >= 0 {
		t.Fatalf("more than ASCII: %q", plain)
	}
}

func TestAnySeriesIsDrawnInAnySize(t *testing.T) {
	value := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 100), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, math.MaxFloat64, math.SmallestNonzeroFloat64}))
	rapid.Check(t, func(t *rapid.T) {
		l := newLook(io.Discard, rapid.Bool().Draw(t, "ascii"), rapid.Bool().Draw(t, "colourless"), false)
		p := &plot{look: l, columns: rapid.Bool().Draw(t, "columns"), least: rapid.SampledFrom([]float64{0, 1, 100}).Draw(t, "least")}
		p.unit = rapid.SampledFrom([]func(float64) string{nil, decimal, inPercent, millis}).Draw(t, "unit")
		if rapid.Bool().Draw(t, "times") {
			p.until = sampleNow()
			p.from = p.until.Add(-time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "window")))
		}
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			p.lines = append(p.lines, plotted{values: rapid.SliceOfN(value, 0, 300).Draw(t, "values"), style: l.good, broken: rapid.Bool().Draw(t, "broken")})
		}
		holdsAsAPlot(t, p, rapid.IntRange(-1, 90).Draw(t, "w"), rapid.IntRange(-1, 24).Draw(t, "h"))
	})
}

func FuzzPlot(f *testing.F) {
	f.Add(1.0, math.NaN(), math.Inf(1), -4.0, uint8(40), uint8(8), true, false)
	f.Add(math.MaxFloat64, 5e-324, 0.0, 1e-9, uint8(3), uint8(1), false, true)
	f.Fuzz(func(t *testing.T, a, b, c, d float64, w, h uint8, ascii, columns bool) {
		p := plotOf(ascii, a, b, c, d)
		p.columns = columns
		holdsAsAPlot(t, p, int(w), int(h%64))
	})
}
