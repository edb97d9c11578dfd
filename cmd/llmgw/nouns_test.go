package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

// scripted runs a command as a script does: nobody can be asked.
func scripted(t *testing.T, at, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	var o, e bytes.Buffer
	code = run(context.Background(), shell{args: append(args, "--server", at), in: strings.NewReader(stdin), out: &o, err: &e})
	return code, o.String(), e.String()
}

const (
	danaJSON = `{"id":"user_1","name":"dana","role":"member","enabled":true,"has_password":true,"keys":2,
		"tags":{"team":"search"},"email":"d@example.com","created_at":"2026-11-01T00:00:00Z","etag":"3"}`
	leeJSON = `{"id":"user_2","name":"lee","role":"viewer","enabled":false,"created_at":"2026-11-02T00:00:00Z","etag":"4"}`
	botJSON = `{"id":"key_1","name":"ci-bot","user":"dana","tags":{"env":"ci"},"models":["gpt-5*"],"limits":["600 requests/min"],
		"enabled":true,"state":"active","last4":"abcd","secrets":[{"last4":"abcd","created_at":"2026-11-01T00:00:00Z"},
		{"last4":"wxyz","created_at":"2026-10-01T00:00:00Z","expires_at":"2026-11-02T00:00:00Z"}],
		"created_at":"2026-10-01T00:00:00Z","expires_at":"2027-02-20T00:00:00Z","etag":"5"}`
	oldJSON = `{"id":"key_2","name":"old","enabled":true,"state":"revoked","created_at":"2026-10-01T00:00:00Z","etag":"6"}`
	euJSON  = `{"id":"up_1","name":"eu","provider":"openai","url":"https://eu.example.com","enabled":true,"state":"enabled","in_flight":2,"timeouts":{"connect":"5s","idle":"1m"},
		"credentials":[{"id":"cred_1","name":"default","last4":"x4Qd","usable":true,"weight":1,"enabled":true},
		{"id":"cred_2","name":"batch","reference":"env:BATCH","last4":"9999","usable":true,"weight":3,"enabled":false,"last_error":"401 2 min ago"}],
		"created_at":"2026-10-01T00:00:00Z","etag":"7"}`
	soleJSON = `{"id":"up_2","name":"us","provider":"openai","url":"https://us.example.com","enabled":true,
		"credentials":[{"id":"cred_3","name":"main","last4":"1111","usable":true,"weight":1,"enabled":true}],
		"created_at":"2026-10-01T00:00:00Z","etag":"8"}`
	keyBinding  = `{"id":"bind_1","key":"ci-bot","upstream":"eu","credential":"batch","order":10,"weight":1,"created_at":"2026-10-01T00:00:00Z","etag":"9"}`
	userBinding = `{"id":"bind_2","user":"dana","upstream":"us","order":100,"weight":2,"models":["gpt-*"],"created_at":"2026-10-01T00:00:00Z","etag":"9"}`
	tagBinding  = `{"id":"bind_3","tag":"env=ci","upstream":"us","order":100,"weight":1,"created_at":"2026-10-01T00:00:00Z","etag":"9"}`
	grant       = `{"seq":7,"revision":3,"time":"2026-11-03T10:00:00Z","actor":"lee","from":"192.0.2.1","action":"user.edit","subject":"user:user_1",
		"name":"dana","message":"on call","before":{"role":"member","email":"d@example.com"},"after":{"role":"operator","tags":{"a":"b"}}}`
)

