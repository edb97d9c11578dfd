package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// sources are files of these texts, each without its first line.
func sources(texts ...string) []api.Source {
	var files []api.Source
	for i, text := range texts {
		files = append(files, api.Source{Name: fmt.Sprintf("%c.yaml", 'a'+i), Content: "version: 1\n" + text})
	}
	return files
}

// applyAll applies files and wants it to work.
func (g *gateway) applyAll(t testing.TB, texts ...string) api.ObjectPlan {
	t.Helper()
	plan, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources(texts...)})
	must(t, err)
	return plan
}

func (g *gateway) exportAll(t testing.TB) string {
	t.Helper()
	export, err := g.Export(t.Context())
	must(t, err)
	return oneStream(export)
}

func oneStream(export api.ExportedObjects) string {
	texts := make([]string, len(export.Documents))
	for i, d := range export.Documents {
		texts[i] = d.YAML
	}
	return strings.Join(texts, "---\n")
}

// said is a plan in words.
func said(plan api.ObjectPlan) string {
	var b strings.Builder
	for _, c := range plan.Changes {
		fmt.Fprintf(&b, "%s %s %s", c.Op, c.Kind, c.Name)
		if len(c.Fields) > 0 {
			fmt.Fprintf(&b, " [%s]", strings.Join(c.Fields, "; "))
		}
		b.WriteString("\n")
	}
	for _, lost := range plan.Lost {
		b.WriteString("lost: " + lost + "\n")
	}
	for _, next := range plan.Next {
		b.WriteString("next: " + next + "\n")
	}
	for _, w := range plan.Warnings {
		fmt.Fprintf(&b, "warning: %s:%d:%d %s\n", w.File, w.Line, w.Column, w.Message)
	}
	return b.String()
}

