package tlog

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/transparency-dev/formats/witness"
)

// Cosignature is a witness's word that at Time it had seen the log grow to a
// checkpoint, and nothing else before (C2SP tlog-cosignature). Time is in whole
// seconds.
type Cosignature struct {
	Witness Witness
	Time    time.Time
}

// Cosigned says who of a policy has cosigned a checkpoint.
type Cosigned struct {
	// Quorum says that the policy's quorum is met; it is where it asks for nobody.
	Quorum bool
	// Audited says the same of the group "auditors".
	Audited bool
	// By are the cosignatures, in the policy's order.
	By []Cosignature
	// Until is the earliest time by which those who had cosigned met the quorum,
	// Since the latest since which they did: one clock moves neither, unless its
	// owner is the quorum. Of Trust.Cosigned alone; zero where nobody is asked.
	// There is no Since where auditors are enough, who come to a state when it is
	// long not the newest.
	Until, Since time.Time
}

// Cosigned reads the cosignatures on a signed checkpoint, whose log signature
// it leaves to OpenCheckpoint. Lines of other keys are passed over. A line of
// the policy's keys that does not verify, or whose time is none, refuses the
// whole. Errors: ErrMalformed, ErrCosignature.
func (p Policy) Cosigned(signed []byte) (Cosigned, error) {
	n, err := openNote(signed)
	if err != nil {
		return Cosigned{}, err
	}
	return n.cosigned(p, time.Time{})
}

// Cosigned is that of the policy in force, and of the earlier ones as long as
// each was: a checkpoint that met an earlier quorum by its end still has it. An
// earlier policy that asks for nobody is met by nothing, for nobody says when a
// checkpoint was there that nobody cosigned. By are the cosignatures of all
// that count, each key once, those of the policy in force first; who is an
// auditor in one policy is an Auditor in all. Until is the earliest of all
// these policies, Since the latest, each by its own quorum.
func (t Trust) Cosigned(signed []byte) (Cosigned, error) {
	n, err := openNote(signed)
	if err != nil {
		return Cosigned{}, err
	}
	c, err := n.cosigned(t.policy, time.Time{})
	if err != nil {
		return Cosigned{}, err
	}
	c.Until, c.Since = t.policy.quorumTimes(c.By, t.auditors)
	for i, p := range t.earlier {
		was, err := n.cosigned(p, t.parts.EarlierPolicies[i].Until)
		if err != nil {
			return Cosigned{}, err
		}
		c.Quorum = c.Quorum || p.RequiresWitnesses() && was.Quorum
		c.Audited = c.Audited || p.RequiresAuditors() && was.Audited
		until, since := p.quorumTimes(was.By, t.auditors)
		if c.Until.IsZero() || !until.IsZero() && until.Before(c.Until) {
			c.Until = until
		}
		if since.After(c.Since) {
			c.Since = since
		}
		for _, by := range was.By {
			same := func(other Cosignature) bool { return signerOf(other.Witness.Verifier) == signerOf(by.Witness.Verifier) }
			if !slices.ContainsFunc(c.By, same) {
				c.By = append(c.By, by)
			}
		}
	}
	for i := range c.By {
		w := &c.By[i].Witness
		w.Auditor = w.Auditor || t.auditors[signerOf(w.Verifier)]
	}
	return c, nil
}

// cosignedNote is a signed checkpoint of which each line is verified once.
type cosignedNote struct {
	text  []byte
	lines map[string]line      // by signer
	times map[string]time.Time // of lines that verify
}

func openNote(signed []byte) (cosignedNote, error) {
	cp, lines, err := parseSigned(signed)
	if err != nil {
		return cosignedNote{}, err
	}
	n := cosignedNote{cp.Marshal(), make(map[string]line, len(lines)), make(map[string]time.Time)}
	for _, l := range lines {
		n.lines[l.signer] = l
	}
	return n, nil
}

