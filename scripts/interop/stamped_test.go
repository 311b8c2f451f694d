package interop

import (
	"testing"
	"time"

	"strongroom.example/strongroom/internal/timestamping"
	"strongroom.example/strongroom/internal/tlog"
)

// authority makes RFC 3161 time stamps, at the time that now says.
type authority struct {
	*timestamping.Development
	t   *testing.T
	now time.Time
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, now: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	a.Development = must(timestamping.OpenDevelopment(must(timestamping.MakeDevelopment()), func() time.Time { return a.now }))
	return a
}

func (a *authority) stamp(message []byte) stamp {
	a.t.Helper()
	response, _, err := a.Ask(a.t.Context(), message)
	if err != nil {
		a.t.Fatal(err)
	}
	return stamp{response}
}

// listed is the authority as a trust file names it, in use between these times.
func (a *authority) listed(start, end time.Time) tlog.Authority {
	a.t.Helper()
	_, chain, err := a.Ask(a.t.Context(), []byte("which certificates"))
	if err != nil {
		a.t.Fatal(err)
	}
	return tlog.Authority{URI: "https://time.example", Chain: append(chain[:1:1], a.Root().Raw), Valid: tlog.Valid{Start: start, End: end}}
}

// stampedReceipts puts receipts with time stamps over their signatures, under trust files that name an authority.
func stampedReceipts(t *testing.T, r *reading) {
	list, signer := statements(t)
	l, a, unlisted := newLog(t, newKey(t), list...), newAuthority(t), newAuthority(t)
	receipt := l.receipt(list[3], 3)
	sig := list[3].Signature()
	noon := a.now
	trust := l.trust(a.listed(noon.Add(-time.Hour), time.Time{}))
	at := func(when time.Time) stamp {
		a.now = when
		return a.stamp(sig)
	}
	good := at(noon)
	for _, c := range []struct {
		name  string
		trust tlog.Trust
		list  []stamp
	}{
		{"by the authority", trust, []stamp{good}},
		{"twice by the authority", trust, []stamp{good, at(noon.Add(time.Minute))}},
		{"the same stamp twice", trust, []stamp{good, good}},
		{"over another signature", trust, []stamp{a.stamp(list[4].Signature())}},
		{"over the payload", trust, []stamp{a.stamp(list[3].Payload())}},
		{"a byte changed", trust, []stamp{{flipped(good.Signed, -1)}}},
		{"a byte more", trust, []stamp{{append(good.Signed[:len(good.Signed):len(good.Signed)], 0)}}},
		{"by an authority that is not in the trust file", trust, []stamp{unlisted.stamp(sig)}},
		{"by the authority, and by one that is not in the trust file", trust, []stamp{good, unlisted.stamp(sig)}},
		{"after the authority's time", l.trust(a.listed(noon.Add(-time.Hour), noon.Add(-time.Minute))), []stamp{good}},
		{"before the authority's time", l.trust(a.listed(noon.Add(time.Minute), time.Time{})), []stamp{good}},
		{"none is asked for", l.trust(), []stamp{good}},
	} {
		d, s := open(t, receipt), must(newStock(c.trust.TrustedRoot(), signer))
		d.Material.Stamps = &stamps{c.list}
		r.check(t, "stamped", c.name, func(t *testing.T, verifier int) string {
			if verifier == program {
				return word(t, byTlog(c.trust, d.text()))
			}
			return word(t, s.by(verifier, d.text()))
		})
	}
}
