package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

func TestListsAreReadAsFarAsTheyCanBe(t *testing.T) {
	for name, c := range map[string]struct {
		text, next, want string
		err              error
	}{
		"nothing":                     {"", "", "", nil},
		"no object":                   {`"gpt-5"`, "", "", nil},
		"OpenAI's":                    {`{"object":"list","data":[{"id":"a","created":1754425777,"owned_by":"o"}]}`, "", "a 1754425777 o", nil},
		"a date in words":             {`{"data":[{"id":"a","created":"long ago","owned_by":"o"}]}`, "", "a - o", nil},
		"a fraction":                  {`{"data":[{"id":"a","created":1754425777.25}]}`, "", "a 1754425777 ", nil},
		"a date beyond all":           {`{"data":[{"id":"a","created":1e300},{"id":"b","created":-5}]}`, "", "a - |b - ", nil},
		"Anthropic's":                 {`{"data":[{"id":"a","created_at":"2026-02-19T00:00:00Z"}],"has_more":true,"last_id":"a&b"}`, "after_id=a%26b", "a 1771459200 ", nil},
		"a date that is none":         {`{"data":[{"id":"a","created_at":"0001-01-01T00:00:00Z"},{"id":"b","created_at":7}]}`, "", "a - |b - ", nil},
		"Google's":                    {`{"models":[{"name":"models/a"}],"nextPageToken":"x=y"}`, "pageToken=x%3Dy", "a - ", nil},
		"an array":                    {` [{"id":"a"}]`, "", "a - ", nil},
		"odd fields beside a name":    {`{"data":[{"id":"a","owned_by":7},{"id":["b"]},{"id":"c"}]}`, "", "a - |c - ", nil},
		"a name twice":                {`{"data":[{"id":"a"},{"id":"a","owned_by":"x"}]}`, "", "a - ", nil},
		"a page that brings nothing":  {`{"data":[],"has_more":true,"last_id":"a"}`, "", "", nil},
		"names that are none":         {`{"data":[{"id":""},{"id":"a\u0000"},{"id":"` + strings.Repeat("x", 257) + `"},{"id":"b"}]}`, "", "b - ", nil},
		"a gateway key and a secret":  {`{"data":[{"id":"sk-lgw-x"},{"id":"my-secret-1"},{"id":"b","owned_by":"my-secret-1"}]}`, "", "b - ", nil},
		"half of it":                  {`{"data":[{"id":"a"}`, "", "", errUnreadableList},
		"a page of something":         {`<html>`, "", "", errUnreadableList},
		"more of the same, behind it": {`{"data":[{"id":"a"}]}{}`, "", "", errUnreadableList},
	} {
		t.Run(name, func(t *testing.T) {
			r := listReader{room: maxListBytes, secret: "secret-1", seen: map[string]bool{}}
			next, err := r.read([]byte(c.text))
			var got []string
			for _, m := range r.models {
				created := "-"
				if !m.created.IsZero() {
					created = fmt.Sprint(m.created.Unix())
				}
				got = append(got, m.id+" "+created+" "+m.ownedBy)
			}
			if next != c.next || !errors.Is(err, c.err) || strings.Join(got, "|") != c.want || r.room != maxListBytes-len(c.text) {
				t.Errorf("%q, %v, next %q, room %d", got, err, next, r.room)
			}
		})
	}
}

func FuzzModelList(f *testing.F) {
	for _, seed := range []string{openAIModels, claudeFirst, geminiFirst, `[{"id":"a"}]`, `{"data":[1,{"id":7}]}`, `{"data":[{"id":"sk-lgw-a secret-1"}],"has_more":true,"last_id":"\ud800"}`} {
		f.Add([]byte(seed), []byte(geminiSecond))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		r := listReader{room: maxListBytes, secret: "secret-1", seen: map[string]bool{}}
		for _, text := range [][]byte{first, second} {
			if next, err := r.read(text); err != nil && next != "" || strings.ContainsAny(next, " \r\n#") {
				t.Fatalf("next is %q, error %v", next, err)
			}
		}
		seen := map[string]bool{}
		for i := range r.models {
			m := &r.models[i]
			if m.id == "" || len(m.id) > maxListedName || seen[m.id] || !m.created.IsZero() && (m.created.Unix() < 1 || m.created.Year() > 10000) {
				t.Fatalf("%+v", m)
			}
			seen[m.id] = true
			for _, text := range append([]string{m.id, m.ownedBy, m.displayName, m.version, m.description}, m.methods...) {
				if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || strings.Contains(text, "secret-1") || strings.Contains(text, accounts.KeyPrefix) {
					t.Fatalf("%q is shown", text)
				}
			}
			_ = mustJSON(entryOf(m)) // which panics where it cannot
			_ = mustJSON(geminiEntryOf(m))
		}
	})
}

func TestPagesTogetherAreTheList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfDistinct(rapid.StringMatching(`[a-f]{1,3}`), func(s string) string { return s }).Draw(t, "ids")
		slices.Sort(ids)
		models := make([]*model, len(ids))
		for i, id := range ids {
			models[i] = &model{id: id, created: time.Unix(1, 0)}
		}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		var forth, back []string
		for after, more := "", true; more; {
			var part []*model
			part, more = page{limit: limit, after: after}.cut(models)
			for _, m := range part {
				forth = append(forth, m.id)
				after = m.id
			}
			if len(part) > limit || len(forth) > len(ids) {
				t.Fatalf("forth: %v of %v", forth, ids)
			}
		}
		for before, more := "zzz", true; more; {
			var part []*model
			part, more = page{limit: limit, before: before}.cut(models)
			for _, m := range slices.Backward(part) {
				back = append(back, m.id)
				before = m.id
			}
			if len(back) > len(ids) {
				t.Fatalf("back: %v of %v", back, ids)
			}
		}
		slices.Reverse(back)
		if !slices.Equal(forth, ids) || !slices.Equal(back, ids) {
			t.Fatalf("forth %v, back %v, of %v", forth, back, ids)
		}
	})
}
