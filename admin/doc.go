// Package admin is the server of the admin API: how does an operator, a command
// or a console look at a gateway and change it?
//
//  1. API gives the handler for the admin socket. Whoever can open the socket is
//     the gateway's own user, and may do everything. Public gives that of the
//     admin listener: what Health has, and the API, where an entrance (auth.go)
//     first finds out who calls: by the access token of a login or by a personal
//     access token, sent in Authorization and nowhere else. There are no cookies,
//     and pages of other sites are kept out (browser.go). What the caller may is
//     what session and user say at that moment, and once more within a change
//     (change.go): a call may have been kept waiting.
//     A guard reads the body within a limit, bounds the call, and keeps panics
//     from the connection.
//  2. huma decodes and validates (unknown fields are refused) and gives the
//     OpenAPI document. Its errors are rewritten: they would repeat what was
//     sent, secrets included.
//  3. One file a noun (keys, users, upstreams, credential, bindings, rules,
//     history, audit) checks what only we can check, and changes the truth in
//     one Store.Change: found by name, the caller's role asked, If-Match held
//     against it, edited, stored, and shown as it is stored. Whatever
//     changes rules (apply, rollback, the editing of one rule) is a ruleChange,
//     which compiles, plans and stores. Files of every kind are read by FileCheck
//     and made true by a making, with the checks of the single edits.
//  4. explain makes a question of what was asked and gives it to the rules, as
//     the proxy does with a request. Nothing is sent.
//  5. tail is told of every exchange and change, remembers the last exchanges, and
//     fills the queues of those who listen; events writes each of them a stream
//     of server-sent events. Nobody who tells waits for one who listens. While
//     somebody does, package fleet brings what passes on other nodes
//     (tailothers.go); streams.go lists and cuts there, too. What ended within the
//     last hour is counted beside that, from what is remembered (windowlook.go),
//     and told for all nodes together (window.go).
//  6. A refusal is a value up to the one mapping in failure.go, which answers
//     with problem+json (RFC 9457).
//
// Logins are in login.go (passwords, slowed by throttle.go), link.go (the first
// password), session.go (refresh and logout), jwt.go and token.go. Passwords are
// hashed a few at a time (password.go), so that logins cannot starve the proxy.
// The last admin who can log in stays one (lastadmin.go).
//
// Health gives the handler of a listener that has no API: health, metrics and
// the OpenAPI document, which need no login at the admin listener either.
//
// The package does not store, does not carry requests, and does not know the
// live state of the gateway: Store, Vault, Status and Node are given to it.
package admin
