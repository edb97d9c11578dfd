package rules

import (
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

func (c *checker) action(a *Action) {
	c.destination(a)
	if a.Target != "" {
		if problem, hint := targetProblem(a.Target, c.reach); problem != "" {
			c.refuse("action.target", hint, "%s", problem)
		}
	}
	c.entries("action.upstreams", a.Upstreams)
	c.entries("action.fallback", a.Fallback)
	if a.Path != nil {
		c.pathEdit("action.path", a.Path)
	}
	c.model("action.model", a.Model)
	c.headerEdits("action.headers", &a.Headers, true)
	c.headerEdits("action.response_headers", &a.ResponseHeaders, false)
	c.affinity(a.Affinity)
	if r := a.Retry; r != nil && (r.Attempts < 0 || r.Attempts > maxAttempts || r.Within < 0 || r.Within > maxWithin) {
		c.refuse("action.retry", "", "attempts are from 1 to %d, within %s", maxAttempts, durationText(maxWithin))
	}
	for i, limit := range a.Limits {
		if err := limit.Validate(); err != nil {
			c.refuse(fmt.Sprintf("action.limits[%d]", i), limitHint, "%v", err)
		}
	}
	if a.OnClientGone != "" && a.OnClientGone != clientCancel && a.OnClientGone != clientFinish {
		c.refuse("action.on_client_gone", "it is cancel or finish", "%q is neither cancel nor finish", shorten(a.OnClientGone))
	}
	if a.Respond != nil {
		c.respond(a.Respond)
	}
}

// continues refuses what only a rule that decides can do.
func (c *checker) continues(a *Action) {
	for _, part := range a.parts() {
		switch part.name {
		case "headers", "response_headers", "timeouts", "limits", "body_log":
			continue
		}
		if part.given {
			c.refuseKey("action."+part.name, "it may have headers, response_headers, timeouts, limits and body_log", "a rule with continue has no %s", part.name)
		}
	}
}

// actionPart is a field of an action.
type actionPart struct {
	name  string
	given bool
}

// parts lists the fields of an action, in the order in which they are written.
func (a *Action) parts() []actionPart {
	return []actionPart{
		{"upstream", a.Upstream != ""}, {"upstreams", len(a.Upstreams) > 0}, {"target", a.Target != ""}, {"fallback", len(a.Fallback) > 0},
		{"affinity", a.Affinity != ""}, {"path", a.Path != nil}, {"model", a.Model != ""}, {"headers", !a.Headers.empty()},
		{"response_headers", !a.ResponseHeaders.empty()}, {"timeouts", a.Timeouts != (accounts.Timeouts{})}, {"retry", a.Retry != nil},
		{"limits", len(a.Limits) > 0}, {"on_client_gone", a.OnClientGone != ""}, {"body_log", a.BodyLog}, {"respond", a.Respond != nil},
	}
}

// destination refuses rules that say more than one thing about where a request
// goes.
func (c *checker) destination(a *Action) {
	if a.Upstream != "" {
		c.upstream("action.upstream", a.Upstream)
	}
	var given []string
	for _, part := range a.parts() {
		switch part.name {
		case "upstream", "upstreams", "target", "respond":
			if part.given {
				given = append(given, part.name)
			}
		}
	}
	fallback := len(a.Fallback) > 0
	switch {
	case len(given) > 1:
		slices.Sort(given)
		c.refuseKey("action."+given[len(given)-1], "a rule has one of upstream, upstreams, target and respond", "more than one destination: %s", strings.Join(given, " and "))
	case fallback && a.Respond != nil:
		c.refuseKey("action.fallback", "a rule that answers sends nowhere", "more than one destination: fallback and respond")
	case fallback && len(given) == 0:
		c.refuseKey("action.fallback", "name what it falls back from: upstream, upstreams or target", "a fallback without a destination")
	}
}

// entries checks the upstreams of a list.
func (c *checker) entries(field string, entries []Entry) {
	if len(entries) > maxEntries {
		c.refuse(field, "", "more than %d upstreams", maxEntries)
	}
	for i := range entries {
		e, path := &entries[i], fmt.Sprintf("%s[%d]", field, i)
		switch {
		case c.nameless(e.Name):
			c.refuse(path+".name", "names match "+accounts.NamePattern, "%q is not a name", shorten(e.Name))
		default:
			c.upstream(path+".name", e.Name)
		}
		if e.Weight < 0 || e.Weight > maxWeight {
			c.refuse(path+".weight", "", "must be a whole number from 1 to %d, found %d", maxWeight, e.Weight)
		}
		c.model(path+".model", e.Model)
		if e.Path != nil {
			c.pathEdit(path+".path", e.Path)
		}
	}
}

// nameless tells a name that cannot be one. The decoder has refused its own.
func (c *checker) nameless(name string) bool { return !accounts.ValidName(name) && c.rule.from == nil }

func (c *checker) affinity(written string) {
	name, header := strings.CutPrefix(written, "header:")
	switch {
	case header && !validHeaderName(name):
		c.refuse("action.affinity", "", "%q is not the name of a header", shorten(name))
	case !header && written != "" && written != "key" && written != "none":
		p := Problem{
			Field: "action.affinity", Message: fmt.Sprintf("unknown affinity %q", shorten(written)),
			Hint: "affinities are key, header:NAME, none", Suggestion: nearestWord(written, []string{"key", "none", "header:NAME"}),
		}
		*c.problems = append(*c.problems, c.rule.problem(c.set, p, false))
	}
}

func (c *checker) model(field, model string) {
	if hasControl(model) {
		c.refuse(field, "", "the value holds a control character")
	}
	c.template(field, model, false)
}

func (c *checker) upstream(field, name string) {
	if c.upstreams == nil || c.upstreams[name] {
		return
	}
	known := slices.Sorted(maps.Keys(c.upstreams))
	const most = 20
	hint := "there is no upstream yet"
	if len(known) > most {
		hint = fmt.Sprintf("there are %d upstreams", len(known))
	} else if len(known) > 0 {
		hint = "upstreams are " + strings.Join(known, ", ")
	}
	p := Problem{
		Field: field, Message: fmt.Sprintf("unknown upstream %q", shorten(name)),
		Hint: hint, Suggestion: nearestWord(name, known),
	}
	*c.problems = append(*c.problems, c.rule.problem(c.set, p, false))
}

// pathEdit checks an edit; path is where it stands.
func (c *checker) pathEdit(path string, e *PathEdit) {
	if e.Set != "" && (e.StripPrefix != "" || e.AddPrefix != "" || e.Replace != nil) {
		c.refuseKey(path+".set", "set gives the whole path; leave the others out", "set stands beside other path edits")
	}
	c.pathPart(path+".set", e.Set)
	c.pathPart(path+".strip_prefix", e.StripPrefix)
	c.pathPart(path+".add_prefix", e.AddPrefix)
	if e.Replace == nil {
		return
	}
	c.regex(path+".replace.regex", e.Replace.Regex)
	t, ok := c.template(path+".replace.with", e.Replace.With, true)
	if plain := t.example(""); ok && (hasControl(plain) || strings.ContainsAny(plain, "?#")) {
		c.refuse(path+".replace.with", "", "the value holds what may not stand in a path")
	}
}

// pathPart checks one part of an edit: the whole path, or a prefix. One with
// placeholders is checked with an example of what they give.
func (c *checker) pathPart(field, value string) {
	t, ok := c.template(field, value, false)
	if value == "" || !ok {
		return
	}
	plain := t.example("x")
	canonical, err := CanonicalPath(plain)
	switch {
	case err != nil:
		c.refuse(field, "", "%v", err)
	case canonical != plain && t.pieces == nil:
		c.refuse(field, "write "+canonical, "the path is not written as it is matched and sent")
	case canonical != plain:
		c.refuse(field, "", "the path is not written as it is matched and sent")
	case strings.HasSuffix(field, "_prefix") && strings.HasSuffix(plain, "/"):
		c.refuse(field, "leave the last slash out", "a prefix must not end in a slash")
	}
}

// template refuses placeholders that stand for nothing.
func (c *checker) template(field, value string, groups bool) (template, bool) {
	t, err := parseTemplate(value, groups)
	if err == nil {
		return t, true
	}
	p := Problem{Field: field, Message: err.message, Hint: err.hint, Suggestion: err.suggestion}
	*c.problems = append(*c.problems, c.rule.problem(c.set, p, false))
	return t, false
}

// headerEdits checks the edits of a request's headers, or of an answer's.
func (c *checker) headerEdits(path string, e *HeaderEdits, request bool) {
	for _, edits := range []struct {
		field  string
		values map[string]string
	}{{path + ".set.", e.Set}, {path + ".add.", e.Add}} {
		names := slices.Sorted(maps.Keys(edits.values))
		c.distinctHeaders(edits.field, names)
		for _, name := range names {
			c.editable(edits.field+name, name, request)
			c.headerValue(edits.field+name, edits.values[name])
			c.template(edits.field+name, edits.values[name], false)
		}
	}
	for i, name := range e.Remove {
		field := fmt.Sprintf("%s.remove[%d]", path, i)
		if !validHeaderName(name) {
			c.refuse(field, "", "%q is not the name of a header", shorten(name))
			continue
		}
		c.editable(field, name, request)
	}
}

func (c *checker) headerValue(field, value string) {
	if hasControl(value) {
		c.refuse(field, "", "the value holds a control character")
	} else if strings.Trim(value, " \t") != value {
		c.refuse(field, "", "the value begins or ends with a blank")
	}
}

// The headers that no rule may touch, in canonical spelling: those about one
// connection (RFC 9110 §7.6.1), those that say where a message ends (RFC 9112
// §6), and those in which callers and upstreams carry credentials.
var (
	connectionHeaders = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authenticate"}
	framingHeaders    = []string{"Content-Length", "Expect"}
	credentialHeaders = []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Cookie", "Proxy-Authorization"}
)

// editable refuses edits of those, and of what is no header at all.
func (c *checker) editable(field, name string, request bool) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case slices.Contains(connectionHeaders, canonical):
		c.refuse(field, "", "%q is about one connection and cannot be edited", name)
	case slices.Contains(framingHeaders, canonical):
		c.refuse(field, "", "%q says where the body ends and cannot be edited", name)
	case request && canonical == "Host":
		c.refuse(field, "it is the upstream's", "the host is not edited as a header")
	case request && slices.Contains(credentialHeaders, canonical):
		c.refuse(field, "give the upstream a credential", "%q carries credentials and cannot be edited", name)
	}
}

