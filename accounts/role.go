package accounts

// Role says what somebody may do with the gateway itself: its rules, keys and
// users. What a gateway key may do is not a matter of roles.
type Role string

// The roles. Each may do what those after it may.
const (
	RoleAdmin    Role = "admin"    // everything: users of every role, tokens, backups, the secret key
	RoleOperator Role = "operator" // rules, upstreams, keys, bindings, users below admin
	RoleViewer   Role = "viewer"   // sees all of it and changes nothing but what is their own
	RoleMember   Role = "member"   // sees and rotates the keys that are their own
)

// Roles lists the roles, the one that may do most first.
func Roles() []Role { return []Role{RoleAdmin, RoleOperator, RoleViewer, RoleMember} }

// Covers says whether whoever has r may do all that other may. Nobody can give
// a role that their own does not cover. A role that is none covers nothing and
// is covered by nothing.
func (r Role) Covers(other Role) bool {
	own, wanted := r.rank(), other.rank()
	return own > 0 && wanted > 0 && own >= wanted
}

// Valid says whether r is one of Roles.
func (r Role) Valid() bool { return r.rank() > 0 }

func (r Role) rank() int {
	for i, known := range Roles() {
		if r == known {
			return len(Roles()) - i
		}
	}
	return 0
}
