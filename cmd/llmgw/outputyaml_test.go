package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestYAMLSaysWhatTheJSONSaysInItsOrder(t *testing.T) {
	type inner struct {
		Zeta  string   `json:"zeta"`
		Alpha []string `json:"alpha"`
	}
	value := struct {
		Name  string         `json:"name"`
		Count int64          `json:"count"`
		Share float64        `json:"share"`
		Ready bool           `json:"ready"`
		None  *inner         `json:"none"`
		Items []inner        `json:"items"`
		Empty []string       `json:"empty"`
		Map   map[string]any `json:"map"`
	}{
		Name: "yes", Count: 9007199254740993, Share: 0.5, Ready: true,
		Items: []inner{{Zeta: "a: b", Alpha: []string{"1", "x\ny", "\x7f"}}}, Empty: []string{}, Map: map[string]any{},
	}
	want := `name: "yes"
count: 9007199254740993
share: 0.5
ready: true
none: null
items:
  - zeta: 'a: b'
    alpha:
      - "1"
      - "x\ny"
      - "\x7F"
empty: []
map: {}
`
	var b bytes.Buffer
	if err := writeYAML(&b, value); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestEveryTextComesBackFromYAML(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"<<", "~", "null", "on", "1e3", "0x1", "2026-01-01", "12:30:00", "- a", "? b", "#c", "a #b", "@d", "!e", "&f", "*g", " h ", "\ti", "j\n", "\nk", "=", ".nan", "---", "\u0085", "\u2028", "\ufeff", "%",
	}))
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(texts, rapid.SliceOf(texts)).Draw(t, "value")
		var b bytes.Buffer
		if err := writeYAML(&b, want); err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		for key, items := range want {
			if items == nil {
				want[key] = []string{}
			}
			if got[key] == nil && len(want[key]) == 0 {
				got[key] = []string{}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s in\n%s", diff, b.String())
		}
	})
}
