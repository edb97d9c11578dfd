package redis_test

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// raw is a connection that does what nobody of ours would.
func raw(t *testing.T, url string) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.DisableIdentity = true
	c := goredis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func setPassword(t *testing.T, url, password string) {
	t.Helper()
	if err := raw(t, url).ConfigSet(t.Context(), "requirepass", password).Err(); err != nil {
		t.Fatal(err)
	}
}
