package client

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"slices"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// course is a made-up vault: its log keys and roots have names, and time is counted in hours.
type course struct {
	testing.TB
	logs      map[string][]tlog.Log
	roots     map[string][]byte
	founders  []tlog.Founder
	decisions []evidence.Decision
	file      tlog.TrustParts
	began     evidence.Time
}

func newCourse(t testing.TB, names ...string) *course {
	c := &course{TB: t, logs: make(map[string][]tlog.Log), roots: make(map[string][]byte), began: evidence.At(time.Date(2027, 3, 14, 9, 0, 0, 0, time.UTC))}
	for _, name := range names {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		check(t, err)
		private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
		c.logs[name] = []tlog.Log{{Key: private.Public()}, {Key: public}}
		root := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		c.roots[name] = must(x509.CreateCertificate(rand.Reader, root, root, private.Public(), private))(t)
	}
	for _, role := range []evidence.Role{evidence.Administrator, evidence.Custodian, evidence.Vault} {
		key := must(x509.MarshalPKIXPublicKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t).Public()))(t)
		c.founders = append(c.founders, tlog.Founder{Actor: string(evidence.NewID[evidence.ActorID]()), Role: string(role), Key: key})
	}
	return c
}

func (c *course) at(hour float64) evidence.Time {
	return c.began.Add(time.Duration(hour * float64(time.Hour)))
}

// begin founds it with log keys and witnesses.
func (c *course) begin(key, witness string) *course {
	c.decisions = nil
	c.file = tlog.TrustParts{Vault: "vault.example", Founders: c.founders, WitnessPolicy: named(witness)}
	for _, l := range c.logs[key] {
		l.Start = c.began.Std()
		c.file.Logs = append(c.file.Logs, l)
	}
	return c.decide(0, key, witness)
}

func named(name string) string { return "# " + name + "\nquorum none\n" }

// decide decides; what is decided counts from that hour on.
func (c *course) decide(hour float64, key, witness string, roots ...string) *course {
	d := &evidence.VaultConfiguredDetails{}
	for _, l := range c.logs[key] {
		d.LogKeys = append(d.LogKeys, base64.StdEncoding.EncodeToString(must(x509.MarshalPKIXPublicKey(l.Key))(c)))
	}
	d.Witness = named(witness)
	for _, name := range roots {
		d.TimestampRoots = append(d.TimestampRoots, evidence.SHA256(c.roots[name]))
	}
	c.decisions = append(c.decisions, evidence.Decision{VaultConfiguredDetails: d, Proposed: c.at(hour - 0.5), From: c.at(hour)})
	return c
}

// carry makes the trust file of a vault that goes over at an hour, as strongroomd does.
func (c *course) carry(hour float64, key, witness string, roots ...string) *course {
	end := c.at(hour).Add(evidence.Clock).Std()
	if c.file.WitnessPolicy != named(witness) {
		c.file.EarlierPolicies = append(slices.Clip(c.file.EarlierPolicies), tlog.EarlierPolicy{Policy: c.file.WitnessPolicy, Until: end})
	}
	c.file.WitnessPolicy = named(witness)
	before := slices.Clone(c.file.Logs)
	c.file.Logs = nil
	for _, l := range c.logs[key] {
		l.Start = c.at(hour).Std()
		if i := slices.IndexFunc(before, func(b tlog.Log) bool { return sameKey(b, l) }); i >= 0 {
			l = before[i]
			before = slices.Delete(before, i, i+1)
		}
		c.file.Logs = append(c.file.Logs, l)
	}
	for _, l := range before {
		if l.End.IsZero() {
			l.End = end
		}
		c.file.Logs = append(c.file.Logs, l)
	}
	for _, name := range roots {
		c.file.TimestampRoots = append(slices.Clip(c.file.TimestampRoots), c.roots[name])
	}
	return c
}

func (c *course) trust(changes ...func(*tlog.TrustParts)) tlog.Trust {
	p := c.file
	p.Logs, p.EarlierPolicies = slices.Clone(p.Logs), slices.Clone(p.EarlierPolicies)
	for _, change := range changes {
		change(&p)
	}
	return must(tlog.NewTrust(p))(c)
}

// holds asks at an hour whether a file may be pinned in the place of another, if log keys were used first at some hours.
func (c *course) holds(hour float64, old, next tlog.Trust, first map[string]float64) bool {
	c.Helper()
	list := must(changesOf(c.decisions, c.at(hour)))(c)
	used := make(map[tlog.Hash]time.Time)
	for key, hour := range first {
		used[must(tlog.LogID(c.logs[key][0].Key))(c)] = c.at(hour).Add(2 * evidence.Clock).Std()
	}
	return extends(old, next) && continues(old, next) && explains(old, next, list, used)
}

