package tui

import (
	"context"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// defaultCredential is the name of a credential that was given none.
const defaultCredential = "default"

// The ways of giving an upstream another credential, as the command line has them.
const (
	wayRotate = "rotate"
	waySet    = "set"
)

// secretFields ask for a secret or for where the gateway finds one, which only an
// admin may say.
func (s *upstreamsScreen) secretFields() []*field {
	fields := []*field{hiddenField("secret", "Secret", "it is not shown, and kept sealed")}
	if me := &s.books.me; !me.there() || accounts.Role(me.value.Role).Covers(accounts.RoleAdmin) {
		fields = append(fields, writtenField("reference", "or Reference", "", "env:NAME or file:/PATH, read by the gateway"))
	}
	return fields
}

// credentialOf reads the fields of secretFields, and gives the flags that say the
// same: none holds a secret. The problem is empty where there is none.
func credentialOf(f *form) (wanted api.NewCredential, flags []string, problem string) {
	wanted.Secret, wanted.Reference = f.value("secret"), f.value("reference")
	scheme, place, _ := strings.Cut(wanted.Reference, ":")
	switch {
	case wanted.Secret != "" && wanted.Reference != "":
		return wanted, nil, "give a secret or a reference, not both"
	case wanted.Secret != "":
		return wanted, []string{"--credential", "-"}, ""
	case wanted.Reference == "":
		return wanted, nil, ""
	case scheme == "env" && place != "":
		return wanted, []string{"--credential-from-env", place}, ""
	case scheme == "file" && strings.HasPrefix(place, "/"):
		return wanted, []string{"--credential-from-file", place}, ""
	}
	return wanted, nil, "a reference is env:NAME or file:/PATH"
}

// credentialForm asks for another credential of an upstream.
func (s *upstreamsScreen) credentialForm(u *api.Upstream) *form {
	f := &form{look: s.look, title: "Credential of " + clean(u.Name)}
	name := defaultCredential
	ways := []string{waySet}
	if len(u.Credentials) > 0 {
		name, ways = u.Credentials[0].Name, []string{wayRotate, waySet}
		f.intro = []string{"rotate puts it in the place of one that is there, and no request fails in between; set also makes one of a new name."}
	}
	f.fields = append([]*field{
		choiceField("way", "How", ways, ways[0], ""),
		writtenField("name", "Which", name, credentialNames(u)),
	}, s.secretFields()...)
	f.at = 2 // the secret
	upstream, several := u.Name, len(u.Credentials) > 1
	f.submit = func(f *form) tea.Cmd { return s.giveCredential(f, upstream, several) }
	return f
}

func credentialNames(u *api.Upstream) string {
	names := make([]string, 0, len(u.Credentials))
	for i := range u.Credentials {
		names = append(names, clean(u.Credentials[i].Name))
	}
	return strings.Join(names, ", ")
}

// giveCredential sends it. The secret is in what is sent, and nowhere else.
func (s *upstreamsScreen) giveCredential(f *form, upstream string, several bool) tea.Cmd {
	wanted, flags, problem := credentialOf(f)
	if problem == "" && len(flags) == 0 {
		problem = "no secret is given"
	}
	if problem != "" {
		f.problem = problem
		return nil
	}
	way := f.value("way")
	wanted.Name = or(f.value("name"), defaultCredential)
	twin := append([]string{"upstreams", "credential", way, upstream}, flags...)
	if wanted.Name != defaultCredential || several {
		twin = append(twin, "--name", wanted.Name)
	}
	put, done := (*api.Client).SetCredential, " set"
	if way == wayRotate {
		put, done = (*api.Client).RotateCredential, " rotated"
	}
	return s.submits(f, change{
		twin: append(twin, "--no-test"), books: []book{bookUpstreams},
		call: func(ctx context.Context, c *api.Client) (string, error) {
			_, err := put(c, ctx, upstream, wanted)
			return "credential " + wanted.Name + " of upstream " + upstream + done + "; T tests it", err
		},
	})
}
