package main

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

// onPostgres says whether the truth is kept in PostgreSQL.
func (s *settings) onPostgres() bool { return isPostgres(s.text("store")) }

func isPostgres(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	return ok && (scheme == "postgres" || scheme == "postgresql")
}

// postgres is where the database is, nil where the store is a file.
func (s *settings) postgres() (*store.Postgres, error) {
	if !s.onPostgres() {
		return nil, nil //nolint:nilnil // there is none
	}
	if s.originOf("store") == fromFlag && holdsPassword(s.text("store")) {
		return nil, usage("do not put a password on the command line (it shows in ps and shell history)").
			withHint("use LLMGW_STORE for the whole URL, or LLMGW_STORE_PASSWORD or LLMGW_STORE_PASSWORD_FILE beside --store")
	}
	password, err := s.storePassword()
	if err != nil {
		return nil, err
	}
	p, err := store.ParsePostgres(s.text("store"), password)
	if err != nil {
		return nil, invalid("store: %v", err)
	}
	if p.Connections, err = strconv.Atoi(s.text("store-connections")); err != nil {
		return nil, invalid("store_connections is no number")
	}
	return p, nil
}

func (s *settings) storePassword() (accounts.Secret, error) {
	if text := s.text("store-password"); text != "" {
		return accounts.NewSecret(text), nil
	}
	path := s.text("store-password-file")
	if path == "" {
		return accounts.Secret{}, nil
	}
	text, err := readRegular(expandHome(path), longestSecret)
	if err != nil {
		return accounts.Secret{}, invalid("reading the store's password: %s", reason(err))
	}
	return accounts.NewSecret(strings.TrimRight(string(text), "\r\n")), nil
}

// holdsPassword says whether a URL that can be read holds a password.
func holdsPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	_, said := u.User.Password()
	return said || u.Query().Has("password")
}

// maskedPostgres gives a URL without its password. One that cannot be read is
// hidden whole.
func maskedPostgres(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "***"
	}
	query := u.Query()
	if query.Has("password") {
		query.Set("password", "***")
		u.RawQuery = strings.ReplaceAll(query.Encode(), url.QueryEscape("***"), "***")
	}
	if _, said := u.User.Password(); !said {
		return u.String()
	}
	name := url.User(u.User.Username()).String()
	u.User = nil
	return strings.Replace(u.String(), "://", "://"+name+":***@", 1)
}

// storeOptions says where the store is and what seals its secrets.
func (n *node) storeOptions(secret accounts.Sealer) (store.Options, error) {
	at, err := n.settings.postgres()
	return store.Options{
		Path: n.storePath(), Postgres: at, Secret: secret, Log: n.log, Version: version,
		KeepSchema: !n.settings.on("migrate"),
	}, err
}

// explainStore tells the failures that another start will not cure.
func (n *node) explainStore(err error) error {
	var (
		sealed *store.SealedError
		wrong  *accounts.WrongKeyError
		newer  *store.NewerSchemaError
		older  *store.OlderSchemaError
		away   *store.UnreachableError
	)
	switch {
	case errors.As(err, &sealed) && errors.As(err, &wrong):
		what := plural(sealed.Credentials, "upstream credential") + " cannot be read: they were"
		if sealed.Credentials == 0 {
			what = "the store cannot be read: it was"
		}
		return invalid("%s encrypted with key %s…, %s is %s…. Restore the old key, or: llmgw secret rotate --old-file F", what, wrong.Sealed, n.secretSource(), wrong.Have)
	case errors.As(err, &newer):
		return invalid("the store has schema %d, this llmgw %s knows %d. Use a newer llmgw, or restore a backup", newer.Has, version, newer.Knows)
	case errors.As(err, &older):
		return invalid("the store has schema %d, this llmgw %s needs %d. Run: llmgw migrate up", older.Has, version, older.Wants)
	case errors.As(err, &away):
		return failed(err, "%v. Check %s, or start without it: llmgw serve --store sqlite", away, n.settings.storeSource())
	case errors.Is(err, accounts.ErrUnavailable):
		return failed(err, "%v", err)
	}
	return invalid("%v", err)
}

// storeSource names what says where the store is.
func (s *settings) storeSource() string {
	for _, t := range settingsTable() {
		if t.name != "store" {
			continue
		}
		switch origin := s.origin(t); origin {
		case fromFlag:
			return "--store"
		case fromEnv:
			return t.variable() + " (from env)"
		default:
			return "store (from " + s.source(t) + ")"
		}
	}
	return "--store"
}

// needsSecretKey refuses to make a key where other gateways need the same.
func (n *node) needsSecretKey() error {
	if _, err := n.settings.postgres(); err != nil {
		return err
	}
	if !n.settings.onPostgres() || n.givenKey() != "" {
		return nil
	}
	return invalid("with PostgreSQL, every gateway needs the one key that seals what is stored there, and none is given").
		withHint("make one: openssl rand -base64 32; give it to each as LLMGW_SECRET_KEY or LLMGW_SECRET_KEY_FILE")
}

// needsStore refuses to make a store where there is none.
func (n *node) needsStore(ctx context.Context) error {
	o, err := n.storeOptions(nil)
	if err != nil {
		return err
	}
	state, err := store.Schema(ctx, &o)
	if err != nil {
		return n.explainStore(err)
	}
	if state.Has == 0 {
		return invalid("there is no store at %s", shortPath(o.Place()))
	}
	return nil
}

// storePlace says where the database is; a file is in the data directory, or is
// told by the settings.
func (n *node) storePlace() string {
	if !n.settings.onPostgres() {
		return ""
	}
	return n.store.Place()
}