// Whoever has any earlier file pins the newest, by whatever detours the vault came to it.
func TestEveryCourseIsFound(t *testing.T) {
	t.Parallel()
	c := newCourse(t, "0", "1", "2", "3")
	type first = map[string]float64
	for _, test := range []struct {
		name  string
		used  first
		again bool // a decision is in force that is not carried out
		act   func(files func())
	}{
		{"witnesses lost, then others, then these", nil, false, func(file func()) {
			c.begin("0", "0").decide(10, "0", "1").decide(20, "0", "2").carry(21, "0", "2")
			file()
			c.decide(30, "0", "1").carry(31, "0", "1")
			file()
			c.decide(40, "0", "3").carry(41, "0", "3")
		}},
		{"keys taken back by mistake, and mended", first{"1": 12}, false, func(file func()) {
			c.begin("0", "0").decide(10, "1", "0").carry(11, "1", "0")
			file()
			c.decide(20, "0", "0").decide(30, "1", "0")
		}},
		{"keys taken back, and nobody has noticed", first{"1": 12}, true, func(file func()) {
			c.begin("0", "0").decide(10, "1", "0").carry(11, "1", "0")
			file()
			c.decide(20, "0", "0")
		}},
		{"keys lost, and decided again", first{"1": 32, "2": 42}, false, func(file func()) {
			c.begin("0", "0").decide(10, "1", "0").decide(20, "0", "0").decide(30, "1", "0").carry(31, "1", "0")
			file()
			c.decide(40, "2", "0").carry(41, "2", "0")
		}},
		{"keys lost, and decided again after others", first{"2": 22, "1": 32}, false, func(file func()) {
			c.begin("0", "0").decide(10, "1", "0").decide(20, "2", "0").carry(21, "2", "0")
			file()
			c.decide(30, "1", "0").carry(31, "1", "0")
		}},
		{"the next one waits", first{"1": 12}, true, func(file func()) {
			c.begin("0", "0").decide(10, "1", "0").carry(11, "1", "0")
			file()
			c.decide(20, "2", "1", "2")
		}},
		{"nothing was carried out yet", nil, true, func(file func()) {
			c.begin("0", "0").decide(10, "1", "0").decide(20, "0", "1", "2")
		}},
		{"carried out while another was proposed", first{"1": 19.9, "2": 30}, false, func(file func()) {
			c.begin("0", "0").decide(10, "1", "0").decide(20, "2", "0").carry(19.8, "1", "0")
			file()
			c.carry(29, "2", "0")
		}},
		{"keys, witnesses and roots, together and alone", first{"1": 12, "2": 45}, false, func(file func()) {
			c.begin("0", "0").decide(10, "1", "1", "1").carry(11, "1", "1", "1")
			file()
			c.decide(20, "1", "1", "1", "2").carry(21, "1", "1", "2")
			file()
			c.decide(30, "1", "2", "1", "2").decide(40, "2", "3", "1", "2", "3").carry(41, "2", "3", "3")
		}},
		{"taken from the log anew: nothing shows when the keys came", nil, false, func(file func()) {
			c.begin("0", "0").decide(10, "1", "0").carry(15, "1", "0")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.TB = t
			var files []tlog.Trust
			test.act(func() { files = append(files, c.trust()) })
			next := c.trust()
			founding := *c
			for _, old := range append(files, founding.begin("0", "0").trust(), next) {
				if !c.holds(50, old, next, test.used) {
					t.Errorf("refused to who has the file with %d keys and %d earlier policies", len(old.Logs()), len(old.EarlierPolicies()))
				}
			}
			if test.again {
				return
			}
			// What the operator would like to say.
			begin := founding.trust()
			end := len(next.Logs()) - 1 // the founding's
			for name, change := range map[string]func(*tlog.TrustParts){
				"an end far ahead":      func(p *tlog.TrustParts) { p.Logs[end].End = c.at(60).Std() },
				"an end before all":     func(p *tlog.TrustParts) { p.Logs[end].End = c.at(1).Std() },
				"no end":                func(p *tlog.TrustParts) { p.Logs[end].End = time.Time{} },
				"an end of one in use":  func(p *tlog.TrustParts) { p.Logs[1].End = c.at(49).Std() },
				"a beginning far ahead": func(p *tlog.TrustParts) { p.Logs[0].Start = c.at(60).Std() },
			} {
				if len(next.Logs()) > 2 && c.holds(50, begin, c.trust(change), test.used) {
					t.Error(name)
				}
			}
			for name, change := range map[string]func(*tlog.TrustParts){
				"an added policy": func(p *tlog.TrustParts) {
					p.EarlierPolicies = append(p.EarlierPolicies, tlog.EarlierPolicy{Policy: named("never"), Until: c.at(45).Std()})
				},
				"another policy": func(p *tlog.TrustParts) { p.WitnessPolicy = named("never") },
				"a key that nobody decided": func(p *tlog.TrustParts) {
					l := newCourse(t, "").logs[""][0]
					l.Valid = tlog.Valid{Start: c.at(0).Std(), End: c.at(11).Std()}
					p.Logs = append(p.Logs, l)
				},
			} {
				if c.holds(50, begin, c.trust(change), test.used) {
					t.Error(name)
				}
			}
		})
	}
}

