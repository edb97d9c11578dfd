// Package api holds the wire types of the admin API and its Go client. It is
// all that the commands and the consoles know of a gateway.
package api

import "time"

// List is the shape of every list: {"items": […]}. Where there is more, Next is
// the cursor to ask for it with.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Key is a gateway key as it is shown. The secret is in none of its fields.
type Key struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	User       string            `json:"user,omitempty"` // name of the owner
	Tags       map[string]string `json:"tags,omitempty"`
	Models     []string          `json:"models,omitempty"`
	Limits     []string          `json:"limits,omitempty"`
	Enabled    bool              `json:"enabled"`
	State      string            `json:"state" enum:"active,revoked,expired,disabled,user disabled"`
	Last4      string            `json:"last4,omitempty"` // of the newest secret; none where the key has none yet
	Secrets    []KeySecret       `json:"secrets,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	ExpiresAt  *time.Time        `json:"expires_at,omitempty"`
	RevokedAt  *time.Time        `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time        `json:"last_used_at,omitempty"` // to a minute
	ETag       string            `json:"etag"`
}

// KeySecret is one of a key's secrets: two while a rotation leaves the old one
// its grace.
type KeySecret struct {
	Last4     string     `json:"last4"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// NewKey asks for a key.
type NewKey struct {
	Name      string            `json:"name"`
	User      string            `json:"user,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
	Models    []string          `json:"models,omitempty"`
	Limits    []string          `json:"limits,omitempty"`
	ExpiresAt *time.Time        `json:"expires_at,omitempty"`
}

// EditKey changes what is given and leaves the rest. An empty list, map or
// owner takes away.
type EditKey struct {
	Name      *string            `json:"name,omitempty"`
	User      *string            `json:"user,omitempty"`
	Tags      *map[string]string `json:"tags,omitempty"`
	Models    *[]string          `json:"models,omitempty"`
	Limits    *[]string          `json:"limits,omitempty"`
	Enabled   *bool              `json:"enabled,omitempty"`
	ExpiresAt *string            `json:"expires_at,omitempty"` // RFC 3339; "" is never
}

// RotateKey asks for a new secret.
type RotateKey struct {
	Grace string `json:"grace,omitempty"` // a Go duration for which the old secret stays valid; empty: "24h", "0s": not at all
}

// RevokeKey ends a key for good.
type RevokeKey struct {
	KeepStreams bool `json:"keep_streams,omitempty"` // streams under way may end in their own time
}

// CreatedKey is the answer to NewKey, and the only time the secret is seen.
type CreatedKey struct {
	Key
	Secret string `json:"secret"`
}

// NewSecret asks for one more secret of a key, for a program that runs for a
// while: what is sent with it is the key's.
type NewSecret struct {
	ExpiresAt time.Time `json:"expires_at"`     // 30 days from now at the most
	Make      bool      `json:"make,omitempty"` // make the key where there is none, and put one that was revoked to use again
}

// AddedSecret is the answer to NewSecret, and the only time the secret is seen.
type AddedSecret struct {
	Key
	Secret          string    `json:"secret"`
	SecretID        string    `json:"secret_id"` // what SetSecretEnd wants; it tells nothing of the secret
	SecretExpiresAt time.Time `json:"secret_expires_at"`
}

// SecretEnd moves the end of a secret: to later, or with a time that is not in
// the future to now.
type SecretEnd struct {
	ExpiresAt time.Time `json:"expires_at"`
}

// Upstream is an upstream as it is shown.
type Upstream struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Provider    string       `json:"provider"`
	URL         string       `json:"url"`
	Auth        string       `json:"auth,omitempty"`
	Wires       []string     `json:"wires,omitempty"`
	Models      []string     `json:"models,omitempty"`
	Timeouts    *Timeouts    `json:"timeouts,omitempty"`
	MaxIdle     int          `json:"max_idle,omitempty"`
	IdleTimeout string       `json:"idle_timeout,omitempty"` // a Go duration
	Websocket   bool         `json:"websocket,omitempty"`
	Enabled     bool         `json:"enabled"`
	Draining    bool         `json:"draining,omitempty"` // no new requests, those under way go on
	State       string       `json:"state" enum:"enabled,draining,disabled"`
	InFlight    int          `json:"in_flight"` // exchanges under way there, on the node that was asked
	Credentials []Credential `json:"credentials"`
	CreatedAt   time.Time    `json:"created_at"`
	ETag        string       `json:"etag"`
}

// Timeouts are Go durations such as "30s"; empty leaves the default.
type Timeouts struct {
	Connect        string `json:"connect,omitempty"`
	ResponseHeader string `json:"response_header,omitempty"`
	FirstToken     string `json:"first_token,omitempty"`
	Idle           string `json:"idle,omitempty"`
	Total          string `json:"total,omitempty"`
}

