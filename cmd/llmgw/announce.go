package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// announce says that the gateway is ready: to a person what to do next, to
// everybody else one log line without any secret.
func (n *node) announce(ctx context.Context) error {
	took := time.Since(n.begun)
	if !n.app.outIsTerm {
		n.log.Info().Str("proxy", n.listener.Addr().String()).Str("admin", n.adminListener.Addr().String()).
			Str("data", n.data).Str("store", "sqlite").Int64("ms", took.Milliseconds()).Msg("ready")
		return nil
	}
	var b strings.Builder
	if n.first.key.IsZero() {
		if err := n.writeAgain(ctx, &b, took); err != nil {
			return err
		}
	} else {
		n.writeFirst(&b, took)
	}
	_, err := io.WriteString(n.app.out, n.app.outStyle().plain(b.String()))
	return err
}

// writeAgain is what every start but the first says: four lines.
func (n *node) writeAgain(ctx context.Context, w io.Writer, took time.Duration) error {
	config, err := n.store.Load(ctx)
	if err != nil {
		return err
	}
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
	fmt.Fprintf(w, "  proxy     %-25s point your clients here\n", n.proxyURL())
	fmt.Fprintf(w, "  admin     %-25s /metrics, /healthz, /readyz\n", "http://"+reachable(n.adminListener.Addr().String()))
	fmt.Fprintf(w, "  data      %-25s SQLite; nothing else to install\n", shortPath(n.data))
}

// writeFirst is the only place where the first key is ever shown.
func (n *node) writeFirst(w io.Writer, took time.Duration) {
	fmt.Fprintf(w, "llmgw %s\n\n", version)
	n.writePlaces(w)
	fmt.Fprint(w, "\n  upstreams\n")
	for _, u := range n.first.upstreams {
		line := fmt.Sprintf("    %-10s %-35s %s", u.name, u.said, shownModels(u))
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	if len(n.first.upstreams) < 2 && !n.settings.on("no-detect") {
		fmt.Fprint(w, "    (OPENAI_API_KEY, ANTHROPIC_API_KEY and others are picked up when set)\n")
	}
	fmt.Fprintf(w, "\n  first start: shown once, store it now\n    api key    %s\n", n.first.key.Reveal())
	if !n.settings.on("no-mock") {
		n.writeTry(w)
	}
	fmt.Fprintf(w, "\nready in %s, Ctrl-C stops\n", seconds(took))
}

func (n *node) writeTry(w io.Writer) {
	fmt.Fprintf(w, `
  try it
    curl -N %s/v1/chat/completions \
      -H 'Authorization: Bearer %s' \
      --json '{"model":"mock","stream":true,
               "messages":[{"role":"user","content":"hello"}]}'

    llmgw chat hello         the same without the typing
    llmgw status             what it does now
`, n.proxyURL(), n.first.key.Reveal())
}

// shownModels gives the first few names that an upstream is found by.
func shownModels(u firstUpstream) string {
	if u.name == "mock" {
		return ""
	}
	if len(u.models) > 3 {
		return strings.Join(u.models[:3], ", ") + ", …"
	}
	return strings.Join(u.models, ", ")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
