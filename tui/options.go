package tui

import (
	"context"
	"io"
	"os/exec"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// Options say which gateway is shown, and how.
type Options struct {
	Gateway  Gateway                            // the one to begin with
	Contexts []string                           // the names that Connect knows
	Connect  func(name string) (Gateway, error) // to another gateway; nil: there is no other

	ReadOnly bool   // nothing can be changed, whatever the role
	ASCII    bool   // no signs beyond ASCII
	NoColour bool   // bold and reverse, but no colours
	Theme    string // "dark" or "light"; empty: as the terminal's background is
	Mouse    bool
	Start    string              // the screen to begin with: "rules"; empty: the dashboard
	Keys     map[string][]string // other keys of actions, by their names; see KeyMap

	Editor func(path string) *exec.Cmd                          // the person's own; nil: nothing is edited
	Doctor func(ctx context.Context) (report string, err error) // nil: there is none

	// Left is told, when the terminal is as it was, what was not applied: the name of
	// a file that keeps it was on a screen that is gone. nil: nobody is told.
	Left func(what string)

	Clock   func() time.Time // nil: the machine's
	In      io.Reader        // nil: the terminal
	Out     io.Writer        // nil: the terminal
	Getenv  func(string) string
	Version string
}

// Gateway is a gateway as the console reaches it.
type Gateway struct {
	Client *api.Client
	Name   string // of the context; "local" on the socket
	Where  string // the socket, or the base URL
	Twin   string // what a command needs to reach the same one: "--context prod"; empty: nothing
	User   string // who logs in there, as far as is known

	Token string // where the token is from that calls are made with: "LLMGW_TOKEN"; empty: there is none

	// Login starts a session in place of one that has ended. nil: there are no
	// logins here, as on the socket.
	Login func(ctx context.Context, user string, password accounts.Secret) error

	// Requests is how many calls Client has made. nil: nobody counts.
	Requests func() int64
}
