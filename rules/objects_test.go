package rules_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// encoded is everything in one stream.
func encoded(o *rules.Objects) string {
	var texts []string
	for _, d := range rules.EncodeObjects(o) {
		texts = append(texts, string(d.YAML))
	}
	return strings.Join(texts, "---\n")
}

const everyField = `version: 1
upstreams:
  - name: eu
    provider: openai
    url: https://eu.example.com/v1
    auth: bearer
    wires: [openai-chat]
    models: [gpt-5*]
    timeouts: {connect: 3s, response_header: 1m, first_token: 20s, idle: 2m, total: 0}
    max_idle: 7
    idle_timeout: 9s
    websocket: true
    enabled: false
    credentials:
      - {name: batch, weight: 1}
      - {name: default, reference: 'env:KEY', weight: 3, enabled: false}
---
version: 1
users:
  - name: dana
    email: dana@example.com
    role: operator
    tags: {team: core}
    enabled: false
---
version: 1
keys:
  - name: ci
    user: dana
    tags: {env: "1"}
    models: [gpt-5*, '!gpt-5-pro']
    limits: [600 requests/min, $50/month]
    expires: 2030-01-31T12:00:00.5Z
    enabled: false
---
version: 1
set: default
order: 100
rules:
  - name: a
    match: {}
    action:
      upstream: eu
---
version: 1
bindings:
  - key: ci
    upstream: eu
    credential: batch
    order: 5
    weight: 2
    models: [gpt-*]
  - tag: env=1
    upstream: eu
    order: 100
    weight: 1
`

func TestEveryFieldOfEveryKindIsReadAndWritten(t *testing.T) {
	all, problems := rules.DecodeObjects("all.yaml", []byte(everyField))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if diff := cmp.Diff(everyField, encoded(&all)); diff != "" {
		t.Errorf("written again (-want +got):\n%s", diff)
	}
	end := time.Date(2030, 1, 31, 12, 0, 0, 5e8, time.UTC)
	key := all.Keys[0]
	if !key.ExpiresAt.Equal(end) || key.Owner != "dana" || !key.Disabled || len(key.Limits) != 2 {
		t.Errorf("the key is %+v", key)
	}
	if total := all.Upstreams[0].Timeouts.Total; total != accounts.NoTimeout {
		t.Errorf("a written 0 is %v", total)
	}
	for _, kind := range rules.Kinds() {
		if !all.Holds(kind) {
			t.Errorf("it holds no %s", kind)
		}
	}
}

