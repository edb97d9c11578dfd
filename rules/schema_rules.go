package rules

import "github.com/llmgw/llmgw/accounts"

// rulesSchema is the table of the language: every field, in the order of the
// canonical form.
func rulesSchema() *schema {
	match := matchSchema()
	edit, edits, timeouts := pathEditSchema(), headerEditsSchema(), timeoutsSchema()
	entry := entrySchema(edit.as("path_edit"), timeouts.as("timeouts"))
	rule := objectOf("For requests that look like this, do that.",
		property{"name", nameSchema("Unique within all sets.")},
		property{"description", text("For people; nothing reads it.")},
		property{"enabled", boolean("false: the rule keeps its place and takes nothing.")},
		property{"continue", boolean("true: the edits of the rule are kept, and the search for the rule that decides goes on.")},
		property{"match", match.as("match")},
		property{"action", actionSchema(edit.as("path_edit"), edits.as("header_edits"), timeouts.as("timeouts"), entry.as("entry"))},
	).needs("name")
	root := objectOf("One set of rules; a file may hold several, divided by ---.",
		property{"version", &schema{Const: 1, Description: "Of the rule language."}},
		property{"set", nameSchema("The set's name: after an apply the set is this document. Without it, default.")},
		property{"order", number("Sets of lower order are tried first.", 0, 1_000_000)},
		property{"rules", &schema{Type: "array", Items: rule, Description: "Tried in this order; the first that matches decides."}},
	).needs("version", "rules")
	root.Title = "llmgw rules"
	root.Defs = properties{{"match", match}, {"path_edit", edit}, {"header_edits", edits}, {"timeouts", timeouts}, {"entry", entry}}
	return root
}

func nameSchema(about string) *schema {
	return &schema{Type: "string", Pattern: "^" + accounts.NamePattern + "$", Description: about}
}

func matchSchema() *schema {
	match := objectOf("What a request must look like: all that is given must hold, and several values in a list are alternatives. An empty match takes everything.")
	glob := &schema{Type: "string", Pattern: "^/", Examples: []any{"/v1/messages/**", "/v1/*/completions"}}
	match.Properties = properties{
		{"path", either("The canonical path, as it is sent. * is anything within one segment, a last segment ** is the rest; /a/** also takes /a.",
			glob, listOf("", glob),
			objectOf("", property{"regex", filledText("An RE2 expression, searched for in the path; ^ and $ are its ends.", "^/v1/(chat|responses)")}).needs("regex"))},
		{"method", listOf("Upper case.", oneOf("", words(methods)...))},
		{"host", listOf("Without port; *.example.com takes one label.", filledText("", "llm.example.com", "*.example.com"))},
		{"header", namesOf("Header names, without regard to case, each with the value or with one operator. Any one value of a repeated header may match.", textSchema())},
		{"query", namesOf("Query parameters, with regard to case, each with the value or with one operator.", textSchema())},
		{"model", listOf("Model globs with regard to case: * is any run of characters, ! excludes. A request whose model cannot be read never matches.", filledText("", "gpt-5*", "!gpt-5-pro*"))},
		{"stream", boolean("Whether the request asks for a stream.")},
		{"key", listOf("Name globs of the key that the caller authenticated with.", filledText("", "ci-*"))},
		{"user", listOf("Name globs of the key's user.", filledText("", "dana"))},
		{"tag", namesOf("Tags of the key, or else of its user, each with a glob.", text("", "trial"))},
		{"source", listOf("Networks (CIDR) of the socket's peer, or of the hop that trusted_proxies makes believable.", filledText("", "10.0.0.0/8"))},
		{"body_bytes", boundsSchema()},
		{"not", match.as("match")},
	}
	return match
}

func words(list []string) []any {
	out := make([]any, len(list))
	for i, word := range list {
		out[i] = word
	}
	return out
}

// textSchema is a value of a header or query parameter.
func textSchema() *schema {
	operator := objectOf("",
		property{"equals", text("The whole value.")},
		property{"prefix", filledText("What the value begins with.")},
		property{"suffix", filledText("What the value ends with.")},
		property{"contains", filledText("What is somewhere in the value.")},
		property{"regex", filledText("An RE2 expression, searched for in the value.")},
		property{"in", listOf("One of these is the whole value.", text(""))},
		property{"exists", boolean("Whether there is such a value at all.")},
	)
	operator.MinFields, operator.MaxFields = 1, 1
	return either("The value, or one operator.", text(""), operator)
}

func boundsSchema() *schema {
	size := func(about string) *schema {
		return either(about, atLeast("", 0), filledText("", "10KB", "2MiB"))
	}
	bounds := objectOf("The size of the request's body.",
		property{"gt", size("More bytes than this.")},
		property{"lt", size("Fewer bytes than this.")},
	)
	bounds.MinFields = 1
	return bounds
}

