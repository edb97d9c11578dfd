package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/fleet"
	"github.com/llmgw/llmgw/rules"
)

// Options are what a Server needs. All fields without a default must be given.
type Options struct {
	Version string // of the program, for the OpenAPI document
	Store   Store
	Issuer  func() *accounts.Issuer // asked each time: a restored store may bring another
	Vault   accounts.Vault

	// SecretKey looks at the key that seals, and exchanges it; without it both are
	// refused.
	SecretKey SecretKey

	// Backup copies the store; nil: there is nothing of its own to copy.
	Backup Backup

	// Status gives what only the running node knows. The counts of rules and
	// keys, who changed the rules when, and how the store answers are filled in
	// by the server; so is the rules' revision where Status leaves it 0.
	Status func(ctx context.Context) api.Status
	// Ready says why the node cannot take requests, or nil.
	Ready    func() error
	Gatherer prometheus.Gatherer
	// LastErrors tells, by the ID of a credential, what its upstream last answered
	// to it in error ("401 2 min ago"); nil: nobody knows.
	LastErrors func() map[string]string
	// InFlight counts, by the ID of an upstream, what is under way there; nil:
	// nobody counts.
	InFlight func() map[string]int
	// UnderWay counts all of that, strangers' requests too. It is asked several
	// times a second; nil: nobody counts.
	UnderWay func() int64

	Accounts AccountStore // the users and their logins
	// Open lets everybody in as an admin, without a login.
	Open bool
	// Peer is the address that a request comes from, as far as proxies in front
	// are believed; nil: the one that the connection comes from.
	Peer func(*http.Request) netip.Addr

	// Node is the gateway that runs here. See Started, Ended and Changed for what
	// it is to tell the server.
	Node Node
	// Fleet is how nodes show each other what passes: its Bus, Secret, Self and
	// Name. The rest is filled in by the server. Without a Bus nobody is shown
	// what passes elsewhere. See Join.
	Fleet fleet.Options

	// Settings are those that the node was started with, secrets masked.
	Settings []api.Setting

	// Client sends the requests of upstream tests. Redirects are never followed
	// and every test is bounded, whatever it says. nil: one that uses no proxy.
	Client *http.Client
	Reach  rules.Reach // how far upstreams and targets may be
	Log    zerolog.Logger
	Now    func() time.Time // nil: time.Now
}

// Server answers the admin API.
type Server struct {
	store     Store
	issuer    func() *accounts.Issuer
	vault     accounts.Vault
	secretKey SecretKey
	backup    Backup
	backing   sync.Mutex    // held while a backup is made and sent
	comparing chan struct{} // one place, held while files are compared with the store
	status    func(ctx context.Context) api.Status
	ready     func() error
	gatherer  prometheus.Gatherer
	failed    func() map[string]string
	inFlight  func() map[string]int
	settings  []api.Setting
	client    *http.Client
	reach     rules.Reach
	log       zerolog.Logger
	now       func() time.Time // to the millisecond, UTC: as it is stored
	node      Node
	tail      *tail
	lately    *lately
	fleet     *fleet.Fleet

	accounts  AccountStore
	open      bool
	peer      func(*http.Request) netip.Addr
	signer    *signer
	passwords *passwords
	peers     *throttle // of wrong passwords, by address
	targets   *throttle // and by user
	logins    *prometheus.CounterVec

	api        http.Handler // of the socket
	public     http.Handler // of the admin listener, behind logins
	openRoutes map[string]bool
	openapi    []byte
}