func TestOneDocumentHoldsWhatItLikes(t *testing.T) {
	all, problems := rules.DecodeObjects("all.yaml", []byte(`version: 1
keys: [{name: a, expires: 2030-01-31}]
users: []
rules: [{name: r, action: {upstream: u}}]
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for kind, want := range map[rules.Kind]bool{
		rules.KindKey: true, rules.KindUser: true, rules.KindRule: true, rules.KindUpstream: false, rules.KindBinding: false,
	} {
		if all.Holds(kind) != want {
			t.Errorf("holds %s: %v", kind, !want)
		}
	}
	if want := time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC); !all.Keys[0].ExpiresAt.Equal(want) {
		t.Errorf("a date is %v", all.Keys[0].ExpiresAt)
	}
}

func TestRefusedObjects(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"nothing", "", "1:1 : the file is empty | the smallest file is: {version: 1, rules: []}"},
		{"a document of nothing", "version: 1\n", "1:1 rules: rules is missing | a document holds rules, upstreams, users, keys or bindings"},
		{"no version", "keys: []\n", "1:1 version: version is missing | write version: 1"},
		{"a set without rules", "version: 1\nset: a\norder: 3\nkeys: []\n", "2:1 set: there are no rules for it | for a set without rules write rules: []\n3:1 order: there are no rules for it | for a set without rules write rules: []"},
		{"an unknown kind", "version: 1\nkyes: []\nkeys: []\n", `2:1 kyes: unknown field "kyes" | fields of a file are version, set, order, rules, upstreams, users, keys, bindings`},
		{"a kind that is no list", "version: 1\nkeys: {a: {}}\n", "2:7 keys: must be a list, found fields"},
		{"a key that is a text", "version: 1\nkeys: [CANARY]\n", "2:8 keys[0]: must be fields (name: value), found text"},
		{"a key without a name", "version: 1\nkeys:\n  - {user: dana}\n", "3:5 keys[0].name: name is missing | names match [a-z0-9][a-z0-9._-]{0,62}"},
		{"a name that is none", "version: 1\nkeys: [{name: CANARY}]\n", "2:15 keys[0].name: name: must match [a-z0-9][a-z0-9._-]{0,62}"},
		{"a secret of a credential", "version: 1\nupstreams:\n  - name: a\n    credentials:\n      - {name: b, secret: CANARY}\n",
			"5:27 upstreams[0].credentials[0].secret: a secret has no place in a file | give a reference (env:NAME, file:PATH), or leave it out and: llmgw upstreams credential set"},
		{"a credential that is a text", "version: 1\nupstreams: [{name: a, credentials: [CANARY]}]\n", "2:37 upstreams[0].credentials[0]: credentials[0]: must be fields (name: value), found text"},
		{"credentials that are a text", "version: 1\nupstreams: [{name: a, credentials: CANARY}]\n", "2:36 upstreams[0].credentials: credentials: must be a list, found text"},
		{"models that are a text", "version: 1\nkeys: [{name: a, models: CANARY}]\n", "2:26 keys[0].models: models: must be a list, found text"},
		{"a name that is a number", "version: 1\nkeys: [{name: 123456}]\n", "2:15 keys[0].name: name: must be text, found a number"},
		{"a password of a user", "version: 1\nusers: [{name: a, password: CANARY}]\n", `2:19 users[0].password: unknown field "password" | fields of a user are name, email, role, tags, enabled`},
		{"an end that is no time", "version: 1\nkeys: [{name: a, expires: CANARY}]\n", "2:27 keys[0].expires: expires: is not a time | it looks like 2030-01-31 or 2030-01-31T12:00:00Z; without one there is no end"},
		{"the end by which programs write that there is none", "version: 1\nkeys: [{name: a, expires: 0001-01-01T00:00:00Z}]\n", "2:27 keys[0].expires: expires: is not a time | it looks like 2030-01-31 or 2030-01-31T12:00:00Z; without one there is no end"},
		{"a tag that is a number", "version: 1\nkeys: [{name: a, tags: {team: 1}}]\n", "2:31 keys[0].tags.team: tags: must be text, found a number"},
		{"a limit that is none", "version: 1\nkeys: [{name: a, limits: [600/min, CANARY]}]\n", "2:36 keys[0].limits[1]: limits[1]: is not a limit | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent"},
		{"a weight of nothing", "version: 1\nbindings: [{key: a, upstream: b, weight: 0}]\n", "2:42 bindings[0].weight: weight: must be a whole number from 1 to 1000000, found 0"},
		{"everything at once, in the order of the text", "version: 1\nkeys:\n  - {name: a, x: 1}\nusers:\n  - {name: b, y: 1}\nrules:\n  - {name: c, z: 1}\n",
			"3:15 keys[0].x: unknown field \"x\" | fields of a key are name, user, tags, models, limits, expires, enabled\n" +
				"5:15 users[0].y: unknown field \"y\" | fields of a user are name, email, role, tags, enabled\n" +
				"7:15 rules[0].z: unknown field \"z\" | fields of a rule are name, description, enabled, continue, match, action"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := rules.DecodeObjects("all.yaml", []byte(c.source))
			got := shown(problems)
			if diff := cmp.Diff(c.want+"\n", got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			for i := range problems {
				if excerpt := problems[i].Excerpt([]byte(c.source)); strings.Contains(got+excerpt, "CANARY") {
					t.Errorf("a secret is told: %s%s", got, excerpt)
				}
			}
		})
	}
}

func TestRulesFilesSayWhereOtherKindsBelong(t *testing.T) {
	_, problems := rules.Decode("all.yaml", []byte("version: 1\nkeys: [{name: a}]\n"))
	if want := "2:1 keys: keys are no rules | apply files of every kind with: llmgw apply -f FILE\n"; shown(problems) != want {
		t.Errorf("got %s", shown(problems))
	}
}

func TestNamesGivenTwiceAcrossFiles(t *testing.T) {
	var all rules.Objects
	for _, file := range []string{"a.yaml", "b.yaml"} {
		objects, problems := rules.DecodeObjects(file, []byte("version: 1\nkeys: [{name: x}]\nusers: [{name: x}]\nupstreams: [{name: x}]\n"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		all.Append(objects)
	}
	want := "b.yaml:4:20: another upstream has this name\nb.yaml:3:16: another user has this name\nb.yaml:2:15: another key has this name"
	found := all.Doubled()
	if diff := cmp.Diff(want, found.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if found[0].Hint != "it stands at a.yaml:4:20" {
		t.Errorf("hint: %s", found[0].Hint)
	}
}

func TestAProblemStandsWhereItsFieldWould(t *testing.T) {
	all, _ := rules.DecodeObjects("a.yaml", []byte("version: 1\nkeys:\n  - name: x\n    models: [a, b]\n    tags: {t: v}\n"))
	for field, want := range map[string]string{
		"models[1]": "a.yaml:4:17: m", "models[7]": "a.yaml:4:13: m", "tags.t": "a.yaml:5:15: m", "tags.u": "a.yaml:5:11: m",
		"user": "a.yaml:3:5: m", "": "a.yaml:3:5: m",
	} {
		p := all.Keys[0].Problem(field, "m", "")
		if p.String() != want {
			t.Errorf("%s stands at %s, want %s", field, p.String(), want)
		}
	}
}

func planned(changes []rules.ObjectChange) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %s %s %s\n", c.Op, c.Kind, c.Name, strings.Join(c.Fields, "; "))
	}
	return b.String()
}

func TestPlanOfObjects(t *testing.T) {
	decode := func(text string) *rules.Objects {
		all, problems := rules.DecodeObjects("a.yaml", []byte("version: 1\n"+text))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return &all
	}
	const eu = "upstreams: [{name: eu, provider: openai, credentials: [{name: default, reference: 'env:A'}, {name: old}]}]\n"
	for _, c := range []struct{ name, before, after, want string }{
		{"nothing differs", eu, eu, ""},
		{"an upstream comes", "keys: []", eu, "add upstream eu \n"},
		{"an upstream goes", eu, "keys: []", "delete upstream eu \n"},
		{"credentials by their names", eu, "upstreams: [{name: eu, provider: openai, credentials: [{name: default, weight: 2}, {name: next}]}]",
			"change upstream eu credentials.default.reference: env:A → (none); credentials.default.weight: 1 → 2; credentials.old.weight: 1 → (none); credentials.next.weight: (none) → 1\n"},
		{"fields of a key", "keys: [{name: a, models: [x]}]", "keys: [{name: a, user: dana, enabled: false}]", "change key a models: [x] → (none); user: (none) → dana; enabled: (none) → false\n"},
		{"a tag of a user", "users: [{name: a, tags: {x: '1'}}]", "users: [{name: a, tags: {x: '2'}}]", "change user a tags.x: 1 → 2\n"},
		{"a rule", "rules: [{name: a, action: {upstream: x}}]", "rules: [{name: a, action: {upstream: y}}]", "change rule a action.upstream: x → y\n"},
		{"the weight of a binding", "bindings: [{key: a, upstream: u}]", "bindings: [{key: a, upstream: u, weight: 2}]", "change binding key a → u weight: 1 → 2\n"},
		{"a binding to somewhere else", "bindings: [{user: a, upstream: u}]", "bindings: [{user: a, upstream: v, credential: c}]", "add binding user a → v/c \ndelete binding user a → u \n"},
		{"one of several bindings alike", "bindings: [{tag: a=b, upstream: u, order: 1}, {tag: a=b, upstream: u, order: 2}]", "bindings: [{tag: a=b, upstream: u, order: 2}, {tag: a=b, upstream: u, order: 3}]",
			"change binding tag a=b → u order: 1 → 3\n"},
		{"bindings that are quite the same", "bindings: [{key: a, upstream: u}, {key: a, upstream: u}]", "bindings: [{key: a, upstream: u}]", "delete binding key a → u \n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes, _ := rules.PlanObjects(decode(c.before), decode(c.after))
			if diff := cmp.Diff(c.want, planned(changes)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// anyObjects draws objects as a gateway may hold them.
func anyObjects(t *rapid.T) *rules.Objects {
	name := rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,6}`)
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "null", "true", "5", "2030-01-31", "a: b", "<<", " x ", "a\nb", "#"}))
	tags := rapid.Custom(func(t *rapid.T) map[string]string {
		return rapid.MapOfN(name, text, 0, 3).Draw(t, "tags")
	})
	limit := rapid.Custom(func(t *rapid.T) accounts.Limit {
		return accounts.Limit{
			Amount: rapid.Int64Range(1, 1<<53).Draw(t, "amount"), Unit: rapid.SampledFrom([]accounts.LimitUnit{accounts.Requests, accounts.Tokens, accounts.USD}).Draw(t, "unit"),
			Window: rapid.SampledFrom([]accounts.LimitWindow{accounts.PerSecond, accounts.PerMonth}).Draw(t, "window"),
			Per:    rapid.SampledFrom([]accounts.LimitScope{accounts.ByKey, accounts.ByUser, "tag:team"}).Draw(t, "per"),
		}
	})
	span := rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.Int64Range(-1, 1<<62).Draw(t, "span")) })
	names := rapid.SliceOfNDistinct(name, 0, 4, rapid.ID[string])
	models := rapid.SliceOfN(text, 0, 3)
	var all rules.Objects
	for _, name := range names.Draw(t, "upstreams") {
		u := rules.WrittenUpstream{Upstream: accounts.Upstream{
			Name: name, Provider: "openai", URL: "https://a.example/" + name, Models: models.Draw(t, "models"), Enabled: rapid.Bool().Draw(t, "enabled"),
			Timeouts: accounts.Timeouts{Connect: span.Draw(t, "connect"), Total: span.Draw(t, "total")}, Websocket: rapid.Bool().Draw(t, "websocket"),
			IdleTimeout: max(span.Draw(t, "idle"), 0), MaxIdle: rapid.IntRange(0, 99).Draw(t, "max"),
		}}
		for _, name := range names.Draw(t, "credentials") {
			u.Credentials = append(u.Credentials, accounts.Credential{
				Name: name, Weight: rapid.IntRange(1, 9).Draw(t, "weight"), Enabled: rapid.Bool().Draw(t, "enabled"), Reference: rapid.SampledFrom([]string{"", "env:A", "file:/a b/'c'"}).Draw(t, "reference"),
			})
		}
		all.Upstreams = append(all.Upstreams, u)
	}
	for _, name := range names.Draw(t, "users") {
		all.Users = append(all.Users, rules.WrittenUser{User: accounts.User{
			Name: name, Email: text.Draw(t, "email"), Role: rapid.SampledFrom(accounts.Roles()).Draw(t, "role"), Tags: tags.Draw(t, "tags"), Disabled: rapid.Bool().Draw(t, "disabled"),
		}})
	}
	for _, name := range names.Draw(t, "keys") {
		k := rules.WrittenKey{Key: accounts.Key{
			Name: name, Tags: tags.Draw(t, "tags"), Models: models.Draw(t, "models"), Disabled: rapid.Bool().Draw(t, "disabled"), Limits: rapid.SliceOfN(limit, 0, 2).Draw(t, "limits"),
		}, Owner: rapid.SampledFrom([]string{"", "dana"}).Draw(t, "owner")}
		if rapid.Bool().Draw(t, "ends") {
			k.ExpiresAt = time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "end")).UTC()
		}
		all.Keys = append(all.Keys, k)
	}
	for range rapid.IntRange(0, 4).Draw(t, "bindings") {
		b := rules.WrittenBinding{Upstream: name.Draw(t, "upstream"), Order: rapid.IntRange(0, 3).Draw(t, "order"), Weight: rapid.IntRange(1, 3).Draw(t, "weight"), Models: models.Draw(t, "models")}
		switch rapid.IntRange(0, 2).Draw(t, "caller") {
		case 0:
			b.Key = name.Draw(t, "key")
		case 1:
			b.User = name.Draw(t, "user")
		default:
			b.Tag = name.Draw(t, "tag") + "=" + text.Draw(t, "value")
		}
		all.Bindings = append(all.Bindings, b)
	}
	return &all
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := anyObjects(t)
		text := encoded(all)
		again, problems := rules.DecodeObjects("all.yaml", []byte(text))
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, text)
		}
		if changes, _ := rules.PlanObjects(all, &again); len(changes) > 0 {
			t.Fatalf("reading again changes %v\n%s", changes, text)
		}
		if diff := cmp.Diff(text, encoded(&again)); diff != "" {
			t.Fatalf("written again (-want +got):\n%s", diff)
		}
	})
}