func wantPlan(t *testing.T, want string, plan api.ObjectPlan) {
	t.Helper()
	if diff := cmp.Diff(want, said(plan)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

const team = `upstreams:
  - {name: eu, provider: openai, url: https://eu.example.com/v1, credentials: [{name: default, reference: 'env:EU_KEY'}, {name: batch}]}
users: [{name: dana, role: operator}]
keys: [{name: ci, user: dana, limits: [600/min]}]
rules: [{name: fast, match: {model: [gpt-*]}, action: {upstream: eu}}]
bindings: [{key: ci, upstream: eu, credential: batch}]
`

func TestEveryKindIsAppliedInOneChange(t *testing.T) {
	g := openStore(t)
	plan := g.applyAll(t, team)
	wantPlan(t, `add upstream eu
add user dana
add key ci
add rule fast
add binding key ci → eu/batch
next: credential batch of upstream eu has no secret yet: llmgw upstreams credential set eu --name batch --credential -
next: key ci has no secret yet: llmgw keys rotate ci
`, plan)
	if !plan.Applied || plan.Revision != 1 || plan.Seq != 1 {
		t.Errorf("applied %t, revision %d, change %d", plan.Applied, plan.Revision, plan.Seq)
	}
	rows, err := g.Audit(t.Context(), api.AuditQuery{Action: "all.apply"})
	must(t, err)
	seqs, names := map[int64]bool{}, []string{}
	for _, row := range rows.Items {
		seqs[row.Seq] = true
		names = append(names, strings.SplitN(row.Subject, ":", 2)[0])
	}
	slices.Sort(names)
	if len(seqs) != 1 || !slices.Equal(names, []string{"binding", "key", "set", "upstream", "user"}) {
		t.Errorf("the audit has %v in %d changes", names, len(seqs))
	}
	again := g.applyAll(t, team)
	if len(again.Changes) > 0 || again.Applied || again.Unchanged != 5 || again.Revision != 1 {
		t.Errorf("again: %+v", again)
	}
	rotated, err := g.RotateKey(t.Context(), "ci", api.RotateKey{})
	must(t, err)
	if rotated.Secret == "" {
		t.Error("the key has no secret after a rotation")
	}
	_, err = g.SetCredential(t.Context(), "eu", api.NewCredential{Name: "batch", Secret: "CANARY-secret"})
	must(t, err)
	if plan := g.applyAll(t, team); said(plan) != "" {
		t.Errorf("with secrets there is left %s", said(plan))
	}
	if upstream, err := g.Upstream(t.Context(), "eu"); err != nil || upstream.Credentials[slices.IndexFunc(upstream.Credentials, func(c api.Credential) bool { return c.Name == "batch" })].Last4 != "cret" {
		t.Errorf("the sealed secret is gone: %+v, %v", upstream.Credentials, err)
	}
	if key, err := g.Key(t.Context(), "ci"); err != nil || len(key.Secrets) != 1 {
		t.Errorf("the secret of the key is gone: %+v, %v", key, err)
	}
	for _, text := range []string{g.exportAll(t), g.log.String()} {
		if strings.Contains(text, "CANARY") || strings.Contains(text, rotated.Secret) {
			t.Errorf("a secret is told: %s", text)
		}
	}
}

func TestWhatAFileSaysOfAnObjectIsTheWholeOfIt(t *testing.T) {
	g := openStore(t)
	g.applyAll(t, team)
	g.createUser(t, api.NewUser{Name: "lee"})
	plan := g.applyAll(t, `users: [{name: dana, email: d@example.com}]
keys: [{name: ci, models: [gpt-*], enabled: false}]
upstreams: [{name: eu, provider: openai, url: https://eu.example.com/v2, credentials: [{name: batch, weight: 3}, {name: default}]}]
bindings: [{key: ci, upstream: eu, credential: batch, weight: 7}]
`)
	wantPlan(t, `change upstream eu [url: https://eu.example.com/v1 → https://eu.example.com/v2; credentials.batch.weight: 1 → 3; credentials.default.reference: env:EU_KEY → (none)]
change user dana [role: operator → member; email: (none) → d@example.com]
change key ci [user: dana → (none); limits: [600 requests/min] → (none); models: (none) → [gpt-*]; enabled: (none) → false]
change binding key ci → eu/batch [weight: 1 → 7]
next: credential batch of upstream eu has no secret yet: llmgw upstreams credential set eu --name batch --credential -
next: credential default of upstream eu has no secret yet: llmgw upstreams credential set eu --name default --credential -
next: key ci has no secret yet: llmgw keys rotate ci
`, plan)
	if plan.Unchanged != 2 { // lee, and the rule
		t.Errorf("%d unchanged", plan.Unchanged)
	}
}

func TestADryRunAndADiffStoreNothing(t *testing.T) {
	g := openStore(t)
	before := g.exportAll(t)
	dry, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources(team), DryRun: true})
	must(t, err)
	diff, err := g.Diff(t.Context(), api.DiffObjects{Files: sources(team)})
	must(t, err)
	if dry.Applied || len(dry.Changes) != 5 || said(dry) != said(diff) || dry.Digest != diff.Digest {
		t.Errorf("dry run %+v\ndiff %+v", dry, diff)
	}
	if after := g.exportAll(t); after != before {
		t.Errorf("something was stored: %s", after)
	}
	if rows, err := g.Audit(t.Context(), api.AuditQuery{Action: "all.*"}); err != nil || len(rows.Items) > 0 {
		t.Errorf("the audit tells of it: %v %v", rows.Items, err)
	}
	applied := g.applyAll(t, team)
	if said(applied) != said(dry) || applied.Digest != dry.Digest {
		t.Errorf("applied is %s, shown was %s", said(applied), said(dry))
	}
}

