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
		if problem, hint := targetProblem(a.Target); problem != "" {
			c.refuse("action.target", hint, "%s", problem)
		}
	}
	if a.Path != nil {
		c.pathEdit(a.Path)
	}
	if hasControl(a.Model) {
		c.refuse("action.model", "", "the value holds a control character")
	}
	c.placeholder("action.model", a.Model)
	c.headerEdits("action.headers", &a.Headers, true)
	c.headerEdits("action.response_headers", &a.ResponseHeaders, false)
	if a.Respond != nil {
		c.respond(a.Respond)
	}
}

// destination refuses rules that say more than one thing about where a request
// goes.
func (c *checker) destination(a *Action) {
	if a.Upstream != "" {
		c.upstream(a.Upstream)
	}
	var given []string
	for field, set := range map[string]bool{"upstream": a.Upstream != "", "target": a.Target != "", "respond": a.Respond != nil} {
		if set {
			given = append(given, field)
		}
	}
	if slices.Sort(given); len(given) > 1 {
		c.refuseKey("action."+given[len(given)-1], "a rule has one of upstream, target and respond", "more than one destination: %s", strings.Join(given, " and "))
	}
}

func (c *checker) upstream(name string) {
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
		Field: "action.upstream", Message: fmt.Sprintf("unknown upstream %q", shorten(name)),
		Hint: hint, Suggestion: nearestWord(name, known),
	}
	*c.problems = append(*c.problems, c.rule.problem(c.set, p, false))
}

func (c *checker) pathEdit(e *PathEdit) {
	if e.Set != "" && (e.StripPrefix != "" || e.AddPrefix != "" || e.Replace != nil) {
		c.refuseKey("action.path.set", "set gives the whole path; leave the others out", "set stands beside other path edits")
	}
	for _, part := range []struct{ field, value string }{
		{"set", e.Set}, {"strip_prefix", e.StripPrefix}, {"add_prefix", e.AddPrefix},
	} {
		field := "action.path." + part.field
		if part.value == "" || c.placeholder(field, part.value) {
			continue
		}
		canonical, err := CanonicalPath(part.value)
		switch {
		case err != nil:
			c.refuse(field, "", "%v", err)
		case canonical != part.value:
			c.refuse(field, "write "+canonical, "the path is not written as it is matched and sent")
		case part.field != "set" && strings.HasSuffix(part.value, "/"):
			c.refuse(field, "leave the last slash out", "a prefix must not end in a slash")
		}
	}
	if e.Replace != nil {
		c.regex("action.path.replace.regex", e.Replace.Regex)
		if !c.placeholder("action.path.replace.with", e.Replace.With) && (hasControl(e.Replace.With) || strings.ContainsAny(e.Replace.With, "?#")) {
			c.refuse("action.path.replace.with", "", "the value holds what may not stand in a path")
		}
	}
}

// placeholder refuses what would read as a placeholder.
func (c *checker) placeholder(field, value string) bool {
	if !strings.Contains(value, "${") {
		return false
	}
	c.refuse(field, "", `the value holds "${"; placeholders are not supported`)
	return true
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
			c.placeholder(edits.field+name, edits.values[name])
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
func targetProblem(target string) (problem, hint string) {
	u := accounts.Upstream{Name: "target", Provider: accounts.ProviderGeneric, URL: target}
	for _, err := range u.Validate() {
		return "the target " + strings.TrimPrefix(err.Error(), "url: "), "it looks like https://models.example.com/api"
	}
	if ForbiddenURL(target) {
		return "the target is a link-local or cloud-metadata address", "name a host that models run on"
	}
	return "", ""
}
