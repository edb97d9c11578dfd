package main

import (
	"net/url"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// placeholder is how the secrets in deploy/.env.local.example begin. Whoever
// copies that file and goes on would run a gateway whose secrets everybody knows.
const placeholder = "replace-me"

// placeholders refuses secrets that were left as the example has them. The
// values are public, and are not repeated all the same.
func (s *settings) placeholders() error {
	var problems []problem
	for _, t := range settingsTable() {
		text, say := s.text(t.name), ""
		switch t.name {
		case "secret-key":
			if strings.HasPrefix(text, placeholder) {
				say = "is the example's placeholder; make a key: openssl rand -base64 32"
			}
		case "store-password", "bus-password":
			if strings.HasPrefix(text, placeholder) {
				say = "is the example's placeholder; make one: openssl rand -hex 24"
			}
		case "store", "bus":
			if strings.HasPrefix(urlPassword(text), placeholder) {
				say = "the password in it is the example's placeholder; make one: openssl rand -hex 24"
			}
		}
		if say != "" {
			problems = append(problems, problem{Problem: api.Problem{File: s.writtenAt(t), Field: t.key(), Message: say}})
		}
	}
	if len(problems) > 0 {
		return invalidFiles(problems)
	}
	return nil
}

// writtenAt names the flag, the variable or the file that a setting came from.
func (s *settings) writtenAt(t setting) string {
	switch s.origin(t) {
	case fromFlag:
		return "--" + t.name
	case fromFile:
		return shortPath(s.file)
	}
	return t.variable()
}

// urlPassword is the password of a URL; what is no URL is refused by its own check.
func urlPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	password, _ := u.User.Password()
	return password
}
