package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func TestStatusPutsTheNodeAndTheStoreTogether(t *testing.T) {
	g := applied(t)
	_, err := g.DisableRule(t.Context(), "gpt")
	must(t, err)
	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot"})
	must(t, err)
	_, err = g.ChatKey(t.Context())
	must(t, err)
	list, err := g.Rules(t.Context())
	must(t, err)

	status, err := g.Status(t.Context())
	must(t, err)
	if status.Node != "a1" || status.InFlight != 3 {
		t.Errorf("what the node knows is lost: %+v", status)
	}
	if status.Rules.Enabled != 2 || status.Rules.Disabled != 1 || status.Rules.Revision != list.Revision ||
		status.Rules.ChangedBy != "local" || status.Rules.ChangedAt.IsZero() {
		t.Errorf("rules are %+v", status.Rules)
	}
	if status.Keys != 1 || !status.Store.OK || status.Store.LatencyMS <= 0 {
		t.Errorf("status is %+v", status)
	}
}

func TestStatusOfAnEmptyGateway(t *testing.T) {
	status, err := open(t).Status(t.Context())
	must(t, err)
	if !status.Store.OK || status.Rules.Enabled != 0 {
		t.Errorf("status is %+v", status)
	}
}

func TestWithTheStoreAway(t *testing.T) {
	g := open(t)
	g.store.broken, g.inForce = fmt.Errorf("dial db.internal: %w", accounts.ErrUnavailable), 41

	_, err := g.Keys(t.Context())
	refusal := refusedWith(t, err, api.CodeUnavailable, 503,
		"store unreachable since "+g.clock.Now().Local().Add(-90*time.Minute).Format("15:04")+"; traffic continues with revision 41, changes are refused")
	if strings.Contains(refusal.Detail, "db.internal") {
		t.Errorf("detail is %q", refusal.Detail)
	}
	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "a"})
	refusedWith(t, err, api.CodeUnavailable, 503)
	status, err := g.Status(t.Context())
	must(t, err)
	if status.Node != "a1" || status.Store.OK || status.Store.Error == "" {
		t.Errorf("status with the store away is %+v", status)
	}
	if !strings.Contains(g.log.String(), "db.internal") {
		t.Errorf("the log does not say why: %s", g.log.String())
	}
}

func TestAChangeOfWhichTheOutcomeIsNotKnownIsNotSaidToBeRefused(t *testing.T) {
	g := open(t)
	g.store.broken = &accounts.OutcomeError{Change: "chg_1", Cause: errors.New("dial db.internal: refused")}
	_, err := g.CreateKey(t.Context(), api.NewKey{Name: "a"})
	refusal := refusedWith(t, err, api.CodeUnavailable, 503, "whether this was done is not known (change chg_1)")
	if strings.Contains(refusal.Detail, "db.internal") {
		t.Errorf("detail is %q", refusal.Detail)
	}
}

func TestAnUnknownErrorOfTheStoreStaysInTheLog(t *testing.T) {
	g := open(t)
	g.store.broken = errors.New("constraint failed: SECRET-VALUE")
	_, err := g.Keys(t.Context())
	refusal := refusedWith(t, err, api.CodeInternal, 500)
	if strings.Contains(refusal.Detail+refusal.Hint, "SECRET-VALUE") {
		t.Errorf("refusal repeats the error: %+v", refusal)
	}
	for kind, want := range map[error]struct {
		code   string
		status int
	}{
		accounts.ErrNotFound: {api.CodeNotFound, 404}, accounts.ErrExists: {api.CodeConflict, 409},
		accounts.ErrInUse: {api.CodeInUse, 409}, accounts.ErrChanged: {api.CodeConflict, 409},
		context.DeadlineExceeded: {api.CodeUnavailable, 503}, accounts.ErrText: {api.CodeUsage, 400},
	} {
		g.store.broken = fmt.Errorf("doing: %w", kind)
		_, err := g.Keys(t.Context())
		refusedWith(t, err, want.code, want.status)
	}
}

