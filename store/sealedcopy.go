package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// A sealed copy is one line in clear, which the seal covers, and what is sealed:
//
//	llmgw-copy FORMAT LINEAGE SEQ UNIX-SECONDS
//
// In there is JSON, one value after the other: a copyTop, and then each identity.
const (
	copyMagic  = "llmgw-copy"
	copyFormat = 1

	longestCopyLine = 256
	mostCopied      = 64 << 20 // bytes before they are sealed; identities beyond are left out
)

// copyLine is the first line of a copy: of which log it is, up to where, and as of
// when.
type copyLine struct {
	lineage string
	seq     int64
	at      time.Time // to the second
}

func (l copyLine) String() string {
	return fmt.Sprintf("%s %d %s %d %d\n", copyMagic, copyFormat, l.lineage, l.seq, l.at.Unix())
}

// sealedCopy is what a node knew at a moment, for a start while the database is
// away.
type sealedCopy struct {
	top   copyTop
	known []copiedKey // those that were asked for lately come first
}

// copyTop is all of a copy but the identities. They hold up to Head, and Config is
// what was in force then; it may lag behind.
type copyTop struct {
	At       time.Time `json:"at"`       // start of the last look after which the node was in step
	Language int       `json:"language"` // of the rules; see rules.Language
	Head     Head      `json:"head"`
	InForce  Head      `json:"in_force"`
	Issuer   []byte    `json:"issuer"` // the checksum secret

	Config shelvedConfig `json:"config"`
}

// copiedKey is whose a key is.
type copiedKey struct {
	Hash []byte             `json:"hash"`
	Who  *accounts.Identity `json:"who"`
}

func (c *sealedCopy) line() copyLine {
	return copyLine{lineage: c.top.Head.Lineage, seq: c.top.Head.Seq, at: c.top.At}
}

func (c *sealedCopy) config() rules.Config {
	t := &c.top
	return rules.Config{Revision: t.InForce.Revision, Files: t.Config.Files, Upstreams: t.Config.Upstreams, Bindings: t.Config.Bindings}
}

// errNoRoom says that a configuration alone is larger than a copy may be.
var errNoRoom = errors.New("writing copy: the configuration alone is larger than a copy may be")

// seal writes the copy for one database, with as many identities as fit into so
// many bytes. The name of the database is bound in: a copy must not be taken for
// that of another one that has the same secret key.
func (c *sealedCopy) seal(key accounts.Sealer, database string, most int) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	if err := e.Encode(&c.top); err != nil {
		return nil, fmt.Errorf("writing copy: %w", err)
	}
	if text.Len() > most {
		return nil, errNoRoom
	}
	for i := range c.known {
		before := text.Len()
		if err := e.Encode(&c.known[i]); err != nil {
			return nil, fmt.Errorf("writing copy: %w", err)
		}
		if text.Len() > most {
			text.Truncate(before)
			break
		}
	}
	line := c.line().String()
	sealed, err := key.Seal(copyPlace(database, line), text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("sealing copy: %w", err)
	}
	return append([]byte(line), sealed...), nil
}

func copyPlace(database, line string) string { return "copy\x00" + database + "\x00" + line }

// openCopy is the way back. Whatever is wrong with a copy is an error that says so
// in a few words; nothing of what is in it is in there.
func openCopy(key accounts.Sealer, database string, b []byte) (*sealedCopy, error) {
	line, text, err := unsealCopy(key, database, b)
	if err != nil {
		return nil, err
	}
	c, err := decodeCopy(text)
	if err != nil {
		return nil, err
	}
	if c.top.Head.Lineage != line.lineage || c.top.Head.Seq != line.seq {
		return nil, errors.New("it contradicts itself")
	}
	return c, nil
}

// unsealCopy opens a copy without reading what is in it.
func unsealCopy(key accounts.Sealer, database string, b []byte) (copyLine, []byte, error) {
	end := bytes.IndexByte(b[:min(len(b), longestCopyLine)], '\n')
	if end < 0 {
		return copyLine{}, nil, errors.New("it is no sealed copy")
	}
	line, err := readCopyLine(string(b[:end]))
	if err != nil {
		return line, nil, err
	}
	text, err := key.Open(copyPlace(database, string(b[:end+1])), b[end+1:])
	var wrong *accounts.WrongKeyError
	switch {
	case errors.As(err, &wrong):
		return line, nil, err
	case err != nil:
		return line, nil, errors.New("it was changed or cut off, or is of another database")
	}
	return line, text, nil
}

func readCopyLine(text string) (copyLine, error) {
	words := strings.Split(text, " ")
	if words[0] != copyMagic || len(words) < 2 {
		return copyLine{}, errors.New("it is no sealed copy")
	}
	format, err := strconv.Atoi(words[1])
	if err != nil || format < copyFormat {
		return copyLine{}, errors.New("it is no sealed copy")
	}
	if format > copyFormat {
		return copyLine{}, fmt.Errorf("its format is %d, and this program knows %d", format, copyFormat)
	}
	if len(words) != 5 {
		return copyLine{}, errors.New("its first line is cut off")
	}
	seq, err1 := strconv.ParseInt(words[3], 10, 64)
	at, err2 := strconv.ParseInt(words[4], 10, 64)
	if errors.Join(err1, err2) != nil || words[2] == "" {
		return copyLine{}, errors.New("its first line is damaged")
	}
	return copyLine{lineage: words[2], seq: seq, at: time.Unix(at, 0)}, nil
}

// decodeCopy takes nothing that it does not know: a newer program may have written
// there what restricts a key.
func decodeCopy(text []byte) (*sealedCopy, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	c := &sealedCopy{}
	if err := d.Decode(&c.top); err != nil {
		return nil, errors.New("a newer program wrote it, or it is damaged")
	}
	if c.top.Language > rules.Language {
		return nil, errors.New("a newer program wrote its rules")
	}
	if len(c.top.Issuer) != accounts.IssuerSecretBytes {
		return nil, errors.New("its checksum secret is damaged")
	}
	for {
		var k copiedKey
		err := d.Decode(&k)
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil || len(k.Hash) != len(accounts.KeyHash{}) || k.Who == nil || k.Who.KeyID == "" {
			return nil, errors.New("a newer program wrote it, or it is damaged")
		}
		c.known = append(c.known, k)
	}
}
