package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

var start = time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)

// What must go through unnoticed, second by second, under the limits as they are.
func TestLimitsLetWorkThrough(t *testing.T) {
	nat := network(netip.MustParseAddr("198.51.100.7"))
	clinician := evidence.NewID[evidence.ActorID]()
	for name, c := range map[string]struct {
		limit pace
		count func(second int) int
		for_  int
	}{
		"a hospital behind one address begins its day": {signInLimit, func(s int) int { return map[bool]int{true: 500, false: 20}[s == 0] }, 3600},
		"a shell loop of three people, a program each": {signInLimit, func(int) int { return 2 * 3 * 4 }, 3600},
		"a training where a hundred enrol in a minute": {enrolLimit, func(s int) int { return map[bool]int{true: 5, false: 0}[s < 60] }, 120},
		"a department is invited in one go":            {inviteLimit, func(s int) int { return map[bool]int{true: 200, false: 0}[s == 0] }, 1},
		"10,000 small files in a row":                  {uploadLimit, func(s int) int { return map[bool]int{true: 400, false: 0}[s < 50] }, 60},
		"1,000 photographs as fast as a machine can":   {uploadLimit, func(s int) int { return map[bool]int{true: 2000, false: 0}[s == 0] }, 1},
	} {
		actors, places := newBuckets[evidence.ActorID]("test", c.limit), newBuckets[netip.Prefix]("test", c.limit)
		for second := range c.for_ {
			now := start.Add(time.Duration(second) * time.Second)
			for range c.count(second) {
				if wait := max(actors.take(clinician, now), places.take(nat, now)); wait > 0 {
					t.Fatalf("%s: has to wait %s after %d seconds", name, wait, second)
				}
			}
		}
	}
}

func TestBuckets(t *testing.T) {
	b := newBuckets[int]("test", pace{perSecond: 2, burst: 3})
	for range 3 {
		if wait := b.take(1, start); wait != 0 {
			t.Fatalf("within the burst: %s", wait)
		}
	}
	if wait := b.take(1, start); wait != 500*time.Millisecond {
		t.Errorf("beyond the burst: %s", wait)
	}
	if wait := b.take(2, start); wait != 0 {
		t.Errorf("another caller waits %s for the first", wait)
	}
	if wait := b.take(1, start.Add(500*time.Millisecond)); wait != 0 {
		t.Errorf("as long afterwards as was said: %s", wait)
	}
	if wait := b.take(1, start.Add(-time.Hour)); wait <= 0 || wait > time.Second {
		t.Errorf("a clock that steps back: %s", wait)
	}
}

// The table is bounded, forgets, and a flood does not reach who was there before it.
func TestBucketsAreBounded(t *testing.T) {
	b := newBuckets[int]("test", pace{perSecond: 1, burst: 2})
	b.take(-1, start)
	for i := range 3 * maxBuckets {
		b.take(i, start)
		b.take(i, start)
	}
	if len(b.known) > maxBuckets {
		t.Fatalf("%d buckets", len(b.known))
	}
	if b.take(maxBuckets*5, start) == 0 {
		t.Error("callers beyond the table are not limited")
	}
	if b.take(-1, start) != 0 {
		t.Error("the flood used up the bucket of who was there before")
	}
	if b.take(7*maxBuckets, start.Add(2*time.Second)) != 0 || len(b.known) != 1 {
		t.Errorf("%d buckets once all are full again", len(b.known))
	}
}

