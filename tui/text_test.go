package tui

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

// odd are texts that somebody outside may have chosen.
func odd() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(), rapid.SampledFrom(oddTexts()),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) string { return string(b) }),
	)
}

func oddTexts() []string {
	return []string{
		"", "a", "日本語", "モデル-大", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪🇩", "e\u0301\u0301\u0301", "\u0301", "\u200b\u200d\ufeff", "\u202eright to left\u202c", "שלום", "\x1b[31mred\x1b[0m",
		"\x1b]0;title\x07", "\x1b]52;c;aGk=\x1b\\", "\x9b31m", "\x90q\x9c", "a\tb\nc\rd", "\xff\xfe", "\u2028\u2029", "\U000e0041", strings.Repeat("x", 400), strings.Repeat("界", 300), "ﷺ", "𒐫", "\u1160\u1161", "\u180e",
	}
}

func TestCleanTextHasNothingThatATerminalObeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := odd().Draw(t, "text")
		got := clean(text)
		if !utf8.ValidString(got) || strings.IndexFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) >= 0 || strings.ContainsAny(got, "\u2028\u2029") {
			t.Fatalf("%q gives %q", text, got)
		}
		if clean(got) != got {
			t.Fatalf("%q is cleaned again to %q", got, clean(got))
		}
	})
	for _, text := range []string{"", "ci-bot 日本", "é", "👍"} {
		if got := clean(text); got != text {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

func TestATextFitsExactly(t *testing.T) {
	l := plainLook()
	rapid.Check(t, func(t *rapid.T) {
		text, other, w := clean(odd().Draw(t, "text")), clean(odd().Draw(t, "other")), rapid.IntRange(-1, 80).Draw(t, "width")
		for name, got := range map[string]string{"fit": l.fit(text, w), "fitRight": l.fitRight(text, w), "ends": l.ends(text, other, w)} {
			if n := ansi.StringWidth(got); n != max(0, w) {
				t.Fatalf("%s gives %d cells, and not %d: %q", name, n, w, got)
			}
		}
		if n := ansi.StringWidth(l.cut(text, w)); n > max(0, w) {
			t.Fatalf("cut gives %d cells of %d", n, w)
		}
	})
}

func TestWhatIsCutSaysSo(t *testing.T) {
	l := plainLook()
	for _, one := range []struct {
		text string
		w    int
		want string
	}{
		{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"日本語", 1, "…"}, {"日本語", 0, ""}, {"日本語", -3, ""},
	} {
		if got := l.cut(one.text, one.w); got != one.want {
			t.Errorf("%q in %d is %q, and not %q", one.text, one.w, got, one.want)
		}
	}
	if got := l.fit("日本語", 4); got != "日… " {
		t.Errorf("%q", got)
	}
}

func TestABlockHasItsSize(t *testing.T) {
	l := plainLook()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Map(odd(), clean), 0, 8).Draw(t, "lines")
		w, h := rapid.IntRange(1, 60).Draw(t, "w"), rapid.IntRange(1, 10).Draw(t, "h")
		exactly(t, l.block(strings.Join(lines, "\n"), w, h), w, h)
		one := box{
			title: clean(odd().Draw(t, "title")), foot: clean(odd().Draw(t, "foot")), count: clean(odd().Draw(t, "count")),
			right: clean(odd().Draw(t, "right")), focused: rapid.Bool().Draw(t, "focused"),
		}
		exactly(t, one.draw(l, strings.Join(lines, "\n"), w, h), w, h)
	})
}

func TestABoxIsLaidOverABlockWithoutMovingAnything(t *testing.T) {
	l := plainLook()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Map(odd(), clean), 0, 8).Draw(t, "lines")
		w, h := rapid.IntRange(1, 60).Draw(t, "w"), rapid.IntRange(1, 10).Draw(t, "h")
		boxW, boxH := rapid.IntRange(1, w).Draw(t, "boxW"), rapid.IntRange(1, h+2).Draw(t, "boxH")
		x := rapid.IntRange(0, w-boxW).Draw(t, "x")
		block := l.block(strings.Join(lines, "\n"), w, h)
		exactly(t, over(block, l.block(strings.Repeat("#\n", boxH), boxW, boxH), x, rapid.IntRange(-2, h).Draw(t, "y")), w, h)
	})
	for _, one := range []struct{ block, box, want string }{
		{"日本語", "##", "日##語"}, {"日本語.", "###", "日### ."}, {"日本語", "#", "日# 語"},
	} {
		if got := over(one.block, one.box, 2, 0); got != one.want {
			t.Errorf("%q, and not %q", got, one.want)
		}
	}
	if got := over("日本語", "##", 1, 0); got != " ## 語" {
		t.Errorf("%q", got)
	}
}

