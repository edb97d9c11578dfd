package accounts

import "math"

// Usage is what a provider says an exchange used, in its own counting, never
// recomputed. A count that the provider did not name is absent, which is not
// the same as zero.
type Usage struct {
	InputTokens       Count
	OutputTokens      Count
	CachedInputTokens Count
	CacheWriteTokens  Count
	ReasoningTokens   Count
}

// Count is a number of tokens, or nothing.
type Count struct {
	N     int64
	Known bool
}

// Set records n as said by the provider.
func (c *Count) Set(n int64) { *c = Count{N: n, Known: true} }

// Add adds n to what is known. A sum that does not fit stays at the largest
// number.
func (c *Count) Add(n int64) {
	if n > math.MaxInt64-c.N {
		n = math.MaxInt64 - c.N
	}
	c.Set(c.N + n)
}

// Each calls f for every count that is known, in a fixed order, with the name
// under which logs, metrics and usage rows show it.
func (u *Usage) Each(f func(name string, n int64)) {
	for _, c := range [...]struct {
		name  string
		count Count
	}{
		{"input_tokens", u.InputTokens},
		{"output_tokens", u.OutputTokens},
		{"cached_input_tokens", u.CachedInputTokens},
		{"cache_write_tokens", u.CacheWriteTokens},
		{"reasoning_tokens", u.ReasoningTokens},
	} {
		if c.count.Known {
			f(c.name, c.count.N)
		}
	}
}
