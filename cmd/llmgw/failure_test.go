package main

import (
	"strings"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

func TestAProblemWithoutAFileSaysOnceWhatIsMeant(t *testing.T) {
	for _, c := range []struct {
		name    string
		problem api.Problem
		want    string
	}{
		{"the field of a request", api.Problem{Field: "url", Message: "must be http or https"}, "error: url: must be http or https\n"},
		{"a rule that names itself", api.Problem{Field: "name", Rule: "a", Message: `rule "a" can never match`}, "error: rule \"a\" can never match\n"},
		{"neither", api.Problem{Message: "it is empty"}, "error: it is empty\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			problem{Problem: c.problem}.write(&b, style{}, "error:")
			if b.String() != c.want {
				t.Errorf("%q, want %q", b.String(), c.want)
			}
		})
	}
}
