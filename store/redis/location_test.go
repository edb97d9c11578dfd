package redis

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"redis://localhost":                                 "0 [localhost:6379] tls=false user= password= db=0 master=",
		"redis://h:6380/3":                                  "0 [h:6380] tls=false user= password= db=3 master=",
		"redis://:s3cret@h":                                 "0 [h:6379] tls=false user= password=s3cret db=0 master=",
		"redis://me:s%40%2Fcret@h/1":                        "0 [h:6379] tls=false user=me password=s@/cret db=1 master=",
		"redis://[::1]":                                     "0 [[::1]:6379] tls=false user= password= db=0 master=",
		"redis://[::1]:7000/2":                              "0 [[::1]:7000] tls=false user= password= db=2 master=",
		"rediss://h?ca=/etc/ca.pem&server_name=redis":       "0 [h:6379] tls=true user= password= db=0 master= ca=/etc/ca.pem name=redis",
		"unix:///run/redis.sock?db=4":                       "0 [/run/redis.sock] tls=false user= password= db=4 master=",
		"unix://me:pw@/run/redis.sock":                      "0 [/run/redis.sock] tls=false user=me password=pw db=0 master=",
		"redis-sentinel://a,b:1,c/main":                     "1 [a:26379 b:1 c:26379] tls=false user= password= db=0 master=main",
		"redis-sentinel://a/main/2?sentinel_password=x":     "1 [a:26379] tls=false user= password= db=2 master=main sentinel=/x",
		"rediss-sentinel://a/main?sentinel_username=u&db=5": "1 [a:26379] tls=true user= password= db=5 master=main sentinel=u/",
		"redis-cluster://me:pw@a:1,b:2":                     "2 [a:1 b:2] tls=false user=me password=pw db=0 master=",
		"rediss-cluster://a":                                "2 [a:6379] tls=true user= password= db=0 master=",
		"http://h":                                          "error: must be redis://",
		"h:6379":                                            "error: must be redis://",
		"":                                                  "error: must be redis://",
		"redis://":                                          "error: it names no host",
		"redis://h:port":                                    "error: it names no host, or one with a port",
		"redis://h:0":                                       "error: it names no host, or one with a port",
		"redis://h:65536":                                   "error: it names no host, or one with a port",
		"redis://::1":                                       "error: it names no host",
		"redis://h/main":                                    "error: the database must be a number",
		"redis://h/-1":                                      "error: the database must be a number",
		"redis://a,b":                                       "error: redis:// takes one host",
		"redis-sentinel://a":                                "error: redis-sentinel:// wants the name of the master",
		"redis-cluster://a/1":                               "error: a cluster has no databases",
		"redis-cluster://a?db=1":                            "error: a cluster has no databases",
		"unix://run/redis.sock":                             "error: unix:// must be followed by the absolute path",
		"redis://h?ca=x":                                    "error: ca and server_name are for TLS",
		"redis://h?sentinel_password=hunter2":               "error: sentinel_username and sentinel_password are for redis-sentinel://",
		"redis://h?pool_size=3":                             `error: the parameter "pool_size" is not known`,
		"redis://me:hunter2%@h":                             "error: what stands before @ must be percent-encoded",
		"redis://me:hunter2/x@h":                            "error: what stands before @ must be percent-encoded",
		"redis://h?a=%zz":                                   "error: what stands after ? must be percent-encoded",
	} {
		t.Run(text, func(t *testing.T) {
			l, err := Parse(text)
			got := fmt.Sprint("error: ", err)
			if err == nil {
				got = shown(l)
			}
			if got != want && (err == nil || !strings.HasPrefix(got, want)) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Error("the error has the password")
			}
		})
	}
}

func shown(l *Location) string {
	text := fmt.Sprintf("%d %v tls=%v user=%s password=%s db=%d master=%s", l.kind, l.addresses, l.tls, l.user, l.password.Reveal(), l.database, l.master)
	if l.authority+l.serverName != "" {
		text += " ca=" + l.authority + " name=" + l.serverName
	}
	if l.sentinelUser+l.sentinelPassword.Reveal() != "" {
		text += " sentinel=" + l.sentinelUser + "/" + l.sentinelPassword.Reveal()
	}
	return text
}

func TestALocationIsPrintedWithoutWhoAsks(t *testing.T) {
	l, err := Parse("redis-sentinel://me:hunter2@a,b/main?sentinel_password=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%v %+v", l, *l); strings.Contains(got, "hunter2") || !strings.Contains(got, "a:26379,b:26379") {
		t.Errorf("printed as %s", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"redis://u:p@h:1/2?db=3", "redis-sentinel://a,b/m", "unix:///x", "rediss://[::1]?ca=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err == nil && (len(l.addresses) == 0 || l.addresses[0] == "") {
			t.Errorf("%q names nothing: %+v", text, l)
		}
	})
}
