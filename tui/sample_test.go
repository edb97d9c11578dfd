package tui

import (
	"math"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

func sampleNow() time.Time { return time.Date(2026, 11, 22, 21, 4, 13, 0, time.UTC) }

func before(d time.Duration) time.Time   { return sampleNow().Add(-d) }
func beforeP(d time.Duration) *time.Time { t := before(d); return &t }

// sample is a gateway with some of everything.
func sample() map[string]any {
	return map[string]any{
		"GET /me":        api.Me{User: "dana", Role: "admin", Via: "login"},
		"GET /status":    sampleStatus(),
		"GET /nodes":     listOf(sampleNodes()...),
		"GET /rules":     api.RuleList{Items: sampleRules(), Revision: 41},
		"GET /upstreams": listOf(sampleUpstreams()...),
		"GET /keys":      listOf(sampleKeys()...),
		"GET /users":     listOf(sampleUsers()...),
		"GET /bindings":  listOf(sampleBindings()...),
		"GET /traffic":   sampleWindow(),
		"GET /streams":   api.Streams{Items: sampleFlights()},
		"GET /audit":     listOf(sampleAudit()...),
		"GET /history":   listOf(sampleHistory()...),
		"GET /settings":  listOf(sampleSettings()...),
		"GET /tokens":    listOf(sampleTokens()...),
	}
}

func listOf[T any](items ...T) api.List[T] { return api.List[T]{Items: items} }

func sampleStatus() api.Status {
	return api.Status{
		Version: "0.7.0", Node: "a1", PID: 4711, StartedAt: before(50 * time.Hour), Proxy: "https://llm.example.com", Admin: "https://llm.example.com:8889",
		Data: "/var/lib/llmgw", Ready: true, InFlight: 57, Traffic: api.Traffic{Requests: 4_811_204, Errors: 1204, InputTokens: 3_100_000_000, OutputTokens: 880_000_000},
		Rules: api.RulesStatus{Enabled: 4, Disabled: 1, Revision: 41, ChangedAt: before(70 * time.Minute), ChangedBy: "dana"}, Keys: 4,
		Store: api.StoreStatus{Kind: "postgres", Place: "db.example.com:5432/llmgw", OK: true, LatencyMS: 0.8}, Bus: "redis at cache.example.com:6379", ConfigAgeS: 0.4,
	}
}

func sampleNodes() []api.Node {
	return []api.Node{
		{ID: "node_01A", Name: "a1", Version: "0.7.0", Self: true, StartedAt: before(50 * time.Hour), Bus: "redis", Revision: 41, Applied: 412, SameLog: true},
		{ID: "node_01B", Name: "a2", Version: "0.7.0", StartedAt: before(49 * time.Hour), Bus: "redis", Revision: 41, Applied: 412, SameLog: true, SilenceS: 0.4},
		{ID: "node_01C", Name: "b1", Version: "0.6.4", StartedAt: before(3 * time.Hour), Bus: "redis", Revision: 40, Applied: 411, Behind: 1, SameLog: true, SilenceS: 12, Silent: true, Problem: "no sign for 12 s"},
	}
}

func sampleRules() []api.Rule {
	rule := func(position int, name string, enabled bool, match, action map[string]any, yaml string) api.Rule {
		return api.Rule{Position: position, Set: "default", Order: position * 10, Name: name, Enabled: enabled, Match: match, Action: action, YAML: yaml}
	}
	return []api.Rule{
		rule(1, "fast-lane", true, map[string]any{"model": "gpt-5-mini", "header": map[string]any{"x-tier": "free"}}, map[string]any{"upstream": "groq"},
			"- name: fast-lane\n  match:\n    model: gpt-5-mini\n    header:\n      x-tier: free\n  action:\n    upstream: groq\n"),
		rule(2, "anthropic", true, map[string]any{"path": "/v1/messages/**"}, map[string]any{"upstream": "anthropic"},
			"- name: anthropic\n  match:\n    path: /v1/messages/**\n  action:\n    upstream: anthropic\n"),
		rule(3, "openai", true, map[string]any{"model": []any{"gpt-*", "o*"}}, map[string]any{"upstreams": []any{map[string]any{"name": "openai-eu", "weight": 80}, map[string]any{"name": "openai-us", "weight": 20}}},
			"- name: openai\n  match:\n    model: [gpt-*, o*]\n  action:\n    upstreams:\n      - {name: openai-eu, weight: 80}\n      - {name: openai-us, weight: 20}\n"),
		rule(4, "old-embed", false, map[string]any{"path": "/v1/embeddings"}, map[string]any{"upstream": "azure-eu"},
			"- name: old-embed\n  enabled: false\n  match:\n    path: /v1/embeddings\n  action:\n    upstream: azure-eu\n"),
		rule(5, "日本語-catch-all", true, map[string]any{}, map[string]any{"respond": map[string]any{"status": 400}},
			"- name: 日本語-catch-all\n  action:\n    respond: {status: 400}\n"),
	}
}

func sampleUpstreams() []api.Upstream {
	credential := func(last4 string) []api.Credential {
		return []api.Credential{{ID: "cred_01" + last4, Name: "default", Last4: last4, Usable: true, Weight: 1, Enabled: true, CreatedAt: before(900 * time.Hour)}}
	}
	return []api.Upstream{
		{ID: "up_01A", Name: "anthropic", Provider: "anthropic", URL: "https://api.anthropic.com", Enabled: true, State: "enabled", InFlight: 14, Credentials: []api.Credential{{ID: "cred_01X", Name: "default", Reference: "env:ANTHROPIC_API_KEY", Last4: "9fKq", Usable: true, Weight: 1, Enabled: true, LastError: "429 2 min ago"}}, ETag: "a1"},
		{ID: "up_01B", Name: "openai-eu", Provider: "openai", URL: "https://eu.api.openai.com", Enabled: true, State: "enabled", InFlight: 31, Credentials: credential("x4Qd"), ETag: "b1"},
		{ID: "up_01C", Name: "openai-us", Provider: "openai", URL: "https://api.openai.com", Enabled: true, Draining: true, State: "draining", InFlight: 3, Credentials: credential("77aB"), ETag: "c1"},
		{ID: "up_01D", Name: "azure-eu", Provider: "openai", URL: "https://x.openai.azure.com", State: "disabled", Credentials: []api.Credential{{ID: "cred_01Y", Name: "default", Reference: "env:AZURE_KEY", Problem: "AZURE_KEY is not set", Weight: 1, Enabled: true}}, ETag: "d1"},
		{ID: "up_01E", Name: "groq", Provider: "groq", URL: "https://api.groq.com/openai", Enabled: true, State: "enabled", Credentials: credential("11aa"), ETag: "e1"},
	}
}

func sampleKeys() []api.Key {
	end := sampleNow().Add(80 * time.Hour)
	return []api.Key{
		{ID: "key_01A", Name: "ci-bot", User: "dana", Enabled: true, State: "active", Last4: "k3Zq", Secrets: []api.KeySecret{{Last4: "k3Zq", CreatedAt: before(720 * time.Hour)}}, CreatedAt: before(720 * time.Hour), LastUsedAt: beforeP(time.Minute), ETag: "1"},
		{ID: "key_01B", Name: "notebook", User: "ana", Enabled: true, State: "active", Last4: "pp01", Models: []string{"gpt-5*", "claude-*"}, Tags: map[string]string{"plan": "trial"}, CreatedAt: before(48 * time.Hour), ExpiresAt: &end, LastUsedAt: beforeP(2 * time.Hour), ETag: "2"},
		{ID: "key_01C", Name: "web-prod", User: "lee", Enabled: true, State: "active", Last4: "Zz9x", CreatedAt: before(2000 * time.Hour), LastUsedAt: beforeP(0), ETag: "3"},
		{ID: "key_01D", Name: "old-laptop", User: "lee", State: "revoked", Last4: "0ld0", CreatedAt: before(9000 * time.Hour), RevokedAt: beforeP(300 * time.Hour), ETag: "4"},
	}
}

func sampleUsers() []api.User {
	return []api.User{
		{ID: "user_01A", Name: "dana", Email: "dana@example.com", Role: "admin", Enabled: true, HasPassword: true, Keys: 1, CreatedAt: before(5000 * time.Hour), LastLoginAt: beforeP(3 * time.Hour), ETag: "1"},
		{ID: "user_01B", Name: "lee", Role: "operator", Enabled: true, HasPassword: true, Keys: 1, CreatedAt: before(4000 * time.Hour), LastLoginAt: beforeP(26 * time.Hour), ETag: "2"},
		{ID: "user_01C", Name: "ana", Role: "member", Enabled: true, Keys: 1, CreatedAt: before(100 * time.Hour), Tags: map[string]string{"team": "研究"}, ETag: "3"},
		{ID: "user_01D", Name: "gone", Role: "viewer", Keys: 0, CreatedAt: before(8000 * time.Hour), ETag: "4"},
	}
}

func sampleBindings() []api.Binding {
	return []api.Binding{
		{ID: "bind_01A", Key: "ci-bot", Upstream: "openai-eu", Credential: "default", Order: 10, Weight: 1, CreatedAt: before(300 * time.Hour), ETag: "1"},
		{ID: "bind_01B", User: "lee", Upstream: "anthropic", Order: 100, Weight: 3, CreatedAt: before(200 * time.Hour), ETag: "2"},
		{ID: "bind_01C", User: "lee", Upstream: "openai-us", Order: 100, Weight: 1, CreatedAt: before(200 * time.Hour), ETag: "3"},
		{ID: "bind_01D", Tag: "plan=trial", Upstream: "groq", Order: 100, Weight: 1, Models: []string{"gpt-oss-*"}, CreatedAt: before(100 * time.Hour), ETag: "4"},
	}
}

// sampleWindow has a wave, a gap before the gateway was there, and a burst of
// errors.
func sampleWindow() api.Window {
	w := api.Window{Until: sampleNow(), WindowS: 900, SinceS: 800, StepS: 7.5, Flights: 57, Total: api.Counts{
		Requests: 37_890, Errors: 117, Refused: 420, InputTokens: 1_260_000, OutputTokens: 315_000, FirstTokenP50: 310, FirstTokenP95: 1200,
	}}
	for i := range 120 {
		p := api.Point{InFlight: int64(40 + 15*math.Sin(float64(i)/9)), Unknown: i < 13}
		if !p.Unknown {
			p.Requests = int64(300 + 120*math.Sin(float64(i)/7))
			p.InputTokens, p.OutputTokens = p.Requests*33, p.Requests*8
			p.FirstTokenP50, p.FirstTokenP95 = 310+40*math.Sin(float64(i)/11), 900+300*math.Cos(float64(i)/5)
		}
		if i > 80 && i < 90 {
			p.Errors = 13
		}
		w.Series = append(w.Series, p)
	}
	share := func(kind, name string, requests, errs, in, out int64, p50, p95 float64) {
		s := api.Share{Kind: kind, Name: name, Counts: api.Counts{Requests: requests, Errors: errs, InputTokens: in, OutputTokens: out, FirstTokenP50: p50, FirstTokenP95: p95}}
		for i := range 15 {
			s.Series = append(s.Series, requests/15+int64(i%4)*requests/200)
		}
		w.By = append(w.By, s)
	}
	share("key", "ci-bot", 16_380, 40, 612_000, 150_000, 0, 0)
	share("key", "web-prod", 11_610, 70, 402_000, 100_000, 0, 0)
	share("key", "notebook", 1_890, 7, 88_000, 21_000, 0, 0)
	share("user", "dana", 16_380, 40, 612_000, 150_000, 0, 0)
	share("user", "lee", 11_610, 70, 402_000, 100_000, 0, 0)
	share("model", "claude-sonnet-5", 18_000, 100, 700_000, 210_000, 0, 0)
	share("model", "gpt-5", 15_000, 17, 400_000, 90_000, 0, 0)
	share("model", "モデル-大", 900, 0, 10_000, 2_000, 0, 0)
	share("upstream", "openai-eu", 25_200, 25, 800_000, 200_000, 310, 460)
	share("upstream", "anthropic", 8_190, 344, 400_000, 100_000, 610, 1400)
	share("upstream", "groq", 4_500, 0, 60_000, 15_000, 90, 140)
	share("rule", "openai", 18_060, 36, 800_000, 200_000, 310, 460)
	share("rule", "fast-lane", 12_180, 0, 60_000, 15_000, 90, 140)
	share("rule", "anthropic", 7_665, 340, 400_000, 100_000, 610, 1400)
	w.Recent = []api.Trouble{
		{Time: before(time.Second), First: before(2 * time.Minute), Count: 31, Status: 429, Reason: "complete", Upstream: "anthropic", Model: "claude-opus-5", Key: "web-prod", Last: "req_01K9ZT0001", Node: "a1"},
		{Time: before(153 * time.Second), First: before(200 * time.Second), Count: 2, Status: 400, Reason: "refused", Error: "no_rule", Model: "gpt-6", Key: "ci-bot", Last: "req_01K9ZT0002", Node: "a2"},
		{Time: before(400 * time.Second), First: before(400 * time.Second), Count: 1, Status: 502, Reason: "upstream_cut", Error: "upstream_unreachable", Upstream: "openai-us", Model: "gpt-5", Key: "ci-bot", Last: "req_01K9ZT0003", Node: "a1"},
	}
	return w
}

func sampleFlights() []api.Flight {
	return []api.Flight{
		{RequestID: "req_01K9ZT1000", StartedAt: before(2100 * time.Millisecond), Method: "POST", Path: "/v1/chat/completions", Key: "web-prod", User: "lee", Rule: "openai", Upstream: "openai-eu", Model: "gpt-5", Stream: true, Status: 200, SentBytes: 11_800, FirstToken: 401, LastWriteMS: 20, Node: "a1"},
		{RequestID: "req_01K9ZT1001", StartedAt: before(95 * time.Second), Method: "POST", Path: "/v1/messages", Key: "ci-bot", User: "dana", Rule: "anthropic", Upstream: "anthropic", Model: "claude-sonnet-5", Stream: true, Status: 200, SentBytes: 811_000, FirstToken: 612, LastWriteMS: 31_000, Node: "a2"},
	}
}

// sampleExchange is an exchange that ended, as events tell of it.
func sampleExchange(i int) api.Exchange {
	in, out := int64(640+i), int64(212+i)
	x := api.Exchange{
		RequestID: "req_01K9ZT200" + string(rune('0'+i%10)), Time: before(time.Duration(i) * time.Second), Method: "POST", Path: "/v1/messages", Status: 200, EndReason: "complete",
		Key: "ci-bot", User: "dana", Rule: "anthropic", Upstream: "anthropic", Wire: "anthropic", Model: "claude-sonnet-5", Stream: true,
		DurationMS: 9200, UpstreamMS: 9198, FirstTokenMS: 612, OverheadUS: 400, RequestBytes: 75_920, ResponseBytes: 48_000, InputTokens: &in, OutputTokens: &out, Attempts: 1, Revision: 41, Node: "a1",
		Timing: &api.Timing{Body: 0.1, Dispatched: 0.12, Header: 418, FirstByte: 418.3, Chunks: 388, Gap: 1100, GapAt: 4000, GapStep: 400, Gaps: []int32{20, 31, 18, 40, 22, 19, 25, 90, 21, 1100, 22, 23, 24, 80, 20, 19, 21, 33, 20, 21, 20, 19}},
	}
	switch i % 4 {
	case 1:
		x.Status, x.Model, x.FirstTokenMS, x.DurationMS, x.Stream, x.Timing, x.InputTokens, x.OutputTokens = 429, "claude-opus-5", 0, 88, false, &api.Timing{Body: 0.1, Dispatched: 0.2, Connect: 21, Header: 87}, nil, nil
	case 2:
		x.Status, x.EndReason, x.Model, x.Upstream, x.Rule, x.DurationMS = 499, "client_gone", "gpt-5", "openai-eu", "openai", 3100
	case 3:
		x.Status, x.EndReason, x.Error, x.Rule, x.Upstream, x.Model, x.Timing, x.FirstTokenMS, x.DurationMS, x.InputTokens, x.OutputTokens = 400, "refused", "no_rule", "", "", "gpt-6", nil, 0, 0.4, nil, nil
	}
	return x
}

func sampleAudit() []api.AuditEntry {
	return []api.AuditEntry{
		{Seq: 412, Revision: 41, Time: before(70 * time.Minute), Actor: "dana", From: "10.0.0.4", Action: "rule.apply", Subject: "rule:openai", Name: "openai", Message: "more to the EU",
			Before: map[string]any{"name": "openai", "action": map[string]any{"weight": 50}}, After: map[string]any{"name": "openai", "action": map[string]any{"weight": 80}, "note": "研究"}},
		{Seq: 411, Revision: 40, Time: before(300 * time.Minute), Actor: "lee", From: "10.0.0.9", Action: "key.revoke", Subject: "key:key_01D", Name: "old-laptop"},
	}
}

func sampleHistory() []api.HistoryEntry {
	return []api.HistoryEntry{
		{Revision: 41, Time: before(70 * time.Minute), Actor: "dana", From: "10.0.0.4", Kind: "rule.apply", Message: "more to the EU", Changes: []api.PlanChange{{Op: "change", Set: "default", Rule: "openai", Position: 3, Fields: []string{"action.upstreams[0].weight: 50 → 80"}}}},
		{Revision: 40, Time: before(26 * time.Hour), Actor: "lee", Kind: "rule.disable", Changes: []api.PlanChange{{Op: "change", Set: "default", Rule: "old-embed", Position: 4, Fields: []string{"disabled: false → true"}}}},
		{Revision: 39, Time: before(90 * time.Hour), Actor: "dana", Kind: "rule.apply", Message: "first rules", Changes: []api.PlanChange{{Op: "add", Set: "default", Rule: "anthropic", Position: 2}}},
	}
}

func sampleSettings() []api.Setting {
	return []api.Setting{
		{Name: "listen", Value: "0.0.0.0:8080", Origin: "env", Source: "LLMGW_LISTEN"},
		{Name: "store", Value: "postgres://llmgw:***@db.example.com/llmgw", Origin: "file", Source: "/etc/llmgw/config.yaml"},
		{Name: "secret-key", Value: "***", Origin: "env", Source: "LLMGW_SECRET_KEY"},
		{Name: "body-limit", Value: "32MiB", Origin: "default"},
	}
}

func sampleTokens() []api.Token {
	end := sampleNow().Add(300 * time.Hour)
	return []api.Token{
		{ID: "tok_01A", User: "dana", Role: "admin", Last4: "Lg11", From: "10.0.0.4", CreatedAt: before(3 * time.Hour), UsedAt: beforeP(time.Minute), ExpiresAt: &end},
		{ID: "tok_01B", Name: "deploy", User: "dana", Role: "operator", Last4: "Tk22", CreatedAt: before(200 * time.Hour)},
	}
}
