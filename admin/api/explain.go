package api

// ExplainRequest describes a request that is not sent. Files, where there are
// any, are rules not yet applied: what would happen under them.
type ExplainRequest struct {
	Method  string              `json:"method,omitempty"` // default POST
	Path    string              `json:"path"`             // with its query
	Host    string              `json:"host,omitempty"`
	Headers map[string][]string `json:"headers,omitempty"`
	Body    []byte              `json:"body,omitempty"`  // looked into as the proxy does; model and stream below win
	Model   *string             `json:"model,omitempty"` // as if the body said it
	Stream  *bool               `json:"stream,omitempty"`
	Key     string              `json:"key,omitempty"` // name or id of a key; its tags come with it
	User    string              `json:"user,omitempty"`
	Tags    map[string]string   `json:"tags,omitempty"` // beside those of the key
	Source  string              `json:"source,omitempty"`
	Files   []Source            `json:"files,omitempty"`
}

// Explanation is what would become of a request, by the code that decides.
type Explanation struct {
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	Wire       string            `json:"wire,omitempty"`
	Model      string            `json:"model,omitempty"`
	Stream     bool              `json:"stream"`
	Key        string            `json:"key,omitempty"`
	User       string            `json:"user,omitempty"`
	Allowed    []string          `json:"allowed_models,omitempty"` // the key's allow-list; empty: all
	Revision   int64             `json:"revision"`                 // 0 for files that are not applied
	Rules      []ExplainedRule   `json:"rules"`                    // none where the allow-list refuses the model
	Outcome    string            `json:"outcome" enum:"forward,respond,refuse"`
	Rule       string            `json:"rule,omitempty"`
	Binding    *ExplainedBinding `json:"binding,omitempty"`    // that named the first candidate; absent where the rule did
	Candidates []CandidateReport `json:"candidates,omitempty"` // in the order in which they are tried
	Retry      *RetryReport      `json:"retry,omitempty"`
	Limits     []string          `json:"limits,omitempty"`
	BodyLog    bool              `json:"body_log,omitempty"` // a rule wants the bodies logged; serve must keep a log
	Response   *Header           `json:"response_headers,omitempty"`
	Status     int               `json:"status,omitempty"`  // of what the gateway itself answers
	Code       string            `json:"code,omitempty"`    // x-llmgw-error of a refusal
	Message    string            `json:"message,omitempty"` // of what the gateway itself answers
}

// ExplainedRule is one rule and why it did or did not take the request.
type ExplainedRule struct {
	Position int    `json:"position"`
	Set      string `json:"set"`
	Name     string `json:"name"`
	Verdict  string `json:"verdict" enum:"yes,continue,no,skip,unreached"`
	Matcher  string `json:"matcher,omitempty"` // the first matcher that failed: "header x-tier"
	Saw      string `json:"saw,omitempty"`     // what it saw: "paid"; empty where there was nothing
	Wants    string `json:"wants,omitempty"`   // what it wants: "free"
}

// ExplainedBinding is the binding of the caller that named a destination.
type ExplainedBinding struct {
	ID    string `json:"id"`
	Of    string `json:"of"` // "key ci-bot", "user dana", "tag plan=trial"
	Order int    `json:"order"`
}

// CandidateReport is one destination, as a request would be sent to it.
type CandidateReport struct {
	Upstream   string    `json:"upstream,omitempty"` // empty for a target URL
	URL        string    `json:"url"`
	Model      string    `json:"model,omitempty"`
	Share      float64   `json:"share,omitempty"` // of the callers that take it first, 0 to 1; 0 for a fallback
	Fallback   bool      `json:"fallback,omitempty"`
	Credential string    `json:"credential,omitempty"` // "default …x4Qd": the one that the caller is bound to, or the first that can be read
	Headers    *Header   `json:"headers,omitempty"`
	Timeouts   *Timeouts `json:"timeouts,omitempty"`
	Problem    string    `json:"problem,omitempty"` // why it cannot be used
}

// Header is what rules do to headers, placeholders filled in.
type Header struct {
	Set     map[string]string   `json:"set,omitempty"`
	Add     map[string][]string `json:"add,omitempty"`
	Removed []string            `json:"removed,omitempty"`
}

// RetryReport is how often, how long and for what another attempt is made.
type RetryReport struct {
	On       []string `json:"on"`
	Attempts int      `json:"attempts"`
	Within   string   `json:"within"`
}
