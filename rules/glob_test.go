package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// texts lists all texts of a few letters, up to a length.
func texts(letters string, longest int) []string {
	all := []string{""}
	for from, length := 0, 1; length <= longest; length++ {
		for end := len(all); from < end; from++ {
			for _, letter := range letters {
				all = append(all, all[from]+string(letter))
			}
		}
	}
	return all
}

func expression(pattern, star string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, star) + "$")
}

func TestGlobsTakeWhatTheirExpressionsTake(t *testing.T) {
	all := texts("ab", 6)
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*]{0,6}`).Draw(t, "pattern")
		g, want := newGlob(pattern), expression(pattern, ".*")
		for _, text := range all {
			if g.takes(text) != want.MatchString(text) {
				t.Fatalf("%q and %q", pattern, text)
			}
		}
	})
}

func TestPathGlobsTakeWhatTheirExpressionsTake(t *testing.T) {
	var all []string
	for _, text := range texts("a/", 6) {
		all = append(all, "/"+text)
	}
	rapid.Check(t, func(t *rapid.T) {
		pattern := "/" + rapid.StringMatching(`[a*/]{0,5}`).Draw(t, "pattern")
		for strings.Contains(pattern, "**") {
			pattern = strings.ReplaceAll(pattern, "**", "*")
		}
		rest := rapid.Bool().Draw(t, "rest")
		want := expression(pattern, "[^/]*")
		if rest {
			want = regexp.MustCompile(strings.TrimSuffix(want.String(), "$") + "(/.*)?$")
			pattern += "/**"
		}
		g := newPathGlob(pattern)
		for _, text := range all {
			if g.takes(text) != want.MatchString(text) {
				t.Fatalf("%q and %q", pattern, text)
			}
			if beginning, whole := pathLiteral(pattern); g.takes(text) && (!strings.HasPrefix(text, beginning) || whole && text != beginning) {
				t.Fatalf("%q takes %q, which does not begin with %q", pattern, text, beginning)
			}
		}
	})
}

func TestWhatIsSaidOfTwoGlobsHoldsForTexts(t *testing.T) {
	// Two globs of four characters that have a text in common have one of eight
	// letters. One that takes more than the other shows it by a letter that
	// neither spells out, in the place of each star.
	all, more := texts("ab", 8), texts("abc", 4)
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringMatching(`[ab*]{0,4}`).Draw(t, "a")
		b := rapid.StringMatching(`[ab*]{0,4}`).Draw(t, "b")
		ga, gb := newGlob(a), newGlob(b)
		both := slices.ContainsFunc(all, func(text string) bool { return ga.takes(text) && gb.takes(text) })
		onlyB := slices.ContainsFunc(more, func(text string) bool { return !ga.takes(text) && gb.takes(text) })
		if overlap(a, b) != both {
			t.Fatalf("%q and %q overlap: %v", a, b, both)
		}
		if coversGlob(a, b) == onlyB {
			t.Fatalf("%q takes what %q does not: %v", b, a, onlyB)
		}
	})
}

func TestACoveredPathPatternTakesNothingElse(t *testing.T) {
	var all []string
	for _, text := range texts("ab/", 5) {
		all = append(all, "/"+text)
	}
	draw := func(t *rapid.T, label string) string {
		segments := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "a*", "*b"}), 0, 3).Draw(t, label)
		pattern := ""
		for _, segment := range segments {
			pattern += "/" + segment
		}
		if pattern == "" || rapid.Bool().Draw(t, label+" rest") {
			pattern += "/**"
		}
		return pattern
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		ga, gb := newPathGlob(a), newPathGlob(b)
		for _, text := range all {
			if coversPathGlob(a, b) && gb.takes(text) && !ga.takes(text) {
				t.Fatalf("%q is said to cover %q, which alone takes %q", a, b, text)
			}
		}
	})
}

func TestACoveredTextTakesNothingElse(t *testing.T) {
	all := texts("ab", 5)
	draw := func(t *rapid.T, label string) Text {
		value := rapid.StringMatching(`[ab]{1,3}`).Draw(t, label)
		yes, no := true, false
		return rapid.SampledFrom([]Text{
			{Equals: value}, {}, {Prefix: value}, {Suffix: value}, {Contains: value}, {Regex: value}, {In: []string{value, "a"}}, {Exists: &yes}, {Exists: &no},
		}).Draw(t, label+" operator")
	}
	rapid.Check(t, func(t *rapid.T) {
		outer, inner := draw(t, "outer"), draw(t, "inner")
		if !coversText(outer, inner) {
			return
		}
		o, i := newTest(outer), newTest(inner)
		if i.takesAny(nil) && !o.takesAny(nil) {
			t.Fatalf("%+v is said to cover %+v, which alone takes nothing", outer, inner)
		}
		for _, text := range all {
			if i.takesAny([]string{text}) && !o.takesAny([]string{text}) {
				t.Fatalf("%+v is said to cover %+v, which alone takes %q", outer, inner, text)
			}
		}
	})
}

// slowDistance tries every text that a pattern without more than one star could
// stand for.
func slowDistance(pattern, text string) int {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return edits(before, text)
	}
	best := len(pattern) + len(text)
	for from := range len(text) + 1 {
		for to := from; to <= len(text); to++ {
			best = min(best, edits(before, text[:from])+edits(after, text[to:]))
		}
	}
	return best
}

func edits(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	cost := 1
	if a[0] == b[0] {
		cost = 0
	}
	best := min(cost+edits(a[1:], b[1:]), 1+edits(a[1:], b), 1+edits(a, b[1:]))
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		best = min(best, 1+edits(a[2:], b[2:]))
	}
	return best
}

func TestTheDistanceIsThatOfTheNearestTextThatAPatternTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab]{0,3}\*?[ab]{0,3}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[abc]{0,5}`).Draw(t, "text")
		if got, want := distance(pattern, text), slowDistance(pattern, text); got != want {
			t.Fatalf("%q and %q: %d, not %d", pattern, text, got, want)
		}
	})
}