func TestPruneDeletesWhatNoFileNamesOfTheKindsThatTheFilesHold(t *testing.T) {
	g := openStore(t)
	g.applyAll(t, team)
	g.applyAll(t, `keys: [{name: old}]
users: [{name: lee}]
bindings: [{user: lee, upstream: eu}]
`, "set: more\nrules: [{name: slow, match: {model: [x]}, action: {upstream: eu}}]\n")
	must(t, func() error { _, err := g.ChatKey(t.Context()); return err }())
	g.createKey(t, api.NewKey{Name: "gone"})
	must(t, func() error { _, err := g.RevokeKey(t.Context(), "gone", api.RevokeKey{}); return err }())

	prune := func(texts ...string) (api.ObjectPlan, error) {
		return g.Apply(t.Context(), api.ApplyObjects{Files: sources(texts...), Prune: true})
	}
	plan, err := prune("keys: [{name: ci, user: dana, limits: [600/min]}]\n")
	must(t, err)
	plan.Next = nil
	wantPlan(t, "delete key old\n", plan)
	plan, err = prune(team)
	must(t, err)
	plan.Next = nil
	wantPlan(t, "delete user lee\ndelete rule slow\ndelete binding user lee → eu\n", plan)
	if keys, err := g.AllKeys(t.Context()); err != nil || len(keys) != 3 {
		t.Errorf("keys that no file can name are left alone; there are %v, %v", keys, err)
	}
	_, err = prune("users: []\nupstreams: []\n")
	refusedWith(t, err, api.CodeInUse, 409, `user "dana" is in use by key ci`, `upstream "eu" is in use by rule fast`, "bindings of key ci")
	plan, err = prune("users: []\nupstreams: []\nkeys: []\nrules: []\nbindings: []\n")
	must(t, err)
	wantPlan(t, "delete upstream eu\ndelete user dana\ndelete key ci\ndelete rule fast\ndelete binding key ci → eu/batch\n", plan)
}

func TestWithoutPruneNothingIsLost(t *testing.T) {
	g := openStore(t)
	g.applyAll(t, team)
	_, err := g.SetCredential(t.Context(), "eu", api.NewCredential{Name: "batch", Secret: "CANARY-secret"})
	must(t, err)
	const eu = "upstreams: [{name: eu, provider: openai, url: https://%s.example.com/v1, credentials: [%s]}]\n"
	for name, c := range map[string]struct{ file, lost string }{
		"a rule of a set": {"rules: []\n", "rule fast"},
		"a credential":    {fmt.Sprintf(eu, "eu", "{name: batch}") + "bindings: []\n", "credential default of upstream eu"},
		"a secret that cannot go along": {fmt.Sprintf(eu, "us", "{name: batch}, {name: default, reference: 'env:EU_KEY'}"),
			"sealed secret of credential batch of upstream eu, which goes to another address"},
		"a secret in whose place a reference comes": {fmt.Sprintf(eu, "eu", "{name: batch, reference: 'env:EU_BATCH'}, {name: default, reference: 'env:EU_KEY'}"),
			"sealed secret of credential batch of upstream eu, for which there is a reference now"},
	} {
		t.Run(name, func(t *testing.T) {
			before := g.exportAll(t)
			_, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources(c.file)})
			refusedWith(t, err, api.CodeWouldDelete, 409, "this would delete "+c.lost)
			if g.exportAll(t) != before {
				t.Error("something was stored")
			}
			diff, err := g.Diff(t.Context(), api.DiffObjects{Files: sources(c.file)})
			if err != nil || !strings.Contains(said(diff), c.lost) {
				t.Errorf("the diff is %s, %v", said(diff), err)
			}
		})
	}
	_, err = g.Apply(t.Context(), api.ApplyObjects{Files: sources(fmt.Sprintf(eu, "eu", "{name: default}")), Prune: true})
	refusedWith(t, err, api.CodeInUse, 409, "bindings of key ci")
	plan, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources(fmt.Sprintf(eu, "us", "{name: default}") + "bindings: [{key: ci, upstream: eu}]\n"), Prune: true})
	must(t, err)
	if upstream, err := g.Upstream(t.Context(), "eu"); err != nil || len(upstream.Credentials) != 1 {
		t.Errorf("%s leaves %+v, %v", said(plan), upstream.Credentials, err)
	}
}

