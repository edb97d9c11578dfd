package window

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The classes of a histogram: three for each doubling, from 0.25 ms to eleven
// minutes. What is told of a class is its geometric middle, so that it is within
// 2^(1/6) of the truth, which is 12.3 %.
const (
	timeClasses = 64
	perDoubling = 3
	leastMS     = 0.25
)

// Times is how many exchanges took how long to the first token.
type Times [timeClasses]uint32

func classOf(ms float64) int {
	if !(ms > leastMS) { // nor is it where it is no number
		return 0
	}
	return int(min(perDoubling*math.Log2(ms/leastMS), timeClasses-1))
}

func (t *Times) count(ms float64) { t.plus(classOf(ms), 1) }

// plus stays where it is when it can count no further.
func (t *Times) plus(class int, n uint32) {
	if t[class] += n; t[class] < n {
		t[class] = math.MaxUint32
	}
}

func (t *Times) add(other *Times) {
	for class, n := range other {
		t.plus(class, n)
	}
}

// quantile is the time, in milliseconds, that a part q of all did not exceed; 0
// where there are none.
func (t *Times) quantile(q float64) float64 {
	var total uint64
	for _, n := range t {
		total += uint64(n)
	}
	rank := uint64(math.Ceil(q * float64(total)))
	for class, n := range t {
		if rank <= uint64(n) && n > 0 {
			return leastMS * math.Exp2((float64(class)+0.5)/perDoubling)
		}
		rank -= min(rank, uint64(n))
	}
	return 0
}

// pack writes the classes that are not empty: of each how many were skipped, and
// its count, as varints.
func (t *Times) pack() []byte {
	var packed []byte
	skipped := uint64(0)
	for _, n := range t {
		if n == 0 {
			skipped++
			continue
		}
		packed = binary.AppendUvarint(binary.AppendUvarint(packed, skipped), uint64(n))
		skipped = 0
	}
	return packed
}

var errTimes = errors.New("this is no histogram")

// addPacked adds what pack wrote.
func (t *Times) addPacked(packed []byte) error {
	for class := uint64(0); len(packed) > 0; class++ {
		skipped, read := binary.Uvarint(packed)
		if read <= 0 || skipped >= timeClasses {
			return errTimes
		}
		n, more := binary.Uvarint(packed[read:])
		if class += skipped; more <= 0 || class >= timeClasses || n > math.MaxUint32 {
			return errTimes
		}
		t.plus(int(class), uint32(n))
		packed = packed[read+more:]
	}
	return nil
}

// MarshalText is how a histogram goes to another node.
func (t *Times) MarshalText() ([]byte, error) {
	return base64.RawStdEncoding.AppendEncode(nil, t.pack()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *Times) UnmarshalText(text []byte) error {
	packed, err := base64.RawStdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("reading histogram: %w", err)
	}
	*t = Times{}
	return t.addPacked(packed)
}
