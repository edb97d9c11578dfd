package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"
)

// databaseBound is how long making or dropping one database may take.
const databaseBound = 30 * time.Second

// Databases makes databases on one PostgreSQL, ours or somebody's, for as many
// callers at once as like.
type Databases struct {
	admin string    // where databases are made and dropped
	shown string    // a URL of the server; callers get it with another name in it
	of    *Postgres // held, because a keeper that nobody can reach takes its leave

	mu        sync.Mutex
	templates map[string]string // by the caller's name, the database's
}

// OnServer makes databases on a PostgreSQL that runs already. The URL's user must
// be allowed to; the database it names is only talked to.
func OnServer(at string) *Databases { return &Databases{admin: at, shown: at} }

// Empty makes a database with nothing in it and gives its URL.
func (d *Databases) Empty(ctx context.Context) (string, error) { return d.make(ctx, "template0") }

// Clone gives the URL of a new database that is as fill left another one. Under
// one name, fill runs once; it must have closed its connections when it returns.
func (d *Databases) Clone(ctx context.Context, name string, fill func(ctx context.Context, url string) error) (string, error) {
	template, err := d.template(ctx, name, fill)
	if err != nil {
		return "", fmt.Errorf("filling the template %q: %w", name, err)
	}
	return d.make(ctx, template)
}

func (d *Databases) template(ctx context.Context, name string, fill func(ctx context.Context, url string) error) (string, error) {
	d.mu.Lock() // held while filling: everybody else waits for the same template, or does not need one yet
	defer d.mu.Unlock()
	if made, ok := d.templates[name]; ok {
		return made, nil
	}
	at, err := d.Empty(ctx)
	if err != nil {
		return "", err
	}
	if err := fill(ctx, at); err != nil {
		return "", errors.Join(err, d.Drop(context.WithoutCancel(ctx), at))
	}
	made, err := nameIn(at)
	if err != nil {
		return "", err
	}
	if d.templates == nil {
		d.templates = map[string]string{}
	}
	d.templates[name] = made
	return made, nil
}

func (d *Databases) make(ctx context.Context, template string) (string, error) {
	u, err := url.Parse(d.shown)
	if err != nil {
		return "", errors.New("making a database: the server's URL is none")
	}
	name := "llmgw_" + strings.ToLower(rand.Text())
	u.Path = "/" + name
	if err := d.do(ctx, `CREATE DATABASE "`+name+`" TEMPLATE "`+template+`"`); err != nil {
		return "", fmt.Errorf("making a database: %w", err)
	}
	return u.String(), nil
}

// Drop removes a database, whoever is connected to it still.
func (d *Databases) Drop(ctx context.Context, at string) error {
	name, err := nameIn(at)
	if err != nil {
		return err
	}
	if err := d.do(ctx, `DROP DATABASE IF EXISTS "`+name+`" WITH (FORCE)`); err != nil {
		return fmt.Errorf("dropping a database: %w", err)
	}
	return nil
}

// close drops the templates, where the server outlives us.
func (d *Databases) close(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, name := range d.templates {
		errs = append(errs, d.Drop(ctx, "postgres:///"+name))
	}
	d.templates = nil
	return errors.Join(errs...)
}

func (d *Databases) do(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, databaseBound)
	defer cancel()
	return run(ctx, d.admin, statement)
}

// nameIn is the name of a database of ours from its URL; names of others, which
// could hold anything, are refused.
func nameIn(at string) (string, error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", errors.New("reading the URL of a database: it is none")
	}
	name := strings.TrimPrefix(u.Path, "/")
	letters, ours := strings.CutPrefix(name, "llmgw_")
	if !ours || strings.Trim(letters, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return "", fmt.Errorf("reading the URL of a database: %q is none that was made here", name)
	}
	return name, nil
}
