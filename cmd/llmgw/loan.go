package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// The times of a key that a program is given for as long as it runs. It is
// prolonged while the program runs, so that what a kill -9 leaves behind ends by
// itself within a day.
const (
	loanLife      = 24 * time.Hour
	loanProlonged = time.Hour
	loanReturn    = 5 * time.Second // the longest that the giving back may take
)

// loan is a key for a program: one more secret of the key that was named, or of
// the one that is this machine's. Nobody else has this secret, and no file.
type loan struct {
	from   *gateway
	key    string
	id     string
	secret accounts.Secret
	ends   time.Time
}

// borrow asks the gateway for a key. Where none is named it is MAKER@HOST, which
// is made when it is first wanted.
func borrow(ctx context.Context, g *gateway, maker, key string, ends time.Time) (*loan, error) {
	wanted := api.NewSecret{ExpiresAt: ends.UTC()}
	if key == "" {
		key, wanted.Make = maker+"@"+machine(), true
	}
	added, err := g.AddSecret(ctx, key, wanted)
	if err != nil {
		return nil, err
	}
	return &loan{
		from: g, key: added.Name, id: added.SecretID, secret: accounts.NewSecret(added.Secret), ends: added.SecretExpiresAt,
	}, nil
}

// namesKey refuses a key where the name of one is wanted.
func namesKey(name string) error {
	if strings.HasPrefix(name, accounts.KeyPrefix) {
		return usage("--key wants the name of a key, not the key: it would show in ps and in the shell's history").
			withHint("their names: llmgw keys list")
	}
	return nil
}

// keep prolongs the loan until ctx ends, and tells what was wrong with the last
// attempt.
func (l *loan) keep(ctx context.Context, every time.Duration) error {
	var last error
	for tick := time.NewTicker(every); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return last
		case now := <-tick.C:
			_, err := l.from.SetSecretEnd(ctx, l.key, l.id, now.Add(loanLife).UTC())
			if ctx.Err() == nil { // else it was not the gateway that ended the attempt
				last = err
			}
		}
	}
}

// giveBack ends the loan. Whatever ended the program, it is given back.
func (l *loan) giveBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loanReturn)
	defer cancel()
	_, err := l.from.SetSecretEnd(ctx, l.key, l.id, time.Time{})
	var refusal *api.Error
	if errors.As(err, &refusal) && refusal.Code == api.CodeNotFound {
		return nil // the key was revoked and used again: this secret is gone
	}
	if err != nil {
		return fmt.Errorf("ending the key of this run: %w", err)
	}
	return nil
}

// machine is this machine's name in the form that names have, without its
// domain.
func machine() string {
	name, err := os.Hostname()
	if err != nil {
		return "machine"
	}
	return machineNamed(name)
}

const longestMachine = 40

func machineNamed(hostname string) string {
	name, _, _ := strings.Cut(strings.ToLower(hostname), ".")
	name = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, name)
	name = strings.TrimLeft(name, "-_")
	if name = name[:min(len(name), longestMachine)]; name == "" {
		return "machine"
	}
	return name
}
