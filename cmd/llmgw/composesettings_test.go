package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestWhatTheComposeFileSetsAreSettings(t *testing.T) {
	settings := map[string]setting{}
	for _, s := range settingsTable() {
		if s.is(inEnv) {
			settings[s.variable()] = s
		}
	}
	var seen []string
	for _, name := range []string{"../../deploy/docker-compose.yml", "../../deploy/.env.local.example", "../../deploy/Dockerfile"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)\b(LLMGW_[A-Z_]+)(?:: *|=)"?([^"\s#]*)`).FindAllStringSubmatch(string(text), -1) {
			seen = append(seen, m[1])
			s, known := settings[m[1]]
			if !known {
				t.Errorf("%s sets %s, which is no setting", name, m[1])
			}
			if m[2] == "" || s.check == nil || s.name == "store" { // its password is made of another line
				continue
			}
			if err := s.check(m[2]); err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			}
		}
	}
	for _, needed := range []string{"LLMGW_STORE", "LLMGW_BUS", "LLMGW_SECRET_KEY", "LLMGW_DRAIN", "LLMGW_LISTEN"} {
		if !slices.Contains(seen, needed) {
			t.Errorf("nothing sets %s; seen are %s", needed, strings.Join(seen, " "))
		}
	}
}

func TestThePlaceholdersOfTheExampleAreRefused(t *testing.T) {
	text, err := os.ReadFile("../../deploy/.env.local.example")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		values[m[1]] = os.Expand(m[2], func(name string) string { return values[name] })
	}
	for _, name := range []string{"LLMGW_SECRET_KEY", "LLMGW_STORE"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, values[name])
			a := &app{}
			root := newRoot(a)
			_, err := loadSettings(root.PersistentFlags())
			if err == nil || !strings.Contains(err.Error(), "placeholder") || strings.Contains(err.Error(), placeholder) {
				t.Errorf("%s: %v", values[name], err)
			}
		})
	}
}