func answersOfAGateway() map[string]string {
	return map[string]string{
		"GET /users": `{"items":[` + danaJSON + `,` + leeJSON + `]}`, "GET /users/dana": danaJSON, "GET /users/lee": leeJSON,
		"POST /users": leeJSON, "PATCH /users/dana": danaJSON, "PATCH /users/lee": leeJSON, "DELETE /users/lee": "",
		"PUT /users/dana/password": "", "GET /me": `{"user":"local","role":"admin","via":"socket"}`,
		"GET /keys": `{"items":[` + botJSON + `,` + oldJSON + `]}`, "GET /keys/ci-bot": botJSON, "PATCH /keys/ci-bot": botJSON,
		"POST /keys":               `{"secret":"sk-lgw-new",` + botJSON[1:],
		"POST /keys/ci-bot/rotate": `{"secret":"sk-lgw-next",` + botJSON[1:],
		"POST /keys/ci-bot/revoke": botJSON, "DELETE /keys/ci-bot": "", "DELETE /keys/old": "",
		"GET /upstreams/eu": euJSON, "GET /upstreams/us": soleJSON, "PATCH /upstreams/eu": euJSON, "GET /upstreams": `{"items":[` + euJSON + `]}`,
		"POST /upstreams/us/test":              `{"ok":true,"method":"GET","url":"u","status":200,"duration_ms":3}`,
		"POST /upstreams/us/credential/rotate": soleJSON, "POST /upstreams/us/credentials/main/clear": soleJSON,
		"POST /upstreams/eu/credentials/batch/enable": euJSON, "POST /upstreams/us/credentials/main/disable": soleJSON,
		"GET /bindings":  `{"items":[` + keyBinding + `,` + userBinding + `,` + tagBinding + `]}`,
		"POST /bindings": keyBinding, "GET /bindings/bind_2": userBinding, "POST /bindings/bind_2/move": userBinding,
		"DELETE /bindings/bind_1": "", "DELETE /bindings/bind_3": "",
	}
}

