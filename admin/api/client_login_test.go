package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func TestEveryCallAsksForItsBearer(t *testing.T) {
	var sent []string
	tokens := []string{"first", "second", ""}
	client := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, strings.Join(r.Header.Values("Authorization"), ","))
		_, _ = fmt.Fprint(w, `{}`)
	}, func(o *api.Options) {
		o.Bearer = func(context.Context) (accounts.Secret, error) {
			token := tokens[0]
			tokens = tokens[1:]
			return accounts.NewSecret(token), nil
		}
	})
	for range 3 {
		if _, err := client.Me(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(sent, "|"); got != "Bearer first|Bearer second|" {
		t.Errorf("sent are %q", got)
	}
}

func TestABearerThatCannotBeHad(t *testing.T) {
	own := &api.Error{Status: 401, Code: api.CodeDenied, Detail: "your login ended 2 h ago"}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a refusal passes as it is":     {fmt.Errorf("refreshing: %w", own), own.Detail},
		"anything else is a denial too": {errors.New("reading the keyring: locked"), "reading the keyring: locked"},
	} {
		t.Run(name, func(t *testing.T) {
			client := gateway(t, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }, func(o *api.Options) {
				o.Bearer = func(context.Context) (accounts.Secret, error) { return accounts.Secret{}, c.err }
			})
			_, err := client.Me(t.Context())
			if e := refusal(t, err); e.Code != api.CodeDenied || e.Detail != c.want {
				t.Errorf("got %+v", e)
			}
		})
	}
}
