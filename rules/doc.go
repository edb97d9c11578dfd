// Package rules answers one question: where does this request go? A rule says
// "for requests that look like this, do that"; rules are tried in order, and
// the first one that takes the request decides.
//
//  1. Decode reads a rules file, strictly: one Set of rules in each YAML
//     document, every problem at once and with its place. Check finds what else
//     can be told without a gateway, Encode writes the canonical form, and Plan
//     says what an apply would change. DecodeObjects, EncodeObjects and
//     PlanObjects do the same for the upstreams, users, keys and bindings that
//     may stand beside the rules.
//  2. Compile makes a Config (sets and upstreams at one revision) into an
//     immutable Set: matchers made ready, rules in their total order, and an
//     index by the literal beginnings of paths and models.
//  3. CanonicalPath, ReadTarget and the scan of a body make a Request of what
//     came in.
//  4. Set.Decide asks the key's allow-list, walks the index along the request's
//     path and model, asks the few rules that stand there, and gives a Decision:
//     the rule, its candidates in the order in which to try them, when to try
//     another one, and limits. Where no rule names a destination, the caller's
//     bindings do.
//  5. For each attempt Decision.Path, Model, EditHeaders, Timeouts and Credential
//     say what is sent to a candidate, and JoinURL puts the path behind its URL.
//  6. Set.Explain asks the same conditions and says of every rule why it did not
//     take the request.
//  7. Format lays a file out for people; DecodeTests and RunTests say whether
//     rules do what their authors meant.
//
// The package is pure: no IO, no clock, no server. It does not find out who is
// calling, sends nothing, counts nothing, draws no lots (Request.Random is
// given), and reads no credential.
//
// # Order
//
// A set's order, then its name, then the place in the file. Names of rules are
// unique among all sets, disabled rules included. A disabled rule is checked as
// any other and has a position, but takes nothing.
//
// # Bindings and allow-lists
//
// A key's allow-list is asked first, with the model that the caller named, and
// before any rule may change it; the model parameter of a query must be allowed,
// too. A key that has one needs a model that can be read: a request without is
// refused, whatever the patterns. What a server reads as a model elsewhere (in a
// batch's file, in a session that it opens) no allow-list sees.
//
// Where no rule takes a request, or the one that does names no destination, the
// bindings of the caller name it: its key's before its user's before those of its
// tags, then by Order. A binding that lists models takes only requests with one
// of them. Among those of one Order, weights choose, by the affinity of the rule
// or else by the key; all others are the fallback. What is disabled, draining or does
// not speak the wire format is left out before one is chosen, and a fallback on the
// same upstream and credential is none. The edits, limits, retry and model of the
// rule that leaves the destination open hold; without a rule, those of rules with
// continue. A path that begins with /v1/v1/ is refused there, too.
//
// Where a rule names the upstream, the caller's first binding to that upstream
// says which of its credentials goes with the request, if it names one. A caller
// that is bound to a credential never gets another one.
//
// # What the language leaves to choice, and what was chosen
//
// Files. A rule may do without match (it takes everything) and without action.
// Text must be text: 5, true and 2026-01-01 are refused where a text is wanted,
// and quoting them is the hint. A file has at most 4 MiB. Anchors and aliases
// work and may unfold to 1,048,576 values; merge keys (<<) are refused. Unknown
// tags are refused.
//
// Paths. Patterns are compared with the canonical, escaped path byte by byte,
// so a pattern that is not in canonical spelling is refused: it could match
// nothing. * is any run of characters within one segment, also an empty one;
// /a/** takes /a, /a/ and all below; /** takes everything. A regular expression
// is searched for anywhere unless it says ^ and $, here as in headers, queries
// and replace.
//
// Hosts. *.example.com takes one label, as in a certificate: a.example.com, but
// neither example.com nor a.b.example.com. The request's port, the brackets of
// an IPv6 address, the root's dot and case are overlooked.
//
// Headers and query. A plain string is equals. An empty string as a value, or
// {equals: ""}, asks for an empty value that is there; {exists: false} for none.
// exists: true takes an empty value. Header names that differ only in case are
// one name and refused when given twice. The host is not among the headers: use
// match.host. In a query & separates and ; does not; names and values are
// percent-decoded, + is a blank, and a % that begins no escape is itself.
//
// Models. In a pattern only * is special, and the characters of other pattern
// languages (? [ ] { } \) are refused rather than taken as they stand. A request
// names its model in the path, in the body, or (OpenAI's Realtime API, which
// begins with a GET) in the query, where a rewrite changes the one value; a query
// that names it twice is a 400.
//
// WebSockets. A request that asks for one is sent only to upstreams that are
// marked for it, as if the others did not speak its format; to a target URL it is
// never sent.
//
// Which models there are (GET and HEAD of /v1/models and /v1beta/models, and of
// one model below them) the gateway answers by itself, from these rules: no rule
// sees such a request. Below another prefix, and with other methods, they are
// requests like any other.
//
// Callers. Patterns of key and user are as those of models without !, and take
// nobody where there is no key or user. A tag is looked up in the key's tags,
// and in its user's where the key has none of that name. source compares IPv4
// addresses as such, however they are written, and takes no address that nobody
// knows. A network is written without bits beyond its size. body_bytes is the
// length of the body as it came; sizes are whole numbers of bytes, or of KB, MB,
// GB (thousands) or KiB, MiB, GiB; bounds are exclusive; a body whose length
// nobody knows has no size, and no bounds take it. That is one in chunks
// (Transfer-Encoding: chunked) which passes without being read: neither JSON nor
// of a wire format, or a file's. See PathRead.ReadsWhole.
//
// Not. None of the block's matchers may hold: {model: [a], key: [b]} leaves out
// both the model and the key. Every header, parameter and tag is a matcher of its
// own there. Blocks nest to a depth of 4.
//
// Several upstreams. A weight that is not given is 1, and there is none of 0:
// leave the entry out, or make it a fallback. One upstream may stand in several
// entries. A caller stays with an entry by its upstream's name (and by which of
// several entries with that name it is), so that neither the rule's name nor the
// other entries nor the revision move it; a weight that changes moves only as
// many callers as it must. affinity: header:NAME goes by the header's first
// value, and by the key where there is none; without a key, lots are drawn. What
// is disabled, draining or does not speak the wire format is left out before one is
// chosen. A fallback goes with upstream, upstreams or target; its entries are
// tried in the order of the file.
//
// Attempts. attempts counts the first one; where there are more of them than
// candidates, the list begins again. reset is a connection that broke before the
// answer's first byte, timeout any of connect, response_header and first_token.
// The statuses are 429 and 500 to 599. A timeout of an entry goes before the
// rule's, and that before those of rules with continue, the last one first; 0
// is none, whatever a wider scope says.
//
// Placeholders. One that stands for nothing is empty; of several values the
// first is taken. A value with a control character, or with a key of this
// gateway in it, makes the edit a no-op. So does a model that comes out empty.
// Headers that carry credentials, and the query parameter key, cannot be passed
// on. In paths every value is escaped down to the unreserved characters. ${1}
// in replace is the group, as $1 is. rule.name is the rule in which it is
// written; for a target, upstream.name is its host. strip_prefix may have
// placeholders too; respond and target have none, and a text cannot hold ${
// otherwise.
//
// Actions. An entry's path edit comes after the rule's; its model goes before
// the rule's. Limits are those of all rules with continue that matched and of
// the deciding one; body_log holds where any of these says true. A path edit's
// strip_prefix takes whole segments off and leaves other paths alone; add_prefix
// comes next, replace last; set stands alone. What comes out of all edits must be
// a canonical path, or the request is refused. So is a path that begins with
// /v1/v1/, a base URL gone wrong, where neither the rule nor an entry of it edits
// the path. In replace, $1 is the first group of the expression. Headers are
// removed first, then set, then added, each in the order of names. A rule that
// rewrites the model, for any of its usable candidates, refuses every request that
// shows none, whatever its wire format. A status to respond with is from 200 to
// 599.
//
// Destinations. Link-local addresses and cloud metadata are refused by address
// and by name, as are hosts that end in a number without being an IPv4 address,
// which some resolvers read as one. Where the server says private_targets: deny,
// a target that is loopback, private or otherwise not public is refused too; see
// Reach. The address that a name leads to is to be checked at every dial.
//
// Rules that continue. They cover no later rule, and are asked only as far as the
// rule that decides.
//
// Warnings. Covered is a rule whose requests one earlier enabled rule takes;
// several that do so together are not looked for, and regular expressions cover
// only their equals and listed values. The search ends after half a million
// comparisons, and says so.
package rules