// TestACommandAsksForWhatWasTyped: what a command line makes of itself, and what
// is shown of the answer.
func TestACommandAsksForWhatWasTyped(t *testing.T) {
	for _, c := range []struct {
		name  string
		typed string // the command, its words parted by one blank
		stdin string
		code  int
		calls []string // the changes that were asked for
		out   string   // stdout
		errs  string   // part of stderr
	}{
		{"a user without a password", "users create lee --role viewer --email l@example.com --tag team=a", "", exitDone,
			[]string{`POST /users {"name":"lee","email":"l@example.com","role":"viewer","tags":{"team":"a"}}`},
			"created user lee (id user_2, role viewer, no password yet: llmgw users password lee)\n", ""},
		{"a user with a password from stdin", "users create lee --password-file -", "hunter2hunter2\n", exitDone,
			[]string{`POST /users {"name":"lee","password":"hunter2hunter2"}`},
			"created user lee (id user_2, role viewer, no password yet: llmgw users password lee)\n", ""},
		{"an edit says what was given only", "user edit dana --role operator", "", exitDone,
			[]string{`PATCH /users/dana {"role":"operator"}`}, "changed user dana\n", ""},
		{"an empty tag takes tags away", "users edit dana --tag  --name dana2", "", exitDone,
			[]string{`PATCH /users/dana {"name":"dana2","tags":{}}`}, "changed user dana\n", ""},
		{"an edit of nothing", "users edit dana", "", exitUsage, nil, "", "nothing to change was given"},
		{"an edit of nothing, with a flag of every command", "users edit dana --yes", "", exitUsage, nil, "", "nothing to change was given"},
		{"several users are disabled", "users disable dana lee", "", exitDone,
			[]string{`PATCH /users/dana {"enabled":false}`, `PATCH /users/lee {"enabled":false}`}, "", "disabled user dana\ndisabled user lee\n"},
		{"some of them are not there", "users enable dana nobody", "", exitPartly,
			[]string{`PATCH /users/dana {"enabled":true}`, `PATCH /users/nobody {"enabled":true}`}, "", "1 of 2 done"},
		{"deleting asks where it can", "users delete lee", "", exitUsage, nil, "", "users delete needs --yes where nobody can be asked"},
		{"names from stdin want --yes", "users delete -", "lee\n", exitUsage, nil, "", "users delete needs --yes where names come from stdin"},
		{"deleting what stdin names", "users delete - --yes", "lee\n", exitDone, []string{"DELETE /users/lee"}, "", "deleted user lee"},
		{"a user that is not there", "users get nobody", "", exitNotFound, nil, "", "nothing at"},
		{"a password from stdin", "users password dana", "hunter2hunter2\n", exitDone,
			[]string{`PUT /users/dana/password {"password":"hunter2hunter2"}`}, "", "set the password of user dana"},
		{"a password taken away", "users password dana --clear", "", exitDone,
			[]string{`PUT /users/dana/password {"password":""}`}, "", "user dana has no password any more"},
		{"an empty password is a slip", "users password dana", "\n", exitUsage, nil, "", "the secret from stdin is empty"},
		{"a password and none", "users password dana --clear --password-file x", "", exitUsage, nil, "", "not both"},
		{"a password in a flag", "users create lee --password hunter2", "", exitUsage, nil, "", "do not put a password on the command line"},
		{"a password in a flag, with =", "users password dana --password=hunter2", "", exitUsage, nil, "", "do not put a password on the command line"},
		{"a password as an argument", "users password dana hunter2", "", exitUsage, nil, "", "do not put a password on the command line"},

		{"a key with all that can be said", "keys create ci-bot --user dana --models gpt-5*,claude-* --limit 600/min --limit $50/day --expires 2099-02-20 --tag env=ci", "", exitDone,
			[]string{`POST /keys {"name":"ci-bot","user":"dana","tags":{"env":"ci"},"models":["gpt-5*","claude-*"],"limits":["600 requests/min","$50/day"],"expires_at":"2099-02-20T00:00:00Z"}`},
			"sk-lgw-new\n", "created key ci-bot (id key_1, user dana, expires 2027-02-20); binding: eu/batch, us\n"},
		{"a limit that is none", "keys create x --limit lots", "", exitUsage, nil, "", `limit "lots": not a limit`},
		{"a key is edited", "keys edit ci-bot --user  --models  --limit  --expires never", "", exitDone,
			[]string{`PATCH /keys/ci-bot {"user":"","models":[],"limits":[],"expires_at":""}`}, "changed key ci-bot\n", ""},
		{"the end of a key is moved", "keys edit ci-bot --expires 2099-02-20", "", exitDone,
			[]string{`PATCH /keys/ci-bot {"expires_at":"2099-02-20T00:00:00Z"}`}, "changed key ci-bot\n", ""},
		{"a key is rotated", "keys rotate ci-bot", "", exitDone,
			[]string{`POST /keys/ci-bot/rotate {"grace":"24h0m0s"}`}, "sk-lgw-next\n", "rotated key ci-bot (id key_1); the old one stays valid for 24h\n"},
		{"a key is rotated without a grace", "keys rotate ci-bot --grace 0", "", exitDone,
			[]string{`POST /keys/ci-bot/rotate {"grace":"0s"}`}, "sk-lgw-next\n", "the old one is no longer valid\n"},
		{"a grace that is none", "keys rotate ci-bot --grace soon", "", exitUsage, nil, "", `--grace: "soon" is not a duration`},
		{"a key is revoked", "keys revoke ci-bot --yes", "", exitDone, []string{`POST /keys/ci-bot/revoke {}`}, "", "revoked key ci-bot\n"},
		{"its streams are kept", "keys revoke ci-bot --yes --keep-streams", "", exitDone,
			[]string{`POST /keys/ci-bot/revoke {"keep_streams":true}`}, "", "revoked key ci-bot\n"},
		{"revoking asks where it can", "keys revoke ci-bot", "", exitUsage, nil, "", "keys revoke needs --yes"},
		{"a key is disabled", "keys disable ci-bot", "", exitDone, []string{`PATCH /keys/ci-bot {"enabled":false}`}, "", "disabled key ci-bot\n"},
		{"keys are deleted", "keys delete ci-bot old --yes", "", exitDone, []string{"DELETE /keys/ci-bot", "DELETE /keys/old"}, "", "deleted key old\n"},
		{"limits are set", "keys limits set ci-bot 600/min $50/day", "", exitDone,
			[]string{`PATCH /keys/ci-bot {"limits":["600 requests/min","$50/day"]}`}, "limits of key ci-bot: 600 requests/min\n", ""},
		{"limits are taken away", "keys limits clear ci-bot", "", exitDone,
			[]string{`PATCH /keys/ci-bot {"limits":[]}`}, "limits of key ci-bot: 600 requests/min\n", ""},
		{"no limits to set", "keys limits set ci-bot", "", exitUsage, nil, "", "missing argument LIMIT"},

		{"an upstream is edited", "upstreams edit eu --url https://other.example.com --models  --websocket=false --no-test", "", exitDone,
			[]string{`PATCH /upstreams/eu {"url":"https://other.example.com","models":[],"websocket":false}`}, "changed upstream eu\n", ""},
		{"a deadline leaves the others", "upstreams edit eu --stream-idle-timeout 2m --no-test", "", exitDone,
			[]string{`PATCH /upstreams/eu {"timeouts":{"connect":"5s","idle":"2m"}}`}, "changed upstream eu\n", ""},
		{"an edit of nothing but the test", "upstreams edit eu --no-test", "", exitUsage, nil, "", "nothing to change was given"},
		{"the only credential is rotated", "upstreams credential rotate us --no-test", "sk-other\n", exitDone,
			[]string{`POST /upstreams/us/credential/rotate {"name":"main","secret":"sk-other"}`}, "rotated credential of upstream us (sealed …1111)\n", ""},
		{"a rotated credential is tested", "upstreams credential rotate us --credential-from-env OTHER", "", exitDone,
			[]string{`POST /upstreams/us/credential/rotate {"name":"main","reference":"env:OTHER"}`, "POST /upstreams/us/test"},
			"rotated credential of upstream us (sealed …1111)\n", "tested: 200 in 3 ms"},
		{"one of several must be named", "upstreams credential rotate eu", "sk-other\n", exitUsage, nil, "", `upstream "eu" has 2 credentials; say which: --name NAME`},
		{"a secret as an argument", "upstreams credential rotate us sk-other", "", exitUsage, nil, "", "do not put a key on the command line"},
		{"a credential is enabled", "upstreams credential enable eu --name batch", "", exitDone,
			[]string{"POST /upstreams/eu/credentials/batch/enable"}, "enabled credential of upstream eu (sealed …x4Qd, env:BATCH …9999)\n", ""},
		{"a credential is disabled", "upstreams credential disable us", "", exitDone,
			[]string{"POST /upstreams/us/credentials/main/disable"}, "disabled credential of upstream us (sealed …1111)\n", ""},
		{"clearing a credential asks where it can", "upstreams credential clear us", "", exitUsage, nil, "", "upstreams credential clear needs --yes"},
		{"a credential is cleared", "upstreams credential clear us --yes", "", exitDone,
			[]string{"POST /upstreams/us/credentials/main/clear"}, "cleared credential of upstream us (sealed …1111)\n", ""},

		{"a key is bound to a credential", "bindings create --key ci-bot --upstream eu/batch --order 0", "", exitDone,
			[]string{`POST /bindings {"key":"ci-bot","upstream":"eu","credential":"batch","order":0,"weight":1}`},
			"created binding bind_1 (key ci-bot → eu/batch, order 10, weight 1)\n", ""},
		{"a tag is bound for some models", "bindings create --tag env=ci --upstream us --weight 3 --models gpt-*,!gpt-4*", "", exitDone,
			[]string{`POST /bindings {"tag":"env=ci","upstream":"us","weight":3,"models":["gpt-*","!gpt-4*"]}`},
			"created binding bind_1 (key ci-bot → eu/batch, order 10, weight 1)\n", ""},
		{"a binding for nobody", "bindings create --upstream eu", "", exitUsage, nil, "", "give one of --key, --user and --tag"},
		{"a binding for two", "bindings create --key a --user b --upstream eu", "", exitUsage, nil, "", "give one of --key, --user and --tag"},
		{"a binding to nowhere", "bindings create --key a", "", exitUsage, nil, "", "missing flag --upstream"},
		{"a tag without a value", "bindings create --tag env --upstream eu", "", exitUsage, nil, "", `--tag "env": write NAME=VALUE`},
		{"a binding is moved", "binding move bind_2 --order 5", "", exitDone, []string{`POST /bindings/bind_2/move {"order":5}`},
			"moved binding bind_2 (user dana → us, order 100, weight 2)\n", ""},
		{"a binding is moved to nowhere", "bindings move bind_2", "", exitUsage, nil, "", "missing flag --order"},
		{"bindings are deleted", "bindings delete bind_1 - --yes", "bind_3\n", exitDone,
			[]string{"DELETE /bindings/bind_1", "DELETE /bindings/bind_3"}, "", "deleted binding bind_3\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAPI(t, answersOfAGateway())
			code, out, errs := scripted(t, f.URL, c.stdin, strings.Split(c.typed, " ")...)
			if code != c.code {
				t.Errorf("it ended with %d, want %d: %s", code, c.code, errs)
			}
			if diff := cmp.Diff(c.calls, f.changes()); len(c.calls)+len(f.changes()) > 0 && diff != "" {
				t.Errorf("other calls than wanted: %s", diff)
			}
			if diff := cmp.Diff(c.out, out); diff != "" {
				t.Errorf("stdout: %s", diff)
			}
			if !strings.Contains(errs, c.errs) {
				t.Errorf("stderr does not say %q:\n%s", c.errs, errs)
			}
			if strings.Contains(errs+out, "hunter2") || strings.Contains(errs+out, "sk-other") {
				t.Errorf("a secret is shown:\n%s%s", out, errs)
			}
		})
	}
}

