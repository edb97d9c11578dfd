package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store/redis"
)

// setting is one thing that can be set by a flag, by the environment and in
// the configuration file. Its name gives all three: admin-listen is the flag
// --admin-listen, the variable LLMGW_ADMIN_LISTEN and the key admin_listen.
type setting struct {
	name   string
	short  string
	def    string
	usage  string
	value  string // the word in help that stands for the value; empty for a toggle
	check  func(string) error
	scope  scope
	secret bool // never shown
}

// scope says where a setting can be set.
type scope uint8

const (
	anyCommand scope = 1 << iota // a flag of every command
	serveOnly                    // a flag of serve
	inFile                       // a key of the configuration file
	inEnv                        // a variable
)

const serveSetting = serveOnly | inFile | inEnv

// settingsTable is every setting, in the order in which help and
// `config show` list them.
func settingsTable() []setting {
	return []setting{
		{name: "listen", def: "127.0.0.1:4100", value: "ADDR", check: address, scope: serveSetting, usage: "where clients are answered"},
		{name: "admin-listen", def: "127.0.0.1:4101", value: "ADDR", check: address, scope: serveSetting, usage: "where the admin API, /metrics, /healthz and /readyz are answered"},
		{name: "admin-auth", def: "required", value: "required|disabled", check: oneOf("required", "disabled"), scope: serveSetting, usage: "whether the admin API wants a login; disabled lets everybody change everything"},
		{name: "admin-insecure-http", def: "false", check: toggle, scope: serveSetting, usage: "serve the admin API without TLS on an address that is not of this machine only, behind a proxy that ends TLS"},
		{name: "data", def: defaultData(), value: "DIR", scope: anyCommand | inFile | inEnv, usage: "directory of the store, the secret key and the admin socket"},
		{name: "store", def: "", value: "URL", check: storeURL, scope: serveSetting, usage: "where the truth is kept: sqlite://PATH (default: llmgw.db in the data directory), or postgres://USER@HOST:PORT/DATABASE"},
		{name: "store-password", def: "", scope: inEnv, secret: true},
		{name: "store-password-file", def: "", scope: inEnv | inFile},
		{name: "store-connections", def: "8", value: "N", check: connections, scope: serveSetting, usage: "connections that read from PostgreSQL at most; three more write, follow the log and listen"},
		{name: "migrate", def: "true", check: toggle, scope: serveSetting, usage: "bring the store's tables up to date at the start; with =false see: llmgw migrate"},
		{name: "bus", def: busInMemory, value: "memory|URL", check: busURL, scope: serveSetting, usage: "how nodes tell each other of changes and share what they have read: memory (this node is alone), or " + redis.Forms},
		{name: "bus-password", def: "", scope: inEnv, secret: true},
		{name: "bus-password-file", def: "", scope: inEnv | inFile},
		{name: "secret-key", def: "", scope: inEnv, secret: true},
		{name: "secret-key-file", def: "", scope: inEnv | inFile},
		{name: "tls-cert", def: "", value: "FILE", scope: serveSetting, usage: "certificate chain for the proxy, and for an admin API that is not on a loopback address (PEM)"},
		{name: "tls-key", def: "", value: "FILE", scope: serveSetting, usage: "private key of the certificate (PEM)"},
		{name: "no-detect", def: "false", check: toggle, scope: serveSetting, usage: "on first start, do not look for provider keys in the environment"},
		{name: "no-mock", def: "false", check: toggle, scope: serveSetting, usage: "leave the built-in mock provider out"},
		{name: "log-format", def: "auto", value: "auto|pretty|json", check: oneOf("auto", "pretty", "json"), scope: serveSetting, usage: "how log lines look; auto is pretty on a terminal"},
		{name: "log-level", def: "info", value: "LEVEL", check: oneOf("debug", "info", "warn", "error"), scope: serveSetting, usage: "debug, info, warn or error"},
		{name: "drain", def: "10m", value: "TIME", check: duration, scope: serveSetting, usage: "how long streams may finish after a stop was asked for; 0 is no end"},
		{name: "drain-delay", def: "5s", value: "TIME", check: duration, scope: serveSetting, usage: "how long new requests are taken after SIGTERM; 0 on a terminal and for SIGINT"},
		{name: "max-body", def: "64MiB", value: "SIZE", check: size, scope: serveSetting, usage: "largest request body"},
		{name: "private-targets", def: "allow", value: "allow|deny", check: oneOf("allow", "deny"), scope: serveSetting, usage: "whether upstreams and rules' targets may be at loopback, private or other addresses that are not public"},
		{name: "body-log", def: bodyLogOff, value: "off|FILE", check: bodyLogPath, scope: serveSetting, usage: "file for the bodies of requests whose rule says body_log: true; 100 MiB, then FILE.1"},
		{name: "max-staleness", def: "0", value: "TIME", check: staleness, scope: serveSetting, usage: "refuse requests when changes could not be looked for longer than this; 0 is never"},
		{name: "trusted-proxies", def: "", value: "CIDR,…", check: networks, scope: serveSetting, usage: "proxies that are believed about whom they forward for (X-Forwarded-For); rules match that address as source, wrong passwords are counted by it"},
		{name: "metrics-listen", def: "", value: "ADDR", check: address, scope: serveSetting, usage: "a port of their own for /metrics, /healthz and /readyz"},
		{name: "config", short: "c", def: "", value: "FILE", scope: anyCommand | inEnv, usage: "configuration file (default ./llmgw.yaml, then the user's, then /etc)"},
		{name: "server", def: "", value: "URL", check: serverURL, scope: anyCommand | inEnv, usage: "the gateway to talk to: https://HOST[:PORT] or unix:///PATH/admin.sock"},
		{name: "context", def: "", value: "NAME", scope: anyCommand | inEnv, usage: "the gateway to talk to, by the name of its context (see: llmgw context list)"},
		{name: "token", def: "", scope: inEnv, secret: true},
		{name: "token-file", def: "", scope: inEnv},
		{name: "output", short: "o", def: "table", value: "FORMAT", check: oneOf("table", "wide", "json", "jsonl", "yaml"), scope: anyCommand | inEnv, usage: "table, wide, json, jsonl or yaml"},
		{name: "color", def: "auto", value: "auto|always|never", check: oneOf("auto", "always", "never"), scope: anyCommand, usage: "colours; NO_COLOR and CLICOLOR_FORCE are obeyed"},
		{name: "ascii", def: "false", check: toggle, scope: anyCommand | inEnv, usage: "no characters beyond ASCII in tables"},
		{name: "no-input", def: "false", check: toggle, scope: anyCommand | inEnv, usage: "never ask"},
		{name: "debug", def: "false", check: toggle, scope: anyCommand | inEnv, usage: "show admin calls, secrets redacted"},
		{name: "timeout", def: "10s", value: "TIME", check: duration, scope: anyCommand | inEnv, usage: "bound of one admin call"},
	}
}