// cosigned counts the cosignatures of a policy that were made by its end, if
// it has one. Those made later must verify as well.
func (n cosignedNote) cosigned(p Policy, end time.Time) (c Cosigned, err error) {
	counted := make(map[string]bool)
	for _, w := range p.all {
		signer := signerOf(w.Verifier)
		l, there := n.lines[signer]
		if !there {
			continue
		}
		at, known := n.times[signer]
		if !known {
			if at, known = w.cosigned(n.text, l); !known {
				return Cosigned{}, &Error{Reason: ErrCosignature}
			}
			n.times[signer] = at
		}
		if end.IsZero() || !at.After(end) {
			c.By = append(c.By, Cosignature{w, at})
			counted[w.URL] = true
		}
	}
	c.Quorum, c.Audited = met(p.witnesses, counted), met(p.auditors, counted)
	return c, nil
}

// quorumTimes are Until and Since by one policy's quorum, of those cosignatures
// that count.
func (p Policy) quorumTimes(by []Cosignature, auditors map[string]bool) (until, since time.Time) {
	if !p.RequiresWitnesses() {
		return until, since
	}
	by = slices.SortedFunc(slices.Values(by), func(a, b Cosignature) int { return a.Time.Compare(b.Time) })
	first := func(by iter.Seq2[int, Cosignature]) time.Time {
		counted := make(map[string]bool)
		for _, c := range by {
			if counted[c.Witness.URL] = true; met(p.witnesses, counted) {
				return c.Time
			}
		}
		return time.Time{}
	}
	late := slices.DeleteFunc(slices.Clone(by), func(c Cosignature) bool { return !c.Witness.Auditor && !auditors[signerOf(c.Witness.Verifier)] })
	if until = first(slices.All(by)); first(slices.All(late)).IsZero() {
		since = first(slices.Backward(by))
	}
	return until, since
}

// Cosign returns the signed checkpoint with those of lines, a witness's answer
// ("— name base64" and a line feed each), that verify under keys of the policy
// and are not there yet. Lines of other keys come first, as they stood, then
// those of the policy's in its order: the same lines make the same note.
// Errors: ErrMalformed, and ErrCosignature of a line that was there before.
func (p Policy) Cosign(signed, lines []byte) ([]byte, error) {
	if _, err := p.Cosigned(signed); err != nil {
		return nil, err
	}
	cp, before, err := parseSigned(signed)
	if err != nil {
		return nil, err
	}
	var offered []line
	if len(lines) > 0 {
		if len(lines) > MaxCheckpointSize {
			return nil, malformed("signature lines are too long")
		}
		if offered, err = parseLines(lines); err != nil {
			return nil, err
		}
	}
	text := cp.Marshal()
	cosigners := make(map[string]bool)
	var cosignatures strings.Builder
	for _, w := range p.all {
		signer := signerOf(w.Verifier)
		cosigners[signer] = true
		// What was there before comes first, and has been verified.
		for _, l := range append(before[:len(before):len(before)], offered...) {
			if l.signer != signer {
				continue
			}
			if _, ok := w.cosigned(text, l); ok {
				cosignatures.WriteString(l.text)
				break
			}
		}
	}
	var note strings.Builder
	note.Write(text)
	note.WriteByte('\n')
	for _, l := range before {
		if !cosigners[l.signer] {
			note.WriteString(l.text)
		}
	}
	note.WriteString(cosignatures.String())
	if _, _, err := parseSigned([]byte(note.String())); err != nil {
		return nil, err
	}
	return []byte(note.String()), nil
}

// maxCosignedAt is the last second of the year 9999.
const maxCosignedAt = 253402300799

// cosigned verifies a line of the witness's key and returns its time, the first
// eight bytes of the signature in either type, which it covers.
func (w Witness) cosigned(text []byte, l line) (time.Time, bool) {
	if len(l.signature) < 8 || !w.Verifier.Verify(text, l.signature) {
		return time.Time{}, false
	}
	at := binary.BigEndian.Uint64(l.signature)
	// A signature at time zero says nothing of when (C2SP tlog-cosignature).
	if at == 0 || at > maxCosignedAt {
		return time.Time{}, false
	}
	return time.Unix(int64(at), 0).UTC(), true
}

// met reports whether enough members of a group have cosigned, given by URL.
func met(g witness.Group, counted map[string]bool) bool {
	n := 0
	for _, c := range g.Components {
		switch c := c.(type) {
		case witness.Witness:
			if counted[c.URL] {
				n++
			}
		case witness.Group:
			if met(c, counted) {
				n++
			}
		}
	}
	return n >= g.N
}
