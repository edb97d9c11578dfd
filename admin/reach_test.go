package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func TestWhereOnlyPublicTargetsAreAllowedNoOtherIsTakenOrCalled(t *testing.T) {
	g := open(t)
	calls := 0
	url := onLoopback(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	g.upstreamAt(t, "before", url)
	g.reach = rules.PublicOnly
	g.restart(t, nil)

	for _, private := range []string{url, "http://localhost:11434", "http://10.0.0.1", "http://[::ffff:192.168.0.1]", "http://[fd00::1]", "http://100.64.1.1"} {
		_, err := g.CreateUpstream(t.Context(), api.NewUpstream{Name: "near", Provider: "generic", Auth: "none", URL: private})
		refused := refusedWith(t, err, api.CodeInvalid, 422, "url: is not a public address")
		if len(refused.Problems) != 1 || !strings.Contains(refused.Problems[0].Hint, "private_targets: deny") {
			t.Errorf("%s: problems are %+v", private, refused.Problems)
		}
		_, err = g.ApplyRules(t.Context(), api.ApplyRequest{Files: []api.Source{{Name: "rules.yaml",
			Content: "version: 1\nrules:\n- {name: near, action: {target: \"" + private + "\"}}\n"}}})
		refusedWith(t, err, api.CodeInvalid, 422, "the target is not a public address")
	}
	g.upstreamAt(t, "far", "https://models.example")
	g.apply(t, "version: 1\nrules:\n- {name: far, action: {target: \"https://models.example\"}}\n- {name: old, action: {upstream: before}}\n")

	test, err := g.TestUpstream(t.Context(), "before")
	must(t, err)
	if test.OK || !strings.Contains(test.Error, `cannot reach upstream "before": its address is not public`) || calls != 0 {
		t.Errorf("%d calls, test is %+v", calls, test)
	}
}