// Credential is a credential as it is shown: where it stands, its last four
// characters, and whether this node could read it.
type Credential struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Reference string    `json:"reference,omitempty"` // env:NAME or file:PATH; empty where the gateway keeps it sealed
	Last4     string    `json:"last4,omitempty"`
	Usable    bool      `json:"usable"`
	Problem   string    `json:"problem,omitempty"`
	Weight    int       `json:"weight"`
	Enabled   bool      `json:"enabled"`
	LastError string    `json:"last_error,omitempty"` // "401 2 min ago": of this node, since it began
	CreatedAt time.Time `json:"created_at"`
}

// NewUpstream asks for an upstream.
type NewUpstream struct {
	Name        string         `json:"name"`
	Provider    string         `json:"provider"`
	URL         string         `json:"url,omitempty"` // empty: the provider's own, where it has one
	Auth        string         `json:"auth,omitempty"`
	Wires       []string       `json:"wires,omitempty"`
	Models      []string       `json:"models,omitempty"`
	Timeouts    *Timeouts      `json:"timeouts,omitempty"`
	MaxIdle     int            `json:"max_idle,omitempty"`
	IdleTimeout string         `json:"idle_timeout,omitempty"`
	Websocket   bool           `json:"websocket,omitempty"`
	Credential  *NewCredential `json:"credential,omitempty"`
}

// NewCredential is a reference or a secret, not both.
type NewCredential struct {
	Name      string `json:"name,omitempty"` // default: "default"
	Reference string `json:"reference,omitempty"`
	Secret    string `json:"secret,omitempty"`
	Weight    int    `json:"weight,omitempty"`  // default: 1
	Enabled   *bool  `json:"enabled,omitempty"` // default: true
}

// EditUpstream changes what is given and leaves the rest. A URL at another
// scheme, host or port takes no sealed credential along: give it anew.
type EditUpstream struct {
	Name        *string   `json:"name,omitempty"`
	URL         *string   `json:"url,omitempty"`
	Auth        *string   `json:"auth,omitempty"`
	Wires       *[]string `json:"wires,omitempty"`
	Models      *[]string `json:"models,omitempty"`
	Timeouts    *Timeouts `json:"timeouts,omitempty"`
	MaxIdle     *int      `json:"max_idle,omitempty"`
	IdleTimeout *string   `json:"idle_timeout,omitempty"`
	Websocket   *bool     `json:"websocket,omitempty"`
}

// UpstreamTest is what one look at an upstream found.
type UpstreamTest struct {
	OK         bool   `json:"ok"`
	Method     string `json:"method"`
	URL        string `json:"url"`
	Status     int    `json:"status,omitempty"`
	Models     int    `json:"models,omitempty"` // number of models listed, where it listed any
	DurationMS int64  `json:"duration_ms"`
	Error      string `json:"error,omitempty"`

	Chat *ChatTest `json:"chat,omitempty"` // where a model was asked
}

// TestUpstream says how an upstream is looked at.
type TestUpstream struct {
	Chat string `json:"chat,omitempty" maxLength:"256"` // the model to ask for a word; empty: only the list of models is asked for
}

// ChatTest is when what of a streamed answer came, in milliseconds: of the first
// three how long they took, of the others how long after the start. 0: it did not
// come to that.
type ChatTest struct {
	DNSMS        float64 `json:"dns_ms,omitempty"`
	ConnectMS    float64 `json:"connect_ms,omitempty"`
	TLSMS        float64 `json:"tls_ms,omitempty"`
	FirstByteMS  float64 `json:"first_byte_ms,omitempty"`
	FirstTokenMS float64 `json:"first_token_ms,omitempty"`
	TotalMS      float64 `json:"total_ms"`
	Chunks       int     `json:"chunks"` // events of the stream
}

// Rule is one rule as it is shown. Match and Action are the rule's own words.
type Rule struct {
	Position    int            `json:"position"` // in the total order, from 1
	Set         string         `json:"set"`
	Order       int            `json:"order"`
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Enabled     bool           `json:"enabled"`
	Continue    bool           `json:"continue,omitempty"` // its edits are kept, and the search goes on
	Match       map[string]any `json:"match"`
	Action      map[string]any `json:"action"`
	YAML        string         `json:"yaml"` // the rule as export writes it, an item of the list behind rules:
}

// RuleList is every rule in the total order.
type RuleList struct {
	Items    []Rule `json:"items"`
	Revision int64  `json:"revision"`
}

// Source is one rules file as it was written.
type Source struct {
	Name    string `json:"name"`
	Content string `json:"content"`
}