// A freely chosen course opens no way to say what did not happen.
func TestNoOtherCourseIsFound(t *testing.T) {
	t.Parallel()
	c := newCourse(t, "0", "1", "2")
	used := map[string]float64{"1": 12}
	refused := func(name string, old, next tlog.Trust, used map[string]float64) {
		t.Helper()
		if c.holds(50, old, next, used) {
			t.Error(name)
		}
	}
	old := c.begin("0", "0").trust()

	// The keys came with the first decision, as their use shows; the file says it was the third.
	c.decide(10, "1", "0").decide(20, "0", "0").decide(30, "1", "0").carry(31, "1", "0")
	refused("later than their use", old, c.trust(), used)
	if !c.holds(50, old, c.trust(), nil) {
		t.Error("refused though nothing shows it")
	}
	c.begin("0", "0").decide(10, "1", "0").decide(20, "1", "1").carry(21, "1", "1")
	refused("together with the witnesses that came later", old, c.trust(), used)

	// A key comes back, or came while another decision was in force.
	c.begin("0", "0").decide(10, "1", "0").decide(20, "0", "0").carry(11, "1", "0").carry(21, "0", "0")
	back := c.trust(func(p *tlog.TrustParts) { p.Logs[0].End, p.Logs[1].End = time.Time{}, time.Time{} })
	refused("an earlier key is in use again", old, back, nil)
	pinned := c.begin("0", "0").decide(10, "1", "0").carry(11, "1", "0").trust()
	c.decide(20, "0", "1").decide(30, "2", "2").carry(21, "0", "1").carry(31, "2", "2")
	refused("an earlier key was in use again", pinned, c.trust(), nil)
	c.begin("0", "0").decide(10, "1", "0").decide(20, "0", "0").decide(30, "2", "0").carry(21, "1", "0").carry(31, "2", "0")
	refused("while another decision was in force", old, c.trust(), nil)

	// Witnesses whose policy this device knows are not passed over, nor do they end at will.
	c.begin("0", "0").decide(10, "0", "1").carry(11, "0", "1")
	pinned = c.trust()
	c.decide(20, "0", "2").carry(21, "0", "2")
	next := c.trust()
	refused("a known policy left out", pinned, c.trust(func(p *tlog.TrustParts) { p.EarlierPolicies = p.EarlierPolicies[:1] }), nil)
	refused("both left out", pinned, c.trust(func(p *tlog.TrustParts) { p.EarlierPolicies = p.EarlierPolicies[1:] }), nil)
	refused("back to an earlier one", next, pinned, nil)
	c.decide(30, "0", "3").carry(31, "0", "3")
	refused("a known policy left out, and then another", pinned, c.trust(func(p *tlog.TrustParts) {
		p.EarlierPolicies = slices.Delete(p.EarlierPolicies, 1, 2)
		p.EarlierPolicies[1].Policy = named("2")
	}), nil)
	refused("an end after the next decision", old, c.trust(func(p *tlog.TrustParts) { p.EarlierPolicies[0].Until = c.at(20.2).Std() }), nil)
	refused("an end before its decision", old, c.trust(func(p *tlog.TrustParts) { p.EarlierPolicies[0].Until = c.at(9).Std() }), nil)

	// Nothing is pinned before the wait is over by this device's clock.
	c.begin("0", "0").decide(10, "0", "0", "1").carry(11, "0", "0", "1")
	if next := c.trust(); c.holds(9, old, next, nil) || !c.holds(11, old, next, nil) {
		t.Error("a root, by whose clock?")
	}
	refused("a root that nobody decided", old, c.trust(func(p *tlog.TrustParts) { p.TimestampRoots = append(p.TimestampRoots, c.roots["2"]) }), nil)
	c.begin("0", "0").decide(10, "1", "0").carry(8, "1", "0")
	if c.holds(9, old, c.trust(), nil) {
		t.Error("a key before its decision counts")
	}
}

// Decisions that follow each other within minutes could be read in many ways: the search ends.
func TestSearchEnds(t *testing.T) {
	t.Parallel()
	c := newCourse(t, "0")
	old := c.begin("0", "0").trust()
	for i := range 40 {
		c.decide(10+float64(i)/1000, "0", string(rune('1'-i%2)))
	}
	c.file.EarlierPolicies = nil
	for i := range 16 {
		c.file.EarlierPolicies = append(c.file.EarlierPolicies, tlog.EarlierPolicy{Policy: named(string(rune('0' + i%2))), Until: c.at(10.04).Add(evidence.Clock).Std()})
	}
	c.file.WitnessPolicy = named("never")
	began := time.Now()
	if c.holds(50, old, c.trust(), nil) {
		t.Error("it was never decided")
	}
	t.Log(time.Since(began))
}
