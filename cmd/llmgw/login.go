package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// placeFlags are what the commands that make a context know of it.
type placeFlags struct {
	user, caFile, serverName string
	insecure                 bool
}

func (f *placeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.user, "user", "", "who logs in there (`NAME`)")
	flags.StringVar(&f.caFile, "ca-file", "", "certificates to trust there beside the system's, PEM (`FILE`)")
	flags.StringVar(&f.serverName, "server-name", "", "the name on its certificate, where that is not the URL's (`NAME`)")
	flags.BoolVar(&f.insecure, "insecure-http", false, "allow http to another machine: only where the way there is safe")
}

// over gives a context with what was said of it.
func (f *placeFlags) over(c place) (place, error) {
	if f.user != "" {
		c.User = f.user
	}
	if f.caFile != "" {
		path, err := absolute(f.caFile)
		if err != nil {
			return c, err
		}
		c.CAFile = path
	}
	if f.serverName != "" {
		c.ServerName = f.serverName
	}
	c.InsecureHTTP = c.InsecureHTTP || f.insecure
	return c, nil
}

func newLogin(a *app) *cobra.Command {
	var flags placeFlags
	var passwordFile string
	c := &cobra.Command{
		Use:   "login [URL | URL#LINK]",
		Short: "log in to a gateway on another machine",
		Long: "Logs in to a gateway and makes it the one that commands talk to. The context that\n" +
			"remembers it is that of --context, or else the one that the user has there, or a\n" +
			"new one, called by the host.\n\n" +
			"URL#LINK is an admin link (llmgw admin link): it asks for the password to be, sets it\n" +
			"and logs in.",
		Args: takesOneAtMost,
		RunE: a.does(func(ctx context.Context, args []string) error {
			url := ""
			if len(args) == 1 {
				url = args[0]
			}
			return a.login(ctx, url, &flags, passwordFile)
		}),
	}
	flags.add(c.Flags())
	c.Flags().StringVar(&passwordFile, "password-file", "", "where the password is; - is stdin (`FILE`)")
	return c
}

// login finds the context that is meant, logs in there, and keeps both.
func (a *app) login(ctx context.Context, url string, flags *placeFlags, passwordFile string) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	o, err := a.output(s)
	if err != nil {
		return err
	}
	k, err := openKeep()
	if err != nil {
		return err
	}
	all, err := k.places()
	if err != nil {
		return err
	}
	to, link, err := placeToLogIn(&all, url, flags.user, s)
	if err != nil {
		return err
	}
	if to, err = flags.over(to); err != nil {
		return err
	}
	if err := to.check(); err != nil {
		return err
	}
	tokens, err := a.getTokens(ctx, s, to, link, passwordFile)
	if err != nil {
		return err
	}
	to.User = tokens.User
	return a.keepLogin(ctx, k, o, to, tokens)
}

// placeToLogIn is the context of a URL, or the one that is named, or the current
// one; link is the secret of an admin link.
func placeToLogIn(all *places, url, user string, s *settings) (to place, link string, err error) {
	name := s.text("context")
	if url == "" {
		url = s.text("server")
	}
	if url == "" {
		if name == "" {
			name = all.Current
		}
		if name == "" {
			return place{}, "", usage("missing argument URL").withHint("llmgw login https://HOST[:PORT]")
		}
		to, err = all.named(name)
		return to, "", err
	}
	server, link, err := serverOf(url)
	switch {
	case err != nil:
		return place{}, "", err
	case strings.HasPrefix(server, "unix:"):
		return place{}, "", usage("an admin socket needs no login").withHint("llmgw whoami --server %s", server)
	case name == "":
		return all.of(server, user), link, nil
	}
	known, err := all.named(name)
	if err != nil || known.Server != server { // what was said of another server says nothing of this one
		known = place{Name: name, Server: server}
	}
	return known, link, nil
}

// getTokens logs in, with a password or with an admin link and the password to
// be.
func (a *app) getTokens(ctx context.Context, s *settings, to place, link, passwordFile string) (api.Tokens, error) {
	trusted, err := to.trust()
	if err != nil {
		return api.Tokens{}, err
	}
	client := api.NewClient(api.Options{BaseURL: to.Server, TLS: trusted, Timeout: s.duration("timeout"), Trace: a.tracer(s)})
	defer client.Close()
	g := &gateway{Client: client, at: to.Server, access: &access{place: to, now: time.Now}}
	wanted := api.Login{Link: link}
	if link != "" {
		password, err := a.readNewPassword(ctx, s, passwordFile)
		if err != nil {
			return api.Tokens{}, err
		}
		wanted.New = password.Reveal()
		tokens, err := client.Login(ctx, wanted)
		return tokens, unreached(g, err)
	}
	if wanted.User, err = a.whoLogsIn(ctx, s, to); err != nil {
		return api.Tokens{}, err
	}
	password, err := a.passwordFrom(ctx, s, passwordFile, "password of "+wanted.User)
	if err != nil {
		return api.Tokens{}, err
	}
	wanted.Password = password.Reveal()
	tokens, err := client.Login(ctx, wanted)
	return tokens, unreached(g, err)
}