// TestAPlanLeadsFromBeforeToAfter counts: what is added and deleted explains how
// many objects there are, and the plan back is as long.
func TestAPlanLeadsFromBeforeToAfter(t *testing.T) {
	size := func(o *rules.Objects) int { return len(o.Upstreams) + len(o.Users) + len(o.Keys) + len(o.Bindings) }
	rapid.Check(t, func(t *rapid.T) {
		before, after := anyObjects(t), anyObjects(t)
		changes, unchanged := rules.PlanObjects(before, after)
		ops := map[string]int{}
		for _, c := range changes {
			ops[c.Op]++
		}
		if got, want := unchanged+ops[rules.PlanAdd]+ops[rules.PlanChanged], size(after); got != want {
			t.Fatalf("%d objects of after, want %d: %v", got, want, changes)
		}
		if got, want := unchanged+ops[rules.PlanDelete]+ops[rules.PlanChanged], size(before); got != want {
			t.Fatalf("%d objects of before, want %d: %v", got, want, changes)
		}
	})
}

func FuzzDecodeObjects(f *testing.F) {
	f.Add(everyField)
	f.Add("version: 1\nkeys: &a [{name: x}]\nusers: *a\n")
	f.Add("version: 1\nupstreams: [{name: a, credentials: [{secret: s}]}]")
	f.Fuzz(func(t *testing.T, source string) {
		all, problems := rules.DecodeObjects("fuzz.yaml", []byte(source))
		for i := range problems {
			if p := &problems[i]; p.Message == "" || p.Line < 1 || p.Column < 1 || p.Warning {
				t.Errorf("%+v", *p)
			}
		}
		if len(problems) > 0 || len(all.Doubled()) > 0 {
			return
		}
		text := encoded(&all)
		again, problems := rules.DecodeObjects("again.yaml", []byte(text))
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, text)
		}
		if changes, _ := rules.PlanObjects(&all, &again); len(changes) > 0 {
			t.Errorf("%v\n%s", changes, text)
		}
	})
}

func TestEveryKindStandsInADocumentOfItsOwn(t *testing.T) {
	all, _ := rules.DecodeObjects("a.yaml", []byte(everyField))
	got := map[string]bool{}
	for _, d := range rules.EncodeObjects(&all) {
		got[d.Name] = true
		if _, problems := rules.DecodeObjects(d.Name, d.YAML); len(problems) > 0 {
			t.Errorf("%s: %v", d.Name, problems)
		}
	}
	if want := []string{"bindings", "keys", "rules-default", "upstreams", "users"}; !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
		t.Errorf("documents are %v", got)
	}
	if text := encoded(&rules.Objects{}); !strings.Contains(text, "keys: []\n") || strings.Contains(text, "rules") {
		t.Errorf("nothing is written as %s", text)
	}
}