func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		proxies   []netip.Prefix
		want      string
	}{
		"no proxy":                               {"203.0.113.5:1234", nil, nil, "203.0.113.5/32"},
		"no proxy is trusted":                    {"10.0.0.1:1234", []string{"203.0.113.5"}, nil, "10.0.0.1/32"},
		"spoofed without a proxy":                {"203.0.113.5:1234", []string{"198.51.100.1"}, proxies, "203.0.113.5/32"},
		"a proxy":                                {"10.0.0.1:1234", []string{"203.0.113.5"}, proxies, "203.0.113.5/32"},
		"a proxy that says nothing":              {"10.0.0.1:1234", nil, proxies, "10.0.0.1/32"},
		"spoofed before a proxy":                 {"10.0.0.1:1234", []string{"198.51.100.1, 203.0.113.5"}, proxies, "203.0.113.5/32"},
		"spoofed as one of the proxies":          {"10.0.0.1:1234", []string{"10.9.9.9, 203.0.113.5"}, proxies, "203.0.113.5/32"},
		"a proxy with a line of its own":         {"10.0.0.1:1234", []string{"198.51.100.1", "203.0.113.5"}, proxies, "203.0.113.5/32"},
		"two proxies":                            {"10.0.0.1:1234", []string{"198.51.100.1, 203.0.113.5, 10.0.0.2"}, proxies, "203.0.113.5/32"},
		"nonsense is not passed over":            {"10.0.0.1:1234", []string{"198.51.100.1, unknown"}, proxies, "10.0.0.1/32"},
		"nonsense behind a proxy":                {"10.0.0.1:1234", []string{"198.51.100.1, unknown, 10.0.0.2"}, proxies, "10.0.0.2/32"},
		"one's own /64 is one address":           {"[2001:db8:1:2:3:4:5:6]:1234", nil, nil, "2001:db8:1:2::/64"},
		"another of the same /64":                {"[2001:db8:1:2:ffff::1]:1234", nil, nil, "2001:db8:1:2::/64"},
		"IPv4 in IPv6":                           {"[::ffff:203.0.113.5]:1234", nil, nil, "203.0.113.5/32"},
		"a zone":                                 {"[fe80::1%eth0]:1234", nil, nil, "fe80::/64"},
		"IPv6 through a proxy":                   {"[fd00::1]:1234", []string{"2001:db8:1:2::9"}, proxies, "2001:db8:1:2::/64"},
		"only proxies, as in a health check":     {"10.0.0.1:1234", []string{"10.0.0.2, 10.0.0.3"}, proxies, "10.0.0.2/32"},
		"a peer that is not one of IP (a pipe)":  {"@", []string{"203.0.113.5"}, proxies, "invalid Prefix"},
		"an empty list":                          {"10.0.0.1:1234", []string{""}, proxies, "10.0.0.1/32"},
		"another header that proxies write":      {"203.0.113.5:1234", nil, proxies, "203.0.113.5/32"},
		"a header as long as the server permits": {"10.0.0.1:1234", []string{strings.Repeat("198.51.100.1,", 2000) + "203.0.113.5"}, proxies, "203.0.113.5/32"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.forwarded
		for _, other := range []string{"X-Real-Ip", "Forwarded", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip"} {
			r.Header.Set(other, "for=192.0.2.99")
		}
		if got := network(clientAddress(r, c.proxies)).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A problem says how long to wait in whole seconds, and not too few.
func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]int{1: 1, time.Second: 1, time.Second + 1: 2, 40 * time.Millisecond: 1} {
		if got := after(wait).seconds(); got != want {
			t.Errorf("%s: %d", wait, got)
		}
	}
	if p := problemOf(often(time.Second)); p.Status != http.StatusTooManyRequests || p.Reason != reasonOften {
		t.Errorf("%+v", p)
	}
}

func TestWatch(t *testing.T) {
	now, asked := start, 0
	w := &watch{func() time.Time { return now }, func() error { asked++; return nil }, start}
	for _, c := range []struct {
		step time.Duration
		want int
	}{{0, 0}, {watchTime - 1, 0}, {1, 1}, {0, 1}, {watchTime, 2}, {-time.Hour, 3}, {watchTime / 2, 3}} {
		now = now.Add(c.step)
		w.check()
		if asked != c.want {
			t.Errorf("after %s: asked %d times, want %d", c.step, asked, c.want)
		}
	}
}