func TestRequestsThatAreRefusedBeforeAnythingIsDone(t *testing.T) {
	g := open(t)
	long := `{"name":"` + strings.Repeat("x", 17<<20) + `"}`
	for _, c := range []struct {
		name, method, path, contentType, body string
		status                                int
		code, detail                          string
	}{
		{"an unknown field", "POST", "/api/v1/keys", "application/json", `{"name":"a","nmae":"b"}`, 422, api.CodeInvalid, "nmae: unknown field"},
		{"an unknown field within an object", "POST", "/api/v1/upstreams", "application/json", `{"name":"a","provider":"openai","credential":{"secrt":"b"}}`, 422, api.CodeInvalid, "credential.secrt: unknown field"},
		{"an unknown field whose name is no field's", "POST", "/api/v1/keys", "application/json", `{"name":"a","sk-CANARY":1}`, 422, api.CodeInvalid, "unknown field"},
		{"a field that is missing", "POST", "/api/v1/keys", "application/json", `{}`, 422, api.CodeInvalid, "expected required property name to be present"},
		{"a field of the wrong type", "POST", "/api/v1/keys", "application/json", `{"name":17}`, 422, api.CodeInvalid, "name: expected string"},
		{"a time that is none", "POST", "/api/v1/keys", "application/json", `{"name":"a","expires_at":"CANARY"}`, 422, api.CodeInvalid, "expires_at: expected string to be RFC 3339 date-time"},
		{"a body that is no JSON", "POST", "/api/v1/keys", "application/json", `{"name":CANARY}`, 400, api.CodeUsage, "is not valid JSON"},
		{"two bodies", "POST", "/api/v1/keys", "application/json", `{"name":"a"}{"name":"CANARY"}`, 400, api.CodeUsage, "is not valid JSON"},
		{"no body", "POST", "/api/v1/keys", "application/json", ``, 400, api.CodeUsage, "request body is required"},
		{"a form", "POST", "/api/v1/keys", "application/x-www-form-urlencoded", `name=CANARY`, 415, api.CodeUsage, "content type must be application/json"},
		{"a body that is too large", "POST", "/api/v1/keys", "application/json", long, 413, api.CodeUsage, "request body is over 16 MiB"},
		{"a parameter that is no truth value", "GET", "/api/v1/keys?one_use=CANARY", "", "", 422, api.CodeInvalid, "one_use: "},
		{"an unknown parameter", "GET", "/api/v1/keys?al=CANARY", "", "", 422, api.CodeInvalid, "al: unknown query parameter"},
		{"a path that nothing answers", "GET", "/api/v1/CANARY", "", "", 404, api.CodeNotFound, "nothing answers this method and path"},
		{"a method that nothing answers", "PATCH", "/api/v1/keys", "", "", 404, api.CodeNotFound, "nothing answers this method and path"},
		{"huma's own documentation", "GET", "/docs", "", "", 404, api.CodeNotFound, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, text := g.raw(t, c.method, c.path, c.contentType, c.body)
			var refusal api.Error
			if err := json.Unmarshal([]byte(text), &refusal); err != nil {
				t.Fatalf("answer %d is no problem+json: %s", response.StatusCode, text)
			}
			if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type is %q", got)
			}
			if response.StatusCode != c.status || refusal.Status != c.status || refusal.Code != c.code || !strings.Contains(refusal.Detail, c.detail) {
				t.Errorf("answer is %d %s, want %d %s %q", response.StatusCode, text, c.status, c.code, c.detail)
			}
			if strings.Contains(text, "CANARY") {
				t.Errorf("answer repeats what was sent: %s", text)
			}
			wellSaid(t, &refusal)
		})
	}
	if keys, err := g.AllKeys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("after refusals there are %d keys, %v", len(keys), err)
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	g := open(t)
	g.store.Store = nil
	_, err := g.Keys(t.Context())
	refusedWith(t, err, api.CodeInternal, 500)
	if !strings.Contains(g.log.String(), "admin call panicked") {
		t.Errorf("log is %s", g.log.String())
	}
}

func TestAPanicTellsNothingOfWhatItHolds(t *testing.T) {
	const secret = "sk-canary-panic-0123456789"
	for name, with := range map[string]any{
		"a text": "a mistake with " + secret, "an error": errors.New(secret), "a value": struct{ key string }{secret},
		"a pointer": &accounts.Key{Name: secret}, "some bytes": []byte(secret),
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			g.upstreamAt(t, "up", "http://127.0.0.1:1")
			g.failed = func() map[string]string { panic(with) }
			g.restart(t, nil)
			response, text := g.raw(t, "GET", "/api/v1/upstreams", "", "")
			if response.StatusCode != http.StatusInternalServerError || strings.Contains(text, "canary") {
				t.Errorf("answer is %d %s", response.StatusCode, text)
			}
			log := g.log.String()
			if !strings.Contains(log, "admin call panicked") || strings.Contains(log, "canary") || strings.Contains(log, fmt.Sprintf("%x", secret)[:20]) {
				t.Errorf("log is %s", log)
			}
		})
	}
}

