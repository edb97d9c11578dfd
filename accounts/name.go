package accounts

import "strings"

// NamePattern is the form of every name that an operator chooses: of rules,
// sets, upstreams, credentials and keys.
const NamePattern = "[a-z0-9][a-z0-9._-]{0,62}"

// ValidName says whether name matches NamePattern.
func ValidName(name string) bool {
	if len(name) == 0 || len(name) > 63 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		plain := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !plain && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

// ValidLoanName says whether name is that of a key which commands make for the
// programs they start: what made it, @, and the machine: run@laptop. No operator
// can choose such a name, so it is never somebody else's.
func ValidLoanName(name string) bool {
	maker, machine, ok := strings.Cut(name, "@")
	return ok && len(name) <= 63 && ValidName(maker) && ValidName(machine)
}
