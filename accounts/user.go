package accounts

import "time"

// User is a person or a program that owns keys, and may log in to the admin
// API. Names have the form of all names; see ValidName.
type User struct {
	ID        string
	Name      string
	Email     string // for people to read; nothing is sent to it. May be empty
	Role      Role
	Tags      map[string]string // of all the user's keys that have no such tag of their own
	Disabled  bool              // no key of the user's is accepted, and no login
	Password  Secret            // argon2id in PHC form; zero: cannot log in with a password
	CreatedAt time.Time
	LastLogin time.Time // zero: never. Read only: logins are no changes
	Seq       int64     // of the change that made the user what it is. Read only
}