func TestFilesAreRefusedWithAllThatIsWrongWithThem(t *testing.T) {
	g := openStore(t)
	g.applyAll(t, team)
	g.createKey(t, api.NewKey{Name: "gone"})
	must(t, func() error { _, err := g.RevokeKey(t.Context(), "gone", api.RevokeKey{}); return err }())
	chat, err := g.ChatKey(t.Context())
	must(t, err)
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"what the text tells": {[]string{`keys:
  - {name: a, tags: {one-use: "true"}, models: ["sk-lgw-x"]}
users:
  - {name: b, role: boss, email: nobody}
upstreams:
  - {name: c, provider: openai, url: "ftp://x", credentials: [{name: d, reference: "vault:x"}, {name: d}]}
  - {name: e, provider: azure}
bindings:
  - {upstream: c}
  - {key: a, user: b, upstream: c}
  - {tag: x, upstream: c}
`, "keys: [{name: a}]\n"}, `a.yaml:3:31 keys[0].tags.one-use: tags.one-use: is kept for the gateway's own keys
a.yaml:3:49 keys[0].models[0]: models[0]: looks like a key, which has no place here
a.yaml:5:21 users[0].role: role: is none of admin, operator, viewer, member
a.yaml:5:34 users[0].email: email: is not an address such as dana@example.com
a.yaml:7:38 upstreams[0].url: url: must begin with http:// or https://
a.yaml:7:84 upstreams[0].credentials[0].reference: credentials[0].reference: must be one of env, followed by a colon and a name
a.yaml:7:103 upstreams[0].credentials[1].name: credentials[1].name: is given twice
a.yaml:8:5 upstreams[1].url: url: is missing; this provider has no address of its own
a.yaml:10:5 bindings[0].key: key: give one of key, user and tag: whose the binding is
a.yaml:11:11 bindings[1].key: key: give one of key, user and tag: whose the binding is
a.yaml:12:11 bindings[2].tag: tag: is not NAME=VALUE
b.yaml:2:15 keys[0].name: another key has this name
`},
		"what is not there": {[]string{`keys: [{name: a, user: nobody}]
bindings:
  - {key: none, upstream: eu}
  - {user: nobody, upstream: nowhere}
  - {key: ci, upstream: eu, credential: other}
`}, `a.yaml:2:24 keys[0].user: user: no user "nobody" in the files or the gateway
a.yaml:4:11 bindings[0].key: key: no key "none" in the files or the gateway
a.yaml:5:12 bindings[1].user: user: no user "nobody" in the files or the gateway
a.yaml:5:30 bindings[1].upstream: upstream: no upstream "nowhere" in the files or the gateway
a.yaml:6:41 bindings[2].credential: credential: upstream "eu" has no credential "other"
`},
		"what cannot become what it says": {[]string{"keys: [{name: gone}, {name: " + chat.Name + "}]\nupstreams: [{name: eu, provider: anthropic}]\n"},
			`a.yaml:2:15 keys[0].name: name: the key was revoked, which is for good
a.yaml:2:29 keys[1].name: name: is that of a key of the gateway's own
a.yaml:3:34 upstreams[0].provider: provider: is openai, and an upstream keeps its provider
`},
		"what is named and cannot become what it says": {[]string{"keys: [{name: gone}]\nbindings: [{key: gone, upstream: eu}]\n"},
			"a.yaml:2:15 keys[0].name: name: the key was revoked, which is for good\n"},
		"more bindings than one caller may have": {[]string{"bindings:\n" + strings.Repeat("  - {tag: a=b, upstream: eu}\n", rules.MaxBindings+1)},
			"a.yaml:3:5 bindings[0]: tag a=b would have more than 64 bindings\n"},
		"a rule to an upstream that nobody has": {[]string{"set: x\nrules: [{name: z, action: {upstream: nowhere}}]\n"},
			"a.yaml:3:38 rules[0].action.upstream: unknown upstream \"nowhere\"\n"},
		"one set in two files": {[]string{"set: x\nrules: []\n", "set: x\nrules: []\n"}, "b.yaml:2:6 set: set \"x\" is given twice\n"},
	} {
		t.Run(name, func(t *testing.T) {
			before := g.exportAll(t)
			_, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources(c.files...)})
			refusal := refusedWith(t, err, api.CodeInvalid, 422)
			var got strings.Builder
			for _, p := range refusal.Problems {
				fmt.Fprintf(&got, "%s:%d:%d %s: %s\n", p.File, p.Line, p.Column, p.Field, p.Message)
			}
			if diff := cmp.Diff(c.want, got.String()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			_, err = g.Diff(t.Context(), api.DiffObjects{Files: sources(c.files...)})
			if asked := refusedWith(t, err, api.CodeInvalid, 422); !cmp.Equal(asked.Problems, refusal.Problems) {
				t.Errorf("a diff finds %v", asked.Problems)
			}
			if g.exportAll(t) != before {
				t.Error("something was stored")
			}
		})
	}
}