func TestTheHealthHandlerServesOnlyWhatNeedsNoLogin(t *testing.T) {
	g := open(t)
	base := onLoopback(t, g.server.Health())
	transport := &http.Transport{DisableKeepAlives: true}
	fetch := func(method, path string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
		must(t, err)
		response, err := transport.RoundTrip(request)
		must(t, err)
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		must(t, err)
		return response.StatusCode, string(text)
	}

	for path, want := range map[string]string{
		"/healthz": "ok\n", "/readyz": "ok\n", "/metrics": "llmgw_config_revision 7", "/openapi.json": `"openapi":"3.1.0"`,
	} {
		if status, text := fetch("GET", path); status != 200 || !strings.Contains(text, want) {
			t.Errorf("%s answers %d %.200s", path, status, text)
		}
	}
	g.ready = errors.New("no configuration is loaded yet")
	if status, text := fetch("GET", "/readyz"); status != 503 || text != "no configuration is loaded yet\n" {
		t.Errorf("/readyz answers %d %s", status, text)
	}
	if status, _ := fetch("GET", "/healthz"); status != 200 {
		t.Errorf("/healthz answers %d while not ready", status)
	}
	for _, op := range operations(t, g) {
		if status, _ := fetch(op.method, strings.ReplaceAll(op.path, "{name}", "a")); status != 404 {
			t.Errorf("%s %s answers %d on the public handler", op.method, op.path, status)
		}
	}
	for _, path := range []string{"/", "/api/v1/status", "/debug/pprof/"} {
		if status, _ := fetch("GET", path); status != 404 {
			t.Errorf("%s answers %d", path, status)
		}
	}
}

// operation is one entry of the OpenAPI document.
type operation struct {
	method, path string
	document     map[string]any
}

func operations(t *testing.T, g *gateway) []operation {
	t.Helper()
	_, text := g.raw(t, "GET", "/openapi.json", "", "")
	var document struct {
		Paths map[string]map[string]map[string]any
	}
	must(t, json.Unmarshal([]byte(text), &document))
	var list []operation
	for path, methods := range document.Paths {
		for method, op := range methods {
			list = append(list, operation{strings.ToUpper(method), path, op})
		}
	}
	if len(list) < 20 {
		t.Fatalf("the document has %d operations", len(list))
	}
	return list
}

func TestTheOpenAPIDocumentIsWhole(t *testing.T) {
	g := open(t)
	response, text := g.raw(t, "GET", "/openapi.json", "", "")
	if got := response.Header.Get("Content-Type"); got != "application/openapi+json" {
		t.Errorf("content type is %q", got)
	}
	var document map[string]any
	must(t, json.Unmarshal([]byte(text), &document))
	if document["openapi"] != "3.1.0" || document["info"].(map[string]any)["version"] != "0.1.0-test" {
		t.Errorf("document begins with %v %v", document["openapi"], document["info"])
	}
	for _, foreign := range []string{"ErrorModel", "ErrorDetail", "$schema", "http://", "https://"} {
		if strings.Contains(text, foreign) {
			t.Errorf("the document has %q in it", foreign)
		}
	}
	walk(document, func(key string, value any) {
		if ref, ok := value.(string); ok && key == "$ref" && lookUp(document, ref) == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	})
	ids := map[string]bool{}
	for _, op := range operations(t, g) {
		id, _ := op.document["operationId"].(string)
		if id == "" || ids[id] || op.document["summary"] == "" {
			t.Errorf("%s %s has the operation id %q, which is empty or taken", op.method, op.path, id)
		}
		ids[id] = true
		refused := lookUp(op.document, "#/responses/default/content/application~1problem+json/schema/$ref")
		if refused != "#/components/schemas/Error" {
			t.Errorf("%s %s refuses with %v", op.method, op.path, refused)
		}
	}
	schema := lookUp(document, "#/components/schemas/NewCredential").(map[string]any)
	if schema["additionalProperties"] != false {
		t.Errorf("unknown fields are not refused: %v", schema)
	}
	created := lookUp(document, "#/components/schemas/CreatedKey/properties").(map[string]any)
	if created["secret"] == nil || created["name"] == nil {
		t.Errorf("a created key has the properties %v", created)
	}
}

// walk visits every member of a JSON value.
func walk(value any, visit func(key string, value any)) {
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			visit(key, member)
			walk(member, visit)
		}
	case []any:
		for _, item := range value {
			walk(item, visit)
		}
	}
}

// lookUp follows a JSON pointer (RFC 6901) from the document's root.
func lookUp(document any, pointer string) any {
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "#/"), "/") {
		members, ok := document.(map[string]any)
		if !ok {
			return nil
		}
		document = members[strings.ReplaceAll(part, "~1", "/")]
	}
	return document
}

