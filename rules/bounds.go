package rules

import (
	"errors"
	"math"
	"regexp"
	"strconv"
)

// bounds are those of a size, both exclusive.
type bounds struct{ above, below int64 }

func newBounds(written *Bounds) bounds {
	b := bounds{above: -1, below: math.MaxInt64}
	if written.GT != nil {
		b.above = *written.GT
	}
	if written.LT != nil {
		b.below = *written.LT
	}
	return b
}

// take asks a size in bytes; one below zero is not known.
func (b bounds) take(size int64) bool { return size >= 0 && size > b.above && size < b.below }

// maxSize is the largest size that can be asked for, a tebibyte.
const maxSize = int64(1) << 40

// sizeUnits are those of a size: thousands, and powers of 1024. Where two write
// a size alike, the first is taken.
var sizeUnits = [...]struct {
	name  string
	bytes int64
}{{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

var sizeForm = regexp.MustCompile(`^([0-9]{1,13}) ?([A-Za-z]*)$`)

var errNotSize = errors.New("not a size")

// parseSize reads a number of bytes: 4096, 10KB, 2MiB.
func parseSize(text string) (int64, error) {
	form := sizeForm.FindStringSubmatch(text)
	if form == nil {
		return 0, errNotSize
	}
	n, err := strconv.ParseInt(form[1], 10, 64)
	if err != nil {
		return 0, errNotSize
	}
	unit := int64(0)
	for _, u := range sizeUnits {
		if u.name == form[2] {
			unit = u.bytes
		}
	}
	switch {
	case form[2] == "" || form[2] == "B":
		unit = 1
	case unit == 0:
		return 0, errNotSize
	}
	if n > maxSize/unit {
		return 0, errors.New("the size is more than 1024GiB")
	}
	return n * unit, nil
}

// sizeText writes a size with the unit that leaves the fewest digits.
func sizeText(size int64) string {
	best := strconv.FormatInt(size, 10)
	number := best
	for _, u := range sizeUnits {
		if size == 0 || size%u.bytes != 0 {
			continue
		}
		if n := strconv.FormatInt(size/u.bytes, 10); len(n) < len(number) {
			number, best = n, n+u.name
		}
	}
	return best
}
