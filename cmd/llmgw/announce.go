package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// bannerWidth is the narrowest terminal on which no line breaks.
const bannerWidth = 80

// announce says that the gateway is ready: to a person what to do next, to
// everybody else one log line without any secret.
func (n *node) announce(ctx context.Context) error {
	took := time.Since(n.begun)
	if d := n.store.Degraded(); d != nil && n.away() {
		return n.announceAway(d, took)
	}
	if !n.app.outIsTerm {
		line := n.log.Info().Str("proxy", n.listener.Addr().String()).Str("admin", hostOf(told(&n.adminURL))).
			Str("data", n.data).Str("store", n.store.Kind())
		if n.metricsAt != "" {
			line.Str("metrics", n.metricsAt)
		}
		line.Int64("ms", took.Milliseconds()).Msg("ready")
		return n.announceAdmin(ctx)
	}
	config, err := n.store.Load(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	if n.firstKey.IsZero() {
		err = n.writeAgain(ctx, &b, config, took)
	} else {
		n.writeFirst(&b, config, took)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(n.app.out, n.app.outStyle().plain(b.String()))
	return err
}

// writeAgain is what every start but the first says: four lines.
func (n *node) writeAgain(ctx context.Context, w io.Writer, config rules.Config, took time.Duration) error {
	keys, err := n.store.Keys(ctx)
	if err != nil {
		return err
	}
	count := 0
	for _, f := range config.Files {
		count += len(f.Rules)
	}
	n.writePlaces(w)
	fmt.Fprintf(w, "  %s, %s, %s; ready in %s\n", plural(count, "rule"), plural(len(config.Upstreams), "upstream"),
		plural(len(keys), "key"), seconds(took))
	return nil
}

func (n *node) writePlaces(w io.Writer) {
	fmt.Fprintf(w, "  proxy     %-25s point your clients here\n", told(&n.proxyURL))
	fmt.Fprintf(w, "  admin     %-25s admin API, /metrics, /healthz\n", told(&n.adminURL))
	fmt.Fprintf(w, "  data      %-25s SQLite; nothing else to install\n", shortPath(n.data))
}

// writeFirst is the only place where the first key is ever shown.
func (n *node) writeFirst(w io.Writer, config rules.Config, took time.Duration) {
	fmt.Fprintf(w, "llmgw %s\n\n", version)
	n.writePlaces(w)
	fmt.Fprint(w, "\n  upstreams\n")
	for i := range config.Upstreams {
		u := &config.Upstreams[i]
		line := fmt.Sprintf("    %-10s %-35s ", u.Name, n.whence(u))
		fmt.Fprintln(w, strings.TrimRight(line+shownModels(config, u, bannerWidth-utf8.RuneCountInString(line)), " "))
	}
	if len(config.Upstreams) < 2 && !n.settings.on("no-detect") {
		fmt.Fprint(w, "    (OPENAI_API_KEY, ANTHROPIC_API_KEY and others are picked up when set)\n")
	}
	fmt.Fprintf(w, "\n  first start: shown once, store it now\n    api key    %s\n", n.firstKey.Reveal())
	if !n.settings.on("no-mock") {
		n.writeTry(w)
	}
	fmt.Fprintf(w, "\nready in %s, Ctrl-C stops\n", seconds(took))
}

func (n *node) writeTry(w io.Writer) {
	fmt.Fprintf(w, `
  try it
    KEY=%s
    curl -N %s/v1/chat/completions \
      -H "Authorization: Bearer $KEY" \
      --json '{"model":"mock","stream":true,
               "messages":[{"role":"user","content":"hello"}]}'

    llmgw chat hello         the same without the typing
    llmgw run -- claude      Claude Code through this gateway (also: codex, …)
    llmgw status             what it does now
    llmgw admin link         a first password for the admin API
`, n.firstKey.Reveal(), told(&n.proxyURL))
}

// whence says where an upstream's credential comes from, and how it ends.
func (n *node) whence(u *accounts.Upstream) string {
	if u.Auth == accounts.AuthNone || len(u.Credentials) == 0 {
		return "built in, needs no account"
	}
	c := &u.Credentials[0]
	text := "key from " + strings.TrimPrefix(c.Reference, "env:")
	if secret, err := n.vault.Read(n.ctx, u, c); err == nil && secret.Last4() != "" {
		text += " (…" + secret.Last4() + ")"
	}
	return text
}

// shownModels gives the first few names that lead to an upstream, as many as
// there is room for.
func shownModels(config rules.Config, u *accounts.Upstream, room int) string {
	const most, more = 3, ", …"
	var models []string
	for _, f := range config.Files {
		for _, r := range f.Rules {
			if r.Action.Upstream == u.Name && u.Auth != accounts.AuthNone {
				models = append(models, r.Match.Model...)
			}
		}
	}
	for shown := min(most, len(models)); shown > 0; shown-- {
		text := strings.Join(models[:shown], ", ")
		if shown < len(models) {
			text += more
		}
		if utf8.RuneCountInString(text) <= room {
			return text
		}
	}
	return ""
}

// announceAdmin says how the first admin comes into being.
func (n *node) announceAdmin(ctx context.Context) error {
	there, err := n.hasAdmin(ctx)
	if err == nil && !there && !n.adminOpen() {
		n.log.Warn().Str("next", "run `llmgw admin link` inside this container or as this user").Msg("no admin yet")
	}
	return err
}

func hostOf(base string) string {
	_, host, _ := strings.Cut(base, "://")
	return host
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