// TestNothingThatIsSentComesBack puts a canary into every field of every
// operation, as a value of any type and as a name, and wants it in no answer
// and not in the log.
func TestNothingThatIsSentComesBack(t *testing.T) {
	const canary = "sk-ant-CANARY-7Qm2Vt9xKc4R"
	g := open(t)
	g.upstreamAt(t, "up", "http://127.0.0.1:1")
	schemas := schemasOf(t, g)
	sent := 0
	for _, op := range operations(t, g) {
		paths := []string{op.path}
		if strings.Contains(op.path, "{name}") {
			paths = []string{strings.ReplaceAll(op.path, "{name}", canary), strings.ReplaceAll(op.path, "{name}", "up")}
		}
		if op.path == "/api/v1/events" { // only refusals have an end
			paths = []string{op.path + "?status=" + canary, op.path + "?slower=" + canary, op.path + "?since=" + canary, op.path + "?kind=" + canary}
		}
		for _, path := range append(paths, paths[0]+"?"+canary+"="+canary, paths[0]+"?one_use="+canary+"&set="+canary) {
			for _, body := range append(canaries(op, schemas, canary), "", canary, `"`+canary+`"`) {
				response, text := g.raw(t, op.method, path, "application/json", body)
				if strings.Contains(text, canary) {
					t.Errorf("%s %s with %s repeats it: %d %s", op.method, path, body, response.StatusCode, text)
				}
				sent++
			}
		}
	}
	if sent < 150 {
		t.Errorf("only %d requests were made", sent)
	}
	// The path of a call is in the log; a key belongs into no path.
	for line := range strings.Lines(g.log.String()) {
		if strings.Contains(line, canary) && !strings.Contains(line, `"path":"/api/v1/`) {
			t.Errorf("the log repeats it: %s", line)
		}
	}
}

func schemasOf(t *testing.T, g *gateway) map[string]any {
	t.Helper()
	_, text := g.raw(t, "GET", "/openapi.json", "", "")
	var document map[string]any
	must(t, json.Unmarshal([]byte(text), &document))
	return lookUp(document, "#/components/schemas").(map[string]any)
}

// canaries gives bodies for an operation: one in which every string is the
// canary, one for each field that has it alone, and one with an unknown field.
func canaries(op operation, schemas map[string]any, canary string) []string {
	ref, _ := lookUp(op.document, "#/requestBody/content/application~1json/schema/$ref").(string)
	schema, ok := schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
	if !ok {
		return nil
	}
	full := filled(schema, schemas, canary).(map[string]any)
	unknown := map[string]any{canary: canary}
	bodies := []map[string]any{full, unknown}
	for field := range full {
		bodies = append(bodies, map[string]any{field: full[field]}, map[string]any{field: map[string]any{canary: canary}}, map[string]any{field: canary})
	}
	var texts []string
	for _, body := range bodies {
		text, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// filled makes a value of a schema, its strings the canary.
func filled(schema, schemas map[string]any, canary string) any {
	if ref, ok := schema["$ref"].(string); ok {
		return filled(schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any), schemas, canary)
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		kind, _ = kinds[0].(string)
	}
	switch kind {
	case "object":
		object := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for name, property := range properties {
			if name == "name" && properties["content"] != nil {
				object[name] = "rules.yaml" // problems say file:line:column
				continue
			}
			object[name] = filled(property.(map[string]any), schemas, canary)
		}
		if extra, ok := schema["additionalProperties"].(map[string]any); ok {
			object[canary] = filled(extra, schemas, canary)
		}
		return object
	case "array":
		return []any{filled(schema["items"].(map[string]any), schemas, canary)}
	case "integer", "number":
		return 1
	case "boolean":
		return true
	}
	return canary
}

func TestAnswersAreNotKeptAndHaveNoMembersOfHumas(t *testing.T) {
	g := open(t)
	created, text := g.raw(t, "POST", "/api/v1/chat-keys", "", "")
	if created.StatusCode != http.StatusCreated || created.Header.Get("Cache-Control") != "no-store" || strings.Contains(text, "$schema") {
		t.Errorf("a key is answered with %d %v", created.StatusCode, created.Header)
	}
	response, text := g.raw(t, "GET", "/api/v1/keys", "", "")
	if diff := cmp.Diff("{\"items\":[]}\n", text); diff != "" || response.Header.Get("Link") != "" {
		t.Errorf("answer has headers %v and differs:\n%s", response.Header, diff)
	}
}