func TestAKeyThatEndedIsAppliedWithAWarning(t *testing.T) {
	g := openStore(t)
	const ended = "keys: [{name: a, expires: 2020-01-01}]\n"
	plan := g.applyAll(t, ended)
	if want := "warning: a.yaml:2:27 expires: is in the past: the key is of no use\n"; !strings.Contains(said(plan), want) {
		t.Errorf("it says %s", said(plan))
	}
	if plan := g.applyAll(t, ended); len(plan.Warnings) > 0 || len(plan.Changes) > 0 {
		t.Errorf("again it says %s", said(plan))
	}
}

func TestAnApplyIsBoundToWhatWasSeen(t *testing.T) {
	g := openStore(t)
	g.applyAll(t, team)
	stale := int64(0)
	_, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources("users: [{name: lee}]\n"), IfRevision: &stale})
	refusal := refusedWith(t, err, api.CodeConflict, 409, "rules changed since you read them (you have revision 0, now 1 by local")
	if refusal.Hint != "see: llmgw diff -f a.yaml; apply anyway: --if-revision 1" {
		t.Errorf("hint: %s", refusal.Hint)
	}
	shown, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources("keys: []\n"), Prune: true, DryRun: true})
	must(t, err)
	g.createKey(t, api.NewKey{Name: "new"}) // which moves no revision
	_, err = g.Apply(t.Context(), api.ApplyObjects{Files: sources("keys: []\n"), Prune: true, IfPlan: shown.Digest, IfRevision: &shown.Revision})
	refusedWith(t, err, api.CodeConflict, 409, "since you were shown the plan")
	if _, err := g.Key(t.Context(), "new"); err != nil {
		t.Errorf("a key that nobody agreed to lose: %v", err)
	}

	moved := sources("upstreams: [{name: eu, provider: openai, url: https://us.example.com/v1, credentials: [{name: default, reference: 'env:EU_KEY'}, {name: batch}]}]\n")
	shown, err = g.Apply(t.Context(), api.ApplyObjects{Files: moved, Prune: true, DryRun: true})
	must(t, err)
	_, err = g.SetCredential(t.Context(), "eu", api.NewCredential{Name: "batch", Secret: "CANARY-secret"})
	must(t, err)
	_, err = g.Apply(t.Context(), api.ApplyObjects{Files: moved, Prune: true, IfPlan: shown.Digest}) // which changes the same, and loses a secret
	refusedWith(t, err, api.CodeConflict, 409, "since you were shown the plan")
}

// staff is everybody, as users of the store.
func (g *gateway) staff(t testing.TB, base string) map[accounts.Role]string {
	t.Helper()
	tokens := map[accounts.Role]string{}
	for _, role := range accounts.Roles() {
		g.createUser(t, api.NewUser{Name: string(role), Role: string(role), Password: rightPassword})
		tokens[role] = login(t, base, string(role)).Access
	}
	return tokens
}

