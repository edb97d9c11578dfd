package api

import "testing"

func TestMatchersAndActionsAreSaidInAFewWords(t *testing.T) {
	for name, c := range map[string]struct {
		rule Rule
		want string
	}{
		"nothing is asked for":       {Rule{}, "*  → binding"},
		"models before paths":        {Rule{Match: map[string]any{"path": "/v1/**", "model": []any{"gpt-*", "!gpt-4"}}, Action: map[string]any{"upstream": "a", "model": "b"}}, "model=gpt-*,!gpt-4  path=/v1/**  → a  model=b"},
		"names of headers":           {Rule{Match: map[string]any{"header": map[string]any{"b": map[string]any{"in": []any{"1", "2"}}, "a": "x"}}, Action: map[string]any{"target": "https://x"}}, "header a=x  header b=in:1,2  → https://x"},
		"what must not hold":         {Rule{Match: map[string]any{"not": map[string]any{"source": []any{"10.0.0.0/8"}}}, Action: map[string]any{"respond": map[string]any{"status": 400.0}}}, "not(source=10.0.0.0/8)  respond 400"},
		"weights, fallback and more": {Rule{Action: map[string]any{"upstreams": []any{map[string]any{"name": "a", "weight": 80.0}, map[string]any{"name": "b"}}, "fallback": []any{map[string]any{"name": "c"}}, "retry": map[string]any{}}}, "*  → a/80,b  else c  +retry"},
		"the search goes on":         {Rule{Continue: true, Action: map[string]any{"headers": map[string]any{}}}, "*  → next rule  +headers"},
	} {
		if got := MatchText(c.rule.Match) + "  " + c.rule.ActionText(); got != c.want {
			t.Errorf("%s: %q, and not %q", name, got, c.want)
		}
	}
}
