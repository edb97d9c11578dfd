package accounts

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