func (s setting) key() string      { return strings.ReplaceAll(s.name, "-", "_") }
func (s setting) variable() string { return "LLMGW_" + strings.ToUpper(s.key()) }
func (s setting) is(c scope) bool  { return s.scope&c != 0 }

// addFlags gives a flag set the settings of a scope.
func addFlags(flags *pflag.FlagSet, c scope) {
	for _, s := range settingsTable() {
		if !s.is(c) {
			continue
		}
		if s.value == "" {
			flags.BoolP(s.name, s.short, s.def == "true", s.usage)
			continue
		}
		def := s.def
		if s.name == "data" {
			def = shortPath(def)
		}
		flags.StringP(s.name, s.short, def, fmt.Sprintf("%s (`%s`)", s.usage, s.value))
	}
}

// addNamed gives a flag set one setting.
func addNamed(flags *pflag.FlagSet, name string) {
	for _, s := range settingsTable() {
		if s.name == name {
			flags.StringP(s.name, s.short, s.def, fmt.Sprintf("%s (`%s`)", s.usage, s.value))
		}
	}
}

// settings is what was set, with where it came from.
type settings struct {
	values *viper.Viper
	flags  *pflag.FlagSet
	file   string // the configuration file that was read, or ""
}

// loadSettings merges flag over variable over file over default, and refuses
// whatever cannot be used: a flag with exit 2, the rest with exit 3.
func loadSettings(flags *pflag.FlagSet) (*settings, error) {
	s := &settings{values: viper.New(), flags: flags}
	file, values, err := readConfig(flags)
	if err != nil {
		return nil, err
	}
	s.file = file
	if err := s.values.MergeConfigMap(values); err != nil {
		return nil, fmt.Errorf("reading %s: %w", shortPath(file), err)
	}
	for _, t := range settingsTable() {
		s.values.SetDefault(t.key(), t.def)
		if t.is(inEnv) {
			if err := s.values.BindEnv(t.key(), t.variable()); err != nil {
				return nil, fmt.Errorf("binding %s: %w", t.variable(), err)
			}
		}
		if f := flags.Lookup(t.name); f != nil && f.Changed {
			s.values.Set(t.key(), f.Value.String())
		}
	}
	if err := s.placeholders(); err != nil {
		return nil, err
	}
	return s, s.check()
}