type failing interface{ Fatalf(string, ...any) }

func exactly(t failing, block string, w, h int) {
	lines := strings.Split(block, "\n")
	if len(lines) != h {
		t.Fatalf("%d lines, and not %d: %q", len(lines), h, block)
	}
	for i, line := range lines {
		if n := ansi.StringWidth(line); n != w {
			t.Fatalf("line %d has %d cells, and not %d: %q", i+1, n, w, line)
		}
	}
}

func TestALineThatIsBrokenKeepsItsStyleOnEveryLine(t *testing.T) {
	l := plainLook()
	for i, line := range wrap("a "+l.bold.Render("bold words that go on")+" z", 8) {
		if opened, closed := strings.Count(line, "\x1b[1m"), strings.Count(line, "\x1b[0m")+strings.Count(line, "\x1b[m"); opened != closed {
			t.Errorf("line %d opens %d styles and closes %d: %q", i, opened, closed, line)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.IntRange(3, 40).Draw(t, "w")
		for _, line := range wrap(clean(odd().Draw(t, "text")), w) {
			if n := ansi.StringWidth(line); n > w {
				t.Fatalf("%d cells of %d: %q", n, w, line)
			}
		}
	})
	if got := wrap("x", 0); got != nil {
		t.Errorf("%q", got)
	}
}

func TestAFigureIsShortWhateverItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, f := rapid.Int64().Draw(t, "n"), rapid.Float64().Draw(t, "f")
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		for name, text := range map[string]string{
			"count": count(n), "rate": rate(n, d), "percent": percent(n, rapid.Int64().Draw(t, "whole")), "span": span(d), "bytes": bytesOf(n), "plural": plural(int(n), "row"), "window": windowName(d),
		} {
			if text == "" || len(text) > 40 {
				t.Fatalf("%s gives %q", name, text)
			}
		}
		_ = millis(f)
	})
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 9999: "9,999", 84_200: "84k", 31_200_000: "31.2M", 3_100_000_000: "3.1G", -4182: "-4,182", math.MinInt64: "-9223372036.9G"} {
		if got := count(n); got != want {
			t.Errorf("%d is %s, and not %s", n, got, want)
		}
	}
}

func TestASeriesIsDrawnInItsRoom(t *testing.T) {
	l := plainLook()
	rapid.Check(t, func(t *rapid.T) {
		series := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.Just(missing)), 0, 200).Draw(t, "series")
		w := rapid.IntRange(0, 100).Draw(t, "w")
		if n := ansi.StringWidth(l.spark(series, w)); n != w {
			t.Fatalf("%d cells, and not %d", n, w)
		}
		if n := ansi.StringWidth(l.bar(rapid.Float64().Draw(t, "share"), w)); n > w {
			t.Fatalf("%d cells of %d", n, w)
		}
	})
	if got := l.spark([]float64{missing, 0, 1, 4, 8}, 6); got != "  ▁▂▅█" {
		t.Errorf("%q", got)
	}
}

// TestWidthsThatAreCountedAtOnceAreRight compares with what looks at every letter.
func TestWidthsThatAreCountedAtOnceAreRight(t *testing.T) {
	pieces := append(oddTexts(), "a", "plain words", "─", "│", "▟", "⠀", "⣿", "█", "\x1b[1m", "\x1b[0m", "\x1b[38;5;1m", "\x1b[", "\x1b[2J", "\x1b", "m", "\u0301", "\ufe0f", "日", "■", "\t", "\xff")
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "text"), "")
		if got, want := width(text), ansi.StringWidth(text); got != want {
			t.Errorf("%q takes %d cells, and not %d", text, want, got)
		}
		if _, ok := plainWidth(text); ok && text != "" {
			plain++
		}
	})
	if plain == 0 {
		t.Error("nothing was counted at once")
	}
	if n, ok := plainWidth("\x1b[1m│ ⣿\x1b[0m"); n != 3 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
}
