package proxy

import "strings"

// meaning is what a value at a known place of a document tells.
type meaning uint8

const (
	meansNothing meaning = iota
	// Numbers: the five counts.
	inputTokens
	outputTokens
	cachedInputTokens
	cacheWriteTokens
	reasoningTokens
	// Strings: what the event calls itself; the event proper in base64.
	eventKind
	sealedEvent
	// Whatever is there: a string that is not empty, or an array or object
	// that is not.
	someOutput
	someError
	someFinish
)

// countKinds is how many meanings are counts.
const countKinds = 5

// isCount says whether the meaning is one of the five counts.
func (m meaning) isCount() bool { return m >= inputTokens && m <= reasoningTokens }

// place says what the value at a path means. A path is keys with dots between
// them; "[]" behind a key stands for every element of its array, "*" for every
// key that no other path names.
type place struct {
	path  string
	means meaning
}

// shape is one place in the tree of what is looked for. Whatever has no shape
// is skipped without being taken apart.
type shape struct {
	means    meaning
	keys     []shapeKey
	other    *shape // of keys that are not listed
	elements *shape // of an array
}

type shapeKey struct {
	name string
	is   *shape
}

// newShape plants the tree of places.
func newShape(places ...[]place) *shape {
	root := new(shape)
	for _, some := range places {
		for _, p := range some {
			root.grow(p.path).means = p.means
		}
	}
	return root
}

// grow finds the node at path, making what is missing on the way.
func (s *shape) grow(path string) *shape {
	at := s
	for _, step := range strings.Split(path, ".") {
		name, isArray := strings.CutSuffix(step, "[]")
		at = at.sprout(name)
		if isArray {
			if at.elements == nil {
				at.elements = new(shape)
			}
			at = at.elements
		}
	}
	return at
}

func (s *shape) sprout(name string) *shape {
	if name == "*" {
		if s.other == nil {
			s.other = new(shape)
		}
		return s.other
	}
	for _, k := range s.keys {
		if k.name == name {
			return k.is
		}
	}
	s.keys = append(s.keys, shapeKey{name, new(shape)})
	return s.keys[len(s.keys)-1].is
}

// key finds what the value behind a key is; nil where nobody asks for it.
func (s *shape) key(name []byte) *shape {
	for i := range s.keys {
		if k := &s.keys[i]; len(k.name) == len(name) && k.name == string(name) {
			return k.is
		}
	}
	return s.other
}

// isLeaf says whether nothing below this place is asked for.
func (s *shape) isLeaf() bool { return s.keys == nil && s.other == nil && s.elements == nil }

// depth is how many containers stand open at most while the shape is followed.
func (s *shape) depth() int {
	deepest := 0
	for _, k := range s.keys {
		deepest = max(deepest, k.is.depth())
	}
	for _, below := range []*shape{s.other, s.elements} {
		if below != nil {
			deepest = max(deepest, below.depth())
		}
	}
	return deepest + 1
}
