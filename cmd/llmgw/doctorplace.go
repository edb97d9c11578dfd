package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/llmgw/llmgw/accounts"
)

// What is left on a disk when a warning, and a problem, is due.
const (
	littleSpace = 500 << 20
	noSpace     = 50 << 20
)

func (d *doctor) binary() {
	b := binary()
	d.ok("binary", "llmgw %s, %s", b.Version, b.Platform)
}

// config tells what is wrong with the settings, or which file they are from.
func (d *doctor) config(wrong error) {
	if wrong == nil {
		text := "no file; defaults and variables only"
		if d.settings.file != "" {
			text = shortPath(d.settings.file) + " (valid)"
		}
		d.ok("config", "%s", text)
		return
	}
	f := explain(wrong)
	text := f.message
	if len(f.problems) > 0 {
		text = f.problems[0].Message
		if at := location(f.problems[0].Problem); at != "" {
			text = at + ": " + text
		}
		if more := len(f.problems) - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more)", more)
		}
	}
	d.say("config", stateProblem, text, "everything else depends on it. See: llmgw config validate")
}

// dataDir is where the gateway that answers keeps its data, or where one would.
func (d *doctor) dataDir() (string, error) {
	if d.away == nil && d.status.Data != "" {
		return d.status.Data, nil
	}
	return d.settings.data()
}

// data looks at the data directory: who can look into it, and what is left on
// its disk.
func (d *doctor) data(context.Context) {
	dir, err := d.dataDir()
	if err != nil {
		d.failed("data", err)
		return
	}
	stat, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.ok("data", "%s is not there yet; the first llmgw serve makes it", shortPath(dir))
		return
	case err != nil:
		d.say("data", stateProblem, "cannot look at "+shortPath(dir)+": "+reason(err), "choose another: --data DIR")
		return
	case !stat.IsDir():
		d.say("data", stateProblem, shortPath(dir)+" is not a directory", "choose another: --data DIR")
		return
	}
	state, text, hint := stateOK, fmt.Sprintf("%s %04o", shortPath(dir), stat.Mode().Perm()), ""
	if free, known := diskFree(dir); known {
		text += ", " + humanize.Bytes(free) + " free"
		switch {
		case free < noSpace:
			state, hint = stateProblem, "changes cannot be stored soon. See: df -h "+posixQuoted(dir)
		case free < littleSpace:
			state, hint = stateWarning, "see: df -h "+posixQuoted(dir)
		}
	}
	if fix := tooOpen(dir, stat.Mode()); state == stateOK && fix != "" {
		state, text, hint = stateWarning, text+"; other users of this machine may look at it", fix
	}
	d.say("data", state, text, hint)
}

// tooOpen gives the command that closes what others may look at, or "".
func tooOpen(dir string, mode fs.FileMode) string {
	if mode.Perm()&0o077 != 0 {
		return "chmod 700 " + posixQuoted(dir)
	}
	for _, name := range []string{secretKeyName, "llmgw.db"} {
		path := filepath.Join(dir, name)
		if stat, err := os.Stat(path); err == nil && stat.Mode().Perm()&0o077 != 0 {
			return "chmod 600 " + posixQuoted(path)
		}
	}
	return ""
}

// secretKey looks whether the key that seals credentials is there and, where
// there is a gateway, whether it opens them.
func (d *doctor) secretKey(ctx context.Context) {
	const check = "secret key"
	dir, err := d.dataDir()
	if err != nil {
		d.failed(check, err)
		return
	}
	key, source, err := d.readSecretKey(dir)
	var text string
	switch {
	case err == nil:
		text = "fingerprint " + key.Fingerprint()[:4] + "…"
	case d.away == nil:
		text = "known to the gateway only"
	case errors.Is(err, fs.ErrNotExist) && source == "":
		if stat, gone := os.Stat(filepath.Join(dir, "llmgw.db")); gone == nil && stat.Size() > 0 {
			d.say(check, stateProblem, "is missing, and the store is sealed with it", "put "+secretKeyName+" back, or give it: LLMGW_SECRET_KEY")
			return
		}
		d.ok(check, "not there yet; the first llmgw serve makes it")
		return
	default:
		d.say(check, stateProblem, strings.TrimSpace(source+" cannot be used: "+reason(err)), "it is 32 bytes as base64 or hex")
		return
	}
	if d.away != nil {
		d.ok(check, "%s", text)
		return
	}
	d.credentials(ctx, check, text)
}

// readSecretKey reads the key from where serve would, and makes none. source
// names what was set, and is empty for the file of the data directory.
func (d *doctor) readSecretKey(dir string) (key *accounts.SecretKey, source string, err error) {
	if text := d.settings.text("secret-key"); text != "" {
		key, err = accounts.ParseSecretKey(text)
		return key, "LLMGW_SECRET_KEY", err
	}
	path := d.settings.text("secret-key-file")
	source = path
	if path == "" {
		path = filepath.Join(dir, secretKeyName)
	}
	text, err := readRegular(path, longestSecret)
	if err != nil {
		return nil, source, err
	}
	key, err = accounts.ParseSecretKey(string(text))
	return key, source, err
}

// credentials counts those that the gateway can read.
func (d *doctor) credentials(ctx context.Context, check, text string) {
	upstreams, err := d.gateway.Upstreams(ctx)
	if err != nil {
		d.failed(check, err)
		return
	}
	all, readable, hint := 0, 0, ""
	for _, u := range upstreams {
		for _, c := range u.Credentials {
			if !c.Enabled {
				continue
			}
			all++
			if c.Usable {
				readable++
			} else if hint == "" {
				hint = fmt.Sprintf("%s: %s. Set it again: llmgw upstreams credential set %s", u.Name, c.Problem, u.Name)
			}
		}
	}
	state := stateOK
	if readable < all {
		state = stateProblem
	}
	if all > 0 {
		text += fmt.Sprintf(", %d of %s readable", readable, plural(all, "credential"))
	}
	d.say(check, state, text, hint)
}
