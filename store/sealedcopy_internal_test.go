package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

const copiedDatabase = "llmgw"

func sealingKey(t testing.TB, n byte) *accounts.SecretKey {
	t.Helper()
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{n}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// someCopy is a copy of seq with keys of these names.
func someCopy(lineage string, seq int64, at time.Time, names ...string) *sealedCopy {
	head := Head{Lineage: lineage, Seq: seq, Revision: 2, Hash: bytes.Repeat([]byte{byte(seq)}, 32)}
	c := &sealedCopy{top: copyTop{
		At: at.UTC(), Language: rules.Language, Head: head, InForce: head, Issuer: bytes.Repeat([]byte{7}, accounts.IssuerSecretBytes),
		Config: shelvedConfig{
			Files: []rules.File{{Set: "default", Order: 100, Rules: []rules.Rule{
				{Name: "hello", Match: rules.Match{Model: []string{"m-*"}}, Action: rules.Action{Respond: &rules.Respond{Status: 200, Message: "hello"}}},
			}}},
			Upstreams: []accounts.Upstream{{ID: "up_1", Name: "one", URL: "https://one.example", Enabled: true}},
		},
	}}
	for _, name := range names {
		hash := accounts.HashKey(name)
		c.known = append(c.known, copiedKey{Hash: hash[:], Who: &accounts.Identity{
			KeyID: "key_" + name, KeyName: name, Tags: map[string]string{"team": "search"}, Models: []string{"m-*"},
			UserID: "user_dana", UserName: "dana", RevokedAt: time.Unix(1000, 0).UTC(), Seq: seq,
		}})
	}
	return c
}

func mustSeal(t testing.TB, c *sealedCopy, key accounts.Sealer) []byte {
	t.Helper()
	b, err := c.seal(key, copiedDatabase, mostCopied)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestASealedCopyComesBackAsItWas(t *testing.T) {
	key := sealingKey(t, 1)
	c := someCopy("lineage_1", 17, time.Now().Truncate(time.Second), "a", "b")
	b := mustSeal(t, c, key)
	got, err := openCopy(key, copiedDatabase, b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.top, c.top) || !reflect.DeepEqual(got.known, c.known) {
		t.Errorf("it came back as\n%+v\nand was\n%+v", got, c)
	}
	if config := got.config(); config.Revision != 2 || config.Files[0].Rules[0].Name != "hello" {
		t.Errorf("the configuration is %+v", config)
	}
	for _, clear := range []string{"dana", "hello", "one.example", "key_a", string(c.top.Issuer), string(c.known[0].Hash)} {
		if bytes.Contains(b, []byte(clear)) {
			t.Errorf("%q stands there in clear", clear)
		}
	}
}

func TestACopyThatMayNotBeUsedIsRefusedWithAReason(t *testing.T) {
	key := sealingKey(t, 1)
	c := someCopy("lineage_1", 17, time.Now(), "a")
	good := mustSeal(t, c, key)
	line, sealed, _ := bytes.Cut(good, []byte("\n"))
	withLine := func(text string) []byte { return append([]byte(text+"\n"), sealed...) }
	body := func(change func(top map[string]any)) []byte {
		text, err := json.Marshal(&c.top)
		if err != nil {
			t.Fatal(err)
		}
		var top map[string]any
		if err := json.Unmarshal(text, &top); err != nil {
			t.Fatal(err)
		}
		change(top)
		if text, err = json.Marshal(top); err != nil {
			t.Fatal(err)
		}
		made, err := key.Seal(copyPlace(copiedDatabase, string(line)+"\n"), text)
		if err != nil {
			t.Fatal(err)
		}
		return append(append(bytes.Clone(line), '\n'), made...)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-20] ^= 1
	for name, test := range map[string]struct {
		b        []byte
		key      accounts.Sealer
		database string
		want     string
	}{
		"nothing":                       {b: []byte{}, want: "it is no sealed copy"},
		"noise":                         {b: []byte("PK\x03\x04\n"), want: "it is no sealed copy"},
		"only the first line":           {b: append(bytes.Clone(line), '\n'), want: "it was changed or cut off"},
		"cut off in the middle":         {b: good[:len(good)/2], want: "it was changed or cut off"},
		"one bit is another":            {b: flipped, want: "it was changed or cut off"},
		"its first line says later":     {b: withLine(strings.Replace(string(line), " 17 ", " 18 ", 1)), want: "it was changed or cut off"},
		"its first line is of another":  {b: withLine(strings.Replace(string(line), "lineage_1", "lineage_2", 1)), want: "it was changed or cut off"},
		"a newer format":                {b: withLine("llmgw-copy 2 lineage_1 17 0 more"), want: "its format is 2, and this program knows 1"},
		"another secret key":            {b: good, key: sealingKey(t, 2), want: "sealed with key"},
		"another database":              {b: good, database: "other", want: "is of another database"},
		"a field that nobody knows":     {b: body(func(top map[string]any) { top["quota"] = 1 }), want: "a newer program wrote it"},
		"rules of a newer language":     {b: body(func(top map[string]any) { top["language"] = rules.Language + 1 }), want: "a newer program wrote its rules"},
		"a checksum secret too short":   {b: body(func(top map[string]any) { top["issuer"] = "AAAA" }), want: "its checksum secret is damaged"},
		"another number than it claims": {b: body(func(top map[string]any) { top["head"].(map[string]any)["Seq"] = 18 }), want: "it contradicts itself"},
	} {
		t.Run(name, func(t *testing.T) {
			by, database := accounts.Sealer(key), copiedDatabase
			if test.key != nil {
				by = test.key
			}
			if test.database != "" {
				database = test.database
			}
			if _, err := openCopy(by, database, test.b); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it says %v, want %q", err, test.want)
			}
		})
	}
	if _, err := openCopy(key, copiedDatabase, body(func(map[string]any) {})); err != nil {
		t.Errorf("what was not changed: %v", err)
	}
}

func TestACopyLeavesOutKeysThatDoNotFit(t *testing.T) {
	key := sealingKey(t, 1)
	var names []string
	for n := range 100 {
		names = append(names, fmt.Sprint("k", n))
	}
	c := someCopy("lineage_1", 1, time.Now(), names...)
	b, err := c.seal(key, copiedDatabase, 4000)
	if err != nil || len(b) > 4200 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	got, err := openCopy(key, copiedDatabase, b)
	if err != nil || len(got.known) == 0 || len(got.known) >= 100 || got.known[0].Who.KeyName != "k0" {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := c.seal(key, copiedDatabase, 100); !errors.Is(err, errNoRoom) {
		t.Errorf("a configuration that does not fit: %v", err)
	}
}

func TestAFileThatIsNoCopyIsNone(t *testing.T) {
	key, dir := sealingKey(t, 1), t.TempDir()
	path := filepath.Join(dir, "store.copy")
	var log bytes.Buffer
	p, err := ParsePostgres("postgres://gw@localhost/"+copiedDatabase, accounts.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Copy: path, Postgres: p, Secret: key, Log: zerolog.New(&log)}
	if c := o.ownCopy(); c != nil || log.Len() > 0 {
		t.Errorf("of no file: %v, and the log says %s", c, &log)
	}
	for name, b := range map[string][]byte{
		"garbage":          []byte("garbage"),
		"of the year 2100": mustSeal(t, someCopy("lineage_1", 1, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)), key),
	} {
		if err := replaceFile(path, b); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if c := o.ownCopy(); c != nil || strings.Count(log.String(), "cannot be used") != 1 {
			t.Errorf("%s: %v, and the log says %q", name, c, log.String())
		}
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", stat, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if c := o.ownCopy(); c != nil {
		t.Errorf("of a folder: %v", c)
	}
}

func FuzzOpenCopy(f *testing.F) {
	key := sealingKey(f, 1)
	good := mustSeal(f, someCopy("lineage_1", 17, time.Unix(1_700_000_000, 0), "a"), key)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("llmgw-copy 1 l 1 1\n"))
	f.Add([]byte("llmgw-copy 99999999999999999999 l 1 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := openCopy(key, copiedDatabase, b); err == nil && !bytes.Equal(b, good) {
			t.Errorf("it opens: %+v", c)
		}
	})
}

// FuzzDecodeCopy is what a seal cannot keep out: a program of another version.
func FuzzDecodeCopy(f *testing.F) {
	text, err := json.Marshal(&someCopy("lineage_1", 1, time.Unix(1_700_000_000, 0)).top)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(append(bytes.Clone(text), []byte(`{"hash":"AAAA","who":{}}`)...))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decodeCopy(text)
		if err != nil {
			return
		}
		keys := newCache(2, 4, 4, outcomes{}, nil)
		keys.recover(c.known)
		if _, known := keys.holdings(); len(known) > len(c.known) {
			t.Errorf("%d keys of %d", len(known), len(c.known))
		}
		_ = c.config()
	})
}