// check tells everything that a flag or a variable says wrongly; the file was
// checked when it was read.
func (s *settings) check() error {
	var problems []problem
	for _, t := range settingsTable() {
		origin := s.origin(t)
		if t.check == nil || origin == fromDefault || origin == fromFile {
			continue
		}
		err := t.check(s.text(t.name))
		switch {
		case err == nil:
		case origin == fromFlag:
			return usage("--%s: %v", t.name, err)
		default:
			problems = append(problems, problem{Problem: api.Problem{File: t.variable(), Field: t.key(), Message: err.Error()}})
		}
	}
	if len(problems) > 0 {
		return invalidFiles(problems)
	}
	return nil
}

// The origins of a setting's value.
const (
	fromDefault = "default"
	fromFile    = "file"
	fromEnv     = "env"
	fromFlag    = "flag"
)

// origin says where the value of a setting came from.
func (s *settings) origin(t setting) string {
	if f := s.flags.Lookup(t.name); f != nil && f.Changed {
		return fromFlag
	}
	if t.is(inEnv) && os.Getenv(t.variable()) != "" {
		return fromEnv
	}
	if s.values.InConfig(t.key()) {
		return fromFile
	}
	return fromDefault
}

func (s *settings) originOf(name string) string {
	for _, t := range settingsTable() {
		if t.name == name {
			return s.origin(t)
		}
	}
	return fromDefault
}

func (s *settings) text(name string) string {
	return s.values.GetString(strings.ReplaceAll(name, "-", "_"))
}

func (s *settings) on(name string) bool {
	on, err := strconv.ParseBool(s.text(name))
	return err == nil && on // check refused everything else
}

func (s *settings) duration(name string) time.Duration {
	d, err := time.ParseDuration(s.text(name))
	if err != nil {
		return 0 // check lets only 0 and durations through
	}
	return d
}

func (s *settings) bytes(name string) int64 {
	n, err := humanize.ParseBytes(s.text(name))
	if err != nil {
		return 0 // check lets only sizes through
	}
	return int64(n)
}

// data is the data directory, absolute so that messages and the lock name one
// place.
func (s *settings) data() (string, error) {
	dir, err := filepath.Abs(expandHome(s.text("data")))
	if err != nil {
		return "", fmt.Errorf("finding the data directory: %w", err)
	}
	return dir, nil
}

// defaultData is where XDG wants what a program keeps for a user.
func defaultData() string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "llmgw")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(string(filepath.Separator), "var", "lib", "llmgw")
	}
	return filepath.Join(home, ".local", "share", "llmgw")
}

// shortPath writes the home directory as ~, as people do.
func shortPath(path string) string {
	home, err := os.UserHomeDir()
	if err != nil || home == string(filepath.Separator) {
		return path
	}
	if rest, ok := strings.CutPrefix(path, home+string(filepath.Separator)); ok {
		return filepath.Join("~", rest)
	}
	return path
}

// expandHome undoes shortPath, for what is pasted from a message into a file.
func expandHome(path string) string {
	if path != "~" && !strings.HasPrefix(path, "~/") {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, strings.TrimPrefix(path, "~"))
}