// New makes a Server. It fails only where the OpenAPI document cannot be
// written.
func New(o Options) (*Server, error) {
	s := &Server{
		store: o.Store, issuer: o.Issuer, vault: o.Vault, secretKey: o.SecretKey, backup: o.Backup, status: o.Status, ready: o.Ready,
		gatherer: o.Gatherer, failed: o.LastErrors, inFlight: o.InFlight, settings: o.Settings, client: testClient(o.Client, o.Reach), reach: o.Reach, log: o.Log, now: clock(o.Now),
		node: o.Node, tail: newTail(), openRoutes: map[string]bool{}, comparing: make(chan struct{}, 1),
	}
	s.lately = newLately(s.tail, o.UnderWay, o.Now)
	s.openFleet(o.Fleet)
	if err := s.openLogins(&o); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	described := humago.New(mux, describe(o.Version))
	s.register(described)
	forget(described)

	var err error
	if s.openapi, err = json.Marshal(described.OpenAPI()); err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", s.serveOpenAPI)
	mux.HandleFunc("/", serveNothing)
	s.api, s.public = s.guard(s.atSocket, mux), s.guard(s.atListener, mux)
	return s, nil
}

// openLogins prepares what logins need.
func (s *Server) openLogins(o *Options) (err error) {
	s.accounts, s.open, s.peer, s.logins = o.Accounts, o.Open, o.Peer, newLoginCounter()
	if s.peer == nil {
		s.peer = addressOf
	}
	s.peers, s.targets = newThrottle(longestOfPeer, s.now), newThrottle(longestOfUser, s.now)
	s.signer = &signer{sealed: s.accounts.Sealed, now: s.now}
	s.passwords, err = newPasswords()
	return err
}

// API is the handler of the admin socket: everything under /api/v1, and the
// OpenAPI document.
func (s *Server) API() http.Handler { return s.api }

func clock(now func() time.Time) func() time.Time {
	if now == nil {
		now = time.Now
	}
	return func() time.Time { return now().UTC().Truncate(time.Millisecond) }
}

// describe configures huma. Its own pages stay off: the documentation loads
// from another host, and the OpenAPI handlers fill a cache without a lock.
func describe(version string) huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "llmgw admin API", Version: version},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{bearer: {
					Type: "http", Scheme: "bearer", Description: "The access token of a login, or a personal access token (lgw_pat_…). No cookies.",
				}},
			},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{discreet},

		RejectUnknownQueryParameters: true,
	}
}

// forget removes huma's own error from the document: discreet replaces it.
func forget(described huma.API) {
	schemas := described.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
}

