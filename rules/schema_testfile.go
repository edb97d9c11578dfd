package rules

// testsSchema is the table of rule test files.
func testsSchema() *schema {
	values := either("The value, or several in a list.", text(""), listOf("", text("")))
	request := objectOf("The request that is decided upon. Nothing is sent.",
		property{"method", oneOf("POST where it is not given.", words(methods)...)},
		property{"path", &schema{Type: "string", Pattern: "^/", Description: "With or without its query.", Examples: []any{"/v1/chat/completions"}}},
		property{"host", filledText("")},
		property{"model", filledText("As if the body named it.")},
		property{"stream", boolean("As if the body asked for it.")},
		property{"headers", namesOf("Names without regard to case.", values)},
		property{"query", namesOf("Parameters, not percent-encoded.", values)},
		property{"key", filledText("The name of the caller's key. It has no allow-list here.")},
		property{"user", filledText("The name of the key's user.")},
		property{"tags", namesOf("Tags of the key, for rules; no bindings are known here.", text(""))},
		property{"source", filledText("The caller's address.", "10.1.2.3")},
		property{"body_bytes", atLeast("The size of a body that is not written out.", 0)},
		property{"body", either("The body, looked into as the proxy does: text as it is sent, or fields that are sent as JSON.", text(""), &schema{Type: "object"})},
	).needs("path")
	expect := objectOf("What is compared; at least one thing.",
		property{"rule", nameSchema("The rule that decides.")},
		property{"upstream", either("The first upstream that is tried: this, or one of these. Of a target URL its host.", filledText(""), listOf("", filledText("")))},
		property{"model", filledText("The model's name as it is sent upstream.")},
		property{"status", number("What the gateway answers by itself; 200 for a request that is sent upstream.", 200, 599)},
		property{"code", oneOf("The code of a refusal, as in x-llmgw-error.", words(testCodes())...)},
		property{"path", &schema{Type: "string", Pattern: "^/", Description: "The path as it is put behind the upstream's URL."}},
		property{"headers", namesOf("Headers as they are sent upstream, each with the value or with one operator.", textSchema())},
	)
	expect.MinFields = 1
	root := objectOf("Tests of rules; see llmgw rules test.",
		property{"version", &schema{Const: 1}},
		property{"tests", &schema{Type: "array", Items: objectOf("One request and what is expected of it.",
			property{"name", filledText("A sentence, unique in the file.")},
			property{"request", request},
			property{"expect", expect},
		).needs("name", "request", "expect")}},
	).needs("version", "tests")
	root.Title = "llmgw rule tests"
	return root
}