func actionSchema(edit, edits, timeouts, entry *schema) *schema {
	fallback := listOf("In this order, when those cannot be used.", entry)
	return objectOf("What becomes of the request. Without a destination the caller's binding decides.",
		property{"upstream", nameSchema("Short for one entry of upstreams.")},
		property{"upstreams", listOf("One is chosen by weight; affinity keeps a caller on its own.", entry)},
		property{"target", filledText("A URL instead of a named upstream; no credential is sent there.", "https://models.internal.example/api")},
		property{"fallback", fallback},
		property{"affinity", &schema{Type: "string", Pattern: "^(key|none|header:.+)$", Description: "What keeps a caller on its upstream: key (the default), header:NAME, or none for random."}},
		property{"path", edit},
		property{"model", filledText("The model's name sent upstream; an entry's own wins.", "openai/gpt-oss-120b")},
		property{"headers", edits},
		property{"response_headers", edits},
		property{"timeouts", timeouts},
		property{"retry", retrySchema()},
		property{"limits", listOf("What may be used in a time.", filledText("", "600 requests/min per key", "2M tokens/day per user", "$50/month", "20 concurrent"))},
		property{"on_client_gone", oneOf("cancel (the default), or finish: read the upstream to its end for the exact usage.", "cancel", "finish")},
		property{"body_log", boolean("true: request and answer are written to the body log, where the gateway keeps one (serve --body-log FILE).")},
		property{"respond", respondSchema()},
	).notBoth([2]string{"upstream", "upstreams"}, [2]string{"upstream", "target"}, [2]string{"upstreams", "target"},
		[2]string{"upstream", "respond"}, [2]string{"upstreams", "respond"}, [2]string{"target", "respond"})
}

func entrySchema(edit, timeouts *schema) *schema {
	return objectOf("An upstream, and what is different there.",
		property{"name", nameSchema("Of the upstream.")},
		property{"weight", number("Its share among the upstreams; 1 where it is not given.", 1, maxWeight)},
		property{"model", filledText("The model's name sent there.")},
		property{"path", edit},
		property{"timeouts", timeouts},
	).needs("name")
}

func pathEditSchema() *schema {
	edit := objectOf("Changes of the path that is put behind the upstream's URL: set, or else strip_prefix, add_prefix, replace in this order. ${…} allowed.",
		property{"set", filledText("The whole path.", "/v1/chat/completions")},
		property{"strip_prefix", filledText("Whole segments that are taken off.", "/legacy")},
		property{"add_prefix", filledText("What is put before.", "/api")},
		property{"replace", objectOf("Rewrites what an expression finds.",
			property{"regex", filledText("An RE2 expression.")},
			property{"with", text("What is put in its place; $1 is the first group.")},
		).needs("regex")},
	)
	return edit.notBoth([2]string{"set", "strip_prefix"}, [2]string{"set", "add_prefix"}, [2]string{"set", "replace"})
}

func headerEditsSchema() *schema {
	return objectOf("Changes of headers: removed first, then set, then added. ${…} allowed.",
		property{"set", namesOf("Headers that are replaced.", text(""))},
		property{"add", namesOf("Headers that are added to those there are.", text(""))},
		property{"remove", listOf("Headers that are taken out.", filledText(""))},
	)
}

func timeoutsSchema() *schema {
	duration := func(about string) *schema {
		return either(about, filledText("", "10s", "1m30s"), &schema{Const: 0})
	}
	return objectOf("Bounds of the phases of an attempt; 0 is none.",
		property{"connect", duration("Until there is a connection.")},
		property{"response_header", duration("From the request to the answer's status.")},
		property{"first_token", duration("From the request to the first byte of the answer's body.")},
		property{"idle", duration("Between two pieces of the answer.")},
		property{"total", duration("The whole attempt.")},
	)
}

func retrySchema() *schema {
	return objectOf("One list of attempts (chosen, its peers, fallback), one budget. Only before the first byte has gone to the client.",
		property{"on", listOf("What is worth another attempt.", either("", oneOf("", "connect", "reset", "timeout"), &schema{Const: 429}, number("", 500, 599)))},
		property{"attempts", number("How many there may be, the first one counted; every candidate once where it is not given.", 1, maxAttempts)},
		property{"within", filledText("The time in which another attempt may begin; 10s where it is not given.", "10s")},
	)
}

func respondSchema() *schema {
	return objectOf("An answer without an upstream: a message in the caller's wire format, or headers and body as they stand.",
		property{"status", number("", 200, 599)},
		property{"message", filledText("What a person at the client reads.")},
		property{"headers", namesOf("", text(""))},
		property{"body", text("")},
	).needs("status").notBoth([2]string{"message", "headers"}, [2]string{"message", "body"})
}