func (s *Server) register(a huma.API) {
	r := routes{api: a, server: s}
	get(r, viewer, "/status", "Show the gateway at a glance", s.showStatus)
	get(r, viewer, "/nodes", "List the gateways that run on the store", s.listNodes)
	get(r, viewer, "/settings", "List what this gateway was started with", s.listSettings)
	s.registerLogins(r)

	get(r, member, "/keys", "List keys", s.listKeys)
	get(r, member, "/keys/{name}", "Show a key", s.showKey)
	create(r, operator, "/keys", "Create a key", s.createKey)
	patch(r, operator, "/keys/{name}", "Edit a key", s.editKey)
	post(r, member, "/keys/{name}/rotate", "Rotate the secret of a key", s.rotateKey)
	post(r, operator, "/keys/{name}/revoke", "Revoke a key", s.revokeKey)
	remove(r, operator, "/keys/{name}", "Delete a key", s.deleteKey)
	create(r, member, "/keys/{name}/secrets", "Add a secret to a key", s.addSecret)
	put(r, member, "/keys/{name}/secrets/{id}", "Set when a secret of a key ends", s.setSecretEnd)
	create(r, operator, "/chat-keys", "Create a one-use key", s.createChatKey)

	get(r, viewer, "/users", "List users", s.listUsers)
	get(r, viewer, "/users/{name}", "Show a user", s.showUser)
	create(r, operator, "/users", "Create a user", s.createUser)
	patch(r, operator, "/users/{name}", "Edit a user", s.editUser)
	remove(r, operator, "/users/{name}", "Delete a user", s.deleteUser)

	get(r, viewer, "/bindings", "List bindings", s.listBindings)
	get(r, viewer, "/bindings/{id}", "Show a binding", s.showBinding)
	create(r, operator, "/bindings", "Create a binding", s.createBinding)
	post(r, operator, "/bindings/{id}/move", "Move a binding", s.moveBinding)
	remove(r, operator, "/bindings/{id}", "Delete a binding", s.deleteBinding)

	get(r, viewer, "/audit", "List what was changed", s.listAudit)

	get(r, viewer, "/upstreams", "List upstreams", s.listUpstreams)
	get(r, viewer, "/upstreams/{name}", "Show an upstream", s.showUpstream)
	create(r, operator, "/upstreams", "Create an upstream", s.createUpstream)
	post(r, operator, "/upstreams/{name}/test", "Test an upstream", s.testUpstream)
	post(r, operator, "/upstreams/{name}/enable", "Enable an upstream", s.enableUpstream)
	post(r, operator, "/upstreams/{name}/disable", "Disable an upstream", s.disableUpstream)
	post(r, operator, "/upstreams/{name}/drain", "Drain an upstream", s.drainUpstream)
	post(r, operator, "/upstreams/{name}/undrain", "End the draining of an upstream", s.undrainUpstream)
	put(r, operator, "/upstreams/{name}/credential", "Set a credential", s.setCredential)
	post(r, operator, "/upstreams/{name}/credential/rotate", "Rotate a credential", s.rotateCredential)
	post(r, operator, "/upstreams/{name}/credentials/{id}/clear", "Take a credential away", s.clearCredential)
	post(r, operator, "/upstreams/{name}/credentials/{id}/enable", "Enable a credential", s.enableCredential)
	post(r, operator, "/upstreams/{name}/credentials/{id}/disable", "Disable a credential", s.disableCredential)
	patch(r, operator, "/upstreams/{name}", "Edit an upstream", s.editUpstream)
	remove(r, operator, "/upstreams/{name}", "Delete an upstream", s.deleteUpstream)

	get(r, viewer, "/rules", "List rules in their order", s.listRules)
	get(r, viewer, "/rules/{name}", "Show a rule", s.showRule)
	post(r, operator, "/rules/{name}/enable", "Enable a rule", s.enableRule)
	post(r, operator, "/rules/{name}/disable", "Disable a rule", s.disableRule)
	create(r, operator, "/rules", "Create a rule", s.createRule)
	put(r, operator, "/rules/{name}", "Edit a rule", s.editRule)
	post(r, operator, "/rules/{name}/move", "Move a rule within its set", s.moveRule)
	remove(r, operator, "/rules/{name}", "Delete a rule", s.deleteRule)
	post(r, operator, "/apply", "Apply rules files", s.applyRules)
	get(r, viewer, "/export", "Export rules as YAML", s.exportRules)
	post(r, operator, "/apply/all", "Apply files of every kind", s.applyAll)
	post(r, viewer, "/diff", "Tell what an apply of files would change", s.diffAll)
	get(r, viewer, "/export/all", "Export objects of every kind as YAML", s.exportAll)
	post(r, viewer, "/explain", "Explain what becomes of a request", s.explain)
	get(r, viewer, "/history", "List revisions of the rules", s.listHistory)
	get(r, viewer, "/history/{revision}", "Show a revision of the rules", s.showRevision)
	post(r, operator, "/rollback", "Go back to a revision of the rules", s.rollback)

	get(r, viewer, "/traffic", "Tell what ended within the last while", s.showTraffic)
	get(r, viewer, "/streams", "List what is in flight", s.listStreams)
	post(r, operator, "/streams/{id}/cut", "Cut what is in flight", s.cutStream)
	s.registerEvents(r)

	get(r, admin, "/secret", "Show what is sealed, and whether it opens", s.reportSecret)
	post(r, socket, "/secret/rotate", "Seal everything with another key", s.rotateSecret)
	s.registerBackup(r)
}