// TestAnApplyIsNoWayAroundTheRolesOfSingleEdits tries with each role what single
// edits refuse to it.
func TestAnApplyIsNoWayAroundTheRolesOfSingleEdits(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	tokens := g.staff(t, base)
	_, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources(team)})
	must(t, err)
	const eu = "upstreams: [{name: eu, provider: openai, url: %q, credentials: [{name: default, reference: %q}, {name: batch, weight: %d}]}]\n"
	for _, c := range []struct {
		what  string
		role  accounts.Role
		file  string
		prune bool
		want  string // in the refusal; empty: it is done
	}{
		{"a viewer applies nothing", accounts.RoleViewer, "users: []\n", false, "needs the role operator"},
		{"an operator makes an operator", accounts.RoleOperator, "users: [{name: lee, role: operator}]\n", false, ""},
		{"an operator makes an admin", accounts.RoleOperator, "users: [{name: max, role: admin}]\n", false, "does not cover the role admin"},
		{"an operator raises somebody", accounts.RoleOperator, "users: [{name: lee, role: admin}]\n", false, "does not cover the role admin"},
		{"an operator lowers an admin", accounts.RoleOperator, "users: [{name: admin, role: member}]\n", false, "does not cover the role admin"},
		{"an operator disables an admin", accounts.RoleOperator, "users: [{name: admin, role: admin, enabled: false}]\n", false, "does not cover the role admin"},
		{"an operator leaves an admin as they are", accounts.RoleOperator, "users: [{name: admin, role: admin}, {name: operator, role: operator}]\n", false, ""},
		{"an operator prunes an admin", accounts.RoleOperator, "users: [{name: operator, role: operator}, {name: dana}]\n", true, "does not cover the role admin"},
		{"an operator names a variable", accounts.RoleOperator, fmt.Sprintf(eu, "https://eu.example.com/v1", "env:HOME", 1), false, "need the role admin"},
		{"an operator makes an upstream with a variable", accounts.RoleOperator, "upstreams: [{name: x, provider: openai, credentials: [{name: a, reference: 'env:HOME'}]}]\n", false, "need the role admin"},
		{"an operator sends a variable elsewhere", accounts.RoleOperator, fmt.Sprintf(eu, "https://evil.example.com/v1", "env:EU_KEY", 1), false, "need the role admin"},
		{"an operator sends it elsewhere and takes it away", accounts.RoleOperator, "upstreams: [{name: eu, provider: openai, url: https://evil.example.com, credentials: [{name: batch}]}]\n", true, "need the role admin"},
		{"an operator leaves the variable as it is", accounts.RoleOperator, fmt.Sprintf(eu, "https://eu.example.com/v2", "env:EU_KEY", 2), false, ""},
		{"an admin names a variable", accounts.RoleAdmin, fmt.Sprintf(eu, "https://eu.example.com/v1", "env:HOME", 1), false, ""},
		{"an admin lowers themselves", accounts.RoleAdmin, "users: [{name: admin, role: operator}]\n", false, "nobody disables themselves"},
		{"an admin disables themselves", accounts.RoleAdmin, "users: [{name: admin, role: admin, enabled: false}]\n", false, "nobody disables themselves"},
		{"an admin changes their own tags", accounts.RoleAdmin, "users: [{name: admin, role: admin, tags: {a: b}}]\n", false, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			client := as(t, base, tokens[c.role])
			_, err := client.Apply(t.Context(), api.ApplyObjects{Files: sources(c.file), Prune: c.prune})
			if c.want == "" {
				must(t, err)
				return
			}
			refusedWith(t, err, api.CodeDenied, 403, c.want)
			if c.role == accounts.RoleViewer {
				return
			}
			if _, err := as(t, base, tokens[accounts.RoleViewer]).Diff(t.Context(), api.DiffObjects{Files: sources(c.file), Prune: c.prune}); err != nil {
				t.Errorf("a viewer may not even ask: %v", err)
			}
		})
	}
}

