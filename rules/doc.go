// Package rules answers one question: where does this request go? A rule says
// "for requests that look like this, do that"; rules are tried in order, and
// the first one that takes the request decides.
//
//  1. Decode reads a rules file, strictly: one Set of rules in each YAML
//     document, every problem at once and with its place. Check finds what else
//     can be told without a gateway, Encode writes the canonical form, and Plan
//     says what an apply would change.
//  2. Compile makes a Config (sets and upstreams at one revision) into an
//     immutable Set: matchers made ready, rules in their total order, and an
//     index by the literal beginnings of paths and models.
//  3. CanonicalPath, ReadPath and the scan of a body make a Request of what
//     came in.
//  4. Set.Decide walks the index along the request's path and model, asks the
//     few rules that stand there, and gives a Decision. Decision.Path gives the
//     path to send, and JoinURL puts it behind the upstream's URL.
//
// The package is pure: no IO, no clock, no server. It does not know who is
// calling, sends nothing, and reads no credential.
//
// # Order
//
// A set's order, then its name, then the place in the file. Names of rules are
// unique among all sets, disabled rules included. A disabled rule is checked as
// any other and has a position, but takes nothing.
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
// languages (? [ ] { } \) are refused rather than taken as they stand.
//
// Actions. A path edit's strip_prefix takes whole segments off and leaves other
// paths alone; add_prefix comes next, replace last; set stands alone. What comes
// out must be a canonical path, or the request is refused. In replace, $1 is the
// first group of the expression. Headers are removed first, then set, then
// added, each in the order of names. A rule that rewrites the model refuses
// every request that shows none, whatever its wire format. A status to respond
// with is from 200 to 599.
//
// Destinations. Link-local addresses and cloud metadata are refused by address
// and by name, as are hosts that end in a number without being an IPv4 address,
// which some resolvers read as one. The address that a name leads to is to be
// checked at every dial, with ForbiddenAddress.
//
// Warnings. Covered is a rule whose requests one earlier enabled rule takes;
// several that do so together are not looked for, and regular expressions cover
// only their equals and listed values. The search ends after half a million
// comparisons, and says so.
package rules
