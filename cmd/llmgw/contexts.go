package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// place is a context: a gateway that commands can talk to, under a name.
type place struct {
	Name         string `yaml:"name" json:"name"`
	Server       string `yaml:"server" json:"server"`
	User         string `yaml:"user,omitempty" json:"user,omitempty"`                   // who logs in there
	CAFile       string `yaml:"ca_file,omitempty" json:"ca_file,omitempty"`             // PEM, trusted beside what the system trusts
	ServerName   string `yaml:"server_name,omitempty" json:"server_name,omitempty"`     // on the certificate, where it is not that of Server
	InsecureHTTP bool   `yaml:"insecure_http,omitempty" json:"insecure_http,omitempty"` // http to another machine
}

// places are all contexts of a user.
type places struct {
	Current  string  `yaml:"current,omitempty"`
	Contexts []place `yaml:"contexts"`
}

func (p *places) index(name string) int {
	return slices.IndexFunc(p.Contexts, func(c place) bool { return c.Name == name })
}

func (p *places) named(name string) (place, error) {
	i := p.index(name)
	if i < 0 {
		return place{}, noContext(name)
	}
	return p.Contexts[i], nil
}

// at finds the context of a server: the current one where several are.
func (p *places) at(server string) (place, bool) {
	if i := p.index(p.Current); i >= 0 && p.Contexts[i].Server == server {
		return p.Contexts[i], true
	}
	i := slices.IndexFunc(p.Contexts, func(c place) bool { return c.Server == server })
	if i < 0 {
		return place{}, false
	}
	return p.Contexts[i], true
}

// of finds the context for logins of a user at a server, whoever it is where that
// is not said. One that somebody else logged in to stays theirs: programs name it.
// What it says of the server is true for others, too.
func (p *places) of(server, user string) place {
	known, ok := p.at(server)
	if !ok {
		return place{Name: nameOf(server), Server: server}
	}
	theirs := func(c place) bool {
		return c.Server == server && (user == "" || c.User == "" || c.User == user)
	}
	if theirs(known) {
		return known
	}
	if i := slices.IndexFunc(p.Contexts, theirs); i >= 0 {
		return p.Contexts[i]
	}
	known.Name, known.User = nameOf(server), ""
	return known
}

// put adds a context, or replaces the one of that name. The first is current.
func (p *places) put(c place) {
	if i := p.index(c.Name); i >= 0 {
		p.Contexts[i] = c
	} else {
		p.Contexts = append(p.Contexts, c)
	}
	if p.Current == "" {
		p.Current = c.Name
	}
}

func noContext(name string) *failure {
	f := &failure{exit: exitNotFound, code: "not_found", message: fmt.Sprintf("no context %q", name)}
	return f.withHint("list them: llmgw context list")
}

func (k keep) places() (places, error) {
	var all places
	err := k.read(contextsName, &all)
	return all, err
}

// changePlaces changes the contexts while nobody else does.
func (k keep) changePlaces(ctx context.Context, change func(*places) error) error {
	return k.locked(ctx, func() error {
		all, err := k.places()
		if err != nil {
			return err
		}
		if err := change(&all); err != nil {
			return err
		}
		return k.write(contextsName, all)
	})
}

// check says why a context cannot be used, or nil.
func (c *place) check() error {
	switch {
	case !accounts.ValidName(c.Name):
		return usage("a context cannot be called that; names are lower-case letters, digits, . _ and -, up to 63 of them")
	case serverURL(c.Server) != nil:
		return usage("the server of context %q %v", c.Name, serverURL(c.Server))
	}
	return c.inClear()
}

// inClear refuses http to another machine, unless the context says otherwise:
// passwords, tokens and keys go over it.
func (c *place) inClear() error {
	u, err := url.Parse(c.Server)
	if err != nil {
		return usage("the server of context %q is not a URL", c.Name)
	}
	if u.Scheme != "http" || c.InsecureHTTP || isLoopback(u.Hostname()) {
		return nil
	}
	return usage("refusing %s: passwords and keys would travel in clear", c.Server).
		withHint("use https, or where the way there is safe: llmgw context add NAME --url %s --insecure-http", c.Server)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// trust says which certificates are believed there; nil: what the system says.
func (c *place) trust() (*tls.Config, error) {
	if c.CAFile == "" && c.ServerName == "" {
		return nil, nil //nolint:nilnil // nil is what the system trusts
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile == "" {
		return config, nil
	}
	text, err := os.ReadFile(expandHome(c.CAFile))
	if err != nil {
		return nil, invalid("reading the CA file of context %q: %s", c.Name, reason(err))
	}
	if config.RootCAs, err = x509.SystemCertPool(); err != nil {
		config.RootCAs = x509.NewCertPool() // the file alone is what was asked for
	}
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, invalid("%s holds no certificate (PEM)", shortPath(c.CAFile))
	}
	return config, nil
}

// serverOf gives the form of a server's URL by which it is known: without what
// stands behind the host and a path, nor a slash at the end. The secret of an
// admin link comes beside it.
func serverOf(text string) (server, link string, err error) {
	if err := serverURL(text); err != nil {
		return "", "", usage("the URL %v", err)
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", "", usage("the URL cannot be read")
	}
	path := strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/setup")
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	if u.Scheme == "unix" {
		return u.Scheme + "://" + u.Path, u.Fragment, nil
	}
	return u.Scheme + "://" + host + strings.TrimRight(path, "/"), u.Fragment, nil
}

// nameOf gives a context a name by its server: the host, and the port where it
// is not the usual one.
func nameOf(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return ""
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		host = u.Host
	}
	name := strings.ReplaceAll(strings.Trim(host, "[]"), ":", "-")
	if port != "" {
		name += "-" + port
	}
	return strings.Trim(name, "-")
}