func TestNobodyDeletesThemselvesWithAnApply(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	tokens := g.staff(t, base)
	client := as(t, base, tokens[accounts.RoleAdmin])
	plan, err := client.Apply(t.Context(), api.ApplyObjects{Files: sources("users: [{name: viewer, role: viewer}]\n"), Prune: true})
	must(t, err)
	wantPlan(t, "delete user member\ndelete user operator\nwarning: :0:0 user \"admin\" is in no file and stays: nobody deletes themselves with an apply\n", plan)
	if me, err := client.Me(t.Context()); err != nil || me.User != "admin" {
		t.Errorf("admin is %+v, %v", me, err)
	}
}

// anyTeam draws files of every kind that go together.
func anyTeam(t *rapid.T) string {
	some := func(what string, most int) []int {
		var all []int
		for i := range rapid.IntRange(0, most).Draw(t, what) {
			all = append(all, i)
		}
		return all
	}
	models := func() string {
		return rapid.SampledFrom([]string{"", ", models: [gpt-*]", ", models: ['a*', '!ab']"}).Draw(t, "models")
	}
	upstreams, users, keys := some("upstreams", 3), some("users", 3), some("keys", 4)
	var b strings.Builder
	b.WriteString("version: 1\nupstreams:\n  - {name: base, provider: generic, auth: none, url: 'https://base.example.com'}\n")
	for _, i := range upstreams {
		fmt.Fprintf(&b, "  - {name: u%d, provider: openai, url: 'https://u%d.example.com/v%d', max_idle: %d, credentials: [{name: a, reference: 'env:A%d'}, {name: b, weight: %d}]%s}\n",
			i, i, rapid.IntRange(1, 2).Draw(t, "path"), i, i, rapid.IntRange(1, 3).Draw(t, "weight"), models())
	}
	b.WriteString("users: []\n")
	if len(users) > 0 {
		b.WriteString("---\nversion: 1\nusers:\n")
	}
	for _, i := range users {
		fmt.Fprintf(&b, "  - {name: p%d, role: %s, enabled: %t}\n", i, rapid.SampledFrom(accounts.Roles()).Draw(t, "role"), rapid.Bool().Draw(t, "enabled"))
	}
	fmt.Fprintf(&b, "---\nversion: 1\nbindings: []\nkeys:%s\n", map[bool]string{true: " []"}[len(keys) == 0])
	for _, i := range keys {
		owner := ""
		if len(users) > 0 && rapid.Bool().Draw(t, "owned") {
			owner = fmt.Sprintf(", user: p%d", rapid.SampledFrom(users).Draw(t, "owner"))
		}
		fmt.Fprintf(&b, "  - {name: k%d%s%s, tags: {n: \"%d\"}, expires: %d-01-01, enabled: %t}\n", i, owner, models(), i, rapid.IntRange(2020, 2040).Draw(t, "year"), rapid.Bool().Draw(t, "enabled"))
	}
	fmt.Fprintf(&b, "---\nversion: 1\nset: s%d\nrules:\n  - {name: r, match: {model: [x]}, action: {upstreams: [{name: base, weight: %d}]}}\n", rapid.IntRange(0, 1).Draw(t, "set"), rapid.IntRange(1, 3).Draw(t, "weight"))
	b.WriteString("---\nversion: 1\nbindings:\n  - {tag: a=b, upstream: base}\n")
	for range rapid.IntRange(0, 4).Draw(t, "bindings") {
		who := "tag: n=1"
		if len(keys) > 0 && rapid.Bool().Draw(t, "key") {
			who = fmt.Sprintf("key: k%d", rapid.SampledFrom(keys).Draw(t, "of"))
		}
		to := "base"
		if len(upstreams) > 0 && rapid.Bool().Draw(t, "away") {
			to = fmt.Sprintf("u%d, credential: b", rapid.SampledFrom(upstreams).Draw(t, "to"))
		}
		fmt.Fprintf(&b, "  - {%s, upstream: %s, order: %d%s}\n", who, to, rapid.IntRange(1, 2).Draw(t, "order"), models())
	}
	return b.String()
}