// ApplyRequest asks for sets to become what the files say.
type ApplyRequest struct {
	Files      []Source `json:"files"`
	DryRun     bool     `json:"dry_run,omitempty"`
	Prune      bool     `json:"prune,omitempty"`
	IfRevision *int64   `json:"if_revision,omitempty"`
	Message    string   `json:"message,omitempty" maxLength:"1000"`
}

// Plan is what an apply does, or would do.
type Plan struct {
	Changes   []PlanChange `json:"changes"`
	Unchanged int          `json:"unchanged"`
	Warnings  []Problem    `json:"warnings,omitempty"`
	Applied   bool         `json:"applied"`  // something was stored: false for a dry run, and where nothing changes
	Revision  int64        `json:"revision"` // the revision in force afterwards
	TookMS    int64        `json:"took_ms"`
}

// PlanChange is one rule that an apply adds, changes, moves or deletes.
type PlanChange struct {
	Op       string   `json:"op" enum:"add,change,move,delete"`
	Set      string   `json:"set"`
	Rule     string   `json:"rule"`
	Position int      `json:"position,omitempty"` // in its set, from 1; of what will be there
	Fields   []string `json:"fields,omitempty"`   // "action.model: a → b"
}

// Problem is one thing wrong with a rules file, or with a field of a request.
type Problem struct {
	File       string `json:"file,omitempty"`
	Line       int    `json:"line,omitempty"`
	Column     int    `json:"column,omitempty"`
	Set        string `json:"set,omitempty"`
	Rule       string `json:"rule,omitempty"`
	Field      string `json:"field,omitempty"`
	Message    string `json:"message"`
	Hint       string `json:"hint,omitempty"`
	Suggestion string `json:"suggestion,omitempty"` // the known word nearest to one that is not known
}

// Export is the rules as canonical YAML, one document a set.
type Export struct {
	YAML     string `json:"yaml"`
	Revision int64  `json:"revision"`
}

// Status is a gateway at a glance.
type Status struct {
	Version    string           `json:"version"`
	Node       string           `json:"node"`
	PID        int              `json:"pid"`
	StartedAt  time.Time        `json:"started_at"`
	Proxy      string           `json:"proxy"` // base URL of the proxy
	Admin      string           `json:"admin"` // base URL of the admin listener, empty without one
	Data       string           `json:"data"`
	Ready      bool             `json:"ready"`
	Draining   bool             `json:"draining"`
	InFlight   int64            `json:"in_flight"`
	Traffic    Traffic          `json:"traffic"`
	Rules      RulesStatus      `json:"rules"`
	Upstreams  []UpstreamStatus `json:"upstreams"`
	Keys       int              `json:"keys"`
	Store      StoreStatus      `json:"store"`
	Bus        string           `json:"bus"` // "in-process", or how Redis is and where
	ConfigAgeS float64          `json:"config_age_seconds"`
	NotReady   string           `json:"not_ready,omitempty"` // why it takes no requests
	Problem    string           `json:"problem,omitempty"`   // why it is degraded
	Nodes      []Node           `json:"nodes"`               // all that run on the store; none where it cannot be asked
}

// Traffic is what the node counted since it started.
type Traffic struct {
	Requests     int64 `json:"requests"`
	Errors       int64 `json:"errors"` // answered with 5xx, or cut by the upstream's side
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
}

// RulesStatus counts the rules in force.
type RulesStatus struct {
	Enabled   int       `json:"enabled"`
	Disabled  int       `json:"disabled"`
	Revision  int64     `json:"revision"`
	ChangedAt time.Time `json:"changed_at"`
	ChangedBy string    `json:"changed_by"`
}

// UpstreamStatus is an upstream and what came of the requests sent to it.
type UpstreamStatus struct {
	Name     string `json:"name"`
	Enabled  bool   `json:"enabled"`
	Draining bool   `json:"draining,omitempty"`
	Usable   bool   `json:"usable"` // has a credential that can be read, or needs none
	Requests int64  `json:"requests"`
	Errors   int64  `json:"errors"`
}

// StoreStatus is the store and how long it took to answer.
type StoreStatus struct {
	Kind      string  `json:"kind"`            // "sqlite" or "postgres"
	Place     string  `json:"place,omitempty"` // HOST:PORT/DATABASE of PostgreSQL
	OK        bool    `json:"ok"`
	LatencyMS float64 `json:"latency_ms"`
	Error     string  `json:"error,omitempty"`

	Since  *time.Time `json:"since,omitempty"`   // it has not answered since then
	Reason string     `json:"reason,omitempty"`  // why, in a few words
	CopyOf *time.Time `json:"copy_of,omitempty"` // as of when the sealed copy is that is served meanwhile
}
