package rules

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Format lays a rules file out in its canonical form and keeps what people put
// there for people: comments, single blank lines, the order of sets and rules,
// and whether a list or block of fields stands in brackets or on lines of its
// own. Fields come in the order in which Encode writes them, indentation and
// quotes are those of Encode, and what stands in brackets goes on lines of its
// own where it holds a comment or would be too long. Names that somebody chose
// (of headers, tags, parameters) stay in their order, and so does every field
// of a set that uses anchors, since an anchor must stand before its aliases.
//
// Formatting twice is formatting once, and Decode gives the same sets as
// before. A file with problems is not formatted: they come back instead.
func Format(name string, source []byte) ([]byte, Problems) {
	files, problems := Decode(name, source)
	if len(problems) > 0 {
		return nil, problems
	}
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	if !utf8.Valid(source) { // YAML may be UTF-16
		return nil, Problems{{File: name, Line: 1, Column: 1, Message: "the file is not UTF-8", Hint: "save it as UTF-8; nothing else is laid out anew"}}
	}
	documents, wrong := Documents(name, source)
	if wrong != nil {
		return nil, Problems{*wrong}
	}
	text, notes := layOut(source, documents)
	if !saysTheSame(name, text, files, notes) {
		// Better unformatted than changed.
		return nil, Problems{{File: name, Line: 1, Column: 1, Message: "the file cannot be laid out anew without changing what it says", Hint: "it stays as it is"}}
	}
	return text, nil
}

// layOut gives the documents in canonical form, and the comments that went into
// it.
func layOut(source []byte, documents []*yaml.Node) (text []byte, comments []string) {
	a := newAttachment(source, documents)
	a.inline(rulesSchema())
	w := layout{blocks: a.blocks}
	for i, d := range a.documents {
		if i > 0 {
			w.lines = append(w.lines, line{text: "---"})
		}
		w.document(d)
	}
	return w.bytes(), a.texts()
}

// saysTheSame compares what was written with what was read: the sets, and the
// comments in any order, since fields change places.
func saysTheSame(name string, text []byte, files []File, comments []string) bool {
	again, problems := Decode(name, text)
	if len(problems) > 0 || !slices.EqualFunc(files, again, sameFile) {
		return false
	}
	documents, err := parseYAML(text)
	if err != nil {
		return false
	}
	kept := newAttachment(text, documents).texts()
	slices.Sort(kept)
	comments = slices.Sorted(slices.Values(comments))
	return slices.Equal(kept, comments)
}

func sameFile(a, b File) bool {
	return a.Set == b.Set && a.Order == b.Order && slices.EqualFunc(a.Rules, b.Rules, Rule.Equal)
}
