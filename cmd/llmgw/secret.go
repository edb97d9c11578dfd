package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store"
)

// rotationPoll is how often a rotation is asked how far it is.
const rotationPoll = 100 * time.Millisecond

func newSecret(a *app) *cobra.Command {
	c := &cobra.Command{Use: "secret", Short: "check | rotate the key that seals stored credentials"}
	c.AddCommand(newSecretCheck(a), newSecretRotate(a))
	return c
}

func newSecretCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "whether everything that is sealed opens; exit 1 where something does not", Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			report, err := t.SecretReport(ctx)
			if err != nil {
				return err
			}
			err = writeOne(ctx, t.output, report, func(w io.Writer) { writeSecretReport(w, &report) })
			if err == nil && report.Readable < report.Sealed {
				return answered()
			}
			return err
		}),
	}
}

func writeSecretReport(w io.Writer, report *api.SecretReport) {
	fmt.Fprintf(w, "key %s…, %d of %d readable\n", report.Fingerprint, report.Readable, report.Sealed)
	for _, bad := range report.Unreadable {
		fmt.Fprintf(w, "%s: %s\n", bad.Name, bad.Problem)
	}
	if r := report.Rotation; r != nil {
		writeRotation(w, r)
	}
}

func writeRotation(w io.Writer, r *api.SecretRotation) {
	switch {
	case r.Running:
		fmt.Fprintf(w, "rotation from %s… to %s…: %d of %d\n", r.From, r.To, r.Done, r.Of)
	case r.Problem != "":
		fmt.Fprintf(w, "rotation from %s… to %s… stopped at %d of %d: %s\n", r.From, r.To, r.Done, r.Of, r.Problem)
	default:
		fmt.Fprintf(w, "rotation from %s… to %s… is done\n", r.From, r.To)
	}
	if r.Next != "" {
		fmt.Fprintf(w, "next: %s\n", r.Next)
	}
}

func newSecretRotate(a *app) *cobra.Command {
	var newFile, oldFile string
	online := a.callsAt(a.socketGateway, func(ctx context.Context, t talk, _ []string) error {
		return a.rotateOnline(ctx, t, newFile)
	})
	c := &cobra.Command{
		Use:   "rotate --new-file FILE | --old-file FILE",
		Short: "seal everything with another key, while the gateway runs",
		Long: "With --new-file the running gateway seals everything with the key in that file (32 bytes\n" +
			"as base64 or hex: openssl rand -base64 32), row by row, and goes on reading all of it.\n" +
			"What is cut off goes on at the next start. The command goes through the admin socket.\n\n" +
			"With --old-file a gateway that does not start, because its key is not the one that the\n" +
			"store was sealed with, is given the old key: everything is sealed with the key that the\n" +
			"gateway has now. Nothing may run on the data directory meanwhile.",
		Args: takes(),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case (newFile == "") == (oldFile == ""):
				return usage("give one of --new-file and --old-file").withHint("%s", c.UseLine())
			case newFile != "":
				return online(c, args)
			}
			return a.does(func(ctx context.Context, _ []string) error { return a.rotateOffline(ctx, oldFile) })(c, args)
		},
	}
	c.Flags().StringVar(&newFile, "new-file", "", "the key to seal with from now on; - is stdin (`FILE`)")
	c.Flags().StringVar(&oldFile, "old-file", "", "the key that the store was sealed with; - is stdin (`FILE`)")
	return c
}

// readKeyFile reads a secret key that an operator gives.
func (a *app) readKeyFile(file string) (accounts.Secret, *accounts.SecretKey, error) {
	var text accounts.Secret
	var err error
	if file == "-" {
		text, err = oneSecret(a.in, "stdin")
	} else {
		var read []byte
		if read, err = readRegular(expandHome(file), longestSecret); err != nil {
			return text, nil, invalid("reading the secret key: %s", reason(err))
		}
		text, err = oneSecret(bytes.NewReader(read), shortPath(file))
	}
	if err != nil {
		return text, nil, err
	}
	key, err := accounts.ParseSecretKey(text.Reveal())
	if err != nil {
		return text, nil, invalid("%s: %v", shortPath(file), err)
	}
	return text, key, nil
}

// rotateOnline lets the running gateway do it, and waits for it. The gateway
// goes on by itself where nobody waits any more.
func (a *app) rotateOnline(ctx context.Context, t talk, file string) error {
	text, _, err := a.readKeyFile(file)
	if err != nil {
		return err
	}
	state, err := t.RotateSecret(ctx, text.Reveal())
	if err != nil {
		return err
	}
	again := time.NewTicker(rotationPoll)
	defer again.Stop()
	for state.Running {
		select {
		case <-again.C:
		case <-ctx.Done():
			a.note("the gateway goes on; see how far it is: llmgw secret check")
			return context.Cause(ctx)
		}
		report, err := t.SecretReport(ctx)
		if err != nil {
			return err
		}
		if report.Rotation == nil {
			return failed(nil, "the gateway was started anew meanwhile; see how far it is: llmgw secret check")
		}
		state = *report.Rotation
	}
	err = writeOne(ctx, t.output, state, func(w io.Writer) { writeRotation(w, &state) })
	if err == nil && state.Problem != "" {
		return answered()
	}
	return err
}

// rotateOffline seals everything that the old key sealed with the one that the
// gateway would start with.
func (a *app) rotateOffline(ctx context.Context, file string) (err error) {
	s, err := a.settings()
	if err != nil {
		return err
	}
	_, old, err := a.readKeyFile(file)
	if err != nil {
		return err
	}
	n := &node{app: a, settings: s, log: zerolog.Nop()}
	defer func() {
		for _, c := range n.closers {
			err = errors.Join(err, c())
		}
	}()
	for _, step := range []func(context.Context) error{n.openData, n.needsStore, n.openSecretKey} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if old.Fingerprint() == n.secret.Fingerprint() {
		return usage("this is the key that the gateway has: %s…", old.Fingerprint())
	}
	o, err := n.storeOptions(accounts.NewKeyring(n.secret, old))
	if err != nil {
		return err
	}
	opened, err := store.Open(ctx, o)
	if err != nil {
		return n.explainStore(err)
	}
	of := 0
	m := accounts.Meta{Kind: "secret.rotate", Actor: "local", From: "offline"}
	err = opened.RotateSecret(ctx, m, old, n.secret, func(_, all int) { of = all })
	if err = errors.Join(err, opened.Close()); err != nil {
		return failed(err, "%v", err)
	}
	a.note("%d of %d sealed with key %s…; it may start: llmgw serve", of, of, n.secret.Fingerprint())
	return nil
}