func TestAListIsATableForPeopleAndJSONForPrograms(t *testing.T) {
	for _, c := range []struct {
		name, typed, want string
	}{
		{"users", "users list", "" +
			"NAME  ON  ROLE    EMAIL          KEYS  PASSWORD  LOGIN  TAGS\n" +
			"dana  ●   member  d@example.com  2     yes       never  team=search\n" +
			"lee   ○   viewer  -              0     no        never  -\n"},
		{"users of a role", "users list --role viewer --columns name --no-headers", "lee\n"},
		{"keys", "keys list", "" +
			"NAME    KEY           USER  STATE    EXPIRES     USED   LIMITS            TAGS\n" +
			"ci-bot  sk-lgw-…abcd  dana  active   2027-02-20  never  600 requests/min  env=ci\n" +
			"old     -             -     revoked  -           never  -                 -\n"},
		{"keys of a user", "keys list --user dana --columns name --no-headers", "ci-bot\n"},
		{"keys in a state", "keys list --state revoked --columns name --no-headers", "old\n"},
		{"keys with a tag", "keys list --tag env --columns name --no-headers", "ci-bot\n"},
		{"keys with another value of a tag", "keys list --tag env=prod -o json", "{\n  \"items\": []\n}\n"},
		{"bindings", "bindings list", "" +
			"ID      CALLER      UPSTREAM  ORDER  WEIGHT  MODELS\n" +
			"bind_1  key ci-bot  eu/batch  10     1       -\n" +
			"bind_2  user dana   us        100    2       gpt-*\n" +
			"bind_3  tag env=ci  us        100    1       -\n"},
		{"bindings of a user", "bindings list --user dana --jq .items[].id", "bind_2\n"},
		{"bindings of a tag", "bindings list --tag env=ci --jq .items[].id", "bind_3\n"},
		{"bindings to a credential", "bindings list --upstream eu/batch --jq .items[].id", "bind_1\n"},
		{"bindings to an upstream", "bindings list --upstream us --jq .items[].id", "bind_2\nbind_3\n"},
		{"several users as JSON are a list", "users get dana lee --jq .items[].role", "member\nviewer\n"},
		{"a key", "keys get ci-bot", "" +
			"name     ci-bot\nid       key_1\nuser     dana\nstate    active\n" +
			"key      sk-lgw-…abcd, made 2026-11-01 00:00:00Z\n" +
			"key      sk-lgw-…wxyz, made 2026-10-01 00:00:00Z, ends 2026-11-02 00:00:00Z\n" +
			"models   gpt-5*\nlimits   600 requests/min\ntags     env=ci\ncreated  2026-10-01\nexpires  2027-02-20\nrevoked  -\nused     never\n"},
		{"a user", "users get dana", "" +
			"name      dana\nid        user_1\nrole      member\nenabled   yes\nemail     d@example.com\nkeys      2\npassword  yes\n" +
			"login     never\ntags      team=search\ncreated   2026-11-01\n"},
		{"a binding", "bindings get bind_2", "" +
			"id        bind_2\ncaller    user dana\nupstream  us\norder     100\nweight    2\nmodels    gpt-*\ncreated   2026-10-01\n"},
		{"an upstream with two credentials", "upstreams get eu", "" +
			"name        eu\nid          up_1\nprovider    openai\nurl         https://eu.example.com\nauth        -\nstate       enabled\nin flight   2\n" +
			"credential  default: sealed …x4Qd\n" +
			"credential  batch: env:BATCH …9999, weight 3, disabled, last error 401 2 min ago\n" +
			"wires       -\nmodels      -\nwebsocket   no\ncreated     2026-10-01\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAPI(t, answersOfAGateway())
			code, out, errs := scripted(t, f.URL, "", strings.Split(c.typed, " ")...)
			if code != exitDone || errs != "" {
				t.Errorf("it ended with %d: %s", code, errs)
			}
			if diff := cmp.Diff(c.want, out); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheAuditShowsWhatAChangeDidToFields(t *testing.T) {
	f := newFakeAPI(t, map[string]string{"GET /audit?limit=50": `{"items":[` + grant + `]}`})
	_, out, _ := scripted(t, f.URL, "", "audit", "list")
	want := "TIME                  ACTOR  FROM       ACTION     KIND  NAME  MESSAGE\n" +
		"2026-11-03 10:00:00Z  lee    192.0.2.1  user.edit  user  dana  on call\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	_, out, _ = scripted(t, f.URL, "", "audit", "list", "--columns", "revision,changes", "--no-headers")
	if diff := cmp.Diff("3  email: - d@example.com; role: member → operator; tags: + {\"a\":\"b\"}\n", out); diff != "" {
		t.Error(diff)
	}
	_, out, _ = scripted(t, f.URL, "", "audit", "list", "-o", "json", "--jq", ".items[0] | .before.role, .after.role")
	if out != "member\noperator\n" {
		t.Errorf("JSON has %q", out)
	}
}

func TestAChangeOfAnObjectIsToldByItsFields(t *testing.T) {
	object := func(text string) (o map[string]any) {
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, c := range []struct{ name, before, after, want string }{
		{"made", "null", `{"a":"b","n":1}`, "made; a: + b; n: + 1"},
		{"removed", `{"a":"b"}`, "null", "removed; a: - b"},
		{"left as it was", `{"a":["b"]}`, `{"a":["b"]}`, "-"},
		{"another value", `{"on":true,"a":"b"}`, `{"on":false,"a":"b"}`, "on: true → false"},
		{"a list that grew and shrank", `{"models":["a","b"]}`, `{"models":["b","c"]}`, "models: - a + c"},
		{"a list that grew", `{"secrets":[{"last4":"a"}]}`, `{"secrets":[{"last4":"a"},{"last4":"b"}]}`, `secrets: + {"last4":"b"}`},
		{"a list in another order", `{"rules":["a","b"]}`, `{"rules":["b","a"]}`, "rules: in another order"},
		{"a list that came", `{}`, `{"models":["a","b"]}`, "models: + a,b"},
		{"fields within a field", `{"settings":{"connect":"3s","wires":["a"]}}`, `{"settings":{"connect":"5s","wires":["a"],"models":["m"]}}`,
			"settings.connect: 3s → 5s; settings.models: + m"},
		{"an object instead of a text", `{"a":"x"}`, `{"a":{"b":1}}`, `a: x → {"b":1}`},
	} {
		if got := auditChanges(api.AuditEntry{Before: object(c.before), After: object(c.after)}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTheAuditIsReadPageByPage(t *testing.T) {
	pages := map[string]string{
		"GET /audit?action=user.%2A&actor=lee&limit=1000":          `{"items":[` + grant + `],"next":"a"}`,
		"GET /audit?action=user.%2A&actor=lee&cursor=a&limit=1000": `{"items":[` + grant + `]}`,
		"GET /audit?limit=3":          `{"items":[` + grant + `,` + grant + `],"next":"b"}`,
		"GET /audit?cursor=b&limit=1": `{"items":[` + grant + `],"next":"c"}`,
	}
	f := newFakeAPI(t, pages)
	code, out, errs := scripted(t, f.URL, "", "audit", "list", "--actor", "lee", "--action", "user.*", "--limit", "0", "--jq", ".items | length")
	if code != exitDone || out != "2\n" {
		t.Errorf("it ended with %d and %q: %s", code, out, errs)
	}
	code, out, _ = scripted(t, f.URL, "", "audit", "list", "--limit", "3", "--columns", "name")
	if code != exitDone || out != "NAME\ndana\ndana\ndana\nthe newest 3 · all of them: --limit 0\n" {
		t.Errorf("it ended with %d and %q", code, out)
	}
	for _, args := range [][]string{{"--since", "soon"}, {"--until", "-3h"}, {"--limit", "-1"}} {
		if code, _, errs := scripted(t, f.URL, "", append([]string{"audit", "list"}, args...)...); code != exitUsage {
			t.Errorf("%q ended with %d: %s", args, code, errs)
		}
	}
	if asked := f.questions(); len(asked) != 4 {
		t.Errorf("asked %q", asked)
	}
}

func TestASpanOfTheAuditIsSentAsTimes(t *testing.T) {
	f := newFakeAPI(t, map[string]string{"GET /audit?limit=50&since=2026-11-01T00%3A00%3A00Z&until=2026-11-02T10%3A00%3A00Z": `{"items":[]}`})
	code, _, errs := scripted(t, f.URL, "", "audit", "list", "--since", "2026-11-01", "--until", "2026-11-02T12:00:00+02:00")
	if code != exitDone {
		t.Errorf("it ended with %d: %s; asked %q", code, errs, f.questions())
	}
}

func TestOnesOwnPasswordIsChangedWithTheOneInForce(t *testing.T) {
	answers := answersOfAGateway()
	answers["GET /me"] = `{"user":"dana","role":"member","via":"login"}`
	f := newFakeAPI(t, answers)
	code, _, errs := scripted(t, f.URL, "next-password\n", "users", "password", "dana")
	if code != exitUsage || !strings.Contains(errs, "--current-password-file is missing") {
		t.Errorf("it ended with %d: %s", code, errs)
	}
	file := filepath.Join(t.TempDir(), "current")
	if err := os.WriteFile(file, []byte("this-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs = scripted(t, f.URL, "next-password\n", "users", "password", "dana", "--current-password-file", file)
	if code != exitDone {
		t.Errorf("it ended with %d: %s", code, errs)
	}
	if diff := cmp.Diff([]string{`PUT /users/dana/password {"password":"next-password","current":"this-password"}`}, f.changes()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(errs, "password\"") || strings.Contains(errs, "this-password") {
		t.Errorf("it says %s", errs)
	}
}