// unreached explains a gateway that is not there. What else a login is refused
// for the gateway says best itself.
func unreached(g *gateway, err error) error {
	var refusal *api.Error
	if errors.As(err, &refusal) && refusal.Code == api.CodeUnreachable {
		return g.explain(err)
	}
	return err
}

func (a *app) whoLogsIn(ctx context.Context, s *settings, to place) (string, error) {
	switch {
	case to.User != "":
		return to.User, nil
	case !a.canAsk(s):
		return "", usage("login needs --user where nobody can be asked")
	}
	fmt.Fprintf(a.err, "user at %s: ", to.Server)
	line, err := a.readLine(ctx)
	if err != nil {
		return "", fmt.Errorf("reading the user: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", usage("no user was given")
	}
	return line, nil
}

// keepLogin stores a login and its context, and makes that the current one.
func (a *app) keepLogin(ctx context.Context, k keep, o *output, to place, tokens api.Tokens) error {
	if err := k.remember(ctx, to, tokens); err != nil {
		return err
	}
	if err := k.changePlaces(ctx, func(all *places) error { all.Current = to.Name; return nil }); err != nil {
		return err
	}
	shown := struct {
		Context string `json:"context"`
		Server  string `json:"server"`
		User    string `json:"user"`
		Role    string `json:"role"`
	}{to.Name, to.Server, tokens.User, tokens.Role}
	return writeOne(ctx, o, shown, func(w io.Writer) {
		fmt.Fprintf(w, "logged in to %s as %s (%s); context %s is current\n", to.Server, tokens.User, tokens.Role, to.Name)
	})
}

// remember stores a login and its context. The current context stays what it is.
func (k keep) remember(ctx context.Context, to place, tokens api.Tokens) error {
	err := k.changePlaces(ctx, func(all *places) error {
		current := all.Current
		all.put(to)
		all.Current = current
		return nil
	})
	if err != nil {
		return err
	}
	return k.changeLogins(ctx, func(all logins) error {
		all[to.Name] = loginOf(to.Server, tokens)
		return nil
	})
}

func newLogout(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "end the login, there and here", Args: takes(),
		RunE: a.does(func(ctx context.Context, _ []string) error {
			s, err := a.settings()
			if err != nil {
				return err
			}
			to, err := a.which(s)
			if err != nil {
				return err
			}
			g, err := a.connect(s, to)
			if err != nil {
				return err
			}
			defer g.Close()
			return a.logout(ctx, g)
		}),
	}
}

// logout forgets a login whether or not the gateway can be told; where it cannot,
// that is said, since the login goes on there.
func (a *app) logout(ctx context.Context, g *gateway) error {
	if g.access == nil {
		a.note("no login is needed at %s", g.at)
		return nil
	}
	var ended login
	err := g.access.keep.changeLogins(ctx, func(all logins) error {
		if l := all[g.access.place.Name]; l.Server == g.access.place.Server {
			ended = l
			delete(all, g.access.place.Name)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case ended.Server == "":
		a.note("there is no login to %s", g.at)
		return nil
	}
	if ended.Refresh != "" {
		client := g.access.plain()
		defer client.Close()
		if err := client.Logout(ctx, ended.Refresh); err != nil {
			f := explain(g.explain(err))
			f.message = "the login is forgotten here, but it may go on there: " + f.message
			return f
		}
	}
	a.note("logged out of %s", g.at)
	return nil
}

func newWhoami(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "who you are to the gateway", Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			me, err := t.Me(ctx)
			if err != nil {
				return err
			}
			return writeOne(ctx, t.output, me, func(w io.Writer) {
				fields(w, "user", me.User, "role", me.Role, "via", me.Via, "until", dateTime(me.ExpiresAt),
					"gateway", t.at, "context", dash(t.context))
			})
		}),
	}
}

// dateTime writes a moment to the minute, in UTC.
func dateTime(at *time.Time) string {
	if at == nil || at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04 UTC")
}

// passwordFrom reads a password from a file, from stdin where that is -, or from
// a hidden prompt.
func (a *app) passwordFrom(ctx context.Context, s *settings, file, prompt string) (accounts.Secret, error) {
	switch {
	case file == "-":
		return oneSecret(a.in, "stdin")
	case file != "":
		return passwordIn(file)
	case !a.canAsk(s):
		return accounts.Secret{}, usage("give --password-file FILE, or --password-file - for stdin, where nobody can be asked")
	}
	return a.promptHidden(ctx, prompt)
}

// readNewPassword reads a password to be: twice where it is typed, since nobody
// sees it.
func (a *app) readNewPassword(ctx context.Context, s *settings, file string) (accounts.Secret, error) {
	first, err := a.passwordFrom(ctx, s, file, "new password")
	if err != nil || file != "" {
		return first, err
	}
	return a.typedAgain(ctx, first)
}
