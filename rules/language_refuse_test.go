package rules_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

type refusedRule struct{ name, rule, want string }

func checkRefused(t *testing.T, cases []refusedRule) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(head(c.rule)))
			if diff := cmp.Diff(c.want+"\n", shown(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusedMatchersOfTheCaller(t *testing.T) {
	checkRefused(t, []refusedRule{
		{"a key instead of a list", "match: {key: ci-*}", `4:18 rules[0].match.key: must be a list, found text | put it in brackets: ["ci-*"]`},
		{"an empty pattern for a key", `match: {key: [""]}`, `4:19 rules[0].match.key[0]: the pattern is empty`},
		{"a key that is excluded", `match: {key: ["!ci-*"]}`, `4:19 rules[0].match.key[0]: ! excludes models only | write not: {key: …}`},
		{"a user with a class", `match: {user: [dana, "a[bc]"]}`, `4:26 rules[0].match.user[1]: in a pattern only * is special, and this one holds [`},
		{"a tag without a value", "match: {tag: {plan: }}", `4:25 rules[0].match.tag.plan: must be text, found nothing`},
		{"a tag that is a list", "match: {tag: {plan: [a, b]}}", `4:25 rules[0].match.tag.plan: must be text, found a list`},
		{"a tag that is excluded", `match: {tag: {plan: "!trial"}}`, `4:25 rules[0].match.tag.plan: ! excludes models only | write not: {tag: …}`},
		{"a tag without a name", `match: {tag: {"": trial}}`, `4:19 rules[0].match.tag.: not the name of a tag`},
		{"a tag that is true", "match: {tag: {beta: true}}", `4:25 rules[0].match.tag.beta: must be text, found true or false | quote it: "true"`},
		{"a source that is a name", "match: {source: [office]}", `4:22 rules[0].match.source[0]: not a network | it looks like 10.0.0.0/8 or 2001:db8::/32`},
		{"a source without the size of its network", "match: {source: [10.0.0.0/8, 10.1.2.3]}", `4:34 rules[0].match.source[1]: an address without the size of its network | for this address alone write 10.1.2.3/32`},
		{"a source over IPv6 without it", `match: {source: ["2001:db8::1"]}`, `4:22 rules[0].match.source[0]: an address without the size of its network | for this address alone write 2001:db8::1/128`},
		{"a source with bits beyond its network", "match: {source: [10.1.2.3/8]}", `4:22 rules[0].match.source[0]: the address has bits beyond its network | write 10.0.0.0/8`},
		{"a source of mapped IPv4", `match: {source: ["::ffff:10.0.0.0/104"]}`, `4:22 rules[0].match.source[0]: an IPv4 network is written as such | it looks like 10.0.0.0/8`},
		{"a size that is none", "match: {body_bytes: {gt: large}}", `4:30 rules[0].match.body_bytes.gt: not a size | it looks like 4096, 10KB or 2MiB`},
		{"a size with an unknown unit", "match: {body_bytes: {gt: 10kb}}", `4:30 rules[0].match.body_bytes.gt: not a size | it looks like 4096, 10KB or 2MiB`},
		{"a size below zero", "match: {body_bytes: {gt: -1}}", `4:30 rules[0].match.body_bytes.gt: not a size | it looks like 4096, 10KB or 2MiB`},
		{"a size with a fraction", "match: {body_bytes: {lt: 1.5}}", `4:30 rules[0].match.body_bytes.lt: must be a size, found a number | it looks like 4096, 10KB or 2MiB`},
		{"a size beyond all bodies", "match: {body_bytes: {lt: 2000GiB}}", `4:30 rules[0].match.body_bytes.lt: the size is more than 1024GiB | it looks like 4096, 10KB or 2MiB`},
		{"no size", "match: {body_bytes: {}}", `4:25 rules[0].match.body_bytes: there is no size | leave the field out`},
		{"an unknown bound", "match: {body_bytes: {gte: 1}}", `4:26 rules[0].match.body_bytes.gte: unknown field "gte" | fields of body_bytes are gt, lt`},
		{"a size instead of bounds", "match: {body_bytes: 10KB}", `4:25 rules[0].match.body_bytes: must be fields (name: value), found text`},
		{"bounds that leave nothing", "match: {body_bytes: {gt: 10, lt: 11}}", `4:25 rules[0].match.body_bytes: no size is more than gt and less than lt`},
		{"not of nothing", "match: {not: {}}", `4:18 rules[0].match.not: there is no matcher | leave the field out`},
		{"not of no fields", "match: {not: {header: {}}}", `4:18 rules[0].match.not: there is no matcher | leave the field out`},
		{"not as a list", "match: {not: [{model: [a]}]}", `4:18 rules[0].match.not: must be fields (name: value), found a list`},
		{"an unknown matcher in not", "match: {not: {modle: [a]}}", `4:19 rules[0].match.not.modle: unknown matcher "modle" | matchers are path, method, host, header, query, model, stream, key, user, tag, source, body_bytes, not`},
		{"a bad value in not", "match: {not: {model: [a], source: [b], path: c}}", `4:40 rules[0].match.not.source[0]: not a network | it looks like 10.0.0.0/8 or 2001:db8::/32
4:50 rules[0].match.not.path: a path pattern begins with a slash`},
		{"a not that holds itself", "match: &m {model: [a], not: *m}", `4:33 rules[0].match.not.not.not.not.not: not is nested deeper than 4`},
	})
}

func TestRefusedDestinations(t *testing.T) {
	checkRefused(t, []refusedRule{
		{"an empty list of upstreams", "action: {upstreams: []}", `4:25 rules[0].action.upstreams: the list is empty | leave the field out`},
		{"upstreams by name alone", "action: {upstreams: [a, b]}", `4:26 rules[0].action.upstreams[0]: must be fields (name: value), found text | write {name: a}
4:29 rules[0].action.upstreams[1]: must be fields (name: value), found text | write {name: b}`},
		{"an upstream without a name", "action: {upstreams: [{weight: 1}]}", `4:26 rules[0].action.upstreams[0].name: name is missing`},
		{"an upstream with a bad name", "action: {upstreams: [{name: Open AI}]}", `4:33 rules[0].action.upstreams[0].name: "Open AI" is not a name | names match [a-z0-9][a-z0-9._-]{0,62}`},
		{"an unknown field of an upstream", "action: {upstreams: [{name: a, wieght: 5}]}", `4:36 rules[0].action.upstreams[0].wieght: unknown field "wieght" | fields of an upstream's entry are name, weight, model, path, timeouts`},
		{"a weight of zero", "action: {upstreams: [{name: a, weight: 0}]}", `4:44 rules[0].action.upstreams[0].weight: must be a whole number from 1 to 1000000, found 0`},
		{"a weight as text", "action: {upstreams: [{name: a, weight: 80%}]}", `4:44 rules[0].action.upstreams[0].weight: must be a whole number from 1 to 1000000, found text`},
		{"an empty model of an upstream", `action: {upstreams: [{name: a, model: ""}]}`, `4:43 rules[0].action.upstreams[0].model: the text is empty | leave the field out`},
		{"a bad path of an upstream", "action: {upstreams: [{name: a, path: {set: x}}]}", `4:48 rules[0].action.upstreams[0].path.set: the path does not begin with a slash`},
		{"a bad timeout of an upstream", "action: {fallback: [{name: a, timeouts: {idle: 5}}], upstream: b}", `4:52 rules[0].action.fallback[0].timeouts.idle: a time without a unit | it looks like 500ms, 10s or 2m`},
		{"one upstream and several", "action: {upstream: a, upstreams: [{name: b}]}", `4:27 rules[0].action.upstreams: more than one destination: upstream and upstreams | a rule has one of upstream, upstreams, target and respond`},
		{"several upstreams and a target", "action: {upstreams: [{name: b}], target: \"https://a.example\"}", `4:14 rules[0].action.upstreams: more than one destination: target and upstreams | a rule has one of upstream, upstreams, target and respond`},
		{"a fallback without a destination", "action: {fallback: [{name: b}]}", `4:14 rules[0].action.fallback: a fallback without a destination | name what it falls back from: upstream, upstreams or target`},
		{"a fallback beside an answer", "action: {respond: {status: 400}, fallback: [{name: b}]}", `4:38 rules[0].action.fallback: more than one destination: fallback and respond | a rule that answers sends nowhere`},
		{"a target with a placeholder", `action: {target: "https://a.example/${model}"}`, `4:22 rules[0].action.target: the target holds "${"; placeholders do not stand in URLs | write them into path: {add_prefix: …}`},
		{"an unknown affinity", "action: {upstreams: [{name: a}, {name: b}], affinity: kye}", `4:59 rules[0].action.affinity: unknown affinity "kye" | affinities are key, header:NAME, none`},
		{"an affinity to no header", `action: {upstreams: [{name: a}, {name: b}], affinity: "header:"}`, `4:59 rules[0].action.affinity: "" is not the name of a header`},
		{"a rule that goes on with a destination", "continue: true\naction: {upstream: a, headers: {remove: [x]}}", `5:14 rules[0].action.upstream: a rule with continue has no upstream | it may have headers, response_headers, timeouts, limits and body_log`},
		{"a rule that goes on and does all else", "continue: true\naction: {upstreams: [{name: a}], fallback: [{name: b}], affinity: none, path: {set: /a}, model: m, retry: {attempts: 1}, on_client_gone: finish}", `5:14 rules[0].action.upstreams: a rule with continue has no upstreams | it may have headers, response_headers, timeouts, limits and body_log
5:38 rules[0].action.fallback: a rule with continue has no fallback | it may have headers, response_headers, timeouts, limits and body_log
5:61 rules[0].action.affinity: a rule with continue has no affinity | it may have headers, response_headers, timeouts, limits and body_log
5:77 rules[0].action.path: a rule with continue has no path | it may have headers, response_headers, timeouts, limits and body_log
5:94 rules[0].action.model: a rule with continue has no model | it may have headers, response_headers, timeouts, limits and body_log
5:104 rules[0].action.retry: a rule with continue has no retry | it may have headers, response_headers, timeouts, limits and body_log
5:126 rules[0].action.on_client_gone: a rule with continue has no on_client_gone | it may have headers, response_headers, timeouts, limits and body_log`},
		{"a rule that goes on and answers", "continue: true\naction: {respond: {status: 400}}", `5:14 rules[0].action.respond: a rule with continue has no respond | it may have headers, response_headers, timeouts, limits and body_log`},
		{"a target of a rule that goes on", "continue: true\naction: {target: \"https://a.example\"}", `5:14 rules[0].action.target: a rule with continue has no target | it may have headers, response_headers, timeouts, limits and body_log`},
		{"continue as text", "continue: \"yes\"", `4:15 rules[0].continue: must be true or false, found text`},
	})
}

func TestRefusedAttempts(t *testing.T) {
	checkRefused(t, []refusedRule{
		{"an unknown reason to retry", "action: {retry: {on: [conect]}}", `4:27 rules[0].action.retry.on[0]: nothing to retry on: "conect" | there are connect, reset, timeout, 429 and the statuses from 500 to 599`},
		{"a status that is no reason", "action: {retry: {on: [429, 404]}}", `4:32 rules[0].action.retry.on[1]: nothing to retry on: 404 | there are connect, reset, timeout, 429 and the statuses from 500 to 599`},
		{"a status as text", `action: {retry: {on: ["503"]}}`, `4:27 rules[0].action.retry.on[0]: a status is a number, found text | leave the quotes out: 503`},
		{"a reason given twice", "action: {retry: {on: [503, connect, 503]}}", `4:41 rules[0].action.retry.on[2]: "503" is given twice`},
		{"no reason", "action: {retry: {on: []}}", `4:26 rules[0].action.retry.on: the list is empty | leave the field out`},
		{"a reason that is a list", "action: {retry: {on: [[reset]]}}", `4:27 rules[0].action.retry.on[0]: nothing to retry on: a list | there are connect, reset, timeout, 429 and the statuses from 500 to 599`},
		{"no attempt", "action: {retry: {attempts: 0}}", `4:32 rules[0].action.retry.attempts: must be a whole number from 1 to 20, found 0`},
		{"too many attempts", "action: {retry: {attempts: 100}}", `4:32 rules[0].action.retry.attempts: must be a whole number from 1 to 20, found 100`},
		{"a budget of nothing", "action: {retry: {within: 0}}", `4:30 rules[0].action.retry.within: must be from 1ms to 1h, found 0`},
		{"a budget of a day", "action: {retry: {within: 24h}}", `4:30 rules[0].action.retry.within: must be from 1ms to 1h, found 24h`},
		{"an unknown field of retry", "action: {retry: {delay: 1s}}", `4:22 rules[0].action.retry.delay: unknown field "delay" | fields of retry are on, attempts, within`},
		{"an unknown timeout", "action: {timeouts: {frist_token: 10s}}", `4:25 rules[0].action.timeouts.frist_token: unknown timeout "frist_token" | timeouts are connect, response_header, first_token, idle, total`},
		{"a timeout without a unit", "action: {timeouts: {connect: 5}}", `4:34 rules[0].action.timeouts.connect: a time without a unit | it looks like 500ms, 10s or 2m`},
		{"a timeout that is none", "action: {timeouts: {connect: soon}}", `4:34 rules[0].action.timeouts.connect: not a time | it looks like 500ms, 10s or 2m`},
		{"a timeout below zero", "action: {timeouts: {total: -1s}}", `4:32 rules[0].action.timeouts.total: must be from 0 to 168h, found -1s`},
		{"a timeout that is true", "action: {timeouts: {total: true}}", `4:32 rules[0].action.timeouts.total: must be a time, found true or false | it looks like 500ms, 10s or 2m`},
		{"a limit that is none", "action: {limits: [600/min, plenty]}", `4:32 rules[0].action.limits[1]: not a limit | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit of an unknown unit", "action: {limits: [600 calls/min]}", `4:23 rules[0].action.limits[0]: unknown unit "calls"; there are requests, tokens, concurrent and $ | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit of an unknown window", "action: {limits: [600/week]}", `4:23 rules[0].action.limits[0]: unknown window "week"; there are sec, min, hour, day, month | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit without a window", "action: {limits: [600 requests]}", `4:23 rules[0].action.limits[0]: the window is missing: /sec, /min, /hour, /day or /month | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit of nothing", "action: {limits: [0/min]}", `4:23 rules[0].action.limits[0]: the amount must be more than zero | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit of a part of a request", "action: {limits: [1.5/min]}", `4:23 rules[0].action.limits[0]: the amount must be a whole number | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit of dollars with a unit", "action: {limits: [$5 tokens/day]}", `4:23 rules[0].action.limits[0]: an amount of dollars has no unit, found "tokens" | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit of what runs, with a window", "action: {limits: [5 concurrent/min]}", `4:23 rules[0].action.limits[0]: concurrent has no window | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit for nobody", "action: {limits: [600/min per team]}", `4:23 rules[0].action.limits[0]: unknown scope "team"; there are per key, per user, per rule, per tag:NAME | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit for a tag without a name", `action: {limits: ["600/min per tag:"]}`, `4:23 rules[0].action.limits[0]: unknown scope "tag:"; there are per key, per user, per rule, per tag:NAME | it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent`},
		{"a limit that is a number", "action: {limits: [600]}", `4:23 rules[0].action.limits[0]: must be text, found a number | quote it: "600"`},
		{"a limit instead of a list", "action: {limits: 600/min}", `4:22 rules[0].action.limits: must be a list, found text | put it in brackets: [600/min]`},
		{"an unknown end", "action: {on_client_gone: stop}", `4:30 rules[0].action.on_client_gone: "stop" is neither cancel nor finish | it is cancel or finish`},
	})
}

func TestRefusedPlaceholders(t *testing.T) {
	checkRefused(t, []refusedRule{
		{"a misspelt one in a header", `action: {headers: {set: {x-a: "llmgw ${kye.name}"}}}`, `4:35 rules[0].action.headers.set.x-a: unknown placeholder "${kye.name}" | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"a misspelt one with a name", `action: {response_headers: {add: {x-a: "${tga.plan}"}}}`, `4:44 rules[0].action.response_headers.add.x-a: unknown placeholder "${tga.plan}" | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"one of nobody in a model", `action: {model: "${env.HOME}"}`, `4:21 rules[0].action.model: unknown placeholder "${env.HOME}" | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"one without its brace", `action: {model: "a-${model"}`, `4:21 rules[0].action.model: a ${ without its closing brace | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"one without a name", `action: {headers: {set: {x-a: "${tag.}"}}}`, `4:35 rules[0].action.headers.set.x-a: a placeholder without a name | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"one without a word", `action: {headers: {set: {x-a: "${}"}}}`, `4:35 rules[0].action.headers.set.x-a: unknown placeholder "${}" | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"a header that carries credentials", `action: {headers: {set: {x-a: "${header.Authorization}"}}}`, `4:35 rules[0].action.headers.set.x-a: "Authorization" carries credentials and cannot be passed on`},
		{"another one in an answer", `action: {response_headers: {set: {x-a: "${header.x-api-key}"}}}`, `4:44 rules[0].action.response_headers.set.x-a: "x-api-key" carries credentials and cannot be passed on`},
		{"a parameter that carries credentials", `action: {model: "${query.key}"}`, `4:21 rules[0].action.model: the parameter "key" carries credentials and cannot be passed on`},
		{"a header that is none", `action: {model: "${header.a b}"}`, `4:21 rules[0].action.model: "a b" is not the name of a header`},
		{"one in a path to set", `action: {path: {set: "/a/${mdoel}"}}`, `4:26 rules[0].action.path.set: unknown placeholder "${mdoel}" | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"one in a prefix", `action: {path: {add_prefix: "/a/${model}/"}}`, `4:33 rules[0].action.path.add_prefix: a prefix must not end in a slash | leave the last slash out`},
		{"one in a prefix to strip", `action: {path: {strip_prefix: "${model}"}}`, `4:35 rules[0].action.path.strip_prefix: the path does not begin with a slash`},
		{"one in what replaces", `action: {path: {replace: {regex: a, with: "${1}${name}"}}}`, `4:47 rules[0].action.path.replace.with: unknown placeholder "${name}" | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"one in an upstream's model", `action: {upstreams: [{name: a, model: "${modle}"}]}`, `4:43 rules[0].action.upstreams[0].model: unknown placeholder "${modle}" | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
		{"a group in a header", `action: {headers: {set: {x-a: "${1}"}}}`, `4:35 rules[0].action.headers.set.x-a: unknown placeholder "${1}" | placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name`},
	})
}