func TestTheWordThatWasMeant(t *testing.T) {
	known := operators[:]
	for word, want := range map[string]string{
		"contians": "contains", "Equals": "equals", "equal": "equals", "prefx": "prefix", "sufix": "suffix", "regexp": "regex", "exist": "exists",
		"startswith": "", "zz": "", "": "", strings.Repeat("contains", 100): "",
	} {
		if got := nearestWord(word, known); got != want {
			t.Errorf("%.20s: %q, not %q", word, got, want)
		}
	}
}

func TestTheTreeFindsEveryKeyThatATextBeginsWith(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringMatching(`[ab/]{0,6}`), rapid.ID[string]).Draw(t, "keys")
		var index tree[string]
		for _, key := range keys {
			*index.at(key) = key
		}
		text := rapid.StringMatching(`[ab/]{0,8}`).Draw(t, "text")
		var want, got []string
		for _, key := range keys {
			if strings.HasPrefix(text, key) {
				want = append(want, key)
			}
			if found := index.at(key); *found != key {
				t.Fatalf("%q is kept under %q", *found, key)
			}
		}
		walk(&index.root, text, func(key *string) { got = append(got, *key) })
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Fatalf("%q begins with %q, found %q", text, want, got)
		}
	})
}

func TestARuleOfManyPathsAndModelsIsFoundByAllOfThem(t *testing.T) {
	var m Match
	for i := range 30 {
		m.Path.Globs = append(m.Path.Globs, fmt.Sprintf("/p%d/**", i))
		m.Model = append(m.Model, fmt.Sprintf("m%d", i))
	}
	set, problems := Compile(Config{Files: []File{{Set: "a", Rules: []Rule{{Name: "many", Match: m, Action: Action{Respond: &Respond{Status: 200}}}}}}})
	if set == nil {
		t.Fatal(problems)
	}
	for i := range 31 {
		q := &Request{Path: fmt.Sprintf("/p%d/x", i), Model: fmt.Sprintf("m%d", 29-min(i, 29)), HasModel: true}
		var d Decision
		if set.Decide(q, &d); (d.Rule != nil) != (i < 30) {
			t.Errorf("%s with %s: %v", q.Path, q.Model, d.Outcome)
		}
	}
}

func TestLongestRising(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.Permutation([]int{1, 2, 3, 4, 5, 6, 7}).Draw(t, "values")
		run := longestRising(values)
		slices.Reverse(run)
		for i := 1; i < len(run); i++ {
			if run[i-1] >= run[i] || values[run[i-1]] >= values[run[i]] {
				t.Fatalf("%v of %v does not rise", run, values)
			}
		}
		longest := 0
		for subset := range 1 << len(values) {
			last, length := 0, 0
			for i, value := range values {
				if subset>>i&1 == 1 {
					if length++; value < last {
						length = -len(values)
					}
					last = value
				}
			}
			longest = max(longest, length)
		}
		if len(run) != longest {
			t.Fatalf("%v of %v is not of length %d", run, values, longest)
		}
	})
}