// validHeaderName tells a token of RFC 9110 §5.6.2.
func validHeaderName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func (c *checker) respond(r *Respond) {
	if r.Status < 200 || r.Status > 599 {
		c.refuse("action.respond.status", "", "must be a whole number from 200 to 599, found %d", r.Status)
	}
	if r.Message != "" && (r.Body != "" || len(r.Headers) > 0) {
		c.refuseKey("action.respond.message", "give message, or headers and body", "both a message in the caller's wire format and an answer as it stands")
	}
	if (r.Status == 204 || r.Status == 304) && (r.Message != "" || r.Body != "") {
		c.refuse("action.respond.status", "", "an answer with status %d has no body", r.Status)
	}
	names := slices.Sorted(maps.Keys(r.Headers))
	c.distinctHeaders("action.respond.headers.", names)
	for _, name := range names {
		c.editable("action.respond.headers."+name, name, false)
		c.headerValue("action.respond.headers."+name, r.Headers[name])
	}
}

// targetProblem says why a URL cannot be a rule's destination. The URL is not
// repeated: people paste credentials into URLs.
func targetProblem(target string, reach Reach) (problem, hint string) {
	if strings.Contains(target, "${") {
		return "the target holds \"${\"; placeholders do not stand in URLs", "write them into path: {add_prefix: …}"
	}
	u := accounts.Upstream{Name: "target", Provider: accounts.ProviderGeneric, URL: target}
	for _, err := range u.Validate() {
		return "the target " + strings.TrimPrefix(err.Error(), "url: "), "it looks like https://models.example.com/api"
	}
	if ForbiddenURL(target) {
		return "the target is a link-local or cloud-metadata address", "name a host that models run on"
	}
	if reach.URL(target) != nil {
		return "the target is not a public address, and this gateway calls no other", "the server says private_targets: deny"
	}
	return "", ""
}