// TestAnExportIsWhatWasApplied goes from one random state to the next: what is
// exported differs in nothing from what is there, and makes the same of an empty
// gateway.
func TestAnExportIsWhatWasApplied(t *testing.T) {
	g, empty := openStore(t), openStore(t)
	nothing := sources("upstreams: []\nusers: []\nkeys: []\nbindings: []\nrules: []\n")
	rapid.Check(t, func(r *rapid.T) {
		files := []api.Source{{Name: "team.yaml", Content: anyTeam(r)}}
		shown, err := g.Diff(t.Context(), api.DiffObjects{Files: files, Prune: true})
		if err != nil {
			r.Fatalf("%v\n%s", err, files[0].Content)
		}
		applied, err := g.Apply(t.Context(), api.ApplyObjects{Files: files, Prune: true, IfPlan: shown.Digest})
		if err != nil {
			r.Fatalf("%v\n%s", err, files[0].Content)
		}
		if said(applied) != said(shown) || applied.Applied != (len(shown.Changes) > 0) {
			r.Fatalf("applied %s\nshown %s", said(applied), said(shown))
		}
		export, err := g.Export(t.Context())
		if err != nil {
			r.Fatal(err)
		}
		text := []api.Source{{Name: "export.yaml", Content: oneStream(export)}}
		for _, again := range [][]api.Source{files, text} {
			plan, err := g.Diff(t.Context(), api.DiffObjects{Files: again, Prune: true})
			if err != nil || len(plan.Changes)+len(plan.Lost) > 0 {
				r.Fatalf("there is left %s, %v\n%s", said(plan), err, again[0].Content)
			}
		}
		for _, step := range [][]api.Source{nothing, text} {
			if _, err := empty.Apply(t.Context(), api.ApplyObjects{Files: step, Prune: true}); err != nil {
				r.Fatalf("%v\n%s", err, step[0].Content)
			}
		}
		other, err := empty.Export(t.Context())
		if diff := cmp.Diff(export.Documents, other.Documents); diff != "" || err != nil {
			r.Fatalf("another gateway made of it (-want +got):\n%s%v", diff, err)
		}
	})
}

// TestAnApplyLeavesAnAdminWhoCanLogIn asks where nobody is asked who they are: the
// caller, who is nobody, is in no way kept from lowering the last admin.
func TestAnApplyLeavesAnAdminWhoCanLogIn(t *testing.T) {
	g := openStore(t)
	g.createUser(t, api.NewUser{Name: "dana", Role: "admin", Password: rightPassword})
	g.open = true
	g.restart(t, nil)
	nobody := as(t, g.listen(t), "")
	for what, file := range map[string]string{
		"demoted":  "users: [{name: dana, role: viewer}]\n",
		"disabled": "users: [{name: dana, role: admin, enabled: false}]\n",
		"pruned":   "users: []\n",
	} {
		t.Run(what, func(t *testing.T) {
			_, err := nobody.Apply(t.Context(), api.ApplyObjects{Files: sources(file), Prune: true})
			refusedWith(t, err, api.CodeInUse, 409, `user "dana" is the last admin who can log in`)
		})
	}
	_, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources("users: [{name: dana, role: viewer}]\n")})
	must(t, err) // at the socket there is always a way back
}

func TestFilesNameNoUserAfterCallersWhoAreNone(t *testing.T) {
	g := openStore(t)
	_, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources("users: [{name: local}, {name: open}]\n")})
	refusedWith(t, err, api.CodeInvalid, 422, "is kept for callers who are no users")
}

func TestAnApplyLeavesADrainingUpstreamDraining(t *testing.T) {
	g := openStore(t)
	g.applyAll(t, team)
	_, err := g.DrainUpstream(t.Context(), "eu")
	must(t, err)
	if plan := g.applyAll(t, team); len(plan.Changes) > 0 {
		t.Errorf("applying the same again does %s", said(plan))
	}
	if up, err := g.Upstream(t.Context(), "eu"); err != nil || !up.Draining {
		t.Errorf("afterwards it is %+v, %v", up, err)
	}
}
