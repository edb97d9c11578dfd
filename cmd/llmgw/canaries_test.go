package main

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// canaries are marked secrets, and the places where they are looked for.
type canaries struct {
	mu       sync.Mutex
	marks    []canary
	exhibits []exhibit
}

// canary is a secret, and how it looks in the encodings in which it might stand
// somewhere.
type canary struct {
	name    string
	needles []string
}

// exhibit is a text that somebody may see, and the names of the secrets that by
// contract stand there: the answer that makes a key holds the key.
type exhibit struct {
	where, text string
	by          []string
}

// mark makes a text a secret from now on, also where it was seen before.
func (c *canaries) mark(name, text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks = append(c.marks, canary{name, needles(text)})
	return text
}

// needles are the ways in which a text might be written: as it is, cut to its
// beginning or to what stands before its last characters, escaped, in hexadecimal, and in Base64 at each of the three places at
// which it can stand in a longer text.
func needles(text string) []string {
	all := []string{text, url.QueryEscape(text), url.PathEscape(text), hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text)))}
	if len(text) >= 32 {
		all = append(all, text[len(text)-28:len(text)-4])
		if !strings.HasPrefix(text, "eyJ") { // the head of a JWT is everybody's
			all = append(all, text[:24])
		}
	}
	for shift := range 3 {
		padded := []byte(strings.Repeat("\x00", shift) + text)
		padded = padded[:len(padded)/3*3]
		begin := (shift*8 + 5) / 6 // characters that hold bits of what stands before
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			all = append(all, encoding.EncodeToString(padded)[begin:])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// show keeps what somebody may see.
func (c *canaries) show(where, text string, by ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exhibits = append(c.exhibits, exhibit{where, text, by})
}

// find tells where each secret stands, in words, and never the secret.
func (c *canaries) find() []string {
	var hits []string
	for _, e := range c.exhibits {
		for _, m := range c.marks {
			if slices.Contains(e.by, m.name) {
				continue
			}
			for i, needle := range m.needles {
				if at := strings.Index(e.text, needle); at >= 0 {
					before := e.text[max(0, at-80):at]
					hits = append(hits, m.name+" in "+e.where+" (form "+string(rune('a'+i))+"), behind "+before)
					break
				}
			}
		}
	}
	return hits
}

// seen says whether a text stands in some place of a kind.
func (c *canaries) seen(kind, text string) bool {
	return slices.ContainsFunc(c.exhibits, func(e exhibit) bool {
		return strings.HasPrefix(e.where, kind) && strings.Contains(e.text, text)
	})
}

func TestACanaryIsFoundInEveryForm(t *testing.T) {
	const secret = "sk-canary/äß?&-0123456789"
	for name, text := range map[string]string{
		"as it is":             "a " + secret + " b",
		"in a query":           "?a=" + url.QueryEscape(secret) + "&b",
		"in a path":            "/" + url.PathEscape(secret) + "/",
		"in hexadecimal":       "00" + hex.EncodeToString([]byte(secret)) + "00",
		"in Base64":            base64.StdEncoding.EncodeToString([]byte(secret + "!")),
		"in Base64, at 1":      base64.StdEncoding.EncodeToString([]byte("x" + secret + "!")),
		"in Base64, at 2":      base64.StdEncoding.EncodeToString([]byte("xy" + secret)),
		"in Base64, for URLs":  base64.RawURLEncoding.EncodeToString([]byte("user" + secret)),
		"in a token's payload": "x." + base64.RawURLEncoding.EncodeToString([]byte(`{"k":"`+secret+`"}`)) + ".y",
	} {
		t.Run(name, func(t *testing.T) {
			var c canaries
			c.show("here", text)
			c.show("where it may be", text, "secret")
			c.show("elsewhere", "nothing")
			c.mark("secret", secret)
			if hits := c.find(); len(hits) != 1 || !strings.HasPrefix(hits[0], "secret in here") || strings.Contains(hits[0], secret) {
				t.Errorf("%q", hits)
			}
		})
	}
}
